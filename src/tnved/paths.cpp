// SPDX-License-Identifier: Apache-2.0
#include "tnved/paths.hpp"

#include <algorithm>
#include <utility>

#include "splitnve/base/check.hpp"

namespace splitnve::tnved {

Paths::Paths(const AgentConfig& config) {
  std::vector<std::uint8_t> unnamed;
  for (std::size_t i = 0; i < config.uplinks.size(); ++i)
    if (config.uplinks[i].vns.empty()) unnamed.push_back(static_cast<std::uint8_t>(i));
  if (!unnamed.empty()) default_ = add(std::move(unnamed));
  for (const auto& vn : config.vns) {
    if (vn.uplinks.empty()) continue;
    std::vector<std::uint8_t> own;
    for (const PortId id : vn.uplinks) {
      const auto at = std::find_if(config.uplinks.begin(), config.uplinks.end(),
                                   [id](const UplinkConfig& uplink) { return uplink.id == id; });
      ensure(at != config.uplinks.end(), "a VN names uplinks that there are");
      own.push_back(static_cast<std::uint8_t>(at - config.uplinks.begin()));
    }
    by_vn_.emplace(vn.id, add(std::move(own)));
  }
  for (const auto& uplink : config.uplinks)
    for (const GroupId vn : uplink.vns) {
      if (by_vn_.contains(vn)) continue;
      std::vector<std::uint8_t> named;
      for (std::size_t i = 0; i < config.uplinks.size(); ++i)
        if (std::ranges::count(config.uplinks[i].vns, vn) > 0) named.push_back(static_cast<std::uint8_t>(i));
      by_vn_.emplace(vn, add(std::move(named)));
    }
}

std::size_t Paths::add(std::vector<std::uint8_t> uplinks) {
  const auto known = std::ranges::find(paths_, uplinks, &Path::uplinks);
  if (known != paths_.end()) return static_cast<std::size_t>(known - paths_.begin());
  Path path;
  path.active = uplinks.front();
  path.uplinks = std::move(uplinks);
  paths_.push_back(std::move(path));
  return paths_.size() - 1;
}

Path* Paths::of(GroupId vn) {
  const auto own = by_vn_.find(vn);
  if (own != by_vn_.end()) return &paths_[own->second];
  return default_ ? &paths_[*default_] : nullptr;
}

}  // namespace splitnve::tnved
