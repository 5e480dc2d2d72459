// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nnved/agent.hpp"
#include "nnved/changes.hpp"
#include "nnved/journal.hpp"
#include "nnved/policy.hpp"
#include "nnved/reason.hpp"
#include "nnved/shares.hpp"
#include "nnved/vid_pool.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/slab.hpp"

namespace splitnve::nnved {

/// VIDs of one VN on one port (D7): a station must not empty a pool with one request.
inline constexpr std::size_t kVidsPerVapMax = 8;

/// How long a VAP that could not connect is shown with its reason (B4).
inline constexpr Duration kFailedVapShown = std::chrono::minutes(5);

struct VapRow {
  std::uint32_t port_index = 0;
  PortId port;
  GroupId vn;
  Vid vid;                ///< null: holds none
  std::vector<Vid> more;  ///< further VIDs, for stations that ask for several (S14)
  VapState state = VapState::kDisconnected;
  Reason reason = Reason::kNone;  ///< why it is disconnected
  std::uint32_t instances = 0;    ///< TSI rows, those on their way included
  std::uint32_t connects = 0;     ///< stations that asked for the VN itself (S30)
  std::uint32_t associated = 0;   ///< TSIs that are Associated or Activated
  std::uint32_t active = 0;       ///< Activated addresses
  std::uint32_t opening = 0;      ///< addresses that are Activated or on their way to it
  std::uint32_t unguarded = 0;    ///< Activated addresses without MAC

  std::uint32_t uses() const { return instances + connects; }
  bool has(Vid one) const { return one == vid || std::find(more.begin(), more.end(), one) != more.end(); }
};

/// A VN as this nNVE forwards it: the sum of its VAPs.
struct DomainState {
  std::uint32_t connected = 0;  ///< VAPs that are Connected
  std::uint32_t opening = 0;    ///< VAPs that take or will take a place in the flood list
  std::vector<Index> vaps;
};

/// The VAP machine, one per (port, VN) (RFC 8394 section 3.1, figure 5), connected implicitly by its first TSI, or
/// explicitly by a station's VN request.
///
///                acquire()              first TSI associated, or connect
///   (none) ------------------> Disconnected ---------------------> Connected
///      ^                        |  ^ no VID, authority or datapath refused: with the reason, shown for a while
///      |    last use gone       |  |
///      '------------------------'--'<------- last use gone: VID rests, rows removed -------'
///
/// The TSI machine reports what its rows do; nobody else calls the counters.
class VapTable {
 public:
  VapTable(const AgentConfig& config, const Policy& policy, Changes& changes, Journal& journal);

  /// The VAP of (port, VN), with a VID; created if there is none. Errors: those of VidPool::acquire. A caller that then
  /// uses it for nothing calls `release_unused`. What is restored has its VID whatever the port's share is.
  Result<Index, Reason> acquire(std::uint32_t port_index, GroupId vn, Vid requested, Instant now,
                                bool restores = false);
  struct Granted {
    Index vap = kNoIndex;
    Vid vid;
  };
  /// The same for one entry of a request. `others`: VIDs of its address's other entries there, from which a null VID is
  /// to differ; with `several` entries a VID that the VAP does not have is added to it (S14).
  Result<Granted, Reason> acquire_distinct(std::uint32_t port_index, GroupId vn, Vid requested,
                                           std::span<const Vid> others, bool several, Instant now);
  /// The further VIDs that a store remembered, except those outside of the configured range: who uses one of these is
  /// refused with code 5 and asks for another one (S13).
  void restore_further(Index vap, std::span<const Vid> vids, Instant now);
  /// Gives back the further VIDs behind the first `keep`.
  void trim(Index vap, std::size_t keep, Instant now);
  void release_unused(Index vap, Reason reason, Instant now);
  /// No VN without a VID on the port gets one, for this reason; kNone opens it again (S12).
  void close_to_new(std::uint32_t port_index, Reason reason) { closed_[port_index] = reason; }
  /// Shows a refused connect (B4).
  void note_failure(std::uint32_t port_index, GroupId vn, Reason reason, Instant now);

