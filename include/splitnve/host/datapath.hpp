// SPDX-License-Identifier: Apache-2.0
// What the edge of an agent knows of a forwarding plane: rows in, results and counters out. The eBPF switch is the
// default implementation; a kernel bridge and a model for tests stand behind the same class.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "splitnve/agent/effects.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::host {

/// What a reconcile found: rows that were missing, that named something else, and that nobody wanted.
struct ReconcileReport {
  std::size_t added = 0;
  std::size_t changed = 0;
  std::size_t removed = 0;
  std::size_t unchanged = 0;
  std::vector<datapath::Failure> failures;  ///< indexes into the full set of rows
  std::size_t differences() const { return added + changed + removed; }
};

/// Frames dropped since the datapath was pinned, by `datapath::Drop`; a restart of the daemon does not reset them.
using DropCounters = std::array<std::uint64_t, static_cast<std::size_t>(datapath::Drop::kCount_)>;

/// What a datapath makes in the kernel beside its rows, and what may stand in its way there (S38).
enum class KernelPart : std::uint8_t {
  kInterface,        ///< the interface of a port that forwards: gone, or another one of its name
  kFilter,           ///< our program at a port or the VXLAN device
  kForeignProgram,   ///< another program in our place
  kForeignBefore,    ///< a filter, TCX or netkit program that may decide before ours
  kForeignXdp,       ///< an XDP program, which sees frames before ours
  kPortRow,          ///< what the programs know of a port: its row, its MAC address
  kClaim,            ///< another instance wanted the port, and was refused
  kTunnel,           ///< the VXLAN device
  kUnderlayMtu,      ///< the underlay carries less than the access ports
  kUnderlayAddress,  ///< the source address of the tunnels is at no interface
  kPins,             ///< pinned maps and programs
  kTables,           ///< rows that all ports share: settings, VNIs, addresses of ours, signalled link-locals
  kUnread,           ///< no fault: the kernel did not say (no descriptor, no memory), and what stood may stand
  kCount_,
};
/// The snake_case name under which it is counted and logged.
const char* to_string(KernelPart part);

struct KernelFault {
  KernelPart part = KernelPart::kFilter;
  std::string where;  ///< an interface's name, or a path
  std::string what;   ///< for the operator
  bool mended = false;
  /// Set: the port's frames may have passed, or pass, without being asked for.
  std::optional<PortId> exposed = std::nullopt;
};
using KernelFaults = std::vector<KernelFault>;

/// A tagged frame came to an access port where its source is nobody's: its station may have moved (S37). A hint: not
/// every frame is told.
struct Stray {
  PortId port;
  Vid vid;
  MacAddress mac;
};

/// One forwarding plane of one daemon instance. Called on the loop thread only; calls block for the time of a few
/// system calls. What exists in the kernel outlives the object: destroying it forwards on (S34).
class Datapath {
 public:
  Datapath() = default;
  Datapath(const Datapath&) = delete;
  Datapath& operator=(const Datapath&) = delete;
  virtual ~Datapath() = default;

  /// Brings the named rows to the given values; rows not named stay. Adds in the order of `datapath::Rows`, removes in
  /// the reverse order. Applying a batch again changes nothing. Failed rows are named in the result, others stand.
  virtual agent::BatchResult apply(BatchId batch, const datapath::Rows& rows) = 0;
  /// Brings exactly these rows into being and deletes every other row of this instance, without a moment in which a
  /// row that stays is absent. For start-up and `audit`. Error: the datapath could not be read at all.
  virtual Result<ReconcileReport> reconcile(const datapath::Rows& full) = 0;
  /// The rows that are in force, read back from the kernel, in no particular order.
  virtual Result<datapath::Rows> dump() const = 0;

  /// The port's interface is not there (any more): it forwards nothing until its row is applied again. Its rows are the
  /// caller's to take back before another interface gets its number.
  virtual void release(PortId port) = 0;
  /// Whether the interface that has the port's name now is another one than the port is bound to.
  virtual bool is_replaced(PortId port, const std::string& interface_name) const = 0;
  /// The port of an interface, and all that are bound.
  virtual std::optional<PortId> port_at(unsigned ifindex) const = 0;
  virtual std::vector<PortId> bound_ports() const = 0;
  virtual bool is_bound(PortId port) const = 0;
  /// Compares what stands in the kernel for one port with what shall be there; with `mend`, makes it right.
  virtual KernelFaults examine(PortId port, bool mend) = 0;
  /// The same for what all ports share: the VXLAN device and, if `thorough`, the underlay and the pins.
  virtual KernelFaults examine_shared(bool thorough, bool mend) = 0;
  /// Is the interface one whose changes concern `examine_shared`?
  virtual bool is_shared(unsigned ifindex) const = 0;
  /// Sets the interface of a port down, or up again: where frames cannot be judged, none shall pass. False: it failed.
  virtual bool shut(PortId port, bool down) = 0;
  /// Whether it is down because of `shut`, also of an earlier life of the daemon.
  virtual bool is_shut(PortId port) const = 0;

  /// Readable when there are strays; -1: this datapath tells of none.
  virtual int strays_fd() const { return -1; }
  virtual void drain_strays(const std::function<void(const Stray&)>& /*tell*/) {}

  virtual DropCounters drops() const = 0;
  /// Zeros for an instance that the datapath does not know.
  virtual datapath::InstanceCounters instance_counters(InstanceId instance) const = 0;
  /// Forgets the counters of an instance whose id is about to be reused.
  virtual void clear_counters(InstanceId instance) = 0;
  /// Removes everything of this instance from the kernel: programs, pins, devices (`drain`, uninstall, tests).
  virtual Result<void> tear_down() = 0;
};

}  // namespace splitnve::host
