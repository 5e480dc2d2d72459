// SPDX-License-Identifier: Apache-2.0
// The control socket: newline-delimited JSON over a unix stream socket.
//   request   {"id":n,"verb":"tsi.show","args":{...}}
//   rows      {"id":n,"row":{...}}                     any number
//   end       {"id":n,"ok":true,"result":{...}}   or   {"id":n,"ok":false,"error":{"what":..,"where":..,"remedy":..}}
// Requests of one connection are served one after the other, in order.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "splitnve/agent/effects.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::host {

class Loop;

/// A request is a line; longer ones are refused and the connection closed.
inline constexpr std::size_t kControlLineOctetsMax = 64 * 1024;
/// Connections of root and the daemon's own user at once: 1,000 hooks may wait for their VMs, and somebody looks.
inline constexpr std::size_t kControlOwnConnectionsMax = 2048;
/// Connections of one other user that are served at once, and of all others together; who comes then waits.
inline constexpr std::size_t kControlConnectionsPerUserMax = 32;
inline constexpr std::size_t kControlConnectionsMax = 256;
/// Connections of other users that wait to be served, of one and of all; further ones are refused. A place costs a
/// descriptor only.
inline constexpr std::size_t kControlWaitingPerUserMax = 256;
inline constexpr std::size_t kControlWaitingMax = 512;
/// Connections that wait for the daemon to look, as the kernel keeps them.
inline constexpr int kControlBacklog = 1024;
/// A connection that asks nothing for so long is closed.
inline constexpr Duration kControlIdleMax = std::chrono::minutes(5);
/// So is one that takes nothing of its answer for so long: what it asked for holds memory.
inline constexpr Duration kControlStallMax = std::chrono::seconds(30);
/// How often that is looked at, and whether descriptors are free again.
inline constexpr Duration kControlLook = std::chrono::seconds(1);
/// Rows wait here for a slow reader; when it is full no further row is made.
inline constexpr std::size_t kControlOutputOctetsMax = 64 * 1024;
/// Rows are made for one connection for this long before the loop looks at frames and at others.
inline constexpr Duration kControlTurnMax = std::chrono::microseconds(60);
/// Between two such turns of one connection the processor is left to others: the kernel takes it from nobody before the
/// next tick, up to 10 ms away.
inline constexpr Duration kControlPause = std::chrono::microseconds(30);

enum class Access : std::uint8_t { kRead, kAdmin };

/// Who connected, from SO_PEERCRED and SO_PEERGROUPS.
struct ControlPeer {
  uid_t uid = 0;
  std::vector<gid_t> groups;
};
/// Root, the daemon's own user (as which nothing but daemons runs) and members of the admin group may change things;
/// everyone else who can connect may look.
Access access_of(const ControlPeer& peer, uid_t own_uid, std::optional<gid_t> admin_group);

struct ControlOptions {
  std::string path;
  mode_t mode = 0660;
  std::string group;        ///< members may connect and look; empty: the daemon's own
  std::string admin_group;  ///< members may connect and use admin verbs; empty: root alone
  Duration idle_max = kControlIdleMax;
  Duration stall_max = kControlStallMax;
};

struct ControlStats {
  std::uint64_t accepted = 0;
  std::uint64_t waited = 0;   ///< beyond the share of their user
  std::uint64_t refused = 0;  ///< too many waited already
  std::uint64_t ended = 0;    ///< idle or stalled for too long
  std::uint64_t requests = 0;
  std::uint64_t malformed = 0;  ///< no JSON, no object, or a wrong member
  std::uint64_t oversize = 0;
  std::uint64_t denied = 0;  ///< admin verb by a reader
};

/// Appends the next row to `out` as JSON text without a newline, or nothing where none stands in this place of a table;
/// false when there are no more. A call takes no longer than a row does.
using RowSource = std::function<bool(std::string& out)>;

class ControlServer;

