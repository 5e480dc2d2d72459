// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "report.hpp"

namespace splitnve::bench {

/// Set by tests/bench/bench.sh, which makes the namespaces and configurations.
struct Setting {
  std::string build;  ///< the release build
  std::string work;   ///< configurations, sockets, logs
  std::uint32_t tsis = 20000;
  std::uint32_t samples = 400;
  std::uint32_t connections = 4;
  std::uint32_t hosts = 1000;
  std::uint32_t rounds = 7;
  std::uint32_t intervals = 2;
  bool smoke = false;  ///< so small that the figures mean nothing: only what was done has to be right
  /// What bench.sh has measured by other means (lldpad, callgrind), for the same report.
  std::vector<std::pair<std::string, double>> measured;
};

Report bench_associate(const Setting& setting);
Report bench_activate_latency(const Setting& setting);
Report bench_storm(const Setting& setting);
Report bench_restart(const Setting& setting);
Report bench_memory(const Setting& setting);
Report bench_scaling(const Setting& setting);
Report bench_keepalive(const Setting& setting);
Report bench_control(const Setting& setting);
Report bench_datapath(const Setting& setting);
Report bench_codec(const Setting& setting);
Report bench_nva(const Setting& setting);
Report bench_turnover(const Setting& setting);

inline constexpr double kMillion = 1e6;
using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}
inline void progress(const std::string& what) { std::fprintf(stderr, "bench: %s\n", what.c_str()); }

}  // namespace splitnve::bench
