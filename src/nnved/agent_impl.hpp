// SPDX-License-Identifier: Apache-2.0
// The rooms of the agent: agent.cpp (frames and effects), authentication.cpp, decide.cpp (requests), refuse.cpp,
// ownership.cpp (who may have an address), pipeline.cpp (works and results), upkeep.cpp (time, links, ages),
// connect.cpp (VN requests), evb.cpp, operator.cpp (removals, latches, drain), restore.cpp, recovery.cpp, announce.cpp
// (other nNVEs), standing.cpp (what stations hear of what we hold of them), station_moves.cpp, views.cpp.
#pragma once
#include <deque>
#include <map>
#include <random>

#include "agent/held_records.hpp"
#include "agent/signers.hpp"
#include "nnved/agent.hpp"
#include "nnved/connect.hpp"
#include "nnved/contests.hpp"
#include "nnved/journal.hpp"
#include "nnved/latch.hpp"
#include "nnved/peer.hpp"
#include "nnved/policy.hpp"
#include "nnved/projection.hpp"
#include "nnved/record.hpp"
#include "nnved/recovery.hpp"
#include "nnved/refused.hpp"
#include "nnved/segment.hpp"
#include "nnved/share_limits.hpp"
#include "nnved/shares.hpp"
#include "nnved/tsi_machine.hpp"
#include "nnved/vap.hpp"
#include "nnved/work.hpp"
#include "splitnve/auth/greeter.hpp"

namespace splitnve::nnved {

/// How long after a failed removal or a silent authority the rows are told again.
inline constexpr Duration kRetryInterval = std::chrono::seconds(1);
/// Between two times that one station is told all that is disconnected.
inline constexpr Duration kLatchesToldInterval = std::chrono::seconds(1);
/// Causes of dropped frames that are told apart; a decoder has fewer.
inline constexpr std::size_t kDropCausesMax = 128;

/// What one entry of a request comes to. One with an IP comes to two: its MAC, then the IP.
struct Step {
  std::size_t entry = 0;
  GroupId vn;
  AddressName name;
  Index instance = kNoIndex;  ///< kNoIndex: to be created
  Level level = Level::kNone;
  Vid vid{};            ///< granted; null until then
  bool beside = false;  ///< the MAC of an IP, which is the next step
};
struct Plan {
  boost::container::small_vector<Step, 2> steps;  ///< in the order of the entries
  struct Joined {
    GroupId vn;
    Index vap = kNoIndex;
    std::size_t vids_before = 0;  ///< its further VIDs, before this request
  };
  boost::container::small_vector<Joined, 1> vaps;  ///< each VN once
  Index vap_of(GroupId vn) const;
};

/// How a station's silence bears on what it has not renewed (S9).
struct Ageing {
  Ageing(const Agent::Impl& impl, const Peer& peer, Instant now);
  /// May what expired then go?
  bool is_over(Instant expires) const;
  Instant next_look() const;
  const char* words() const { return dead ? "the station is silent" : "not renewed"; }

  Instant now;
  Duration timeout;
  bool dead = false;

 private:
  Duration interval_, silence_, bearable_;
  Instant heard_, back_since_;
  bool never_ = false, link_up_ = true;
};

struct Agent::Impl {
  Impl(AgentConfig config_, std::uint64_t seed);

