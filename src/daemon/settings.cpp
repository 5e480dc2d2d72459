// SPDX-License-Identifier: Apache-2.0
#include "settings.hpp"

#include <algorithm>
#include <boost/uuid/name_generator.hpp>
#include <boost/uuid/string_generator.hpp>
#include <fstream>

#include "splitnve/host/systemd.hpp"

namespace splitnve::daemon {
namespace {

/// Beside the store, unless the file says otherwise.
std::string audit_file_of(const std::string& store) {
  const std::string end = ".db";
  return (store.ends_with(end) ? store.substr(0, store.size() - end.size()) : store) + ".audit";
}

host::AuditOptions read_audit(const host::ConfigNode& root, const Settings& settings) {
  const auto node = root.object("audit");
  host::AuditOptions audit;
  audit.instance = settings.instance;
  audit.file = node.text("file", audit_file_of(settings.paths.store));
  audit.octets_max = std::uint64_t{node.u32("size_mb", 1, 4096, 16)} << 20;
  audit.files = node.u32("files", 1, 100, 4);
  return audit;
}

}  // namespace

Settings read_settings(const host::ConfigNode& root, const std::string& role) {
  Settings settings;
  if (root.text("role", role) != role) root.refuse("role", "\"" + role + "\"");
  settings.instance = root.text("instance");
  const auto level = host::log_level_from(root.text("log_level", "info"));
  if (!level) root.refuse("log_level", "one of debug, info, warning, error");
  settings.log_level = level.value_or(host::LogLevel::kInfo);
  if (const auto paths = host::paths_of(role, settings.instance))
    settings.paths = *paths;
  else if (!settings.instance.empty())
    root.refuse("instance", "1 to 32 characters of a-z, 0-9, - and _");

  if (root.has("system_id")) {
    const auto id = VsiId::from_uuid(root.text("system_id", ""));
    if (!id)
      root.refuse("system_id", "a UUID");
    else
      settings.system = id->octets;
  }
  const auto paths = root.object("paths");
  settings.paths.control_socket = paths.text("socket", settings.paths.control_socket);
  settings.paths.store = paths.text("store", settings.paths.store);
  settings.paths.pins = paths.text("pins", settings.paths.pins);
  const auto control = root.object("control");
  settings.control.path = settings.paths.control_socket;
  settings.control.group = control.text("group", "");
  settings.control.admin_group = control.text("admin_group", "");
  settings.audit = read_audit(root, settings);
  return settings;
}

void read_timing(const host::ConfigNode& root, ecp::Timing& ecp, vdp::Timing& vdp) {
  const auto ecp_node = root.object("ecp");
  static_assert(
      evb::kParametersLeast == evb::Parameters{0, 4, 10, 15} && evb::kParametersMost == evb::Parameters{7, 20, 24, 24},
      "a file may say what EVB may announce");
  ecp.retries_max = ecp_node.u32("retries", 0, 7, 3);
  ecp.retransmission_exponent = ecp_node.u32("rte", 4, 20, 8);
  const auto vdp_node = root.object("vdp");
  vdp.retries_max = ecp.retries_max;
  vdp.retransmission_exponent = ecp.retransmission_exponent;
  vdp.resource_wait_exponent = vdp_node.u32("rwd", 10, 24, 20);
  vdp.keepalive_exponent = vdp_node.u32("rka", 15, 24, 20);
}

Duration read_lldp_interval(const host::ConfigNode& root) {
  return root.object("lldp").milliseconds("interval_ms", evb::kLldpFastInterval, std::chrono::hours(1),
                                          evb::kLldpInterval);
}

bool read_evb(const host::ConfigNode& node) {
  static const std::vector<std::string> kWords{"off", "on"};
  return node.choice("evb", kWords, 1) == 1;
}

vdp::Flags read_offer(const host::ConfigNode& root, vdp::Flags able) {
  if (!root.has("offer")) return able;
  std::string names;
  for (const vdp::Flag flag : vdp::kAllFlags)
    if (able.has(flag)) names += (names.empty() ? "one of " : ", ") + std::string(vdp::to_string(flag));
  vdp::Flags offered;
  for (const auto& item : root.array("offer")) {
    const auto flag = vdp::flag_from_string(item.as_text());
    if (flag && able.has(*flag))
      offered.set(*flag);
    else
      item.refuse(names);
  }
  return offered;
}

vdp::WireMap read_wire(const host::ConfigNode& root) {
  const auto node = root.object("wire");
  const auto oui = vdp::oui_from_string(node.text("oui", "02-53-4E"));
  if (!oui) node.refuse("oui", "three octets in hexadecimal, like \"02-53-4E\"");
  const auto formats = node.object("formats");
  std::vector<vdp::WireMap::Code> codes;
  for (const vdp::FilterFormat format : vdp::kProvisionalFormats) {
    const std::uint32_t as_documented = static_cast<std::uint8_t>(format);
    codes.emplace_back(format, static_cast<std::uint8_t>(formats.u32(vdp::to_string(format), 5, 255, as_documented)));
  }
  const auto map = vdp::WireMap::make(oui.value_or(vdp::kOui), codes);
  if (!map) node.refuse("an OUI that is not IEEE 802.1's, and another number from 5 to 255 for each format");
  return map.value_or(vdp::WireMap());
}

Result<vdp::SystemId> system_id(const Settings& settings) {
  if (settings.system) return *settings.system;
  std::ifstream file("/etc/machine-id");
  std::string machine;
  if (!std::getline(file, machine) || machine.empty())
    return unexpected<Error>(Error{"the machine has no id", "/etc/machine-id",
                                   "run systemd-machine-id-setup, or set \"system_id\" to a UUID"});
  // The machine's id itself is not told to the network (machine-id(5)).
  static const boost::uuids::uuid kNames = boost::uuids::string_generator()("6f1d9f5e-5a0c-4c57-9d0f-53504c495445");
  const auto name = boost::uuids::name_generator_sha1(kNames)(machine + " " + settings.instance);
  vdp::SystemId id;
  std::copy(name.begin(), name.end(), id.begin());
  return id;
}

MacAddress read_group(const host::ConfigNode& node, std::string_view key) {
  const MacAddress group = node.mac(key);
  if (!is_forwarded_group(group)) node.refuse(key, "a group address that bridges pass, like \"03:53:4e:00:00:01\"");
  return group;
}

std::optional<GroupId> find_vn(const std::vector<VnName>& vns, std::string_view text) {
  const auto at = std::find_if(vns.begin(), vns.end(), [&](const VnName& vn) {
    return (!vn.alias.empty() && vn.alias == text) || std::to_string(vn.id.value()) == text;
  });
  return at == vns.end() ? std::nullopt : std::optional(at->id);
}

std::vector<GroupId> read_vns(const host::ConfigNode& node, std::string_view key, const std::vector<VnName>& vns) {
  std::vector<GroupId> ids;
  for (const auto& item : node.array(key)) {
    if (const auto id = find_vn(vns, item.as_text()))
      ids.push_back(*id);
    else
      item.refuse("the alias or id of a VN in /vns");
  }
  return ids;
}

void add_vn(const host::ConfigNode& node, GroupId id, const std::string& alias, std::vector<VnName>& vns) {
  if (find_vn(vns, std::to_string(id.value()))) node.refuse("id", "an id that no other VN has");
  if (!alias.empty() && find_vn(vns, alias)) node.refuse("alias", "an alias that no other VN has");
  vns.push_back({id, alias});
}

std::optional<ManagerId> manager_from_text(std::string_view text) {
  ManagerId manager;
  if (const auto uuid = VsiId::from_uuid(text)) {
    manager.octets = uuid->octets;
    return manager;
  }
  if (text.size() > manager.octets.size()) return std::nullopt;
  std::copy(text.begin(), text.end(), manager.octets.begin());
  return manager;
}

void print_complaints(const std::vector<Error>& complaints) {
  for (const auto& complaint : complaints) host::complain(complaint.to_string());
}

}  // namespace splitnve::daemon
