// SPDX-License-Identifier: Apache-2.0
// Rows of a datapath as keys and values of the eBPF switch's maps, and back.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf/switch_maps.h"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::host::bpf {

/// A port as it is bound to an interface of this network namespace.
struct BoundPort {
  std::uint32_t ifindex = 0;
  datapath::PortRole role = datapath::PortRole::kAccess;
  std::string name;
  bool attached = false;  ///< false: detached; the ifindex is kept so that its rows can still be named and removed
  std::vector<std::uint16_t> host_vids;  ///< of the host's VLAN devices on it (S26)
  switch_port entry = {};                ///< what the programs shall know of it
};

/// Which interface each port id means. An interface has at most one port.
class PortTable {
 public:
  /// Binds a port, taking the interface away from the port that had it.
  void bind(PortId port, BoundPort bound);
  void detach(PortId port);
  const BoundPort* find(PortId port) const;
  std::optional<PortId> port_of(std::uint32_t ifindex) const;
  /// Bound ports only matter to rows that are wanted; rows that shall go may name a detached one.
  std::optional<std::uint32_t> ifindex_of(PortId port, bool wanted) const;
  const std::map<PortId, BoundPort>& all() const { return ports_; }

 private:
  std::map<PortId, BoundPort> ports_;
  std::unordered_map<std::uint32_t, PortId> by_ifindex_;
};

/// A row as its map has it: the key, and the value unless the row shall go. A row without key cannot be there at all.
/// `cause` says what could not be carried out, even if the rest can.
template <class Key, class Value>
struct Encoded {
  std::optional<Key> key;
  std::optional<Value> value;
  std::string cause;
};
using EncodedDomain = Encoded<std::uint32_t, switch_domain>;
using EncodedAccess = Encoded<switch_access_key, switch_access>;
using EncodedGuard = Encoded<switch_guard_key, switch_guard>;
using EncodedIp = Encoded<switch_ip_key, std::uint32_t>;
using EncodedFdb = Encoded<switch_fdb_key, switch_fdb>;

EncodedDomain encode(const datapath::DomainRow& row, const PortTable& ports);
EncodedAccess encode(const datapath::AccessRow& row, const PortTable& ports);
EncodedGuard encode(const datapath::GuardRow& row, const PortTable& ports);
EncodedIp encode(const datapath::IpRow& row, const PortTable& ports);
EncodedFdb encode(const datapath::FdbRow& row, const PortTable& ports);

/// What the table of ports says of a row beside its interface: what it lets through to the host, and its limit.
void set_policy(const datapath::PortRow& row, switch_port& entry);
void read_policy(const switch_port& entry, datapath::PortRow& row);

/// Back to rows; `nullopt` if an interface is no port of ours.
std::optional<datapath::DomainRow> decode(const switch_domain& value, const PortTable& ports);
std::optional<datapath::AccessRow> decode(const switch_access_key& key, const switch_access& value,
                                          const PortTable& ports);
std::optional<datapath::GuardRow> decode(const switch_guard_key& key, const switch_guard& value,
                                         const PortTable& ports);
datapath::IpRow decode(const switch_ip_key& key);
std::optional<datapath::FdbRow> decode(const switch_fdb_key& key, const switch_fdb& value, const PortTable& ports);

}  // namespace splitnve::host::bpf
