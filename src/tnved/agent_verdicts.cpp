// SPDX-License-Identifier: Apache-2.0
// What the nNVE, the datapath, the store and the clock say of a TSI, and what those who asked are told.
#include <algorithm>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {
namespace {

const char* state_name(vdp::Level level) {
  switch (level) {
    case vdp::Level::kNone: return "init";
    case vdp::Level::kReserved: return "associated";
    case vdp::Level::kActive: return "activated";
  }
  return "unknown";
}

std::string refusal_text(const vdp::Station::Refused& event) {
  return std::string("the nNVE refused ") + vdp::to_string(event.command) + status_text(event.status, event.why);
}

Word word_of(const vdp::ResponseStatus& status) {
  if (status.keep) return Word::kRefusedKeep;
  return status.hard ? Word::kRefusedHard : Word::kRefused;
}

/// What is known of an uplink that has not confirmed something in time; empty: it answers.
std::string silence(const Uplink& uplink, Instant now) {
  const std::string refusal = uplink.authentication.view().refusal;
  if (!refusal.empty()) return "; frames from there are rejected (" + refusal + ")";
  if (!uplink.nnve) return "; no nNVE has answered";
  const auto quiet = std::chrono::duration_cast<std::chrono::seconds>(now - uplink.session.last_heard());
  if (quiet < std::chrono::seconds(2)) return "";
  return "; no frame from nNVE " + uplink.nnve->to_string() + " for " + std::to_string(quiet.count()) + " s";
}

}  // namespace

// --- the nNVE ---

void Agent::Impl::handle_station(std::size_t via, const vdp::Station::Event& event, Instant now) {
  using vdp::Station;
  const auto handle = std::visit([](const auto& e) { return e.handle; }, event);
  auto& slots = uplinks_[via].slot_of;
  if (handle < slots.size() && slots[handle] == Uplink::kOrphan) {
    if (std::holds_alternative<Station::Closed>(event)) --uplinks_[via].orphans;
    return;
  }
  ensure(handle < slots.size() && tsis_.contains(slots[handle]), "a station event names an association of a TSI");
  const Slot slot = slots[handle];
  ensure(tsis_[slot].handle == handle, "a TSI knows its association");
  if (const auto* e = std::get_if<Station::Confirmed>(&event))
    confirmed(slot, *e);
  else if (const auto* r = std::get_if<Station::Refused>(&event))
    refused(slot, *r, now);
  else if (const auto* v = std::get_if<Station::Revoked>(&event))
    revoked(slot, *v, now);
  else if (const auto* l = std::get_if<Station::Lowered>(&event))
    lowered(slot, *l, now);
  else if (const auto* b = std::get_if<Station::Released>(&event))
    let_back(slot, *b, now);
  else if (const auto* u = std::get_if<Station::Unconfirmed>(&event))
    unconfirmed(slot, u->unconfirmed);
  else
    closed(slot);
}

/// It is no silence, but nobody's answer either: told once a minute with what it says (S45).
void Agent::Impl::note_unmatched(Uplink& uplink, vdp::Station::Unmatched answer, Instant now) {
  uplink.unmatched = std::move(answer);
  if (uplink.unmatched_noticed_at && now < *uplink.unmatched_noticed_at + std::chrono::minutes(1)) return;
  uplink.unmatched_noticed_at = now;
  notice("ANSWER_UNMATCHED", agent::Notice::Level::kWarning,
         "port=" + uplink.config.interface_name + " " + unmatched_text(*uplink.unmatched));
}

