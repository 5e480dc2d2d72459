// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_rows.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "splitnve/base/limits.hpp"

namespace splitnve::host::bpf {
namespace {

using datapath::Drop;
using datapath::PortRole;

static_assert(SWITCH_INSTANCES_MAX == limits::kInstancesMax);
static_assert(SWITCH_INSTANCES_MAX * SWITCH_IPS_PER_INSTANCE == limits::kIpRowsMax);
static_assert(SWITCH_FLOOD_LOCAL_MAX == limits::kFloodLocalMax);
static_assert(SWITCH_FLOOD_REMOTE_MAX == limits::kFloodRemoteMax);
static_assert(SWITCH_DROP_COUNT == static_cast<int>(Drop::kCount_));
static_assert(SWITCH_DROP_UNKNOWN_TAG == static_cast<int>(Drop::kUnknownTag));
static_assert(SWITCH_DROP_UNTAGGED == static_cast<int>(Drop::kUntagged));
static_assert(SWITCH_DROP_SPOOFED_SOURCE == static_cast<int>(Drop::kSpoofedSource));
static_assert(SWITCH_DROP_CLOSED == static_cast<int>(Drop::kClosed));
static_assert(SWITCH_DROP_NESTED_TAG == static_cast<int>(Drop::kNestedTag));
static_assert(SWITCH_DROP_LLC == static_cast<int>(Drop::kLlc));
static_assert(SWITCH_DROP_CONTROL_FRAME == static_cast<int>(Drop::kControlFrame));
static_assert(SWITCH_DROP_GROUP_SOURCE == static_cast<int>(Drop::kGroupSource));
static_assert(SWITCH_DROP_UNKNOWN_UNICAST == static_cast<int>(Drop::kUnknownUnicast));
static_assert(SWITCH_DROP_HAIRPIN == static_cast<int>(Drop::kHairpin));
static_assert(SWITCH_DROP_UNKNOWN_VNI == static_cast<int>(Drop::kUnknownVni));
static_assert(SWITCH_DROP_RETURNED == static_cast<int>(Drop::kReturned));
static_assert(SWITCH_DROP_TOO_SHORT == static_cast<int>(Drop::kTooShort));
static_assert(SWITCH_DROP_REDIRECT == static_cast<int>(Drop::kRedirect));
static_assert(SWITCH_DROP_UNKNOWN_NNVE == static_cast<int>(Drop::kUnknownNnve));
static_assert(SWITCH_DROP_SPOOFED_IP == static_cast<int>(Drop::kSpoofedIp));
static_assert(SWITCH_DROP_SPOOFED_ARP == static_cast<int>(Drop::kSpoofedArp));
static_assert(SWITCH_DROP_SPOOFED_NEIGHBOUR == static_cast<int>(Drop::kSpoofedNeighbour));
static_assert(SWITCH_DROP_ROUTER == static_cast<int>(Drop::kRouter));
static_assert(SWITCH_DROP_DHCP_SERVER == static_cast<int>(Drop::kDhcpServer));
static_assert(SWITCH_DROP_UNPARSABLE_IP == static_cast<int>(Drop::kUnparsableIp));
static_assert(SWITCH_DROP_HOST_TRAFFIC == static_cast<int>(Drop::kHostTraffic));
static_assert(SWITCH_DROP_UNDERLAY == static_cast<int>(Drop::kUnderlay));
static_assert(SWITCH_DROP_DEFERRED_CHECKSUM == static_cast<int>(Drop::kDeferredChecksum));
static_assert(SWITCH_DROP_STORM == static_cast<int>(Drop::kStorm));
static_assert(SWITCH_RESERVED_LINK_LOCALS_MAX == limits::kReservedLinkLocalsMax);
static_assert(static_cast<int>(IpFamily::kV4) == 4 && static_cast<int>(IpFamily::kV6) == 6);
static_assert(offsetof(switch_ip_key, address) == sizeof(std::uint32_t) + SWITCH_IP_FIXED_BITS / 8);
static_assert(SWITCH_ROLE_ACCESS == static_cast<int>(PortRole::kAccess));
static_assert(SWITCH_ROLE_VM == static_cast<int>(PortRole::kVm));
static_assert(SWITCH_ROLE_UPLINK == static_cast<int>(PortRole::kUplink));

std::string no_interface(PortId port) { return "port " + std::to_string(port.value()) + " has no interface"; }

template <class Key>
void set_mac(Key& key, const MacAddress& mac) {
  std::copy(mac.octets().begin(), mac.octets().end(), std::begin(key.mac));
}

template <class Key>
MacAddress mac_of(const Key& key) {
  MacAddress::Bytes octets;
  std::copy(std::begin(key.mac), std::end(key.mac), octets.begin());
  return MacAddress(octets);
}

std::uint32_t flags_of(Priority priority) {
  return priority.is_none() ? 0u : SWITCH_PRIORITIZED | (std::uint32_t{priority.pcp()} << SWITCH_PRIORITY_SHIFT);
}

Priority priority_of(std::uint32_t flags) {
  const auto pcp = static_cast<std::uint8_t>((flags & SWITCH_PRIORITY_MASK) >> SWITCH_PRIORITY_SHIFT);
  return (flags & SWITCH_PRIORITIZED) != 0 ? Priority(pcp) : Priority();
}

std::uint32_t flags_of(const datapath::IpGuard& ip) {
  return (ip.ipv4 ? SWITCH_GUARD_IPV4 : 0u) | (ip.ipv6 ? SWITCH_GUARD_IPV6 : 0u) |
         (ip.may_route ? SWITCH_MAY_ROUTE : 0u) | (ip.may_serve_dhcp ? SWITCH_MAY_SERVE_DHCP : 0u) |
         (ip.strict_link_local ? SWITCH_STRICT_LINK_LOCAL : 0u);
}

datapath::IpGuard ip_guard_of(std::uint32_t flags) {
  return {(flags & SWITCH_GUARD_IPV4) != 0, (flags & SWITCH_GUARD_IPV6) != 0, (flags & SWITCH_MAY_ROUTE) != 0,
          (flags & SWITCH_MAY_SERVE_DHCP) != 0, (flags & SWITCH_STRICT_LINK_LOCAL) != 0};
}

// S26: the host has a VLAN device for this tag.
bool is_hosts(const datapath::AccessRow& row, const PortTable& ports) {
  const auto* bound = ports.find(row.port);
  return bound != nullptr && std::count(bound->host_vids.begin(), bound->host_vids.end(), row.tag.value()) > 0;
}

// S24: a member beyond what one program run can copy to would be left out in silence.
std::string beyond_flood_limit(const datapath::DomainRow& row) {
  const auto said = [&](std::size_t members, const char* kind, std::size_t limit, const char* name) {
    return "domain " + std::to_string(row.domain.value()) + " has " + std::to_string(members) + " " + kind +
           " to flood to; the limit is " + std::to_string(limit) + " (" + name + ")";
  };
  if (row.local.size() > limits::kFloodLocalMax)
    return said(row.local.size(), "local members", limits::kFloodLocalMax, "kFloodLocalMax");
  if (row.remote.size() > limits::kFloodRemoteMax)
    return said(row.remote.size(), "remote nNVEs", limits::kFloodRemoteMax, "kFloodRemoteMax");
  if (row.reserved.size() > limits::kReservedLinkLocalsMax)
    return "domain " + std::to_string(row.domain.value()) + " reserves " + std::to_string(row.reserved.size()) +
           " link-local addresses; the limit is " + std::to_string(limits::kReservedLinkLocalsMax) +
           " (kReservedLinkLocalsMax)";
  return {};
}

std::optional<switch_member> encode(const datapath::FloodMember& member, const PortTable& ports) {
  const auto ifindex = ports.ifindex_of(member.port, true);
  if (!ifindex) return std::nullopt;
  return switch_member{*ifindex, member.tag.value()};
}

std::optional<datapath::FloodMember> decode(const switch_member& member, const PortTable& ports) {
  const auto port = ports.port_of(member.ifindex);
  if (!port) return std::nullopt;
  return datapath::FloodMember{*port, Vid(static_cast<std::uint16_t>(member.vid))};
}

}  // namespace

void PortTable::bind(PortId port, BoundPort bound) {
  if (const auto holder = port_of(bound.ifindex)) ports_.erase(*holder);
  if (const auto* before = find(port)) by_ifindex_.erase(before->ifindex);
  by_ifindex_[bound.ifindex] = port;
  ports_[port] = std::move(bound);
}

void PortTable::detach(PortId port) {
  const auto found = ports_.find(port);
  if (found != ports_.end()) found->second.attached = false;
}

const BoundPort* PortTable::find(PortId port) const {
  const auto found = ports_.find(port);
  return found == ports_.end() ? nullptr : &found->second;
}

std::optional<PortId> PortTable::port_of(std::uint32_t ifindex) const {
  const auto found = by_ifindex_.find(ifindex);
  if (found == by_ifindex_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::uint32_t> PortTable::ifindex_of(PortId port, bool wanted) const {
  const BoundPort* bound = find(port);
  if (bound == nullptr || (wanted && !bound->attached)) return std::nullopt;
  return bound->ifindex;
}

// A flood member without interface gets no copies, but the others do: one VM whose interface is gone is no failure of
// its VN. Members are sorted by tag, so that the program pushes each tag once.
EncodedDomain encode(const datapath::DomainRow& row, const PortTable& ports) {
  EncodedDomain out;
  out.key = row.domain.value();
  if (!row.present) return out;
  if (const auto cause = beyond_flood_limit(row); !cause.empty()) {
    out.key.reset();
    out.cause = cause;
    return out;
  }
  switch_domain value{};
  value.id = row.domain.value();
  value.vni = row.vni;
  if (row.uplink) value.uplink = encode(*row.uplink, ports).value_or(switch_member{});
  for (const auto& member : row.local)
    if (const auto encoded = encode(member, ports)) value.local[value.n_local++] = *encoded;
  std::sort(value.local, value.local + value.n_local, [](const switch_member& a, const switch_member& b) {
    return std::tie(a.vid, a.ifindex) < std::tie(b.vid, b.ifindex);
  });
  auto remote = row.remote;
  std::sort(remote.begin(), remote.end());
  for (const auto& nnve : remote) std::copy(nnve.octets.begin(), nnve.octets.end(), value.remote[value.n_remote++]);
  for (const auto& address : row.reserved)
    std::copy(address.octets.begin(), address.octets.end(), value.reserved[value.n_reserved++]);
  out.value = value;
  return out;
}

EncodedAccess encode(const datapath::AccessRow& row, const PortTable& ports) {
  EncodedAccess out;
  const auto ifindex = ports.ifindex_of(row.port, row.domain.has_value());
  if (!ifindex) {
    if (row.domain) out.cause = no_interface(row.port);
    return out;
  }
  out.key = switch_access_key{*ifindex, row.tag.value()};
  if (row.domain && is_hosts(row, ports)) {
    out.key.reset();
    out.cause = "VID " + std::to_string(row.tag.value()) + " is the host's own on this port";
    return out;
  }
  if (row.domain) out.value = switch_access{row.domain->value(), row.unguarded ? SWITCH_UNGUARDED : 0u};
  return out;
}

EncodedGuard encode(const datapath::GuardRow& row, const PortTable& ports) {
  EncodedGuard out;
  const auto ifindex = ports.ifindex_of(row.port, row.instance.has_value());
  if (!ifindex) {
    if (row.instance) out.cause = no_interface(row.port);
    return out;
  }
  switch_guard_key key{};
  key.domain = row.domain.value();
  key.ifindex = *ifindex;
  set_mac(key, row.mac);
  out.key = key;
  if (row.instance) out.value = switch_guard{row.instance->value(), flags_of(row.ip) | flags_of(row.priority)};
  return out;
}

EncodedIp encode(const datapath::IpRow& row, const PortTable&) {
  EncodedIp out;
  if (row.prefix.is_none() || row.prefix.length > address_bits(row.prefix.family) || row.prefix.has_host_bits()) {
    out.cause = "a row of instance " + std::to_string(row.instance.value()) + " is no IP prefix";
    return out;
  }
  switch_ip_key key{};
  key.prefixlen = SWITCH_IP_FIXED_BITS + std::uint32_t{row.prefix.length};
  key.instance = row.instance.value();
  set_mac(key, row.mac);
  key.family = static_cast<std::uint16_t>(row.prefix.family);
  std::copy(row.prefix.octets.begin(), row.prefix.octets.end(), key.address);
  out.key = key;
  if (row.present) out.value = 1;
  return out;
}

EncodedFdb encode(const datapath::FdbRow& row, const PortTable& ports) {
  EncodedFdb out;
  switch_fdb_key key{};
  key.domain = row.domain.value();
  set_mac(key, row.mac);
  out.key = key;
  if (!row.owner) return out;
  switch_fdb value{};
  if (const auto* local = std::get_if<datapath::LocalOwner>(&*row.owner)) {
    const auto ifindex = ports.ifindex_of(local->port, true);
    if (!ifindex) {
      out.key.reset();
      out.cause = no_interface(local->port);
      return out;
    }
    value.kind = SWITCH_OWNER_LOCAL;
    value.vid = local->tag.value();
    value.ifindex = *ifindex;
    value.instance = local->instance.value();
  } else {
    const auto& nnve = std::get<datapath::RemoteOwner>(*row.owner).nnve;
    value.kind = SWITCH_OWNER_REMOTE;
    std::copy(nnve.octets.begin(), nnve.octets.end(), value.nnve);
  }
  out.value = value;
  return out;
}

void set_policy(const datapath::PortRow& row, switch_port& entry) {
  using datapath::HostTraffic;
  switch (row.host_traffic) {
    case HostTraffic::kClosed: entry.flags = 0; break;
    case HostTraffic::kOpen: entry.flags = SWITCH_HOST_TRAFFIC; break;
    case HostTraffic::kInherited: entry.flags = SWITCH_HOST_INHERITED; break;
  }
  entry.bum_rate = row.storm.frames_per_second;
  entry.bum_burst = row.storm.burst;
}

void read_policy(const switch_port& entry, datapath::PortRow& row) {
  using datapath::HostTraffic;
  row.host_traffic = (entry.flags & SWITCH_HOST_TRAFFIC) != 0     ? HostTraffic::kOpen
                     : (entry.flags & SWITCH_HOST_INHERITED) != 0 ? HostTraffic::kInherited
                                                                  : HostTraffic::kClosed;
  row.storm = {entry.bum_rate, entry.bum_burst};
}

std::optional<datapath::DomainRow> decode(const switch_domain& value, const PortTable& ports) {
  datapath::DomainRow row;
  row.domain = DomainId(value.id);
  row.vni = value.vni;
  if (value.uplink.ifindex != 0) {
    row.uplink = decode(value.uplink, ports);
    if (!row.uplink) return std::nullopt;
  }
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(value.n_local, SWITCH_FLOOD_LOCAL_MAX); ++i) {
    const auto member = decode(value.local[i], ports);
    if (!member) return std::nullopt;
    row.local.push_back(*member);
  }
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(value.n_remote, SWITCH_FLOOD_REMOTE_MAX); ++i) {
    datapath::UnderlayAddress nnve;
    std::copy(std::begin(value.remote[i]), std::end(value.remote[i]), nnve.octets.begin());
    row.remote.push_back(nnve);
  }
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(value.n_reserved, SWITCH_RESERVED_LINK_LOCALS_MAX); ++i) {
    IpPrefix address{IpFamily::kV6, 128, {}};
    std::copy(std::begin(value.reserved[i]), std::end(value.reserved[i]), address.octets.begin());
    row.reserved.push_back(address);
  }
  return row;
}

