// SPDX-License-Identifier: Apache-2.0
// All views at rest: hypervisors, both agents, both datapaths and the authority say the same.
#include <algorithm>
#include <string_view>

#include "tnved/vswitch.hpp"
#include "world.hpp"

namespace splitnve::sim {
namespace {

template <class View>
const auto* address_of(const View& view, MacAddress mac) {
  const auto at = std::ranges::find_if(view.addresses, [mac](const auto& address) { return address.mac == mac; });
  return at == view.addresses.end() ? nullptr : &*at;
}

std::set<IpPrefix> as_set(const std::vector<IpPrefix>& ips) { return {ips.begin(), ips.end()}; }

/// Of these IPs the ones that a nNVE with these flags is told (S20).
std::set<IpPrefix> told(const std::vector<IpPrefix>& ips, vdp::Flags flags) {
  std::set<IpPrefix> out;
  if (!flags.has(vdp::Flag::kIncrementalFilter) || !flags.has(vdp::Flag::kIpFormats)) return out;
  for (const IpPrefix& ip : ips)
    if (ip.is_single() || flags.has(vdp::Flag::kPrefixFormats)) out.insert(ip);
  return out;
}

template <class Ips>
std::string said(const Ips& ips) {
  std::string text;
  for (const IpPrefix& ip : ips) text += (text.empty() ? "" : ",") + ip.to_string();
  return text.empty() ? "none" : text;
}

}  // namespace

std::vector<std::string> World::compare_all() const {
  std::vector<std::string> out;
  for (const auto& node : nodes_) {
    if (node->is_switch)
      compare_switch(*node, out);
    else
      compare_host(*node, out);
  }
  for (unsigned i = 0; i < foreign_.size(); ++i) compare_foreign(i, out);
  for (const auto& vm : vms_) compare_vm(vm, out);
  return out;
}

/// What the hypervisor believes, and what both datapaths do with frames.
void World::compare_vm(const Vm& vm, std::vector<std::string>& out) const {
  const Node& host = *nodes_[vm.host];
  const auto slot = host.tnved->find(vm.vsi);
  if (slot.has_value() != (vm.phase != Phase::kAbsent))
    return out.push_back(vm.interface_name + (slot ? ": still known to its host" : ": unknown to its host"));
  const auto view = slot ? host.tnved->tsi(*slot) : std::nullopt;
  const unsigned uplink = view ? view->uplink.value() - 1 : 0;
  for (unsigned which = 0; which < kMacs; ++which) {
    const Address& address = vm.addresses[which];
    const MacAddress mac = mac_of(vm, which);
    if (view && !address.certain) continue;
    const std::string name = vm.interface_name + " " + mac.to_string();
    const auto* mine = view ? address_of(*view, mac) : nullptr;
    if (view && (mine != nullptr) != address.present) {
      out.push_back(name + (mine == nullptr ? ": unknown to its host" : ": still known to its host"));
      continue;
    }
    if (mine != nullptr && as_set(mine->ips) != address.ips) out.push_back(name + ": other IPs at its host");
    if (mine != nullptr && as_set(mine->deactivated_ips) != address.deactivated_ips)
      out.push_back(name + ": other IPs deactivated at its host");
    const bool want = address.present && vm.phase == Phase::kRunning && !address.deactivated;
    if (host.datapath.open_owner(tnved::domain_of(PortId(1 + uplink), vm.vn), mac).has_value() != want)
      out.push_back(name + (want ? ": its port is closed" : ": its port is open"));
    const auto owner = switch_of(vm.host, uplink).datapath.open_owner(DomainId(vm.vn.value()), mac);
    // compare_tsi() judges an address that is only closed here (S20).
    if (owner.has_value() != want && (want || mine == nullptr))
      out.push_back(name + (want ? ": runs but is not forwarded" : ": forwarded but not running"));
    if (owner && want && owner->port != port_of(vm.host, uplink)) out.push_back(name + ": forwarded to the wrong port");
  }
}

void World::compare_host(const Node& host, std::vector<std::string>& out) const {
  const std::string name = "host " + std::to_string(host.index) + ": ";
  for (auto& line : host.datapath.differences(host.tnved->desired_rows())) out.push_back(name + line);
  std::map<std::tuple<VsiId, GroupId, PortId>, nnved::TsiView> at_switch;
  for (unsigned uplink = 0; uplink < uplinks_of(host.index); ++uplink) {
    const auto& sw = *switch_of(host.index, uplink).nnved;
    for (std::uint32_t i = 0; i < sw.tsi_slots(); ++i)
      if (const auto view = sw.tsi(i); view && view->station == station_mac(host.index, uplink))
        at_switch[{view->vsi, view->vn, PortId(1 + uplink)}] = *view;
  }
  for (std::uint32_t i = 0; i < host.tnved->tsi_slots(); ++i) {
    const auto mine = host.tnved->tsi(i);
    if (!mine) continue;
    const auto theirs = at_switch.find({mine->vsi, mine->vn, mine->uplink});
    if (theirs == at_switch.end()) {
      out.push_back(name + mine->vsi.to_string() + " is unknown to the switch");
      continue;
    }
    compare_tsi(host, *mine, theirs->second, out);
    at_switch.erase(theirs);
  }
  for (const auto& [key, view] : at_switch)
    out.push_back(name + "the switch still has " + std::get<VsiId>(key).to_string());
  compare_sessions(host, out);
  compare_connects(host, out);
}

/// The VN that the configuration wants connected, TSIs or not (S30).
void World::compare_connects(const Node& host, std::vector<std::string>& out) const {
  if (is_legacy(host.index)) return;
  const std::string name = "host " + std::to_string(host.index) + ": ";
  const auto mine = host.tnved->vns();
  const auto at = std::ranges::find(mine, connected_vn(host.index), &tnved::VnView::vn);
  if (at == mine.end() || std::string_view(at->state) != "connected")
    return out.push_back(name + "the VN of its configuration is not connected");
  const unsigned uplink = at->uplink.value() - 1;
  const auto theirs = switch_of(host.index, uplink).nnved->vaps();
  const auto vap = std::ranges::find_if(
      theirs, [&](const nnved::VapView& one) { return one.port == port_of(host.index, uplink) && one.vn == at->vn; });
  if (vap == theirs.end() || vap->connects == 0 || vap->local_tag != at->vid)
    out.push_back(name + "the switch does not have the VN connected with its VID");
}

/// One TSI, address by address, as far as what the nNVE has shown allows it to be told (S20).
void World::compare_tsi(const Node& host, const tnved::TsiView& mine, const nnved::TsiView& theirs,
                        std::vector<std::string>& out) const {
  const std::string name = "host " + std::to_string(host.index) + ": " + mine.vsi.to_string() + " ";
  const vdp::Flags flags = flags_of(host, mine.uplink);
  const bool any_active = std::string_view(mine.state) == "activated";
  std::size_t shared = 0;
  for (const auto& address : mine.addresses) {
    const std::string one = name + address.mac.to_string();
    const auto* there = address_of(theirs, address.mac);
    if ((address.confirmed != vdp::Level::kNone) != (there != nullptr)) {
      out.push_back(one + (there == nullptr ? " is unknown to the switch" : " is known to the switch alone"));
      continue;
    }
    if (there == nullptr) continue;
    ++shared;
    if (address.confirmed != address.desired) out.push_back(one + " is not as wanted");
    // A nNVE without Deactivate keeps it associated, with S if all of the VSI is; one without the incremental filter
    // has one level for all of a VSI. The port is closed here, which compare_vm() has seen.
    const bool here_only = !flags.has(vdp::Flag::kDeactivate) ? any_active || theirs.suspended
                                                              : !flags.has(vdp::Flag::kIncrementalFilter) && any_active;
    const bool active = address.confirmed == vdp::Level::kActive;
    if (active != there->active && !(there->active && here_only)) out.push_back(one + " is at another level there");
    if (address.vid != there->vid) out.push_back(one + " has another VID there");
    if (told(address.ips, flags) != as_set(there->ips))
      out.push_back(one + " has other IPs there: " + said(there->ips) + ", told " + said(told(address.ips, flags)));
    const bool levels = active && there->active && flags.has(vdp::Flag::kDeactivate);
    if (levels && told(address.deactivated_ips, flags) != as_set(there->deactivated_ips))
      out.push_back(one + " has other IPs deactivated there: " + said(there->deactivated_ips));
  }
  if (shared != theirs.addresses.size()) out.push_back(name + "has more addresses at the switch");
  const vdp::Migration migration = flags.has(vdp::Flag::kMigration) ? mine.migration : vdp::Migration::kUnknown;
  if (theirs.migration != migration)
    out.push_back(name + "migrates: " + to_string(mine.migration) + ", at the switch " + to_string(theirs.migration));
}

/// S16: where both may sign, both have the session.
void World::compare_sessions(const Node& host, std::vector<std::string>& out) const {
  if (host_mode(host.index) == auth::Mode::kOff) return;
  for (const auto& mine : host.tnved->peers()) {
    const unsigned uplink = mine.uplink.value() - 1;
    const std::string name = "host " + std::to_string(host.index) + " uplink " + std::to_string(uplink) + ": ";
    if (mine.authentication.state != std::string_view("authenticated")) out.push_back(name + "is not authenticated");
    for (const auto& theirs : switch_of(host.index, uplink).nnved->peers())
      if (theirs.station == station_mac(host.index, uplink) &&
          theirs.authentication.state != std::string_view("authenticated"))
        out.push_back(name + "the switch has no session with it");
  }
}

void World::compare_switch(const Node& node, std::vector<std::string>& out) const {
  const std::string name = "switch " + std::to_string(node.index) + ": ";
  for (auto& line : node.datapath.differences(node.nnved->desired_rows())) out.push_back(name + line);
  const auto have = authority_.rows(node.index);
  const auto want = node.nnved->desired_authority();
  const auto said = [](const agent::AuthorityRow& row) {
    return row.mac.to_string() + " of VN " + std::to_string(row.vn.value()) + (row.mapped ? " mapped" : "") +
           (row.forwarding ? " forwarding" : "") + " for " + row.vsi.to_string();
  };
  std::set<std::string> there;
  for (const auto& row : have) there.insert(said(row));
  for (const auto& row : want)
    if (there.erase(said(row)) == 0) out.push_back(name + "the authority lacks " + said(row));
  for (const auto& row : there) out.push_back(name + "the authority still has " + row);
}

}  // namespace splitnve::sim
