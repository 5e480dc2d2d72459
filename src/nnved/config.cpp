// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <set>

#include "config_file.hpp"
#include "daemon/guards.hpp"

namespace splitnve::nnved {
namespace {

using daemon::VnName;
using host::ConfigNode;

std::optional<VidRange> vid_range_from(const std::string& text) {
  unsigned first = 0, last = 0;
  const char* end = text.data() + text.size();
  const auto a = std::from_chars(text.data(), end, first);
  if (a.ec != std::errc() || a.ptr == end || *a.ptr != '-') return std::nullopt;
  const auto b = std::from_chars(a.ptr + 1, end, last);
  if (b.ec != std::errc() || b.ptr != end || first < 2 || last > 4094 || first > last) return std::nullopt;
  return VidRange{Vid(static_cast<std::uint16_t>(first)), Vid(static_cast<std::uint16_t>(last))};
}

Vid read_vid(const ConfigNode& node, std::string_view key) {
  return Vid(static_cast<std::uint16_t>(node.u32(key, 2, 4094)));
}

std::optional<datapath::UnderlayAddress> address_from(const ConfigNode& node, const std::string& text) {
  const auto address = datapath::UnderlayAddress::from_string(text);
  if (!address) node.refuse("an IPv4 or IPv6 address");
  return address;
}

void read_registry(const ConfigNode& root, AgentConfig& config, std::vector<VnName>& names) {
  std::set<std::uint32_t> vnis;
  std::set<VsiId> uuids;
  for (const auto& node : root.array("vns")) {
    VnConfig vn;
    vn.id = GroupId(node.u32("id", 1, (1u << 24) - 1));
    vn.alias = node.text("alias", "");
    vn.name = node.text("name", "");
    vn.vni = node.u32("vni", 1, (1u << 24) - 1, vn.id.value());
    daemon::add_vn(node, vn.id, vn.alias, names);
    if (!vnis.insert(vn.vni).second) node.refuse("vni", "a VNI that no other VN has");
    const auto uuid = VsiId::from_uuid(vn.name);
    if (!vn.name.empty() && !uuid) node.refuse("name", "a UUID");
    if (uuid && !uuids.insert(*uuid).second) node.refuse("name", "a name that no other VN has");
    for (const auto& item : node.array("remote_nnves"))
      if (const auto address = address_from(item, item.as_text())) vn.remote_nnves.push_back(*address);
    if (vn.remote_nnves.size() > limits::kFloodRemoteMax)
      node.refuse("remote_nnves", "at most " + std::to_string(limits::kFloodRemoteMax) + " addresses");
    vn.strict_link_local = daemon::read_strict_link_local(node);
    read_addresses(node, vn);
    config.vns.push_back(std::move(vn));
  }
}

void read_access(const ConfigNode& node, PortConfig& port, const std::vector<VnName>& names) {
  for (const auto& item : node.array("stations")) {
    const auto mac = MacAddress::from_string(item.as_text());
    if (mac && mac->is_usable_source())
      port.stations.push_back(*mac);
    else
      item.refuse("a unicast MAC address like 02:00:00:00:00:01");
  }
  port.vns = daemon::read_vns(node, "vns", names);
  for (const auto& item : node.array("static_vids")) {
    const auto vn = daemon::find_vn(names, item.text("vn"));
    if (!vn) item.refuse("vn", "the alias or id of a VN in /vns");
    port.static_vids.push_back({read_vid(item, "vid"), vn.value_or(GroupId())});
  }
}

void read_station_keys(const ConfigNode& node, PortConfig& port) {
  for (const auto& item : node.array("station_keys")) {
    StationKeys own{item.mac("station"), daemon::read_keys(item)};
    if (!own.keys)
      item.refuse("keys", "at least one key");
    else
      port.station_keys.push_back(std::move(own));
  }
}

PortConfig read_port(const ConfigNode& node, PortId id, const std::vector<VnName>& names) {
  PortConfig port;
  port.id = id;
  port.interface_name = node.text("interface");
  port.segment = node.text("segment", port.interface_name);
  if (node.has("segment")) port.segment_id = vdp::segment_id(port.segment);
  const auto range = vid_range_from(node.text("vids", "2-4094"));
  if (!range) node.refuse("vids", "a range like \"100-199\" within 2-4094");
  port.vids = range.value_or(VidRange{});
  port.vids_given = node.has("vids");
  port.direct = node.boolean("direct", false);
  if (!port.vids_given && !port.direct)
    node.refuse("vids",
                "a range like \"100-199\" that no other nNVE on this segment has, or \"direct\": true where one "
                "station is at the other end of the cable");
  if (node.has("recovery_vids")) {
    port.recovery_vids = vid_range_from(node.text("recovery_vids", ""));
    if (!port.recovery_vids) node.refuse("recovery_vids", "a range like \"190-199\" within the port's vids");
  }
  for (const auto& item : node.array("reserved_vids"))
    port.reserved_vids.push_back(Vid(static_cast<std::uint16_t>(item.as_u32(1, 4094))));
  port.legacy = node.boolean("legacy", false);
  port.evb = daemon::read_evb(node);
  if (node.has("group")) port.group = daemon::read_group(node, "group");
  if (node.has("host_traffic")) port.host_traffic = node.boolean("host_traffic", false);
  port.storm = daemon::read_bum_limit(node, limits::kAccessStormRate);
  port.sole_nnve = node.boolean("sole_nnve", false);
  if (port.sole_nnve && !port.group) node.refuse("sole_nnve", "a \"group\" that it is about");
  read_access(node, port, names);
  read_station_keys(node, port);
  read_takeover(node, port);
  port.authentication = daemon::read_authentication(node, !port.station_keys.empty());
  if (port.legacy && port.authentication.mode != auth::Mode::kOff)
    node.refuse("authentication", "\"off\" on a legacy port, whose stations cannot sign");
  const Duration dead =
      node.milliseconds("dead_peer_time_ms", Duration::zero(), std::chrono::hours(24), limits::kDeadPeerTime);
  port.dead_peer_time = dead == Duration::zero() ? Duration::max() : dead;
  port.link_down_hold =
      node.milliseconds("link_down_hold_ms", Duration::zero(), std::chrono::hours(24), limits::kLinkDownHold);
  return port;
}

/// Ports of one segment draw from one pool, so they must describe the same one (S12).
void check_segments(const ConfigNode& root, const AgentConfig& config) {
  for (const auto& a : config.ports)
    for (const auto& b : config.ports)
      if (&a < &b && a.segment == b.segment && (a.vids.first != b.vids.first || a.vids.last != b.vids.last))
        root.refuse("ports", "the same vids on " + a.interface_name + " and " + b.interface_name +
                                 ", which share segment " + a.segment);
}

void read_ports(const ConfigNode& root, AgentConfig& config, const std::vector<VnName>& names) {
  std::set<std::string> interfaces;
  std::uint32_t next = 1;
  for (const auto& node : root.array("ports")) {
    config.ports.push_back(read_port(node, PortId(next++), names));
    if (!interfaces.insert(config.ports.back().interface_name).second)
      node.refuse("interface", "an interface that no other port has");
  }
  if (config.ports.empty()) root.refuse("ports", "at least one port");
  check_segments(root, config);
}

void read_mappings(const ConfigNode& root, AgentConfig& config, const std::vector<VnName>& names) {
  for (const auto& node : root.array("types")) {
    const auto manager = daemon::manager_from_text(node.text("manager", ""));
    if (!manager) node.refuse("manager", "a UUID or at most 16 characters");
    const auto vn = daemon::find_vn(names, node.text("vn"));
    if (!vn) node.refuse("vn", "the alias or id of a VN in /vns");
    const VsiType type{node.u32("type", 0, (1u << 24) - 1), static_cast<std::uint8_t>(node.u32("version", 0, 255))};
    config.types.push_back({manager.value_or(ManagerId{}), type, vn.value_or(GroupId())});
  }
  for (const auto& node : root.array("remotes")) {
    const auto vn = daemon::find_vn(names, node.text("vn"));
    if (!vn) node.refuse("vn", "the alias or id of a VN in /vns");
    const MacAddress mac = node.mac("mac");
    const auto nnve = datapath::UnderlayAddress::from_string(node.text("nnve"));
    if (!nnve) node.refuse("nnve", "an IPv4 or IPv6 address");
    config.remotes.push_back(
        {vn.value_or(GroupId()), mac, nnve.value_or(datapath::UnderlayAddress{}), node.boolean("movable", false)});
  }
}

std::optional<VxlanSettings> read_vxlan(const ConfigNode& root) {
  if (!root.has("vxlan")) return std::nullopt;
  const auto node = root.object("vxlan");
  VxlanSettings vxlan;
  vxlan.interface_name = node.text("interface");
  const auto local = datapath::UnderlayAddress::from_string(node.text("local"));
  if (!local) node.refuse("local", "this nNVE's IPv4 or IPv6 address on the underlay");
  vxlan.local = local.value_or(datapath::UnderlayAddress{});
  vxlan.udp_port = static_cast<std::uint16_t>(node.u32("port", 1, 65535, 4789));
  vxlan.allow_small_mtu = node.boolean("allow_small_mtu", false);
  return vxlan;
}

Result<FileConfig, std::vector<Error>> read_file(Result<host::ConfigDocument> document) {
  if (!document) return unexpected<std::vector<Error>>(std::vector{document.error()});
  const auto root = document->root();
  FileConfig file;
  std::vector<VnName> names;
  file.settings = daemon::read_settings(root, "nnved");
  file.settings.recover_from_peers = root.boolean("recover_from_peers", false);
  daemon::read_timing(root, file.agent.ecp, file.agent.vdp);
  file.agent.offer = daemon::read_offer(root, vdp::kAble);
  file.agent.wire = daemon::read_wire(root);
  file.agent.announces = true;
  file.agent.lldp_interval = daemon::read_lldp_interval(root);
  read_registry(root, file.agent, names);
  read_ports(root, file.agent, names);
  read_mappings(root, file.agent, names);
  file.agent.permissions = daemon::read_permissions(root, names);
  file.vxlan = read_vxlan(root);
  file.agent.decision_deadline = root.milliseconds("decision_deadline_ms", std::chrono::milliseconds(100),
                                                   std::chrono::seconds(10), limits::kDecisionDeadline);
  file.agent.legacy_loser_hold = root.milliseconds("legacy_loser_hold_ms", std::chrono::seconds(1),
                                                   std::chrono::hours(1), limits::kLegacyLoserHold);
  static const std::vector<std::string> kHolds{"silent", "deassociate"};
  file.agent.legacy_hold = root.choice("legacy_hold", kHolds, 0) == 0 ? LegacyHold::kSilent : LegacyHold::kDeassociate;
  file.agent.vid_quarantine =
      root.milliseconds("vid_quarantine_ms", Duration::zero(), std::chrono::hours(1), limits::kVidQuarantine);
  read_limits(root, file.agent);
  auto complaints = document->finish();
  if (!complaints.empty()) return unexpected<std::vector<Error>>(std::move(complaints));
  return file;
}

}  // namespace

Result<FileConfig, std::vector<Error>> load_config(const std::string& path) {
  return read_file(host::ConfigDocument::load(path));
}

Result<FileConfig, std::vector<Error>> parse_config(std::string_view text, const std::string& file_name) {
  return read_file(host::ConfigDocument::parse(text, file_name));
}

}  // namespace splitnve::nnved
