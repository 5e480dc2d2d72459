// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/static_vector.hpp>
#include <string>

#include "splitnve/base/time.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::tnved {

/// nNVEs told apart behind one uplink; what comes beyond them changes nothing any more.
inline constexpr std::size_t kNnvesHeardMax = 8;
/// An announcement is worth this many keep-alive intervals.
inline constexpr int kHeardIntervals = 4;

/// The nNVEs that announce themselves behind one uplink (S12). Two that may give out one VID are no ground to close
/// anything, but none to open a VN by either of them.
class NnvesHeard {
 public:
  void handle(const MacAddress& source, const vdp::Capabilities& shown, Duration interval, Instant now);
  /// Who may give out the same VIDs, in words; empty: all is well.
  std::string conflict(Instant now) const;

 private:
  struct Nnve {
    MacAddress source;
    vdp::Capabilities shown;
    Instant until{};
  };
  boost::container::static_vector<Nnve, kNnvesHeardMax> heard_;
};

}  // namespace splitnve::tnved
