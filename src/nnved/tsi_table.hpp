// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <utility>
#include <vector>

#include "nnved/agent.hpp"
#include "nnved/changes.hpp"
#include "nnved/config.hpp"
#include "nnved/ip_owners.hpp"
#include "nnved/reason.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/base/ip_table.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/station.hpp"

namespace splitnve::nnved {

using vdp::Level;

/// One address of a TSI: a MAC, or an IP of one that stands behind it. `level` is what holds now; `pending` is what a
/// work on its way asked for, if `work` is set.
struct AddressRow {
  MacAddress mac;  ///< zero: a format without MAC, the whole (port, VN)
  Vid vid;         ///< frames to it leave with; null: the VAP's first
  Level level = Level::kNone;
  Level pending = Level::kNone;
  bool superseded = false;  ///< the VSI moved away; latched while the winner has the address (S6)
  bool let_go = false;      ///< and its station has said that it knows: it may ask for a migration back
  IpTable::Number ip = 0;   ///< of the instance, in the table's `ips`
  Index work = kNoIndex;
  Index next_holder = kNoIndex;  ///< the next instance of the VSI that has (VN, MAC)
  Instant renewed{};

  /// Does (VN, MAC) belong to it? An IP follows its MAC, and a format without MAC has none.
  bool owns() const { return ip == 0 && !mac.is_zero(); }
  /// What it is, or will be when its work is through.
  Level effective() const { return work != kNoIndex && pending != Level::kNone ? pending : level; }
};

/// One TSI instance (S1): key (VSI-ID, VN, port, station). Its state is a view over the levels of its addresses.
struct TsiRow {
  VsiId vsi;
  vdp::Migration migration = vdp::Migration::kUnknown;  ///< of these only `arriving` is stored
  bool suspended = false;
  std::uint8_t vids_stored = 0;  ///< how many further VIDs of the VN its record has
  Reason last_refusal = Reason::kNone;
  vdp::FilterFormat format = vdp::FilterFormat::kGroupMacVid;
  GroupId vn;
  MacAddress station;
  Index peer = kNoIndex;  ///< stands for port and station
  Index vap = kNoIndex;
  Index next_of_vsi = kNoIndex, previous_of_vsi = kNoIndex;      ///< the VSI at this station, in other VNs
  Index next_of_group = kNoIndex, previous_of_group = kNoIndex;  ///< the station's other VSIs in this VN
  Index group = kNoIndex;
  Index manager = kNoIndex;  ///< interned
  VsiType type;
  std::uint16_t associated = 0;  ///< addresses that are reserved or active
  std::uint16_t active = 0;
  boost::container::small_vector<AddressRow, 1> addresses;  ///< sorted by MAC, its IPs behind it

  TsiState state() const {
    return active > 0 ? TsiState::kActivated : associated > 0 ? TsiState::kAssociated : TsiState::kInit;
  }
};

/// Who has (VN, MAC): instances of one VSI-ID, at most one of them active.
struct Owner {
  Index holder = kNoIndex;  ///< the first of the instances that have the address
  Index active = kNoIndex;  ///< the one that is Activated
  Index winner = kNoIndex;  ///< the one that activated last: the others' latches stand while it has the address
  std::uint32_t holders = 0;
  std::uint32_t generation = 0;       ///< rises with every takeover (S27)
  std::uint32_t told_generation = 0;  ///< as last published
  bool told_mapped = false, told_forwarding = false;

  bool is_told(const agent::AuthorityRow& row) const {
    return told_mapped == row.mapped && told_forwarding == row.forwarding &&
           (!row.mapped || told_generation == row.generation);
  }
  void tell(const agent::AuthorityRow& row) {
    told_mapped = row.mapped;
    told_forwarding = row.forwarding;
    told_generation = row.generation;
  }
};

/// The TSI rows and their indexes. It keeps the indexes true; what a change means is the TSI machine's business.
class TsiTable {
 public:
  Index create(const VsiId& vsi, GroupId vn, Index peer, Index vap);
  /// Requires an instance without addresses.
  void erase(Index instance);
  AddressRow& add_address(Index instance, const AddressName& name);
  /// Requires an address at level kNone, neither owner's active nor winner, and a MAC without IPs.
  void erase_address(Index instance, const AddressName& name);

