// SPDX-License-Identifier: Apache-2.0
#include "benches.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "codec_work.hpp"
#include "daemon.hpp"
#include "load.hpp"

namespace splitnve::bench {
namespace {

void load_all(const Pair& pair, const Setting& setting) { pair.load(0, setting.tsis, setting.connections); }

/// Seconds until a daemon started afresh says that it serves, and until it has told all its TSIs.
struct Restart {
  double ready = 0, told = 0;
};
Restart restart(Daemon& daemon, std::uint32_t tsis, const std::string& text, Report& report) {
  daemon.stop();
  const auto begun = Clock::now();
  daemon.start();
  Restart times;
  times.ready = seconds_since(begun);
  const auto rows = show(daemon, text);
  times.told = seconds_since(begun);
  report.require(rows.rows == tsis && rows.matching == tsis,
                 std::to_string(rows.matching) + " of " + std::to_string(tsis) + " TSIs as before the restart");
  return times;
}

/// Microseconds of one call; the fastest of several runs, for nothing makes code faster than it is.
double fastest_us(const std::function<void()>& work) {
  constexpr int kRuns = 20, kRounds = 2000;
  double best = 1e12;
  for (int run = 0; run < kRuns; ++run) {
    const auto begun = Clock::now();
    for (int n = 0; n < kRounds; ++n) work();
    best = std::min(best, seconds_since(begun) * kMillion / kRounds);
  }
  return best;
}

constexpr std::chrono::milliseconds kLook{1}, kLookMax{50};

/// What one way of bringing all TSIs to Activated has cost.
struct Brought {
  double seconds = 0;
  double nnved_cpu = 0, tnved_cpu = 0;  ///< seconds of processor time
};
template <class Bring>
Brought bring(const Setting& setting, Report& report, const Pair& pair, Bring how) {
  pair.spread();
  const Usage nnved = pair.nnved.usage(), tnved = pair.tnved.usage();
  Brought brought;
  brought.seconds = how();
  brought.nnved_cpu = pair.nnved.usage().cpu_seconds - nnved.cpu_seconds;
  brought.tnved_cpu = pair.tnved.usage().cpu_seconds - tnved.cpu_seconds;
  progress("asking both daemons what they hold");
  report.require(pair.all_active(setting.tsis), "both daemons hold every TSI as activated");
  return brought;
}

/// tnved has been told all, and sees the link come up: until of every TSI the nNVE has programmed, stored and answered,
/// and tnved has programmed and stored that.
Brought bring_desired(const Setting& setting, Report& report) {
  progress("starting nnved and tnved");
  const Pair pair(setting);
  pair.set_link(false);
  progress("telling tnved what is wanted");
  apply(pair.tnved.socket(), apply_requests(0, setting.tsis, "activated", R"("wait":false,)"), setting.connections);
  report.require(pair.peer_counter("tsis") == setting.tsis && pair.peer_counter("settled") == 0,
                 "tnved wants every TSI, and none is settled while the link is down");
  return bring(setting, report, pair, [&] {
    progress("activating");
    pair.set_link(true);
    const auto begun = Clock::now();
    while (true) {
      const double settled = pair.peer_counter("settled");
      const double took = seconds_since(begun);
      if (settled >= setting.tsis) return took;
      if (took > kPatienceSeconds) give_up("not every TSI was settled in time");
      // Looking takes time of what is looked at: seldom at first, often towards the end.
      const std::chrono::duration<double> left(took * (setting.tsis - settled) / std::max(settled, 1.0) / 4);
      std::this_thread::sleep_for(std::clamp<std::chrono::duration<double>>(left, kLook, kLookMax));
    }
  });
}

/// By tsi.apply, from the first request written to the last answer read.
Brought bring_asked(const Setting& setting, Report& report) {
  progress("starting nnved and tnved anew");
  for (const char* instance : {"sw", "hv"}) wipe(instance);
  const Pair pair(setting);
  const auto requests = apply_requests(0, setting.tsis, "activated");
  return bring(setting, report, pair, [&] {
    progress("activating by requests");
    return apply(pair.tnved.socket(), requests, setting.connections);
  });
}

}  // namespace

Report bench_associate(const Setting& setting) {
  Report report("associate", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  report.parameter("connections", setting.connections);
  progress("raw round trips");
  const double round_trip = add_wire_baseline(report);
  const Brought desired = bring_desired(setting, report);
  const double rate = setting.tsis / desired.seconds;
  const double wire = kTlvsPerRoundTrip * kMillion / round_trip;
  report.figure("seconds", desired.seconds);
  report.at_least("activates_per_second", rate, 150'000);
  report.figure("nnved_cpu_us_per_tsi", desired.nnved_cpu * kMillion / setting.tsis);
  report.figure("tnved_cpu_us_per_tsi", desired.tnved_cpu * kMillion / setting.tsis);
  report.baseline("wire_tlvs_per_second", wire);
  report.ratio_at_least("ratio_to_wire", rate / wire, 0.15);
  // lldpad beside it: how many associations a second it brought through the same nnved, and how many were timed.
  for (const auto& [key, value] : setting.measured) {
    report.baseline(key, value);
    if (key == "lldpad_associations_per_second" && value > 0) report.ratio("ratio_to_lldpad", rate / value);
  }
  const Brought asked = bring_asked(setting, report);
  report.figure("requested_per_second", setting.tsis / asked.seconds);
  report.figure("nnved_cpu_us_per_requested", asked.nnved_cpu * kMillion / setting.tsis);
  report.figure("tnved_cpu_us_per_requested", asked.tnved_cpu * kMillion / setting.tsis);
  return report;
}

Report bench_activate_latency(const Setting& setting) {
  Report report("activate-latency", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  report.parameter("samples", setting.samples);
  progress("raw round trips");
  const double round_trip = add_wire_baseline(report);
  const Pair pair(setting);
  progress("loading the TSIs that are there already");
  if (setting.tsis > 0) load_all(pair, setting);
  constexpr std::uint32_t kWarmUp = 20;
  const std::uint32_t count = setting.samples + kWarmUp;
  apply(pair.tnved.socket(), apply_requests(setting.tsis, count, "associated"), 1);
  progress("starting one by one");
  Client client(pair.tnved.socket());
  std::vector<double> samples;
  for (std::uint32_t n = 0; n < count; ++n) {
    const double took = verb_us(client, "start", setting.tsis + n);
    if (n >= kWarmUp) samples.push_back(took);
  }
  const double p50 = percentile(samples, 0.5);
  report.at_most("p50_us", p50, 300);
  report.at_most("p99_us", percentile(samples, 0.99), 1000);
  report.figure("slowest_us", samples.back());
  report.ratio("p50_to_wire", p50 / round_trip);
  report.require(pair.all_active(setting.tsis + count), "both daemons hold every TSI as activated");
  return report;
}

Report bench_restart(const Setting& setting) {
  Report report("restart", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  Pair pair(setting);
  progress("activating");
  load_all(pair, setting);
  report.require(pair.all_active(setting.tsis), "both daemons hold every TSI as activated");
  progress("restarting nnved");
  const Restart nnved = restart(pair.nnved, setting.tsis, kActivated, report);
  progress("restarting tnved");
  const Restart tnved = restart(pair.tnved, setting.tsis, kActivated, report);
  report.at_most("restart_seconds", nnved.told, 1);
  report.figure("nnved_ready_seconds", nnved.ready);
  report.figure("tnved_restart_seconds", tnved.told);
  report.figure("tnved_ready_seconds", tnved.ready);
  return report;
}

Report bench_memory(const Setting& setting) {
  Report report("memory", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  const Pair pair(setting);
  const Usage nnved = pair.nnved.usage(), tnved = pair.tnved.usage();
  progress("activating");
  load_all(pair, setting);
  const Usage nnved_after = pair.nnved.usage(), tnved_after = pair.tnved.usage();
  report.at_most("nnved_bytes_per_tsi", (nnved_after.private_octets - nnved.private_octets) / setting.tsis, 512);
  report.at_most("tnved_bytes_per_tsi", (tnved_after.private_octets - tnved.private_octets) / setting.tsis, 512);
  report.baseline("nnved_idle_octets", nnved.private_octets);
  report.baseline("tnved_idle_octets", tnved.private_octets);
  report.require(pair.all_active(setting.tsis), "both daemons hold every TSI as activated");
  return report;
}

Report bench_codec(const Setting& setting) {
  Report report("codec", !setting.smoke);
  report.parameter("tlvs", kTlvsPerEcpdu);
  CodecWork work;
  report.require(work.decode() != 0, "what was encoded decodes");
  volatile std::size_t sink = 0;
  const double encode = fastest_us([&] { sink = sink + work.encode().size(); });
  const double decode = fastest_us([&] { sink = sink + work.decode(); });
  report.at_most("encode_us", encode, 1.5);
  report.at_most("decode_us", decode, 1.5);
  for (const auto& [key, value] : setting.measured) report.figure(key, value);  // instructions, by callgrind
  return report;
}

}  // namespace splitnve::bench
