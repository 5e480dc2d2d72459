// SPDX-License-Identifier: Apache-2.0
// The agent's inside, shared by its sources:
//   agent.cpp           inputs, the frame path, the pump that hands out batches
//   agent_events.cpp    the VM path: verbs to intents, the share of a TSI in the virtual switch
//   agent_failover.cpp  several nNVEs for one VN, one active
//   agent_evb.cpp       LLDP of the uplinks and the timers that follow from it
//   agent_addresses.cpp addresses of a live TSI that come, go, stop and start; what is held; attributes in place
//   agent_verdicts.cpp  what the nNVE, the datapath, the store and the clock say; answers to those who asked
//   agent_moves.cpp     an nNVE that is reached at another of its ports
//   agent_standing.cpp  what the nNVE lets a TSI have again
//   agent_vns.cpp       VNs that are connected without TSIs, or that the nNVE has disconnected
//   agent_views.cpp     restore, wanted rows, views
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/held_records.hpp"
#include "agent/signers.hpp"
#include "splitnve/base/deadline_heap.hpp"
#include "splitnve/base/limits.hpp"
#include "tnved/agent.hpp"
#include "tnved/lifecycle.hpp"
#include "tnved/paths.hpp"
#include "tnved/record.hpp"
#include "tnved/tsi_table.hpp"
#include "tnved/uplink.hpp"
#include "tnved/vswitch.hpp"

namespace splitnve::tnved {

/// Back-off between repeats of what a datapath, a store or a nNVE refused: doubled from the first to the last.
inline constexpr Duration kRetryFirst = std::chrono::seconds(1);
inline constexpr Duration kRetryMax = std::chrono::seconds(30);
/// Between two questions whether the known port of the nNVE is still there, when another one is heard.
inline constexpr Duration kOtherPortPause = std::chrono::seconds(1);

struct Agent::Impl {
  using Slot = std::uint32_t;
  /// Someone who waits for an Answer about a TSI.
  struct Asker {
    std::uint64_t id;
    Wait wait;
    Instant deadline;
  };
  /// A Program or Persist that was handed out and has not come back.
  struct Batch {
    std::vector<Slot> slots;
    RowKeys keys;  ///< of a Program
    bool program = false;
    bool epoch = false;  ///< a Persist of the store's epoch, too
    std::vector<std::uint32_t> signers{};
    std::vector<GroupId> vns{};  ///< of a Persist: wishes
    bool held = false;           ///< a Persist of records that are held, too
  };
  /// What is wanted of a whole VN.
  struct VnWish {
    bool connect = false;
    bool of_operator = false;  ///< stored; else the configuration's
    bool dirty = false;        ///< not stored yet; after a failure it waits for `store_retry_at_`
    std::uint32_t stores_waiting = 0;
    std::optional<vdp::VnName> name{};    ///< that it was wanted by
    std::optional<std::size_t> uplink{};  ///< where it stands
  };
  struct VnAsker {
    std::uint64_t id = 0;
    GroupId vn;
    bool connect = false;
    Instant deadline;
    std::string refusal;
    std::optional<vdp::VnName> name;  ///< while its ID is not known
  };

  Impl(AgentConfig config, std::uint64_t seed);

  // --- agent.cpp ---
  void handle_frame(PortId port, Octets frame, Instant now);
  bool handle_work(std::size_t budget, Instant now);
  void handle_time(Instant now);
  void handle_link(PortId port, bool up, Instant now);
  void set_mac(PortId port, const MacAddress& mac, Instant now);
  void handle_stall(Duration gap, Instant now);
  std::optional<Instant> next_deadline() const;
  void pump(Instant now);
  void drain_stations(Instant now);
  void drain_session(Uplink& uplink, Instant now);
  void flush_store();
  void flush_program();
  void compose(Uplink& uplink, Instant now);
  /// What the exchange with an nNVE has brought.
  void exchanged(Uplink& uplink, const vdp::Exchange::Change& change, Instant now);
  std::array<std::uint8_t, 16> new_nonce() { return nonces_.next(); }
  void meet(Uplink& uplink, const MacAddress& nnve, Instant now);
  void reset_exchange(Uplink& uplink, Instant now);
  void seek(Uplink& uplink, const char* why, Instant now);

