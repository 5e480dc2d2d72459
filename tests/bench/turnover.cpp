// SPDX-License-Identifier: Apache-2.0
// One VM goes and comes: its tap is deleted and made anew, its TSI created and started. Is that dearer on a host with
// many ports, or beside many TSIs?
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "benches.hpp"
#include "daemon.hpp"
#include "load.hpp"

namespace splitnve::bench {
namespace {

/// vm0, vm1 ... in the hypervisor, ten of each VN. Their TSIs' numbers are beyond those of `Pair::load`.
constexpr std::uint32_t kPortsFew = 10, kPortsMany = 1000, kPortsSmoke = 40;
constexpr std::uint32_t kFirstPortTsi = 300'000;
constexpr double kSettleSeconds = 30;

void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) give_up("failed: " + command);
}

std::string tap_of(std::uint32_t n) { return "vm" + std::to_string(n); }
void make_tap(std::uint32_t n) {
  shell("ip -n hv link add " + tap_of(n) + " type veth peer name g" + std::to_string(n) + " && ip -n hv link set " +
        tap_of(n) + " up");
}
void delete_tap(std::uint32_t n) { shell("ip -n hv link del " + tap_of(n)); }

double create_us(Client& client, std::uint32_t n) {
  char mac[24];
  std::snprintf(mac, sizeof mac, "02:01:00:00:%02x:%02x", n >> 8, n & 0xFF);
  const std::string line = R"({"id":1,"verb":"tsi.create","args":{"vsi":")" + vsi_of(kFirstPortTsi + n) + R"(","vn":)" +
                           std::to_string(kFirstVn + n / kPortsFew) + R"(,"macs":[")" + mac + R"("],"interface":")" +
                           tap_of(n) + "\"}}\n";
  const auto begun = Clock::now();
  const auto reply = client.call(line);
  const double took = seconds_since(begun) * kMillion;
  if (!reply.ok()) give_up("tsi.create: " + reply.end);
  return took;
}

void settle(const Pair& pair, double tsis) {
  const auto begun = Clock::now();
  while (pair.peer_counter("settled") < tsis) {
    if (seconds_since(begun) > kSettleSeconds) give_up("a TSI was not settled in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// Until both daemons have nothing left to do about the change before: their processor time stands still.
void calm(const Pair& pair) {
  constexpr std::chrono::milliseconds kLook{5};
  constexpr double kIdle = 0.0002;
  for (int looks = 0; looks < 100; ++looks) {
    const double before = pair.cpu_seconds();
    std::this_thread::sleep_for(kLook);
    if (pair.cpu_seconds() - before < kIdle) return;
  }
}

struct Turnover {
  std::vector<double> create_us, start_us, cpu_us;
};

/// The quickest quarter: the kernel has one lock for all links of the machine, and whoever else has it makes a sample
/// slower, never quicker.
double quarter(std::vector<double> samples) { return percentile(samples, 0.25); }

/// `held`: TSIs that are activated, the one that turns over among them.
Turnover measure(const Pair& pair, std::uint32_t ports, std::uint32_t held, std::uint32_t samples) {
  Turnover turnover;
  Client client(pair.tnved.socket());
  for (std::uint32_t n = 0; n < samples; ++n) {
    const std::uint32_t vm = n * 7 % ports;
    const double before = pair.cpu_seconds();
    verb_us(client, "shutdown", kFirstPortTsi + vm);
    delete_tap(vm);
    make_tap(vm);
    calm(pair);
    turnover.create_us.push_back(create_us(client, vm));
    turnover.start_us.push_back(verb_us(client, "start", kFirstPortTsi + vm));
    settle(pair, held);
    turnover.cpu_us.push_back((pair.cpu_seconds() - before) * kMillion);
  }
  return turnover;
}

std::size_t reconciles(const Setting& setting) {
  std::size_t count = 0;
  for (const char* log : {"/sw.log", "/hv.log"}) {
    std::ifstream stream(setting.work + log);
    for (std::string line; std::getline(stream, line);) count += line.find("datapath.reconciled") != std::string::npos;
  }
  return count;
}

void bring_ports(const Pair& pair, std::uint32_t from, std::uint32_t to) {
  Client client(pair.tnved.socket());
  for (std::uint32_t n = from; n < to; ++n) {
    create_us(client, n);
    verb_us(client, "start", kFirstPortTsi + n);
  }
}

}  // namespace

Report bench_turnover(const Setting& setting) {
  Report report("turnover", !setting.smoke);
  const std::uint32_t many = setting.smoke ? kPortsSmoke : kPortsMany;
  report.parameter("tsis", setting.tsis);
  report.parameter("ports_few", kPortsFew);
  report.parameter("ports_many", many);
  report.parameter("samples", setting.samples);
  for (std::uint32_t n = 0; n < many; ++n) make_tap(n);
  const Pair pair(setting);
  const auto add = [&](const std::string& where, const Turnover& at, const Turnover* base) {
    const double create = quarter(at.create_us), start = quarter(at.start_us), cpu = quarter(at.cpu_us);
    const auto put = [&](const std::string& key, double value) {
      base == nullptr ? report.baseline(key, value) : report.figure(key, value);
    };
    put("create_us_" + where, create);
    put("start_us_" + where, start);
    put("turnover_cpu_us_" + where, cpu);
    if (base == nullptr) return;
    report.ratio_at_most("create_ratio_" + where, create / quarter(base->create_us), 1.5);
    report.ratio_at_most("start_ratio_" + where, start / quarter(base->start_us), 1.5);
    report.ratio("turnover_cpu_ratio_" + where, cpu / quarter(base->cpu_us));  // keep-alives of all others are in it
  };
  progress("turnover at " + std::to_string(kPortsFew) + " ports");
  bring_ports(pair, 0, kPortsFew);
  const std::size_t reconciled = reconciles(setting);
  const Turnover few = measure(pair, kPortsFew, kPortsFew, setting.samples);
  add("few_ports", few, nullptr);
  progress("turnover at " + std::to_string(many) + " ports");
  bring_ports(pair, kPortsFew, many);
  add("many_ports", measure(pair, many, many, setting.samples), &few);
  progress("turnover beside " + std::to_string(setting.tsis) + " TSIs");
  pair.load(0, setting.tsis, setting.connections);
  add("many_tsis", measure(pair, many, many + setting.tsis, setting.samples), &few);
  report.require(reconciles(setting) == reconciled, "no reconcile was logged");
  report.figure("reconciles", static_cast<double>(reconciles(setting) - reconciled));
  report.require(pair.all_active(many + setting.tsis), "both daemons hold every TSI as activated");
  return report;
}

}  // namespace splitnve::bench
