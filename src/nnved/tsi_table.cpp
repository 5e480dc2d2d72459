// SPDX-License-Identifier: Apache-2.0
#include "nnved/tsi_table.hpp"

#include <algorithm>

namespace splitnve::nnved {
namespace {

template <class Addresses>
auto place_of(Addresses& addresses, const MacAddress& mac) {
  return std::lower_bound(addresses.begin(), addresses.end(), mac,
                          [](const AddressRow& address, const MacAddress& wanted) { return address.mac < wanted; });
}

}  // namespace

const char* to_string(TsiState state) {
  switch (state) {
    case TsiState::kInit: return "Init";
    case TsiState::kAssociated: return "Associated";
    case TsiState::kActivated: return "Activated";
  }
  return "unknown";
}

Index TsiTable::create(const VsiId& vsi, GroupId vn, Index peer, Index vap) {
  return link(rows_.emplace(), vsi, vn, peer, vap);
}

Index TsiTable::create_at(Index instance, const VsiId& vsi, GroupId vn, Index peer, Index vap) {
  rows_.emplace_at(instance);
  return link(instance, vsi, vn, peer, vap);
}

Index TsiTable::link(Index instance, const VsiId& vsi, GroupId vn, Index peer, Index vap) {
  TsiRow& row = rows_[instance];
  row.vsi = vsi;
  row.vn = vn;
  row.peer = peer;
  row.vap = vap;
  const auto [first, added] = first_of_vsi_.emplace(VsiAt{vsi, peer}, instance);
  if (!added) {
    row.next_of_vsi = std::exchange(first->second, instance);
    rows_[row.next_of_vsi].previous_of_vsi = instance;
  }
  link_group(instance);
  return instance;
}

void TsiTable::erase(Index instance) {
  const TsiRow& row = rows_[instance];
  ensure(row.addresses.empty(), "erasing a TSI that has addresses");
  if (row.next_of_vsi != kNoIndex) rows_[row.next_of_vsi].previous_of_vsi = row.previous_of_vsi;
  if (row.previous_of_vsi != kNoIndex) {
    rows_[row.previous_of_vsi].next_of_vsi = row.next_of_vsi;
  } else if (row.next_of_vsi != kNoIndex) {
    first_of_vsi_.find(VsiAt{row.vsi, row.peer})->second = row.next_of_vsi;
  } else {
    first_of_vsi_.erase(VsiAt{row.vsi, row.peer});
  }
  unlink_group(instance);
  release_manager(row.manager);
  rows_.erase(instance);
}

void TsiTable::link_group(Index instance) {
  TsiRow& row = rows_[instance];
  const auto [at, added] = group_index_.emplace(GroupKey{row.peer, row.vn}, kNoIndex);
  if (added) {
    at->second = groups_.emplace();
    Group& made = groups_[at->second];
    made.peer = row.peer;
    made.vn = row.vn;
    if (row.peer >= groups_of_peer_.size()) groups_of_peer_.resize(row.peer + std::size_t{1}, kNoIndex);
    made.next = std::exchange(groups_of_peer_[row.peer], at->second);
    if (made.next != kNoIndex) groups_[made.next].previous = at->second;
  }
  row.group = at->second;
  Group& group = groups_[row.group];
  ++group.count;
  row.next_of_group = std::exchange(group.first, instance);
  if (row.next_of_group != kNoIndex) rows_[row.next_of_group].previous_of_group = instance;
}

void TsiTable::unlink_group(Index instance) {
  const TsiRow& row = rows_[instance];
  Group& group = groups_[row.group];
  if (row.next_of_group != kNoIndex) rows_[row.next_of_group].previous_of_group = row.previous_of_group;
  (row.previous_of_group == kNoIndex ? group.first : rows_[row.previous_of_group].next_of_group) = row.next_of_group;
  if (--group.count > 0) return;
  if (group.next != kNoIndex) groups_[group.next].previous = group.previous;
  (group.previous == kNoIndex ? groups_of_peer_[row.peer] : groups_[group.previous].next) = group.next;
  group_index_.erase(GroupKey{row.peer, row.vn});
  groups_.erase(row.group);
}

const TsiTable::Group* TsiTable::group_of(Index peer, GroupId vn) const {
  const auto at = group_index_.find(GroupKey{peer, vn});
  return at == group_index_.end() ? nullptr : &groups_[at->second];
}

std::uint32_t TsiTable::count_of(Index peer, GroupId vn) const {
  const Group* group = group_of(peer, vn);
  return group == nullptr ? 0 : group->count;
}

Index TsiTable::first_of(Index peer, GroupId vn) const {
  const Group* group = group_of(peer, vn);
  return group == nullptr ? kNoIndex : group->first;
}

Index TsiTable::any_of(Index peer) const {
  const Index group = peer < groups_of_peer_.size() ? groups_of_peer_[peer] : kNoIndex;
  return group == kNoIndex ? kNoIndex : groups_[group].first;
}

AddressRow& TsiTable::add_address(Index instance, const AddressName& name) {
  TsiRow& row = rows_[instance];
  AddressRow address;
  address.mac = name.mac;
  auto place = place_of(row.addresses, name.mac);
  if (!name.ip.is_none()) {
    ensure(place != row.addresses.end() && place->owns() && place->mac == name.mac, "an IP stands behind its MAC");
    address.ip = ips_.add(instance, name.ip);
    ip_owners_.add(row.vn, name.ip, {row.vsi, name.mac, instance});
    return *row.addresses.insert(place + 1, address);
  }
  if (address.owns()) {
    Owner& owner = owners_[AddressKey{row.vn, name.mac}];
    address.next_holder = std::exchange(owner.holder, instance);
    ++owner.holders;
  }
  return *row.addresses.insert(place, address);
}

void TsiTable::erase_address(Index instance, const AddressName& name) {
  TsiRow& row = rows_[instance];
  const AddressRow* erased = find_address(instance, name);
  ensure(erased != nullptr, "erasing an address that is not there");
  ensure(erased->level == Level::kNone, "erasing an address that is in use");
  const bool owns = erased->owns();
  const auto place = row.addresses.begin() + (erased - row.addresses.data());
  ensure(!owns || place + 1 == row.addresses.end() || (place + 1)->mac != name.mac, "a MAC outlives its IPs");
  if (place->ip != 0) ip_owners_.remove(row.vn, name.ip);
  ips_.remove(instance, place->ip);
  const Index next_holder = place->next_holder;
  row.addresses.erase(place);
  if (!owns) return;
  const MacAddress& mac = name.mac;
  const AddressKey key{row.vn, mac};
  const auto found = owners_.find(key);
  Owner& owner = found->second;
  ensure(owner.active != instance && owner.winner != instance, "erasing the owner's address");
  if (--owner.holders == 0) {
    owners_.erase(found);
    return;
  }
  if (owner.holder == instance) {
    owner.holder = next_holder;
    return;
  }
  AddressRow* before = find_address(owner.holder, mac);
  while (before->next_holder != instance) before = find_address(before->next_holder, mac);
  before->next_holder = next_holder;
}

Index TsiTable::first_of_vsi(const VsiId& vsi, Index peer) const {
  const auto found = first_of_vsi_.find(VsiAt{vsi, peer});
  return found == first_of_vsi_.end() ? kNoIndex : found->second;
}

void TsiTable::prefetch(const VsiId& vsi, Index peer) const {
  if (const Index first = first_of_vsi(vsi, peer); first != kNoIndex) rows_.prefetch(first);
}

void TsiTable::prefetch(const AddressKey& key) const {
  if (const auto found = owners_.find(key); found != owners_.end()) __builtin_prefetch(&found->second);
}

/// At most limits::kVnsPerVsiMax steps; nearly always one.
Index TsiTable::find(const VsiId& vsi, GroupId vn, Index peer) const {
  for (Index i = first_of_vsi(vsi, peer); i != kNoIndex; i = rows_[i].next_of_vsi)
    if (rows_[i].vn == vn) return i;
  return kNoIndex;
}

AddressRow* TsiTable::find_address(Index instance, const AddressName& name) {
  auto& addresses = rows_[instance].addresses;
  if (addresses.size() == 1 && name.ip.is_none())  // nearly always
    return addresses.front().mac == name.mac ? &addresses.front() : nullptr;
  for (auto place = place_of(addresses, name.mac); place != addresses.end() && place->mac == name.mac; ++place)
    if (place->ip == 0 ? name.ip.is_none() : ips_.get(instance, place->ip) == name.ip) return &*place;
  return nullptr;
}

const AddressRow* TsiTable::find_address(Index instance, const AddressName& name) const {
  return const_cast<TsiTable*>(this)->find_address(instance, name);
}

bool TsiTable::busy(Index instance, const AddressRow& address) const {
  if (address.work != kNoIndex || address.ip != 0) return address.work != kNoIndex;
  const auto& all = rows_[instance].addresses;
  for (const AddressRow* ip = &address + 1; ip != all.data() + all.size() && ip->mac == address.mac; ++ip)
    if (ip->work != kNoIndex) return true;
  return false;
}

std::optional<MacAddress> TsiTable::only_mac(Index instance) const {
  std::optional<MacAddress> only;
  for (const AddressRow& address : rows_[instance].addresses) {
    if (!address.owns()) continue;
    if (only) return std::nullopt;
    only = address.mac;
  }
  return only;
}

Owner* TsiTable::owner(const AddressKey& key) {
  const auto found = owners_.find(key);
  return found == owners_.end() ? nullptr : &found->second;
}

const Owner* TsiTable::owner(const AddressKey& key) const { return const_cast<TsiTable*>(this)->owner(key); }

void TsiTable::set_manager(Index instance, const ManagerId& manager) {
  auto at = manager_index_.find(manager);
  if (at == manager_index_.end()) at = manager_index_.emplace(manager, managers_.emplace(manager, 0u)).first;
  ++managers_[at->second].uses;
  release_manager(std::exchange(rows_[instance].manager, at->second));
}

void TsiTable::release_manager(Index interned) {
  if (interned == kNoIndex || --managers_[interned].uses > 0) return;
  manager_index_.erase(managers_[interned].id);
  managers_.erase(interned);
}

}  // namespace splitnve::nnved