  // --- authentication.cpp: who may speak as the nNVE ---
  std::array<std::uint8_t, 16> nonce_for(const Uplink& uplink) const;
  /// Is the frame the nNVE's? Its counter then, 0 if it is plain and may be.
  void note_signer(const Uplink& uplink);
  void restore_signers(std::span<const agent::StoreRecord> records);
  std::optional<std::uint64_t> authenticate(Uplink& uplink, const ecp::Frame& frame, Instant now);
  std::string restore_held(const agent::StoreRecord& stored, Instant now);
  void hold(const agent::StoreRecord& stored, const TsiRecord& record);
  std::string restore_at(Slot slot, const TsiRecord& record, Instant now);
  void restore_epoch(std::span<const agent::StoreRecord> records);
  void count_drop(const char* cause);
  BatchId next_batch() { return BatchId(++last_batch_); }

  // --- agent_events.cpp ---
  void handle_event(const LifecycleEvent& event, Instant now);
  /// The reason why not, or nothing.
  std::string create(const LifecycleEvent& event, std::optional<Slot> known, Instant now);
  bool describes_as_it_is(Slot slot, const LifecycleEvent& event) const;
  std::string addresses_text(Slot slot) const;
  std::string describe_anew(Slot slot, const LifecycleEvent& event, Instant now);
  std::string may_hold(const LifecycleEvent& event, DomainId domain, std::optional<Slot> self) const;
  /// The IPs are such as a VM may have, each of one of the MACs, and fit beside those that are there.
  std::string may_hold_ips(const std::vector<HostIp>& ips, const std::vector<MacAddress>& macs,
                           std::optional<Slot> self) const;
  std::string bind(Slot slot, const std::string& interface_name);
  void carry_out(Slot slot, Verb verb, std::uint64_t asker, std::optional<VmState> before, const Outcome& outcome,
                 Instant now);
  void enter(Slot slot, VmState next, const std::string& reason, Instant now);
  void pursue(Slot slot, Instant now);
  vdp::Migration migration(const Tsi& tsi) const;
  void tell_status(const Tsi& tsi);
  void leave(Slot slot, const std::string& reason, bool forget, Instant now);
  void open_association(Slot slot, Instant now);
  void join(Slot slot);
  void give_back(Slot slot, const std::string& reason);
  void part(Slot slot, const std::string& reason);
  void add_address(Slot slot, Address address, const IpPrefix& ip = {});
  /// What its IPs mean for the MAC's guard may differ.
  void touch_ips(Slot slot, MacAddress mac);
  void refresh_ports(Slot slot, std::string_view reason);
  void touch_addresses(Slot slot);
  void abandon_association(Slot slot);

  // --- agent_failover.cpp ---
  std::optional<std::size_t> uplink_for(GroupId vn) const;
  void look_at_paths(Instant now);
  void switch_path(Path& path, std::uint8_t to, const std::string& why, Instant now);
  void finish_switch(Path& path, Instant now);
  void leave_uplink(Slot slot, const std::string& why, Instant now);
  void enter_uplink(Slot slot, std::uint8_t to);
  void restore_path(const TsiRecord& stored);
  void release_elsewhere(const TsiRecord& stored, Instant now);
  std::string path_name(const Path& path) const;
  const char* use_of(std::size_t uplink) const;
  std::string use_uplink(PortId id, Instant now);

  // --- agent_moves.cpp ---
  void note_other_port(Uplink& uplink, const ecp::Frame& frame, Instant now);
  static bool other_port_answers(const Uplink& uplink, const ecp::Frame& frame);

  // --- agent_standing.cpp ---
  void handle_standing(std::size_t via, const vdp::Standing& standing, Instant now);
  void end_of_list(std::size_t via, Instant now);
  template <class Which>
  void let_back_all(std::size_t via, Which&& which, Instant now);
  enum class Holds : std::uint8_t { kGone, kAll };
  void let_back(Slot slot, Holds which, Instant now);
  void let_back(Slot slot, const vdp::Station::Released& event, Instant now);
  void refused_as_held(Slot slot, const std::string& why, Instant now);

  // --- agent_vns.cpp ---
  bool connects_by_configuration(GroupId vn) const;
  void configure_vns();
  void wish(GroupId vn, bool connect);
  std::string may_wish(const VnEvent& event) const;
  void handle_vn(const VnEvent& event, Instant now);
  void place_vns(Instant now);
  std::optional<GroupId> vn_named(const vdp::VnName& name) const;
  void resolve_vn(const VnEvent& event, Instant now);
  void vn_resolved(std::size_t via, const vdp::VnStation::Event& event, Instant now);
  void drain_vns(Instant now);
  void handle_vn_verdict(std::size_t via, const vdp::VnStation::Event& event, Instant now);
  void vn_released(std::size_t via, GroupId vn, Instant now);
  bool answer_vn(const VnAsker& asker, Instant now);
  std::optional<Instant> next_vn_deadline() const;
  bool vns_dirty() const;
  void gather_vns(agent::Persist& persist, Batch& batch);
  void stored_vns(const agent::BatchResult& result, const Batch& batch);
  std::string restore_vn(const agent::StoreRecord& stored);
  std::optional<vdp::VnName> name_of_vn(GroupId vn) const;
  std::vector<VnView> vn_views() const;

