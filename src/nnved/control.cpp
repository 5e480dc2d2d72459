// SPDX-License-Identifier: Apache-2.0
#include "control.hpp"

#include <nlohmann/json.hpp>

#include "daemon/control_rows.hpp"

namespace splitnve::nnved {
namespace {

using host::Access;
using host::Responder;
using nlohmann::json;

/// The RFC writes states with a capital, as the log does; JSON has them in lower case.
std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// Names of ports for people; ports are numbered from 1 in the order of the configuration.
std::string port_name(const Agent& agent, PortId id) {
  for (const auto& port : agent.config().ports)
    if (port.id == id) return port.interface_name;
  return std::to_string(id.value());
}

json tsi_row(const Agent& agent, const host::Datapath& datapath, const TsiView& tsi) {
  json addresses = json::array();
  for (const auto& address : tsi.addresses)
    addresses.push_back({{"mac", address.mac.to_string()},
                         {"vid", address.vid.value()},
                         {"active", address.active},
                         {"superseded", address.superseded},
                         {"source", "signalled"}});
  json row{{"instance", tsi.instance.value()},
           {"vsi", tsi.vsi.to_string()},
           {"vsi_format", tsi.vsi.format},
           {"type_id", tsi.type.id},
           {"type_version", tsi.type.version},
           {"vn", tsi.vn.value()},
           {"vn_alias", daemon::alias_of(agent.config().vns, tsi.vn)},
           {"port", port_name(agent, tsi.port)},
           {"station", tsi.station.to_string()},
           {"state", lower_case(to_string(tsi.state))},
           {"vid", tsi.vid.value()},
           {"guard", tsi.guarded ? "mac" : "none"},
           {"migrating", tsi.migrating},
           {"suspended", tsi.suspended},
           {"superseded", tsi.superseded},
           {"num_of_addr", tsi.addresses.size()},
           {"addresses", std::move(addresses)},
           {"last_refusal", tsi.last_refusal}};
  daemon::add_counters(row, datapath, tsi.instance);
  return row;
}

std::vector<json> vn_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& vap : agent.vaps())
    rows.push_back({{"port", port_name(agent, vap.port)},
                    {"vn", vap.vn.value()},
                    {"vn_alias", daemon::alias_of(agent.config().vns, vap.vn)},
                    {"state", lower_case(to_string(vap.state))},
                    {"associated_tsis", vap.associated_tsis},
                    {"local_tag", vap.local_tag.value()},
                    {"vni", vap.vni},
                    {"reason", vap.reason}});
  return rows;
}

std::vector<json> port_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& port : agent.ports())
    rows.push_back({{"port", port.port.value()},
                    {"interface", port_name(agent, port.port)},
                    {"up", port.up},
                    {"peers", port.peers},
                    {"tsis", port.tsis},
                    {"vids_free", port.vids_free}});
  return rows;
}

std::vector<json> peer_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& peer : agent.peers())
    rows.push_back({{"port", port_name(agent, peer.port)},
                    {"station", peer.station.to_string()},
                    {"last_heard_ms", daemon::milliseconds_since(peer.last_heard)},
                    {"tsis", peer.tsis},
                    {"ecpdus_received", peer.ecpdus_received},
                    {"duplicates", peer.duplicates},
                    {"sent", peer.sent},
                    {"retransmitted", peer.retransmitted},
                    {"failed", peer.failed},
                    {"requests", peer.requests},
                    {"refused", peer.refused}});
  return rows;
}

std::vector<json> refusal_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& refusal : agent.refusals())
    rows.push_back({{"age_s", std::chrono::duration<double>(host::Loop::now() - refusal.at).count()},
                    {"port", port_name(agent, refusal.port)},
                    {"station", refusal.station.to_string()},
                    {"vsi", refusal.vsi.to_string()},
                    {"vn", refusal.vn.value()},
                    {"code", static_cast<unsigned>(refusal.code)},
                    {"reason", refusal.reason}});
  return rows;
}

void remove_tsi(daemon::Runtime<Agent>& runtime, const json& args, Responder respond) {
  const auto instance = daemon::instance_argument(args);
  if (!instance) return respond.fail(instance.error());
  const std::string reason = args.value("reason", "removed by the operator");
  if (!runtime.agent().remove_tsi(*instance, reason, host::Loop::now()))
    return respond.fail({"there is no TSI instance " + std::to_string(instance->value()), "args.instance", "take it from tsi.show"});
  runtime.driver().kick();
  respond.ok();
}

}  // namespace

void add_verbs(daemon::Runtime<Agent>& runtime, const FileConfig& file) {
  auto& control = runtime.control();
  const Agent& agent = runtime.agent();
  const host::Datapath& datapath = runtime.datapath();
  control.add("tsi.show", Access::kRead, [&agent, &datapath](const json&, Responder respond) {
    respond.stream(daemon::stream_slots([&agent] { return agent.tsi_slots(); },
                                        [&agent, &datapath](std::uint32_t slot) -> std::optional<json> {
                                          const auto tsi = agent.tsi(slot);
                                          if (!tsi) return std::nullopt;
                                          return tsi_row(agent, datapath, *tsi);
                                        }));
  });
  const auto add_few = [&control, &agent](const char* verb, std::vector<json> (*rows)(const Agent&)) {
    control.add(verb, Access::kRead,
                [&agent, rows](const json&, Responder respond) { respond.stream(daemon::stream_rows(rows(agent))); });
  };
  add_few("vn.show", vn_rows);
  add_few("port.show", port_rows);
  add_few("peer.show", peer_rows);
  add_few("refusal.show", refusal_rows);
  std::vector<std::pair<PortId, std::string>> ports;
  for (const auto& port : file.agent.ports) ports.emplace_back(port.id, port.interface_name);
  control.add("stats.show", Access::kRead, [&runtime, ports](const json&, Responder respond) {
    respond.stream(daemon::stream_rows(daemon::stats_rows(runtime.datapath(), runtime.agent().frame_drops(),
                                                          runtime.driver().ports(), ports, runtime.control())));
  });
  control.add("tsi.remove", Access::kAdmin,
              [&runtime](const json& args, Responder respond) { remove_tsi(runtime, args, std::move(respond)); });
}

}  // namespace splitnve::nnved