  // --- agent.cpp: where a frame goes ---
  void handle_frame(PortId port, Octets frame, Instant now);
  bool handle_work(std::size_t budget, Instant now);
  Index peer_for(std::uint32_t port_index, const ecp::Frame& frame, Instant now);
  Index create_peer(std::uint32_t port_index, const MacAddress& station, const MacAddress& destination, Instant now);
  void forget_peer(Index peer);
  /// Makes room at a full port: the longest known of those that have never acknowledged anything goes, if it has
  /// nothing.
  bool forget_unproven(std::uint32_t port_index);
  bool is_idle(const Peer& peer) const;
  void enqueue(Index peer);
  void schedule_port(std::uint32_t port_index);
  /// Has the peer's port room for what another VDPDU asks for?
  bool has_room(Index peer) const;
  void resume_held_back(std::uint32_t port_index);
  /// The requests that it brought.
  std::size_t take_vdpdu(Index peer, Instant now);
  std::size_t work_at(std::uint32_t port_index, Instant now);
  /// Counts what waits in the peer's conversation for its port's share, and goes on with whom that makes room for.
  void account(Index peer);
  vdp::Exchange new_exchange(std::uint32_t port_index);
  vdp::Capabilities own_capabilities(std::uint32_t port_index) const;
  std::array<std::uint8_t, 16> new_nonce() { return nonces.next(); }
  /// What names the conversation with a station in our capabilities.
  std::array<std::uint8_t, 16> nonce_for(const Peer& peer);
  void tell_bridge(Index peer);
  /// What the exchange with a station has brought.
  void exchanged(Index peer, const vdp::Exchange::Change& change, Instant now);
  void tell_latches_paced(Index peer, Instant now);
  void drop(const char* cause);
  void touch(Index peer);
  void pump(Index peer, Instant now);
  bool compose(Index peer, Instant now);
  void schedule(Index peer, Instant now);
  /// The end of every entry point: flush what has gathered, then let the touched peers speak.
  void settle(Instant now);

  // --- authentication.cpp: who may speak as a station ---
  std::shared_ptr<const auth::KeyRing> keys_of(std::uint32_t port_index, const MacAddress& station) const;
  bool has_key(std::uint32_t port_index, const MacAddress& station) const;
  agent::Authentication new_authentication(std::uint32_t port_index, const MacAddress& station);
  /// The first signed frame of a station that is not remembered makes it a peer, where a signature is required; what it
  /// says before is answered and forgotten (S40). kNoIndex: that was all.
  Index greet(std::uint32_t port_index, const ecp::Frame& frame, Instant now);
  void note_signer(Index peer);
  /// Plain words in the name of a system that has signed before (S40).
  bool is_downgrade(const Peer& peer, const ecp::Frame& frame) const;
  void refuse_unsigned(std::uint32_t port_index, const MacAddress& station, const char* cause, Instant now);
  /// Is the frame the station's? Its counter then, 0 if it is plain and may be.
  std::optional<std::uint64_t> authenticate(Index peer, const ecp::Frame& frame, Instant now);

  // --- decide.cpp: what a request comes to ---
  void handle_request(Index peer, vdp::Request request, Instant now);
  bool renew(Index peer, vdp::Request& request, Instant now);
  void associate(Index peer, vdp::Request& request, Instant now);
  void deassociate(Index peer, vdp::Request& request, Instant now);
  std::optional<Refused> plan(Index peer, const vdp::Request& request, Plan& plan, Instant now);
  std::optional<Refused> check_in_service(Index peer, const vdp::Request& request, GroupId vn, const MacAddress& mac);
  Result<MacAddress, Reason> mac_of_entry(Index peer, const vdp::Request& request, GroupId vn,
                                          const vdp::FilterEntry& entry) const;
  std::optional<Refused> plan_entry(Index peer, const vdp::Request& request, GroupId vn, const MacAddress& mac,
                                    std::size_t entry, Plan& plan, Instant now);
  std::optional<Refused> plan_address(Index peer, const vdp::Request& request, Step& step, Instant now);
  Level level_beside(Index instance, const MacAddress& mac, Level level) const;
  bool grows(const Plan& plan) const;
  std::optional<Refused> check_limits(Index peer, const vdp::Request& request, const Plan& plan) const;
  std::optional<Refused> check_share(const Shares& shares, const char* what, std::uint32_t port_index, std::size_t more,
                                     GroupId vn) const;
  std::optional<Refused> connect_vap(Index peer, Vid requested, Plan& plan, std::size_t i, Instant now);
  std::optional<Refused> connect_vaps(Index peer, const vdp::Request& request, Plan& plan, Instant now);
  void apply(Index peer, vdp::Request& request, const Plan& plan, Instant now);
  void keep(AddressRow& address, const Step& step, Index vap, Instant now);
  void grant(Index peer, const vdp::Request& request);
  void use_vid(AddressRow& address, const Step& step, Index vap);
  Index instance_for(Index peer, const vdp::Request& request, const Step& step, Index vap, Instant now);
  bool update_attributes(Index instance, const vdp::Request& request);
  bool store_vids(Index instance, const Step& step, Index vap);
  void refuse(Index peer, const vdp::Request& request, const Refused& refused, Instant now);
  /// Counts it, keeps it to be shown, and logs it if the port has not had many. What there is to say of the case is in
  /// `refusal_text` then: all of it if it was logged, else what costs nothing. True: it was logged.
  bool note_refusal(Index peer, const VsiId& vsi, const Refused& refused, Instant now);
  std::string described(Index peer, const about::Case& about) const;
  /// For the station: the reason, and what is behind it; valid until the next call.
  std::string_view words_for_station(Reason reason, std::string_view detail);
  void await_turn(Index peer, vdp::Request request, Inflight& busy, Instant now);
  bool stands(Index peer, vdp::Request& request) const;
  enum class Cancel : std::uint8_t { kOvertaken, kAll };
  void cancel(Index peer, const VsiId& vsi, Cancel which, Reason reason, Instant now);
  std::vector<std::pair<Index, AddressName>> named_addresses(Index peer, const vdp::Request& request, bool& other_vid);

