// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <set>
#include <span>
#include <string>

#include "nnved/config.hpp"
#include "splitnve/agent/effects.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::nnved {

/// Which access ports let untagged traffic through to the host (S41). Those that did before the key `host_traffic` was
/// there go on until it is set, with a warning each day; which they are is stored, so that new ports are closed.
class HostTraffic {
 public:
  explicit HostTraffic(const AgentConfig& config) : config_(config) {}

  /// True if a record must be written: there was none, or ports have been decided on since.
  bool restore(std::span<const agent::StoreRecord> records);
  datapath::HostTraffic of(const PortConfig& port) const;
  agent::StoreRecord record() const;

  std::optional<Instant> next_deadline() const { return warn_at_; }
  /// The words of a warning that is due now; empty: none.
  std::string due(Instant now);

 private:
  const AgentConfig& config_;
  std::set<std::string> inherited_;  ///< interfaces
  std::optional<Instant> warn_at_;
};

}  // namespace splitnve::nnved
