// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/conversation.hpp"
#include "agent/evb_port.hpp"
#include "agent/held_records.hpp"
#include "nnved/config.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/exchange.hpp"

namespace splitnve::nnved {

enum class TsiState : std::uint8_t { kInit, kAssociated, kActivated };
enum class VapState : std::uint8_t { kDisconnected, kConnected };
const char* to_string(TsiState state);
const char* to_string(VapState state);

/// Rows as the control socket shows them (C2, B2).
struct AddressView {
  MacAddress mac;  ///< zero for formats without MAC
  Vid vid;
  bool active = false;
  bool superseded = false;
  std::vector<IpPrefix> ips;                ///< the only sources of their families that its frames may have
  std::vector<IpPrefix> deactivated_ips{};  ///< of these the ones that are reserved while the MAC is active (D8)
};
struct TsiView {
  InstanceId instance;
  VsiId vsi;
  ManagerId manager;
  VsiType type;
  GroupId vn;
  PortId port;
  MacAddress station;
  TsiState state = TsiState::kInit;
  Vid vid;
  vdp::Migration migration = vdp::Migration::kUnknown;
  bool suspended = false, superseded = false, guarded = true;
  std::string last_refusal;            ///< the reason of the last refused command, empty if none
  std::vector<AddressView> addresses;  ///< by MAC
};
struct VapView {
  PortId port;
  GroupId vn;
  VapState state = VapState::kDisconnected;
  std::uint32_t associated_tsis = 0;
  std::uint32_t connects = 0;  ///< stations that asked for the VN itself
  Vid local_tag;
  std::vector<Vid> local_tags;  ///< with further ones that stations asked for (D7)
  std::uint32_t vni = 0;
  std::string reason;  ///< why it is disconnected
};
struct PeerView : agent::ConversationView {
  PortId port;
  MacAddress station;
  std::uint32_t tsis = 0;
  std::uint64_t ecpdus_received = 0, requests = 0, refused = 0;
  std::uint64_t malformed_tlvs = 0, skipped_tlvs = 0, stray_responses = 0,
                overflow = 0;  ///< of its VDPDUs, and not used
};
struct PortView {
  PortId port;
  bool up = true;
  std::uint32_t peers = 0, tsis = 0, vids_free = 0;
  bool direct = false;              ///< declared so, and nothing heard contradicts it
  std::uint32_t other_bridges = 0;  ///< nNVEs and other bridges heard on the segment
  std::string segment_state;        ///< "open", or the name of the reason why it is closed or watched (S12)
  std::string segment_cause;        ///< who, and which VIDs
};
/// What an operator took out of service: a VN on the port of this name, or a VSI in a VN.
struct LatchView {
  GroupId vn;
  std::string interface_name;
  std::optional<VsiId> vsi;
  std::string reason;
  bool activation_only = false;  ///< the VSI, or its address `mac`, is reserved only
  MacAddress mac;
};
/// A refusal kept for `vdpctl` when there is no TSI to show it on; a bounded ring.
struct RefusalView {
  Instant at;
  PortId port;
  MacAddress station;
  VsiId vsi;
  GroupId vn;
  vdp::Code code = vdp::Code::kSuccess;
  std::string reason;
};

/// A claim to an address that somebody else has (S6); it was refused, and is shown for a while.
struct ClaimView {
  PortId port;
  MacAddress station;
  VsiId vsi;
  GroupId vn;
  std::string address;
  std::string holder;
  Instant at;
};

/// What a port has of something that all ports share (S39).
struct ShareView {
  PortId port;
  const char* what = "";
  std::uint64_t used = 0, share = 0, reserve = 0;  ///< of the port: now, at most, always free to take
  std::uint64_t sum = 0, total = 0;                ///< of all ports
};

/// The switch agent: frames and results in, effects out; no clock, no I/O.
///
///   handle_frame -> ECP session (ack, duplicates, inbox) -> handle_work -> VDP bridge -> decide: policy, VAP, TSI
///     -> Publish (the authority claims first) -> Program + Persist -> all results in -> bridge answers -> Transmit
///
/// After every call drain poll_effect(); call handle_work() until it returns false; call handle_time() at
/// next_deadline().
class Agent {
 public:
  /// `seed` chooses the first ECP sequences.
  Agent(AgentConfig config, std::uint64_t seed);
  ~Agent();

  // --- start ---
  /// Stored records, before anything else; ages begin anew (S9). Returns how many could not be read (each is a Notice).
  std::size_t restore(std::span<const agent::StoreRecord> records, Instant now);
  /// Everything the datapath shall hold now: for the start-up reconcile, `audit`, and the simulation's comparison.
  datapath::Rows desired_rows() const;
  /// Those of them that name a port.
  datapath::Rows rows_of_port(PortId port) const;
  /// Everything the authority shall hold now.
  std::vector<agent::AuthorityRow> desired_authority() const;
  std::vector<agent::AuthorityTag> desired_tags() const;
  /// Everything the store shall hold now, once what has been handed out is committed.
  std::vector<agent::StoreRecord> desired_records() const;