  // --- ownership.cpp: who may have an address (S6) ---
  std::optional<Refused> check_owner(Index peer, const vdp::Request& request, const Step& step, Instant now);
  std::optional<Refused> check_ip_owner(const VsiId& vsi, const Step& step) const;
  bool may_take_over(Index from, Index to) const;
  bool consents(std::uint32_t port_index, Index from, Index to) const;
  bool is_authenticated(Index peer) const;
  bool signals_migration(Index peer, const vdp::Request& request, Index instance, bool reserved) const;
  std::string place_of(Index instance) const;
  std::string holder_of(const about::Holder& holder) const;
  static std::string address_of(const about::Holder& holder);
  void note_claim(Index peer, const VsiId& vsi, const Refused& refused, bool logged, Instant now);
  /// A legacy station is not told for a while that its VSI has moved, and then that the VSI is gone (S6).
  bool is_legacy(Index peer) const;
  bool is_held_loser(Index instance) const;
  void end_loser_hold(Index instance, Instant now);
  void taken_over(Index loser, const AddressKey& key, Instant now);
  /// Does a refusal leave the VSI as it was? A legacy station's Pre-Associated VSI that it would raise goes (S4).
  bool keeps(Index peer, const VsiId& vsi, vdp::TlvType command, Instant now);
  bool would_raise_legacy(Index peer, const VsiId& vsi, vdp::TlvType command) const;
  void remove_vsi(Index peer, const VsiId& vsi, Reason reason, Instant now);
  void handle_port_mac(std::uint32_t port_index, const MacAddress& mac, Instant now);

  // --- pipeline.cpp: from decision to answer ---
  Index open_work(Index peer, vdp::Request& request);
  void commit(Index work, Instant now);
  void finish(Index work);
  void fail(Index work, Reason reason, const std::string& detail, Instant now);
  void undo(Index work, Level floor, Reason reason, Instant now);
  void answer(Index work, vdp::ResponseStatus status, vdp::ReasonText why);
  void leave_inflight(Index work);
  void take_turns(Instant now);
  bool is_worked_on(const VsiId& vsi) const {
    const auto busy = inflight.find(vsi);
    return busy != inflight.end() && !busy->second.works.empty();
  }
  void charge(std::uint32_t port_index, std::size_t rows);
  void close_work(Index work);
  /// Counts a request that waits or is worked on, and finds it again by its id.
  void ask(Index peer, vdp::RequestId request, const VsiId& vsi);
  void asked(Index peer, vdp::RequestId request);
  void expire(Index peer, vdp::RequestId request, Instant now);
  bool remove_address(Index instance, const AddressName& name, Reason reason, const char* words, Instant now);
  void remove_instance(Index instance, Reason reason, const char* words, Instant now);
  void flush_claims(Instant now);
  void flush_commits();
  agent::Publish gather_publish(Batch& batch);
  BatchId open_batch(Batch batch);
  void handle_result(const agent::BatchResult& result, Instant now);
  void published(Batch& batch, const agent::BatchResult& result, Instant now);
  void programmed(Batch& batch, const agent::BatchResult& result, Instant now);
  void persisted(Batch& batch, const agent::BatchResult& result, Instant now);
  void settled(Index work);
  void retry_later(Instant now);