std::optional<datapath::AccessRow> decode(const switch_access_key& key, const switch_access& value,
                                          const PortTable& ports) {
  const auto port = ports.port_of(key.ifindex);
  if (!port) return std::nullopt;
  return datapath::AccessRow{*port, Vid(static_cast<std::uint16_t>(key.vid)), DomainId(value.domain),
                             (value.flags & SWITCH_UNGUARDED) != 0};
}

std::optional<datapath::GuardRow> decode(const switch_guard_key& key, const switch_guard& value,
                                         const PortTable& ports) {
  const auto port = ports.port_of(key.ifindex);
  if (!port) return std::nullopt;
  return datapath::GuardRow{
      DomainId(key.domain),    *port, mac_of(key), InstanceId(value.instance), ip_guard_of(value.flags),
      priority_of(value.flags)};
}

datapath::IpRow decode(const switch_ip_key& key) {
  datapath::IpRow row{InstanceId(key.instance), mac_of(key), {}};
  row.prefix.family = static_cast<IpFamily>(key.family);
  row.prefix.length = static_cast<std::uint8_t>(key.prefixlen - SWITCH_IP_FIXED_BITS);
  std::copy(std::begin(key.address), std::end(key.address), row.prefix.octets.begin());
  return row;
}

std::optional<datapath::FdbRow> decode(const switch_fdb_key& key, const switch_fdb& value, const PortTable& ports) {
  datapath::FdbRow row{DomainId(key.domain), mac_of(key), std::nullopt};
  if (value.kind == SWITCH_OWNER_LOCAL) {
    const auto port = ports.port_of(value.ifindex);
    if (!port) return std::nullopt;
    row.owner = datapath::LocalOwner{InstanceId(value.instance), *port, Vid(value.vid)};
  } else {
    datapath::RemoteOwner remote;
    std::copy(std::begin(value.nnve), std::end(value.nnve), remote.nnve.octets.begin());
    row.owner = remote;
  }
  return row;
}

}  // namespace splitnve::host::bpf