void Agent::Impl::confirmed(Slot slot, const vdp::Station::Confirmed& event) {
  Tsi& tsi = tsis_[slot];
  Address* address = tsis_.find(slot, event.mac, event.ip);
  // A closing association speaks of the addresses that it had, not of those that the TSI was created anew with.
  if (address == nullptr || (tsi.closing && tsi.vm != VmState::kLeaving)) return;
  address->awaited = false;
  const bool changed =
      address->confirmed != event.level || address->vid != event.vid || address->priority != event.priority;
  set_priority(slot, *address, event.priority);
  set_confirmed(slot, *address, event.level, event.vid);
  if (address->removing() && event.level == vdp::Level::kNone) {
    const DomainId in = domain(tsi);
    if (tsi.joined && address->is_mac()) {
      if (tsi.port.value() != 0) vswitch_.touch_guard(in, tsi.port, event.mac);
      tsis_.release(in, event.mac);
      to_program(slot);
    }
    const bool whole = address->is_mac();
    tsis_.erase_address(slot, *address);
    if (whole) forget_ips(slot, event.mac);
  }
  announce_level(slot, "confirmed by the nNVE");
  if (changed) to_store(slot);
  refresh_ports(slot, "the nNVE's confirmation");
  const bool complete =
      std::none_of(tsi.addresses.begin(), tsi.addresses.end(), [](const Address& a) { return a.awaited; });
  if (!complete) return;
  const bool any_held =
      std::any_of(tsi.addresses.begin(), tsi.addresses.end(), [](const Address& a) { return a.hold != Hold::kFree; });
  if (!tsi.program_failed && tsi.vm != VmState::kLeaving && !any_held) set_reason(slot, "");
  attributes_before_.erase(slot);
  tsi.retries = 0;
  retries_.clear(slot);
  // Only the request that makes the TSI active tells of the arrival; its keep-alives do not.
  if (tsi.arrival && tsi.vm == VmState::kRunning && tsi.level() == vdp::Level::kActive) {
    tsi.arrival = false;
    tell_status(tsi);
    to_store(slot);
  }
  to_check(slot);
}

void Agent::Impl::set_confirmed(Slot slot, Address& address, vdp::Level level, Vid vid) {
  const Tsi& tsi = tsis_[slot];
  const Vid now_vid = level == vdp::Level::kNone || vid.is_null() ? address.vid : vid;
  const bool use = tsi.joined && level != vdp::Level::kNone && !now_vid.is_null();
  if (use != address.vid_used || now_vid != address.vid) {
    // A VID that replaces another one is the nNVE's newest word: frames leave with it from now on.
    const bool replaces = address.vid_used && now_vid != address.vid;
    if (use) vswitch_.use_vid(domain(tsi), now_vid, replaces);
    if (address.vid_used) vswitch_.drop_vid(domain(tsi), address.vid);
    address.vid_used = use;
    address.vid = now_vid;
    to_program(slot);
  }
  address.confirmed = level;
}

/// Its frames leave the uplink with what the nNVE answered.
void Agent::Impl::set_priority(Slot slot, Address& address, Priority priority) {
  const Tsi& tsi = tsis_[slot];
  if (std::exchange(address.priority, priority) == priority || !address.is_mac()) return;
  if (!tsi.joined || tsi.port.value() == 0) return;
  vswitch_.touch_guard(domain(tsi), tsi.port, address.mac);
  to_program(slot);
}

void Agent::Impl::announce_level(Slot slot, std::string_view why) {
  Tsi& tsi = tsis_[slot];
  const vdp::Level level = tsi.level();
  if (level == tsi.announced) return;
  emit(agent::Transition{"tsi", tsi.vsi, state_name(tsi.announced), state_name(level), std::string(why)});
  tsi.announced = level;
}

void Agent::Impl::refused(Slot slot, const vdp::Station::Refused& event, Instant now) {
  Tsi& tsi = tsis_[slot];
  const std::string why = refusal_text(event);
  if (tsi.closing) return set_reason(slot, why);
  for (const auto& entry : uplink(tsi).station.entries(tsi.handle))
    if (Address* address = tsis_.find(slot, entry.mac, entry.ip))
      set_confirmed(slot, *address, entry.confirmed, entry.vid);
  const auto entries = uplink(tsi).station.entries(tsi.handle);
  for (Address& address : tsi.addresses) {
    address.awaited = false;
    const bool listed = std::any_of(entries.begin(), entries.end(), [&](const auto& e) {
      return e.mac == address.mac && e.ip == tsis_.ip(slot, address);
    });
    if (!listed) set_confirmed(slot, address, vdp::Level::kNone, Vid());
  }
  announce_level(slot, why);
  const bool reverted = restore_attributes(slot, now), dropped = drop_entering(slot, now);
  const bool gave_up = reverted || dropped;
  if (vdp::calls_held(event.cause) && !gave_up && tsi.phase == Phase::kSteady && tsi.vm != VmState::kLeaving)
    return refused_as_held(slot, why, now);
  if (!gave_up || !event.status.keep) return meet(slot, word_of(event.status), why, now);
  // What was new is given up, what was there before is kept: the TSI itself was refused nothing.
  note_loss(slot, why);
  refuse_waiting(slot, why, now);
}

