// SPDX-License-Identifier: Apache-2.0
// Full comparison of what is wanted with what the kernel has: writes only the differences, deletes strangers.
#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>

#include "bpf_switch_state.hpp"
#include "splitnve/host/bpf_switch.hpp"

namespace splitnve::host {
namespace {

using bpf::Change;

// Keeps of `wanted` what differs from the map, and adds the erasure of every row that nobody wants.
template <class Key, class Value>
Result<Change<Key, Value>> difference(const bpf::Map<Key, Value>& map, const Change<Key, Value>& wanted,
                                      ReconcileReport& report) {
  bpf::PlaceOf<Key> place;
  place.reserve(wanted.put_keys.size());
  for (std::uint32_t i = 0; i < wanted.put_keys.size(); ++i) place.emplace(wanted.put_keys[i], i);
  std::vector<bool> equal(wanted.put_keys.size());
  Change<Key, Value> out;
  std::size_t found = 0;
  auto read = map.for_each([&](const Key& key, const Value& value) {
    const auto row = place.find(key);
    if (row == place.end()) {
      out.erase_keys.push_back(key);
      return;
    }
    ++found;
    equal[row->second] = bpf::OctetEqual()(value, wanted.put_values[row->second]);
    ++(equal[row->second] ? report.unchanged : report.changed);
  });
  if (!read) return unexpected<Error>(read.error());
  report.added += wanted.put_keys.size() - found;
  report.removed += out.erase_keys.size();
  for (std::size_t i = 0; i < wanted.put_keys.size(); ++i) {
    if (equal[i]) continue;
    out.put_keys.push_back(wanted.put_keys[i]);
    out.put_values.push_back(wanted.put_values[i]);
    out.put_index.push_back(wanted.put_index[i]);
  }
  return out;
}

template <class Key, class Value, class Row, class Decode>
Result<void> read_rows(const bpf::Map<Key, Value>& map, std::vector<Row>& rows, Decode decode_row) {
  const auto actual = map.read_all();
  if (!actual) return unexpected<Error>(actual.error());
  for (const auto& [key, value] : *actual)
    if (auto row = decode_row(key, value)) rows.push_back(std::move(*row));
  return {};
}

// Counters of instances that no row names: their ids may be given to others.
Result<void> forget_counters(const bpf::Maps& maps, const bpf::Changes& wanted) {
  const auto counted = maps.counters.read_all();
  if (!counted) return unexpected<Error>(counted.error());
  if (counted->empty()) return {};
  boost::unordered_flat_set<std::uint32_t> known;
  known.reserve(wanted.guards.put_values.size());
  for (const auto& guard : wanted.guards.put_values) known.insert(guard.instance);
  for (const auto& owner : wanted.fdb.put_values) known.insert(owner.instance);
  std::vector<std::uint32_t> strangers;
  for (const auto& [instance, counters] : *counted)
    if (!known.contains(instance)) strangers.push_back(instance);
  maps.counters.erase(strangers);
  for (const auto instance : strangers) maps.storms.erase({0, instance});
  return {};
}

}  // namespace

// Port ids may mean other interfaces than in the daemon's last life, so they are learnt anew; rows name interfaces.
Result<void> BpfSwitch::State::bind_all(const std::vector<datapath::PortRow>& rows, ReconcileReport& report) {
  const auto known = maps().ports.read_all();
  if (!known) return unexpected<Error>(known.error());
  ports = bpf::PortTable();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].present) continue;
    if (auto cause = bind(rows[i]); !cause.empty()) {
      report.failures.push_back({datapath::Table::kPort, i, std::move(cause)});
      continue;
    }
    const auto* bound = ports.find(rows[i].port);
    bpf::switch_port now{};
    maps().ports.get(bound->ifindex, now);
    const auto before =
        std::find_if(known->begin(), known->end(), [&](const auto& entry) { return entry.first == bound->ifindex; });
    if (before == known->end())
      ++report.added;
    else
      ++(bpf::OctetEqual()(before->second, now) ? report.unchanged : report.changed);
  }
  return {};
}

