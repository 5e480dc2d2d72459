// SPDX-License-Identifier: Apache-2.0
// What a bench says at its end: one JSON object (docs/performance.md). Keys occur once, so that grep finds a figure.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace splitnve::bench {

class Report {
 public:
  explicit Report(std::string bench) : bench_(std::move(bench)) {}

  void parameter(const std::string& key, double value) { parameters_.emplace_back(key, value); }
  void figure(const std::string& key, double value) { figures_.emplace_back(key, value); }
  void baseline(const std::string& key, double value) { baseline_.emplace_back(key, value); }
  void ratio(const std::string& key, double value) { ratios_.emplace_back(key, value); }
  /// A figure with a target. Each target is a parameter of its own, named KEY_min or KEY_max.
  void at_least(const std::string& key, double value, double bound) {
    bounded(key, value, bound, "_min", value >= bound);
  }
  void at_most(const std::string& key, double value, double bound) {
    bounded(key, value, bound, "_max", value <= bound);
  }
  /// Something that must hold whatever the figures are.
  void require(bool held, const std::string& what) {
    if (held) return;
    std::fprintf(stderr, "bench: FAILED: %s\n", what.c_str());
    pass_ = false;
  }
  bool pass() const { return pass_; }

  void print() const {
    std::printf(
        "{\"bench\":\"%s\",\n \"parameters\":%s,\n \"figures\":%s,\n \"baseline\":%s,\n \"ratios\":%s,\n "
        "\"pass\":%s}\n",
        bench_.c_str(), object(parameters_).c_str(), object(figures_).c_str(), object(baseline_).c_str(),
        object(ratios_).c_str(), pass_ ? "true" : "false");
  }

 private:
  using Members = std::vector<std::pair<std::string, double>>;

  void bounded(const std::string& key, double value, double bound, const char* suffix, bool held) {
    figure(key, value);
    parameter(key + suffix, bound);
    require(held, key + " is " + text(value) + ", its target " + text(bound));
  }
  static std::string text(double value) {
    char buffer[40];
    const bool whole = std::floor(value) == value && std::fabs(value) < 1e15;
    std::snprintf(buffer, sizeof(buffer), whole ? "%.0f" : "%.5g", value);
    return buffer;
  }
  static std::string object(const Members& members) {
    std::string out = "{";
    for (const auto& [key, value] : members)
      out += (out.size() > 1 ? ",\"" : "\"") + key + "\":" + (std::isfinite(value) ? text(value) : "null");
    return out + "}";
  }

  std::string bench_;
  Members parameters_, figures_, baseline_, ratios_;
  bool pass_ = true;
};

/// The value below which `share` of the samples are; sorts them.
inline double percentile(std::vector<double>& samples, double share) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(samples.size()));
  return samples[std::min(at, samples.size() - 1)];
}

}  // namespace splitnve::bench
