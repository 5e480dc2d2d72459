// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/authentication.hpp"
#include "agent/evb_port.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/vdp/exchange.hpp"
#include "splitnve/vdp/station.hpp"
#include "tnved/config.hpp"
#include "tnved/nnves_heard.hpp"

namespace splitnve::tnved {

/// What the nNVE said, fit to be shown behind other words: one line, no controls; empty if it said nothing.
std::string said(std::string_view why);
/// What an answer said that fits no request.
std::string unmatched_text(const vdp::Station::Unmatched& answer);
/// ": code 4 (...)" and what goes with it, then the same.
std::string status_text(const vdp::ResponseStatus& status, std::string_view why);

/// A restarted nNVE begins with a random ECP sequence, and so does one that lost ECPDUs on the way skip some: both cost
/// at most one repetition of all associations in this time.
inline constexpr Duration kReassertPause = std::chrono::seconds(1);
/// Announcements are not signed: whoever makes them change all the time shall not fill the log.
inline constexpr Duration kConflictNoticePause = std::chrono::seconds(30);

/// One uplink: the ECP conversation and the VDP station towards the nNVE behind it, and who that nNVE is.
struct Uplink {  // NOLINT(clang-analyzer-optin.performance.Padding): there are few
  Uplink(const AgentConfig& agent, const UplinkConfig& uplink, EcpSequence first, const vdp::Capabilities& own,
         const auth::Nonce& first_seed)
      : config(uplink),
        session({uplink.mac, MacAddress(), where_first(uplink), agent.ecp, first}),
        station(agent.vdp),
        exchange(own, {agent.ecp.ack_timer(), agent.vdp.keepalive_interval()}, uplink.legacy),
        seed(first_seed),
        authentication({uplink.authentication.mode, uplink.authentication.keys, vdp::Role::kStation, uplink.mac, seed},
                       uplink.interface_name),
        timing(agent.vdp),
        failover_time(agent.failover_time),
        watched(uplink.discovery.has_value()) {
    if (uplink.evb)
      evb.emplace(
          evb::Role::kStation,
          agent::EvbPort::Config{uplink.id, uplink.interface_name, uplink.mac, agent.uplinks.front().mac, agent.ecp,
                                 agent.vdp, agent.lldp_interval, uplink.authentication.mode != auth::Mode::kRequire});
  }

  void set_mac(const MacAddress& mac) {
    config.mac = mac;
    session.set_own_mac(mac);
    authentication = {{config.authentication.mode, config.authentication.keys, vdp::Role::kStation, mac, seed},
                      config.interface_name};
  }
  static MacAddress where_first(const UplinkConfig& uplink) {
    if (uplink.nnve) return *uplink.nnve;
    return uplink.discovery.value_or(ecp::kNearestCustomerBridge);
  }