Result<void> BpfSwitch::State::unbind_strangers(ReconcileReport& report) {
  const auto known = maps().ports.read_all();
  if (!known) return unexpected<Error>(known.error());
  for (const auto& [ifindex, port] : *known) {
    if (ports.port_of(ifindex)) continue;
    unbind_interface(ifindex);
    ++report.removed;
  }
  return {};
}

// A VNI entry follows from its domain; one that does not is a stranger.
Result<std::size_t> BpfSwitch::State::examine_vnis(bool mend) {
  const auto actual = maps().vnis.read_all();
  if (!actual) return unexpected<Error>(actual.error());
  std::unordered_map<std::uint32_t, std::uint32_t> missing;
  std::vector<std::uint32_t> strangers;
  for (const auto& [domain, vni] : vni_of) missing[vni] = domain;
  for (const auto& [vni, domain] : *actual) {
    const auto wanted = missing.find(vni);
    if (wanted == missing.end()) {
      strangers.push_back(vni);
    } else if (wanted->second == domain) {
      missing.erase(wanted);
    }
  }
  if (mend) {
    for (const std::uint32_t vni : strangers) maps().vnis.erase(vni);
    for (const auto& [vni, domain] : missing) maps().vnis.put(vni, domain);
  }
  return strangers.size() + missing.size();
}

Result<void> BpfSwitch::State::repair_vnis() {
  const auto done = examine_vnis(true);
  return done ? Result<void>() : unexpected<Error>(done.error());
}

Result<ReconcileReport> BpfSwitch::reconcile(const datapath::Rows& full) {
  ReconcileReport report;
  if (!state_) return unexpected<Error>(Error{"the eBPF switch was torn down", "", ""});
  const auto& maps = state_->maps();
  if (auto bound = state_->bind_all(full.ports, report); !bound) return unexpected<Error>(bound.error());
  const auto wanted = bpf::changes_of(full, state_->ports, report.failures);
  const auto domains = difference(maps.domains, wanted.domains, report);
  if (!domains) return unexpected<Error>(domains.error());
  const auto access = difference(maps.access, wanted.access, report);
  if (!access) return unexpected<Error>(access.error());
  const auto ips = difference(maps.ips, wanted.ips, report);
  if (!ips) return unexpected<Error>(ips.error());
  const auto guards = difference(maps.guard, wanted.guards, report);
  if (!guards) return unexpected<Error>(guards.error());
  const auto fdb = difference(maps.fdb, wanted.fdb, report);
  if (!fdb) return unexpected<Error>(fdb.error());
  state_->write({*domains, *access, *ips, *guards, *fdb}, report.failures);
  for (const auto& done : {state_->unbind_strangers(report), state_->refresh_own_addresses(), state_->repair_vnis(),
                           state_->link_locals.reconcile(maps.link_locals, full.ips), forget_counters(maps, wanted)})
    if (!done) return unexpected<Error>(done.error());
  return report;
}

Result<datapath::Rows> BpfSwitch::dump() const {
  datapath::Rows rows;
  if (!state_) return rows;
  const auto& maps = state_->maps();
  const auto& ports = state_->ports;
  for (const auto& [port, bound] : ports.all()) {
    if (!bound.attached) continue;
    rows.ports.push_back({port, bound.name, bound.role, true});
    if (bpf::switch_port entry{}; maps.ports.get(bound.ifindex, entry)) bpf::read_policy(entry, rows.ports.back());
  }
  const auto domains =
      read_rows(maps.domains, rows.domains, [&](const auto&, const auto& value) { return bpf::decode(value, ports); });
  if (!domains) return unexpected<Error>(domains.error());
  const auto decode_pair = [&](const auto& key, const auto& value) { return bpf::decode(key, value, ports); };
  const auto decode_key = [](const auto& key, const auto&) { return std::optional(bpf::decode(key)); };
  for (const auto& read : {read_rows(maps.ips, rows.ips, decode_key), read_rows(maps.access, rows.access, decode_pair),
                           read_rows(maps.guard, rows.guards, decode_pair), read_rows(maps.fdb, rows.fdb, decode_pair)})
    if (!read) return unexpected<Error>(read.error());
  return rows;
}

}  // namespace splitnve::host