  /// See VidPool.
  void begin_round_at(std::uint64_t anywhere) {
    for (auto& pool : pools_) pool->begin_round_at(anywhere);
  }
  /// A lost store (S13): see VidPool.
  void begin_recovery(Instant until);
  void adopt(std::uint32_t port_index, Vid vid, GroupId vn, Instant until) { pool(port_index).adopt(vid, vn, until); }

  // --- what the TSIs of a VAP do ---
  void instance_added(Index vap);
  void instance_removed(Index vap, Reason reason, Instant now);
  /// A station wants the VN connected, whatever TSIs there are.
  void connect_added(Index vap, const char* reason);
  void connect_removed(Index vap, Reason reason, Instant now);
  void instance_associated(Index vap, const char* reason);
  void instance_dissociated(Index vap);
  void address_opening(Index vap, bool begins);
  void address_active(Index vap, bool has_mac, bool becomes);

  Index find(PortId port, GroupId vn) const;
  /// The Connected VAP behind a tag of a port.
  Index find_tag(PortId port, Vid vid) const;
  const DomainState* domain(GroupId vn) const;
  const Slab<VapRow, 64>& rows() const { return rows_; }
  const VapRow& operator[](Index vap) const { return rows_[vap]; }
  /// Of the port's segment, and the port's place among its ports.
  const Shares& vid_shares(std::uint32_t port_index) const { return vid_shares_[pool_of_port_[port_index]]; }
  std::uint32_t place_in_pool(std::uint32_t port_index) const { return place_in_pool_[port_index]; }
  std::uint32_t vids_free(std::uint32_t port_index) const { return pool(port_index).free_count(); }

  void handle_time(Instant now);
  std::optional<Instant> next_deadline() const { return shown_until_.next(); }

 private:
  struct Key {
    PortId port;
    GroupId vn;
    friend bool operator==(const Key&, const Key&) = default;
    friend std::size_t hash_value(const Key& key) {
      return boost::hash<std::uint64_t>()((std::uint64_t{key.port.value()} << 32) | key.vn.value());
    }
  };
  Reason closed_to(std::uint32_t port_index, GroupId vn) const;
  Index find_or_create(std::uint32_t port_index, GroupId vn);
  void connect(Index vap, const char* reason);
  void enter(Index vap, VapState state, const char* reason);
  void disconnect(Index vap, Reason reason, Instant now);
  void erase(Index vap);
  void mark_access(const VapRow& row);
  void mark_tags(const VapRow& row);
  void mark_domain(GroupId vn);
  /// May the port have one more VID of its segment (S39)?
  bool may_take_vid(std::uint32_t port_index, GroupId vn) const;
  bool may_take_vid(std::uint32_t port_index) const;
  void count_vid(std::uint32_t port_index, bool comes);
  VidPool& pool(std::uint32_t port_index) { return *pools_[pool_of_port_[port_index]]; }
  const VidPool& pool(std::uint32_t port_index) const { return *pools_[pool_of_port_[port_index]]; }

  const AgentConfig& config_;
  const Policy& policy_;
  Changes& changes_;
  Journal& journal_;
  std::vector<std::unique_ptr<VidPool>> pools_;
  std::vector<std::size_t> pool_of_port_;
  std::vector<Reason> closed_;
  std::vector<Shares> vid_shares_;            ///< by pool
  std::vector<std::uint32_t> place_in_pool_;  ///< of each port among its segment's
  Slab<VapRow, 64> rows_;
  boost::unordered_flat_map<Key, Index> index_;
  boost::unordered_flat_map<GroupId, DomainState> domains_;
  boost::unordered_flat_map<GroupId, std::vector<MacAddress>> static_remotes_;
  DeadlineHeap shown_until_;
};

}  // namespace splitnve::nnved