  UplinkConfig config;
  ecp::Session session;
  vdp::Station station;
  vdp::Exchange exchange;
  auth::Nonce seed;
  agent::Authentication authentication;
  vdp::Timing timing;  ///< what holds on this uplink: negotiated, or our own
  std::optional<agent::EvbPort> evb;
  std::optional<vdp::Station::Unmatched> unmatched;  ///< the last answer that fits no request (S45)
  std::optional<Instant> unmatched_noticed_at;
  std::string signed_refusal;              ///< of the nNVE's own timers, where they count
  std::optional<MacAddress> nnve;          ///< who acknowledged us
  std::optional<MacAddress> speaks_alone;  ///< an nNVE that speaks to us alone: what it sends to the group is another's
  std::optional<MacAddress> other_port;    ///< of the nNVE, heard since the known one was: the path may end there (S37)
  bool questions_path = false;             ///< an acknowledgement of the known port is wanted
  Instant may_question_at{};
  /// Does the frame acknowledge what is outstanding?
  bool awaits(const ecp::Frame& frame) const;
  /// What is outstanding has been sent for the last time.
  bool is_last_try() const;
  /// What the nNVE lists at the start of a session, until the end of the list (S7).
  struct Listed {
    std::vector<std::pair<VsiId, GroupId>> vsis;
    std::vector<GroupId> vns;
    bool all = false;
  };
  Listed listed;
  bool link_up = true;
  std::uint32_t tsis = 0;
  std::uint32_t unconfirmed = 0;
  std::uint32_t settled = 0;  ///< TSIs of which everything is as wanted
  std::uint64_t ecpdus_received = 0;
  std::vector<std::uint32_t> slot_of;  ///< by station handle; kOrphan: a TSI that has moved to another uplink left it
  static constexpr std::uint32_t kOrphan = 0xFFFFFFFF;
  std::optional<EcpSequence> last_request;  ///< of the nNVE, accepted
  std::optional<Instant> reassert_at;       ///< the nNVE may have restarted: say everything again then
  std::optional<Instant> reasserted_at;
  std::uint64_t reasserted = 0;
  Duration failover_time;
  bool watched;  ///< its silence matters: another nNVE can take over, by discovery or on another uplink (D3)
  std::optional<Instant> watched_since;  ///< silence counts from here, or from the last frame
  std::optional<Instant> probed_at;
  bool death_noted = false;  ///< and nothing heard since
  NnvesHeard nnves_heard;
  bool conflict_noted = false;
  Instant conflict_quiet_until{};
  std::uint32_t orphans = 0;                     ///< associations that take leave without a TSI
  boost::unordered_flat_map<GroupId, Vid> vids;  ///< that the nNVE gave to TSIs which have left it (S13)

  /// No nNVE has answered to the discovery group: nothing but capabilities is sent (S17).
  bool seeking() const { return config.discovery && !nnve; }
  /// Long enough for one ECPDU with all its retransmissions, and once more.
  Duration dead_peer_time() const;
  Instant dead_at() const { return std::max(session.last_heard(), *watched_since) + dead_peer_time(); }
  /// Down, or silent for the dead-peer time although it was asked. Only of a watched uplink.
  bool dead(Instant now) const { return !link_up || (watched_since && now >= dead_at()); }
  /// The nNVE answers, and may be asked.
  bool usable(Instant now) const;
  /// A silent nNVE is asked for an acknowledgement several times before it is called dead.
  std::optional<Instant> probe_at() const;
  std::optional<Instant> next_look() const;
  void remember_vid(GroupId vn, Vid vid);
  Vid remembered_vid(GroupId vn) const;

  /// May this frame's source speak as our nNVE? The first to acknowledge what we sent becomes it; another one only when
  /// the known one has been silent for the dead-peer time; a signature does as well as an acknowledgement. A configured
  /// nNVE stays the one.
  bool admits(const ecp::Frame& frame, bool is_signed, Instant now) const;
  /// Requires admits(); `counter` is that of its signature. The conversation is with whoever the nNVE is; the session's
  /// peer stands for it.
  ecp::Session::Verdict accept(ecp::Frame frame, std::uint64_t counter, Instant now);
  /// Says everything again if that is due; at most once per kReassertPause.
  void reassert_due(Instant now);

  void note_request(EcpSequence sequence, Instant now);
  /// The nNVE may have lost what we told it.
  void reassert_soon(Instant now);
  /// Why nothing can be asked of the nNVE, in words for people; empty: it can.
  std::string refusal() const;
  /// Where a signature is required, LLDP is shown only: anybody can send it (S40).
  bool uses_evb() const { return evb && config.authentication.mode != auth::Mode::kRequire; }
  /// Takes over what the nNVE's signed capabilities and our own values come to, if they were shown.
  void adopt_signed_timers(const ecp::Timing& ecp, const vdp::Timing& vdp, Instant now);
  void adopt(const ecp::Timing& ecp, const vdp::Timing& vdp, Instant now);
  /// Takes over the timers that EVB has come to.
  void adopt_timers(Instant now);
  void own(vdp::Station::Handle handle, std::uint32_t slot) {
    if (handle >= slot_of.size()) slot_of.resize(static_cast<std::size_t>(handle) + 1);
    slot_of[handle] = slot;
  }
};

}  // namespace splitnve::tnved
