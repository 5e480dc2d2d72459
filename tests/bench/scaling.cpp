// SPDX-License-Identifier: Apache-2.0
// Does a TSI cost more where there are many? Processor time of both daemons per TSI, at a tenth of the TSIs and at all.
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include "benches.hpp"
#include "daemon.hpp"
#include "load.hpp"

namespace splitnve::bench {
namespace {

/// Keep-alives every 2.6 s while they are measured; hardly any while the rest is (bench.sh: hv-ka.json, sw-ka.json).
constexpr double kKeepaliveSeconds = 2.62144;
constexpr std::uint32_t kSampleTsis = 2000;

using Costs = std::map<std::string, std::vector<double>>;  ///< microseconds per TSI, by operation and round

/// Microseconds of processor time that both daemons took for `work`, over `count`.
double cost(const Pair& pair, std::uint32_t count, const std::function<void()>& work) {
  const double before = pair.cpu_seconds();
  work();
  return (pair.cpu_seconds() - before) * kMillion / count;
}

void shut_down(const Pair& pair, std::uint32_t first, std::uint32_t count) {
  Client client(pair.tnved.socket());
  for (std::uint32_t n = 0; n < count; ++n) verb_us(client, "shutdown", first + n);
}

/// On top of `held` TSIs.
void measure_changes(const Pair& pair, const Setting& setting, std::uint32_t held, Costs& costs) {
  const std::uint32_t sample = std::min(kSampleTsis, held);
  for (std::uint32_t round = 0; round < setting.rounds; ++round) {
    costs["associate"].push_back(cost(pair, sample, [&] { pair.load(held, sample, setting.connections); }));
    // What is there already is found and left alone.
    costs["lookup"].push_back(
        cost(pair, sample, [&] { pair.load(held / 2 - sample / 2, sample, setting.connections); }));
    costs["removal"].push_back(cost(pair, sample, [&] { shut_down(pair, held, sample); }));
  }
}

void restart(Pair& pair, const Setting& setting, const char* variant) {
  pair.tnved.stop();
  pair.nnved.stop();
  pair.nnved.configure(setting.work + "/sw" + variant + ".json");
  pair.tnved.configure(setting.work + "/hv" + variant + ".json");
  pair.nnved.start();
  pair.tnved.start();
}

void measure_keepalives(Pair& pair, const Setting& setting, std::uint32_t held, Costs& costs) {
  restart(pair, setting, "-ka");
  const auto pause = [&] {
    std::this_thread::sleep_for(std::chrono::duration<double>(setting.smoke ? 0.2 : kKeepaliveSeconds));
  };
  pause();
  pause();
  for (std::uint32_t round = 0; round < setting.rounds; ++round) {
    const double sent = pair.peer_counter("keepalives"), before = pair.cpu_seconds();
    pause();
    const double spent = pair.cpu_seconds() - before;
    const double renewed = pair.peer_counter("keepalives") - sent;
    if (!setting.smoke && renewed < held / 2) give_up("too few keep-alives in a round");
    costs["keepalive"].push_back(spent * kMillion / std::max(renewed, 1.0));
  }
  restart(pair, setting, "");
}

}  // namespace

Report bench_scaling(const Setting& setting) {
  Report report("scaling", !setting.smoke);
  const std::uint32_t few = setting.tsis / 10, many = setting.tsis;
  report.parameter("tsis", many);
  report.parameter("tsis_few", few);
  report.parameter("rounds", setting.rounds);
  Pair pair(setting);
  Costs at_few, at_many;
  std::uint32_t held = 0;
  for (const auto& [tsis, costs] : {std::pair{few, &at_few}, std::pair{many, &at_many}}) {
    progress("activating " + std::to_string(tsis));
    pair.load(held, tsis - held, setting.connections);
    held = tsis;
    measure_changes(pair, setting, tsis, *costs);
    progress("keep-alives of " + std::to_string(tsis));
    measure_keepalives(pair, setting, tsis, *costs);
    report.require(pair.all_active(tsis), "both daemons hold every TSI as activated");
  }
  double worst = 0;
  for (auto& [operation, samples] : at_many) {
    const double few_us = median(at_few[operation]), many_us = median(samples);
    report.baseline(operation + "_us_few", few_us);
    report.figure(operation + "_us", many_us);
    report.ratio(operation + "_ratio", many_us / few_us);
    worst = std::max(worst, many_us / few_us);
  }
  report.ratio_at_most("worst_ratio", worst, 1.5);
  // Counted by callgrind on the two agents alone: ratios of instructions per TSI.
  double instructions = 0;
  for (const auto& [key, value] : setting.measured) {
    if (key.ends_with("_ratio"))
      report.ratio(key, value), instructions = std::max(instructions, value);
    else if (key.ends_with("_few"))
      report.baseline(key, value);
    else
      report.figure(key, value);
  }
  if (!setting.measured.empty()) report.ratio_at_most("instructions_ratio", instructions, 1.1);
  return report;
}

}  // namespace splitnve::bench
