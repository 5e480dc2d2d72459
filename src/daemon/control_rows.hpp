// SPDX-License-Identifier: Apache-2.0
// What both daemons' control verbs share: arguments in, rows out (docs/control-api.md).
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/conversation.hpp"
#include "agent/evb_port.hpp"
#include "agent/held_records.hpp"
#include "kernel_watch.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/host/audit_file.hpp"
#include "splitnve/host/control.hpp"
#include "splitnve/host/datapath.hpp"
#include "splitnve/host/json_text.hpp"
#include "splitnve/host/log.hpp"
#include "splitnve/host/ports.hpp"

namespace splitnve::daemon {

/// A string argument. Error: absent or no string.
Result<std::string> text_argument(const nlohmann::json& args, const std::string& key);
/// The `vsi` argument, a UUID.
Result<VsiId> vsi_argument(const nlohmann::json& args);
/// The `instance` argument, a number as tsi.show prints it.
Result<InstanceId> instance_argument(const nlohmann::json& args);

/// Streams the rows that `write(index, out)` appends for every index below `count()`, or does not where none is.
/// Nothing is held but the index, so a table may change while it is shown.
host::RowSource stream_slots(std::function<std::uint32_t()> count,
                             std::function<void(std::uint32_t, std::string& out)> write);
/// Streams rows that are few and made at once.
host::RowSource stream_rows(std::vector<nlohmann::json> rows);

/// `{group, counter, value}` rows: datapath drops, dropped frames by cause and those taken, frame ports, control
/// socket.
std::vector<nlohmann::json> stats_rows(const host::Datapath& datapath,
                                       const std::vector<std::pair<std::string, std::uint64_t>>& frame_drops,
                                       std::uint64_t frames_taken, host::Ports& ports,
                                       const std::vector<std::pair<PortId, std::string>>& port_names,
                                       const host::ControlServer& control);
/// The same for what was lost on its way to the log's reader and to the audit file.
void add_writers(std::vector<nlohmann::json>& rows, const host::Log& log, const host::AuditFile& audit);
/// One row of evb.show per port: own, neighbour's and operational values, and who the neighbour is.
/// What was found changed in the kernel, newest last.
std::vector<nlohmann::json> kernel_rows(const KernelWatch& watch);
std::vector<nlohmann::json> evb_rows(const std::vector<agent::EvbView>& ports);
/// The members rx_frames, rx_octets, tx_frames, tx_octets, dropped_closed and dropped_storm of a TSI's row.
void write_counters(host::JsonText& row, const datapath::InstanceCounters& counters);
/// A row of tsi.show for a record that is held; its state is `held`.
void write_held(host::JsonText row, const agent::HeldRecords::Held& held, std::string_view vn_alias);
/// A member with IPs.
void write_ips(host::JsonText& row, const char* key, const std::vector<IpPrefix>& ips);
/// Adds `last_heard_ms` and counts of ECPDUs; `capable` (unknown, capable, legacy), of what the peer has shown `system,
/// role, flags, epoch`, and `given_up`, what we could do and it has not shown (S20); `authentication` (off, none,
/// refused, authenticated), `key` of the session, `authentication_refusal`, the last cause while there is no session,
/// `sessions` and `unauthenticated`, the frames refused.
void add_conversation(nlohmann::json& row, const agent::ConversationView& peer);
/// The alias of a VN for people, empty if it has none.
template <class Vns>
std::string alias_of(const Vns& vns, GroupId id) {
  for (const auto& vn : vns)
    if (vn.id == id) return vn.alias;
  return {};
}
/// The interface of a configured port, empty if there is none.
template <class PortConfigs>
std::string interface_of(const PortConfigs& ports, PortId id) {
  for (const auto& port : ports)
    if (port.id == id) return port.interface_name;
  return {};
}
/// Names by id, for rows of which there are too many to walk the configuration once for each.
template <class Id>
class Names {
 public:
  void add(Id id, std::string_view name) { names_.emplace(id, name); }
  /// Empty if it has none.
  std::string_view of(Id id) const {
    const auto at = names_.find(id);
    return at == names_.end() ? std::string_view() : at->second;
  }

 private:
  boost::unordered_flat_map<Id, std::string> names_;
};
/// What the rows of tsi.show say for the numbers of VNs and configured ports.
struct TsiNames {
  template <class VnConfigs, class PortConfigs>
  TsiNames(const VnConfigs& configured_vns, const PortConfigs& configured_ports) {
    for (const auto& vn : configured_vns) vns.add(vn.id, vn.alias);
    for (const auto& port : configured_ports) ports.add(port.id, port.interface_name);
  }
  Names<GroupId> vns;
  Names<PortId> ports;
};

}  // namespace splitnve::daemon
