// SPDX-License-Identifier: Apache-2.0
// What a station is told of what we hold of it, and of what it may have again (S6, S7). Of what it renews, the answers
// tell; of what is gone here, a list at the start of a session. Both also go out at once when they change.
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;
using vdp::Standing;

/// What an answer to a reservation says of its entries that may not be active: nothing, if all may.
vdp::ReasonText Impl::held_words(Index peer, const VsiId& vsi, vdp::TlvType command,
                                 std::span<const vdp::FilterEntry> entries) {
  const bool reserves = command == vdp::TlvType::kPreAssociate || command == vdp::TlvType::kPreAssociateRr;
  if (!reserves || !peers[peer].bridge.standings().able()) return {};
  const std::string& interface_name = config.ports[peers[peer].port_index].interface_name;
  for (Index i = tsis.first_of_vsi(vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) {
    for (const vdp::FilterEntry& entry : entries) {  // what its format lacks names all
      if (!entry.group.is_null() && entry.group != tsis[i].vn) continue;
      if (const Latch* latch = latches.find(tsis[i].vn, interface_name, vsi, entry.mac, true))
        return said(Reason::kAdminDown, words_for_station(Reason::kAdminDown, latch->reason));
      const AddressRow* address = tsis.find_address(i, entry.mac);
      if (address != nullptr && address->superseded) return said(Reason::kSuperseded, info(Reason::kSuperseded).text);
    }
  }
  return {};
}

// --- a VSI that has moved (S6) ---

/// The winner stands: who lost to it closes its port, and sends what is for the address to us.
void Impl::tell_loser(Index loser, const VsiId& vsi, const AddressKey& key, Index winner) {
  if (!tsis.rows().contains(loser) || tsis[loser].vsi != vsi || tsis[loser].vn != key.vn) return;
  if (winner != kNoIndex && is_left(tsis[loser].peer, winner)) return;  // the station itself is there now
  const AddressRow* lost = tsis.find_address(loser, key.mac);
  if (lost == nullptr || !lost->superseded) return;
  if (!peers[tsis[loser].peer].exchange.flags().has(vdp::Flag::kBridgeDeactivate)) return;
  command(loser, {&key.mac, 1}, true, said(Reason::kSuperseded, info(Reason::kSuperseded).text));
}

/// The station has answered: what it asks for from now on it asks for in the knowledge that it had lost it.
void Impl::take_let_go(Index peer) {
  while (const auto gone = peers[peer].bridge.poll_let_go()) {
    for (Index i = tsis.first_of_vsi(gone->vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) {
      if (!gone->group.is_null() && tsis[i].vn != gone->group) continue;
      for (AddressRow& address : tsis[i].addresses)
        if (gone->mac.is_zero() || address.mac == gone->mac) address.let_go = address.superseded;
    }
  }
}

void Impl::tell(Index peer, const Standing& standing) {
  peers[peer].bridge.standings().tell(standing);
  touch(peer);
}

/// The winners of these have left.
void Impl::let_back() {
  for (const Index instance : std::exchange(changes.let_back, {})) {
    if (!tsis.rows().contains(instance)) continue;
    const TsiRow& row = tsis[instance];
    tell(row.peer, {Standing::What::kReleased, Standing::Scope::kVsi, row.vsi, row.vn});
  }
}

// --- what an operator has taken out of service (S7) ---

void Impl::note_told(Index peer, const VsiId& vsi, GroupId vn) {
  auto& told = told_latched[{vsi, vn}];
  const PeerKey key = peers[peer].key();
  if (std::ranges::find(told, key) != told.end()) return;
  if (told.size() < limits::kPlacesPerAddressMax) told.push_back(key);  // who had it comes before who asks for it
}

void Impl::tell_released(const VsiId& vsi, GroupId vn) {
  const auto told = told_latched.find({vsi, vn});
  if (told == told_latched.end()) return;
  for (const PeerKey& key : told->second)
    if (const auto known = peer_index.find(key); known != peer_index.end())
      tell(known->second, {Standing::What::kReleased, Standing::Scope::kVsi, vsi, vn});
  told_latched.erase(told);
}

/// At the start of a session. What a station does not hear of it may ask for: it is refused then, if we hold it still.
void Impl::tell_held(Index peer) {
  vdp::StandingQueue& standings = peers[peer].bridge.standings();
  if (!standings.able()) return;
  const PeerKey place = peers[peer].key();
  const std::string& interface_name = config.ports[place.port_index].interface_name;
  std::vector<Standing> list;
  if (draining) list.push_back({Standing::What::kHeld, Standing::Scope::kAll, {}, {}});
  latches.rows().for_each([&](Index, const Latch& latch) {
    if (!latch.vsi && latch.interface_name == interface_name)
      list.push_back({Standing::What::kHeld, Standing::Scope::kVn, {}, latch.vn});
  });
  for (const auto& [key, told] : told_latched)
    if (std::ranges::find(told, place) != told.end())
      list.push_back({Standing::What::kHeld, Standing::Scope::kVsi, key.first, key.second});
  standings.tell_list(list);
}

void Impl::undrain(Instant now) {
  removing = false;
  if (!std::exchange(draining, false)) return;
  journal.notice("nnved.undrained", agent::Notice::Level::kInfo, "TSIs are taken again");
  peers.for_each(
      [&](Index peer, const Peer&) { tell(peer, {Standing::What::kReleased, Standing::Scope::kAll, {}, {}}); });
  settle(now);
}

// --- legacy stations ---

/// Nothing revives a VSI after a De-Associate: a legacy station is let believe that its VSI stands, and the port is
/// closed here. One that has not spoken yet may be capable.
bool Impl::holds_silently(Index peer) const {
  return !removing && config.legacy_hold == LegacyHold::kSilent &&
         peers[peer].exchange.verdict() == vdp::Exchange::Verdict::kLegacy;
}

bool Impl::is_held_silently(Index peer, Index instance, const VsiId& vsi, GroupId vn, const MacAddress& mac) const {
  if (instance == kNoIndex || !holds_silently(peer)) return false;
  if (tsis.find_address(instance, mac) == nullptr) return false;
  return draining || latches.find(vn, config.ports[peers[peer].port_index].interface_name, vsi, mac, true) != nullptr;
}

/// Out of service as its station bears it: told and removed here, or closed without a word.
void Impl::take_out(Index instance, const std::string& reason, Instant now) {
  if (!holds_silently(tsis[instance].peer)) return withdraw(instance, reason, now);
  deactivate(instance, {}, reason, now);
  if (!tsis.rows().contains(instance)) return;  // it was only on its way
  tsis[instance].last_refusal = Reason::kAdminDown;
  journal.notice("nnved.tsi_silenced", agent::Notice::Level::kInfo, tsis[instance].vsi.to_string() + ": " + reason);
}

}  // namespace splitnve::nnved
