// SPDX-License-Identifier: Apache-2.0
// splitnve_bench NAME --build DIR --work DIR [OPTION VALUE]...: called by bench.sh, inside its namespaces. Progress
// goes to stderr, the report to stdout. Exit: 0 targets met, 1 missed, 2 usage, 3 not measured.
#include <cstdlib>
#include <exception>
#include <map>
#include <string_view>

#include "benches.hpp"

namespace {

using namespace splitnve::bench;

struct Bench {
  Report (*run)(const Setting&);
  std::uint32_t tsis;           ///< without --tsis; of the storm, per host
  std::uint32_t rounds;         ///< without --rounds
  std::uint32_t samples = 400;  ///< without --samples
};
const std::map<std::string_view, Bench> kBenches = {{"associate", {bench_associate, 100'000, 1}},
                                                    {"activate-latency", {bench_activate_latency, 1000, 1}},
                                                    {"storm", {bench_storm, 40, 1}},
                                                    {"restart", {bench_restart, 20'000, 1}},
                                                    {"memory", {bench_memory, 100'000, 1}},
                                                    {"scaling", {bench_scaling, 100'000, 7}},
                                                    {"keepalive", {bench_keepalive, 100'000, 1}},
                                                    {"control", {bench_control, 100'000, 1, 4000}},
                                                    {"datapath", {bench_datapath, 50'000, 10}},
                                                    {"codec", {bench_codec, 0, 1}},
                                                    {"nva", {bench_nva, 100'000, 1}},
                                                    {"turnover", {bench_turnover, 100'000, 1, 60}}};

int usage() {
  std::fprintf(
      stderr,
      "usage: splitnve_bench NAME --build DIR --work DIR [--tsis N] [--samples N] [--connections N] [--hosts N] "
      "[--rounds N] [--intervals N] [--smoke yes] [--measured KEY=NUMBER]...\n");
  return 2;
}

bool number(const char* text, std::uint32_t& value) {
  char* end = nullptr;
  const unsigned long parsed = std::strtoul(text, &end, 10);
  value = static_cast<std::uint32_t>(parsed);
  return end != text && *end == '\0' && parsed <= 262144;
}

bool positive(const char* text, std::uint32_t& value) { return number(text, value) && value > 0; }

bool measured(std::string_view text, Setting& setting) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string value(text.substr(equals + 1));
  char* end = nullptr;
  setting.measured.emplace_back(text.substr(0, equals), std::strtod(value.c_str(), &end));
  return end != value.c_str() && *end == '\0';
}

bool take(std::string_view option, const char* text, Setting& setting) {
  if (option == "--build") return setting.build = text, true;
  if (option == "--work") return setting.work = text, true;
  if (option == "--tsis") return number(text, setting.tsis);
  if (option == "--samples") return positive(text, setting.samples);
  if (option == "--connections") return positive(text, setting.connections);
  if (option == "--hosts") return positive(text, setting.hosts);
  if (option == "--rounds") return positive(text, setting.rounds);
  if (option == "--intervals") return positive(text, setting.intervals);
  if (option == "--smoke") return setting.smoke = std::string_view(text) == "yes", setting.smoke;
  if (option == "--measured") return measured(text, setting);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const auto bench = argc < 2 ? kBenches.end() : kBenches.find(argv[1]);
  if (bench == kBenches.end() || argc % 2 != 0) return usage();
  Setting setting;
  setting.tsis = bench->second.tsis;
  setting.rounds = bench->second.rounds;
  setting.samples = bench->second.samples;
  for (int n = 2; n + 1 < argc; n += 2)
    if (!take(argv[n], argv[n + 1], setting)) return usage();
  try {
    const Report report = bench->second.run(setting);
    report.print();
    return report.pass() ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 3;
  }
}
