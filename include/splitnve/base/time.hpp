// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <optional>

namespace splitnve {

using Duration = std::chrono::nanoseconds;

/// The time line of all protocol logic. It has no `now()`: time is an argument, only the drivers read a clock.
struct AgentClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<AgentClock, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = AgentClock::time_point;

/// The earlier of two optional deadlines; `nullopt` means never.
inline std::optional<Instant> earliest(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

}  // namespace splitnve
