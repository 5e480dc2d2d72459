// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../sim/model_datapath.hpp"
#include "choices.hpp"
#include "invariants.hpp"
#include "nnved/embedded_authority.hpp"

namespace splitnve::fuzz {

/// One real agent of each kind on a link between them that does what the octets say, with back ends that answer well,
/// badly or late, and with strangers who say anything. After every operation what must hold is checked.
///
/// tnved's uplinks 1 and 2 lead to nnved's ports 1 and 2, which share a segment; each uplink has a VN of its own. A
/// stranger speaks on either port with addresses of its own, or in the name of one of the two. The two may sign what
/// they say; strangers have no key, but repeat, cut and forge.
class Pair {
 public:
  explicit Pair(Octets input);
  /// Reads operations until the octets are used up, then lets everything come to rest and compares all views.
  void run();

 private:
  /// A back end's queue: it answers in order.
  enum class Queue : std::uint8_t { kProgram, kPersist, kPublish };
  static constexpr std::size_t kQueues = 3;
  struct Node {
    std::array<std::deque<agent::Effect>, kQueues> waiting;
    std::map<std::uint64_t, OctetString> store;
    /// The disk has refused something: what was to be erased may stand beside what came after it.
    bool disk_failed = false;
    sim::ModelDatapath datapath;
  };
  struct Flight {
    bool to_switch = false;
    PortId port;
    OctetString frame;
  };

  // --- pair.cpp: operations ---
  void operate();
  void begin();
  void lifecycle();
  void lifecycle(tnved::Verb verb, unsigned vm);
  void addresses();
  void operator_acts();
  void link();
  void advance();
  void pass(Duration by);
  void wake_all();
  void restart();
  void deactivate_one();
  void start_switch(bool has_state);
  void start_host(bool has_state);
  void answer_one();
  void answer(bool is_switch, Queue queue, unsigned mode);
  void settle();
  void rest();
  template <class F>
  void with(bool is_switch, F&& f) {
    if (is_switch)
      f(*switch_);
    else
      f(*host_);
    pump(is_switch);
  }
  void pump(bool is_switch);
  void take(bool is_switch, agent::Effect effect);
  void transmit(bool is_switch, agent::Transmit transmit);
  void check_all();
  agent::BatchResult carry_out(bool is_switch, const agent::Effect& effect, unsigned mode);
  agent::BatchResult program(Node& node, const agent::Program& effect, unsigned mode);

  // --- pair_peer.cpp: the link, and those who say anything ---
  void frame_in_flight(unsigned what);
  void arrive(const Flight& flight);
  void stranger();
  OctetString any_vdpdu();
  void association(vdp::VdpduWriter& writer);
  MacAddress any_mac();
  IpPrefix any_ip();
  MacAddress any_station(bool to_switch, PortId port);

  vdp::Extension any_extension();

  // --- pair_config.cpp: configurations, and what follows from them ---
  void choose_modes(unsigned which);
  void change_offer(bool is_switch);
  nnved::AgentConfig switch_config() const;
  tnved::AgentConfig host_config() const;
  void check_signed() const;
  void check_sessions() const;
  bool active_at_switch(const VsiId& vsi, GroupId vn, const MacAddress& mac) const;

  static VsiId vsi(unsigned n);
  static MacAddress mac(unsigned n) { return MacAddress(0x02AA00000000u + n); }
  static MacAddress host_mac(PortId uplink) { return MacAddress(0x020000000100u + uplink.value()); }
  static MacAddress switch_mac(PortId port) { return MacAddress(0x020000000200u + port.value()); }

  Choices choices_;
  std::uint8_t shape_ = 0;  ///< bits that choose the configurations
  auth::Mode switch_mode_ = auth::Mode::kOff, host_mode_ = auth::Mode::kOff;
  vdp::Flags switch_offer_ = vdp::kAble, host_offer_ = vdp::kAble;
  Instant now_{std::chrono::hours(1)};
  std::unique_ptr<nnved::Agent> switch_;
  std::unique_ptr<tnved::Agent> host_;
  Node switch_node_, host_node_;
  nnved::EmbeddedAuthority authority_;
  std::deque<Flight> flights_;
  std::array<bool, 2> link_up_{true, true};
  std::uint64_t lives_ = 0;  ///< of agents; seeds their first sequences
  std::uint64_t last_asker_ = 0;
  std::set<std::uint64_t> unanswered_;
  std::set<VsiId> told_;  ///< VSIs that the host was told of
};

}  // namespace splitnve::fuzz
