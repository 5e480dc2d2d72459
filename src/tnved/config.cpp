// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <set>

#include "config_file.hpp"
#include "daemon/guards.hpp"

namespace splitnve::tnved {
namespace {

using daemon::VnName;
using host::ConfigNode;

void read_vns(const ConfigNode& root, AgentConfig& config, std::vector<VnName>& names) {
  std::set<VsiId> uuids;
  for (const auto& node : root.array("vns")) {
    VnConfig vn{
        GroupId(node.u32("id", 1, (1u << 24) - 1)), node.text("alias", ""), {}, node.boolean("connect", false), {}};
    if (node.has("name")) {
      const auto uuid = VsiId::from_uuid(node.text("name", ""));
      if (!uuid)
        node.refuse("name", "a UUID");
      else if (!uuids.insert(*uuid).second)
        node.refuse("name", "a name that no other VN has");
      else
        vn.name = vdp::VnName{uuid->octets};
    }
    vn.strict_link_local = daemon::read_strict_link_local(node);
    daemon::add_vn(node, vn.id, vn.alias, names);
    config.vns.push_back(vn);
  }
}

void read_nnve(const ConfigNode& node, UplinkConfig& uplink) {
  if (!node.has("nnve")) return;
  const MacAddress address = node.mac("nnve");
  if (address.is_group())
    uplink.discovery = daemon::read_group(node, "nnve");
  else
    uplink.nnve = address;
}

void read_uplinks(const ConfigNode& root, AgentConfig& config, const std::vector<VnName>& names) {
  static const std::vector<std::string> kFormats{"group-mac-vid", "mac-vid", "group-vid", "vid"};
  static constexpr std::array kFormatOf{vdp::FilterFormat::kGroupMacVid, vdp::FilterFormat::kMacVid,
                                        vdp::FilterFormat::kGroupVid, vdp::FilterFormat::kVid};
  std::set<std::string> interfaces;
  std::uint32_t next = 1;
  for (const auto& node : root.array("uplinks")) {
    UplinkConfig uplink;
    uplink.id = PortId(next++);
    uplink.interface_name = node.text("interface");
    if (!interfaces.insert(uplink.interface_name).second)
      node.refuse("interface", "an interface that no other uplink has");
    uplink.vns = daemon::read_vns(node, "vns", names);
    uplink.format = kFormatOf[node.choice("format", kFormats, 0)];
    uplink.evb = daemon::read_evb(node);
    read_nnve(node, uplink);
    uplink.legacy = node.boolean("legacy", false);
    if (uplink.legacy && uplink.discovery) node.refuse("legacy", "false where the nNVE is found by a group address");
    uplink.authentication = daemon::read_authentication(node);
    if (uplink.legacy && uplink.authentication.mode != auth::Mode::kOff)
      node.refuse("authentication", "\"off\" with a legacy bridge, which cannot sign");
    config.uplinks.push_back(std::move(uplink));
  }
  if (config.uplinks.empty()) root.refuse("uplinks", "at least one uplink");
}

/// The uplinks that a VN names itself, in its order.
void read_paths(const ConfigNode& root, AgentConfig& config) {
  std::size_t at = 0;
  for (const auto& node : root.array("vns")) {
    auto& own = config.vns[at++].uplinks;
    for (const auto& item : node.array("uplinks")) {
      const std::string name = item.as_text();
      const auto uplink = std::ranges::find(config.uplinks, name, &UplinkConfig::interface_name);
      if (uplink == config.uplinks.end() || std::ranges::count(own, uplink->id) > 0)
        item.refuse("the interface of an uplink in /uplinks, once");
      else
        own.push_back(uplink->id);
    }
  }
}

void read_defaults(const ConfigNode& root, AgentConfig& config) {
  const auto manager = daemon::manager_from_text(root.text("manager", ""));
  if (!manager) root.refuse("manager", "a UUID or at most 16 characters");
  config.manager = manager.value_or(ManagerId{});
  const auto type = root.object("type");
  config.type = {type.u32("id", 0, (1u << 24) - 1, 1), static_cast<std::uint8_t>(type.u32("version", 0, 255, 1))};
  config.start_deadline = root.milliseconds("start_deadline_ms", std::chrono::milliseconds(100),
                                            std::chrono::minutes(5), std::chrono::seconds(5));
  config.failover_time =
      root.milliseconds("failover_ms", std::chrono::milliseconds(200), std::chrono::minutes(5), limits::kFailoverTime);
  config.instances_max = root.object("limits").u32("instances", 1, limits::kInstancesMax, limits::kInstancesMax);
}

Result<FileConfig, std::vector<Error>> read_file(Result<host::ConfigDocument> document) {
  if (!document) return unexpected<std::vector<Error>>(std::vector{document.error()});
  const auto root = document->root();
  FileConfig file;
  std::vector<VnName> names;
  file.settings = daemon::read_settings(root, "tnved");
  daemon::read_timing(root, file.agent.ecp, file.agent.vdp);
  file.agent.offer = daemon::read_offer(root, vdp::kAble);
  file.agent.wire = daemon::read_wire(root);
  file.agent.lldp_interval = daemon::read_lldp_interval(root);
  read_vns(root, file.agent, names);
  read_uplinks(root, file.agent, names);
  read_paths(root, file.agent);
  read_defaults(root, file.agent);
  file.agent.permissions = daemon::read_permissions(root, names);
  file.agent.storm = daemon::read_bum_limit(root, limits::kVmStormRate);
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

}  // namespace splitnve::tnved
