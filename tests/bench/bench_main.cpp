// SPDX-License-Identifier: Apache-2.0
// splitnve_bench NAME --build DIR --work DIR [--tsis N] [--samples N] [--connections N]: called by bench.sh, inside its
// namespaces. Progress goes to stderr, the report to stdout. Exit: 0 targets met, 1 missed, 2 usage, 3 not measured.
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <string_view>

#include "benches.hpp"

namespace {

using namespace splitnve::bench;

struct Bench {
  Report (*run)(const Setting&);
  std::uint32_t tsis;  ///< without --tsis
};
const std::map<std::string_view, Bench> kBenches = {{"associate", {bench_associate, 20000}},
                                                    {"activate-latency", {bench_activate_latency, 1000}},
                                                    {"restart", {bench_restart, 20000}},
                                                    {"memory", {bench_memory, 20000}},
                                                    {"codec", {bench_codec, 0}}};

int usage() {
  std::fprintf(stderr,
               "usage: splitnve_bench NAME --build DIR --work DIR [--tsis N] [--samples N] [--connections N]\n");
  return 2;
}

bool number(const char* text, std::uint32_t& value) {
  char* end = nullptr;
  const unsigned long parsed = std::strtoul(text, &end, 10);
  value = static_cast<std::uint32_t>(parsed);
  return end != text && *end == '\0' && parsed <= 262144;
}

bool take(std::string_view option, const char* text, Setting& setting) {
  if (option == "--build") return setting.build = text, true;
  if (option == "--work") return setting.work = text, true;
  if (option == "--tsis") return number(text, setting.tsis);
  if (option == "--samples") return number(text, setting.samples) && setting.samples > 0;
  if (option == "--connections") return number(text, setting.connections) && setting.connections > 0;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const auto bench = argc < 2 ? kBenches.end() : kBenches.find(argv[1]);
  if (bench == kBenches.end() || argc % 2 != 0) return usage();
  Setting setting;
  setting.tsis = bench->second.tsis;
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
