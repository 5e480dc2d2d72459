// SPDX-License-Identifier: Apache-2.0
// `splitnve-sim`: one or many seeds of the simulation from the command line.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "world.hpp"

int main(int argc, char** argv) {
  using namespace splitnve::sim;
  Parameters parameters;
  unsigned seeds = 1;
  CLI::App app{"simulate many hypervisors and switches on a virtual clock"};
  app.add_option("--hosts", parameters.hosts, "hypervisors")->check(CLI::Range(1, 100000));
  app.add_option("--tsis-per-host", parameters.tsis_per_host, "VM interfaces each")->check(CLI::Range(1, 10000));
  app.add_option("--ports-per-switch", parameters.ports_per_switch, "access ports of a switch")
      ->check(CLI::Range(1, 1000));
  app.add_option("--hosts-per-port", parameters.hosts_per_port, "hypervisors behind one port, by a learning switch")
      ->check(CLI::Range(1, 100));
  app.add_option("--legacy-share", parameters.legacy_share, "share of the hypervisors without our extensions")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--loss", parameters.loss, "probability that a frame is lost")->check(CLI::Range(0.0, 0.9));
  app.add_option("--duplicate", parameters.duplicate, "probability that it arrives twice")->check(CLI::Range(0.0, 0.9));
  app.add_option("--reorder", parameters.reorder, "probability that it is delayed past others")
      ->check(CLI::Range(0.0, 0.9));
  app.add_option("--crash-rate", parameters.crash_per_1000_events, "crashes per 1,000 events");
  app.add_option("--rka", parameters.keepalive_exponent, "keep-alive exponent of both sides")
      ->check(CLI::Range(10, 31));
  app.add_option("--flap-rate", parameters.flap_per_1000_events, "link flaps per 1,000 events");
  app.add_option("--operator-rate", parameters.operator_per_1000_events,
                 "TSIs removed by the operator per 1,000 events");
  unsigned hold_seconds = 0;
  app.add_option("--hold", hold_seconds,
                 "virtual seconds for which all VMs run at the end and no TSI may leave Activated");
  app.add_option("--steps", parameters.steps, "events before everything must settle");
  app.add_option("--seed", parameters.seed, "first seed");
  app.add_flag("--trace", parameters.trace, "history of transitions and operations to stderr");
  app.add_option("--seeds", seeds, "how many seeds")->check(CLI::Range(1, 1000000));
  CLI11_PARSE(app, argc, argv);

  parameters.hold = std::chrono::seconds(hold_seconds);
  bool pass = true;
  for (unsigned i = 0; i < seeds; ++i, ++parameters.seed) {
    const auto begin = std::chrono::steady_clock::now();
    const Report report = World(parameters).run();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    if (!report.pass) {
      std::printf("sim: %s\n", report.failure.c_str());
      for (const auto& difference : report.differences) std::printf("sim:   %s\n", difference.c_str());
    }
    std::printf("%s\n", actions(report).c_str());
    std::printf("%s\n", summary(parameters, report, wall.count()).c_str());
    std::fflush(stdout);
    pass = pass && report.pass;
  }
  return pass ? 0 : 1;
}
