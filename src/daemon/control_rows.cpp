// SPDX-License-Identifier: Apache-2.0
#include "control_rows.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "splitnve/base/limits.hpp"
#include "splitnve/host/loop.hpp"

namespace splitnve::daemon {

using nlohmann::json;

Result<std::string> text_argument(const json& args, const std::string& key) {
  const auto at = args.find(key);
  if (at == args.end() || !at->is_string())
    return unexpected<Error>(
        Error{"argument \"" + key + "\" is missing or no string", "args", "give \"" + key + "\" as a string"});
  return at->get<std::string>();
}

Result<VsiId> vsi_argument(const json& args) {
  if (!args.contains("vsi") && args.contains("instance"))
    return unexpected<Error>(
        Error{"there is no TSI instance " + args["instance"].dump(), "args.instance", "take it from tsi.show"});
  const auto text = text_argument(args, "vsi");
  if (!text) return unexpected<Error>(text.error());
  if (const auto vsi = VsiId::from_string(*text)) return *vsi;
  return unexpected<Error>(Error{"\"" + *text + "\" is no VSI-ID", "args.vsi",
                                 "write it as tsi.show does, a UUID like 11111111-2222-3333-4444-555555555501"});
}

Result<InstanceId> instance_argument(const json& args) {
  const auto at = args.find("instance");
  if (at == args.end() || !at->is_number_unsigned())
    return unexpected<Error>(Error{"argument \"instance\" is missing or no number", "args", "take it from tsi.show"});
  const auto value = at->get<std::uint64_t>();
  if (value == 0 || value > limits::kInstancesMax)
    return unexpected<Error>(Error{"there is no TSI instance " + at->dump(), "args.instance", "take it from tsi.show"});
  return InstanceId(static_cast<std::uint32_t>(value));
}

host::RowSource stream_slots(std::function<std::uint32_t()> count,
                             std::function<void(std::uint32_t, std::string&)> write) {
  return [count = std::move(count), write = std::move(write), next = std::uint32_t{0}](std::string& out) mutable {
    if (next >= count()) return false;
    write(next++, out);
    return true;
  };
}

host::RowSource stream_rows(std::vector<json> rows) {
  return [rows = std::move(rows), next = std::size_t{0}](std::string& out) mutable {
    if (next == rows.size()) return false;
    host::JsonText(out).tree(rows[next++]);
    return true;
  };
}

std::vector<json> stats_rows(const host::Datapath& datapath,
                             const std::vector<std::pair<std::string, std::uint64_t>>& frame_drops,
                             std::uint64_t frames_taken, host::Ports& ports,
                             const std::vector<std::pair<PortId, std::string>>& port_names,
                             const host::ControlServer& control) {
  std::vector<json> rows;
  const auto add = [&](const std::string& group, const std::string& counter, std::uint64_t value) {
    rows.push_back({{"group", group}, {"counter", counter}, {"value", value}});
  };
  const auto drops = datapath.drops();
  for (std::size_t i = 0; i < drops.size(); ++i)
    add("datapath", datapath::to_string(static_cast<datapath::Drop>(i)), drops[i]);
  for (const auto& [cause, count] : frame_drops) add("frames", cause, count);
  add("frames", "taken", frames_taken);
  for (const auto& [port, name] : port_names) {
    const auto stats = ports.stats(port);
    if (!stats) continue;
    add("port " + name, "rx_frames", stats->rx_frames);
    add("port " + name, "tx_frames", stats->tx_frames);
    add("port " + name, "rx_tagged", stats->rx_tagged);
    add("port " + name, "rx_oversize", stats->rx_oversize);
    add("port " + name, "rx_dropped", stats->rx_dropped);
    add("port " + name, "rx_paused", stats->rx_paused);
    add("port " + name, "tx_dropped", stats->tx_dropped);
  }
  const auto socket = control.stats();
  add("control", "requests", socket.requests);
  add("control", "malformed", socket.malformed);
  add("control", "denied", socket.denied);
  add("control", "waited", socket.waited);
  add("control", "refused", socket.refused);
  add("control", "ended", socket.ended);
  return rows;
}

std::vector<json> kernel_rows(const KernelWatch& watch) {
  std::vector<json> rows;
  for (const auto& [fault, at] : watch.found())
    rows.push_back({{"part", host::to_string(fault.part)},
                    {"where", fault.where},
                    {"what", fault.what},
                    {"mended", fault.mended},
                    {"seconds_ago", std::chrono::duration_cast<std::chrono::seconds>(host::Loop::now() - at).count()}});
  return rows;
}

void add_writers(std::vector<json>& rows, const host::Log& log, const host::AuditFile& audit) {
  const auto add = [&](const char* group, const char* counter, std::uint64_t value) {
    rows.push_back({{"group", group}, {"counter", counter}, {"value", value}});
  };
  add("log", "lost", log.lines_lost());
  const auto stats = audit.stats();
  add("audit", "records", stats.records);
  add("audit", "lost", stats.lost);
}

namespace {

/// Null if it never was.
json milliseconds_since(Instant then) {
  if (then == Instant{}) return nullptr;
  return std::chrono::duration_cast<std::chrono::milliseconds>(host::Loop::now() - then).count();
}

json values_json(const evb::Parameters& values) {
  return {{"r", values.retries}, {"rte", values.rte}, {"rwd", values.rwd}, {"rka", values.rka}};
}

json evb_row(const agent::EvbView& port) {
  const evb::Machine& machine = *port.machine;
  const evb::Operational& runs = machine.operational();
  const evb::Tlv& announced = machine.announced();
  json row{{"interface", port.interface_name},
           {"role", evb::to_string(machine.config().role)},
           {"state", agent::to_string_state(runs)},
           {"local", values_json(machine.config().values)},
           {"operational", values_json(runs.values)},
           {"rwd_rol", announced.rwd_remote},
           {"rka_rol", announced.rka_remote},
           {"group_ids", runs.group_ids},
           {"reflective_relay", runs.reflective_relay},
           {"bridge_status", announced.bridge_status},
           {"station_status", announced.station_status},
           {"sent", machine.stats().sent},
           {"received", machine.stats().received},
           {"ignored", machine.stats().ignored},
           {"remote", nullptr}};
  const auto* neighbour = machine.neighbour();
  if (neighbour == nullptr) return row;
  row["remote"] = values_json(neighbour->heard.values);
  row["remote_rwd_rol"] = neighbour->heard.rwd_remote;
  row["remote_rka_rol"] = neighbour->heard.rka_remote;
  row["mac"] = neighbour->source.to_string();
  row["chassis"] = neighbour->chassis.to_string(evb::LldpId::kChassisMac);
  row["neighbour_port"] = neighbour->port.to_string(evb::LldpId::kPortMac);
  row["age_ms"] = milliseconds_since(neighbour->heard_at);
  row["ttl_s"] = neighbour->ttl_seconds;
  return row;
}

}  // namespace

std::vector<json> evb_rows(const std::vector<agent::EvbView>& ports) {
  std::vector<json> rows;
  rows.reserve(ports.size());
  for (const auto& port : ports) rows.push_back(evb_row(port));
  return rows;
}

void write_counters(host::JsonText& row, const datapath::InstanceCounters& counters) {
  row.member("rx_frames", counters.rx_frames);
  row.member("rx_octets", counters.rx_octets);
  row.member("tx_frames", counters.tx_frames);
  row.member("tx_octets", counters.tx_octets);
  row.member("dropped_closed", counters.dropped_closed);
  row.member("dropped_storm", counters.dropped_storm);
}

void write_held(host::JsonText row, const agent::HeldRecords::Held& held, std::string_view vn_alias) {
  row.open('{');
  row.member("instance", 0u);
  row.member("vsi", held.vsi.to_string());
  row.member("vn", held.vn.value());
  row.member("vn_alias", vn_alias);
  row.member("state", "held");
  row.member("where", held.where);
  row.key("addresses").open('[').close(']');
  row.member("reason", held.reason);
  row.close('}');
}

void write_ips(host::JsonText& row, const char* key, const std::vector<IpPrefix>& ips) {
  row.key(key).open('[');
  for (const IpPrefix& ip : ips) row.value(ip.to_string());
  row.close(']');
}

namespace {

void add_standing(json& row, const vdp::Exchange::Standing& standing) {
  const auto names = [](vdp::Flags flags) {
    json out = json::array();
    for (const vdp::Flag flag : vdp::kAllFlags)
      if (flags.has(flag)) out.push_back(vdp::to_string(flag));
    return out;
  };
  row["capable"] = vdp::to_string(standing.verdict);
  row["given_up"] = names(standing.given_up);
  if (!standing.peer) return;
  char epoch[17];
  std::snprintf(epoch, sizeof epoch, "%016llx", static_cast<unsigned long long>(standing.peer->epoch));
  row["system"] = VsiId{5, standing.peer->system}.to_string();
  row["role"] = standing.peer->role == vdp::Role::kBridge ? "nnve" : "end-device";
  row["flags"] = names(standing.peer->flags);
  row["epoch"] = epoch;
  if (!standing.peer->has_timers()) return;
  const vdp::LocalTimers& timers = standing.peer->timers;
  row["timers"] = {{"retries", timers.retries}, {"rte", timers.rte}, {"rwd", timers.rwd}, {"rka", timers.rka}};
  row["reflective_relay"] = timers.reflective_relay;
  if (standing.peer->role != vdp::Role::kBridge) return;
  char segment[17];
  std::snprintf(segment, sizeof segment, "%016llx", static_cast<unsigned long long>(standing.peer->segment));
  row["segment"] = standing.peer->segment == 0 ? "" : segment;
  json vids = json::array();
  for (const vdp::VidSpan& span : standing.peer->vids)
    vids.push_back(std::to_string(span.first.value()) + "-" + std::to_string(span.last.value()));
  row["vids"] = std::move(vids);
}

void add_authentication(json& row, const agent::Authentication::View& view) {
  row["authentication"] = view.state;
  row["key"] = view.key ? json(view.key->value()) : json(nullptr);
  row["authentication_refusal"] = view.refusal;
  row["sessions"] = view.sessions;
  row["unauthenticated"] = view.refused;
}

}  // namespace

void add_conversation(json& row, const agent::ConversationView& peer) {
  row["last_heard_ms"] = milliseconds_since(peer.last_heard);
  row["duplicates"] = peer.duplicates;
  row["stale"] = peer.stale;
  row["sent"] = peer.sent;
  row["retransmitted"] = peer.retransmitted;
  row["failed"] = peer.failed;
  add_standing(row, peer.standing);
  add_authentication(row, peer.authentication);
}

}  // namespace splitnve::daemon
