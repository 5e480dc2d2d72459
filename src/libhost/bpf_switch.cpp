// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/bpf_switch.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bpf_switch_state.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::host {
namespace bpf {

std::string cause_of(int error) {
  if (error == E2BIG) return "the table is full";
  if (error == ENOMEM) return "the kernel has no memory for the row";
  return std::strerror(error);
}

Changes changes_of(const datapath::Rows& rows, const PortTable& ports, Failures& failures) {
  using datapath::Table;
  return Changes{change_of<std::uint32_t, switch_domain>(rows.domains, ports, Table::kDomain, failures),
                 change_of<switch_access_key, switch_access>(rows.access, ports, Table::kAccess, failures),
                 change_of<switch_guard_key, switch_guard>(rows.guards, ports, Table::kGuard, failures),
                 change_of<switch_fdb_key, switch_fdb>(rows.fdb, ports, Table::kFdb, failures)};
}

}  // namespace bpf

namespace {

BpfSwitch::Program program_of(datapath::PortRole role) {
  switch (role) {
    case datapath::PortRole::kAccess: return BpfSwitch::Program::kPort;
    case datapath::PortRole::kVm: return BpfSwitch::Program::kPort;
    case datapath::PortRole::kUplink: return BpfSwitch::Program::kUplink;
  }
  return BpfSwitch::Program::kPort;
}

template <class Key, class Value>
Result<void> empty(const bpf::Map<Key, Value>& map) {
  const auto rows = map.read_all();
  if (!rows) return unexpected<Error>(rows.error());
  std::vector<Key> keys;
  for (const auto& row : *rows) keys.push_back(row.first);
  map.erase(keys);
  return {};
}

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

}  // namespace

// --- opening ---

Result<std::unique_ptr<BpfSwitch>> BpfSwitch::open(const Config& config) {
  auto object = bpf::Object::load(config);
  if (!object) return unexpected<Error>(object.error());
  auto state = std::make_unique<State>();
  state->config = config;
  state->object = std::move(*object);
  if (auto adopted = state->adopt(); !adopted) return unexpected<Error>(adopted.error());
  return std::unique_ptr<BpfSwitch>(new BpfSwitch(std::move(state)));
}

BpfSwitch::BpfSwitch(std::unique_ptr<State> state) : state_(std::move(state)) {}
BpfSwitch::~BpfSwitch() = default;

Result<void> BpfSwitch::State::adopt() {
  if (auto ok = forget_foreign_rows(); !ok) return ok;
  const auto domains = maps().domains.read_all();
  if (!domains) return unexpected<Error>(domains.error());
  for (const auto& [domain, value] : *domains)
    if (value.vni != 0) vni_of[domain] = value.vni;
  if (auto ok = set_up_tunnels(); !ok) return ok;
  return adopt_ports();
}

// Pins outlive a network namespace, whose interface numbers then mean other interfaces.
Result<void> BpfSwitch::State::forget_foreign_rows() {
  bpf::switch_settings settings{};
  const auto epoch = bpf::current_epoch();
  const auto& m = maps();
  if (!m.settings.get(0, settings)) return unexpected<Error>(Error{"cannot read the settings", config.pin_root, ""});
  if (settings.netns == epoch.netns && std::equal(epoch.boot.begin(), epoch.boot.end(), settings.boot)) return {};
  for (const auto& emptied : {empty(m.ports), empty(m.fdb), empty(m.guard), empty(m.access), empty(m.vnis),
                              empty(m.domains), empty(m.counters)})
    if (!emptied) return emptied;
  return {};
}

Result<void> BpfSwitch::State::set_up_tunnels() {
  bpf::switch_settings settings{};
  const auto epoch = bpf::current_epoch();
  settings.netns = epoch.netns;
  std::copy(epoch.boot.begin(), epoch.boot.end(), settings.boot);
  if (config.vxlan) {
    const auto device = bpf::ensure_vxlan(*config.vxlan);
    if (!device) return unexpected<Error>(device.error());
    vxlan_ifindex = settings.vxlan_ifindex = *device;
    if (const auto& local = config.vxlan->local) std::copy(local->octets.begin(), local->octets.end(), settings.local);
  }
  if (!maps().settings.put(0, settings))
    return unexpected<Error>(Error{"cannot write the settings", config.pin_root, ""});
  if (!config.vxlan) return {};
  const auto attached = bpf::attach_ingress(vxlan_ifindex, config.vxlan->name, object->program_fd(Program::kTunnel));
  if (!attached) return unexpected<Error>(attached.error());
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
    if (bpf::name_of(ifindex) == name && bpf::attach_ingress(ifindex, name, object->program_fd(program_of(role)))) {
      ports.bind(PortId(port.port), {ifindex, role, name, true});
    } else {
      unbind_interface(ifindex);
    }
  }
  return {};
}

// --- ports ---