  /// Instead of `restore`, with a lost store (S13): the stations tell their TSIs again within one keep-alive timeout.
  /// Until then `found`, what the datapath still holds, keeps its VIDs, instance numbers and flood members; with
  /// `hold_vids` no VID is given to a VN that has none, except from a port's `recovery_vids`. The datapath must not be
  /// reconciled before `recovery_ends`: then call `end_recovery`, drain the effects, and reconcile.
  void recover(const datapath::Rows& found, bool hold_vids, Instant now);
  std::optional<Instant> recovery_ends() const;
  void end_recovery(Instant now);

  // --- inputs ---
  void handle_frame(PortId port, Octets frame, Instant now);
  /// Processes at most `budget` VDPDUs, peers in turn; true if more wait.
  bool handle_work(std::size_t budget, Instant now);
  void handle_time(Instant now);
  void handle_link(PortId port, bool up, Instant now);
  /// The address of a port's interface, which may be absent at the start and change later. A TSI that has it ends: it
  /// is nobody's but ours.
  void set_mac(PortId port, const MacAddress& mac, Instant now);
  /// We stood still for so long, in a time that no `now` counts: nobody was silent meanwhile.
  void handle_stall(Duration gap, Instant now);
  void handle_result(const agent::BatchResult& result, Instant now);
  /// The address of an interface of ours is another now: no TSI may claim it, and one that has it goes.
  void handle_port_mac(PortId port, const MacAddress& mac, Instant now);
  /// The process ends: neighbours are told, so that they do not wait for our LLDP. Drain the effects; nothing follows.
  void shut_down(Instant now);

  // --- operator ---
  /// De-associates the TSI at its station (bridge-initiated) and removes it. False: no such instance.
  bool remove_tsi(InstanceId instance, const std::string& reason, Instant now);
  /// Takes a VSI of a VN, or a VN on a port, out of service until it is released (S7): its TSIs are removed as above,
  /// Associates get code 4 with the reason, also after a restart. False: limits::kLatchesMax stand, or no such port.
  bool latch_tsi(const VsiId& vsi, GroupId vn, const std::string& reason, Instant now);
  bool latch_vn(PortId port, GroupId vn, const std::string& reason, Instant now);
  /// Lets a TSI, or some of its addresses, be reserved only until it is released (D9): they close at once, the station
  /// is told, Associates get code 4 with the reason. No addresses: all. False: no such instance or address, or no room.
  bool deactivate_tsi(InstanceId instance, std::span<const MacAddress> macs, const std::string& reason, Instant now);
  /// False: nothing is latched there.
  bool release_tsi(const VsiId& vsi, GroupId vn, Instant now);
  bool release_vn(PortId port, GroupId vn, Instant now);
  /// Removes all TSIs as above and refuses new ones until `undrain` or a restart (S34). Returns how many there were.
  /// `removes`: nothing of ours stays, so that legacy stations lose their VSIs too.
  std::size_t drain(const std::string& reason, Instant now, bool removes = false);
  void undrain(Instant now);
  /// A tagged frame of a source that has nothing on the port: if it is a TSI's of another port, both are asked (S37).
  void handle_stray(PortId port, Vid vid, const MacAddress& mac, Instant now);
  bool draining() const;
  /// Draining, no TSI left, and every station has been told as far as it acknowledges.
  bool is_drained() const;

  // --- outputs ---
  std::optional<agent::Effect> poll_effect();
  std::optional<Instant> next_deadline() const;

  // --- views ---
  std::uint32_t tsi_slots() const;
  std::optional<TsiView> tsi(std::uint32_t slot) const;
  std::vector<VapView> vaps() const;
  std::vector<PeerView> peers() const;
  std::vector<PortView> ports() const;
  std::vector<agent::EvbView> evb() const;
  std::vector<RefusalView> refusals() const;
  std::vector<LatchView> latches() const;
  std::vector<ClaimView> claims(Instant now);
  std::vector<ShareView> shares() const;
  /// Stored TSIs and connects for which the configuration has no place now.
  std::vector<agent::HeldRecords::Held> held() const;
  /// Frames dropped by cause, as the decoder or a limit named it.
  std::vector<std::pair<std::string, std::uint64_t>> frame_drops() const;
  /// Frames that were understood and used: with the drops they are all that came in, once the inboxes are empty.
  std::uint64_t frames_taken() const;
  const AgentConfig& config() const;

  struct Impl;  ///< agent_impl.hpp; named here for its own rooms

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::nnved
