// SPDX-License-Identifier: Apache-2.0
#include "control.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "control_tsi.hpp"
#include "daemon/control_rows.hpp"
#include "daemon/control_verbs.hpp"
#include "reason.hpp"

namespace splitnve::nnved {
namespace {

using host::Access;
using host::Responder;
using nlohmann::json;

std::string port_name(const Agent& agent, PortId id) { return daemon::interface_of(agent.config().ports, id); }

/// The TSIs of which an operator has deactivated addresses, and why.
std::map<std::pair<VsiId, GroupId>, std::string> reserved_only(const Agent& agent) {
  std::map<std::pair<VsiId, GroupId>, std::string> found;
  for (const auto& latch : agent.latches())
    if (latch.activation_only) found[{*latch.vsi, latch.vn}] = words(Reason::kAdminDown, latch.reason);
  return found;
}

std::string name_of(const Agent& agent, GroupId vn) {
  for (const auto& one : agent.config().vns)
    if (one.id == vn) return one.name;
  return {};
}

std::vector<json> vn_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& vap : agent.vaps()) {
    json tags = json::array();
    for (const Vid tag : vap.local_tags) tags.push_back(tag.value());
    rows.push_back({{"port", port_name(agent, vap.port)},
                    {"vn", vap.vn.value()},
                    {"vn_alias", daemon::alias_of(agent.config().vns, vap.vn)},
                    {"vn_name", name_of(agent, vap.vn)},
                    {"state", lower_case(to_string(vap.state))},
                    {"associated_tsis", vap.associated_tsis},
                    {"connects", vap.connects},
                    {"local_tag", vap.local_tag.value()},
                    {"local_tags", std::move(tags)},
                    {"vni", vap.vni},
                    {"reason", vap.reason}});
  }
  for (const auto& latch : agent.latches()) {
    if (latch.vsi) continue;
    const auto is_it = [&](const json& row) {
      return row["port"] == latch.interface_name && row["vn"] == latch.vn.value();
    };
    auto at = std::find_if(rows.begin(), rows.end(), is_it);
    if (at == rows.end())
      at = rows.insert(at, json::object({{"port", latch.interface_name},
                                         {"vn", latch.vn.value()},
                                         {"vn_alias", daemon::alias_of(agent.config().vns, latch.vn)},
                                         {"state", to_string(VapState::kDisconnected)},
                                         {"associated_tsis", 0},
                                         {"local_tag", 0},
                                         {"vni", 0}}));
    (*at)["latched"] = true;
    (*at)["reason"] = std::string(info(Reason::kAdminDown).text) + ": " + latch.reason;
  }
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
                    {"vids_free", port.vids_free},
                    {"direct", port.direct},
                    {"other_bridges", port.other_bridges},
                    {"segment_state", port.segment_state},
                    {"segment_cause", port.segment_cause},
                    {"admin", agent.draining() ? "draining" : "in service"}});
  return rows;
}

std::vector<json> peer_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& peer : agent.peers()) {
    rows.push_back({{"port", port_name(agent, peer.port)},
                    {"station", peer.station.to_string()},
                    {"tsis", peer.tsis},
                    {"ecpdus_received", peer.ecpdus_received},
                    {"requests", peer.requests},
                    {"refused", peer.refused},
                    {"malformed_tlvs", peer.malformed_tlvs},
                    {"skipped_tlvs", peer.skipped_tlvs},
                    {"stray_responses", peer.stray_responses},
                    {"overflow", peer.overflow}});
    daemon::add_conversation(rows.back(), peer);
  }
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

std::vector<json> limit_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& share : agent.shares())
    rows.push_back({{"port", port_name(agent, share.port)},
                    {"what", share.what},
                    {"used", share.used},
                    {"share", share.share},
                    {"reserve", share.reserve},
                    {"all_ports", share.sum},
                    {"total", share.total}});
  return rows;
}

Error latches_full() {
  return {"too many latches stand", "", "release some: at most " + std::to_string(limits::kLatchesMax)};
}

/// The `vn` argument, a number or a text, as text.
std::string vn_text(const json& args) {
  const auto at = args.find("vn");
  if (at == args.end()) return "";
  return at->is_string() ? at->get<std::string>() : at->dump();
}
bool names(const Agent& agent, GroupId vn, const std::string& text) {
  const auto uuid = VsiId::from_uuid(text);
  for (const auto& one : agent.config().vns)
    if (one.id == vn && uuid && VsiId::from_uuid(one.name) == uuid) return true;
  return text == std::to_string(vn.value()) || (!text.empty() && text == daemon::alias_of(agent.config().vns, vn));
}

