// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "splitnve/ecp/session.hpp"
#include "splitnve/vdp/station.hpp"
#include "tnved/config.hpp"

namespace splitnve::tnved {

/// One uplink: the ECP conversation and the VDP station towards the nNVE behind it, and who that nNVE is.
struct Uplink {
  Uplink(const AgentConfig& agent, const UplinkConfig& uplink, EcpSequence first)
      : config(uplink),
        session({uplink.mac, MacAddress(), ecp::kNearestCustomerBridge, agent.ecp, first}),
        station(agent.vdp, uplink.peer_capabilities) {}

  UplinkConfig config;
  ecp::Session session;
  vdp::Station station;
  std::optional<MacAddress> nnve;  ///< who acknowledged us
  bool link_up = true;
  std::uint32_t tsis = 0;
  std::uint32_t unconfirmed = 0;
  std::uint64_t ecpdus_received = 0;
  std::vector<std::uint32_t> slot_of;  ///< by station handle

  /// May this frame's source speak as our nNVE? The first to acknowledge what we sent becomes it; another one only when
  /// the known one has been silent for the dead-peer time.
  bool admits(const ecp::Frame& frame, Instant now) const;
  /// Requires admits(). The conversation is with whoever the nNVE is; the session's peer stands for it.
  ecp::Session::Verdict accept(ecp::Frame frame, Instant now);

  void own(vdp::Station::Handle handle, std::uint32_t slot) {
    if (handle >= slot_of.size()) slot_of.resize(static_cast<std::size_t>(handle) + 1);
    slot_of[handle] = slot;
  }
};

}  // namespace splitnve::tnved
