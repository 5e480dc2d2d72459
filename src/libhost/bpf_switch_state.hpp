// SPDX-License-Identifier: Apache-2.0
// What an open eBPF switch holds, and how a set of rows becomes batches of map writes.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf_switch_links.hpp"
#include "bpf_switch_map.hpp"
#include "bpf_switch_object.hpp"
#include "bpf_switch_rows.hpp"
#include "splitnve/host/bpf_switch.hpp"
#include "splitnve/host/underlay.hpp"

namespace splitnve::host::bpf {

/// A plain key or value by its octets, for hashing and comparing.
template <class T>
std::string_view octets_of(const T& plain) {
  return {static_cast<const char*>(static_cast<const void*>(&plain)), sizeof(T)};
}
struct OctetHash {
  template <class T>
  std::size_t operator()(const T& plain) const {
    return std::hash<std::string_view>()(octets_of(plain));
  }
};
struct OctetEqual {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return octets_of(a) == octets_of(b);
  }
};

/// The writes that bring one map to its rows; `*_index` name the row that each came from.
template <class Key, class Value>
struct Change {
  std::vector<Key> put_keys;
  std::vector<Value> put_values;
  std::vector<std::uint32_t> put_index;
  std::vector<Key> erase_keys;
  std::vector<std::uint32_t> erase_index;
};

using Failures = std::vector<datapath::Failure>;

std::string cause_of(int error);

/// Rows as writes; the last row of a key wins, and rows that cannot be carried out go to `failures`.
template <class Key, class Value, class Row>
Change<Key, Value> change_of(const std::vector<Row>& rows, const PortTable& ports, datapath::Table table,
                             Failures& failures) {
  Change<Key, Value> change;
  std::unordered_map<Key, std::uint32_t, OctetHash, OctetEqual> last;
  std::vector<Encoded<Key, Value>> encoded;
  encoded.reserve(rows.size());
  last.reserve(rows.size());
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    encoded.push_back(encode(rows[i], ports));
    if (!encoded.back().cause.empty()) failures.push_back({table, i, encoded.back().cause});
    if (encoded.back().key) last[*encoded.back().key] = i;
  }
  for (std::uint32_t i = 0; i < encoded.size(); ++i) {
    const auto& [key, value, cause] = encoded[i];
    if (!key || last.at(*key) != i) continue;
    if (value) {
      change.put_keys.push_back(*key);
      change.put_values.push_back(*value);
      change.put_index.push_back(i);
    } else {
      change.erase_keys.push_back(*key);
      change.erase_index.push_back(i);
    }
  }
  return change;
}

template <class Key, class Value>
void put(const Map<Key, Value>& map, const Change<Key, Value>& change, datapath::Table table, Failures& failures) {
  for (const auto& refusal : map.put(change.put_keys, change.put_values))
    failures.push_back({table, change.put_index[refusal.index], cause_of(refusal.error)});
}

template <class Key, class Value>
void erase(const Map<Key, Value>& map, const Change<Key, Value>& change, datapath::Table table, Failures& failures) {
  for (const auto& refusal : map.erase(change.erase_keys)) {
    const bool named = refusal.index < change.erase_index.size();  // a stranger that a reconcile found has no row
    failures.push_back({table, named ? change.erase_index[refusal.index] : 0u, cause_of(refusal.error)});
  }
}

/// All five tables of a batch as writes; the ports are bound before.
struct Changes {
  Change<std::uint32_t, switch_domain> domains;
  Change<switch_access_key, switch_access> access;
  Change<switch_guard_key, switch_guard> guards;
  Change<switch_fdb_key, switch_fdb> fdb;
};
BpfSwitch::Program program_of(datapath::PortRole role);
Changes changes_of(const datapath::Rows& rows, const PortTable& ports, Failures& failures);

}  // namespace splitnve::host::bpf

namespace splitnve::host {

struct BpfSwitch::State {
  Config config;
  std::unique_ptr<bpf::Object> object;
  bpf::PortTable ports;
  std::unordered_map<std::uint32_t, std::uint32_t> vni_of;  ///< by domain, to find the VNI that a domain leaves
  std::uint32_t vxlan_ifindex = 0;
  std::optional<UnderlayRoom> underlay;  ///< as it was when the switch was opened

  const bpf::Maps& maps() const { return object->maps(); }
  Result<void> measure_underlay();
  /// Everything that `open` does once the maps are there.
  Result<void> adopt();
  Result<void> set_up_tunnels();
  Result<void> adopt_ports();
  Result<void> forget_foreign_rows();

  /// Binds a port and attaches its program; returns the cause of a failure, or nothing.
  std::string bind(const datapath::PortRow& row);
  std::string refusal_to_bind(const datapath::PortRow& row, std::uint32_t ifindex, const bpf::HostUse& use) const;
  Result<void> refresh_own_addresses();
  void unbind(PortId port);
  void unbind_interface(std::uint32_t ifindex);
  /// Rows that name one interface name another: its port's device was made anew.
  void move_rows(std::uint32_t from, std::uint32_t to);

  Result<void> bind_all(const std::vector<datapath::PortRow>& rows, ReconcileReport& report);
  Result<void> unbind_strangers(ReconcileReport& report);
  Result<void> repair_vnis();

  void write(const bpf::Changes& changes, bpf::Failures& failures);
  void put_domains(const bpf::Change<std::uint32_t, bpf::switch_domain>& change, bpf::Failures& failures);
  void erase_domains(const bpf::Change<std::uint32_t, bpf::switch_domain>& change, bpf::Failures& failures);
  void forget_vni(std::uint32_t domain);
};

}  // namespace splitnve::host
