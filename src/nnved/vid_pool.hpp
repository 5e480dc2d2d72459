// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>

#include "nnved/config.hpp"
#include "nnved/reason.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::nnved {

/// The VIDs of one segment (S12, S13): each VN has one, and more if a station asks for several (S14), counted by the
/// VAPs that use it. A released VID rests for the quarantine before it may name another VN; the VN that had it may take
/// it back at once.
///
///   unassignable    free --acquire--> held --last release--> resting --quarantine over--> free
///                                      ^---- same VN -----------'
class VidPool {
 public:
  explicit VidPool(Duration quarantine) : quarantine_(quarantine) {}

  /// What a port of the segment allows. With several ports a VID is assignable if all of them allow it.
  void restrict_to(VidRange range, std::span<const Vid> reserved);
  /// A VID that belongs to this VN by configuration: never given to another, given to this one first.
  void pin(Vid vid, GroupId vn);

  /// After a restart nobody knows which VID was released last, and a station that was cut off may still use it: the
  /// round begins anywhere, so that no certain few VIDs are given out anew after each restart.
  void begin_round_at(std::uint64_t anywhere);
  /// Lost state (S13): until `until` a VID that no VN holds, rests for or is pinned to comes from `range` only; without
  /// a range the pool is as good as empty (kRecovering).
  void begin_recovery(std::optional<VidRange> range, Instant until);
  /// Found in the datapath: the VN's own until `until`, unless it is held by then.
  void adopt(Vid vid, GroupId vn, Instant until);
  /// The VN's VID, now used once more. `requested` null asks for any. Errors: kVidNotAssignable, kVidTaken (held by or
  /// resting from another VN), kOtherVid (the VN has another one), kVidPoolEmpty.
  Result<Vid, Reason> acquire(GroupId vn, Vid requested, Instant now);
  /// One more VID for a VN that has its own; `requested` as above. Errors: as acquire() but kOtherVid.
  Result<Vid, Reason> acquire_more(GroupId vn, Vid requested, Instant now);
  void release_more(Vid vid, bool rest, Instant now);
  /// Gives up one use. `rest` is false for a VID that never stood on the wire.
  void release(GroupId vn, bool rest, Instant now);

  std::optional<Vid> vid_of(GroupId vn) const;
  std::optional<GroupId> vn_of(Vid vid) const;
  /// Has the VN a VID, or one that it may take back at once?
  bool knows(GroupId vn) const { return held_.contains(vn) || rested_.contains(vn) || pinned_.contains(vn); }
  std::uint32_t free_count() const { return free_; }
  /// Frees what has rested long enough.
  void handle_time(Instant now);

 private:
  enum class State : std::uint8_t { kUnassignable, kFree, kPinned, kHeld, kResting };
  struct Slot {
    State state = State::kUnassignable;
    GroupId vn;  ///< of a held, resting or pinned VID
    bool pinned = false;
    Instant free_at{};  ///< of a resting one
  };
  struct Held {
    Vid vid;
    std::uint32_t uses = 0;
  };
  struct Resting {
    Vid vid;
    Instant free_at;
  };
  Result<Vid, Reason> choose(GroupId vn, Instant now);
  Result<Vid, Reason> choose_free(Instant now);
  /// May the VN take it, as far as its state says?
  Reason check(Vid vid, GroupId vn) const;
  void hold(Vid vid, GroupId vn);
  void free_or_rest(Vid vid, bool rest, Instant now);
  void set(Vid vid, State state);
  Slot& slot(Vid vid) { return slots_[vid.value()]; }

  Duration quarantine_;
  bool restricted_ = false;
  std::array<Slot, 4096> slots_{};
  boost::unordered_flat_map<GroupId, Held, boost::hash<GroupId>> held_;
  boost::unordered_flat_map<GroupId, Vid, boost::hash<GroupId>> pinned_;
  boost::unordered_flat_map<GroupId, Vid, boost::hash<GroupId>>
      rested_;                         ///< the VID that a VN had last, while it rests
  std::map<Vid, std::uint32_t> more_;  ///< further VIDs of VNs: how many VAPs use them
  std::deque<Resting> resting_;        ///< oldest first; entries whose VID was taken back are skipped
  std::optional<VidRange> recovery_range_;
  Instant recovery_until_{};
  std::uint16_t cursor_ = 0;  ///< round robin, so that a VID comes back as late as possible
  std::uint32_t free_ = 0;
};

}  // namespace splitnve::nnved
