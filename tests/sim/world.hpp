// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "foreign_station.hpp"
#include "model_datapath.hpp"
#include "nnved/agent.hpp"
#include "nnved/embedded_authority.hpp"
#include "tnved/agent.hpp"

namespace splitnve::sim {

struct Parameters {
  unsigned hosts = 10;
  unsigned tsis_per_host = 4;
  unsigned ports_per_switch = 25;
  unsigned hosts_per_port = 1;  ///< more than one: a learning switch stands between them and the port
  double legacy_share = 0.25;   ///< hosts that show no capabilities and are answered as plain IEEE 802.1Q stations
  unsigned vns = 8;
  double loss = 0.2;
  double duplicate = 0.0;
  double reorder = 0.0;
  double crash_per_1000_events = 0.0;
  unsigned keepalive_exponent = 20;       ///< RKA of both sides
  double flap_per_1000_events = 0.2;      ///< a host's link goes down for 5 ms to 5 s
  double operator_per_1000_events = 0.2;  ///< an operator removes a TSI, deactivates addresses, or moves a path
  std::uint64_t steps = 20000;
  std::uint64_t seed = 1;
  Duration hold{};  ///< at the end all VMs run for this long, and no TSI may leave Activated
  bool trace = false;
};

struct Report {
  bool pass = false;
  std::string failure;  ///< first broken invariant or difference
  std::vector<std::string> differences;
  std::uint64_t events = 0;
  std::uint64_t lifecycle_operations = 0;
  std::uint64_t migrations = 0;
  std::uint64_t crashes = 0;
  std::uint64_t flaps = 0;
  std::uint64_t removals = 0;  ///< by the operator
  /// How often each thing was done or seen on the wire, by name: what was really in play.
  std::map<std::string, std::uint64_t> actions;
  std::size_t tsis = 0;
  Duration virtual_time{};
};

/// Many real agents of both kinds on a virtual clock: links that lose, repeat and reorder frames, back ends that answer
/// late, crashes that lose memory but neither store nor datapath. Some hosts are legacy ones, some have two nNVEs, some
/// ports are authenticated. One seed gives one history.
class World {
 public:
  explicit World(const Parameters& parameters);
  ~World();
  /// Runs `steps` events with lifecycle operations, then lets everything settle and compares all views.
  Report run();

 private:
  // --- what there is ---
  struct Node {
    bool is_switch = false;
    unsigned index = 0;
    std::unique_ptr<nnved::Agent> nnved;
    std::unique_ptr<tnved::Agent> tnved;
    ModelDatapath datapath;
    std::map<std::uint64_t, OctetString> store;
    std::uint32_t incarnation = 0;
    bool alive = true;
    std::array<bool, 2> link_up{true, true};  ///< a host's uplinks
    std::array<Instant, 2> link_changed{};
    Instant path_changed{};   ///< when a VN of a host last went over to its other uplink
    Instant programs_done{};  ///< back ends answer in order
    Instant commits_done{};
    Instant claims_done{};
    std::optional<Instant> wake;
  };
  struct Event {
    Instant at;
    std::uint64_t order;
    std::function<void()> action;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };
  /// One VM's interface and the operations still to do on it.
  enum class Phase : std::uint8_t { kAbsent, kCreated, kRunning, kSuspended };
  /// Something done to one MAC of a VM: to it, or to IPs of it.
  struct AddressChange {
    tnved::AddressVerb verb = tnved::AddressVerb::kAdd;
    unsigned which = 0;
    std::vector<IpPrefix> ips{};
    IpPrefix to{};  ///< of kChangeIp
  };
  struct Step {
    unsigned host;
    tnved::Verb verb{};
    std::optional<AddressChange> change{};  ///< instead of the verb
    bool starts = false;                    ///< with kCreate
  };
  /// A MAC that a VM may have, as its hypervisor believes it to be. The first one always is there.
  struct Address {
    bool present = false;
    bool deactivated = false;  ///< by the host itself (D8)
    bool certain = true;       ///< false: the process died while it was being changed
    bool may_close = false;    ///< the host was told to take it away
    std::set<IpPrefix> ips{};
    std::set<IpPrefix> deactivated_ips{};  ///< of these, alone (D8)
  };
  static constexpr unsigned kMacs = 4;
  struct Vm {
    VsiId vsi;
    GroupId vn;
    unsigned number = 0;
    std::array<Address, kMacs> addresses;
    bool migration_unknown = false;
    std::string interface_name;
    unsigned host = 0;
    Phase phase = Phase::kAbsent;
    bool ever_started = false;
    std::vector<Step> plan;  ///< next step at the back
    bool waiting = false;    ///< for an answer to the step in progress
    bool removed = false;    ///< by the operator: shut down as soon as its plan is done
    std::optional<unsigned> arriving_at;
    std::set<unsigned> excused;    ///< hosts whose port for it may close: told to, or refused by the nNVE
    Node* latched_at = nullptr;    ///< the switch whose operator lets some of it be reserved only
    std::uint32_t latched_in = 0;  ///< incarnation of the switch
  };
  /// One end of a host's uplink at a switch.
  struct Access {
    unsigned switch_index;
    PortId port;
  };

