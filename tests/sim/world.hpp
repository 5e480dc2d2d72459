// SPDX-License-Identifier: Apache-2.0
#pragma once
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
  double legacy_share = 0;      ///< hosts that show no capabilities and are answered as plain IEEE 802.1Q stations
  unsigned vns = 8;
  double loss = 0.2;
  double duplicate = 0.0;
  double reorder = 0.0;
  double crash_per_1000_events = 0.0;
  unsigned keepalive_exponent = 20;       ///< RKA of both sides
  double flap_per_1000_events = 0.2;      ///< a host's link goes down for 5 ms to 5 s
  double operator_per_1000_events = 0.2;  ///< nnved's operator removes a TSI
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
  std::size_t tsis = 0;
  Duration virtual_time{};
};

/// Many real agents of both kinds on a virtual clock: links that lose, repeat and reorder frames, back ends that answer
/// late, crashes that lose memory but neither store nor datapath. One seed gives one history.
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
    bool link_up = true;  ///< a host's uplink
    Instant link_changed{};
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
  struct Step {
    unsigned host;
    tnved::Verb verb;
  };
  struct Vm {
    VsiId vsi;
    GroupId vn;
    MacAddress mac;
    std::string interface_name;
    unsigned host = 0;
    Phase phase = Phase::kAbsent;
    bool ever_started = false;
    std::vector<Step> plan;  ///< next step at the back
    bool waiting = false;    ///< for an answer to the step in progress
    bool removed = false;    ///< by the operator: shut down as soon as its plan is done
    std::optional<unsigned> arriving_at;
    std::set<unsigned> excused;  ///< hosts whose port for it may close: told to, or refused by the nNVE
  };

  // --- world_run.cpp: time, links, nodes ---
  void build();
  void start_node(Node& node);
  void crash(Node& node);
  void flap(Node& host);
  void set_link(Node& host, bool up);
  void at(Instant when, std::function<void()> action);
  void step();
  void settle();
  void hold();
  void pump(Node& node);
  void execute(Node& node, agent::Effect effect);
  void transmit(Node& from, const agent::Transmit& effect);
  std::vector<Node*> receivers(Node& from, PortId port, const OctetString& frame);
  void carry(Node& from, Node& to, const OctetString& frame);
  void arrive(Node& to, PortId port, const OctetString& frame);
  void apply_program(Node& node, const agent::Program& effect);
  void schedule_wake(Node& node);
  Instant in_order(Instant& done, int micros_max);
  bool chance(double probability);
  unsigned below(unsigned bound);

  // --- world_vms.cpp: lifecycle operations ---
  void build_vms();
  void operate();
  void operator_removes(Node& node);
  void plan_for(std::size_t vm);
  void advance(std::size_t vm);
  void issue(std::size_t vm, const Step& step);
  void answered(std::uint64_t asker, bool ok, const std::string& reason);
  void complete(std::size_t vm, const Step& step, bool ok);
  bool plans_done() const;
  static bool knows(const Node& host, const VsiId& vsi);
  /// Starts every VM that does not run; false if all do.
  bool bring_up_all();

  // --- world_checks.cpp: invariants and comparison ---
  void check_program(Node& node, const agent::Program& effect, const std::vector<bool>& opened);
  void check_one_owner(DomainId domain, MacAddress mac);
  void check_undisturbed(const Node& node, MacAddress mac);
  bool link_held(const Node& host) const;
  void check_tag(const Node& node, const datapath::AccessRow& row);
  void excuse_refusals(const Node& host, const OctetString& frame);
  /// At any time: what an idle back end holds is what its agent wants of it.
  void check_datapaths();
  std::vector<std::string> compare_all() const;
  void compare_host(const Node& host, std::vector<std::string>& out) const;
  void compare_switch(const Node& node, std::vector<std::string>& out) const;
  void fail(const std::string& what);
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
  unsigned segment_of(unsigned host) const { return host / parameters_.hosts_per_port; }
  unsigned hosts_per_switch() const { return parameters_.ports_per_switch * parameters_.hosts_per_port; }
  unsigned switch_count() const { return (parameters_.hosts + hosts_per_switch() - 1) / hosts_per_switch(); }
  Node& switch_of(unsigned host) { return *nodes_[parameters_.hosts + host / hosts_per_switch()]; }
  const Node& switch_of(unsigned host) const { return *nodes_[parameters_.hosts + host / hosts_per_switch()]; }
  PortId port_of(unsigned host) const { return PortId(1 + segment_of(host) % parameters_.ports_per_switch); }
  static MacAddress port_mac(unsigned switch_index, PortId port) {
    return MacAddress(0x020100000000u + switch_index * 256u + port.value() - 1);
  }
  static MacAddress station_mac(unsigned host) { return MacAddress(0x020000000000u + host); }

  Parameters parameters_;
  std::mt19937_64 random_;
  Instant now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  nnved::EmbeddedAuthority authority_;                        ///< one for all switches; it outlives them
  std::vector<std::unique_ptr<Node>> nodes_;                  ///< hosts, then switches
  std::map<std::pair<unsigned, MacAddress>, Node*> learned_;  ///< by segment and source
  std::vector<Vm> vms_;
  std::map<VsiId, std::size_t> vm_by_vsi_;
  struct Asked {
    std::size_t vm;
    Step step;
    std::uint32_t incarnation;
  };
  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t next_asker_ = 1;
  bool operating_ = true;
  bool holding_ = false;
  Report report_;
};

/// The one line by which a run is reproduced: `sim: PASS seed=.. ...`.
std::string summary(const Parameters& parameters, const Report& report, double wall_seconds);

}  // namespace splitnve::sim
