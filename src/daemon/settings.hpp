// SPDX-License-Identifier: Apache-2.0
// What both daemons read from their configuration files in the same words.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/evb/machine.hpp"
#include "splitnve/host/audit_file.hpp"
#include "splitnve/host/config.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/paths.hpp"
#include "splitnve/vdp/extensions.hpp"
#include "splitnve/vdp/timers.hpp"
#include "splitnve/vdp/wire_map.hpp"

namespace splitnve::daemon {

/// The instance and everything that derives from its name.
struct Settings {
  std::string instance;
  host::Paths paths;
  host::LogLevel log_level = host::LogLevel::kInfo;
  host::ControlOptions control;
  host::AuditOptions audit;
  std::optional<vdp::SystemId> system;  ///< configured; else it is derived (system_id)
  bool recover_from_peers = false;      ///< nnved: a damaged store is moved aside, the stations tell their state again
};

/// Reads `role` (must be `role`), `instance`, `log_level`, `paths`, `control` and `audit`.
Settings read_settings(const host::ConfigNode& root, const std::string& role);
/// Reads `ecp {retries, rte}` and `vdp {rwd, rka}`, within the floors of S19.
void read_timing(const host::ConfigNode& root, ecp::Timing& ecp, vdp::Timing& vdp);
/// Reads `lldp {interval_ms}`, and `evb` of a port or uplink: "on" (default) or "off".
Duration read_lldp_interval(const host::ConfigNode& root);
bool read_evb(const host::ConfigNode& node);
/// Reads a group address of ECP that bridges pass, such as 03:53:4e:00:00:01.
MacAddress read_group(const host::ConfigNode& node, std::string_view key);
/// Reads `offer`: the names of what peers are told that we understand; default: all of `able`.
vdp::Flags read_offer(const host::ConfigNode& root, vdp::Flags able);
/// Reads `wire {oui, formats}`: other numbers for what of ours is unregistered. Both ends of a link need the same.
vdp::WireMap read_wire(const host::ConfigNode& root);

/// The configured system id, else one that follows from the machine (machine-id(5)) and the instance. Error: the
/// machine has no id.
Result<vdp::SystemId> system_id(const Settings& settings);

/// A VN as other keys refer to it: by alias, or by its id in decimal.
struct VnName {
  GroupId id;
  std::string alias;
};
/// The VN that `text` names; `nullopt` if none of `vns` has that alias or id.
std::optional<GroupId> find_vn(const std::vector<VnName>& vns, std::string_view text);
/// Reads an array of VN names under `key`, complaining of those that `vns` lacks.
std::vector<GroupId> read_vns(const host::ConfigNode& node, std::string_view key, const std::vector<VnName>& vns);
/// Complains at `node` if `id` or `alias` stands in `vns` already (H1), else adds it.
void add_vn(const host::ConfigNode& node, GroupId id, const std::string& alias, std::vector<VnName>& vns);
/// A manager ID from a UUID, or from at most 16 characters of ASCII padded with zeros.
std::optional<ManagerId> manager_from_text(std::string_view text);

/// `/path/file:12: /ports/0/vids: ...`, one line per complaint, to stderr.
void print_complaints(const std::vector<Error>& complaints);

}  // namespace splitnve::daemon