  // --- agent_evb.cpp ---
  void handle_lldp(Uplink& uplink, Octets octets, Instant now);
  static bool is_for_another(const Uplink& uplink, const ecp::Frame& frame);
  void handle_announcement(Uplink& uplink, const ecp::Frame& frame, Instant now);
  /// After any call of the uplink's EVB machine: what it says goes out, what it changed holds from now on.
  void settle_evb(Uplink& uplink, Instant now);
  void shut_down(Instant now);

  // --- agent_addresses.cpp ---
  void handle_addresses(const AddressEvent& event, Instant now);
  std::string may_change(const Tsi& tsi, const AddressEvent& event) const;
  void change_address(Slot slot, AddressVerb verb, MacAddress mac);
  /// The nNVE has let the MAC go, and its IPs with it.
  void forget_ips(Slot slot, MacAddress mac);
  std::string may_change_ips(Slot slot, const AddressEvent& event) const;
  std::string pending_change(Slot slot, const AddressEvent& event) const;
  bool changes_ip(Slot slot, std::uint64_t asker) const;  ///< by a change that is not completed
  void change_ip(Slot slot, AddressVerb verb, const HostIp& ip);
  void begin_ip_change(Slot slot, const HostIp& from, const IpPrefix& to, std::uint64_t asker);
  bool complete_ip_changes(Slot slot, Instant now);
  vdp::Level wanted(const Tsi& tsi, const Address& address) const;
  bool drop_entering(Slot slot, Instant now);
  void hold(Slot slot, Instant now);
  void release_hold(Slot slot);
  void describe_attributes(Slot slot, ManagerId manager, VsiType type, Instant now);
  bool restore_attributes(Slot slot, Instant now);

  // --- agent_verdicts.cpp ---
  void handle_station(std::size_t uplink, const vdp::Station::Event& event, Instant now);
  void note_unmatched(Uplink& uplink, vdp::Station::Unmatched answer, Instant now);
  void confirmed(Slot slot, const vdp::Station::Confirmed& event);
  void refused(Slot slot, const vdp::Station::Refused& event, Instant now);
  void revoked(Slot slot, const vdp::Station::Revoked& event, Instant now);
  void lowered(Slot slot, const vdp::Station::Lowered& event, Instant now);
  void note_loss(Slot slot, const std::string& why);
  void refuse_waiting(Slot slot, const std::string& why, Instant now);
  void unconfirmed(Slot slot, bool now_unconfirmed);
  void closed(Slot slot);
  void set_confirmed(Slot slot, Address& address, vdp::Level level, Vid vid);
  void set_priority(Slot slot, Address& address, Priority priority);
  void announce_level(Slot slot, std::string_view reason);
  void meet(Slot slot, Word word, const std::string& reason, Instant now);
  void handle_result(const agent::BatchResult& result, Instant now);
  void programmed(const agent::BatchResult& result, Batch& batch, Instant now);
  void stored(const agent::BatchResult& result, const Batch& batch, Instant now);
  void mark_failed(Slot slot, const std::string& cause);
  void check(Slot slot, Instant now);
  bool stands_on(const Tsi& tsi, const RowKeys& failed) const;
  bool settled(const Tsi& tsi) const;
  void count_settled(Tsi& tsi, bool is_settled);
  bool closed_here(const Tsi& tsi) const;
  bool datapath_settled(const Tsi& tsi) const;  ///< nothing of it is on its way to the datapath
  bool fulfilled(const Tsi& tsi, Wait wait, bool is_settled) const;
  bool stored(const Tsi& tsi) const { return !tsi.store_dirty && tsi.stores_waiting == 0; }
  void overdue(Slot slot, Instant now);
  void retry_later(Slot slot, Instant now);
  void retry(Slot slot, Instant now);
  bool levels_met(const Tsi& tsi) const;

  // --- askers (agent_verdicts.cpp) ---
  void ask(Slot slot, const Asker& asker);
  void answer(std::uint64_t asker, bool ok, std::string reason);
  /// Answers those of the slot's askers for whom `which` holds.
  template <class F>
  void answer_if(Slot slot, F which, bool ok, const std::string& reason);
  void arm(Slot slot);

