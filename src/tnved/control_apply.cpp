// SPDX-License-Identifier: Apache-2.0
// tsi.apply: the lifecycle source for those who know their whole desired state, such as a file of static JSON (A15).
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control.hpp"
#include "control_arguments.hpp"

namespace splitnve::tnved {
namespace {

using host::Responder;
using nlohmann::json;

/// The control server numbers its own askers from 1 on; ours stand above.
constexpr std::uint64_t kFirstAsker = std::uint64_t{1} << 63;

/// Shall the VM run, or be reserved only?
Result<bool> starts_argument(const json& item) {
  const std::string text = item.value("state", "activated");
  if (text == "activated") return true;
  if (text == "associated") return false;
  return unexpected<Error>(Error{"\"" + text + "\" is no state to bring a TSI to", "state", "associated or activated"});
}

/// What the one who asked called it, whether that is a VSI-ID or not.
std::string name_of(const json& item) {
  const auto vsi = item.is_object() ? item.find("vsi") : item.end();
  return vsi != item.end() && vsi->is_string() ? vsi->get<std::string>() : "";
}

/// One TSI of a request, or why it cannot be brought to anything.
struct Wanted {
  LifecycleEvent create;
  std::string refusal{};
  std::string name{};  ///< of one that is refused
};
struct WantedList {
  std::vector<Wanted> tsis;
  bool wait = true;              ///< for the nNVE's word, not only until the TSIs are stored
  std::optional<Error> refusal;  ///< of the request as a whole
};

Result<Wanted> wanted_from(const json& item, const AgentConfig& config) {
  if (!item.is_object()) return unexpected<Error>(Error{"a TSI is an object", "", ""});
  const auto starts = starts_argument(item);
  if (!starts) return unexpected<Error>(starts.error());
  auto create = event_from(Verb::kCreate, item, config);
  if (!create) return unexpected<Error>(create.error());
  create->starts = *starts;
  create->replace = true;  // a file says all that shall be
  return Wanted{std::move(*create)};
}

WantedList read_list(const json& args, const AgentConfig& config) {
  WantedList list;
  const auto tsis = args.find("tsis");
  if (tsis == args.end() || !tsis->is_array()) {
    list.refusal = Error{"no list of TSIs given", "args.tsis", "give \"tsis\" as an array of objects"};
    return list;
  }
  const auto wait = args.find("wait");
  if (wait != args.end() && !wait->is_boolean()) {
    list.refusal = Error{wait->dump() + " is neither true nor false", "args.wait", "leave it out to wait"};
    return list;
  }
  list.wait = wait == args.end() || wait->get<bool>();
  list.tsis.reserve(tsis->size());
  for (const auto& item : *tsis) {
    try {
      auto wanted = wanted_from(item, config);
      list.tsis.push_back(wanted ? std::move(*wanted) : Wanted{{}, wanted.error().to_string(), name_of(item)});
    } catch (const json::exception& error) {
      list.tsis.push_back({{}, std::string("bad member: ") + error.what(), name_of(item)});
    }
  }
  return list;
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

bool is_there(const TsiView& tsi, const LifecycleEvent& wanted) {
  const std::string_view state = tsi.state;
  if (wanted.starts) return tsi.vm == VmState::kRunning && state == "activated" && tsi.port_open;
  return (tsi.vm == VmState::kDefined || tsi.vm == VmState::kSuspended) && state == "associated";
}

/// TSIs that are looked at before the loop serves its sockets again, as many as an ECPDU or two carry.
constexpr std::size_t kAppliedTogether = 32;

/// Turns each request into lifecycle events and collects their verdicts. An asker stands for one TSI of one request.
class BulkRequests {
 public:
  explicit BulkRequests(daemon::Runtime<Agent>& runtime) : runtime_(runtime) {}

  void add(WantedList list, const Responder& respond) {
    auto request = std::make_shared<Request>(Request{respond, list.wait, list.tsis.size()});
    request->undecided = list.tsis.size() + 1;  // itself, so that no early verdict ends it
    queue_.push_back({std::move(request), std::move(list.tsis), 0});
    go_on_soon();
  }

  /// True if the answer was for one of ours.
  bool take(const agent::Answer& answer) {
    const auto at = asked_.find(answer.asker);
    if (at == asked_.end()) return false;
    const Asked done = std::move(at->second);
    asked_.erase(at);
    if (!answer.ok) refuse(*done.request, done.vsi.to_string(), answer.reason.empty() ? "refused" : answer.reason);
    decided(*done.request);
    return true;
  }

 private:
  struct Request {
    Responder respond;
    bool wait = true;
    std::size_t tsis = 0;
    std::size_t undecided = 0;
    json refused = json::array();
  };
  struct Waiting {
    std::shared_ptr<Request> request;
    std::vector<Wanted> tsis;
    std::size_t next = 0;
  };
  struct Asked {
    std::shared_ptr<Request> request;
    VsiId vsi;
  };

  static void refuse(Request& request, const std::string& vsi, const std::string& reason) {
    request.refused.push_back({{"vsi", vsi}, {"reason", reason}});
  }
  static void decided(Request& request) {
    if (--request.undecided != 0) return;
    const std::size_t accepted = request.tsis - request.refused.size();
    request.respond.ok({{"accepted", accepted}, {"refused", std::move(request.refused)}});
  }

  void go_on_soon() {
    if (queue_.empty() || posted_) return;
    posted_ = true;
    runtime_.loop().post([this] {
      posted_ = false;
      go_on();
    });
  }
  /// Some of what waits, in the order of the requests. Between two parts of a long list the loop serves frames and
  /// others.
  void go_on() {
    const Instant now = host::Loop::now();
    for (std::size_t n = 0; n < kAppliedTogether && !queue_.empty(); ++n) {
      Waiting& first = queue_.front();
      if (first.next < first.tsis.size()) {
        apply_one(first.tsis[first.next++], first.request, now);
      } else {
        const auto request = std::move(first.request);
        queue_.pop_front();
        decided(*request);
      }
    }
    runtime_.driver().kick();
    go_on_soon();
  }
  /// The description comes first even for a known TSI: it may name other addresses.
  void apply_one(Wanted& wanted, const std::shared_ptr<Request>& request, Instant now) {
    LifecycleEvent& create = wanted.create;
    const auto known = agent().find(create.vsi);
    const auto tsi = known ? agent().tsi(*known) : std::nullopt;
    if (const std::string refusal = refusal_of(wanted, tsi); !refusal.empty()) {
      refuse(*request, wanted.refusal.empty() ? create.vsi.to_string() : wanted.name, refusal);
      return decided(*request);
    }
    if (tsi && describes(*tsi, create) && is_there(*tsi, create)) return decided(*request);
    if (tsi && !create.starts && tsi->vm == VmState::kRunning) suspend(create.vsi, now);
    create.unattended = !request->wait;
    create.asker = ++last_asker_;
    asked_.emplace(create.asker, Asked{request, create.vsi});
    agent().handle_event(create, now);
  }
  std::string refusal_of(const Wanted& wanted, const std::optional<TsiView>& tsi) const {
    if (!wanted.refusal.empty()) return wanted.refusal;
    if (const auto draining = refusal_while_draining(runtime_.draining(), Verb::kCreate))  // it began meanwhile
      return draining->to_string();
    if (tsi && (tsi->vm == VmState::kDeparting || tsi->vm == VmState::kArriving))
      return "a migration of this VM is under way";
    return "";
  }
  void suspend(const VsiId& vsi, Instant now) {
    LifecycleEvent event;
    event.verb = Verb::kSuspend;
    event.vsi = vsi;
    agent().handle_event(event, now);
  }

  Agent& agent() { return runtime_.agent(); }

  daemon::Runtime<Agent>& runtime_;
  bool posted_ = false;
  std::deque<Waiting> queue_;
  boost::unordered_flat_map<std::uint64_t, Asked> asked_;
  std::uint64_t last_asker_ = kFirstAsker;
};

}  // namespace

void add_apply_verb(daemon::Runtime<Agent>& runtime) {
  auto bulk = std::make_shared<BulkRequests>(runtime);
  runtime.on_answer([bulk](const agent::Answer& answer) { return bulk->take(answer); });
  runtime.control().add_read<WantedList>(
      "tsi.apply", host::Access::kAdmin,
      [&config = runtime.agent().config()](const json& args) { return read_list(args, config); },
      [&runtime, bulk](WantedList& list, Responder respond) {
        if (const auto refused = refusal_while_draining(runtime.draining(), Verb::kCreate))
          return respond.fail(*refused);
        if (list.refusal) return respond.fail(*list.refusal);
        bulk->add(std::move(list), respond);
      });
}

}  // namespace splitnve::tnved