void Agent::Impl::revoked(Slot slot, const vdp::Station::Revoked& event, Instant now) {
  Tsi& tsi = tsis_[slot];
  Address* address = tsis_.find(slot, event.mac, event.ip);
  // What a refusal took away has met its fate with the refusal.
  if (address == nullptr || tsi.closing || address->confirmed == vdp::Level::kNone) return;
  set_confirmed(slot, *address, vdp::Level::kNone, Vid());
  address->awaited = false;
  const std::string why = "the nNVE de-associated the VSI" + said(event.why);
  announce_level(slot, why);
  if (!address->is_mac() && tsi.level() == vdp::Level::kNone) return;  // the MACs have met it
  // Several addresses lose one after the other: the fate is the TSI's when none is left, else its others go on.
  if (tsi.level() != vdp::Level::kNone) {
    address->hold = address->removing() ? Hold::kFree : Hold::kGone;
    note_loss(slot, why);
    return pursue(slot, now);
  }
  meet(slot, Word::kRevoked, why, now);
}

/// Something of the TSI was refused or taken: that is shown and stored, and no port stays open for it.
void Agent::Impl::note_loss(Slot slot, const std::string& why) {
  set_reason(slot, why);
  to_store(slot);
  refresh_ports(slot, why);
}

/// Who waits is told no, and what was to come is given up with it: a refused addition or change leaves nothing.
void Agent::Impl::refuse_waiting(Slot slot, const std::string& why, Instant now) {
  const auto waits = [](const Asker& asker) { return asker.wait == Wait::kSettled || asker.wait == Wait::kPlaced; };
  const auto at = askers_.find(slot);
  if (at == askers_.end() || std::none_of(at->second.begin(), at->second.end(), waits)) return;
  drop_entering(slot, now);
  ip_changes_.erase(slot);
  answer_if(slot, waits, false, why);
}

/// The nNVE's operator lets the address be reserved only (D9): it closes here and stays so until someone asks again.
void Agent::Impl::lowered(Slot slot, const vdp::Station::Lowered& event, Instant now) {
  Tsi& tsi = tsis_[slot];
  Address* address = tsis_.find(slot, event.mac, event.ip);
  if (address == nullptr || tsi.closing) return;
  set_confirmed(slot, *address, vdp::Level::kReserved, address->vid);
  if (!address->removing()) address->hold = Hold::kReserved;
  if (!address->is_mac()) {  // it goes with its MAC, which tells of it
    to_store(slot);
    return pursue(slot, now);
  }
  const std::string why = "the nNVE deactivated " + event.mac.to_string() + said(event.why);
  announce_level(slot, why);
  if (tsi.phase != Phase::kSteady) return meet(slot, Word::kRefusedKeep, why, now);
  note_loss(slot, why);
  refuse_waiting(slot, why, now);
  pursue(slot, now);
}

/// Acts on a refusal, a revocation or a deadline as the table of fates says.
void Agent::Impl::meet(Slot slot, Word word, const std::string& why, Instant now) {
  Tsi& tsi = tsis_[slot];
  const Fate what = fate(tsi.vm, tsi.phase, word);
  note_loss(slot, why);
  tsi.phase = Phase::kSteady;
  switch (what) {
    case Fate::kStay:
      // A refused keep-alive is repeated by the station; when no refusal comes any more, its reason is out of date.
      if (word == Word::kRefusedKeep && tsi.vm != VmState::kLeaving)
        levels_met(tsi) ? retries_.set(slot, now + 2 * uplink(tsi).timing.keepalive_interval())
                        : retry_later(slot, now);
      break;
    case Fate::kRetry: retry_later(slot, now); break;
    case Fate::kHold: hold(slot, now); break;
    case Fate::kFallBack:
      enter(slot, tsi.fall_back, why, now);
      set_reason(slot, why);
      break;
    case Fate::kDeassociate: leave(slot, why, false, now); break;
    case Fate::kForget: leave(slot, why, true, now); break;
  }
  refuse_waiting(slot, why, now);
}

void Agent::Impl::unconfirmed(Slot slot, bool is_unconfirmed) {
  Tsi& tsi = tsis_[slot];
  if (tsi.unconfirmed == is_unconfirmed) return;
  tsi.unconfirmed = is_unconfirmed;
  Uplink& via = uplink(tsi);
  const bool first = is_unconfirmed && via.unconfirmed == 0;
  via.unconfirmed += is_unconfirmed ? 1 : static_cast<std::uint32_t>(-1);
  if (first)
    notice("TNVED_NNVE_SILENT", agent::Notice::Level::kWarning,
           "uplink=" + via.config.interface_name + " the nNVE does not answer; running VMs go on forwarding");
  if (!is_unconfirmed && via.unconfirmed == 0)
    notice("TNVED_NNVE_ANSWERS", agent::Notice::Level::kInfo,
           "uplink=" + via.config.interface_name + " the nNVE answers again for all TSIs");
}