  // --- world_build.cpp: who there is, and how it is configured ---
  void build();
  void start_node(Node& node);
  nnved::AgentConfig switch_config(const Node& node);
  tnved::AgentConfig host_config(const Node& node);
  std::shared_ptr<const auth::KeyRing> keys(unsigned segment);
  auth::Mode port_mode(unsigned segment) const;
  auth::Mode host_mode(unsigned host) const;
  void crash(Node& node);

  // --- world_run.cpp: time, links ---
  void flap(Node& host, unsigned uplink);
  void set_link(Node& host, unsigned uplink, bool up);
  void at(Instant when, std::function<void()> action);
  void step();
  void settle();
  void hold();
  void pump(Node& node);
  void execute(Node& node, agent::Effect effect);
  void transmit(Node& from, const agent::Transmit& effect);
  struct Receiver {
    Node* node;
    unsigned uplink;  ///< of the host at either end
  };
  std::vector<Receiver> receivers(Node& from, PortId port, const OctetString& frame);
  /// Lost, late, once or twice.
  void over_link(const std::function<void()>& arrives);
  void carry(Node& from, Node& to, unsigned uplink, const OctetString& frame);
  void arrive(Node& to, PortId port, const OctetString& frame);
  void replay(Node& to, PortId port, const OctetString& frame);
  void apply_program(Node& node, const agent::Program& effect);
  void schedule_wake(Node& node);
  Instant in_order(Instant& done, int micros_max);
  bool chance(double probability);
  unsigned below(unsigned bound);

  // --- world_vms.cpp: lifecycle operations ---
  void build_vms();
  void operate();
  void operator_acts();
  void operator_removes(Node& node);
  void plan_for(std::size_t vm);
  void plan_running(std::size_t vm);
  void advance(std::size_t vm);
  void issue(std::size_t vm, const Step& step);
  void answered(std::uint64_t asker, bool ok, const std::string& reason);
  void complete(std::size_t vm, const Step& step, bool ok);
  bool plans_done() const;

  // --- world_addresses.cpp: addresses of VMs, and what operators do to them ---
  void describe(Vm& vm);
  void fill(tnved::LifecycleEvent& event, const Vm& vm) const;
  std::optional<Step> change_of(const Vm& vm);
  AddressChange change_of_ip(const Vm& vm, unsigned which);
  void issue_change(std::size_t vm, const Step& step, std::uint64_t asker);
  void complete_change(Vm& vm, const Step& step, bool ok, const std::string& reason);
  void operator_deactivates(Node& node);
  void release(std::size_t vm);
  /// S7: what the nNVE's operator took and has released is asked for again. True if there was anything.
  bool ask_again(std::size_t vm);
  bool ask_again_all();
  void operator_moves_paths(Node& host);
  static bool knows(const Node& host, const VsiId& vsi);
  /// Starts every VM that does not run; false if all do.
  bool bring_up_all();

  // --- world_foreign.cpp: stations of another make ---
  void build_foreign();
  void foreign_tick(unsigned index);
  void drain_foreign(unsigned index);
  void to_foreign(unsigned index, const OctetString& frame);
  void compare_foreign(unsigned index, std::vector<std::string>& out) const;
  void count_stations();
  PortId foreign_port() const { return PortId(2 * parameters_.ports_per_switch + 1); }
  static constexpr std::uint64_t kForeignMacs = 0x02F000000000;

  // --- world_checks.cpp: invariants at every step ---
  using Owners = std::vector<std::optional<datapath::LocalOwner>>;
  void check_program(Node& node, const agent::Program& effect, const Owners& before);
  void check_host_closed(const Node& node, const datapath::FdbRow& row);
  void check_one_owner(DomainId domain, MacAddress mac);
  void check_one_uplink(const Node& host, const Vm& vm, MacAddress mac);
  void check_undisturbed(const Node& node, MacAddress mac, PortId port);
  bool may_linger(const Node& node, PortId port, const Vm& vm) const;
  bool link_held(const Node& host, unsigned uplink) const;
  void check_tag(const Node& node, const datapath::AccessRow& row);
  void excuse_refusals(const Node& host, const OctetString& frame);
  void observe(const Node& from, const Node& host, unsigned uplink, const OctetString& frame);
  /// At any time: what an idle back end holds is what its agent wants of it.
  void check_datapaths();