  // --- upkeep.cpp: what time and links do ---
  void handle_time(Instant now);
  void handle_link(PortId port, bool up, Instant now);
  void set_mac(PortId port, const MacAddress& mac, Instant now);
  void age(Index instance, Instant now);
  void link_lost(std::uint32_t port_index, Instant now);
  /// Some of what goes with a lost link; false when all is gone.
  bool remove_lost(std::uint32_t port_index, Instant now);
  void cancel_requests_of(std::uint32_t port_index, Instant now);
  void wake_peer(Index peer, Instant now);
  std::optional<Instant> next_deadline() const;

  // --- connect.cpp ---
  void handle_vn_request(Index peer, vdp::VnBridge::Asked asked, Instant now);
  std::optional<Refused> may_connect(Index peer, GroupId group) const;
  void connect_vn(Index peer, const vdp::VnBridge::Asked& asked, Instant now);
  void disconnect_vn(Index peer, const vdp::VnBridge::Asked& asked, Instant now);
  void remove_cascade(std::uint32_t port_index, Instant now);
  void finish_disconnect(Index peer, const vdp::VnBridge::Asked& asked, Instant now);
  void add_connect(Index number, Instant now);
  void answer_connect(Index number);
  void remove_connect(Index number, Reason reason, Instant now);
  void refuse_vn(Index peer, const vdp::VnBridge::Asked& asked, const Refused& refused, Instant now);
  template <class Harm>
  void connects_returned(const Batch& batch, Harm&& harm, Reason reason, const std::string& cause, Instant now);
  void connects_programmed(const Batch& batch, const RowKeys& failed, const std::string& cause, Instant now);
  void connects_persisted(const Batch& batch, const std::string& error, Instant now);
  void await(Batch& batch, std::span<const Index> numbers);
  agent::StoreRecord connect_record(Index number) const;
  const char* restore_connect(Index number, const ConnectRecord& record, Instant now);
  void age_connect(Index number, Instant now);
  template <class Which>
  void remove_connects(Which&& which, Reason reason, Instant now);
  /// Of one VN, or of all.
  void remove_connects_of_port(std::uint32_t port_index, std::optional<GroupId> vn, Reason reason, Instant now);
  void tell_stations(std::uint32_t port_index, GroupId vn, vdp::VnRequest::Operation operation, vdp::ReasonText why);
  void tell_latches(Index peer);

  // --- evb.cpp ---
  void handle_lldp(std::uint32_t port_index, Octets octets, Instant now);
  /// After any call of the port's EVB machine: what it says goes out, what it changed holds from now on.
  void settle_evb(std::uint32_t port_index, Instant now);
  void shut_down(Instant now);
  void adopt_timers(std::uint32_t port_index, Instant now);
  void adopt_signed_timers(Index peer, Instant now);
  vdp::Timing timing_of(const Peer& peer) const;
  bool refuses_timers(const Peer& peer) const;
  std::string timers_in_words(const Peer& peer) const;

  // --- announce.cpp ---
  /// Takes a frame whose source is no station of ours if it is another nNVE's, or our own at another port.
  bool is_of_bridge(std::uint32_t port_index, const ecp::Frame& frame, Instant now);
  void note_lldp_bridge(std::uint32_t port_index, Octets octets, Instant now);
  void announce(std::uint32_t port_index);
  /// After any call of `segments`: what it wants sent goes out, what it found holds from now on.
  void note_segment(std::uint32_t port_index, const SegmentWatch::Verdict& verdict, Instant now);
  void settle_segments(Instant now);

