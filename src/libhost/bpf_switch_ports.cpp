// SPDX-License-Identifier: Apache-2.0
// Ports of the eBPF switch: which interface each one is, its program, and whether the host can spare it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "bpf_switch_migrate.hpp"
#include "bpf_switch_state.hpp"
#include "splitnve/host/bpf_switch.hpp"

namespace splitnve::host {
namespace bpf {

BpfSwitch::Program program_of(datapath::PortRole role) {
  switch (role) {
    case datapath::PortRole::kAccess:
    case datapath::PortRole::kVm: return BpfSwitch::Program::kPort;
    case datapath::PortRole::kUplink: return BpfSwitch::Program::kUplink;
  }
  return BpfSwitch::Program::kPort;
}

std::string owner_name(const std::string& pin_root) {
  const auto end = pin_root.find_last_not_of('/');
  return end == std::string::npos ? pin_root : pin_root.substr(0, end + 1);
}

namespace {

bool is_our_name(const std::string& filter) {
  for (const std::string_view program : {"switch_port:", "switch_uplink:", "switch_tunnel:"})
    if (filter.starts_with(program)) return true;
  return false;
}

// Empty: nothing of somebody else is in our place.
std::string foreign_filter(const Ingress& ingress) {
  for (const auto& filter : ingress.filters)
    if (filter.priority == kFilterPriority && !(filter.is_at_our_place() && is_our_name(filter.name)))
      return filter.name;
  return {};
}

}  // namespace

std::string other_instance(const Ingress& ingress, const std::string& owner, const std::vector<std::uint32_t>& known) {
  const auto* filter = ingress.ours();
  if (filter == nullptr || !is_our_name(filter->name)) return {};
  if (std::find(known.begin(), known.end(), filter->program) != known.end()) return {};
  const std::string named = filter->owner();
  if (named == owner) return {};  // left by this one, whose pins were lost
  return named.empty() ? "one without a name (a filter of an earlier version: remove it if no daemon has it)" : named;
}

}  // namespace bpf

namespace {

// The host's devices are looked through only where they matter: VM ports come and go by the thousand.
bpf::HostUse use_of(const bpf::Link& link, const bpf::Ingress& ingress, datapath::PortRole role) {
  auto use = role == datapath::PortRole::kVm ? bpf::HostUse{} : bpf::host_use_of(link);
  use.filter = bpf::foreign_filter(ingress);
  return use;
}

std::string no_word(const std::string& name, int error) {
  return "cannot read the interface " + name + ": " + std::strerror(error);
}

// The programs that a pin root holds, if it holds any.
std::vector<std::uint32_t> pinned_programs(const std::string& pin_root) {
  std::vector<std::uint32_t> ids;
  for (const auto program : {BpfSwitch::Program::kPort, BpfSwitch::Program::kUplink, BpfSwitch::Program::kTunnel}) {
    const std::string pin = bpf::owner_name(pin_root) + "/programs/" + bpf::Object::program_name(program);
    const int pinned = bpf_obj_get(pin.c_str());
    if (pinned < 0) continue;
    ids.push_back(bpf::program_id(pinned));
    ::close(pinned);
  }
  return ids;
}

// Does the pinned table of ports name the interface? So it does where an earlier version attached its program.
bool is_pinned_port(const std::string& pin_root, std::uint32_t ifindex) {
  for (const unsigned layout : bpf::layouts_in(bpf::owner_name(pin_root))) {
    const std::string pin = bpf::layout_folder(bpf::owner_name(pin_root), layout) + "/ports";
    const int map = bpf_obj_get(pin.c_str());
    bpf::switch_port entry{};
    const bool found = map >= 0 && bpf_map_lookup_elem(map, &ifindex, &entry) == 0;
    if (map >= 0) ::close(map);
    if (found) return true;
  }
  return false;
}

}  // namespace

Result<void> BpfSwitch::check_port(const std::string& interface_name, datapath::PortRole role,
                                   const std::string& pin_root) {
  bpf::Link link;
  if (const int error = bpf::find_link(interface_name, link); error == ENODEV)
    return {};
  else if (error != 0)
    return unexpected<Error>(Error{no_word(interface_name, error), "", ""});
  const auto ingress = bpf::read_ingress(link.ifindex);
  if (!ingress) return unexpected<Error>(ingress.error());
  auto use = use_of(link, *ingress, role);
  use.instance = bpf::other_instance(*ingress, bpf::owner_name(pin_root), pinned_programs(pin_root));
  if (!use.instance.empty() && is_pinned_port(pin_root, link.ifindex)) use.instance.clear();
  const auto refusal = bpf::refusal_of(use, role);
  if (!refusal.empty()) return unexpected<Error>(Error{refusal, interface_name, ""});
  return {};
}

void BpfSwitch::claim_port(const std::string& interface_name, const std::string& pin_root) {
  bpf::Link link;
  if (bpf::find_link(interface_name, link) != 0) return;
  const auto ingress = bpf::read_ingress(link.ifindex);
  if (ingress && !bpf::other_instance(*ingress, bpf::owner_name(pin_root), pinned_programs(pin_root)).empty())
    bpf::leave_claim(link.ifindex, bpf::owner_name(pin_root));
}

bpf::Attachment BpfSwitch::State::attachment(Program program) const {
  return {object->program_fd(program), bpf::Object::program_name(program), bpf::owner_name(config.pin_root)};
}

// TCX runs before every filter; where it has nothing, the first filter is asked first.
bool BpfSwitch::State::is_in_front(const bpf::Ingress& ingress, Program program) const {
  const auto id = bpf::program_id(object->program_fd(program));
  if (ingress.netkit || ingress.shared) return false;
  if (!ingress.tcx.empty()) return ingress.tcx.front() == id;
  return !ingress.filters.empty() && ingress.filters.front().is_at_our_place() && ingress.filters.front().program == id;
}

// Brings our program to an interface, in front of all others; returns the cause of a failure.
std::string BpfSwitch::State::attach(const bpf::Link& link, Program program, bpf::switch_port* entry) {
  const auto what = attachment(program);
  auto attached = bpf::attach_filter(link.ifindex, link.name, what);
  if (!attached) return attached.error().to_string();
  if (entry != nullptr && *attached) entry->owns_clsact = 1;
  auto ingress = bpf::read_ingress(link.ifindex);
  if (ingress && ingress->shared) {
    bpf::remove_clsact(link.ifindex);
    if (attached = bpf::attach_filter(link.ifindex, link.name, what); !attached) return attached.error().to_string();
    ingress = bpf::read_ingress(link.ifindex);
  }
  if (!ingress) return {};
  if (!is_in_front(*ingress, program)) bpf::go_in_front(link.ifindex, link.name, what, true);
  if (!ingress->tcx.empty())
    for (const int former : object->former_programs()) bpf::detach_tcx(link.ifindex, former);
  return {};
}

// Ports that are still the same interface get the programs of this build; the others are no ports any more. An
// interface that cannot be attached now is reported when its row is set again.
Result<void> BpfSwitch::State::adopt_ports() {
  const auto known = maps().ports.read_all();
  if (!known) return unexpected<Error>(known.error());
  for (const auto& [ifindex, port] : *known) {
    const std::string name(port.name, ::strnlen(port.name, sizeof port.name));
    const auto role = static_cast<datapath::PortRole>(port.role);
    bpf::Link link;
    if (bpf::find_link(ifindex, link) == 0 && link.has_name(name) &&
        attach(link, bpf::program_of(role), nullptr).empty()) {
      ports.bind(PortId(port.port), {ifindex, role, name, true, {}, port});
    } else {
      unbind_interface(ifindex);
    }
  }
  return refresh_own_addresses();
}

std::string BpfSwitch::State::bind(const datapath::PortRow& row) {
  bpf::Link link;
  if (const int error = bpf::find_link(row.interface_name, link); error == ENODEV) {
    ports.detach(row.port);
    return "there is no interface " + row.interface_name;
  } else if (error != 0) {
    return no_word(row.interface_name, error);  // no news: what is bound stays
  }
  const auto holder = ports.port_of(link.ifindex);
  if (const auto* held = holder ? ports.find(*holder) : nullptr; held != nullptr && *holder != row.port &&
                                                                 held->attached && held->name != row.interface_name &&
                                                                 link.has_name(held->name))
    return row.interface_name + " and " + held->name + " are two names of one interface";
  const auto ingress = bpf::read_ingress(link.ifindex);
  if (!ingress) return ingress.error().to_string();
  const auto use = use_of(link, *ingress, row.role);
  bpf::switch_port entry{};
  // What was ours already stays so, whatever the host did to it since: refusing it now would cut the tenants.
  const bool ours = maps().ports.get(link.ifindex, entry);  // keeps owns_clsact
  if (auto refusal = ours ? std::string() : refusal_to_bind(row, link, *ingress, use); !refusal.empty()) {
    unbind(row.port);
    return refusal;
  }
  const auto* before = ports.find(row.port);
  const auto ifindex_before = before == nullptr ? 0 : before->ifindex;
  std::copy(link.mac.begin(), link.mac.end(), entry.mac);
  entry.port = row.port.value();
  entry.role = static_cast<std::uint32_t>(row.role);
  bpf::set_policy(row, entry);
  std::fill(std::begin(entry.name), std::end(entry.name), '\0');
  row.interface_name.copy(entry.name, sizeof entry.name - 1);
  // The entry first: without it the program would pass everything to the host.
  if (!maps().ports.put(link.ifindex, entry)) return "the table of ports is full";
  if (const auto cause = attach(link, bpf::program_of(row.role), &entry); !cause.empty()) {
    maps().ports.erase(link.ifindex);
    return cause;
  }
  if (entry.owns_clsact != 0) maps().ports.put(link.ifindex, entry);
  if (link.xdp && row.role == datapath::PortRole::kVm) bpf::detach_xdp(link.ifindex);
  if (ingress->claim() != nullptr) bpf::remove_claim(link.ifindex);
  if (ifindex_before != 0 && ifindex_before != link.ifindex) unbind_interface(ifindex_before);
  bpf::BoundPort bound{link.ifindex, row.role, row.interface_name, true, {}, entry};
  for (const auto& vlan : use.vlans) bound.host_vids.push_back(vlan.vid);
  ports.bind(row.port, std::move(bound));
  return {};
}

void BpfSwitch::State::unbind(PortId port) {
  const auto* bound = ports.find(port);
  if (bound == nullptr) return;
  unbind_interface(bound->ifindex);
  ports.detach(port);
}

void BpfSwitch::State::unbind_interface(std::uint32_t ifindex) {
  bpf::switch_port entry{};
  if (!maps().ports.get(ifindex, entry)) return;
  maps().ports.erase(ifindex);
  const auto ingress = bpf::read_ingress(ifindex);
  if (!ingress || ingress->ours() == nullptr ||
      !bpf::other_instance(*ingress, bpf::owner_name(config.pin_root), object->known_programs()).empty())
    return;
  if (!ingress->tcx.empty()) {
    for (const auto program : {Program::kPort, Program::kUplink, Program::kTunnel})
      bpf::detach_tcx(ifindex, object->program_fd(program));
    for (const int former : object->former_programs()) bpf::detach_tcx(ifindex, former);
  }
  bpf::detach_filter(ifindex, entry.owns_clsact != 0);
}

void BpfSwitch::release(PortId port) {
  const auto* bound = state_ ? state_->ports.find(port) : nullptr;
  if (bound == nullptr || !bound->attached) return;
  // An interface that only has another name now keeps the program: without rows, it is closed. One that has got the
  // number since has none.
  const auto ingress = bpf::read_ingress(bound->ifindex);
  const auto id = bpf::program_id(state_->object->program_fd(bpf::program_of(bound->role)));
  const bool has_ours = ingress && std::any_of(ingress->filters.begin(), ingress->filters.end(),
                                               [id](const bpf::Filter& one) { return one.program == id; });
  if (ingress && !has_ours) state_->maps().ports.erase(bound->ifindex);
  state_->ports.detach(port);
}

bool BpfSwitch::is_replaced(PortId port, const std::string& interface_name) const {
  const auto* bound = state_ ? state_->ports.find(port) : nullptr;
  bpf::Link link;
  return bound != nullptr && bound->attached && bpf::find_link(interface_name, link) == 0 &&
         link.ifindex != bound->ifindex;
}

std::optional<PortId> BpfSwitch::port_at(unsigned ifindex) const {
  const auto port = state_ ? state_->ports.port_of(ifindex) : std::nullopt;
  return port && state_->ports.find(*port)->attached ? port : std::nullopt;
}

std::vector<PortId> BpfSwitch::bound_ports() const {
  std::vector<PortId> bound;
  if (!state_) return bound;
  for (const auto& [port, one] : state_->ports.all())
    if (one.attached) bound.push_back(port);
  return bound;
}

bool BpfSwitch::is_bound(PortId port) const {
  const auto* bound = state_ ? state_->ports.find(port) : nullptr;
  return bound != nullptr && bound->attached;
}

std::string BpfSwitch::State::refusal_to_bind(const datapath::PortRow& row, const bpf::Link& link,
                                              const bpf::Ingress& ingress, const bpf::HostUse& host) const {
  auto use = host;
  use.instance = bpf::other_instance(ingress, bpf::owner_name(config.pin_root), object->known_programs());
  if (auto refusal = bpf::refusal_of(use, row.role); !refusal.empty()) return row.interface_name + ": " + refusal;
  if (!config.vxlan || config.vxlan->allow_small_mtu || row.role != datapath::PortRole::kAccess) return {};
  const auto room = check_room(link.mtu, underlay);
  return room ? std::string() : row.interface_name + ": " + room.error().to_string();
}

// S18: the addresses of the access ports and uplinks, as the kernel has them in the table of ports.
Result<std::size_t> BpfSwitch::State::examine_own_addresses(bool mend) {
  const auto known = maps().ports.read_all();
  const auto held = maps().own_addresses.read_all();
  if (!known) return unexpected<Error>(known.error());
  if (!held) return unexpected<Error>(held.error());
  boost::unordered_flat_set<bpf::switch_mac, bpf::OctetHash, bpf::OctetEqual> missing, wanted;
  for (const auto& [ifindex, port] : *known) {
    if (port.role == bpf::SWITCH_ROLE_VM) continue;
    bpf::switch_mac address{};
    std::copy(std::begin(port.mac), std::end(port.mac), address.mac);
    wanted.insert(address);
  }
  missing = wanted;
  std::vector<bpf::switch_mac> stale;
  for (const auto& row : *held) {
    if (!wanted.contains(row.first)) stale.push_back(row.first);
    missing.erase(row.first);
  }
  if (mend) {
    const std::vector<bpf::switch_mac> added(missing.begin(), missing.end());
    maps().own_addresses.put(added, std::vector<std::uint32_t>(added.size(), 1));
    maps().own_addresses.erase(stale);
  }
  return missing.size() + stale.size();
}

Result<void> BpfSwitch::State::refresh_own_addresses() {
  const auto done = examine_own_addresses(true);
  return done ? Result<void>() : unexpected<Error>(done.error());
}

}  // namespace splitnve::host
