// SPDX-License-Identifier: Apache-2.0
#include "daemon/guards.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"

namespace splitnve::daemon {

std::vector<agent::Permission> read_permissions(const host::ConfigNode& root, const std::vector<VnName>& vns) {
  std::vector<agent::Permission> permissions;
  for (const auto& node : root.array("permissions")) {
    agent::Permission one;
    const auto vn = find_vn(vns, node.text("vn"));
    if (!vn) node.refuse("vn", "the alias or id of a VN in /vns");
    one.vn = vn.value_or(GroupId());
    one.mac = node.mac("mac");
    one.may_route = node.boolean("may_route", false);
    one.may_serve_dhcp = node.boolean("may_serve_dhcp", false);
    permissions.push_back(one);
  }
  return permissions;
}

datapath::StormLimit read_bum_limit(const host::ConfigNode& node, std::uint32_t rate) {
  const auto limit = node.object("bum_limit");
  datapath::StormLimit storm;
  storm.frames_per_second = limit.u32("rate", 0, limits::kStormRateMax, rate);
  storm.burst = limit.u32("burst", 1, limits::kStormRateMax, std::max(1u, storm.frames_per_second));
  return storm;
}

bool read_strict_link_local(const host::ConfigNode& node) {
  static const std::vector<std::string> kWords{"free", "strict"};
  return node.choice("link_local", kWords, 0) == 1;
}

}  // namespace splitnve::daemon