  // --- operator.cpp ---
  void withdraw(Index instance, const std::string& reason, Instant now);
  template <class Which, class Visit>
  std::size_t for_each_tsi(Which&& which, Visit&& visit);
  bool remove_tsi(InstanceId instance, const std::string& reason, Instant now);
  bool latch_tsi(const VsiId& vsi, GroupId vn, const std::string& reason, Instant now);
  bool deactivate_tsi(InstanceId id, std::span<const MacAddress> macs, const std::string& reason, Instant now);
  void deactivate(Index instance, std::span<const MacAddress> macs, const std::string& reason, Instant now);
  void command(Index instance, std::span<const MacAddress> macs, bool deactivate, vdp::ReasonText why);
  bool latch_vn(std::uint32_t port_index, GroupId vn, const std::string& reason, Instant now);
  bool release(GroupId vn, const std::string& interface_name, const std::optional<VsiId>& vsi, Instant now);
  std::size_t drain(const std::string& reason, Instant now, bool removes);
  bool is_drained() const;

  // --- standing.cpp: what stations hear of what we hold of them (S6, S7) ---
  vdp::ReasonText held_words(Index peer, const VsiId& vsi, vdp::TlvType command,
                             std::span<const vdp::FilterEntry> entries);
  void tell(Index peer, const vdp::Standing& standing);
  void tell_loser(Index loser, const VsiId& vsi, const AddressKey& key, Index winner = kNoIndex);
  bool holds_silently(Index peer) const;
  void take_let_go(Index peer);
  void let_back();
  void note_told(Index peer, const VsiId& vsi, GroupId vn);
  void tell_released(const VsiId& vsi, GroupId vn);
  void tell_held(Index peer);
  void undrain(Instant now);
  bool is_held_silently(Index peer, Index instance, const VsiId& vsi, GroupId vn, const MacAddress& mac) const;
  void take_out(Index instance, const std::string& reason, Instant now);

  // --- station_moves.cpp: a station at another place (S37) ---
  enum class StationMove : std::uint8_t { kNone, kAsks, kAdmitted };
  bool is_same_station(Index from, Index to) const;
  bool is_proven_by_key(Index from, Index to) const;
  bool may_move_unsigned(std::uint32_t from, std::uint32_t to) const;
  bool is_left(Index from, Index to) const;
  bool has_to_sign(Index peer) const;
  bool may_yet_be_same(Index from, Index to) const;
  bool is_silent(Index place, Instant now) const;
  StationMove judge_move(Index from, Index to, Instant now);
  bool admits_move(Index from, Index to, Instant now);
  void note_twice(Index from, Index to, Instant now);
  void park(Index peer, vdp::Request request);
  bool unpark(Index peer, vdp::RequestId request);
  void note_place(Index peer, bool answers, Instant now);
  void resume_moves(Instant now);
  void leave_old_places(const Work& work);
  void handle_stray(std::uint32_t port_index, Vid vid, const MacAddress& mac, Instant now);
  Index place_of_stray(std::uint32_t port_index, Vid vid, const MacAddress& mac) const;

  // --- recovery.cpp ---
  void recover(const datapath::Rows& found, bool hold_vids, Instant now);
  void end_recovery(Instant now);
  Index new_instance(const VsiId& vsi, GroupId vn, Index peer, Index vap, const MacAddress& mac);

  // --- restore.cpp ---
  std::string restore_one(const agent::StoreRecord& stored, Instant now);
  std::size_t restore(std::span<const agent::StoreRecord> records, Instant now);
  void restore_epoch(std::span<const agent::StoreRecord> records);
  agent::StoreRecord epoch_record() const;
  std::string restore_held(const agent::StoreRecord& stored, Instant now);
  bool is_in_use(std::uint64_t key) const;
  void hold(const agent::StoreRecord& stored, const TsiRecord& record, const char* reason);
  void hold(const agent::StoreRecord& stored, const ConnectRecord& record, const char* reason);
  Index free_number = 0;        ///< none below it is free
  std::vector<Index> returned;  ///< TSIs that have found their place again
  std::optional<std::uint32_t> port_named(const std::string& interface_name) const;
  std::optional<std::uint32_t> port_of(const TsiRecord& record) const;
  const char* may_restore(std::optional<std::uint32_t> port_index, GroupId vn, const MacAddress& station) const;
  Index restore_peer(std::uint32_t port_index, const MacAddress& station, Instant now);
  const char* restore_tsi(Index instance, const TsiRecord& record, Instant now);

