// SPDX-License-Identifier: Apache-2.0
// What nnved is told: plain structs, filled from JSON by config.cpp at the edge, or directly by a test.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/announcement.hpp"
#include "agent/authentication.hpp"
#include "agent/permissions.hpp"
#include "nnved/share_limits.hpp"
#include "splitnve/auth/nonces.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"
#include "splitnve/base/limits.hpp"
#include "splitnve/datapath/rows.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/evb/machine.hpp"
#include "splitnve/vdp/bridge.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/timers.hpp"
#include "splitnve/vdp/wire_map.hpp"

namespace splitnve::nnved {

/// An inclusive range of VIDs.
struct VidRange {
  Vid first{2};
  Vid last{4094};
};

/// A virtual network this nNVE may join: ID, names, and its VN context (the VNI).
struct VnConfig {
  GroupId id;
  std::string alias;                                    ///< for people
  std::string name;                                     ///< UUID text, one to one with the id; may be empty
  std::uint32_t vni = 0;                                ///< VXLAN network identifier
  std::vector<datapath::UnderlayAddress> remote_nnves;  ///< flood targets (static authority)
  std::vector<IpPrefix> reserved_ips{};                 ///< that no TSI may claim: gateways (S6)
  bool strict_link_local = false;                       ///< TSIs with IPv6: own EUI-64 or signalled only (S47)
  bool wide_prefixes = false;                           ///< TSIs may claim more than a /24 or a /64
};

/// A VSI type that stands for a VN when the station sends no GroupID (S5).
struct TypeMapping {
  ManagerId manager;
  VsiType type;
  GroupId vn;
};
struct StaticVid {
  Vid vid;
  GroupId vn;
};

/// The keys of one station, instead of its port's.
struct StationKeys {
  MacAddress station;
  std::shared_ptr<const auth::KeyRing> keys;
};

/// Whose TSIs follow a station that speaks, unsigned, from another place (S37), if the old place is silent.
enum class StationMoves : std::uint8_t {
  kSegment,  ///< on this port, or between ports of one named segment, or between ports that are direct links
  kAny,      ///< between all ports that say so
  kNone,
};

/// Who may take a TSI over to a port, or away from it (S6). A takeover needs the consent of both places.
enum class Takeover : std::uint8_t {
  kDefault,        ///< authenticated where stations have keys, any among direct ports (S12), else listed
  kAny,            ///< every station
  kSamePort,       ///< stations of the same port
  kListed,         ///< stations of the same port, and those in `takeover_stations`
  kAuthenticated,  ///< stations that have signed
};

/// An access port and who may join what on it (F1).
struct PortConfig {
  PortId id;
  std::string interface_name;
  MacAddress mac;                ///< our address on it; the edge fills it from the interface
  std::string segment;           ///< ports that name one segment share a VID pool (S12); default: the interface
  std::uint64_t segment_id = 0;  ///< as the wire names it; 0: the configuration names none
  VidRange vids;
  bool vids_given = true;  ///< they are configured, so they can be kept apart from those of other nNVEs (S12)
  bool direct = false;     ///< one station is at the other end of the cable, and no bridge in between (S12)
  std::optional<VidRange> recovery_vids;  ///< while a lost store recovers, new VIDs come from here only (S13)
  std::vector<Vid> reserved_vids;         ///< never assigned: the host's own VLANs
  std::vector<MacAddress> stations;       ///< admitted station addresses; empty: any
  std::vector<GroupId> vns;               ///< VNs that may be joined here; empty: every registered VN
  /// Stations here know nothing but IEEE 802.1Q: no capabilities are exchanged (S15), and formats without MAC are
  /// allowed: (port, VN) opens as a whole (S5).
  bool legacy = false;
  std::vector<StaticVid> static_vids;          ///< VN of entries without GroupID and type mapping
  agent::AuthenticationPolicy authentication;  ///< of the stations here (S16)
  std::vector<StationKeys> station_keys;
  StationMoves station_moves = StationMoves::kSegment;
  Takeover takeover = Takeover::kDefault;
  std::vector<MacAddress> takeover_stations;
  Duration dead_peer_time = limits::kDeadPeerTime;  ///< S9; Duration::max() is never
  Duration link_down_hold = limits::kLinkDownHold;
  bool evb = false;  ///< negotiate timers by LLDP; a configuration file says on unless told otherwise
  /// Stations behind bridges find us by this address: what they send to it is answered from our own (S17).
  std::optional<MacAddress> group;
  /// Does untagged traffic reach the host (S41)? Not said: no, unless it did before this key was there.
  std::optional<bool> host_traffic;
  datapath::StormLimit storm;  ///< group frames of each of its tags
  bool sole_nnve = false;      ///< no other nNVE has the group: everything sent to it is for us, not capabilities alone
  /// Where announcements of other nNVEs come to, beside the link's own group addresses.
  MacAddress announced_to() const { return group.value_or(agent::kDefaultGroup); }
};

/// A remote address that the static authority knows.
struct RemoteMapping {
  GroupId vn;
  MacAddress mac;
  datapath::UnderlayAddress nnve;
  bool movable = false;  ///< it may be claimed here, as by a hypervisor with uplinks to both nNVEs (S6)
};

/// What a legacy station hears of a VSI that an operator holds (S7).
enum class LegacyHold : std::uint8_t {
  kSilent,       ///< nothing: its port is closed here, and its VSI forwards again when it is released
  kDeassociate,  ///< a De-Associate, after which its hypervisor has to ask anew
};

struct AgentConfig {
  vdp::SystemId system{};  ///< names this nNVE, whatever port it speaks from
  /// From the kernel: our nonces follow from it. Without it, in a test, they follow from the agent's seed.
  std::optional<auth::Secret> secret;
  vdp::WireMap wire;  ///< our OUI and provisional formats by other numbers
  /// Tell other nNVEs of the segments our VIDs, and refuse VIDs that they may give out, too (S12); a configuration file
  /// says on.
  bool announces = false;
  vdp::Flags offer = vdp::kAble;  ///< what stations are told that we understand
  std::vector<PortConfig> ports;
  std::vector<VnConfig> vns;
  vdp::VnAttributesOf vn_attributes;  ///< that stations are told (S23)
  std::vector<TypeMapping> types;
  std::vector<RemoteMapping> remotes;
  std::vector<agent::Permission> permissions;
  ecp::Timing ecp;
  vdp::Timing vdp;
  Duration lldp_interval = evb::kLldpInterval;
  Duration decision_deadline = limits::kDecisionDeadline;
  Duration legacy_loser_hold = limits::kLegacyLoserHold;
  LegacyHold legacy_hold = LegacyHold::kSilent;
  Duration vid_quarantine = limits::kVidQuarantine;
  std::uint32_t instances_max = limits::kInstancesMax;
  std::uint32_t instances_per_station_max = limits::kInstancesPerStationMax;
  // What one port may take at most (S39); 0: half of the table, where there are several ports.
  std::uint32_t instances_per_port_max = 0;
  std::uint32_t ips_per_port_max = 0;
  std::uint32_t changes_per_second_max = limits::kChangesPerSecondMax;  ///< of all ports
  std::uint32_t changes_per_second_per_port_max = 0;
};

}  // namespace splitnve::nnved