/// The right to answer one request, once; now or later, on the loop's thread. An answer whose asker has gone is
/// dropped.
class Responder {
 public:
  /// The handle to put into an agent's verb; `ControlServer::answer` finds the request by it.
  std::uint64_t asker() const { return asker_; }
  void ok();
  void ok(const nlohmann::json& result);
  void fail(const Error& error);
  /// Streams rows as the socket takes them, then ends the request well with `result`, an object. The source is called
  /// later, between other work.
  void stream(RowSource rows);
  void stream(RowSource rows, const nlohmann::json& result);

 private:
  friend class ControlServer;
  struct Backend;
  Responder(std::weak_ptr<Backend> backend, std::uint64_t asker);
  std::weak_ptr<Backend> backend_;
  std::uint64_t asker_ = 0;
};

class ControlServer {
 public:
  using Handler = std::function<void(const nlohmann::json& args, Responder)>;

  /// Listens at once; a socket file is replaced only if nobody listens on it. Errors name the path and the remedy.
  static Result<std::unique_ptr<ControlServer>> open(Loop& loop, const ControlOptions& options);
  /// Closes all connections and removes the socket file.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// `args` is always an object. A handler that throws a JSON type error gets the request refused with its text.
  void add(const std::string& verb, Access needed, Handler handler);
  /// A verb that may be told much at once. `read` makes of `args` what `handle` is given; for a long request it is
  /// called on another thread than the loop's: it touches nothing that changes, and throws nothing. Added before the
  /// loop runs.
  template <class T>
  void add_read(const std::string& verb, Access needed, std::function<T(const nlohmann::json& args)> read,
                std::function<void(T&, Responder)> handle) {
    add_read_erased(
        verb, needed, [read = std::move(read)](const nlohmann::json& args) { return std::make_shared<T>(read(args)); },
        [handle = std::move(handle)](void* reading, Responder responder) {
          handle(*static_cast<T*>(reading), std::move(responder));
        });
  }
  /// The agent's verdict on a request whose handler passed `asker()` on; unknown askers are ignored.
  void answer(const agent::Answer& answer);
  ControlStats stats() const;

 private:
  using Reader = std::function<std::shared_ptr<void>(const nlohmann::json& args)>;
  explicit ControlServer(std::shared_ptr<Responder::Backend> backend);
  void add_read_erased(const std::string& verb, Access needed, Reader read,
                       std::function<void(void* reading, Responder)> handle);
  std::shared_ptr<Responder::Backend> backend_;
};

/// The other end, for the CLI and hooks: blocking, one request at a time.
class ControlClient {
 public:
  using OnRow = std::function<void(const nlohmann::json& row)>;
  using OnRowText = std::function<void(std::string_view row)>;
  /// Error: nobody listens, no permission, or no place in the listener's queue for `patience` (zero waits forever),
  /// which is also how long a request may take to leave.
  static Result<std::unique_ptr<ControlClient>> connect(const std::string& path,
                                                        Duration patience = std::chrono::seconds(30));
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  /// The result, after all rows were handed to `on_row`. Error: the daemon's own, or the connection broke, or nothing
  /// came for `silence_max` (zero waits forever).
  Result<nlohmann::json> call(const std::string& verb, const nlohmann::json& args, const OnRow& on_row = {},
                              Duration silence_max = std::chrono::seconds(30));
  /// The same for who hands rows on: they are the daemon's text, in one line and not looked into.
  Result<nlohmann::json> call_for_text(const std::string& verb, const nlohmann::json& args, const OnRowText& on_row,
                                       Duration silence_max = std::chrono::seconds(30));

 private:
  explicit ControlClient(int fd) : fd_(fd) {}
  /// `on_row` returns whether it has understood.
  Result<nlohmann::json> exchange(const std::string& verb, const nlohmann::json& args,
                                  const std::function<bool(std::string_view)>& on_row, Duration silence_max);
  Result<nlohmann::json> take_answer(std::uint64_t id, std::string_view line);
  /// Valid until the next call.
  Result<std::string_view> read_line(Duration silence_max);

  int fd_;
  std::uint64_t next_id_ = 1;
  std::string buffer_;
  std::size_t taken_ = 0;  ///< octets of `buffer_` whose lines were handed out
};

}  // namespace splitnve::host
