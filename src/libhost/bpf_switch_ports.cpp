// SPDX-License-Identifier: Apache-2.0
// Ports of the eBPF switch: which interface each one is, its program, and whether the host can spare it.
#include <algorithm>
#include <cstring>

#include "bpf_switch_state.hpp"
#include "splitnve/host/bpf_switch.hpp"

namespace splitnve::host {
namespace bpf {

BpfSwitch::Program program_of(datapath::PortRole role) {
  switch (role) {
    case datapath::PortRole::kAccess: return BpfSwitch::Program::kPort;
    case datapath::PortRole::kVm: return BpfSwitch::Program::kPort;
    case datapath::PortRole::kUplink: return BpfSwitch::Program::kUplink;
  }
  return BpfSwitch::Program::kPort;
}

}  // namespace bpf

namespace {

// Replaces an interface in every row of a map; `rename(key, value)` says whether it did.
template <class Key, class Value, class Rename>
void rename_rows(const bpf::Map<Key, Value>& map, Rename rename) {
  const auto rows = map.read_all();
  if (!rows) return;
  std::vector<Key> keys, stale;
  std::vector<Value> values;
  for (auto [key, value] : *rows) {
    const Key before = key;
    if (!rename(key, value)) continue;
    keys.push_back(key);
    values.push_back(value);
    if (!bpf::OctetEqual()(before, key)) stale.push_back(before);
  }
  map.put(keys, values);
  map.erase(stale);
}

// The host's devices are looked through only where they matter: VM ports come and go by the thousand.
bpf::HostUse use_of(std::uint32_t ifindex, datapath::PortRole role) {
  if (role != datapath::PortRole::kVm) return bpf::host_use_of(ifindex);
  return bpf::HostUse{{}, {}, bpf::foreign_filter_at(ifindex)};
}

}  // namespace

Result<void> BpfSwitch::check_port(const std::string& interface_name, datapath::PortRole role) {
  const auto ifindex = bpf::ifindex_of(interface_name);
  if (ifindex == 0) return unexpected<Error>(Error{"there is no such interface", interface_name, ""});
  const auto refusal = bpf::refusal_of(use_of(ifindex, role), role);
  if (!refusal.empty()) return unexpected<Error>(Error{refusal, interface_name, ""});
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
    if (bpf::name_of(ifindex) == name &&
        bpf::attach_ingress(ifindex, name, object->program_fd(bpf::program_of(role)))) {
      ports.bind(PortId(port.port), {ifindex, role, name, true, {}});
    } else {
      unbind_interface(ifindex);
    }
  }
  return refresh_own_addresses();
}

std::string BpfSwitch::State::bind(const datapath::PortRow& row) {
  const auto ifindex = bpf::ifindex_of(row.interface_name);
  if (ifindex == 0) {
    unbind(row.port);
    return "there is no interface " + row.interface_name;
  }
  const auto use = use_of(ifindex, row.role);
  bpf::switch_port entry{};
  // What was ours already stays so, whatever the host did to it since: refusing it now would cut the tenants.
  const bool ours = maps().ports.get(ifindex, entry);  // keeps owns_clsact
  if (auto refusal = ours ? std::string() : refusal_to_bind(row, ifindex, use); !refusal.empty()) {
    unbind(row.port);
    return refusal;
  }
  const auto* before = ports.find(row.port);
  const auto ifindex_before = before == nullptr ? 0 : before->ifindex;
  const auto mac = bpf::mac_of_interface(row.interface_name);
  if (mac) std::copy(mac->begin(), mac->end(), entry.mac);
  entry.port = row.port.value();
  entry.role = static_cast<std::uint32_t>(row.role);
  bpf::set_policy(row, entry);
  std::fill(std::begin(entry.name), std::end(entry.name), '\0');
  std::copy(row.interface_name.begin(), row.interface_name.end(), entry.name);
  // The entry first: without it the program would pass everything to the host.
  if (!maps().ports.put(ifindex, entry)) return "the table of ports is full";
  const auto attached = bpf::attach_ingress(ifindex, row.interface_name, object->program_fd(bpf::program_of(row.role)));
  if (!attached) {
    maps().ports.erase(ifindex);
    return attached.error().to_string();
  }
  if (*attached) {
    entry.owns_clsact = 1;
    maps().ports.put(ifindex, entry);
  }
  if (ifindex_before != 0 && ifindex_before != ifindex) {
    const bool made_anew = bpf::name_of(ifindex_before).empty();
    unbind_interface(ifindex_before);
    if (made_anew) move_rows(ifindex_before, ifindex);
  }
  bpf::BoundPort bound{ifindex, row.role, row.interface_name, true, {}};
  for (const auto& vlan : use.vlans) bound.host_vids.push_back(vlan.vid);
  ports.bind(row.port, std::move(bound));
  return {};
}

