// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/conversation.hpp"
#include "agent/evb_port.hpp"
#include "agent/held_records.hpp"
#include "config.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/base/time.hpp"
#include "splitnve/vdp/station.hpp"

namespace splitnve::tnved {

/// What happens to a VM's interface, in RFC 8394 section 2's words.
enum class Verb : std::uint8_t {
  kCreate,      ///< the VM is defined or prepared: Associate (reserve)
  kStart,       ///< it is about to run: Activate; answers when traffic may flow
  kPause,       ///< nothing changes (A13)
  kSuspend,     ///< Deactivate: reserved, not forwarding (A14)
  kResume,      ///< Activate again; also the moment an incoming migration runs
  kShutdown,    ///< De-associate and forget
  kMigrateOut,  ///< the VM leaves: still forwarding, marked departing
  kMigrateIn,   ///< the VM arrives: Associate with the migration mark, not forwarding before kResume
  kAbort,       ///< migration abort: the source stays as it was, the destination de-associates
};
const char* to_string(Verb verb);

/// An IP that a MAC of the VM may send from; while one of a family is named, no other of that family may (S21).
struct HostIp {
  MacAddress mac;
  IpPrefix ip;
  friend bool operator==(const HostIp&, const HostIp&) = default;
};

/// One lifecycle event from any source. kCreate and kMigrateIn carry the description; the others only name the TSI.
struct LifecycleEvent {
  Verb verb = Verb::kCreate;
  VsiId vsi;
  std::uint64_t asker = 0;  ///< non-zero: an Answer effect is owed, exactly one
  GroupId vn;
  std::optional<vdp::VnName> vn_name{};  ///< instead: of a VN that the configuration or the nNVE has named
  std::vector<MacAddress> macs;
  std::vector<HostIp> ips{};   ///< of these MACs
  std::string interface_name;  ///< the VM's tap or veth; may come as late as kStart or kResume
  Vid guest_tag;               ///< non-null: a trunk port, (interface, guest tag) -> VN (H9)
  Priority priority{};         ///< asked for its frames on the uplink
  std::optional<ManagerId> manager;
  std::optional<VsiType> type;
  bool migration_unknown = false;  ///< who tells of the VM cannot tell whether it migrates (D13)
  bool starts = false;             ///< of kCreate: the VM is about to run, as if kStart followed at once
  /// The asker wants to know that it is stored, no more: the nNVE is asked on and on, as for a VM that runs already.
  bool unattended = false;
  /// Of kCreate: also of a VM in use the addresses and the interface become these; else that is refused.
  bool replace = false;
};

/// What happens to some addresses of a live TSI; the TSI's state and its other addresses stay as they are (C7, D8).
enum class AddressVerb : std::uint8_t {
  kAdd,         ///< Associate them, or reserve them if the VM does not forward
  kRemove,      ///< De-Associate them
  kDeactivate,  ///< Pre-Associate them: reserved, closed, whatever the VM does
  kActivate,    ///< they follow the VM again
  kChangeIp,    ///< `to` instead of the only IP named: the old one goes when the new one is in place (D10)
};
const char* to_string(AddressVerb verb);

struct AddressEvent {
  AddressVerb verb = AddressVerb::kAdd;
  VsiId vsi;
  std::uint64_t asker = 0;    ///< as in LifecycleEvent
  std::optional<GroupId> vn;  ///< if given, it must be the TSI's
  std::vector<MacAddress> macs;
  /// Of these MACs. A MAC of which some are named is not meant itself, but with kAdd. A MAC takes its IPs along when it
  /// is removed; else they stop and start with it, but for those that were deactivated by name.
  std::vector<HostIp> ips{};
  IpPrefix to{};  ///< of kChangeIp
};

/// What an operator wants of a whole VN (S30), by its ID or its name (B9).
struct VnEvent {
  GroupId vn;
  std::optional<vdp::VnName> name{};  ///< instead: the nNVE is asked for its ID
  bool connect = true;
  bool all = false;         ///< of a disconnect: with the TSIs that we have in it
  std::uint64_t asker = 0;  ///< as in LifecycleEvent
};

/// The VM as we were told; what its port may do follows from it and from the nNVE's word.
enum class VmState : std::uint8_t { kDefined, kRunning, kSuspended, kDeparting, kArriving, kLeaving };
const char* to_string(VmState state);

struct AddressView {
  MacAddress mac;
  vdp::Level desired = vdp::Level::kNone;
  vdp::Level confirmed = vdp::Level::kNone;
  Vid vid;
  bool held = false;  ///< the nNVE took it away or lets it be reserved only; asked for again only on demand (S7)
  std::vector<IpPrefix> ips;                ///< the only sources of their families that its frames may have
  Priority priority{};                      ///< of its frames on the uplink, as the nNVE answered
  std::vector<IpPrefix> deactivated_ips{};  ///< of `ips` the ones that are reserved only, by name (D8)
};
struct TsiView {
  InstanceId instance;
  VsiId vsi;
  GroupId vn;
  std::string interface_name;
  Vid guest_tag;
  PortId uplink;
  VmState vm = VmState::kDefined;
  vdp::Migration migration = vdp::Migration::kNone;  ///< as the nNVE is told
  const char* state = "init";                        ///< init, associated, activated: the nNVE's word
  Vid vid;
  bool port_open = false;    ///< the VM's port forwards
  bool unconfirmed = false;  ///< no answer of late; still forwarding as before (S8)
  bool held = false;         ///< held by the peer: every address is (S7)
  std::string reason;        ///< last refusal or failure
  std::vector<AddressView> addresses;
};
/// A VN that is wanted connected, or that the nNVE has disconnected.
struct VnView {
  PortId uplink;
  GroupId vn;
  std::optional<vdp::VnName> name;
  bool wanted = false;
  const char* state = "";
  Vid vid;
  std::string reason;
};
struct PeerView : agent::ConversationView {  ///< the nNVE behind an uplink
  PortId uplink;
  const char* use = "only";  ///< active or standby, where several serve a VN (D3)
  bool link_up = true;
  std::optional<MacAddress> nnve;  ///< who answered
  std::uint32_t tsis = 0, unconfirmed = 0;
  std::uint32_t settled = 0;  ///< TSIs for which the nNVE's word, the datapath and the store are as wanted
  std::uint64_t ecpdus_received = 0, requests = 0, keepalives = 0, refused = 0, timeouts = 0, reasserted = 0,
                unmatched = 0, other_manager = 0, set_changes = 0;
};

/// The hypervisor agent: lifecycle events, frames and results in, effects out; no clock, no I/O.
///
///   handle_event -> TSI intent -> VDP station -> ECP session -> Transmit
///   handle_frame -> ECP session -> handle_work -> VDP station -> TSI: Program the virtual switch, Persist -> Answer
///
/// The same order of calls as for nnved's agent.
class Agent {
 public:
  Agent(AgentConfig config, std::uint64_t seed);
  ~Agent();