std::string BpfSwitch::State::bind(const datapath::PortRow& row) {
  const auto ifindex = bpf::ifindex_of(row.interface_name);
  if (ifindex == 0) {
    unbind(row.port);
    return "there is no interface " + row.interface_name;
  }
  const auto* before = ports.find(row.port);
  const auto ifindex_before = before == nullptr ? 0 : before->ifindex;
  bpf::switch_port entry{};
  maps().ports.get(ifindex, entry);  // keeps owns_clsact
  const auto mac = bpf::mac_of_interface(row.interface_name);
  if (mac) std::copy(mac->begin(), mac->end(), entry.mac);
  entry.port = row.port.value();
  entry.role = static_cast<std::uint32_t>(row.role);
  std::fill(std::begin(entry.name), std::end(entry.name), '\0');
  std::copy(row.interface_name.begin(), row.interface_name.end(), entry.name);
  // The entry first: without it the program would pass everything to the host.
  if (!maps().ports.put(ifindex, entry)) return "the table of ports is full";
  const auto attached = bpf::attach_ingress(ifindex, row.interface_name, object->program_fd(program_of(row.role)));
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
  ports.bind(row.port, {ifindex, row.role, row.interface_name, true});
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

// --- rows ---

void BpfSwitch::State::forget_vni(std::uint32_t domain) {
  const auto found = vni_of.find(domain);
  if (found == vni_of.end()) return;
  std::uint32_t holder = 0;
  if (maps().vnis.get(found->second, holder) && holder == domain) maps().vnis.erase(found->second);
  vni_of.erase(found);
}

void BpfSwitch::State::put_domains(const bpf::Change<std::uint32_t, bpf::switch_domain>& change,
                                   bpf::Failures& failures) {
  bpf::put(maps().domains, change, datapath::Table::kDomain, failures);
  std::vector<std::uint32_t> vnis, domains;
  for (const auto& value : change.put_values) {
    const auto known = vni_of.find(value.id);
    if (known != vni_of.end() && known->second != value.vni) forget_vni(value.id);
    if (value.vni == 0) continue;
    vni_of[value.id] = value.vni;
    vnis.push_back(value.vni);
    domains.push_back(value.id);
  }
  maps().vnis.put(vnis, domains);
}

void BpfSwitch::State::erase_domains(const bpf::Change<std::uint32_t, bpf::switch_domain>& change,
                                     bpf::Failures& failures) {
  for (const auto domain : change.erase_keys) forget_vni(domain);
  bpf::erase(maps().domains, change, datapath::Table::kDomain, failures);
}

void BpfSwitch::State::write(const bpf::Changes& changes, bpf::Failures& failures) {
  using datapath::Table;
  put_domains(changes.domains, failures);
  bpf::put(maps().access, changes.access, Table::kAccess, failures);
  bpf::put(maps().guard, changes.guards, Table::kGuard, failures);
  bpf::put(maps().fdb, changes.fdb, Table::kFdb, failures);
  bpf::erase(maps().fdb, changes.fdb, Table::kFdb, failures);
  bpf::erase(maps().guard, changes.guards, Table::kGuard, failures);
  bpf::erase(maps().access, changes.access, Table::kAccess, failures);
  erase_domains(changes.domains, failures);
}

agent::BatchResult BpfSwitch::apply(BatchId batch, const datapath::Rows& rows) {
  agent::BatchResult result{batch, {}, {}};
  if (!state_) {
    result.error = "the eBPF switch was torn down";
    return result;
  }
  for (std::uint32_t i = 0; i < rows.ports.size(); ++i) {
    if (!rows.ports[i].present) continue;
    if (auto cause = state_->bind(rows.ports[i]); !cause.empty())
      result.failures.push_back({datapath::Table::kPort, i, std::move(cause)});
  }
  state_->write(bpf::changes_of(rows, state_->ports, result.failures), result.failures);
  for (const auto& row : rows.ports)
    if (!row.present) state_->unbind(row.port);
  return result;
}

// --- counters ---

DropCounters BpfSwitch::drops() const {
  DropCounters counters{};
  const int cpus = libbpf_num_possible_cpus();
  if (!state_ || cpus <= 0) return counters;
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(cpus));
  for (std::uint32_t reason = 0; reason < counters.size(); ++reason) {
    if (bpf_map_lookup_elem(state_->maps().drops_fd, &reason, per_cpu.data()) != 0) continue;
    for (const auto frames : per_cpu) counters[reason] += frames;
  }
  return counters;
}

datapath::InstanceCounters BpfSwitch::instance_counters(InstanceId instance) const {
  bpf::switch_counters counters{};
  if (state_) state_->maps().counters.get(instance.value(), counters);
  return {counters.rx_frames, counters.rx_octets, counters.tx_frames, counters.tx_octets, counters.dropped_closed};
}

void BpfSwitch::clear_counters(InstanceId instance) {
  if (state_) state_->maps().counters.erase(instance.value());
}

// --- the end ---

Result<void> BpfSwitch::tear_down() {
  if (!state_) return {};
  for (const auto& [port, bound] : state_->ports.all())
    if (bound.attached) state_->unbind_interface(bound.ifindex);
  if (state_->vxlan_ifindex != 0)
    if (auto deleted = bpf::delete_link(state_->vxlan_ifindex); !deleted) return deleted;
  if (auto unpinned = state_->object->unpin(); !unpinned) return unpinned;
  state_.reset();
  return {};
}

int BpfSwitch::program_fd(Program program) const {
  ensure(state_ != nullptr, "a program of a switch that was torn down");
  return state_->object->program_fd(program);
}

}  // namespace splitnve::host
