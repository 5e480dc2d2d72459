// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>

#include "agent/authentication.hpp"
#include "agent/evb_port.hpp"
#include "nnved/config.hpp"
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
  ecp::Session session;
  vdp::Bridge bridge;
  vdp::Exchange exchange;
  agent::Authentication authentication;
  Instant silent_since;  ///< restored, or its link came up: silence counts from here, or from the last frame
  Instant back_since{};  ///< heard again after a silence: it may have restarted and has to renew everything yet
  Instant next_send{};   ///< pacing of stations without our capabilities
  std::uint32_t tsis = 0;
  std::uint32_t connects = 0;  ///< VNs that it has connected by itself
  std::uint32_t works = 0;     ///< requests of it on their way or waiting for another
  bool queued = false;         ///< has VDPDUs to work on and stands in the queue
  bool touched = false;        ///< its output has to be looked at

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

struct Port {
  Port(const AgentConfig& config, std::uint32_t port_index);

  bool up = true;
  Instant down_since{};
  std::uint32_t peers = 0;
  std::deque<MacAddress> unproven;  ///< stations as they became known; bounded
  std::optional<Instant> unsigned_noticed_at;
  unsigned hellos = 0;  ///< plain ones of stations that are not remembered, since a session was made
  ecp::Timing ecp;      ///< what holds on this port: negotiated, or our own
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
