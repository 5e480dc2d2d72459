// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip_table.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/exchange.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/index_list.hpp"
#include "splitnve/vdp/statement.hpp"
#include "splitnve/vdp/timers.hpp"
#include "splitnve/vdp/vn_station.hpp"

namespace splitnve::vdp {

/// What an address is at the bridge, or shall be.
enum class Level : std::uint8_t { kNone, kReserved, kActive };
const char* to_string(Level level);

/// The station side of VDP towards one bridge. An *association* is one VSI in one VN with its addresses; each address
/// (a MAC, or an IP of a MAC) has a desired and a confirmed level. The station sends whatever command brings confirmed
/// to desired, one request per association at a time, many associations per VDPDU, and repeats settled ones as
/// keep-alives with the assigned VIDs.
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
    Priority priority{};  ///< asked for with every entry
  };

  // Events, for the owner of the TSI intent.
  struct Confirmed {  ///< an entry reached its desired level at the bridge (kNone: it is gone there)
    Handle handle;
    MacAddress mac;
    Level level;
    Vid vid;
    IpPrefix ip{};
    Priority priority{};  ///< as the bridge answered
  };
  struct Refused {  ///< the bridge refused the association's last command; entries are as `keep` says
    Handle handle;
    TlvType command;
    ResponseStatus status;
    std::string why;          ///< what the bridge said of it: at most 64 octets, anything a peer wrote (S33)
    std::uint16_t cause = 0;  ///< and its number: calls_held()
  };
  struct Revoked {  ///< the bridge de-associated the entry by itself, or refused its keep-alive without KEEP
    Handle handle;
    MacAddress mac;
    IpPrefix ip{};
    std::string why{};  ///< as above
  };
  struct Lowered {  ///< the bridge deactivated the entry: it is reserved there, and not asked for before it is wanted
                    ///< anew
    Handle handle;
    MacAddress mac;
    IpPrefix ip{};
    std::string why{};  ///< as above
  };
  struct Released {  ///< the bridge grants again what it had lowered: the first answer that does not call it held (S7)
    Handle handle;
    MacAddress mac;
    IpPrefix ip{};
  };
  struct Unconfirmed {  ///< no answer in time (`true`), or answered again (`false`); forwarding does not change (S8)
    Handle handle;
    bool unconfirmed;
  };
  struct Closed {  ///< close() is complete; the handle is free
    Handle handle;
  };
  using Event = std::variant<Confirmed, Refused, Revoked, Lowered, Released, Unconfirmed, Closed>;

  enum class State : std::uint8_t { kSettled, kQueued, kAwaitingResponse, kUnconfirmed, kRefused };

  /// `peer`: what the bridge has shown (E7); towards one without a flag the station degrades as S20 says.
  explicit Station(Timing timing, Flags peer = Flags()) : timing_(timing), peer_(peer), vns_(timing) {}

  /// Whole VNs, which share the VDPDUs; its events are drained on their own.
  VnStation& vns() { return vns_; }
  const VnStation& vns() const { return vns_; }

  // --- intent ---
  /// A VSI may have one association per group; requires that this one does not exist.
  Handle open(const Spec& spec);
  std::optional<Handle> find(const VsiId& vsi, GroupId group) const;
  /// Manager, type and priority are attributes (S1): a change is told with a repetition of what is confirmed, without a
  /// gap.
  void describe(Handle handle, const ManagerId& manager, VsiType type, Priority priority, Instant now);
  /// Adds the address or changes what is wanted of it. `vid` is the VID remembered for this bridge, null for "assign";
  /// it is ignored while the entry holds an assigned one. Answered by Confirmed or Refused. Wanting something of an
  /// association that is closing ends the closing: no Closed follows. An entry with IP goes with its MAC's: it is told
  /// in the format of its kind, or counts as confirmed while the bridge has not shown that it knows that (S20).
  /// Requires at most limits::kIpsPerInstanceMax IPs that are wanted of an association.
  void set_entry(Handle handle, MacAddress mac, Level desired, Vid vid, Instant now, const IpPrefix& ip = {});
  /// What requests of this association say of their VM from now on (S20): S if it is suspended or departs, M if it
  /// arrives, not both, and our TLV where the bits leave it open. Sends nothing by itself.
  void set_status(Handle handle, bool suspended, Migration migration);
  /// Tells the status now, with a repetition of what is confirmed, and not with the next keep-alive only.
  void tell_status(Handle handle, Instant now);
  /// De-associates all entries; Closed follows the bridge's answer, a refusal included: what the bridge still holds
  /// then is renewed no more and ages out. With `forget` nothing is sent and Closed follows now.
  void close(Handle handle, Instant now, bool forget = false);
  /// Takes levels for confirmed that a store remembered; the association is queued for re-assertion with its VIDs.
  void restore_entry(Handle handle, MacAddress mac, Level level, Vid vid, Instant now, const IpPrefix& ip = {},
                     Priority priority = Priority());
  /// The bridge holds the entry, as a refusal says, or as it did before a restart of ours: Released follows when it
  /// lets it back.
  void note_held(Handle handle, MacAddress mac, const IpPrefix& ip = {});
  /// The bridge may have lost everything (link flap, restart): queues every association again with its assigned VIDs.
  void reassert_all(Instant now);
  /// Another bridge is there: what is sent from now on asks it for VIDs (S13).
  void forget_vids();

  // --- wire ---
  /// Responses and bridge-initiated De-Associates. Unmatched responses are counted. Errors: as VdpduReader.
  Decoded<Heard> handle_vdpdu(Octets vdpdu, Instant now);
  /// Writes the next VDPDU for a ready ECP session into `out`; false when nothing is queued. Response timers start
  /// here. `show` goes with it. kRenewals: nothing but repetitions of what the bridge has confirmed.
  enum class Which : std::uint8_t { kAll, kRenewals };
  bool compose(OctetString& out, Instant now, const Capabilities* show = nullptr, Which which = Which::kAll);
  /// The ECP outcome of the last composed VDPDU; a failed one's associations are queued again (S10).
  void handle_delivered(Instant now);
  void handle_delivery_failed(Instant now);
  void handle_time(Instant now);
  /// Nobody acknowledges what has to come before the requests that wait: they are unconfirmed meanwhile (S8).
  void handle_silence();
  std::optional<Instant> next_deadline() const;

  std::optional<Event> poll_event();
  /// What the bridge says that it holds, or lets back, in the order in which it says so.
  std::optional<Standing> poll_standing();
  /// An answer that fits no request, with what it says: the last one since this was asked for (S45).
  struct Unmatched {
    VsiId vsi;
    TlvType command = TlvType::kEnd;
    ResponseStatus status;
    std::string why;  ///< as of Refused
  };
  std::optional<Unmatched> poll_unmatched() { return std::exchange(unmatched_, std::nullopt); }

  // --- views ---
  /// What the bridge has told of a VN (VnAttributes::flags); 0: nothing.
  std::uint16_t attributes(GroupId group) const {
    const auto found = attributes_.find(group);
    return found == attributes_.end() ? std::uint16_t{0} : found->second;
  }
  struct EntryView {
    MacAddress mac;
    Level desired;
    Level confirmed;
    Vid vid;
    IpPrefix ip{};
    Priority priority{};
  };
  State state(Handle handle) const;
  std::vector<EntryView> entries(Handle handle) const;
  std::size_t size() const { return associations_.size(); }
  bool queued() const { return has_associations_queued() || vns_.queued(); }
  /// `set_changes`: filter sets taken down and built again for a peer without incremental filter (S20).
  /// `other_manager`: answers that named another manager than their request (S46).
  /// `null_vid_retries`: requests repeated with VID 0 after code 5 (S13).
  struct Stats {
    std::uint64_t requests = 0, keepalives = 0, responses = 0, unmatched = 0, refused = 0, timeouts = 0, revoked = 0,
                  skipped_tlvs = 0, set_changes = 0, null_vid_retries = 0, lowered = 0, replies_dropped = 0,
                  other_manager = 0;
  };
  const Stats& stats() const { return stats_; }
  void set_timing(Timing timing) {
    timing_ = timing;
    vns_.set_timing(timing);
  }
  void set_peer(Flags peer, Instant now = {});
  /// What the bridge has been told that we understand: only that is done for it.
  void set_offered(Flags offered) {
    offered_ = offered;
    vns_.set_offered(offered);
  }
  /// Of one VDPDU, at most and by default limits::kVdpduOctetsMax: what is added behind compose() needs room.
  void set_vdpdu_octets_max(std::size_t octets) { vdpdu_octets_max_ = octets; }

 private:
  std::size_t vdpdu_octets_max_ = limits::kVdpduOctetsMax;
  static constexpr Handle kNoHandle = IndexLink::kNone;
  /// How an answer's VIDs bear on whether it is the request's.
  enum class Vids : std::uint8_t { kRepeated, kAny };
  enum class Need : std::uint8_t { kNothing, kRenewal, kChange };  ///< ordered: what is more urgent is greater
  enum class Queue : std::uint8_t { kNone, kFresh, kRenewals };
  /// What a request does, in the order in which an association's requests are sent.
  enum class Verb : std::uint8_t { kRemove, kReserve, kSuspend, kActivate };

  struct Entry {
    MacAddress mac;
    Vid vid;
    Level desired = Level::kNone;
    Level confirmed = Level::kNone;
    Level sent = Level::kNone;        ///< the level that the last request asked for
    Priority priority;                ///< as the bridge answered last
    IpTable::Number ip = 0;           ///< in `ips_`
    bool in_flight : 1 = false;       ///< named by the association's unanswered command
    bool uncertain : 1 = false;       ///< a request went out and no answer told what became of it
    bool held_active : 1 = false;     ///< associated at the peer, even if confirmed says kReserved (S20)
    bool maybe_active : 1 = false;    ///< an Associate went out since the last answer
    bool refused : 1 = false;         ///< the desire was refused and is not tried again by itself
    bool renew : 1 = false;           ///< to be repeated: keep-alive or re-assertion
    bool null_vid : 1 = false;        ///< asks for another VID after code 5 (S13)
    bool lost : 1 = false;            ///< gone at the peer though wanted; Revoked follows unless it comes back
    bool owed : 1 = false;            ///< the owner waits for Confirmed
    bool held : 1 = false;            ///< by the bridge, which has not let it back yet
    bool in_answer : 1 = false;       ///< the answer that is being read speaks for it
    bool level_answered : 1 = false;  ///< the peer has said what it has, since it or we began
    bool mute : 1 = false;            ///< has an IP that the peer does not understand: nothing is asked for it (S20)
    bool was_associated() const { return held_active || maybe_active; }
    bool wanted() const { return desired != Level::kNone; }
    bool at_peer() const { return !mute && (confirmed != Level::kNone || uncertain); }
    bool renewable() const { return at_peer() && confirmed != Level::kNone && wanted(); }
    /// What to ask for: a refused desire leaves what was confirmed.
    Level target() const { return refused ? confirmed : desired; }
    Need need() const;
  };
  struct Row {
    VsiId vsi;
    FilterFormat format = FilterFormat::kGroupMacVid;
    Priority priority;
    State state = State::kSettled;
    TlvType command = TlvType::kEnd;  ///< the last command while it is unanswered; kEnd: none
    VsiType type;
    GroupId group;
    ManagerId manager;
    Handle next_of_vsi = kNoHandle;
    Handle sent_next = kNoHandle;  ///< the association whose request followed this one's; it may be gone by now
    IndexLink link;
    std::uint32_t vdpdu = 0;  ///< serial of the VDPDU that carried the last command
    Instant keepalive_at{};   ///< epoch: not running
    std::uint8_t status = 0;  ///< S and M bits of requests
    std::uint8_t timeouts = 0;
    Queue queue = Queue::kNone;
    Migration migration = Migration::kNone;
    bool closing : 1 = false;
    bool unconfirmed : 1 = false;
    bool removal_unanswered : 1 = false;  ///< the command replaced a De-Associate whose answer may still come
    bool response_timer : 1 = false;      ///< the row's deadline is the response timer
    boost::container::small_vector<Entry, 1> entries;
  };
  using Rows = Slab<Row, 64>;
  /// One request about to be written; the entries it names are `chosen_`.
  struct Plan {
    TlvType command = TlvType::kAssociate;
    std::uint8_t status = 0;
    FilterFormat format = FilterFormat::kGroupMacVid;
    bool renewal = false;
    bool replacing = false;  ///< takes the set down in order to build another (S20)
  };

  /// Our answer to a command of the bridge.
  struct Reply {
    TlvType command = TlvType::kPreAssociateRr;
    ManagerId manager;
    VsiType type;
    VsiId vsi;
    FilterFormat format = FilterFormat::kGroupMacVid;
    std::vector<FilterEntry> entries;
  };

  // Requests (station_requests.cpp).
  bool has_associations_queued() const { return !fresh_.empty() || !renewals_.empty() || !replies_.empty(); }
  ManagerId leading_manager(const IndexList& lead) const;
  bool write_replies(VdpduWriter& writer, const ManagerId& manager);
  Verb verb(const Entry& entry) const;
  bool full_set(const Row& row) const;
  FilterFormat format_of(Handle handle, const Entry& entry) const;
  Plan plan(Handle handle);
  Plan plan_incremental(Handle handle);
  Plan plan_full_set(const Row& row);
  Plan plan_removal(const Row& row, bool replacing);
  void fill(VdpduWriter& writer, const IndexList& list, const ManagerId& manager, Instant now);
  bool append(VdpduWriter& writer, Handle handle, Instant now);
  std::optional<Extension> migration_to_tell(const Row& row, const Plan& plan) const;
  void commit(Handle handle, const Plan& plan, Instant now);

  // Intent, queues and timers (station.cpp).
  static Need work(const Row& row);
  void advance(Handle handle, Instant now);
  void rest(Handle handle, Instant now);
  void touch(Handle handle, bool changed, Instant now);
  void settle_entries(Handle handle);
  void enqueue(Handle handle, Need need, bool front = false);
  void dequeue(Handle handle);
  void renew(Handle handle, Instant now);
  void overdue(Handle handle, Instant now);
  static bool rests(const Row& row);
  void ask_again(Handle handle, Instant now);
  void time_out(Handle handle, Instant now);
  void answered_again(Handle handle);
  void finish(Handle handle);
  Instant next_keepalive(Handle handle, Instant now) const;
  Duration answer_wait(bool renewal) const { return renewal ? timing_.renewal_wait() : timing_.response_wait(); }
  Entry* find_entry(Handle handle, MacAddress mac, const IpPrefix& ip);
  Entry& entry_for(Handle handle, MacAddress mac, const IpPrefix& ip);
  void make_room(Handle handle);
  bool understands(const Row& row, const IpPrefix& ip) const;

  // Answers (station_answers.cpp).
  void handle_association(const ManagerId& manager, const Association& association, Instant now);
  void handle_vn_request(const Statement& statement, Instant now);
  void handle_standing(const Tlv& tlv);
  void handle_undecodable(const Tlv& tlv, Instant now);
  void handle_response(const ManagerId& manager, const Association& association, Instant now);
  void handle_deassociate_response(const ManagerId& manager, const Association& association, Instant now);
  void handle_bridge_deassociate(const Association& association, Instant now);
  void handle_bridge_deactivate(const ManagerId& manager, const Association& association, Instant now);
  void lower(Handle handle, Entry& entry);
  template <class F>
  void for_each_named(Handle handle, const Association& association, F&& visit);
  void handle_whole_deassociate(const Association& association, Instant now);
  Handle first_of(const VsiId& vsi) const;
  bool answers(Handle handle, const Association& association, Vids vids) const;
  Handle match(const Association& association) const;
  Handle match_refused(const Association& association) const;
  bool same_entries(Handle handle, const Association& association, Vids vids) const;
  void count_unmatched(const VsiId& vsi, TlvType command, std::uint8_t status);
  void count_manager(Handle handle, const ManagerId& manager);
  void learn_attributes(GroupId group);
  TlvType take_answer(Handle handle);
  void accept(Handle handle, const Association* answer, Instant now);
  void accept_entry(Handle handle, Entry& entry, TlvType command, const FilterEntry& answer);
  void accept_macs(Handle handle);
  void grant_entry(Handle handle, Entry& entry, bool associated, Vid vid, Priority priority);
  void refuse(Handle handle, ResponseStatus status, Instant now);
  void refuse_entry(Handle handle, Entry& entry, TlvType command, bool keep);
  bool retry_with_null_vid(Row& row, ResponseStatus status);
  void lose(Handle handle, Entry& entry);
  void revoke(Handle handle, Entry& entry);
  void revoke_all(Handle handle, Instant now);
  void revoke_named(Handle handle, const Association& association, Instant now);
  void after_revocation(Handle handle, Instant now);

  Timing timing_;
  Flags peer_;
  Flags offered_;
  VnStation vns_;
  Rows associations_;
  boost::unordered_flat_map<VsiId, Handle, boost::hash<VsiId>> by_vsi_;  ///< first of a chain by next_of_vsi
  IpTable ips_;
  IndexList fresh_;
  IndexList renewals_;
  DeadlineHeap deadlines_;
  std::vector<std::pair<Handle, Instant>> due_;  ///< during handle_time
  std::deque<Event> events_;
  std::deque<Standing> standings_;
  std::deque<Reply> replies_;
  std::size_t replies_sent_ = 0;       ///< of these the first are in the VDPDU under way
  std::vector<Handle> composed_;       ///< associations of the VDPDU under way
  std::vector<std::uint32_t> chosen_;  ///< scratch: entry indexes of the request being planned
  std::vector<FilterEntry> written_;   ///< scratch: the same as octets will have them
  Handle last_sent_ = kNoHandle;
  Handle expected_ = kNoHandle;  ///< whose answer is likely to be the next: bridges answer in order
  std::uint32_t serial_ = 0;
  std::string_view why_;             ///< what the bridge said of the TLV that is being handled
  const Statement* told_ = nullptr;  ///< that TLV, with what stands behind it
  boost::unordered_flat_map<GroupId, std::uint16_t> attributes_;
  std::optional<Unmatched> unmatched_;
  unsigned fresh_streak_ = 0;  ///< VDPDUs in a row that left waiting keep-alives behind
  Stats stats_;
};

}  // namespace splitnve::vdp
