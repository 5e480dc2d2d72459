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
  /// Not `bounded`: targets are told, and missing one is no failure. For runs too small to mean anything by their
  /// figures.
  explicit Report(std::string bench, bool bounded = true) : bench_(std::move(bench)), bounded_(bounded) {}

  void parameter(const std::string& key, double value) { parameters_.emplace_back(key, value); }
  void figure(const std::string& key, double value) { figures_.emplace_back(key, value); }
  void baseline(const std::string& key, double value) { baseline_.emplace_back(key, value); }
  void ratio(const std::string& key, double value) { ratios_.emplace_back(key, value); }
  /// A figure with a target. Each target is a parameter of its own, named KEY_min or KEY_max.
  void at_least(const std::string& key, double value, double bound) {
    figure(key, value);
    target(key, value, bound, "_min", value >= bound);
  }
  void at_most(const std::string& key, double value, double bound) {
    figure(key, value);
    target(key, value, bound, "_max", value <= bound);
  }
  /// The same for ratios.
  void ratio_at_least(const std::string& key, double value, double bound) {
    ratio(key, value);
    target(key, value, bound, "_min", value >= bound);
  }
  void ratio_at_most(const std::string& key, double value, double bound) {
    ratio(key, value);
    target(key, value, bound, "_max", value <= bound);
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

  void target(const std::string& key, double value, double bound, const char* suffix, bool held) {
    parameter(key + suffix, bound);
    if (bounded_) require(held, key + " is " + text(value) + ", its target " + text(bound));
  }
  static std::string text(double value) {
    char buffer[40];
    // Never with an exponent: whoever greps a figure compares it as it stands.
    const bool whole = std::floor(value) == value || std::fabs(value) >= 1e4;
    const bool small = std::fabs(value) < 1e-3;
    std::snprintf(buffer, sizeof(buffer), whole ? "%.0f" : small ? "%.6f" : "%.5g", value);
    return buffer;
  }
  static std::string object(const Members& members) {
    std::string out = "{";
    for (const auto& [key, value] : members)
      out += (out.size() > 1 ? ",\"" : "\"") + key + "\":" + (std::isfinite(value) ? text(value) : "null");
    return out + "}";
  }

  std::string bench_;
  bool bounded_;
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

inline double median(std::vector<double> samples) { return percentile(samples, 0.5); }

}  // namespace splitnve::bench
