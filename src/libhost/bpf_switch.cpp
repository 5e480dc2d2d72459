// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/bpf_switch.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "bpf_switch_state.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::host {
namespace bpf {

std::string cause_of(int error) {
  if (error == E2BIG || error == ENOSPC) return "the table is full";  // a hash, a trie
  if (error == ENOMEM) return "the kernel has no memory for the row";
  return std::strerror(error);
}

Changes changes_of(const datapath::Rows& rows, const PortTable& ports, Failures& failures) {
  using datapath::Table;
  return Changes{change_of<std::uint32_t, switch_domain>(rows.domains, ports, Table::kDomain, failures),
                 change_of<switch_access_key, switch_access>(rows.access, ports, Table::kAccess, failures),
                 change_of<switch_ip_key, std::uint32_t>(rows.ips, ports, Table::kIp, failures),
                 change_of<switch_guard_key, switch_guard>(rows.guards, ports, Table::kGuard, failures),
                 change_of<switch_fdb_key, switch_fdb>(rows.fdb, ports, Table::kFdb, failures)};
}

}  // namespace bpf

namespace {

template <class Key, class Value>
Result<void> empty(const bpf::Map<Key, Value>& map) {
  const auto rows = map.read_all();
  if (!rows) return unexpected<Error>(rows.error());
  std::vector<Key> keys;
  for (const auto& row : *rows) keys.push_back(row.first);
  map.erase(keys);
  return {};
}

std::vector<std::uint64_t> sum_per_cpu(int map, std::uint32_t size) {
  std::vector<std::uint64_t> sums(size);
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return sums;
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(cpus));
  for (std::uint32_t key = 0; key < size; ++key)
    if (bpf_map_lookup_elem(map, &key, per_cpu.data()) == 0)
      sums[key] = std::accumulate(per_cpu.begin(), per_cpu.end(), std::uint64_t{0});
  return sums;
}

}  // namespace

// --- opening ---

Result<std::unique_ptr<BpfSwitch>> BpfSwitch::open(const Config& config) {
  auto state = std::make_unique<State>();
  state->config = config;
  if (auto ok = state->measure_underlay(); !ok) return unexpected<Error>(ok.error());
  auto object = bpf::Object::load(config);
  if (!object) return unexpected<Error>(object.error());
  state->object = std::move(*object);
  if (auto adopted = state->adopt(); !adopted) return unexpected<Error>(adopted.error());
  // All ports have the programs of this build now; a failure before leaves the old pins, to be copied again.
  if (auto left = state->object->forget_older(); !left) return unexpected<Error>(left.error());
  if (auto pinned = state->object->pin_programs(); !pinned) return unexpected<Error>(pinned.error());
  return std::unique_ptr<BpfSwitch>(new BpfSwitch(std::move(state)));
}

BpfSwitch::BpfSwitch(std::unique_ptr<State> state) : state_(std::move(state)) {}
BpfSwitch::~BpfSwitch() = default;

Result<void> BpfSwitch::State::measure_underlay() {
  if (!config.vxlan) return {};
  underlay = underlay_room(config.vxlan->local, config.vxlan->remotes);
  if (config.vxlan->allow_small_mtu) return {};
  return check_room(config.vxlan->access_mtu, underlay);
}

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
  for (const auto& emptied :
       {empty(m.ports), empty(m.fdb), empty(m.guard), empty(m.ips), empty(m.access), empty(m.vnis), empty(m.domains),
        empty(m.own_addresses), empty(m.counters), empty(m.link_locals), empty(m.storms)})
    if (!emptied) return emptied;
  return {};
}

