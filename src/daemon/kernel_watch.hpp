// SPDX-License-Identifier: Apache-2.0
// What a daemon made in the kernel, watched: netlink events and a slow timer say where to look, the datapath compares
// and mends, and this tells, counts, and ends a war of two agents about one interface (S38).
#pragma once
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "audit.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/host/datapath.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/loop.hpp"
#include "splitnve/host/ports.hpp"

namespace splitnve::daemon {

/// At most `limits::kKernelMendsMax` within `limits::kKernelMendsTime` for one place. Pure.
class MendBudget {
 public:
  /// Counts one; false: it is one too many.
  bool take(const std::string& where, Instant now);
  void forget(const std::string& where) { taken_.erase(where); }

 private:
  boost::unordered_flat_map<std::string, std::deque<Instant>> taken_;
};

/// Rows that name a port, all of them: what an agent wants of it now.
using RowsOfPort = std::function<datapath::Rows(PortId)>;
/// The same rows, wanted gone; flood lists stay, without the port.
datapath::Rows taken_back(datapath::Rows rows, PortId port);

/// On the loop's thread. Errors of the kernel itself are no news: the timer looks again.
class KernelWatch {
 public:
  KernelWatch(host::Loop& loop, host::Log& log, host::Datapath& datapath, RowsOfPort rows_of_port);

  /// Looks at everything once, then again and again, a few places at a time. `ports` is asked for absent interfaces.
  void start(host::Ports& ports);
  /// Hints of netlink.
  void changed(const host::KernelChanges& changes);
  /// Before an agent's rows are applied: a port whose interface was made anew gives up what the old one had.
  void before_apply(const datapath::Rows& rows);
  /// The interface of a port came, went, or is another one: only rows of this port are written.
  void link_changed(PortId port, const host::LinkInfo& link);
  /// What differs and, once, what was lost and mended since the last audit. `fix` opens closed ports again.
  void audit(AuditReport& report, const datapath::Rows& want, bool fix);
  /// What is wanted, but for ports that have no interface now: nothing of them can be there.
  datapath::Rows without_absent(datapath::Rows want) const;
  /// What was found, newest last, at most `limits::kKernelMendedKept`.
  struct Found {
    host::KernelFault fault;
    Instant at;
  };
  const std::deque<Found>& found() const { return found_; }
  /// Whether a VM's interface was set down because its program could not be kept there.
  bool is_closed(const std::string& interface_name) const;
  /// `{counter, value}` of what was lost since the start.
  std::vector<std::pair<std::string, std::uint64_t>> counters() const;

 private:
  void tick();
  void look_at(PortId port);
  void look_at_shared(bool thorough);
  void look_at_pending();
  /// `complete`: all that can stand at the place was looked at.
  void handle(const host::KernelFaults& faults, const std::string& place, bool complete);
  void report(const host::KernelFault& fault);
  void close(PortId port, const std::string& interface_name, const std::string& why);
  void lost(const host::KernelFault& fault);
  bool may_mend(const std::string& place) const { return !contested_.contains(place); }

  host::Loop& loop_;
  host::Log& log_;
  host::Datapath& datapath_;
  RowsOfPort rows_of_port_;
  host::Ports* ports_ = nullptr;
  std::deque<PortId> pending_;
  boost::unordered_flat_set<PortId> is_pending_;
  std::vector<PortId> round_;  ///< of the slow timer
  std::size_t next_in_round_ = 0;
  unsigned ticks_ = 0;
  bool posted_ = false;
  MendBudget budget_;
  boost::unordered_flat_map<std::string, Instant> contested_;  ///< places left alone, and until when
  std::map<PortId, std::string> closed_;                       ///< ports that were set down
  std::map<PortId, std::string> exposed_;                      ///< those that could not be
  /// Faults that could not be mended, by place and part: each is told once.
  std::map<std::pair<std::string, host::KernelPart>, std::string> standing_;
  std::vector<host::KernelFault> mended_;  ///< since the last audit
  std::deque<Found> found_;
  std::array<std::uint64_t, static_cast<std::size_t>(host::KernelPart::kCount_)> counts_{};
  host::Timer timer_;
};

}  // namespace splitnve::daemon
