// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/time.hpp"
#include "tnved/config.hpp"

namespace splitnve::tnved {

/// Uplinks that serve the same VNs, in the order of preference; one is used at a time (D3).
struct Path {
  std::vector<std::uint8_t> uplinks;  ///< indexes into the configuration's
  std::uint8_t active = 0;            ///< one of them
  bool restored = false;              ///< the store has said which
  /// The one before is reachable and takes leave of our TSIs: until it has, or until then, the active one is told
  /// nothing.
  std::optional<Instant> opens_at;
  std::uint8_t left = 0;  ///< while `opens_at`

  bool has_standby() const { return uplinks.size() > 1; }
};

/// Which path a VN takes: the VN's own list, else the uplinks that name it, else those that name none.
class Paths {
 public:
  explicit Paths(const AgentConfig& config);

  Path* of(GroupId vn);
  const Path* of(GroupId vn) const { return const_cast<Paths*>(this)->of(vn); }
  std::vector<Path>& all() { return paths_; }
  const std::vector<Path>& all() const { return paths_; }

 private:
  std::size_t add(std::vector<std::uint8_t> uplinks);

  std::vector<Path> paths_;
  boost::unordered_flat_map<GroupId, std::size_t> by_vn_;  ///< VNs that the configuration gives uplinks of their own
  std::optional<std::size_t> default_;
};

}  // namespace splitnve::tnved
