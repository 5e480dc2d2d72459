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

AddressRow& TsiTable::add_address(Index instance, const AddressName& name) {
  TsiRow& row = rows_[instance];
  AddressRow address;
  address.mac = name.mac;
  auto place = place_of(row.addresses, name.mac);
  if (!name.ip.is_none()) {
    ensure(place != row.addresses.end() && place->owns() && place->mac == name.mac, "an IP stands behind its MAC");
    address.ip = ips_.add(instance, name.ip);
    ip_owners_.add(row.vn, name.ip, row.vsi);
    return *row.addresses.insert(place + 1, address);
  }
  if (address.owns()) {
    Owner& owner = owners_[AddressKey{row.vn, name.mac}];
    if (owner.holder == kNoIndex) owner.holder = instance;
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
  if (owner.holder != instance) return;
  for (Index i = first_of_vsi(row.vsi); i != kNoIndex; i = rows_[i].next_of_vsi)
    if (i != instance && rows_[i].vn == row.vn && find_address(i, mac) != nullptr) owner.holder = i;
  ensure(owner.holder != instance, "an address has holders but none is found");
}

Index TsiTable::first_of_vsi(const VsiId& vsi) const {
  const auto found = first_of_vsi_.find(vsi);
  return found == first_of_vsi_.end() ? kNoIndex : found->second;
}

void TsiTable::prefetch(const VsiId& vsi) const {
  if (const Index first = first_of_vsi(vsi); first != kNoIndex) rows_.prefetch(first);
}

void TsiTable::prefetch(const AddressKey& key) const {
  if (const auto found = owners_.find(key); found != owners_.end()) __builtin_prefetch(&found->second);
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
  if (address.work != kNoIndex || address.ip != 0 || ips_.count(instance) == 0) return address.work != kNoIndex;
  const auto& all = rows_[instance].addresses;
  return std::any_of(all.begin(), all.end(),
                     [&](const AddressRow& one) { return one.mac == address.mac && one.work != kNoIndex; });
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