  Index find(const VsiId& vsi, GroupId vn, Index peer) const;
  /// Begins to bring what a request for this VSI will look at into the cache.
  void prefetch(const VsiId& vsi, Index peer) const;
  void prefetch(const AddressKey& key) const;
  /// First instance of a VSI at a station, one per VN; go on with `next_of_vsi`.
  Index first_of_vsi(const VsiId& vsi, Index peer) const;
  bool has(const VsiId& vsi, Index peer) const { return first_of_vsi(vsi, peer) != kNoIndex; }
  /// A station's instances in a VN: how many, and the first; go on with `next_of_group`.
  std::uint32_t count_of(Index peer, GroupId vn) const;
  Index first_of(Index peer, GroupId vn) const;
  /// Any instance of a station.
  Index any_of(Index peer) const;
  AddressRow* find_address(Index instance, const AddressName& name);
  const AddressRow* find_address(Index instance, const AddressName& name) const;
  AddressName name(Index instance, const AddressRow& address) const {
    return {address.mac, ips_.get(instance, address.ip)};
  }
  /// Does a work want the address, or an IP of it?
  bool busy(Index instance, const AddressRow& address) const;
  /// The only MAC of the instance; nothing if it has several, or none.
  std::optional<MacAddress> only_mac(Index instance) const;
  const IpTable& ips() const { return ips_; }
  const IpOwners& ip_owners() const { return ip_owners_; }
  Owner* owner(const AddressKey& key);
  const Owner* owner(const AddressKey& key) const;

  /// Calls `visit(instance, address)` for each instance that has (VN, MAC), at most limits::kPlacesPerAddressMax of
  /// them that came by requests.
  template <class F>
  void for_each_holder(const AddressKey& key, F&& visit) const {
    const Owner* found = owner(key);
    for (Index i = found == nullptr ? kNoIndex : found->holder; i != kNoIndex;) {
      const AddressRow& address = *find_address(i, key.mac);
      const Index next = address.next_holder;
      visit(i, address);
      i = next;
    }
  }
  template <class F>
  void for_each_owner(F&& visit) {
    for (auto& [key, owner] : owners_) visit(key, owner);
  }

  /// Managers are interned and counted: few managers, many rows.
  void set_manager(Index instance, const ManagerId& manager);
  const ManagerId& manager(Index instance) const { return managers_[rows_[instance].manager].id; }

  TsiRow& operator[](Index instance) { return rows_[instance]; }
  const TsiRow& operator[](Index instance) const { return rows_[instance]; }
  const Slab<TsiRow>& rows() const { return rows_; }
  /// Restoring only: the row gets this very index.
  Index create_at(Index instance, const VsiId& vsi, GroupId vn, Index peer, Index vap);

 private:
  struct VsiAt {
    VsiId vsi;
    Index peer = kNoIndex;
    friend bool operator==(const VsiAt&, const VsiAt&) = default;
    friend std::size_t hash_value(const VsiAt& key) { return hash_value(key.vsi) ^ key.peer * 0x9E3779B97F4A7C15ull; }
  };
  /// A station's instances in one VN, and its other groups.
  struct Group {
    Index peer = kNoIndex;
    GroupId vn;
    Index first = kNoIndex;
    std::uint32_t count = 0;
    Index next = kNoIndex, previous = kNoIndex;
  };
  struct GroupKey {
    Index peer = kNoIndex;
    GroupId vn;
    friend bool operator==(const GroupKey&, const GroupKey&) = default;
    friend std::size_t hash_value(const GroupKey& key) {
      return boost::hash<std::uint64_t>()((std::uint64_t{key.peer} << 32) | key.vn.value());
    }
  };
  void link_group(Index instance);
  void unlink_group(Index instance);
  const Group* group_of(Index peer, GroupId vn) const;
  Index link(Index instance, const VsiId& vsi, GroupId vn, Index peer, Index vap);

  void release_manager(Index interned);

  struct Manager {
    ManagerId id;
    std::uint32_t uses = 0;
  };
  Slab<TsiRow> rows_;
  IpTable ips_;
  IpOwners ip_owners_;
  boost::unordered_flat_map<VsiAt, Index> first_of_vsi_;
  Slab<Group, 64> groups_;
  boost::unordered_flat_map<GroupKey, Index> group_index_;
  std::vector<Index> groups_of_peer_;  ///< the first group of each peer
  boost::unordered_flat_map<AddressKey, Owner> owners_;
  Slab<Manager, 16> managers_;
  boost::unordered_flat_map<ManagerId, Index> manager_index_;
};

/// The datapath's and the store's name of a row.
inline InstanceId instance_id(Index instance) { return InstanceId(instance + 1); }
inline Index instance_index(InstanceId id) { return id.value() - 1; }

}  // namespace splitnve::nnved
