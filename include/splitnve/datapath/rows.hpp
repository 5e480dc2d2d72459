// SPDX-License-Identifier: Apache-2.0
// What an agent wants of a datapath, as rows of desired state. Both daemons forward with the same tables; an eBPF
// switch, a kernel bridge, and the model of the simulation implement them. A row says how its key shall be afterwards,
// so applying one twice changes nothing, and a batch may be applied again after a failure.
//
//   frame in --(port, tag)--> AccessRow: domain ----(domain, port, source MAC)----> GuardRow: instance
//                                 |                     open only if FdbRow(domain, source MAC) names the same
//                                 instance; |                     of a family it guards, only sources that an IpRow
//                                 names
//                                 +--(domain, destination MAC)--> FdbRow: local (port, tag) | remote nNVE
//                                 +--group or unknown-----------> DomainRow: flood members, uplink
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"

namespace splitnve::datapath {

/// An IPv4 (as ::ffff:a.b.c.d) or IPv6 address of an nNVE on the underlay.
struct UnderlayAddress {
  std::array<std::uint8_t, 16> octets{};
  bool is_ipv4() const;
  std::string to_string() const;
  static std::optional<UnderlayAddress> from_string(std::string_view text);
  friend auto operator<=>(const UnderlayAddress&, const UnderlayAddress&) = default;
};

enum class PortRole : std::uint8_t {
  kAccess,  ///< stations or VMs behind it: sources are guarded; tagged frames without a row are dropped, others are
            ///< the host's, and pass as `host_traffic` says
  kVm,      ///< one VM behind it: everything without a row is dropped, tagged or not
  kUplink,  ///< tnved towards the nNVE: sources are trusted, frames without a row are the host's own and pass
};

/// What an access port lets through to the host besides control frames (S41); never anything aimed at its tunnels.
enum class HostTraffic : std::uint8_t {
  kClosed,
  kOpen,       ///< the configuration says so
  kInherited,  ///< as a version before that key did, until the configuration says what shall be
};

/// Group frames of one instance at a VM port, and of one tag at an access port; a rate of 0 is no limit.
struct StormLimit {
  std::uint32_t frames_per_second = 0;
  std::uint32_t burst = 0;
  friend bool operator==(const StormLimit&, const StormLimit&) = default;
};

/// Binds a port id to an interface and attaches the programs; `present=false` detaches.
struct PortRow {
  PortId port;
  std::string interface_name;
  PortRole role = PortRole::kAccess;
  bool present = true;
  HostTraffic host_traffic = HostTraffic::kClosed;  ///< of an access port
  StormLimit storm{};
  friend bool operator==(const PortRow&, const PortRow&) = default;
};

/// (port, tag) -> domain; null tag is untagged. `unguarded`: no source check at all (S5, legacy formats without MAC).
struct AccessRow {
  PortId port;
  Vid tag;
  std::optional<DomainId> domain;  ///< nullopt removes the row
  bool unguarded = false;
  friend bool operator==(const AccessRow&, const AccessRow&) = default;
};

/// What IP a source may speak (S21). A guarded family passes the addresses of its IpRows and 0.0.0.0, ::, and
/// link-local ones that nobody else signalled and the VN does not reserve (S47), and is checked in ARP and neighbour
/// discovery. Router advertisements, redirects and what a DHCP server says pass only where allowed, guarded or not.
struct IpGuard {
  bool ipv4 = false;
  bool ipv6 = false;
  bool may_route = false;
  bool may_serve_dhcp = false;
  bool strict_link_local = false;  ///< link-local IPv6: its own EUI-64, or what it signalled
  friend bool operator==(const IpGuard&, const IpGuard&) = default;
};

/// (domain, port, source MAC) -> the instance that may send it; nullopt removes the row. `priority`: of the tag that
/// its frames leave an uplink with.
struct GuardRow {
  DomainId domain;
  PortId port;
  MacAddress mac;
  std::optional<InstanceId> instance;
  IpGuard ip{};
  Priority priority{};
  friend bool operator==(const GuardRow&, const GuardRow&) = default;
};

/// (instance, its MAC, prefix): a source address that the guard lets pass; exact, so that prefixes may nest. The sender
/// bounds them per instance (limits::kIpsPerInstanceMax), the datapath in all (limits::kIpRowsMax).
struct IpRow {
  InstanceId instance;
  MacAddress mac;
  IpPrefix prefix;
  bool present = true;
  DomainId domain{};  ///< of the instance: its link-local addresses are nobody else's there; not needed to remove
  friend bool operator==(const IpRow&, const IpRow&) = default;
};

/// Where a MAC of a domain is: at an Activated local instance, or behind a remote nNVE.
struct LocalOwner {
  InstanceId instance;
  PortId port;
  Vid tag;
  friend bool operator==(const LocalOwner&, const LocalOwner&) = default;
};
struct RemoteOwner {
  UnderlayAddress nnve;
  friend bool operator==(const RemoteOwner&, const RemoteOwner&) = default;
};
/// (domain, MAC) -> owner; the one switch that opens, closes and moves an address. nullopt removes the row.
struct FdbRow {
  DomainId domain;
  MacAddress mac;
  std::optional<std::variant<LocalOwner, RemoteOwner>> owner;
  friend bool operator==(const FdbRow&, const FdbRow&) = default;
};

/// A port and tag that receive the domain's broadcast, unknown-unicast (tnved only) and multicast frames.
struct FloodMember {
  PortId port;
  Vid tag;
  friend auto operator<=>(const FloodMember&, const FloodMember&) = default;
};
/// A domain as a whole. At nnved: `vni` and remote nNVEs. At tnved: `uplink`, where everything not local goes.
struct DomainRow {
  DomainId domain;
  bool present = true;
  std::uint32_t vni = 0;                ///< VXLAN network identifier; 0 at tnved
  std::optional<FloodMember> uplink;    ///< tnved: port and VID towards the nNVE
  std::vector<FloodMember> local;       ///< at most limits::kFloodLocalMax
  std::vector<UnderlayAddress> remote;  ///< at most limits::kFloodRemoteMax
  /// Link-local IPv6 addresses that only who signalled them may use; at most limits::kReservedLinkLocalsMax.
  std::vector<IpPrefix> reserved{};
  friend bool operator==(const DomainRow&, const DomainRow&) = default;
};

/// One batch. An implementation adds in the order ports, domains, access, ips, guards, fdb and removes in the reverse
/// order: a family's first address is there before its guard, and the last one leaves after it.
struct Rows {
  std::vector<PortRow> ports;
  std::vector<DomainRow> domains;
  std::vector<AccessRow> access;
  std::vector<IpRow> ips;
  std::vector<GuardRow> guards;
  std::vector<FdbRow> fdb;
  bool empty() const {
    return ports.empty() && domains.empty() && access.empty() && ips.empty() && guards.empty() && fdb.empty();
  }
};

/// A row that could not be applied: its table, its index in the batch's vector, and the cause for the operator.
enum class Table : std::uint8_t { kPort, kDomain, kAccess, kIp, kGuard, kFdb };
struct Failure {
  Table table = Table::kPort;
  std::uint32_t index = 0;
  std::string cause;
};

/// Why the datapath dropped a frame; a counter stands behind each.
enum class Drop : std::uint8_t {
  kUnknownTag,        ///< tagged, but (port, tag) has no row
  kUntagged,          ///< untagged on a VM port without an untagged row
  kSpoofedSource,     ///< no guard row for (domain, port, source MAC)
  kClosed,            ///< the source is reserved (Associated), or its address is owned by another instance
  kNestedTag,         ///< still tagged after the strip (S21)
  kLlc,               ///< LLC/SNAP instead of an EtherType (S21)
  kControlFrame,      ///< 01-80-C2-00-00-0x, ECP, LLDP, EAPOL or MACsec from a tenant or a tunnel (S18)
  kGroupSource,       ///< group or zero source address
  kUnknownUnicast,    ///< destination unknown in the domain (S24)
  kHairpin,           ///< would leave where it came in (S23)
  kUnknownVni,        ///< from a tunnel with a VNI that no domain has
  kReturned,          ///< came back from the uplink or a tunnel with the source of a local instance
  kTooShort,          ///< no complete Ethernet header
  kRedirect,          ///< the kernel refused the redirect or the tag push
  kUnknownNnve,       ///< from a tunnel whose outer source neither owns the sender nor is in the domain's `remote`
  kSpoofedIp,         ///< the source address of its IP header is none of its sender's (S21)
  kSpoofedArp,        ///< ARP whose sender MAC is not the frame's, or whose sender address is none of its sender's
  kSpoofedNeighbour,  ///< neighbour discovery for another's address or link-layer address, or in fragments (RFC 6980)
  kRouter,            ///< router advertisement or redirect from who is no router
  kDhcpServer,        ///< from a DHCP server that may not be one
  kUnparsableIp,      ///< an IP, ARP or neighbour discovery header that is cut, malformed, or too long a chain
  kHostTraffic,       ///< untagged for the host on an access port that lets no such traffic through (S41)
  kUnderlay,          ///< from an access port to the host's tunnels (S41)
  kDeferredChecksum,  ///< its deferred checksum would be written into what the guard judged (S47)
  kStorm,             ///< a group frame beyond the limit of its sender
  kCount_,
};
/// The snake_case name of a drop reason, as `vdpctl stats show` prints it.
const char* to_string(Drop reason);

struct InstanceCounters {
  std::uint64_t rx_frames = 0;  ///< from the instance
  std::uint64_t rx_octets = 0;
  std::uint64_t tx_frames = 0;  ///< to the instance, unicast
  std::uint64_t tx_octets = 0;
  std::uint64_t dropped_closed = 0;  ///< from the instance while it was not Activated
  std::uint64_t dropped_storm = 0;   ///< group frames from the instance beyond the limit
};

}  // namespace splitnve::datapath