void Agent::Impl::closed(Slot slot) {
  Tsi& tsi = tsis_[slot];
  unconfirmed(slot, false);
  tsi.handle = kNoHandle;
  tsi.closing = false;
  if (tsi.vm != VmState::kLeaving) return to_open_.push_back(slot);
  for (Address& address : tsi.addresses) address.confirmed = vdp::Level::kNone;
  announce_level(slot, "de-associated");
  tsi.gone = true;
  to_store(slot);
  to_check(slot);
}

void Agent::Impl::retry_later(Slot slot, Instant now) {
  Tsi& tsi = tsis_[slot];
  retries_.set(slot, now + retry_pause(tsi.retries));
  tsi.retries = static_cast<std::uint8_t>(std::min(tsi.retries + 1, 16));
}

void Agent::Impl::retry(Slot slot, Instant now) {
  const Tsi& tsi = tsis_[slot];
  if (!levels_met(tsi)) return pursue(slot, now);
  if (tsi.unconfirmed) {
    retries_.set(slot, now + 2 * uplink(tsi).timing.keepalive_interval());
  } else if (!tsi.program_failed) {
    set_reason(slot, "");
  }
}

bool Agent::Impl::levels_met(const Tsi& tsi) const {
  return std::all_of(tsi.addresses.begin(), tsi.addresses.end(),
                     [&](const Address& a) { return !a.removing() && a.confirmed == wanted(tsi, a); });
}

// --- the datapath and the store ---

void Agent::Impl::handle_result(const agent::BatchResult& result, Instant now) {
  const auto at = batches_.find(result.batch.value());
  if (at == batches_.end()) return;
  Batch batch = std::move(at->second);
  batches_.erase(at);
  if (batch.program) {
    programmed(result, batch, now);
  } else {
    stored(result, batch, now);
  }
  pump(now);
}

void Agent::Impl::mark_failed(Slot slot, const std::string& cause) {
  Tsi& tsi = tsis_[slot];
  tsi.program_failed = true;
  tsi.failed_before = static_cast<std::uint32_t>(last_batch_ + 1);
  set_reason(slot, "datapath: " + cause);
}

namespace {

template <class T>
void keep_failed(const std::vector<T>& keys, std::uint32_t index, std::vector<T>& failed) {
  if (index < keys.size()) failed.push_back(keys[index]);
}

RowKeys failed_keys(const agent::BatchResult& result, RowKeys& keys) {
  if (!result.error.empty()) return std::move(keys);
  RowKeys failed;
  for (const auto& failure : result.failures) {
    switch (failure.table) {
      case datapath::Table::kPort: keep_failed(keys.ports, failure.index, failed.ports); break;
      case datapath::Table::kDomain: keep_failed(keys.domains, failure.index, failed.domains); break;
      case datapath::Table::kAccess: keep_failed(keys.access, failure.index, failed.access); break;
      case datapath::Table::kIp: keep_failed(keys.ips, failure.index, failed.ips); break;
      case datapath::Table::kGuard: keep_failed(keys.guards, failure.index, failed.guards); break;
      case datapath::Table::kFdb: keep_failed(keys.fdb, failure.index, failed.fdb); break;
    }
  }
  return failed;
}

}  // namespace

/// A failed row fails the TSIs of the batch that stand on it; its key stays on the list of what may differ.
void Agent::Impl::programmed(const agent::BatchResult& result, Batch& batch, Instant now) {
  for (Slot slot : batch.slots) --tsis_[slot].programs_waiting;
  if (!result.ok()) {
    const std::string cause = !result.error.empty() ? result.error : result.failures.front().cause;
    RowKeys failed = failed_keys(result, batch.keys);
    failed.sort_unique();
    for (Slot slot : batch.slots)
      if (!result.error.empty() || stands_on(tsis_[slot], failed)) mark_failed(slot, cause);
    vswitch_.touch(failed);
    program_retry_at_ = now + retry_pause(program_failures_++);
    notice("TNVED_PROGRAM_FAILED", agent::Notice::Level::kError,
           "rows=" + std::to_string(failed.size()) + " cause=" + cause);
  } else {
    program_failures_ = 0;
  }
  for (Slot slot : batch.slots) {
    Tsi& tsi = tsis_[slot];
    if (tsi.program_failed && static_cast<std::uint32_t>(result.batch.value()) >= tsi.failed_before) {
      tsi.program_failed = false;
      set_reason(slot, "");
    }
    to_check(slot);
  }
}

