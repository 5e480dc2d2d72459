// SPDX-License-Identifier: Apache-2.0
#include "tnved/nnves_heard.hpp"

#include <algorithm>

namespace splitnve::tnved {
namespace {

/// Of two ports of one nNVE those of one segment share their VIDs. One that tells none may give out any.
bool collide(const vdp::Capabilities& a, const vdp::Capabilities& b) {
  if (a.system == b.system && a.segment == b.segment && a.segment != 0) return false;
  if (a.version < 2 || b.version < 2) return a.system != b.system;
  return std::any_of(a.vids.begin(), a.vids.end(), [&](const vdp::VidSpan& span) {
    return std::any_of(b.vids.begin(), b.vids.end(), [&](const vdp::VidSpan& other) { return span.overlaps(other); });
  });
}

}  // namespace

void NnvesHeard::handle(const MacAddress& source, const vdp::Capabilities& shown, Duration interval, Instant now) {
  heard_.erase(std::remove_if(heard_.begin(), heard_.end(), [now](const Nnve& one) { return one.until <= now; }),
               heard_.end());
  const Nnve nnve{source, shown, now + kHeardIntervals * interval};
  const auto known = std::find_if(heard_.begin(), heard_.end(), [&](const Nnve& one) { return one.source == source; });
  if (known != heard_.end()) {
    *known = nnve;
  } else if (heard_.size() < kNnvesHeardMax) {
    heard_.push_back(nnve);
  }
}

std::string NnvesHeard::conflict(Instant now) const {
  for (auto one = heard_.begin(); one != heard_.end(); ++one)
    for (auto other = heard_.begin(); other != one; ++other)
      if (one->until > now && other->until > now && collide(one->shown, other->shown))
        return "the nNVEs with " + other->source.to_string() + " and " + one->source.to_string() +
               " may give out the same VIDs: give each its own \"vids\"";
  return "";
}

}  // namespace splitnve::tnved
