// SPDX-License-Identifier: Apache-2.0
// The keys of a configuration file that say who may have which address.
#include "config_file.hpp"

namespace splitnve::nnved {

using host::ConfigNode;

void read_takeover(const ConfigNode& node, PortConfig& port) {
  for (const auto& item : node.array("takeover_stations")) {
    const auto mac = MacAddress::from_string(item.as_text());
    if (mac && mac->is_usable_source())
      port.takeover_stations.push_back(*mac);
    else
      item.refuse("a unicast MAC address like 02:00:00:00:00:01");
  }
  const std::string who = node.text("takeover", "");
  if (who == "any")
    port.takeover = Takeover::kAny;
  else if (who == "same-port")
    port.takeover = Takeover::kSamePort;
  else if (who == "listed")
    port.takeover = Takeover::kListed;
  else if (who == "authenticated")
    port.takeover = Takeover::kAuthenticated;
  else if (!who.empty())
    node.refuse("takeover", R"("any", "same-port", "listed" or "authenticated")");
  static const std::vector<std::string> kMoves{"segment", "any", "none"};
  port.station_moves = static_cast<StationMoves>(node.choice("station_moves", kMoves, 0));
}

void read_addresses(const ConfigNode& node, VnConfig& vn) {
  for (const auto& item : node.array("reserved_ips")) {
    if (const auto ip = IpPrefix::from_string(item.as_text()))
      vn.reserved_ips.push_back(*ip);
    else
      item.refuse("an IP address or prefix like 192.0.2.1 or 2001:db8::/64");
  }
  vn.wide_prefixes = node.boolean("wide_prefixes", false);
}

void read_limits(const ConfigNode& root, AgentConfig& config) {
  const auto bounds = root.object("limits");
  config.instances_max = bounds.u32("instances", 1, limits::kInstancesMax, limits::kInstancesMax);
  config.instances_per_station_max =
      bounds.u32("instances_per_station", 1, limits::kInstancesMax, limits::kInstancesPerStationMax);
  config.instances_per_port_max = bounds.u32("instances_per_port", 1, limits::kInstancesMax, 0);
  config.ips_per_port_max = bounds.u32("ips_per_port", 1, limits::kIpRowsMax, 0);
  config.changes_per_second_max = bounds.u32("changes_per_second", 1, 10'000'000, limits::kChangesPerSecondMax);
  config.changes_per_second_per_port_max = bounds.u32("changes_per_second_per_port", 1, 10'000'000, 0);
}

}  // namespace splitnve::nnved
