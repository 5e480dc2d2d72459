// SPDX-License-Identifier: Apache-2.0
// Many hypervisors in one process: real agents of tnved, each with a MAC of its own, speaking real ECP over a few
// veths. What is behind them, virtual switch and store, says yes at once: their load must cost less than what is
// measured.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "benches.hpp"
#include "splitnve/host/frame_port.hpp"
#include "tnved/agent.hpp"

namespace splitnve::bench {

/// As bench.sh makes them: s0 --- p1 sw, s1 --- p2, ...
inline constexpr std::uint32_t kStormPorts = 4;
/// Below limits::kPeersPerPortMax.
inline constexpr std::uint32_t kHostsPerPort = 250;

class Hosts {
 public:
  Hosts(std::uint32_t hosts, std::uint32_t tsis_each);

  /// All VMs of all hosts are there and want to run.
  void start_vms();
  /// The links of all hosts; when they come up their agents ask the switch for everything again.
  void set_links(bool up);
  /// From now on answers count anew.
  void forget_answers();
  /// Runs until every TSI of every host has been answered with success, or until `seconds` are over. False: the latter.
  bool run(double seconds);

  /// When the last TSI of each host was answered, in seconds after `begun`.
  std::vector<double> completed_after(Instant begun) const;

 private:
  struct Host {
    std::unique_ptr<tnved::Agent> agent;
    std::size_t port = 0;
    std::vector<bool> answered;
    std::uint32_t open = 0;  ///< not answered yet
    Instant completed{};
    bool touched = false;
  };

  void receive(std::size_t port, Instant now);
  void take_answers(Host& host, Octets frame, Instant now);
  void pump(Host& host, Instant now);
  void carry_out(Host& host, agent::Effect effect, Instant now);
  void wake(Instant now);
  void flush();

  std::uint32_t tsis_each_;
  std::uint32_t unfinished_ = 0;  ///< hosts
  Instant looked_{};
  std::array<std::unique_ptr<host::FramePort>, kStormPorts> ports_;
  std::array<std::vector<OctetString>, kStormPorts> to_send_;
  std::vector<Host> hosts_;
  std::vector<std::uint32_t> touched_;
};

}  // namespace splitnve::bench
