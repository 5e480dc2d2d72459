// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "report.hpp"

namespace splitnve::bench {

/// Set by tests/bench/bench.sh, which makes the namespaces and configurations.
struct Setting {
  std::string build;  ///< the release build
  std::string work;   ///< configurations sw.json and hv.json, sockets, logs
  std::uint32_t tsis = 20000;
  std::uint32_t samples = 400;
  std::uint32_t connections = 4;
};

Report bench_associate(const Setting& setting);
Report bench_activate_latency(const Setting& setting);
Report bench_restart(const Setting& setting);
Report bench_memory(const Setting& setting);
Report bench_codec(const Setting& setting);

}  // namespace splitnve::bench