void BpfSwitch::State::unbind(PortId port) {
  const auto* bound = ports.find(port);
  if (bound == nullptr || !bound->attached) return;
  unbind_interface(bound->ifindex);
  ports.detach(port);
}

void BpfSwitch::State::unbind_interface(std::uint32_t ifindex) {
  bpf::switch_port entry{};
  maps().ports.get(ifindex, entry);
  bpf::detach_ingress(ifindex, entry.owns_clsact != 0);
  maps().ports.erase(ifindex);
}

void BpfSwitch::State::move_rows(std::uint32_t from, std::uint32_t to) {
  const auto move = [&](std::uint32_t& ifindex) {
    if (ifindex != from) return false;
    ifindex = to;
    return true;
  };
  rename_rows(maps().domains, [&](std::uint32_t&, bpf::switch_domain& domain) {
    bool moved = move(domain.uplink.ifindex);
    for (std::uint32_t i = 0; i < domain.n_local; ++i) moved = move(domain.local[i].ifindex) || moved;
    return moved;
  });
  rename_rows(maps().access, [&](bpf::switch_access_key& key, bpf::switch_access&) { return move(key.ifindex); });
  rename_rows(maps().guard, [&](bpf::switch_guard_key& key, bpf::switch_guard&) { return move(key.ifindex); });
  rename_rows(maps().fdb, [&](bpf::switch_fdb_key&, bpf::switch_fdb& owner) {
    return owner.kind == bpf::SWITCH_OWNER_LOCAL && move(owner.ifindex);
  });
}

std::string BpfSwitch::State::refusal_to_bind(const datapath::PortRow& row, std::uint32_t ifindex,
                                              const bpf::HostUse& use) const {
  if (auto refusal = bpf::refusal_of(use, row.role); !refusal.empty()) return row.interface_name + ": " + refusal;
  if (!config.vxlan || config.vxlan->allow_small_mtu || row.role != datapath::PortRole::kAccess) return {};
  const auto room = check_room(bpf::mtu_of_interface(ifindex), underlay);
  return room ? std::string() : row.interface_name + ": " + room.error().to_string();
}

// S18: the addresses of the access ports and uplinks, as the kernel has them in the table of ports.
Result<void> BpfSwitch::State::refresh_own_addresses() {
  const auto known = maps().ports.read_all();
  const auto held = maps().own_addresses.read_all();
  if (!known) return unexpected<Error>(known.error());
  if (!held) return unexpected<Error>(held.error());
  std::vector<bpf::switch_mac> wanted, stale;
  for (const auto& [ifindex, port] : *known) {
    if (port.role == bpf::SWITCH_ROLE_VM) continue;
    bpf::switch_mac address{};
    std::copy(std::begin(port.mac), std::end(port.mac), address.mac);
    wanted.push_back(address);
  }
  const auto is_wanted = [&](const bpf::switch_mac& address) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const auto& own) { return bpf::OctetEqual()(own, address); });
  };
  for (const auto& row : *held)
    if (!is_wanted(row.first)) stale.push_back(row.first);
  maps().own_addresses.put(wanted, std::vector<std::uint32_t>(wanted.size(), 1));
  maps().own_addresses.erase(stale);
  return {};
}

}  // namespace splitnve::host
