// SPDX-License-Identifier: Apache-2.0
// Traffic of a VM through tnved's switch, nnved and VXLAN to a plain VXLAN endpoint, beside the same way through
// bridges. iperf3 measures; bench.sh has made three lanes: a few TSIs, many, plain.
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "benches.hpp"
#include "daemon.hpp"
#include "load.hpp"

namespace splitnve::bench {
namespace {

constexpr std::uint32_t kFew = 10;
/// 18 octets of payload make 64 with Ethernet (FCS included), IPv4 and UDP.
constexpr const char* kUdp = "-u -b 0 -l 18";

/// What the client of a lane says at its end: octets (TCP) or packets (UDP) per second at the receiver.
double iperf(const std::string& lane, bool udp, std::uint32_t seconds) {
  const std::string command = "nsenter --net=/run/netns/guest" + lane + " iperf3 -c 10.0.0.2 -J -A 0,1 -t " +
                              std::to_string(seconds) + " " + (udp ? kUdp : "") + " 2>&1";
  std::string text;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) give_up("popen");
  std::array<char, 4096> chunk;
  while (const std::size_t count = fread(chunk.data(), 1, chunk.size(), pipe.get())) text.append(chunk.data(), count);
  const auto said = nlohmann::json::parse(text, nullptr, false);
  if (said.is_discarded() || !said.contains("end") || said.contains("error"))
    give_up("iperf3 on lane " + lane + ": " + text);
  if (!udp) return said["end"]["sum_received"]["bits_per_second"].get<double>() / 8;
  const auto& sum = said["end"]["sum"];
  return (sum["packets"].get<double>() - sum["lost_packets"].get<double>()) / sum["seconds"].get<double>();
}

/// TSIs of other VMs, and the one through which the traffic goes: untagged at tap0, with the guest's address.
void load_lane(const Pair& pair, const Setting& setting, std::uint32_t tsis) {
  pair.load(0, tsis, setting.connections);
  Client client(pair.tnved.socket());
  const auto reply = client.call(
      R"({"id":1,"verb":"tsi.apply","args":{"tsis":[{"vsi":"be000000-0000-4000-8000-00ff00000000","vn":70000,)"
      R"("macs":["02:ff:00:00:00:01"],"interface":"tap0","state":"activated"}]}})"
      "\n");
  if (!reply.ok() || reply.end.find("\"refused\":[]") == std::string::npos) give_up("the VM of the lane: " + reply.end);
}

struct Samples {
  std::map<std::string, std::vector<double>> by_lane;
  double middle(const std::string& lane) const { return median(by_lane.at(lane)); }
  /// Median of the rounds' ratios.
  double ratio(const std::string& of, const std::string& over) const {
    std::vector<double> ratios;
    for (std::size_t n = 0; n < by_lane.at(of).size(); ++n) ratios.push_back(by_lane.at(of)[n] / by_lane.at(over)[n]);
    return median(ratios);
  }
};

}  // namespace

Report bench_datapath(const Setting& setting) {
  Report report("datapath", !setting.smoke);
  report.parameter("tsis", setting.tsis);
  report.parameter("tsis_few", kFew);
  report.parameter("rounds", setting.rounds);
  const std::uint32_t seconds = 1;
  report.parameter("seconds_each", seconds);
  const Pair few(setting, "-few"), many(setting, "-many");
  progress("activating");
  load_lane(few, setting, kFew);
  load_lane(many, setting, setting.tsis);
  Samples tcp, udp;
  for (std::uint32_t round = 0; round < setting.rounds; ++round) {
    progress("round " + std::to_string(round + 1) + " of " + std::to_string(setting.rounds));
    for (Samples* kind : {&tcp, &udp})
      for (const char* lane : {"-few", "-plain", "-many"})
        kind->by_lane[lane].push_back(iperf(lane, kind == &udp, seconds));
  }
  constexpr double kBitsPerGigabit = 1e9 / 8;
  report.figure("tcp_gbit_per_second", tcp.middle("-few") / kBitsPerGigabit);
  report.figure("tcp_gbit_per_second_many", tcp.middle("-many") / kBitsPerGigabit);
  report.figure("udp64_per_second", udp.middle("-few"));
  report.figure("udp64_per_second_many", udp.middle("-many"));
  report.baseline("plain_tcp_gbit_per_second", tcp.middle("-plain") / kBitsPerGigabit);
  report.baseline("plain_udp64_per_second", udp.middle("-plain"));
  report.ratio_at_least("ratio_to_plain_tcp", tcp.ratio("-few", "-plain"), 0.9);
  report.ratio_at_least("ratio_to_plain_udp64", udp.ratio("-few", "-plain"), 0.9);
  const double many_tcp = tcp.ratio("-many", "-few"), many_udp = udp.ratio("-many", "-few");
  report.ratio("many_to_few_tcp", many_tcp);
  report.ratio("many_to_few_udp64", many_udp);
  report.ratio_at_least("ratio_50k_to_10", std::min(many_tcp, many_udp), 0.9);
  report.require(few.all_active(kFew + 1) && many.all_active(setting.tsis + 1),
                 "both daemons hold every TSI as activated");
  return report;
}

}  // namespace splitnve::bench