  AgentConfig config;  ///< as it was given, but for the MAC addresses of the ports
  Policy policy{config};
  Journal journal;
  Changes changes;
  VapTable vaps{config, policy, changes, journal};
  TsiTable tsis;
  AddressShares address_shares;
  TsiMachine machine{config, tsis, vaps, changes, journal, &address_shares};
  HostTraffic host_traffic{config};
  Projection projection{config, policy, tsis, vaps, host_traffic};
  LatchTable latches{changes};
  agent::Signers signers;
  ConnectTable connects;
  SegmentWatch segments{config};
  agent::HeldRecords held;
  bool draining = false, removing = false;
  Recovery recovery;

  /// The stations that have heard that an operator holds a VSI of theirs. Not stored: who has not is refused.
  boost::unordered_flat_map<std::pair<VsiId, GroupId>, boost::container::small_vector<PeerKey, 1>> told_latched;
  Slab<Peer, 16> peers;
  boost::unordered_flat_map<PeerKey, Index> peer_index;
  std::vector<Port> ports;
  std::deque<std::uint32_t> round;  ///< ports with something to work on, each once
  std::vector<Index> touched;       ///< peers with output to look at, each once
  OctetString scratch;
  OctetString received;  ///< the payload at hand, translated

  struct RequestKey {
    Index peer = kNoIndex;
    vdp::RequestId request;
    friend bool operator==(const RequestKey&, const RequestKey&) = default;
    friend std::size_t hash_value(const RequestKey& key) {
      return boost::hash<std::uint64_t>()(key.request.value() ^ (std::uint64_t{key.peer} << 16));
    }
  };
  Slab<Work> works;
  boost::unordered_flat_map<RequestKey, VsiId> vsi_of_request;
  boost::unordered_flat_map<VsiId, Inflight> inflight;
  std::deque<VsiId> turns;             ///< VSIs whose next request's turn has come
  std::vector<Index> claims, commits;  ///< works for the next batches
  std::vector<Index> connect_commits;  ///< connects for the next batches
  boost::unordered_flat_map<BatchId, Batch> batches;
  std::uint64_t last_batch = 0;
  Changes retry;
  std::optional<Instant> retry_at;

  /// A request that waits for whether `from` answers.
  struct Parked {
    Index from, to;
    vdp::Request request;
  };
  std::vector<Parked> parked;
  Index asked_place = kNoIndex;     ///< the last that judge_move() asked
  std::vector<Index> places_heard;  ///< answered, or did not, since they were asked
  /// An address at a place that its station has left.
  struct Left {
    Index instance;
    VsiId vsi;
    AddressKey key;
  };
  std::vector<Left> left_places;

  std::string refusal_text, station_text;  ///< kept for their memory
  DeadlineHeap peer_deadlines, ages, connect_ages, link_deadlines, evb_deadlines, port_deadlines;
  DeadlineHeap loser_holds;  ///< instances of legacy stations whose VSI has moved away
  /// What the ports may take of each table (S39).
  struct Tables {
    explicit Tables(const AgentConfig& config);
    Shares tsis, waiting, works;
  };
  Tables tables{config};
  Pace all_changes;
  Contests contests;
  std::map<std::string, std::uint64_t, std::less<>> drops;
  std::uint64_t frames_taken = 0;  ///< frames that were not dropped
  std::mt19937_64 random;          ///< first ECP sequences, epoch: nothing that must not be guessed
  auth::Nonces nonces;
  auth::Greeter greeter;
  std::array<std::uint8_t, 16> announced_nonce = new_nonce();  ///< names this run to other nNVEs
  std::uint64_t epoch = 0;                                     ///< changes only when our state is lost (S9)
};

}  // namespace splitnve::nnved