bool Agent::Impl::stands_on(const Tsi& tsi, const RowKeys& failed) const {
  const DomainId in = domain(tsi);
  if (!tsi.joined) return false;
  const auto has = [](const auto& keys, const auto& key) { return std::binary_search(keys.begin(), keys.end(), key); };
  if (has(failed.ports, tsi.port) || has(failed.domains, in)) return true;
  if (has(failed.access, std::pair(tsi.port, tsi.guest_tag))) return true;
  const Slot slot = *tsis_.find(tsi.vsi);
  for (const Address& address : tsi.addresses) {
    if (!address.is_mac() &&
        has(failed.ips, std::tuple(TsiTable::instance(slot), address.mac, tsis_.ip(slot, address))))
      return true;
    if (has(failed.access, std::pair(uplinks_[tsi.uplink].config.id, address.vid))) return true;
    if (has(failed.guards, std::tuple(in, tsi.port, address.mac)) || has(failed.fdb, std::pair(in, address.mac)))
      return true;
  }
  return false;
}

void Agent::Impl::stored(const agent::BatchResult& result, const Batch& batch, Instant now) {
  for (Slot slot : batch.slots) {
    Tsi& tsi = tsis_[slot];
    --tsi.stores_waiting;
    if (!result.ok() && !std::exchange(tsi.store_dirty, true)) store_failed_.push_back(slot);
    to_check(slot);
  }
  stored_vns(result, batch);
  if (batch.held) held_.settled(result.ok());
  store_failure_ = result.error;
  if (result.ok()) return;
  epoch_dirty_ |= batch.epoch;
  signers_dirty_.insert(signers_dirty_.end(), batch.signers.begin(), batch.signers.end());
  store_retry_at_ = now + kRetryFirst;
  notice("TNVED_STORE_FAILED", agent::Notice::Level::kError,
         "records=" + std::to_string(batch.slots.size() + batch.vns.size()) + " cause=" + result.error);
}

// --- those who asked ---

bool Agent::Impl::settled(const Tsi& tsi) const {
  if (!stored(tsi) || !datapath_settled(tsi)) return false;  // asked first: most checks end here
  const auto awaited = [](const Address& address) { return address.awaited; };
  if (std::any_of(tsi.addresses.begin(), tsi.addresses.end(), awaited) || !levels_met(tsi)) return false;
  const bool shall_open =
      intent(tsi.vm).forwards && std::any_of(tsi.addresses.begin(), tsi.addresses.end(),
                                             [&](const Address& a) { return wanted(tsi, a) == vdp::Level::kActive; });
  return !shall_open || tsi.port_open;
}

void Agent::Impl::count_settled(Tsi& tsi, bool is_settled) {
  if (std::exchange(tsi.counted_settled, is_settled) == is_settled) return;
  uplink(tsi).settled += is_settled ? 1 : static_cast<std::uint32_t>(-1);
}

bool Agent::Impl::closed_here(const Tsi& tsi) const { return !tsi.member_open && datapath_settled(tsi); }

bool Agent::Impl::datapath_settled(const Tsi& tsi) const {
  return !tsi.program_dirty && tsi.programs_waiting == 0 && !tsi.program_failed;
}

bool Agent::Impl::fulfilled(const Tsi& tsi, Wait wait, bool is_settled) const {
  switch (wait) {
    case Wait::kNothing: return true;
    case Wait::kStored: return stored(tsi);
    case Wait::kSettled:
    case Wait::kPlaced:
    case Wait::kTrimmed: return is_settled;
    case Wait::kClosed: return closed_here(tsi) && is_settled;
    case Wait::kGone: return closed_here(tsi) && tsi.gone && stored(tsi);
  }
  return false;
}