  // --- world_compare.cpp: all views at rest ---
  std::vector<std::string> compare_all() const;
  void compare_vm(const Vm& vm, std::vector<std::string>& out) const;
  void compare_host(const Node& host, std::vector<std::string>& out) const;
  void compare_tsi(const Node& host, const tnved::TsiView& mine, const nnved::TsiView& theirs,
                   std::vector<std::string>& out) const;
  void compare_sessions(const Node& host, std::vector<std::string>& out) const;
  void compare_connects(const Node& host, std::vector<std::string>& out) const;
  void compare_switch(const Node& node, std::vector<std::string>& out) const;
  vdp::Flags flags_of(const Node& host, PortId uplink) const;
  void fail(const std::string& what);
  void count(const std::string& action) { ++report_.actions[action]; }
  /// One line of history to stderr when `Parameters::trace` asks for it.
  void trace(const std::string& line) const;
  void trace_frame(const Node& from, const Node& to, const OctetString& frame) const;

  /// Which its configuration wants connected, TSIs or not.
  GroupId connected_vn(unsigned host) const { return GroupId(70001 + host % parameters_.vns); }
  /// All hosts of a segment share one port of one switch.
  /// Spread evenly over the hosts, and over those of a switch.
  bool is_legacy(unsigned host) const {
    return static_cast<unsigned>((host + 1) * parameters_.legacy_share) >
           static_cast<unsigned>(host * parameters_.legacy_share);
  }
  /// Has two uplinks (D3). Both lead to one switch, as all migrations stay at one: that a nNVE hears of what another
  /// one has claimed is the matter of the authority's watch, which there is none of yet (S27).
  bool is_dual(unsigned host) const { return parameters_.hosts_per_port == 1 && host % 8 == 5; }
  unsigned uplinks_of(unsigned host) const { return is_dual(host) ? 2 : 1; }
  unsigned segment_of(unsigned host) const { return host / parameters_.hosts_per_port; }
  unsigned hosts_per_switch() const { return parameters_.ports_per_switch * parameters_.hosts_per_port; }
  unsigned switch_count() const { return (parameters_.hosts + hosts_per_switch() - 1) / hosts_per_switch(); }
  /// The second uplinks lead to ports behind those of the first.
  Access access_of(unsigned host, unsigned uplink = 0) const {
    const unsigned first = host / hosts_per_switch(), port = 1 + segment_of(host) % parameters_.ports_per_switch;
    if (uplink == 0) return {first, PortId(port)};
    return {first, PortId(port + parameters_.ports_per_switch)};
  }
  Node& switch_of(unsigned host, unsigned uplink = 0) {
    return *nodes_[parameters_.hosts + access_of(host, uplink).switch_index];
  }
  const Node& switch_of(unsigned host, unsigned uplink = 0) const {
    return *nodes_[parameters_.hosts + access_of(host, uplink).switch_index];
  }
  PortId port_of(unsigned host, unsigned uplink = 0) const { return access_of(host, uplink).port; }
  /// The uplink that a VM's TSI is on; null while the host is down or does not know it.
  std::optional<unsigned> uplink_of(const Vm& vm) const;
  static MacAddress port_mac(Access access) {
    return MacAddress(0x020100000000u + access.switch_index * 0x10000u + access.port.value());
  }
  static MacAddress station_mac(unsigned host, unsigned uplink = 0) {
    return MacAddress(0x020000000000u + uplink * 0x1000000u + host);
  }
  static MacAddress mac_of(const Vm& vm, unsigned which) {
    return MacAddress(0x02AA00000000u + (std::uint64_t{which} << 32) + vm.number);
  }
  /// Whose address it is, and which of them; null if it is no VM's.
  Vm* vm_of(MacAddress mac, unsigned* which = nullptr);

  Parameters parameters_;
  std::mt19937_64 random_;
  Instant now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  nnved::EmbeddedAuthority authority_;                        ///< one for all switches; it outlives them
  std::vector<std::unique_ptr<Node>> nodes_;                  ///< hosts, then switches
  std::map<std::pair<unsigned, MacAddress>, Node*> learned_;  ///< by segment and source
  std::vector<std::unique_ptr<ForeignStation>> foreign_;      ///< by switch
  std::vector<Vm> vms_;
  std::map<VsiId, std::size_t> vm_by_vsi_;
  struct Asked {
    std::size_t vm;
    Step step;
    std::uint32_t incarnation;
  };
  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t next_asker_ = 1;
  static constexpr const char* kRestarted = "tnved restarted";
  bool operating_ = true;
  bool holding_ = false;
  Report report_;
};

/// What was in play: `sim: actions abort=.. ...`.
std::string actions(const Report& report);
/// The one line by which a run is reproduced: `sim: PASS seed=.. ...`.
std::string summary(const Parameters& parameters, const Report& report, double wall_seconds);

}  // namespace splitnve::sim
