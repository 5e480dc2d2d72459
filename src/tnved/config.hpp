// SPDX-License-Identifier: Apache-2.0
// What tnved is told: plain structs, filled from JSON by config.cpp at the edge, or directly by a test.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/announcement.hpp"
#include "agent/authentication.hpp"
#include "agent/permissions.hpp"
#include "splitnve/auth/nonces.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/limits.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/evb/machine.hpp"
#include "splitnve/vdp/station.hpp"
#include "splitnve/vdp/timers.hpp"
#include "splitnve/vdp/wire_map.hpp"

namespace splitnve::tnved {

/// A VN by the name people use here.
struct VnConfig {
  GroupId id;
  std::string alias;
  std::vector<PortId> uplinks{};      ///< that may serve it, preferred first; empty: as the uplinks' `vns` say
  bool connect = false;               ///< asked of the nNVE whether there are TSIs or not (S30)
  std::optional<vdp::VnName> name{};  ///< one to one with the id
  bool strict_link_local = false;     ///< TSIs with IPv6: own EUI-64 or signalled only (S47)
};

/// An uplink: a port with one nNVE behind it. Several for one VN: the first is used, the others stand by (D3).
struct UplinkConfig {
  PortId id;
  std::string interface_name;
  MacAddress mac;  ///< our address on it; the edge fills it from the interface
  /// The nNVE by address: it alone is listened to and ECP goes to it, not to the group, so that stations which share
  /// the segment do not hear each other's conversations (D2, E1). Without it the link has one station.
  std::optional<MacAddress> nnve;
  /// Instead: a group address by which nNVEs behind bridges are found. Capabilities alone go there; the first nNVE that
  /// answers is spoken to by its own address until it is dead (S17, E2).
  std::optional<MacAddress> discovery;
  std::vector<GroupId> vns;  ///< VNs that use this uplink; empty: all that no uplink names
  vdp::FilterFormat format = vdp::FilterFormat::kGroupMacVid;
  bool legacy = false;  ///< the bridge behind it knows nothing but IEEE 802.1Q: no capabilities are exchanged (S15)
  agent::AuthenticationPolicy authentication;  ///< of the nNVE (S16)
  bool evb = false;  ///< negotiate timers by LLDP; a configuration file says on unless told otherwise
  /// Where announcements of nNVEs come to, beside the link's own group addresses.
  MacAddress announced_to() const { return discovery.value_or(agent::kDefaultGroup); }
};

struct AgentConfig {
  vdp::SystemId system{};  ///< names this end device, whatever uplink it speaks from
  /// From the kernel: our nonces follow from it. Without it, in a test, they follow from the agent's seed.
  std::optional<auth::Secret> secret;
  vdp::WireMap wire;              ///< our OUI and provisional formats by other numbers
  vdp::Flags offer = vdp::kAble;  ///< what nNVEs are told that we understand
  std::vector<UplinkConfig> uplinks;
  std::vector<VnConfig> vns;
  std::vector<agent::Permission> permissions;
  datapath::StormLimit storm;  ///< group frames of each TSI
  ManagerId manager;           ///< default VSI manager ID of TSIs
  VsiType type{1, 1};          ///< default VSI type
  ecp::Timing ecp;
  vdp::Timing vdp;
  Duration lldp_interval = evb::kLldpInterval;
  Duration failover_time = limits::kFailoverTime;  ///< an nNVE that is silent this long gives way to another one (D3)
  Duration start_deadline = std::chrono::seconds(5);  ///< a VM that is not confirmed by then is refused (S8)
  std::uint32_t instances_max = limits::kInstancesMax;
};

}  // namespace splitnve::tnved