/// The TSI that `instance` names, or `vsi`, which in several VNs or places needs `vn` or the number.
Result<TsiView> tsi_argument(const Agent& agent, const json& args) {
  if (!args.contains("vsi")) {
    const auto instance = daemon::instance_argument(args);
    if (!instance) return unexpected<Error>(instance.error());
    if (auto tsi = agent.tsi(instance->value() - 1)) return *tsi;
    return unexpected<Error>(Error{"there is no TSI instance " + std::to_string(instance->value()), "args.instance",
                                   "take it from tsi.show"});
  }
  const auto vsi = daemon::vsi_argument(args);
  if (!vsi) return unexpected<Error>(vsi.error());
  const std::string vn = vn_text(args);
  std::optional<TsiView> found;
  std::string numbers;
  for (std::uint32_t slot = 0; slot < agent.tsi_slots(); ++slot) {
    auto tsi = agent.tsi(slot);
    if (!tsi || tsi->vsi != *vsi || (!vn.empty() && !names(agent, tsi->vn, vn))) continue;
    numbers += (numbers.empty() ? "" : ", ") + std::to_string(tsi->instance.value());
    found = std::move(tsi);
  }
  if (!found) return unexpected<Error>(Error{"there is no TSI of this VSI", "args.vsi", "tsi.show names them"});
  if (numbers.find(',') != std::string::npos)
    return unexpected<Error>(
        Error{"the VSI is in several places: instances " + numbers, "args.vsi", "name the VN, or the instance"});
  return *found;
}

void remove_tsi(daemon::Runtime<Agent>& runtime, const json& args, Responder respond) {
  const auto tsi = tsi_argument(runtime.agent(), args);
  if (!tsi) return respond.fail(tsi.error());
  const std::string reason = args.value("reason", "removed by the operator");
  if (!runtime.agent().latch_tsi(tsi->vsi, tsi->vn, reason, host::Loop::now())) return respond.fail(latches_full());
  runtime.driver().kick();
  respond.ok();
}

void deactivate_tsi(daemon::Runtime<Agent>& runtime, const json& args, Responder respond) {
  const auto tsi = tsi_argument(runtime.agent(), args);
  if (!tsi) return respond.fail(tsi.error());
  std::vector<MacAddress> macs;
  if (args.contains("macs")) {
    const json& list = args["macs"];
    if (!list.is_array() || list.empty() || list.size() > limits::kAddressesPerInstanceMax)
      return respond.fail({"no list of addresses", "args.macs", "name some of tsi.show, or leave it out for all"});
    for (const json& item : list) {
      const auto mac = item.is_string() ? MacAddress::from_string(item.get<std::string>()) : std::nullopt;
      if (!mac)
        return respond.fail({item.dump() + " is no MAC address", "args.macs", "write it like 02:aa:00:00:00:01"});
      macs.push_back(*mac);
    }
  }
  const std::string reason = args.value("reason", "deactivated by the operator");
  if (!runtime.agent().deactivate_tsi(tsi->instance, macs, reason, host::Loop::now()))
    return respond.fail({"no such TSI instance or address, or too many latches stand", "args",
                         "take both from tsi.show; at most " + std::to_string(limits::kLatchesMax) + " latches stand"});
  runtime.driver().kick();
  respond.ok();
}

void release_tsi(daemon::Runtime<Agent>& runtime, const json& args, Responder respond) {
  const auto named = args.contains("vsi") ? Result<TsiView>(TsiView{}) : tsi_argument(runtime.agent(), args);
  if (!named) return respond.fail(named.error());
  const auto vsi = args.contains("vsi") ? daemon::vsi_argument(args) : Result<VsiId>(named->vsi);
  if (!vsi) return respond.fail(vsi.error());
  const std::string vn = vn_text(args);
  std::size_t released = 0;
  for (const auto& latch : runtime.agent().latches())
    if (latch.vsi == *vsi && (vn.empty() || names(runtime.agent(), latch.vn, vn)))
      released += runtime.agent().release_tsi(*vsi, latch.vn, host::Loop::now()) ? 1 : 0;
  if (released == 0) return respond.fail({"no latch stands on this VSI", "args.vsi", "tsi.show names those that do"});
  runtime.driver().kick();
  respond.ok();
}

