// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/timers.hpp"

namespace splitnve::vdp {

/// What an address is at the bridge, or shall be.
enum class Level : std::uint8_t { kNone, kReserved, kActive };
const char* to_string(Level level);

/// What the peer has shown that it understands (E7); towards a peer without a flag the station degrades as S20 says.
struct PeerCapabilities {
  bool deactivate = false;          ///< Pre-Associate on an active entry is Deactivate (S2)
  bool incremental_filter = false;  ///< a TLV may name some of a VSI's entries (S20)
  friend bool operator==(const PeerCapabilities&, const PeerCapabilities&) = default;
};

/// The station side of VDP towards one bridge. An *association* is one VSI in one VN with its addresses; each address
/// has a desired and a confirmed level. The station sends whatever command brings confirmed to desired, one request per
/// association at a time, many associations per VDPDU, and repeats settled ones as keep-alives with the assigned VIDs.
///
///              desired != confirmed            compose()
///   Settled -------------------------> Queued -----------> AwaitingResponse --success--> Settled (or Queued again)
///      ^  keep-alive due: Queued          ^                  |          |
///      |                                  | back-off over    | timeout  | refused
///      |                                  +-- Unconfirmed <--+          v
///      +------------------- set_entry() ------------------------------ Refused
///
/// Silence is not an answer (S8): a timeout changes no confirmed level. Refusal without KEEP, and the bridge's
/// De-Associate, do. After any call drain poll_event(); when the ECP session is ready call compose().
class Station {
 public:
  using Handle = std::uint32_t;

  struct Spec {
    VsiId vsi;
    ManagerId manager;
    VsiType type;
    GroupId group;
    FilterFormat format = FilterFormat::kGroupMacVid;
  };

  // Events, for the owner of the TSI intent.
  struct Confirmed {  ///< an entry reached its desired level at the bridge (kNone: it is gone there)
    Handle handle;
    MacAddress mac;
    Level level;
    Vid vid;
  };
  struct Refused {  ///< the bridge refused the association's last command; entries are as `keep` says
    Handle handle;
    TlvType command;
    ResponseStatus status;
  };
  struct Revoked {  ///< the bridge de-associated the entry by itself, or refused its keep-alive without KEEP
    Handle handle;
    MacAddress mac;
  };
  struct Unconfirmed {  ///< no answer in time (`true`), or answered again (`false`); forwarding does not change (S8)
    Handle handle;
    bool unconfirmed;
  };
  struct Closed {  ///< close() is complete; the handle is free
    Handle handle;
  };
  using Event = std::variant<Confirmed, Refused, Revoked, Unconfirmed, Closed>;

  enum class State : std::uint8_t { kSettled, kQueued, kAwaitingResponse, kUnconfirmed, kRefused };

  Station(Timing timing, PeerCapabilities capabilities) : timing_(timing), capabilities_(capabilities) {}

  // --- intent ---
  /// A VSI may have one association per group; requires that this one does not exist.
  Handle open(const Spec& spec);
  std::optional<Handle> find(const VsiId& vsi, GroupId group) const;
  /// Adds the address or changes what is wanted of it. `vid` is the VID remembered for this bridge, null for "assign".
  void set_entry(Handle handle, MacAddress mac, Level desired, Vid vid, Instant now);
  /// The S and M bits that requests of this association carry from now on (S20); sends nothing by itself.
  void set_status(Handle handle, bool suspended, bool migrating);
  /// De-associates all entries; Closed follows the bridge's answer. With `forget` nothing is sent and Closed follows now.
  void close(Handle handle, Instant now, bool forget = false);
  /// Takes levels for confirmed that a store remembered; the association is queued for re-assertion with its VIDs.
  void restore_entry(Handle handle, MacAddress mac, Level level, Vid vid, Instant now);
  /// The bridge may have lost everything (link flap, restart): queues every association again with its assigned VIDs.
  void reassert_all(Instant now);

  // --- wire ---
  /// Responses and bridge-initiated De-Associates. Unmatched responses are counted. Errors: as VdpduReader.
  Decoded<void> handle_vdpdu(Octets vdpdu, Instant now);
  /// Writes the next VDPDU for a ready ECP session into `out`; false when nothing is queued. Response timers start here.
  bool compose(OctetString& out, Instant now);
  /// The ECP outcome of the last composed VDPDU; a failed one's associations are queued again (S10).
  void handle_delivered(Instant now);
  void handle_delivery_failed(Instant now);
  void handle_time(Instant now);
  std::optional<Instant> next_deadline() const;

  std::optional<Event> poll_event();

  // --- views ---
  struct EntryView {
    MacAddress mac;
    Level desired;
    Level confirmed;
    Vid vid;
  };
  State state(Handle handle) const;
  std::vector<EntryView> entries(Handle handle) const;
  std::size_t size() const { return associations_.size(); }
  bool queued() const { return !queue_.empty(); }
  struct Stats {
    std::uint64_t requests = 0, keepalives = 0, responses = 0, unmatched = 0, refused = 0, timeouts = 0, revoked = 0,
                  skipped_tlvs = 0;
  };
  const Stats& stats() const { return stats_; }
  void set_timing(Timing timing) { timing_ = timing; }
  void set_capabilities(PeerCapabilities capabilities) { capabilities_ = capabilities; }
};

}  // namespace splitnve::vdp
