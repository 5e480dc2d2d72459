// SPDX-License-Identifier: Apache-2.0
// tsi.apply: the lifecycle source for those who know their whole desired state, such as a file of static JSON (A15).
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control.hpp"
#include "control_arguments.hpp"

namespace splitnve::tnved {
namespace {

using host::Responder;
using nlohmann::json;

/// The control server numbers its own askers from 1 on; ours stand above.
constexpr std::uint64_t kFirstAsker = std::uint64_t{1} << 63;

enum class Goal : std::uint8_t { kAssociated, kActivated };

Result<Goal> goal_of(const json& item) {
  const std::string text = item.value("state", "activated");
  if (text == "activated") return Goal::kActivated;
  if (text == "associated") return Goal::kAssociated;
  return unexpected<Error>(Error{"\"" + text + "\" is no state to bring a TSI to", "state", "associated or activated"});
}

/// What the one who asked called it, whether that is a VSI-ID or not.
std::string name_of(const json& item) {
  const auto vsi = item.find("vsi");
  return vsi != item.end() && vsi->is_string() ? vsi->get<std::string>() : "";
}

bool describes(const TsiView& tsi, const LifecycleEvent& wanted) {
  if (tsi.vn != wanted.vn || tsi.guest_tag != wanted.guest_tag || tsi.addresses.size() != wanted.macs.size())
    return false;
  std::size_t ips = 0;
  for (const AddressView& address : tsi.addresses) ips += address.ips.size();
  const bool same_ips = std::all_of(wanted.ips.begin(), wanted.ips.end(), [&](const HostIp& ip) {
    return std::any_of(tsi.addresses.begin(), tsi.addresses.end(), [&](const AddressView& a) {
      return a.mac == ip.mac && std::find(a.ips.begin(), a.ips.end(), ip.ip) != a.ips.end();
    });
  });
  if (ips != wanted.ips.size() || !same_ips) return false;
  if (!wanted.interface_name.empty() && tsi.interface_name != wanted.interface_name) return false;
  return std::all_of(wanted.macs.begin(), wanted.macs.end(), [&](MacAddress mac) {
    return std::any_of(tsi.addresses.begin(), tsi.addresses.end(),
                       [mac](const AddressView& a) { return a.mac == mac; });
  });
}

bool is_there(const TsiView& tsi, Goal goal) {
  const std::string_view state = tsi.state;
  switch (goal) {
    case Goal::kActivated: return tsi.vm == VmState::kRunning && state == "activated" && tsi.port_open;
    case Goal::kAssociated:
      return (tsi.vm == VmState::kDefined || tsi.vm == VmState::kSuspended) && state == "associated";
  }
  return false;
}

/// Turns each request into lifecycle events and collects their verdicts. An asker stands for one TSI of one request and
/// is owed as many answers as it has loud events.
class BulkRequests {
 public:
  explicit BulkRequests(Agent& agent) : agent_(agent) {}

  void apply(const json& args, const Responder& respond) {
    const auto list = args.find("tsis");
    if (list == args.end() || !list->is_array())
      return Responder(respond).fail({"no list of TSIs given", "args.tsis", "give \"tsis\" as an array of objects"});
    auto request = std::make_shared<Request>(Request{respond});
    ++request->undecided;  // itself, so that no early verdict ends it
    const Instant now = host::Loop::now();
    for (const auto& item : *list) {
      try {
        apply_one(item, request, now);
      } catch (const json::exception& error) {  // a member of another type: thrown before anything was asked
        refuse(*request, name_of(item), std::string("bad member: ") + error.what());
      }
    }
    decided(*request);
  }

  /// True if the answer was for one of ours.
  bool take(const agent::Answer& answer) {
    const auto at = waiting_.find(answer.asker);
    if (at == waiting_.end()) return false;
    Waiting& waiting = at->second;
    if (!answer.ok && waiting.refusal.empty()) waiting.refusal = answer.reason.empty() ? "refused" : answer.reason;
    if (--waiting.owed != 0) return true;
    const Waiting done = std::move(waiting);
    waiting_.erase(at);
    if (!done.refusal.empty()) refuse(*done.request, done.vsi.to_string(), done.refusal);
    decided(*done.request);
    return true;
  }

 private:
  struct Request {
    Responder respond;
    std::size_t undecided = 0;
    std::size_t tsis = 0;
    json refused = json::array();
  };
  struct Waiting {
    std::shared_ptr<Request> request;
    VsiId vsi;
    std::string refusal;  ///< the first one: what follows from it says less
    std::uint8_t owed = 0;
  };

  static void refuse(Request& request, const std::string& vsi, const std::string& reason) {
    request.refused.push_back({{"vsi", vsi}, {"reason", reason}});
  }

  static void decided(Request& request) {
    if (--request.undecided != 0) return;
    const std::size_t accepted = request.tsis - request.refused.size();
    request.respond.ok({{"accepted", accepted}, {"refused", std::move(request.refused)}});
  }

  void apply_one(const json& item, const std::shared_ptr<Request>& request, Instant now) {
    ++request->tsis;
    if (!item.is_object()) return refuse(*request, "", "a TSI is an object");
    const std::string vsi = name_of(item);
    const auto goal = goal_of(item);
    if (!goal) return refuse(*request, vsi, goal.error().to_string());
    auto event = event_from(Verb::kCreate, item, agent_.config());
    if (!event) return refuse(*request, vsi, event.error().to_string());
    if (const auto slot = agent_.find(event->vsi)) {
      const auto tsi = agent_.tsi(*slot);
      if (tsi->vm == VmState::kDeparting || tsi->vm == VmState::kArriving)
        return refuse(*request, vsi, "a migration of this VM is under way");
      if (describes(*tsi, *event) && is_there(*tsi, *goal)) return;
      if (*goal == Goal::kAssociated && tsi->vm == VmState::kRunning) send(Verb::kSuspend, event->vsi, 0, now);
    }
    bring(*event, *goal, request, now);
  }

  /// The description comes first even for a known TSI: it may name other addresses. Nothing is sent to the nNVE before
  /// the list is through, so that a start right behind its create costs no second request.
  void bring(LifecycleEvent& create, Goal goal, const std::shared_ptr<Request>& request, Instant now) {
    const bool activate = goal == Goal::kActivated;
    create.asker = ++last_asker_;
    ++request->undecided;
    waiting_.emplace(create.asker, Waiting{request, create.vsi, {}, static_cast<std::uint8_t>(activate ? 2 : 1)});
    agent_.handle_event(create, now);
    if (activate) send(Verb::kStart, create.vsi, create.asker, now);
  }

  void send(Verb verb, const VsiId& vsi, std::uint64_t asker, Instant now) {
    LifecycleEvent event;
    event.verb = verb;
    event.vsi = vsi;
    event.asker = asker;
    agent_.handle_event(event, now);
  }

  Agent& agent_;
  boost::unordered_flat_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t last_asker_ = kFirstAsker;
};

}  // namespace

void add_apply_verb(daemon::Runtime<Agent>& runtime) {
  auto bulk = std::make_shared<BulkRequests>(runtime.agent());
  runtime.on_answer([bulk](const agent::Answer& answer) { return bulk->take(answer); });
  runtime.control().add("tsi.apply", host::Access::kAdmin,
                        [&runtime, bulk](const json& args, const Responder& respond) {
                          if (const auto refused = refusal_while_draining(runtime.draining(), Verb::kCreate))
                            return Responder(respond).fail(*refused);
                          bulk->apply(args, respond);
                          runtime.driver().kick();
                        });
}

}  // namespace splitnve::tnved
