// SPDX-License-Identifier: Apache-2.0
// What the nNVE holds of a TSI, or lets it have again (S7). Of what it calls held nothing is asked for; what it lets
// back is asked for at once, as far as the VM wants it. A word too many does no harm: what is held still is refused.
#include <algorithm>

#include "splitnve/vdp/standing_queue.hpp"
#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

void Agent::Impl::handle_standing(std::size_t via, const vdp::Standing& standing, Instant now) {
  using vdp::Standing;
  Uplink::Listed& listed = uplinks_[via].listed;
  switch (standing.what) {
    case Standing::What::kHeld:
      switch (standing.scope) {
        case Standing::Scope::kVsi: listed.vsis.emplace_back(standing.vsi, standing.group); break;
        case Standing::Scope::kVn: listed.vns.push_back(standing.group); break;
        case Standing::Scope::kAll: listed.all = true; break;
      }
      if (listed.vsis.size() + listed.vns.size() > limits::kStandingsMax) listed = {};  // what is missing is asked for
      return;
    case Standing::What::kEndOfList: return end_of_list(via, now);
    case Standing::What::kReleased: break;
  }
  switch (standing.scope) {
    case Standing::Scope::kVsi:
      if (const auto slot = tsis_.find(standing.vsi);
          slot && tsis_[*slot].uplink == via && tsis_[*slot].vn == standing.group)
        let_back(*slot, Holds::kAll, now);
      return;
    case Standing::Scope::kVn: return let_back_all(via, [&](const Tsi& tsi) { return tsi.vn == standing.group; }, now);
    case Standing::Scope::kAll: return let_back_all(via, [](const Tsi&) { return true; }, now);
  }
}

/// What the nNVE does not hold any longer may be asked for. What it has reserved is renewed, so that answers tell of
/// it.
void Agent::Impl::end_of_list(std::size_t via, Instant now) {
  Uplink::Listed listed = std::exchange(uplinks_[via].listed, {});
  if (listed.all) return;
  std::ranges::sort(listed.vsis);
  std::ranges::sort(listed.vns);
  const auto is_free = [&](const Tsi& tsi) {
    return !std::ranges::binary_search(listed.vsis, std::pair(tsi.vsi, tsi.vn)) &&
           !std::ranges::binary_search(listed.vns, tsi.vn);
  };
  let_back_all(via, is_free, now);
}

template <class Which>
void Agent::Impl::let_back_all(std::size_t via, Which&& which, Instant now) {
  std::vector<Slot> waiting;
  tsis_.for_each([&](Slot slot, const Tsi& tsi) {
    if (tsi.uplink == via && tsi.vm != VmState::kLeaving && which(tsi)) waiting.push_back(slot);
  });
  for (const Slot slot : waiting) let_back(slot, Holds::kGone, now);
}

/// kGone: only what the nNVE has nothing of any longer; an address that it keeps reserved is let back by name.
void Agent::Impl::let_back(Slot slot, Holds which, Instant now) {
  Tsi& tsi = tsis_[slot];
  if (tsi.vm == VmState::kLeaving) return;
  if (retries_.contains(slot)) retries_.set(slot, now);
  bool any = false;
  for (Address& address : tsi.addresses) {
    if (address.hold == Hold::kFree || (which == Holds::kGone && address.hold != Hold::kGone)) continue;
    address.hold = Hold::kFree;
    any = true;
  }
  if (!any) return;
  emit(agent::Transition{"hold", tsi.vsi, "held", "released", "the nNVE lets it back"});
  to_store(slot);
  pursue(slot, now);
}

void Agent::Impl::let_back(Slot slot, const vdp::Station::Released& event, Instant now) {
  Address* address = tsis_.find(slot, event.mac, event.ip);
  if (address == nullptr || address->hold != Hold::kReserved || tsis_[slot].vm == VmState::kLeaving) return;
  address->hold = Hold::kFree;
  if (address->is_mac())
    emit(agent::Transition{"hold", tsis_[slot].vsi, "held", "released",
                           "the nNVE lets " + event.mac.to_string() + " back"});
  to_store(slot);
  pursue(slot, now);
}

/// What it has not granted the nNVE holds: it is not asked for before it is let back, but kept reserved where it is.
void Agent::Impl::refused_as_held(Slot slot, const std::string& why, Instant now) {
  Tsi& tsi = tsis_[slot];
  for (Address& address : tsi.addresses) {
    if (address.removing() || address.confirmed >= wanted(tsi, address)) continue;
    address.hold = address.confirmed == vdp::Level::kNone ? Hold::kGone : Hold::kReserved;
    if (address.hold == Hold::kReserved)
      uplink(tsi).station.note_held(tsi.handle, address.mac, tsis_.ip(slot, address));
  }
  retries_.clear(slot);
  note_loss(slot, why);
  refuse_waiting(slot, why, now);
  pursue(slot, now);
}

}  // namespace splitnve::tnved
