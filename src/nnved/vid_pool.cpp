// SPDX-License-Identifier: Apache-2.0
#include "nnved/vid_pool.hpp"

#include <algorithm>

namespace splitnve::nnved {

void VidPool::set(Vid vid, State state) {
  Slot& at = slot(vid);
  if (at.state == State::kFree) --free_;
  at.state = state;
  if (state == State::kFree) ++free_;
}

void VidPool::restrict_to(VidRange range, std::span<const Vid> reserved) {
  for (std::size_t value = 0; value < slots_.size(); ++value) {
    const Vid vid(static_cast<std::uint16_t>(value));
    const bool allowed = vid.is_assignable() && vid >= range.first && vid <= range.last &&
                         std::find(reserved.begin(), reserved.end(), vid) == reserved.end();
    const bool before = !restricted_ || slot(vid).state == State::kFree;
    if (slot(vid).state == State::kFree || slot(vid).state == State::kUnassignable)
      set(vid, allowed && before ? State::kFree : State::kUnassignable);
  }
  restricted_ = true;
}

void VidPool::pin(Vid vid, GroupId vn) {
  if (vid.is_null() || slot(vid).pinned) return;  // two VNs on one VID: the configuration check refuses it
  set(vid, State::kPinned);
  slot(vid).vn = vn;
  slot(vid).pinned = true;
  pinned_.emplace(vn, vid);
}

void VidPool::begin_recovery(std::optional<VidRange> range, Instant until) {
  recovery_range_ = range;
  recovery_until_ = until;
}

void VidPool::begin_round_at(std::uint64_t anywhere) {
  if (free_ == 0) return;
  std::uint64_t skip = anywhere % free_;
  cursor_ = 0;
  while (slots_[cursor_].state != State::kFree || skip-- > 0) ++cursor_;
}

void VidPool::adopt(Vid vid, GroupId vn, Instant until) {
  if (slot(vid).state != State::kFree || rested_.contains(vn)) return;
  set(vid, State::kResting);
  slot(vid).vn = vn;
  slot(vid).free_at = until;
  resting_.push_back({vid, until});
  rested_.emplace(vn, vid);
}

Result<Vid, Reason> VidPool::choose(GroupId vn, Instant now) {
  if (const auto pinned = pinned_.find(vn); pinned != pinned_.end()) return pinned->second;
  if (const auto rested = rested_.find(vn); rested != rested_.end()) return rested->second;
  return choose_free(now);
}

Result<Vid, Reason> VidPool::choose_free(Instant now) {
  if (now < recovery_until_) {
    if (!recovery_range_) return unexpected(Reason::kRecovering);
    for (std::uint16_t value = recovery_range_->first.value(); value <= recovery_range_->last.value(); ++value)
      if (slots_[value].state == State::kFree) return Vid(value);
    return unexpected(Reason::kRecovering);
  }
  if (free_ == 0) return unexpected(Reason::kVidPoolEmpty);
  while (slots_[cursor_].state != State::kFree) cursor_ = static_cast<std::uint16_t>((cursor_ + 1) % slots_.size());
  return Vid(cursor_);
}

Result<Vid, Reason> VidPool::acquire(GroupId vn, Vid requested, Instant now) {
  handle_time(now);
  if (const auto held = held_.find(vn); held != held_.end()) {
    if (!requested.is_null() && requested != held->second.vid) return unexpected(Reason::kOtherVid);
    ++held->second.uses;
    return held->second.vid;
  }
  if (requested.is_null()) {
    const auto chosen = choose(vn, now);
    if (!chosen) return chosen;
    requested = *chosen;
  }
  if (const Reason refused = check(requested, vn); refused != Reason::kNone) return unexpected(refused);
  rested_.erase(vn);
  hold(requested, vn);
  held_.emplace(vn, Held{requested, 1});
  return requested;
}

Reason VidPool::check(Vid vid, GroupId vn) const {
  const Slot& at = slots_[vid.value()];
  switch (at.state) {
    case State::kUnassignable: return Reason::kVidNotAssignable;
    case State::kHeld: return Reason::kVidTaken;
    case State::kPinned:
    case State::kResting: return at.vn == vn ? Reason::kNone : Reason::kVidTaken;
    case State::kFree: break;
  }
  return Reason::kNone;
}

void VidPool::hold(Vid vid, GroupId vn) {
  set(vid, State::kHeld);
  slot(vid).vn = vn;
  cursor_ = static_cast<std::uint16_t>((vid.value() + 1u) % slots_.size());
}

Result<Vid, Reason> VidPool::acquire_more(GroupId vn, Vid requested, Instant now) {
  handle_time(now);
  if (const auto known = more_.find(requested); known != more_.end() && slot(requested).vn == vn) {
    ++known->second;
    return requested;
  }
  if (requested.is_null()) {
    const auto chosen = choose_free(now);
    if (!chosen) return chosen;
    requested = *chosen;
  }
  if (const Reason refused = check(requested, vn); refused != Reason::kNone) return unexpected(refused);
  if (const auto rested = rested_.find(vn); rested != rested_.end() && rested->second == requested)
    rested_.erase(rested);
  hold(requested, vn);
  more_.emplace(requested, 1);
  return requested;
}

void VidPool::release_more(Vid vid, bool rest, Instant now) {
  const auto known = more_.find(vid);
  ensure(known != more_.end(), "releasing a further VID that is not held");
  if (--known->second > 0) return;
  more_.erase(known);
  free_or_rest(vid, rest, now);
}

void VidPool::release(GroupId vn, bool rest, Instant now) {
  const auto held = held_.find(vn);
  ensure(held != held_.end(), "releasing a VID that is not held");
  if (--held->second.uses > 0) return;
  const Vid vid = held->second.vid;
  held_.erase(held);
  free_or_rest(vid, rest, now);
  if (slot(vid).state == State::kResting) rested_.insert_or_assign(vn, vid);
}

void VidPool::free_or_rest(Vid vid, bool rest, Instant now) {
  if (slot(vid).pinned) {
    set(vid, State::kPinned);
  } else if (rest) {
    set(vid, State::kResting);
    slot(vid).free_at = now + quarantine_;
    resting_.push_back({vid, slot(vid).free_at});
  } else if (slot(vid).free_at > now) {
    set(vid, State::kResting);  // its rest from before was only interrupted; its place in the queue still stands
  } else {
    set(vid, State::kFree);
  }
}

std::optional<Vid> VidPool::vid_of(GroupId vn) const {
  const auto held = held_.find(vn);
  return held == held_.end() ? std::nullopt : std::optional(held->second.vid);
}

std::optional<GroupId> VidPool::vn_of(Vid vid) const {
  const Slot& at = slots_[vid.value()];
  return at.state == State::kHeld ? std::optional(at.vn) : std::nullopt;
}

void VidPool::handle_time(Instant now) {
  while (!resting_.empty() && resting_.front().free_at <= now) {
    const Resting oldest = resting_.front();
    resting_.pop_front();
    Slot& at = slot(oldest.vid);
    if (at.state != State::kResting || at.free_at != oldest.free_at) continue;  // taken back meanwhile
    if (const auto rested = rested_.find(at.vn); rested != rested_.end() && rested->second == oldest.vid)
      rested_.erase(rested);
    set(oldest.vid, State::kFree);
  }
}

}  // namespace splitnve::nnved
