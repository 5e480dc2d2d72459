// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/limits.hpp"
#include "splitnve/host/datapath.hpp"

namespace splitnve::host {

/// The eBPF switch of one daemon instance: tc programs on its ports and its VXLAN device over maps that are pinned
/// below `pin_root`. All of it forwards on when the object or the process goes; the next `open` finds the pins, keeps
/// every row and replaces the programs without a gap. See src/libhost/bpf/ for the programs and the map layouts.
class BpfSwitch final : public Datapath {
 public:
  /// The collect-metadata VXLAN device through which all remote nNVEs are reached; made if absent, left on exit.
  struct Vxlan {
    std::string name;
    std::uint16_t udp_port = 4789;
    /// Source of the tunnels; kernels before 6.0 take it from routing instead.
    std::optional<datapath::UnderlayAddress> local;
    /// What an access port carries at least; the underlay must carry it and the tunnel's headers (S25). A port with a
    /// larger MTU than there is room for is refused when its row comes.
    unsigned access_mtu = 1500;
    /// nNVEs whose routes are measured too; ways that are not there yet are not judged.
    std::vector<datapath::UnderlayAddress> remotes = {};
    /// Judge no MTU: what does not fit is fragmented by the underlay's own stack.
    bool allow_small_mtu = false;
  };
  struct Config {
    std::string pin_root;        ///< on a bpffs; the maps lie below it in v<layout>/ (Paths::pins)
    std::optional<Vxlan> vxlan;  ///< nnved
    /// Sizes new maps, which cost about 300 octets per instance. Pinned maps keep the size they have.
    std::uint32_t instances_max = limits::kInstancesMax;
  };
  enum class Program : std::uint8_t { kPort, kUplink, kTunnel };
  /// Group frames that were flooded and the copies made of them, since the datapath was pinned (S24).
  struct Flooded {
    std::uint64_t frames = 0;
    std::uint64_t copies = 0;
  };

  /// Error, one line each: no bpffs, pins of a newer layout, no permission, a kernel without BPF, a program that the
  /// kernel refuses, a VXLAN device that cannot be had, an underlay that is too small for it. Pins of an older layout
  /// are copied and removed once all ports have the new programs.
  static Result<std::unique_ptr<BpfSwitch>> open(const Config& config);
  ~BpfSwitch() override;

  agent::BatchResult apply(BatchId batch, const datapath::Rows& rows) override;
  Result<ReconcileReport> reconcile(const datapath::Rows& full) override;
  Result<datapath::Rows> dump() const override;
  void release(PortId port) override;
  bool is_replaced(PortId port, const std::string& interface_name) const override;
  std::optional<PortId> port_at(unsigned ifindex) const override;
  std::vector<PortId> bound_ports() const override;
  bool is_bound(PortId port) const override;
  KernelFaults examine(PortId port, bool mend) override;
  KernelFaults examine_shared(bool thorough, bool mend) override;
  bool is_shared(unsigned ifindex) const override;
  bool shut(PortId port, bool down) override;
  bool is_shut(PortId port) const override;
  int strays_fd() const override;
  void drain_strays(const std::function<void(const Stray&)>& tell) override;
  DropCounters drops() const override;
  datapath::InstanceCounters instance_counters(InstanceId instance) const override;
  void clear_counters(InstanceId instance) override;
  Result<void> tear_down() override;

  Flooded flooded() const;
  /// Why an interface cannot have a role: frames of the host would be cut off (S26), somebody else's filter is in our
  /// place, or another instance than that of `pin_root` serves it. `apply` says the same of its rows; asked before, a
  /// start can be refused. An interface that is absent is no obstacle. Makes nothing.
  static Result<void> check_port(const std::string& interface_name, datapath::PortRole role,
                                 const std::string& pin_root);
  /// Tells the instance that serves an interface that this one was refused it; without effect on any other.
  static void claim_port(const std::string& interface_name, const std::string& pin_root);

  /// For BPF_PROG_TEST_RUN.
  int program_fd(Program program) const;

 private:
  struct State;
  explicit BpfSwitch(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;  ///< empty after `tear_down`
};

}  // namespace splitnve::host
