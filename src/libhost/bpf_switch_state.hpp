// SPDX-License-Identifier: Apache-2.0
// What an open eBPF switch holds, and how a set of rows becomes batches of map writes.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf_switch_link_locals.hpp"
#include "bpf_switch_links.hpp"
#include "bpf_switch_map.hpp"
#include "bpf_switch_object.hpp"
#include "bpf_switch_rows.hpp"
#include "bpf_switch_tc.hpp"
#include "splitnve/host/bpf_switch.hpp"
#include "splitnve/host/underlay.hpp"

struct ring_buffer;  // of libbpf

namespace splitnve::host::bpf {

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
  struct Write {
    Key key;
    std::optional<Value> value;
    std::uint32_t index;
  };
  std::vector<Write> writes;
  PlaceOf<Key> place;
  writes.reserve(rows.size());
  place.reserve(rows.size());
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    auto encoded = encode(rows[i], ports);
    if (!encoded.cause.empty()) failures.push_back({table, i, std::move(encoded.cause)});
    if (!encoded.key) continue;
    const auto [found, fresh] = place.try_emplace(*encoded.key, static_cast<std::uint32_t>(writes.size()));
    if (fresh)
      writes.push_back({*encoded.key, encoded.value, i});
    else
      writes[found->second] = {*encoded.key, encoded.value, i};
  }
  Change<Key, Value> change;
  change.put_keys.reserve(writes.size());
  change.put_values.reserve(writes.size());
  change.put_index.reserve(writes.size());
  for (const auto& [key, value, index] : writes) {
    if (value) {
      change.put_keys.push_back(key);
      change.put_values.push_back(*value);
      change.put_index.push_back(index);
    } else {
      change.erase_keys.push_back(key);
      change.erase_index.push_back(index);
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

/// All tables of a batch as writes; the ports are bound before.
struct Changes {
  Change<std::uint32_t, switch_domain> domains;
  Change<switch_access_key, switch_access> access;
  Change<switch_ip_key, std::uint32_t> ips;
  Change<switch_guard_key, switch_guard> guards;
  Change<switch_fdb_key, switch_fdb> fdb;
};
BpfSwitch::Program program_of(datapath::PortRole role);
/// A pin root without the slash at its end: how filters name their instance.
std::string owner_name(const std::string& pin_root);
/// Words for another instance that stands at our place of an interface, or nothing. `known`: programs of ours.
std::string other_instance(const Ingress& ingress, const std::string& owner, const std::vector<std::uint32_t>& known);
Changes changes_of(const datapath::Rows& rows, const PortTable& ports, Failures& failures);

}  // namespace splitnve::host::bpf

namespace splitnve::host {

struct BpfSwitch::State {
  Config config;
  std::unique_ptr<bpf::Object> object;
  bpf::PortTable ports;
  bpf::LinkLocals link_locals;
  std::unordered_map<std::uint32_t, std::uint32_t> vni_of;  ///< by domain, to find the VNI that a domain leaves
  struct RingFree {
    void operator()(ring_buffer* ring) const;
  };
  std::unique_ptr<ring_buffer, RingFree> strays;  ///< made when somebody asks for its descriptor
  std::function<void(const Stray&)> tell_stray;   ///< while it is drained
  static int take_stray(void* state, void* octets, std::size_t size);
  std::uint32_t vxlan_ifindex = 0;
  bpf::switch_settings own_settings{};  ///< as the map has them, if nobody else wrote there
  unsigned vxlan_mtu = 0;
  std::optional<UnderlayRoom> underlay;  ///< as it was when last measured
  std::uint32_t underlay_ifindex = 0;    ///< of the interface that has the local address
  bool mtu_told = false;                 ///< the programs know that the underlay is too small

  const bpf::Maps& maps() const { return object->maps(); }
  Result<void> measure_underlay();
  /// Everything that `open` does once the maps are there.
  Result<void> adopt();
  Result<void> set_up_tunnels();
  Result<void> attach_tunnel();
  Result<void> adopt_ports();
  Result<void> forget_foreign_rows();

  /// Binds a port and attaches its program; returns the cause of a failure, or nothing.
  std::string bind(const datapath::PortRow& row);
  std::string refusal_to_bind(const datapath::PortRow& row, const bpf::Link& link, const bpf::Ingress& ingress,
                              const bpf::HostUse& use) const;
  std::string attach(const bpf::Link& link, Program program, bpf::switch_port* entry);
  bool is_in_front(const bpf::Ingress& ingress, Program program) const;
  bpf::Attachment attachment(Program program) const;
  /// How many rows differ from what the ports say; with `mend` no more.
  Result<std::size_t> examine_own_addresses(bool mend);
  Result<void> refresh_own_addresses();
  void unbind(PortId port);
  void unbind_interface(std::uint32_t ifindex);

  // --- bpf_switch_watch.cpp ---
  /// A filter of ours, and nothing before it.
  void examine_ingress(const bpf::Link& link, const std::string& name, Program program, std::optional<PortId> port,
                       bool mend, KernelFaults& faults);
  void examine_port_row(PortId port, const bpf::Link& link, bool mend, KernelFaults& faults);
  void examine_tunnel(bool mend, KernelFaults& faults);
  void examine_underlay(KernelFaults& faults);
  void examine_pins(bool mend, KernelFaults& faults);
  void examine_tables(bool mend, KernelFaults& faults);
  void set_tunnel_mtu(unsigned mtu);

  Result<void> bind_all(const std::vector<datapath::PortRow>& rows, ReconcileReport& report);
  Result<void> unbind_strangers(ReconcileReport& report);
  Result<std::size_t> examine_vnis(bool mend);
  Result<void> repair_vnis();

  void write(const bpf::Changes& changes, bpf::Failures& failures);
  void put_domains(const bpf::Change<std::uint32_t, bpf::switch_domain>& change, bpf::Failures& failures);
  void erase_domains(const bpf::Change<std::uint32_t, bpf::switch_domain>& change, bpf::Failures& failures);
  void forget_vni(std::uint32_t domain);
};

}  // namespace splitnve::host
