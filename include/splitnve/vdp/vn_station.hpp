// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/timers.hpp"

namespace splitnve::vdp {

/// What a station asks one bridge about whole VNs (S30), without any TSI. Connects are repeated each keep-alive
/// interval.
///
///             connect()           success                   the bridge disconnects
///   (no row) -----------> Asking ----------> Connected --------------------------> Down
///                         ^  |  ^--- again after an interval --- Refused             |
///                         |  '--- refused ------------------------^                  |
///                         '------- the bridge says connect, or begins anew ----------'
///   disconnect(): Leaving, until the bridge answers; refused it stays what it was
///
/// Silence changes no state (S8), and a VN that is Down is not asked for. What the bridge has disconnected is noted for
/// VNs that were never asked for as well. Nothing is sent before the bridge has shown the flag (E7).
class VnStation {
 public:
  enum class State : std::uint8_t { kAsking, kConnected, kRefused, kDown, kLeaving };
  /// What the bridge has shown.
  enum class Peer : std::uint8_t { kUnknown, kCapable, kIncapable };
  struct View {
    GroupId vn;
    State state = State::kAsking;
    bool wanted = false;
    Vid vid;
    std::string why;  ///< what the bridge said: at most 64 octets, anything a peer wrote (S33)
  };
  struct Event {
    enum class What : std::uint8_t {
      kConnected,
      kRefused,   ///< the connect; it is repeated, and told once
      kDown,      ///< by the bridge, until it says connect
      kReleased,  ///< the bridge says connect again
      kLeft,      ///< the disconnect is done, or nobody is there to be asked
      kStays,     ///< the disconnect was refused: all is as before
      kNamed,     ///< resolve() is answered: with the VN's ID, or refused
    };
    GroupId vn;
    What what = What::kConnected;
    ResponseStatus status{};
    Vid vid{};
    std::string why{};
    VnName name{};  ///< of kNamed
    friend bool operator==(const Event&, const Event&) = default;
  };

  explicit VnStation(Timing timing) : timing_(timing) {}

  // --- intent ---
  void connect(GroupId vn, Instant now);
  /// With `all` its TSIs at this station go, too; else the bridge refuses while there are some.
  void disconnect(GroupId vn, bool all, Instant now);
  /// Connects the VN of this name, once: what the bridge says its ID is comes as kNamed, and is to be connected then.
  /// The bridge has shown that it knows names.
  void resolve(const VnName& name);
  /// Not waited for any longer.
  void forget(const VnName& name);
  /// Another bridge serves the VN now; this one is told to let go if it can be reached.
  void leave(GroupId vn, Instant now);

  // --- the bridge ---
  void set_peer(Peer peer, Instant now);
  /// It may have lost what it was told: all is asked again.
  void reassert_all(Instant now);
  /// It tells anew what it has disconnected: what it said before the VDPDU that was handled last is void.
  void begin_anew(Instant now);

  // --- wire ---
  /// A VDPDU begins of which handle() gets the requests.
  void begin_vdpdu() { ++vdpdu_; }
  void handle(const VnRequest& request, const std::optional<ReasonText>& why, Instant now,
              const std::optional<VnName>& name = {});
  bool queued() const {
    return peer_ == Peer::kCapable && (!queue_.empty() || !replies_.empty() || !names_queue_.empty());
  }
  /// Writes what waits, as far as there is room. True if anything was written.
  bool write(VdpduWriter& writer, Instant now);
  void handle_delivered();
  /// Also where an outcome was never told.
  void handle_delivery_failed();
  void handle_time(Instant now);
  std::optional<Instant> next_deadline() const { return deadlines_.next(); }
  std::optional<Event> poll_event();

  // --- views ---
  std::optional<View> view(GroupId vn) const;
  std::vector<View> views() const;
  std::size_t size() const { return rows_.size(); }
  void set_timing(Timing timing) { timing_ = timing; }
  void set_offered(Flags offered) { offered_ = offered; }
  /// `unused`: answers to nothing, and commands beyond limits::kVnConnectsPerStationMax.
  struct Stats {
    std::uint64_t requests = 0, responses = 0, refused = 0, unused = 0, timeouts = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  struct Row {
    GroupId vn;
    State state = State::kAsking;
    bool wanted = false;
    bool wanted_before = false;  ///< of a Leaving one
    bool all = false;            ///< of a Leaving one
    bool queued = false;
    bool awaiting = false;
    bool null_vid = false;  ///< asks for another VID after code 5 (S13)
    VnRequest::Operation asked = VnRequest::Operation::kConnect;
    Vid vid;
    std::uint64_t told_in = 0;  ///< the VDPDU in which the bridge disconnected it
    std::string why;
  };

  static View view_of(const Row& row);
  Row* find(GroupId vn);
  /// Null if there is no room.
  Row* make(GroupId vn);
  void enqueue(Row& row);
  /// Not asked for any longer, until something else happens.
  void rest(Row& row);
  void erase(GroupId vn);
  void tell(const Row& row, Event::What what, ResponseStatus status = {});
  bool write_names(VdpduWriter& writer);
  void handle_named(const VnName& name, const VnRequest& response, const std::optional<ReasonText>& why);
  void handle_response(const VnRequest& response, const std::optional<ReasonText>& why, Instant now);
  void connected(Row& row, const VnRequest& response, Instant now);
  void refused(Row& row, ResponseStatus status, Instant now);
  void handle_command(const VnRequest& command, const std::optional<ReasonText>& why);
  void ask_again(Row& row);

  Timing timing_;
  Peer peer_ = Peer::kUnknown;
  Flags offered_;
  Slab<Row, 16> rows_;
  boost::unordered_flat_map<GroupId, std::uint32_t, boost::hash<GroupId>> index_;
  std::deque<GroupId> queue_;       ///< of the rows that are `queued`, once each
  std::vector<GroupId> sent_;       ///< in the VDPDU under way
  std::set<VnName> names_;          ///< that are resolved
  std::deque<VnName> names_queue_;  ///< of these, to be asked
  std::vector<VnName> names_sent_;  ///< of these, in the VDPDU under way
  std::deque<VnRequest> replies_;
  std::size_t replies_sent_ = 0;  ///< of these the first are in the VDPDU under way
  DeadlineHeap deadlines_;        ///< the response timer, or when it is asked again
  std::deque<Event> events_;
  std::uint64_t vdpdu_ = 0;
  Stats stats_;
};
const char* to_string(VnStation::State state);

}  // namespace splitnve::vdp
