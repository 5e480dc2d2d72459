// SPDX-License-Identifier: Apache-2.0
#include "nnved/policy.hpp"

#include <algorithm>

#include "nnved/ip_owners.hpp"

namespace splitnve::nnved {
namespace {

/// VRRP and HSRP of both families, HSRP of both versions, GLBP: prefixes of addresses that a gateway shares with its
/// deputies.
bool is_virtual_router(const MacAddress& mac) {
  const std::uint64_t value = mac.value();
  return value >> 8 == 0x00005E0001 || value >> 8 == 0x00005E0002 || value >> 8 == 0x00000C07AC ||
         value >> 12 == 0x00000C9FF || value >> 12 == 0x000573A00 || value >> 16 == 0x0007B400;
}

Takeover effective(const PortConfig& port) {
  if (port.takeover != Takeover::kDefault) return port.takeover;
  const bool has_keys = port.authentication.keys != nullptr || !port.station_keys.empty();
  return has_keys ? Takeover::kAuthenticated : Takeover::kDefault;
}

}  // namespace

Policy::Policy(const AgentConfig& config) : config_(config) {
  for (const VnConfig& vn : config.vns) {
    vns_.emplace(vn.id, &vn);
    if (const auto name = VsiId::from_uuid(vn.name)) names_.emplace(vdp::VnName{name->octets}, &vn);
  }
  for (const TypeMapping& mapping : config.types) types_.emplace(TypeKey{mapping.manager, mapping.type}, mapping.vn);
  for (const PortConfig& port : config.ports) {
    port_indexes_.emplace(port.id, static_cast<std::uint32_t>(ports_.size()));
    PortPolicy& policy = ports_.emplace_back();
    policy.stations.insert(port.stations.begin(), port.stations.end());
    policy.vns.insert(port.vns.begin(), port.vns.end());
    for (const StaticVid& fixed : port.static_vids) policy.static_vids.emplace(fixed.vid, fixed.vn);
    policy.takeover = effective(port);
    policy.takeover_stations.insert(port.takeover_stations.begin(), port.takeover_stations.end());
    port_macs_.push_back(port.mac);
  }
  own_macs_.insert(port_macs_.begin(), port_macs_.end());
  for (const RemoteMapping& remote : config.remotes)
    if (!remote.movable) remotes_.insert(AddressKey{remote.vn, remote.mac});
}

void Policy::set_port_mac(std::uint32_t port, const MacAddress& mac) {
  port_macs_[port] = mac;
  own_macs_ = {port_macs_.begin(), port_macs_.end()};
}

const VnConfig* Policy::vn(const vdp::VnName& name) const {
  const auto at = names_.find(name);
  return at == names_.end() ? nullptr : at->second;
}

std::optional<std::uint32_t> Policy::port_index(PortId port) const {
  const auto found = port_indexes_.find(port);
  return found == port_indexes_.end() ? std::nullopt : std::optional(found->second);
}

bool Policy::admits_station(std::uint32_t port, const MacAddress& station) const {
  const PortPolicy& policy = ports_[port];
  return policy.stations.empty() || policy.stations.contains(station);
}

bool Policy::admits_vn(std::uint32_t port, GroupId vn) const {
  const PortPolicy& policy = ports_[port];
  return policy.vns.empty() || policy.vns.contains(vn);
}

const VnConfig* Policy::vn(GroupId id) const {
  const auto found = vns_.find(id);
  return found == vns_.end() ? nullptr : found->second;
}

Result<GroupId, Reason> Policy::vn_of_entry(std::uint32_t port, const ManagerId& manager, const VsiType& type,
                                            const vdp::FilterEntry& entry) const {
  GroupId id = entry.group;
  if (!id.is_null() && !id.is_vn_id()) return unexpected(Reason::kGroupIdTooLarge);
  if (id.is_null()) {
    const auto& static_vids = ports_[port].static_vids;
    if (const auto mapped = types_.find(TypeKey{manager, type}); mapped != types_.end()) {
      id = mapped->second;
    } else if (const auto fixed = static_vids.find(entry.vid); fixed != static_vids.end()) {
      id = fixed->second;
    } else {
      return unexpected(Reason::kNoVnForEntry);
    }
  }
  if (vn(id) == nullptr) return unexpected(Reason::kUnknownVn);
  if (!admits_vn(port, id)) return unexpected(Reason::kVnNotAdmitted);
  return id;
}

Reason Policy::check_mac(std::uint32_t port, vdp::FilterFormat format, const MacAddress& mac) const {
  if (!vdp::has_mac(format)) return config_.ports[port].legacy ? Reason::kNone : Reason::kMacRequired;
  if (!mac.is_usable_source()) return Reason::kBadMac;
  if (own_macs_.contains(mac)) return Reason::kReservedMac;
  if (is_virtual_router(mac)) return Reason::kVirtualRouterMac;
  return Reason::kNone;
}

Reason Policy::check_ip(GroupId vn_id, const IpPrefix& ip) const {
  const VnConfig& config = *vn(vn_id);
  const std::uint8_t least = ip.family == IpFamily::kV4 ? kPrefixBitsMinV4 : kPrefixBitsMinV6;
  if (ip.length < least && !config.wide_prefixes) return Reason::kWidePrefix;
  if (ip.is_link_local() && !ip.is_single()) return Reason::kWidePrefix;  // each VM of the link has one in it
  const auto reserved = [&](const IpPrefix& one) { return overlap(one, ip); };
  return std::ranges::any_of(config.reserved_ips, reserved) ? Reason::kReservedIp : Reason::kNone;
}

}  // namespace splitnve::nnved
