// SPDX-License-Identifier: Apache-2.0
#include "control.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "control_arguments.hpp"
#include "control_tsi.hpp"
#include "daemon/control_rows.hpp"
#include "daemon/control_verbs.hpp"

namespace splitnve::tnved {
namespace {

using host::Access;
using host::Responder;
using nlohmann::json;

constexpr Verb kVerbs[] = {Verb::kCreate,   Verb::kStart,      Verb::kPause,     Verb::kSuspend, Verb::kResume,
                           Verb::kShutdown, Verb::kMigrateOut, Verb::kMigrateIn, Verb::kAbort};

/// VNs in use, per uplink, with the tag that the nNVE assigned.
std::vector<json> vn_rows(const Agent& agent) {
  struct Sum {
    std::uint32_t tsis = 0;
    std::set<std::uint16_t> vids;
    std::optional<VnView> asked{};
  };
  std::map<std::pair<PortId, GroupId>, Sum> sums;
  for (std::uint32_t slot = 0; slot < agent.tsi_slots(); ++slot) {
    const auto tsi = agent.tsi(slot);
    if (!tsi) continue;
    auto& sum = sums[{tsi->uplink, tsi->vn}];
    ++sum.tsis;
    if (!tsi->vid.is_null()) sum.vids.insert(tsi->vid.value());
  }
  for (const auto& view : agent.vns()) {
    auto& sum = sums[{view.uplink, view.vn}];
    sum.asked = view;
    if (std::string_view(view.state) == "connected") sum.vids.insert(view.vid.value());
  }
  std::vector<json> rows;
  for (const auto& [key, sum] : sums) {
    const std::string uplink = daemon::interface_of(agent.config().uplinks, key.first);
    rows.push_back({{"uplink", uplink},
                    {"port", uplink},
                    {"vn", key.second.value()},
                    {"vn_alias", daemon::alias_of(agent.config().vns, key.second)},
                    {"vn_name", sum.asked && sum.asked->name ? VsiId{5, sum.asked->name->octets}.to_string() : ""},
                    {"state", sum.vids.empty() ? "disconnected" : "connected"},
                    {"associated_tsis", sum.tsis},
                    {"local_tag", sum.vids.empty() ? 0 : *sum.vids.begin()},
                    {"local_tags", sum.vids},
                    {"connect", sum.asked && sum.asked->wanted},
                    {"request", sum.asked ? sum.asked->state : ""},
                    {"reason", sum.asked ? sum.asked->reason : ""}});
  }
  return rows;
}

std::vector<json> port_rows(const Agent& agent) {
  std::vector<json> rows;
  const auto peers = agent.peers();
  for (const auto& uplink : agent.config().uplinks) {
    const PeerView* peer = nullptr;
    for (const auto& candidate : peers)
      if (candidate.uplink == uplink.id) peer = &candidate;
    rows.push_back({{"port", uplink.id.value()},
                    {"interface", uplink.interface_name},
                    {"role", "uplink"},
                    {"up", peer == nullptr || peer->link_up},
                    {"tsis", peer == nullptr ? 0 : peer->tsis}});
  }
  return rows;
}

std::vector<json> peer_rows(const Agent& agent) {
  std::vector<json> rows;
  for (const auto& peer : agent.peers()) {
    rows.push_back({{"uplink", daemon::interface_of(agent.config().uplinks, peer.uplink)},
                    {"nnve", peer.nnve ? json(peer.nnve->to_string()) : json(nullptr)},
                    {"use", peer.use},
                    {"link_up", peer.link_up},
                    {"tsis", peer.tsis},
                    {"unconfirmed", peer.unconfirmed},
                    {"settled", peer.settled},
                    {"ecpdus_received", peer.ecpdus_received},
                    {"set_changes", peer.set_changes},
                    {"requests", peer.requests},
                    {"keepalives", peer.keepalives},
                    {"refused", peer.refused},
                    {"timeouts", peer.timeouts},
                    {"reasserted", peer.reasserted},
                    {"unmatched_answers", peer.unmatched},
                    {"other_manager_answers", peer.other_manager}});
    daemon::add_conversation(rows.back(), peer);
  }
  return rows;
}

/// A request may name a TSI by its instance number instead of its UUID.
json with_vsi(const Agent& agent, json args) {
  const auto at = args.find("instance");
  if (at == args.end() || args.contains("vsi") || !at->is_number_unsigned()) return args;
  const auto number = at->get<std::uint64_t>();
  const auto tsi =
      number > 0 && number <= agent.tsi_slots() ? agent.tsi(static_cast<std::uint32_t>(number - 1)) : std::nullopt;
  if (tsi) args["vsi"] = tsi->vsi.to_string();
  return args;
}

}  // namespace

void add_address_verbs(daemon::Runtime<Agent>& runtime) {
  for (const auto verb : {AddressVerb::kAdd, AddressVerb::kRemove, AddressVerb::kDeactivate, AddressVerb::kActivate,
                          AddressVerb::kChangeIp})
    runtime.control().add(
        std::string("tsi.") + to_string(verb), Access::kAdmin, [&runtime, verb](const json& args, Responder respond) {
          auto event = address_event_from(verb, with_vsi(runtime.agent(), args), runtime.agent().config());
          if (!event) return respond.fail(event.error());
          event->asker = respond.asker();
          runtime.agent().handle_addresses(*event, host::Loop::now());
          runtime.driver().kick();
        });
}

/// The operator's choice among the uplinks that serve a VN (D3).
void add_port_verb(daemon::Runtime<Agent>& runtime) {
  runtime.control().add("port.use", Access::kAdmin, [&runtime](const json& args, Responder respond) {
    const std::string name = args.value("port", "");
    const auto& uplinks = runtime.agent().config().uplinks;
    const auto at = std::ranges::find(uplinks, name, &UplinkConfig::interface_name);
    if (at == uplinks.end()) return respond.fail({"no such uplink", name, "see vdpctl peer show"});
    const std::string refusal = runtime.agent().use_uplink(at->id, host::Loop::now());
    runtime.driver().kick();
    if (!refusal.empty()) return respond.fail({refusal, name, "see vdpctl peer show"});
    respond.ok({{"port", name}});
  });
}

/// A whole VN, whether it has TSIs or not (S30).
void add_vn_verbs(daemon::Runtime<Agent>& runtime) {
  for (const bool connect : {true, false})
    runtime.control().add(
        connect ? "vn.connect" : "vn.disconnect", Access::kAdmin,
        [&runtime, connect](const json& args, Responder respond) {
          const auto vn = vn_argument(args, runtime.agent().config());
          if (!vn) return respond.fail(vn.error());
          if (const auto refused = refusal_while_draining(connect && runtime.draining(), Verb::kCreate))
            return respond.fail(*refused);
          VnEvent event{vn->vn, vn->name, connect, args.value("all", false), respond.asker()};
          runtime.agent().handle_vn(event, host::Loop::now());
          runtime.driver().kick();
        });
}

void add_verbs(daemon::Runtime<Agent>& runtime, const FileConfig& file) {
  auto& control = runtime.control();
  const Agent& agent = runtime.agent();
  const host::Datapath& datapath = runtime.datapath();
  for (const Verb verb : kVerbs)
    control.add(std::string("tsi.") + to_string(verb), Access::kAdmin,
                [&runtime, verb](const json& args, Responder respond) {
                  auto event = event_from(verb, with_vsi(runtime.agent(), args), runtime.agent().config());
                  if (!event) return respond.fail(event.error());
                  if (const auto refused = refusal_while_draining(runtime.draining(), verb))
                    return respond.fail(*refused);
                  event->asker = respond.asker();
                  runtime.agent().handle_event(*event, host::Loop::now());
                  runtime.driver().kick();
                });
  add_address_verbs(runtime);
  add_port_verb(runtime);
  add_vn_verbs(runtime);
  add_apply_verb(runtime);
  control.add("tsi.show", Access::kRead, [&runtime, &agent, &datapath](const json&, Responder respond) {
    auto held = agent.held();
    const auto count = static_cast<std::uint32_t>(held.size());  // they come first: the slots may grow meanwhile
    respond.stream(daemon::stream_slots(
        [&agent, count] { return count + agent.tsi_slots(); },
        [&runtime, &agent, &datapath, held = std::move(held), count,
         names = daemon::TsiNames(agent.config().vns, agent.config().uplinks)](std::uint32_t i, std::string& out) {
          if (i < count) return daemon::write_held(host::JsonText(out), held[i], names.vns.of(held[i].vn));
          const std::uint32_t slot = i - count;
          const auto tsi = agent.tsi(slot);
          if (!tsi) return;
          const bool is_closed = runtime.watch().is_closed(tsi->interface_name);
          write_tsi(host::JsonText(out), *tsi, names, datapath.instance_counters(tsi->instance), is_closed);
        }));
  });
  daemon::add_few(runtime, "vn.show", vn_rows);
  daemon::add_few(runtime, "port.show", port_rows);
  daemon::add_few(runtime, "peer.show", peer_rows);
  daemon::add_statistics(runtime, file.agent.uplinks);
}

}  // namespace splitnve::tnved
