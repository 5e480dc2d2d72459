// SPDX-License-Identifier: Apache-2.0
// What both daemons read of guards and limits from their configuration files.
#pragma once
#include <vector>

#include "agent/permissions.hpp"
#include "daemon/settings.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::daemon {

/// Reads `permissions [{vn, mac, may_route, may_serve_dhcp}]`.
std::vector<agent::Permission> read_permissions(const host::ConfigNode& root, const std::vector<VnName>& vns);
/// Reads `bum_limit {rate, burst}` in group frames; a rate of 0 is no limit, the burst is one second of it by default.
datapath::StormLimit read_bum_limit(const host::ConfigNode& node, std::uint32_t rate);
/// Reads `link_local` of a VN: "free" (default) or "strict", which is true.
bool read_strict_link_local(const host::ConfigNode& node);

}  // namespace splitnve::daemon
