// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <boost/circular_buffer.hpp>
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/authentication.hpp"
#include "agent/evb_port.hpp"
#include "nnved/config.hpp"
#include "nnved/reason.hpp"
#include "nnved/share_limits.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/vdp/bridge.hpp"
#include "splitnve/vdp/exchange.hpp"

namespace splitnve::nnved {

/// A station without TSIs is forgotten after this long without a frame: longer than any pause of a living one.
inline constexpr Duration kIdlePeerForgotten = std::chrono::minutes(1);
/// What a station that has never acknowledged anything is sent for each frame of its: an acknowledgement, an answer,
/// and that once more.
inline constexpr unsigned kFramesPerFrame = 3;
inline constexpr unsigned kCreditMax = 12;
/// What a station without our capabilities needs between two ECPDUs: lldpad overwrites the first by the second within
/// about 3 ms.
inline constexpr Duration kLegacyPace = std::chrono::milliseconds(4);

/// What names a station behind a port.
struct PeerKey {
  std::uint32_t port_index = 0;
  MacAddress station;
  friend bool operator==(const PeerKey&, const PeerKey&) = default;
  friend std::size_t hash_value(const PeerKey& key) {
    return boost::hash<std::uint64_t>()(key.station.value() ^ (std::uint64_t{key.port_index} << 48));
  }
};

/// A station behind a port: its ECP conversation and its VDP transactions.
struct Peer {
  Peer(std::uint32_t port_index_, const MacAddress& station_, const ecp::Session::Config& session_,
       const vdp::Timing& timing, Duration decision_deadline, const vdp::Exchange& exchange_,
       agent::Authentication authentication_, Instant now)
      : port_index(port_index_),
        station(station_),
        session(session_),
        bridge(timing, decision_deadline),
        exchange(exchange_),
        authentication(std::move(authentication_)),
        silent_since(now) {}

  std::uint32_t port_index;
  MacAddress station;
  PeerKey key() const { return {port_index, station}; }
  ecp::Session session;
  vdp::Bridge bridge;
  vdp::Exchange exchange;
  agent::Authentication authentication;
  // Whether the station is still here, should it speak from somewhere else (S37).
  Instant session_since{};               ///< when its signed session began
  std::optional<Instant> unanswered_at;  ///< it was asked, and did not answer; nothing was heard since
  std::optional<Instant> answered_at;    ///< when it did

  Instant silent_since;     ///< restored, or its link came up: silence counts from here, or from the last frame
  Instant renewed_since{};  ///< nothing of it counts as renewed before: it has lost its state, or the timers changed
  Instant told_latches{};   ///< when it was last told what is disconnected
  std::size_t waiting_octets = 0;  ///< of its requests and answers, as its port's share counts them
  Instant back_since{};  ///< heard again after a silence: it may have restarted and has to renew everything yet
  Instant next_send{};   ///< pacing of stations without our capabilities
  std::uint32_t tsis = 0;
  std::uint32_t connects = 0;         ///< VNs that it has connected by itself
  std::uint32_t works = 0;            ///< requests of it on their way or waiting for another
  std::optional<PeerKey> moved_from;  ///< the place that it has come from
  bool queued = false;                ///< has VDPDUs to work on and stands in the queue
  bool touched = false;               ///< its output has to be looked at
  bool held_back = false;             ///< has VDPDUs, but its port has no room for requests
  bool owes_latches = false;          ///< it is to be told what is disconnected, a little later
  bool asked = false;                 ///< requests at another place wait for whether it answers

  /// What holds with it, where that does not come from its port: where a signature is required, the greater of both
  /// sides' own values, as its signed capabilities tell them (S40).
  std::optional<agent::SignedTimers> timers;