  std::size_t restore(std::span<const agent::StoreRecord> records, Instant now);
  datapath::Rows desired_rows() const;
  /// Those of them that name a port.
  datapath::Rows rows_of_port(PortId port) const;

  void handle_event(const LifecycleEvent& event, Instant now);
  /// All named addresses change or, with a false Answer, none does.
  void handle_addresses(const AddressEvent& event, Instant now);
  void handle_vn(const VnEvent& event, Instant now);
  void handle_frame(PortId port, Octets frame, Instant now);
  bool handle_work(std::size_t budget, Instant now);
  void handle_time(Instant now);
  void handle_link(PortId port, bool up, Instant now);
  /// The address of an uplink's interface, which may be absent at the start and change later.
  void set_mac(PortId port, const MacAddress& mac, Instant now);
  /// We stood still for so long, in a time that no `now` counts: the nNVEs may have given up on us and are told all.
  void handle_stall(Duration gap, Instant now);
  void handle_result(const agent::BatchResult& result, Instant now);
  /// The operator wants the VNs that it stands by for on this uplink. The reason why not, or nothing.
  std::string use_uplink(PortId uplink, Instant now);
  /// The process ends: neighbours are told, so that they do not wait for our LLDP. Drain the effects; nothing follows.
  void shut_down(Instant now);

  std::optional<agent::Effect> poll_effect();
  std::optional<Instant> next_deadline() const;

  /// Stored TSIs whose VN no uplink serves now.
  std::vector<agent::HeldRecords::Held> held() const;
  std::uint32_t tsi_slots() const;
  std::optional<TsiView> tsi(std::uint32_t slot) const;
  std::optional<std::uint32_t> find(const VsiId& vsi) const;  ///< its slot
  std::vector<VnView> vns() const;
  std::vector<PeerView> peers() const;
  std::vector<agent::EvbView> evb() const;
  std::vector<std::pair<std::string, std::uint64_t>> frame_drops() const;
  /// Frames that were understood and used: with the drops they are all that came in, once the inboxes are empty.
  std::uint64_t frames_taken() const;
  const AgentConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace splitnve::tnved
