// SPDX-License-Identifier: Apache-2.0
// What the edge of an agent knows of a forwarding plane: rows in, results and counters out. The eBPF switch is the
// default implementation; a kernel bridge and a model for tests stand behind the same class.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
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

  virtual DropCounters drops() const = 0;
  /// Zeros for an instance that the datapath does not know.
  virtual datapath::InstanceCounters instance_counters(InstanceId instance) const = 0;
  /// Forgets the counters of an instance whose id is about to be reused.
  virtual void clear_counters(InstanceId instance) = 0;
  /// Removes everything of this instance from the kernel: programs, pins, devices (`drain`, uninstall, tests).
  virtual Result<void> tear_down() = 0;
};

}  // namespace splitnve::host