  bool proven = false;  ///< has acknowledged or signed something, so it is there; or it is restored
  /// Frames that it may still be sent for those that it has sent, while it is not proven: whoever sends in another's
  /// name must not make us send more than that.
  unsigned credit = 0;
  void hear(ecp::Session::Verdict verdict, bool is_signed) {
    proven = proven || is_signed || verdict == ecp::Session::Verdict::kAck;
    credit = std::min(credit + kFramesPerFrame, kCreditMax);
  }
  bool may_transmit() {
    if (proven) return true;
    if (credit == 0) return false;
    --credit;
    return true;
  }

  Instant heard_or_begun() const { return std::max(session.last_heard(), silent_since); }
};

/// A refusal kept for `vdpctl`.
struct Refusal {
  Instant at;
  MacAddress station;
  VsiId vsi;
  GroupId vn;
  Reason reason = Reason::kNone;
  std::string detail;
};

/// At most `rate` of something a second, and a burst after a pause: a bucket that fills with time.
class Pace {
 public:
  explicit Pace(double rate = 1, double burst = 1) : rate_(rate), burst_(burst), left_(burst) {}
  /// May one more be done? Then it counts as done.
  bool take(Instant now) {
    if (!has(now)) return false;
    left_ -= 1;
    return true;
  }
  bool has(Instant now) {
    fill(now);
    return left_ >= 1;
  }
  /// What was done all the same.
  void charge(std::size_t count) { left_ -= static_cast<double>(count); }
  /// When there is one again.
  Instant next(Instant now) const {
    const double missing = std::max(0.0, 1 - left_) / rate_;
    return now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(missing)) +
           std::chrono::milliseconds(1);
  }

 private:
  void fill(Instant now) {
    const double seconds = std::chrono::duration<double>(now - filled_).count();
    if (seconds > 0) left_ = std::min(burst_, left_ + seconds * rate_);
    filled_ = now;
  }
  double rate_, burst_, left_;
  Instant filled_{};
};

/// A station has disconnected a VN with all its TSIs there: they go piece by piece, then it is answered.
struct Cascade {
  std::uint32_t peer = 0;
  std::uint32_t left = 0;
  vdp::VnBridge::Asked asked;
};

struct Port {
  Port(const AgentConfig& config, std::uint32_t port_index);

  bool up = true;
  Instant down_since{};
  std::deque<MacAddress> unproven;  ///< stations as they became known; bounded
  std::optional<Instant> unsigned_noticed_at, twice_noticed_at;
  Pace station_moves{0.25, 15};         ///< of stations to this port: at most 30 in a minute
  Pace strays{10, 10};                  ///< that are looked into
  unsigned hellos = 0;                  ///< plain ones of stations that are not remembered, since a session was made
  std::vector<std::uint32_t> members;   ///< its peers
  std::deque<std::uint32_t> queue;      ///< peers with VDPDUs to work on, each once
  std::deque<std::uint32_t> held_back;  ///< peers that wait for room in the port's share of requests
  std::deque<Cascade> cascades;
  std::vector<std::uint32_t> lost;  ///< peers that go with the lost link, piece by piece
  bool scheduled = false;           ///< stands in the agent's round of ports
  Pace changes;                     ///< of rows that the store and the authority are told
  Pace lldp, state_notices, refusal_notices, segment_notices;
  std::uint64_t segment_changes_unsaid = 0;
  std::uint64_t refusals_unlogged = 0;
  boost::circular_buffer<Refusal> refusals;  ///< the last ones
  ecp::Timing ecp;                           ///< what holds on this port: negotiated, or our own
  vdp::Timing vdp;
  std::optional<agent::EvbPort> evb;
  bool uses_evb = true;  ///< false: LLDP is shown only, since anybody can send it and a signature is required (S40)

  /// Did the negotiation end in timers that we refuse? Then nothing new is granted.
  bool refuses_timers() const { return uses_evb && evb && !evb->refusal().empty(); }
  std::string timers() const { return evb::to_string(evb->machine().operational().values); }
  /// A request is decided before its station stops waiting for it (S29).
  Duration decision_deadline(const AgentConfig& config) const {
    return std::min(config.decision_deadline, vdp::Timing::units(vdp.resource_wait_exponent));
  }
};

}  // namespace splitnve::nnved
