// SPDX-License-Identifier: Apache-2.0
#include "nnved/tsi_machine.hpp"

#include <algorithm>
#include <utility>

namespace splitnve::nnved {

Index TsiMachine::create(const VsiId& vsi, GroupId vn, Index peer, const MacAddress& station, Index vap, Index number) {
  const Index instance =
      number == kNoIndex ? tsis_.create(vsi, vn, peer, vap) : tsis_.create_at(number, vsi, vn, peer, vap);
  tsis_[instance].station = station;
  vaps_.instance_added(vap);
  return instance;
}

AddressRow& TsiMachine::add_address(Index instance, const AddressName& name) {
  if (shares_ != nullptr)
    (name.ip.is_none() ? shares_->macs : shares_->ips).add(vaps_[tsis_[instance].vap].port_index, 1);
  return tsis_.add_address(instance, name);
}

void TsiMachine::erase_address(Index instance, const AddressName& name) {
  if (shares_ != nullptr)
    (name.ip.is_none() ? shares_->macs : shares_->ips).remove(vaps_[tsis_[instance].vap].port_index, 1);
  tsis_.erase_address(instance, name);
}

template <class F>
void TsiMachine::reshape(Index instance, AddressRow& address, F&& change) {
  const bool before = address.effective() == Level::kActive;
  change();
  const bool after = address.effective() == Level::kActive;
  if (before != after && address.ip == 0) vaps_.address_opening(tsis_[instance].vap, after);
}

void TsiMachine::want(Index instance, const AddressName& name, Level level, Index work, Instant now) {
  AddressRow* address = tsis_.find_address(instance, name);
  if (address == nullptr) address = &add_address(instance, name);
  ensure(address->work == kNoIndex, "two works want one address");
  reshape(instance, *address, [&] {
    address->pending = level;
    address->work = work;
    address->renewed = now;
  });
  if (!address->owns()) return;
  const AddressKey key{tsis_[instance].vn, name.mac};
  Owner& owner = *tsis_.owner(key);
  if (level == Level::kActive && owner.active != kNoIndex && owner.active != instance) ++owner.generation;
  changes_.authority.push_back(key);
}

Index TsiMachine::commit(Index instance, const AddressName& name, const char* reason) {
  Index loser = kNoIndex;
  const MacAddress& mac = name.mac;
  AddressRow& address = *tsis_.find_address(instance, name);
  const Level level = address.pending;
  if (level == Level::kActive && address.owns()) {
    const Owner& owner = *tsis_.owner({tsis_[instance].vn, mac});
    if (owner.active != kNoIndex && owner.active != instance) {
      loser = owner.active;
      AddressRow& lost = *tsis_.find_address(loser, mac);
      lost.superseded = true;
      lost.let_go = false;
      reshape(loser, lost, [&] { set_level(loser, lost, Level::kReserved, info(Reason::kSuperseded).text); });
    }
  }
  reshape(instance, address, [&] {
    address.pending = Level::kNone;
    if (level == Level::kActive) address.superseded = address.let_go = false;
    set_level(instance, address, level, reason);
  });
  return loser;
}

void TsiMachine::release(Index instance, const AddressName& name) {
  AddressRow& address = *tsis_.find_address(instance, name);
  const bool undecided = address.pending != Level::kNone;
  reshape(instance, address, [&] {
    address.pending = Level::kNone;
    address.work = kNoIndex;
  });
  if (undecided && address.owns()) changes_.authority.push_back({tsis_[instance].vn, address.mac});
}

void TsiMachine::want_reserved_only(Index instance, const AddressName& name) {
  AddressRow& address = *tsis_.find_address(instance, name);
  reshape(instance, address, [&] { address.pending = std::min(address.pending, Level::kReserved); });
  if (address.owns()) changes_.authority.push_back({tsis_[instance].vn, address.mac});
}

void TsiMachine::lower(Index instance, const AddressName& name, const char* reason) {
  AddressRow& address = *tsis_.find_address(instance, name);
  if (address.level == Level::kActive)
    reshape(instance, address, [&] { set_level(instance, address, Level::kReserved, reason); });
}

bool TsiMachine::remove(Index instance, const AddressName& name, Reason reason, const char* words, Instant now) {
  TsiRow& row = tsis_[instance];
  const MacAddress mac = name.mac;
  if (name.ip.is_none() && tsis_.ips().count(instance) > 0) remove_ips(instance, mac);
  AddressRow& address = *tsis_.find_address(instance, name);
  const bool owns = address.owns();
  reshape(instance, address, [&] {
    address.pending = Level::kNone;
    address.work = kNoIndex;
    set_level(instance, address, Level::kNone, words);
  });
  if (owns) {
    const AddressKey key{row.vn, mac};
    Owner& owner = *tsis_.owner(key);
    if (owner.winner == instance) unlatch(instance, key);
    if (owner.holders > 1) {
      changes_.authority.push_back(key);
    } else if (owner.told_mapped) {
      changes_.departed.push_back({key, row.vsi, owner.generation});
    }
  }
  erase_address(instance, name);
  if (!row.addresses.empty()) return false;
  const Index vap = row.vap;
  tsis_.erase(instance);
  vaps_.instance_removed(vap, reason, now);
  return true;
}

void TsiMachine::unlatch(Index winner, const AddressKey& key) {
  tsis_.owner(key)->winner = kNoIndex;
  tsis_.for_each_holder(key, [&](Index holder, const AddressRow& held) {
    if (holder == winner || !held.superseded) return;
    AddressRow& free = *tsis_.find_address(holder, key.mac);
    free.superseded = free.let_go = false;
    changes_.records.push_back(holder);
    changes_.let_back.push_back(holder);
  });
}

void TsiMachine::reinstate(Index instance, const VsiId& vsi, const AddressKey& key, const char* reason) {
  if (!tsis_.rows().contains(instance) || tsis_[instance].vsi != vsi || tsis_[instance].vn != key.vn) return;
  AddressRow* address = tsis_.find_address(instance, key.mac);
  if (address == nullptr || address->level != Level::kReserved || tsis_.owner(key)->active != kNoIndex) return;
  reshape(instance, *address, [&] {
    address->superseded = address->let_go = false;
    set_level(instance, *address, Level::kActive, reason);
  });
}

void TsiMachine::remove_ips(Index instance, const MacAddress& mac) {
  boost::container::small_vector<AddressName, 4> names;
  const auto& all = tsis_[instance].addresses;
  for (const AddressRow* ip = tsis_.find_address(instance, mac) + 1; ip != all.data() + all.size() && ip->mac == mac;
       ++ip)
    names.push_back(tsis_.name(instance, *ip));
  for (const AddressName& name : names) {
    set_ip_level(instance, *tsis_.find_address(instance, name), Level::kNone);
    erase_address(instance, name);
  }
}

void TsiMachine::set_ip_level(Index instance, AddressRow& address, Level level) {
  const TsiRow& row = tsis_[instance];
  address.level = level;
  changes_.records.push_back(instance);
  changes_.rows.ips.push_back({instance, tsis_.name(instance, address)});
  changes_.rows.guards.push_back({{row.vn, address.mac}, vaps_[row.vap].port});
}

void TsiMachine::set_level(Index instance, AddressRow& address, Level level, const char* reason) {
  if (address.level == level) return;
  if (address.ip != 0) return set_ip_level(instance, address, level);
  TsiRow& row = tsis_[instance];
  const TsiState state = row.state();
  const Level before = std::exchange(address.level, level);
  if (before == Level::kNone) ++row.associated;
  if (level == Level::kNone) --row.associated;
  if (before == Level::kActive) --row.active;
  if (level == Level::kActive) ++row.active;
  if (!address.mac.is_zero()) {
    Owner& owner = *tsis_.owner({row.vn, address.mac});
    if (before == Level::kActive) owner.active = kNoIndex;
    if (level == Level::kActive) {
      ensure(owner.active == kNoIndex, "one address is active twice");
      owner.active = owner.winner = instance;
    }
  }
  if (state == TsiState::kInit) vaps_.instance_associated(row.vap, "first TSI associated");
  mark(instance, address, before);
  if (row.state() == TsiState::kInit) vaps_.instance_dissociated(row.vap);
  if (row.state() != state) enter(instance, state, reason);
}

void TsiMachine::mark(Index instance, const AddressRow& address, Level before) {
  const TsiRow& row = tsis_[instance];
  const bool flips = (before == Level::kActive) != (address.level == Level::kActive);
  changes_.records.push_back(instance);
  if (flips) vaps_.address_active(row.vap, !address.mac.is_zero(), address.level == Level::kActive);
  if (address.mac.is_zero()) return;
  const AddressKey key{row.vn, address.mac};
  // With several holders on one port the guard names the active one, so any change of level may change it.
  const bool comes_or_goes = (before == Level::kNone) != (address.level == Level::kNone);
  if (comes_or_goes || tsis_.owner(key)->holders > 1) changes_.rows.guards.push_back({key, vaps_[row.vap].port});
  if (flips) changes_.rows.fdb.push_back(key);
  changes_.authority.push_back(key);
}

void TsiMachine::enter(Index instance, TsiState from, const char* reason) {
  const TsiRow& row = tsis_[instance];
  journal_.transition(
      "tsi", agent::TsiSubject{row.vsi, row.vn, config_.ports[vaps_[row.vap].port_index].interface_name, row.station},
      to_string(from), to_string(row.state()), reason);
}

void TsiMachine::restore_address(Index instance, const AddressName& name, Level level, bool superseded, bool winner,
                                 std::uint32_t generation, Instant now) {
  AddressRow& address = add_address(instance, name);
  address.renewed = now;
  address.superseded = superseded;  // its station is told again when it asks
  Owner* owner = address.owns() ? tsis_.owner({tsis_[instance].vn, name.mac}) : nullptr;
  // One transaction holds both sides of a takeover; were a store to name two owners all the same, the first stays.
  if (owner != nullptr && owner->active != kNoIndex && level == Level::kActive) level = Level::kReserved;
  reshape(instance, address, [&] { set_level(instance, address, level, "restored from the store"); });
  if (owner == nullptr) return;
  owner->generation = std::max(owner->generation, generation);
  if (winner && owner->active == kNoIndex) owner->winner = instance;
}

}  // namespace splitnve::nnved