  // --- agent_views.cpp ---
  std::size_t restore(std::span<const agent::StoreRecord> records, Instant now);
  std::string restore_one(const agent::StoreRecord& record, Instant now);
  datapath::Rows desired_rows() const;
  datapath::Rows rows_of_port(PortId port) const;
  void add_rows(Slot slot, datapath::Rows& rows) const;
  /// The one place where a TSI comes to a port and leaves it.
  void set_port(Slot slot, PortId port);
  std::optional<TsiView> view(Slot slot) const;
  std::vector<PeerView> peers() const;
  TsiRecord record(Slot slot) const;

  // --- small helpers ---
  Uplink& uplink(const Tsi& tsi) { return uplinks_[tsi.uplink]; }
  DomainId domain(const Tsi& tsi) const { return domain_of(uplinks_[tsi.uplink].config.id, tsi.vn); }
  void emit(agent::Effect effect) { effects_.push_back(std::move(effect)); }
  void notice(const char* id, agent::Notice::Level level, std::string text) {
    emit(agent::Notice{id, level, std::move(text)});
  }
  void set_reason(Slot slot, std::string reason);
  const std::string& reason(Slot slot) const;
  void to_store(Slot slot);
  void to_program(Slot slot);
  void to_check(Slot slot);

  AgentConfig config_;
  Paths paths_;
  std::deque<Uplink> uplinks_;  ///< neither copied nor moved
  TsiTable tsis_;
  VSwitch vswitch_;
  boost::unordered_flat_map<PortId, boost::container::small_vector<Slot, 1>> slots_of_port_;
  agent::EffectQueue effects_;
  boost::unordered_flat_map<Slot, std::string> reasons_;
  /// Manager and type that the nNVE had confirmed, while it has not confirmed others.
  boost::unordered_flat_map<Slot, std::pair<ManagerId, VsiType>> attributes_before_;
  struct IpChange {
    HostIp from;
    IpPrefix to;
    std::uint64_t asker;
  };
  boost::unordered_flat_map<Slot, std::vector<IpChange>> ip_changes_;  ///< whose new IP is not in place yet (D10)
  boost::unordered_flat_map<Slot, boost::container::small_vector<Asker, 1>> askers_;
  boost::unordered_flat_map<std::uint64_t, Batch> batches_;
  std::uint64_t last_batch_ = 0;
  std::vector<Slot> store_list_, program_list_, check_list_, to_open_;
  std::vector<Slot> checking_, opening_;  ///< empty but while they are walked: they keep their memory
  DeadlineHeap deadlines_;                ///< by slot: its earliest asker
  DeadlineHeap retries_;                  ///< by slot: when to ask the nNVE again
  std::optional<Instant> program_retry_at_, store_retry_at_;
  unsigned program_failures_ = 0;
  bool flush_wanted_ = false;       ///< rows changed; what failed before waits for `program_retry_at_` or goes along
  std::vector<Slot> store_failed_;  ///< wait for `store_retry_at_`
  agent::Signers signers_;
  std::vector<std::uint32_t> signers_dirty_;  ///< as the epoch
  bool epoch_dirty_ = false;                  ///< not stored yet; after a failure it waits for `store_retry_at_`
  std::size_t next_uplink_ = 0;               ///< whose inbox is served first
  std::map<GroupId, VnWish> vns_;
  std::vector<VnAsker> vn_askers_;
  std::map<std::string, std::uint64_t> drops_;
  std::uint64_t taken_ = 0;  ///< frames that were not dropped
  OctetString scratch_;
  OctetString received_;    ///< the payload at hand, translated
  std::mt19937_64 random_;  ///< first ECP sequences, epoch: nothing that must not be guessed
  auth::Nonces nonces_;
  agent::HeldRecords held_;
  std::string store_failure_;  ///< of the last batch; empty: it went well
  std::uint64_t epoch_ = 0;    ///< changes only when our state is lost (S9)
};

inline Duration retry_pause(unsigned failures) {
  Duration pause = kRetryFirst;
  for (unsigned i = 0; i < failures && pause < kRetryMax; ++i) pause *= 2;
  return std::min(pause, kRetryMax);
}

template <class F>
void Agent::Impl::answer_if(Slot slot, F which, bool ok, const std::string& why) {
  const auto at = askers_.find(slot);
  if (at == askers_.end()) return;
  auto& waiting = at->second;
  for (auto asker = waiting.begin(); asker != waiting.end();) {
    if (!which(*asker)) {
      ++asker;
      continue;
    }
    answer(asker->id, ok, why);
    asker = waiting.erase(asker);
  }
  if (waiting.empty()) askers_.erase(at);
  arm(slot);
}

}  // namespace splitnve::tnved
