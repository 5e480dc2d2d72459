// SPDX-License-Identifier: Apache-2.0
// The agent of a switch dies, its store and its maps are lost, and all stations come back at once.
#include <signal.h>

#include <algorithm>

#include "benches.hpp"
#include "daemon.hpp"
#include "hosts.hpp"
#include "load.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::bench {

Report bench_storm(const Setting& setting) {
  const std::uint32_t all = setting.hosts * setting.tsis;
  Report report("storm", !setting.smoke);
  report.parameter("hosts", setting.hosts);
  report.parameter("tsis", setting.tsis);
  report.parameter("ports", kStormPorts);
  Daemon nnved(setting.build + "/src/nnved/nnved", setting.work + "/sw.json", "sw", "/run/splitnve/sw.sock",
               setting.work + "/sw.log");
  Hosts hosts(setting.hosts, setting.tsis);
  progress("all hosts associate for the first time");
  const auto first = Clock::now();
  hosts.start_vms();
  if (!hosts.run(kPatienceSeconds)) give_up("the hosts did not get all their answers");
  report.figure("first_seconds", seconds_since(first));
  report.require(show(nnved, kActivated).matching == all, "nnved holds every TSI as activated");

  progress("nnved dies and starts with nothing");
  nnved.stop(SIGKILL);
  wipe("sw");
  hosts.set_links(false);
  hosts.forget_answers();
  const auto dead = Clock::now();
  nnved.start();
  const double ready = seconds_since(dead);
  const auto up = Clock::now();
  const Instant links_up = host::Loop::now();
  hosts.set_links(true);
  const bool recovered = hosts.run(kPatienceSeconds);
  report.at_most("recovery_seconds", ready + seconds_since(up), 2);
  report.figure("ready_seconds", ready);
  report.require(recovered, "every host got all its answers");
  auto completed = hosts.completed_after(links_up);
  const double middle = median(completed);
  const double slowest = *std::max_element(completed.begin(), completed.end());
  report.figure("median_station_seconds", middle);
  report.figure("slowest_station_seconds", slowest);
  report.ratio_at_most("slowest_to_median", slowest / middle, 3);
  report.require(show(nnved, kActivated).matching == all, "nnved holds every TSI as activated again");
  return report;
}

}  // namespace splitnve::bench
