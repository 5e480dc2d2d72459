// SPDX-License-Identifier: Apache-2.0
// Lines of the control socket, from reading the request to the agent that gets the event: a false argument is refused
// with words, a right one means what the JSON says, and every asker is answered at most once.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "daemon/control_rows.hpp"
#include "invariants.hpp"
#include "libhost/control_request.hpp"
#include "splitnve/base/check.hpp"
#include "tnved/control_arguments.hpp"

namespace {

using namespace splitnve;
using nlohmann::json;
using tnved::AddressVerb;
using tnved::Verb;

constexpr Verb kVerbs[] = {Verb::kCreate,   Verb::kStart,      Verb::kPause,     Verb::kSuspend, Verb::kResume,
                           Verb::kShutdown, Verb::kMigrateOut, Verb::kMigrateIn, Verb::kAbort};
constexpr AddressVerb kAddressVerbs[] = {AddressVerb::kAdd, AddressVerb::kRemove, AddressVerb::kDeactivate,
                                         AddressVerb::kActivate, AddressVerb::kChangeIp};

tnved::AgentConfig make_config() {
  tnved::AgentConfig config;
  tnved::UplinkConfig uplink;
  uplink.id = PortId(1);
  uplink.interface_name = "up0";
  uplink.mac = MacAddress(0x020000000001u);
  config.uplinks.push_back(uplink);
  config.vns = {{GroupId(70001), "blue"}, {GroupId(70002), "red"}};
  config.instances_max = 64;
  return config;
}

void check_said(const Error& error) { ensure(!error.what.empty() && !error.to_string().empty(), "a refusal says why"); }

void check_numbers(const json& args) {
  if (const auto instance = daemon::instance_argument(args); !instance) {
    check_said(instance.error());
  } else {
    ensure(args.at("instance") == instance->value(), "the instance is the number that was written");
  }
}

void check_event(const tnved::LifecycleEvent& event, const json& args) {
  if (!event.guest_tag.is_null())
    ensure(args.at("guest_tag") == event.guest_tag.value(), "the tag is the number that was written");
  if (event.verb != Verb::kCreate && event.verb != Verb::kMigrateIn) return;
  const auto tag = args.find("guest_tag");
  ensure(!event.guest_tag.is_null() || tag == args.end() || *tag == 0, "a tag that was written is not lost");
  ensure(args.at("vn").is_string() || args.at("vn") == event.vn.value(), "the VN is the number that was written");
}

/// One request after the other meets the same agent.
class Daemon {
 public:
  void serve(std::string_view line) {
    const auto request = host::parse_request(line);
    if (!request) return ensure(!std::string_view(request.error()).empty(), "a refusal says why");
    ensure(request->id.is_number_integer() && request->args.is_object(), "a request is narrowed");
    check_numbers(request->args);
    for (const Verb verb : kVerbs)
      if (request->verb == std::string("tsi.") + to_string(verb)) lifecycle(verb, request->args);
    for (const AddressVerb verb : kAddressVerbs)
      if (request->verb == std::string("tsi.") + to_string(verb)) addresses(verb, request->args);
    drain();
    fuzz::check(agent_);
  }

 private:
  void lifecycle(Verb verb, const json& args) {
    try {
      auto event = tnved::event_from(verb, args, agent_.config());
      if (!event) return check_said(event.error());
      check_event(*event, args);
      event->asker = ++last_asker_;
      agent_.handle_event(*event, now_);
    } catch (const json::exception&) {  // the control server answers it
    }
  }
  void addresses(AddressVerb verb, const json& args) {
    auto event = tnved::address_event_from(verb, args, agent_.config());
    if (!event) return check_said(event.error());
    event->asker = ++last_asker_;
    agent_.handle_addresses(*event, now_);
  }
  void drain() {
    std::size_t effects = 0;
    while (auto effect = agent_.poll_effect()) {
      ensure(++effects <= fuzz::kEffectsPerCallMax, "bounded effects");
      const auto* answer = std::get_if<agent::Answer>(&*effect);
      if (answer == nullptr) continue;
      ensure(answer->asker > 0 && answer->asker <= last_asker_, "somebody asked");
      ensure(answered_.insert(answer->asker).second, "an asker is answered once");
    }
  }

  tnved::Agent agent_{make_config(), 1};
  Instant now_{std::chrono::hours(1)};
  std::uint64_t last_asker_ = 0;
  std::set<std::uint64_t> answered_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  Daemon daemon;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    daemon.serve(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
  }
  return 0;
}
