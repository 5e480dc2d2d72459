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
  const auto [first, added] = first_of_vsi_.emplace(vsi, instance);
  if (!added) row.next_of_vsi = std::exchange(first->second, instance);
  return instance;
}

void TsiTable::erase(Index instance) {
  const TsiRow& row = rows_[instance];
  ensure(row.addresses.empty(), "erasing a TSI that has addresses");
  const auto first = first_of_vsi_.find(row.vsi);
  if (first->second == instance) {
    first->second = row.next_of_vsi;
    if (first->second == kNoIndex) first_of_vsi_.erase(first);
  } else {
    Index before = first->second;
    while (rows_[before].next_of_vsi != instance) before = rows_[before].next_of_vsi;
    rows_[before].next_of_vsi = row.next_of_vsi;
  }
  release_manager(row.manager);
  rows_.erase(instance);
}

AddressRow& TsiTable::add_address(Index instance, const MacAddress& mac) {
  TsiRow& row = rows_[instance];
  if (!mac.is_zero()) {
    Owner& owner = owners_[AddressKey{row.vn, mac}];
    if (owner.holder == kNoIndex) owner.holder = instance;
    ++owner.holders;
  }
  AddressRow address;
  address.mac = mac;
  return *row.addresses.insert(place_of(row.addresses, mac), address);
}

void TsiTable::erase_address(Index instance, const MacAddress& mac) {
  TsiRow& row = rows_[instance];
  const auto place = place_of(row.addresses, mac);
  ensure(place != row.addresses.end() && place->mac == mac, "erasing an address that is not there");
  ensure(place->level == Level::kNone, "erasing an address that is in use");
  row.addresses.erase(place);
  if (mac.is_zero()) return;
  const AddressKey key{row.vn, mac};
  const auto found = owners_.find(key);
  Owner& owner = found->second;
  ensure(owner.active != instance && owner.winner != instance, "erasing the owner's address");
  if (--owner.holders == 0) {
    owners_.erase(found);
    return;
  }
  if (owner.holder != instance) return;
  for (Index i = first_of_vsi(row.vsi); i != kNoIndex; i = rows_[i].next_of_vsi)
    if (i != instance && rows_[i].vn == row.vn && find_address(i, mac) != nullptr) owner.holder = i;
  ensure(owner.holder != instance, "an address has holders but none is found");
}

Index TsiTable::first_of_vsi(const VsiId& vsi) const {
  const auto found = first_of_vsi_.find(vsi);
  return found == first_of_vsi_.end() ? kNoIndex : found->second;
}

Index TsiTable::find(const VsiId& vsi, GroupId vn, Index peer) const {
  for (Index i = first_of_vsi(vsi); i != kNoIndex; i = rows_[i].next_of_vsi)
    if (rows_[i].peer == peer && rows_[i].vn == vn) return i;
  return kNoIndex;
}

bool TsiTable::has(const VsiId& vsi, Index peer) const {
  for (Index i = first_of_vsi(vsi); i != kNoIndex; i = rows_[i].next_of_vsi)
    if (rows_[i].peer == peer) return true;
  return false;
}

AddressRow* TsiTable::find_address(Index instance, const MacAddress& mac) {
  auto& addresses = rows_[instance].addresses;
  const auto place = place_of(addresses, mac);
  return place != addresses.end() && place->mac == mac ? &*place : nullptr;
}

const AddressRow* TsiTable::find_address(Index instance, const MacAddress& mac) const {
  return const_cast<TsiTable*>(this)->find_address(instance, mac);
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