/// `vn.disconnect` and `vn.release`, which name a port and a VN.
void latch_vn(daemon::Runtime<Agent>& runtime, bool release, const json& args, Responder respond) {
  Agent& agent = runtime.agent();
  const auto port_text = daemon::text_argument(args, "port");
  if (!port_text) return respond.fail(port_text.error());
  std::optional<PortId> port;
  for (const auto& one : agent.config().ports)
    if (one.interface_name == *port_text) port = one.id;
  if (!port) return respond.fail({"there is no port \"" + *port_text + "\"", "args.port", "port.show names them"});
  std::optional<GroupId> vn;
  for (const auto& one : agent.config().vns)
    if (names(agent, one.id, vn_text(args))) vn = one.id;
  if (!vn)
    return respond.fail(
        {"there is no VN \"" + vn_text(args) + "\"", "args.vn", "give an alias, id or name of the configuration"});
  const Instant now = host::Loop::now();
  if (!release && !agent.latch_vn(*port, *vn, args.value("reason", "disconnected by the operator"), now))
    return respond.fail(latches_full());
  if (release && !agent.release_vn(*port, *vn, now))
    return respond.fail({"the VN is not disconnected there", "args.vn", "vn.show names those that are"});
  runtime.driver().kick();
  respond.ok();
}

}  // namespace

void add_verbs(daemon::Runtime<Agent>& runtime, const FileConfig& file) {
  auto& control = runtime.control();
  const Agent& agent = runtime.agent();
  const host::Datapath& datapath = runtime.datapath();
  control.add("tsi.show", Access::kRead, [&agent, &datapath](const json&, Responder respond) {
    auto latches = agent.latches();
    std::erase_if(latches, [](const LatchView& latch) { return !latch.vsi || latch.activation_only; });
    auto held = agent.held();
    std::erase_if(held, [](const auto& one) { return one.vsi == VsiId{}; });
    // They come first: the slots may grow meanwhile.
    const auto count = static_cast<std::uint32_t>(latches.size() + held.size());
    respond.stream(daemon::stream_slots(
        [&agent, count] { return count + agent.tsi_slots(); },
        [&agent, &datapath, latches, held, count, names = daemon::TsiNames(agent.config().vns, agent.config().ports),
         reserved = reserved_only(agent)](std::uint32_t i, std::string& out) {
          if (i < latches.size()) return write_latch(host::JsonText(out), latches[i], names);
          if (i < count) {
            const auto& one = held[i - latches.size()];
            return daemon::write_held(host::JsonText(out), one, names.vns.of(one.vn));
          }
          const auto tsi = agent.tsi(i - count);
          if (!tsi) return;
          const auto at = reserved.find({tsi->vsi, tsi->vn});
          write_tsi(host::JsonText(out), *tsi, names, datapath.instance_counters(tsi->instance),
                    at == reserved.end() ? std::string() : at->second);
        }));
  });
  daemon::add_few(runtime, "vn.show", vn_rows);
  daemon::add_few(runtime, "port.show", port_rows);
  daemon::add_few(runtime, "peer.show", peer_rows);
  daemon::add_few(runtime, "refusal.show", refusal_rows);
  daemon::add_few(runtime, "limits.show", limit_rows);
  daemon::add_statistics(runtime, file.agent.ports);
  control.add("tsi.remove", Access::kAdmin,
              [&runtime](const json& args, Responder respond) { remove_tsi(runtime, args, std::move(respond)); });
  control.add("tsi.deactivate", Access::kAdmin,
              [&runtime](const json& args, Responder respond) { deactivate_tsi(runtime, args, std::move(respond)); });
  control.add("tsi.release", Access::kAdmin,
              [&runtime](const json& args, Responder respond) { release_tsi(runtime, args, std::move(respond)); });
  control.add("vn.disconnect", Access::kAdmin,
              [&runtime](const json& args, Responder respond) { latch_vn(runtime, false, args, std::move(respond)); });
  control.add("vn.release", Access::kAdmin,
              [&runtime](const json& args, Responder respond) { latch_vn(runtime, true, args, std::move(respond)); });
}

}  // namespace splitnve::nnved
