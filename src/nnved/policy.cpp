// SPDX-License-Identifier: Apache-2.0
#include "nnved/policy.hpp"

namespace splitnve::nnved {

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
  }
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
  if (mac == config_.ports[port].mac) return Reason::kReservedMac;
  return Reason::kNone;
}

}  // namespace splitnve::nnved