Result<void> BpfSwitch::State::set_up_tunnels() {
  bpf::switch_settings settings{};
  const auto epoch = bpf::current_epoch();
  settings.netns = epoch.netns;
  std::copy(epoch.boot.begin(), epoch.boot.end(), settings.boot);
  if (config.vxlan) {
    bpf::switch_settings before{};
    const bool had_one = maps().settings.get(0, before) && before.vxlan_ifindex != 0 && before.netns == settings.netns;
    vxlan_mtu = std::max(underlay ? underlay->inner_mtu : 0, config.vxlan->access_mtu);
    const auto device = bpf::ensure_vxlan(*config.vxlan, vxlan_mtu, had_one);
    if (!device) return unexpected<Error>(device.error());
    vxlan_ifindex = settings.vxlan_ifindex = *device;
    settings.vxlan_port = config.vxlan->udp_port;
    if (const auto& local = config.vxlan->local) std::copy(local->octets.begin(), local->octets.end(), settings.local);
  }
  own_settings = settings;
  if (!maps().settings.put(0, settings))
    return unexpected<Error>(Error{"cannot write the settings", config.pin_root, ""});
  return config.vxlan ? attach_tunnel() : Result<void>();
}

Result<void> BpfSwitch::State::attach_tunnel() {
  const auto& name = config.vxlan->name;
  const auto ingress = bpf::read_ingress(vxlan_ifindex);
  if (!ingress) return unexpected<Error>(ingress.error());
  if (auto other = bpf::other_instance(*ingress, bpf::owner_name(config.pin_root), object->known_programs());
      !other.empty())
    return unexpected<Error>(Error{"another instance serves it: " + other, name,
                                   "configure another name and UDP port for the tunnels of this one"});
  bpf::Link link;
  link.ifindex = vxlan_ifindex;
  link.name = name;
  if (const auto refusal = attach(link, Program::kTunnel, nullptr); !refusal.empty())
    return unexpected<Error>(Error{refusal, name, ""});
  return {};
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
  bpf::put(maps().ips, changes.ips, Table::kIp, failures);
  bpf::put(maps().guard, changes.guards, Table::kGuard, failures);
  bpf::put(maps().fdb, changes.fdb, Table::kFdb, failures);
  bpf::erase(maps().fdb, changes.fdb, Table::kFdb, failures);
  bpf::erase(maps().guard, changes.guards, Table::kGuard, failures);
  bpf::erase(maps().ips, changes.ips, Table::kIp, failures);
  bpf::erase(maps().access, changes.access, Table::kAccess, failures);
  for (const auto& key : changes.access.erase_keys) maps().storms.erase({key.ifindex, key.vid});
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
  state_->link_locals.apply(state_->maps().link_locals, rows.ips, result.failures);
  bool own_ports = false;
  for (const auto& row : rows.ports) {
    if (!row.present) state_->unbind(row.port);
    own_ports = own_ports || row.role != datapath::PortRole::kVm;
  }
  if (own_ports)
    if (const auto refreshed = state_->refresh_own_addresses(); !refreshed)
      result.error = refreshed.error().to_string();
  return result;
}

// --- counters ---

DropCounters BpfSwitch::drops() const {
  DropCounters counters{};
  if (!state_) return counters;
  const auto sums = sum_per_cpu(state_->maps().drops_fd, bpf::SWITCH_DROP_COUNT);
  std::copy(sums.begin(), sums.end(), counters.begin());
  return counters;
}

datapath::InstanceCounters BpfSwitch::instance_counters(InstanceId instance) const {
  bpf::switch_counters counters{};
  if (state_) state_->maps().counters.get(instance.value(), counters);
  return {counters.rx_frames, counters.rx_octets,      counters.tx_frames,
          counters.tx_octets, counters.dropped_closed, counters.dropped_storm};
}

BpfSwitch::Flooded BpfSwitch::flooded() const {
  if (!state_) return {};
  const auto sums = sum_per_cpu(state_->maps().floods_fd, bpf::SWITCH_FLOODED_COUNT);
  return {sums[bpf::SWITCH_FLOODED_FRAMES], sums[bpf::SWITCH_FLOODED_COPIES]};
}

void BpfSwitch::clear_counters(InstanceId instance) {
  if (!state_) return;
  state_->maps().counters.erase(instance.value());
  state_->maps().storms.erase({0, instance.value()});
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
