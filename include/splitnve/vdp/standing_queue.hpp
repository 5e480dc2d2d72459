// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/devector.hpp>
#include <cstddef>
#include <vector>

#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::limits {
/// What waits to be told to one station of what is held of it; more become one word that all of it may be asked for
/// again.
inline constexpr std::size_t kStandingsMax = 4200;
}  // namespace splitnve::limits

namespace splitnve::vdp {

/// What a bridge tells one station of what it holds of it, and lets back (S7), in order. Nothing waits for a station
/// that has not shown the flag (E7). What was lost on the way is told again.
class StandingQueue {
 public:
  void set_offered(Flags offered) { offered_ = offered; }
  void set_peer(Flags peer);
  /// Both sides have the flag, and the station understands what an answer calls held.
  bool able() const {
    return offered_.has(Flag::kStanding) && peer_.has(Flag::kStanding) && peer_.has(Flag::kReasonText);
  }

  void tell(const Standing& standing);
  /// At the start of a session: all that is held, and the end of the list. What was to be told before is out of date.
  void tell_list(const std::vector<Standing>& held);

  bool queued() const { return !waiting_.empty(); }
  void write(VdpduWriter& writer);
  void handle_delivered() { sent_.clear(); }
  void handle_delivery_failed();

 private:
  Flags offered_;
  Flags peer_;
  boost::container::devector<Standing> waiting_;
  std::vector<Standing> sent_;
};

}  // namespace splitnve::vdp
