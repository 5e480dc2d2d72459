// SPDX-License-Identifier: Apache-2.0
// Addresses of VMs that come, go, stop and start, by their hypervisor's will and by the nNVE's operator's.
#include <algorithm>

#include "world.hpp"

namespace splitnve::sim {
namespace {

using std::chrono::milliseconds;
using tnved::AddressVerb;

constexpr unsigned kIpsPerMac = 4;

/// One of the four IPs that a MAC may have: an address and a prefix of either family.
IpPrefix ip_of(unsigned number, unsigned which, unsigned n) {
  const auto octet = [number](unsigned i) { return static_cast<std::uint8_t>(number >> (8 * i)); };
  const auto mac = static_cast<std::uint8_t>(which);
  switch (n) {
    case 0: return {IpFamily::kV4, 32, {static_cast<std::uint8_t>(10 + mac), octet(2), octet(1), octet(0)}};
    case 1: return {IpFamily::kV4, 24, {static_cast<std::uint8_t>(20 + mac), octet(1), octet(0), 0}};
    case 2:
      return {IpFamily::kV6, 128, {0x20, 0x01, 0x0d, 0xb8, mac, octet(2), octet(1), octet(0), 0, 0, 0, 0, 0, 0, 0, 7}};
    default: return {IpFamily::kV6, 64, {0x20, 0x01, 0x0d, 0xb9, mac, octet(2), octet(1), octet(0)}};
  }
}

}  // namespace

/// A VM that is created anew has one MAC or more, some with IPs, and is told of by someone who knows of migrations or
/// does not.
void World::describe(Vm& vm) {
  vm.migration_unknown = chance(0.3);
  for (unsigned which = 0; which < kMacs; ++which) {
    Address& address = vm.addresses[which] = Address();
    address.present = which == 0 || chance(0.15);
    if (!address.present || chance(0.5)) continue;
    for (unsigned n = 0; n < kIpsPerMac; ++n)
      if (chance(0.3)) address.ips.insert(ip_of(vm.number, which, n));
  }
}

void World::fill(tnved::LifecycleEvent& event, const Vm& vm) const {
  event.migration_unknown = vm.migration_unknown;
  for (unsigned which = 0; which < kMacs; ++which) {
    const Address& address = vm.addresses[which];
    if (!address.present) continue;
    event.macs.push_back(mac_of(vm, which));
    for (const IpPrefix& ip : address.ips) event.ips.push_back({event.macs.back(), ip});
  }
}

/// One IP that is there stops, starts, or gives its place to another one.
World::AddressChange World::change_of_ip(const Vm& vm, unsigned which) {
  const Address& address = vm.addresses[which];
  const IpPrefix ip = *std::next(address.ips.begin(), below(static_cast<unsigned>(address.ips.size())));
  if (chance(0.4)) {
    for (unsigned n = 0; n < kIpsPerMac; ++n) {
      const IpPrefix other = ip_of(vm.number, which, n);
      if (other.family == ip.family && !address.ips.contains(other))
        return {AddressVerb::kChangeIp, which, {ip}, other};
    }
  }
  const bool off = address.deactivated_ips.contains(ip);
  return {off ? AddressVerb::kActivate : AddressVerb::kDeactivate, which, {ip}};
}

/// Something that makes sense to do to one of the VM's addresses.
std::optional<World::Step> World::change_of(const Vm& vm) {
  AddressChange change;
  change.which = below(kMacs);
  const Address& address = vm.addresses[change.which];
  const bool more = chance(0.6);
  if (address.present && !address.deactivated && !address.ips.empty() && chance(0.25))
    return Step{vm.host, {}, change_of_ip(vm, change.which)};
  for (unsigned n = 0; n < kIpsPerMac; ++n) {
    const IpPrefix ip = ip_of(vm.number, change.which, n);
    if (chance(0.4) && address.ips.contains(ip) != more) change.ips.push_back(ip);
  }
  if (!address.present || (more && !change.ips.empty())) {
    change.verb = AddressVerb::kAdd;
    if (!address.present && !more) change.ips.clear();
  } else if (address.deactivated) {
    change = {AddressVerb::kActivate, change.which, {}};
  } else if (!more && !change.ips.empty()) {
    change.verb = AddressVerb::kRemove;
  } else if (change.which != 0 && chance(0.5)) {
    change = {AddressVerb::kRemove, change.which, {}};
  } else {
    change = {AddressVerb::kDeactivate, change.which, {}};
  }
  return Step{vm.host, {}, change};
}

void World::issue_change(std::size_t index, const Step& step, std::uint64_t asker) {
  Vm& vm = vms_[index];
  Node& node = *nodes_[step.host];
  const AddressChange& change = *step.change;
  Address& address = vm.addresses[change.which];
  const bool of_mac = change.ips.empty() || change.verb == AddressVerb::kChangeIp;
  count(std::string(tnved::to_string(change.verb)) + (of_mac ? "" : "-ip"));
  const bool takes_away = change.verb == AddressVerb::kDeactivate || change.verb == AddressVerb::kRemove;
  const bool closes = takes_away && change.ips.empty();
  address.may_close = address.may_close || closes;
  // S20: a nNVE without the incremental filter has the whole set taken down before it is told another one.
  const auto uplink = uplink_of(vm);
  if (!uplink || !flags_of(node, PortId(1 + *uplink)).has(vdp::Flag::kIncrementalFilter)) vm.excused.insert(step.host);
  tnved::AddressEvent event;
  event.verb = change.verb;
  event.vsi = vm.vsi;
  event.asker = asker;
  event.macs = {mac_of(vm, change.which)};
  for (const IpPrefix& ip : change.ips) event.ips.push_back({event.macs.front(), ip});
  event.to = change.to;
  node.tnved->handle_addresses(event, now_);
  pump(node);
}

/// What the hypervisor concludes: done, or as it was before -- unless the process died with the question.
void World::complete_change(Vm& vm, const Step& step, bool ok, const std::string& reason) {
  const AddressChange& change = *step.change;
  Address& address = vm.addresses[change.which];
  if (!ok) {
    // An activation that is not confirmed in time, or that the nNVE refuses, stays wanted.
    const bool stays_wanted = change.verb == AddressVerb::kActivate || (address.present && address.deactivated);
    if (reason == kRestarted || stays_wanted) address.certain = false;
    // The next process goes on with it, and perhaps the nNVE's does not know the incremental filter (S20).
    if (reason == kRestarted) vm.excused.insert(step.host);
    return;
  }
  switch (change.verb) {
    case AddressVerb::kAdd:
      if (!address.present) address.ips.clear();  // one that a dead process may have added stays uncertain
      if (!address.present) address.deactivated_ips.clear();
      address.may_close = false;
      address.present = true;
      address.deactivated = false;
      address.ips.insert(change.ips.begin(), change.ips.end());
      for (const IpPrefix& ip : change.ips) address.deactivated_ips.erase(ip);
      break;
    case AddressVerb::kRemove:
      for (const IpPrefix& ip : change.ips) address.ips.erase(ip);
      for (const IpPrefix& ip : change.ips) address.deactivated_ips.erase(ip);
      if (change.ips.empty()) {
        address = Address();
        address.may_close = true;
      }
      break;
    case AddressVerb::kDeactivate:
      address.deactivated = address.deactivated || change.ips.empty();
      address.deactivated_ips.insert(change.ips.begin(), change.ips.end());
      break;
    case AddressVerb::kChangeIp:
      for (auto* ips : {&address.ips, &address.deactivated_ips})
        if (ips->erase(change.ips.front()) != 0) ips->insert(change.to);
      break;
    case AddressVerb::kActivate:
      for (const IpPrefix& ip : change.ips) address.deactivated_ips.erase(ip);
      if (!change.ips.empty()) break;
      address.deactivated = address.may_close = false;
      if (!vm.latched_at) vm.excused.erase(step.host);
      break;
  }
}

/// D9: some addresses of a TSI, or all, are reserved only until the operator releases them.
void World::operator_deactivates(Node& node) {
  if (!node.alive || node.nnved->tsi_slots() == 0) return;
  const auto view = node.nnved->tsi(below(node.nnved->tsi_slots()));
  if (!view || !vm_by_vsi_.contains(view->vsi)) return;
  const std::size_t index = vm_by_vsi_.at(view->vsi);
  Vm& vm = vms_[index];
  if (vm.latched_at != nullptr || vm.removed) return;
  std::vector<MacAddress> macs;
  for (const auto& address : view->addresses)
    if (chance(0.5)) macs.push_back(address.mac);
  count(macs.empty() ? "bridge-deactivate-all" : "bridge-deactivate-some");
  vm.latched_at = &node;
  vm.latched_in = node.incarnation;
  if (!node.nnved->deactivate_tsi(view->instance, macs, "noisy neighbour", now_))
    fail("D9: " + vm.interface_name + " could not be deactivated");
  pump(node);
  at(now_ + milliseconds(100 + below(3000)), [this, index] { release(index); });
}

void World::release(std::size_t index) {
  Vm& vm = vms_[index];
  Node& node = *vm.latched_at;
  if (!node.alive) {
    at(now_ + milliseconds(50), [this, index] { release(index); });
    return;
  }
  count("release");
  // Only a crash before the latch was stored may have lost it.
  if (!node.nnved->release_tsi(vm.vsi, vm.vn, now_) && vm.latched_in == node.incarnation)
    fail("S7: the latch of " + vm.interface_name + " has gone by itself");
  vm.latched_at = nullptr;
  pump(node);
  ask_again(index);
}

bool World::ask_again(std::size_t index) {
  Vm& vm = vms_[index];
  const Node& host = *nodes_[vm.host];
  if (vm.waiting || !vm.plan.empty() || vm.latched_at != nullptr || !host.alive) return false;
  const auto slot = host.tnved->find(vm.vsi);
  if (!slot) return false;
  const auto view = *host.tnved->tsi(*slot);
  for (unsigned which = 0; which < kMacs; ++which) {
    const MacAddress mac = mac_of(vm, which);
    const auto held = std::ranges::find_if(view.addresses, [&](const auto& a) { return a.mac == mac && a.held; });
    if (held != view.addresses.end())
      vm.plan.push_back({vm.host, {}, AddressChange{AddressVerb::kActivate, which, {}}});
  }
  if (vm.plan.empty()) return false;
  advance(index);
  return true;
}

bool World::ask_again_all() {
  bool any = false;
  for (std::size_t index = 0; index < vms_.size(); ++index) any = ask_again(index) || any;
  return any;
}

/// The operator of a host with two nNVEs wants the other one (D3).
void World::operator_moves_paths(Node& host) {
  if (!host.alive || !is_dual(host.index)) return;
  count("use-uplink");
  host.tnved->use_uplink(PortId(1 + below(2)), now_);
  pump(host);
}

std::optional<unsigned> World::uplink_of(const Vm& vm) const {
  const Node& host = *nodes_[vm.host];
  if (!host.alive) return std::nullopt;
  const auto slot = host.tnved->find(vm.vsi);
  if (!slot) return std::nullopt;
  return host.tnved->tsi(*slot)->uplink.value() - 1;
}

World::Vm* World::vm_of(MacAddress mac, unsigned* which) {
  const std::uint64_t number = mac.value() & 0xFFFFFFFFu, n = (mac.value() >> 32) - 0x02AA;
  if (number >= vms_.size() || n >= kMacs) return nullptr;
  if (which != nullptr) *which = static_cast<unsigned>(n);
  return &vms_[number];
}

/// What the host and the nNVE behind the uplink both understand; nothing while that is not known.
vdp::Flags World::flags_of(const Node& host, PortId uplink) const {
  if (!host.alive) return {};
  for (const auto& peer : host.tnved->peers())
    if (peer.uplink == uplink && peer.standing.verdict == vdp::Exchange::Verdict::kCapable)
      return vdp::kAble.without(peer.standing.given_up);
  return {};
}

}  // namespace splitnve::sim
