// SPDX-License-Identifier: Apache-2.0
// What the control verbs say, as the agent's events: pure reading.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "agent.hpp"
#include "splitnve/base/result.hpp"

namespace splitnve::tnved {

/// The `vn` argument: an id, the alias, id or name of a VN in the configuration as text, or the name of another one.
struct VnArgument {
  GroupId vn;
  std::optional<vdp::VnName> name{};  ///< instead
};
Result<VnArgument> vn_argument(const nlohmann::json& args, const AgentConfig& config);
/// A lifecycle event from a verb's arguments, without an asker. Error: names the argument and what to write instead.
Result<LifecycleEvent> event_from(Verb verb, const nlohmann::json& args, const AgentConfig& config);
/// The same for addresses of a live TSI.
Result<AddressEvent> address_event_from(AddressVerb verb, const nlohmann::json& args, const AgentConfig& config);

}  // namespace splitnve::tnved