/// Looks at one TSI after something has happened to it: has its port opened, is anyone to be answered, may it go?
void Agent::Impl::check(Slot slot, Instant now) {
  Tsi& tsi = tsis_[slot];
  const bool programmed_now = !tsi.program_dirty && tsi.programs_waiting == 0;
  if (tsi.member_open && programmed_now && !tsi.program_failed && !tsi.port_open) {
    tsi.port_open = true;
    emit(agent::Transition{"port", tsi.vsi, "closed", "open", "programmed"});
  }
  if (tsi.member_open && programmed_now && tsi.program_failed && tsi.phase != Phase::kSteady)
    return meet(slot, Word::kDeadline, std::string(reason(slot)), now);
  const bool is_settled = settled(tsi);
  count_settled(tsi, is_settled);
  if (is_settled) {
    tsi.phase = Phase::kSteady;
    for (Address& address : tsi.addresses) address.entering = false;
  }
  const auto is_done = [&](const Asker& asker) {
    return fulfilled(tsi, asker.wait, is_settled) && !changes_ip(slot, asker.id);
  };
  answer_if(slot, is_done, true, "");
  if (is_settled && complete_ip_changes(slot, now)) return to_check(slot);
  if (!tsi.gone || tsi.vm != VmState::kLeaving || tsi.handle != kNoHandle) return;
  if (tsi.store_dirty || tsi.stores_waiting != 0 || tsi.program_dirty || tsi.programs_waiting != 0) return;
  answer_if(slot, [](const Asker&) { return true; }, true, "");
  reasons_.erase(slot);
  attributes_before_.erase(slot);
  retries_.clear(slot);
  count_settled(tsi, false);
  --uplink(tsi).tsis;
  tsis_.remove(slot);
}

/// The patience of the earliest asker has ended.
void Agent::Impl::overdue(Slot slot, Instant now) {
  Tsi& tsi = tsis_[slot];
  const auto due = [now](const Asker& asker) { return asker.deadline <= now; };
  const auto ends = [&due](Wait wait) {
    return [&due, wait](const Asker& asker) { return due(asker) && asker.wait == wait; };
  };
  if (datapath_settled(tsi)) {
    const std::string silent = "closed here; the nNVE has not answered yet and is asked again";
    bool any = false;
    for (Wait wait : {Wait::kClosed, Wait::kGone, Wait::kTrimmed}) {
      if (wait != Wait::kTrimmed && tsi.member_open) continue;
      answer_if(
          slot,
          [&](const Asker& a) {
            const bool yes = ends(wait)(a);
            any = any || yes;
            return yes;
          },
          true, silent);
    }
    if (any)
      notice("TNVED_CLOSE_UNANSWERED", agent::Notice::Level::kWarning, "vsi=" + tsi.vsi.to_string() + " " + silent);
  }
  const auto at = askers_.find(slot);
  const auto any_ends = [&](Wait wait) {
    return at != askers_.end() && std::any_of(at->second.begin(), at->second.end(), ends(wait));
  };
  const bool settling = any_ends(Wait::kSettled), placing = any_ends(Wait::kPlaced);
  const std::string last = reason(slot).empty() ? "" : "; last: " + reason(slot);
  const std::string unable = uplink(tsi).refusal();
  const auto& unmatched = uplink(tsi).unmatched;
  const std::string stray = unmatched && unmatched->vsi == tsi.vsi ? "; " + unmatched_text(*unmatched) : "";
  const bool unstored = tsi.store_dirty || tsi.stores_waiting > 0;
  const std::string why =
      unstored ? "the state store " + (store_failure_.empty() ? "does not answer in time" : "failed: " + store_failure_)
      : !unable.empty() ? unable
                        : "not confirmed in time on uplink " + uplink(tsi).config.interface_name +
                              silence(uplink(tsi), now) + last + stray;
  // What was to come is given up for all who asked for it: its wait is no reason to end a VM that runs or starts.
  const bool given_up = placing && (drop_entering(slot, now) || ip_changes_.contains(slot));
  if (given_up) {
    ip_changes_.erase(slot);
    answer_if(slot, [](const Asker& asker) { return asker.wait == Wait::kPlaced; }, false, why);
  }
  if (settling || (placing && !given_up && tsi.phase == Phase::kSteady)) meet(slot, Word::kDeadline, why, now);
  answer_if(slot, due, false, why);
}

void Agent::Impl::ask(Slot slot, const Asker& asker) {
  if (asker.id == 0) return;
  askers_[slot].push_back(asker);
  arm(slot);
  to_check(slot);
}

void Agent::Impl::answer(std::uint64_t asker, bool ok, std::string why) {
  if (asker != 0) emit(agent::Answer{asker, ok, std::move(why)});
}

void Agent::Impl::arm(Slot slot) {
  const auto at = askers_.find(slot);
  if (at == askers_.end()) return deadlines_.clear(slot);
  const auto earlier = [](const Asker& a, const Asker& b) { return a.deadline < b.deadline; };
  deadlines_.set(slot, std::min_element(at->second.begin(), at->second.end(), earlier)->deadline);
}

}  // namespace splitnve::tnved
