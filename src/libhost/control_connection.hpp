// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "splitnve/host/control.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::host {

/// One client: lines in, lines out. Serves one request at a time; a source of rows is pulled only while the output has
/// room, and for at most kControlTurnMax before the loop serves others. Knows nothing of verbs.
class ControlConnection {
 public:
  struct Owner {
    virtual ~Owner() = default;
    /// A complete line. The owner answers by `answer` or `stream`, now or later.
    virtual void on_line(ControlConnection& connection, std::string_view line) = 0;
    virtual void on_oversize(ControlConnection& connection) = 0;
    /// The connection is of no use any more; the owner destroys it, though not before this call has returned.
    virtual void on_closed(ControlConnection& connection) = 0;
  };
  ControlConnection(Loop& loop, Owner& owner, std::uint64_t id, int fd, uid_t uid, Access access);
  ~ControlConnection();
  ControlConnection(const ControlConnection&) = delete;
  ControlConnection& operator=(const ControlConnection&) = delete;

  std::uint64_t id() const { return id_; }
  Access access() const { return access_; }
  uid_t uid() const { return uid_; }
  /// True if it has asked nothing, or taken nothing of its answer, for longer than these. A request that is being
  /// decided is neither.
  bool is_overdue(Instant now, Duration idle_max, Duration stall_max) const;
  void close();

  /// Begins the request that `asker` names; until its answer no further line is read from the input.
  void begin(std::uint64_t asker, nlohmann::json request_id);
  /// Ends the current request if `asker` names it.
  void answer(std::uint64_t asker, const nlohmann::json& end);
  /// The same once `rows` has no more.
  void stream(std::uint64_t asker, RowSource rows, nlohmann::json end);
  /// A line that belongs to no request, then the connection is closed.
  void refuse_and_close(const nlohmann::json& line);

 private:
  struct Request {
    std::uint64_t asker = 0;
    nlohmann::json id;
    RowSource rows;
    std::string before_row;  ///< what stands in a line before a row of this request
    nlohmann::json end;      ///< what follows the rows
  };
  void on_readable();
  void take_lines();
  void pump();
  void make_rows();
  bool write_out();
  void append(const nlohmann::json& line);
  void pump_soon();

  Loop& loop_;
  Owner& owner_;
  std::uint64_t id_;
  int fd_;
  uid_t uid_;
  Access access_;
  Instant progress_;  ///< when octets last came or went
  std::string input_;
  std::string output_;
  std::optional<Request> request_;
  bool input_ended_ = false;
  bool closing_ = false;  ///< close as soon as the output is written
  bool closed_ = false;
  bool taking_ = false;
  bool pump_posted_ = false;
  Timer next_turn_;  ///< of making rows
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace splitnve::host
