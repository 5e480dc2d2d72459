// SPDX-License-Identifier: Apache-2.0
// Verbs that show, the same with both daemons (docs/control-api.md).
#pragma once
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "control_rows.hpp"
#include "runtime.hpp"

namespace splitnve::daemon {

/// A verb whose rows, `rows(agent)`, are few and made at once.
template <class Agent, class Rows>
void add_few(Runtime<Agent>& runtime, const char* verb, const Rows& rows) {
  runtime.control().add(verb, host::Access::kRead, [&runtime, rows](const nlohmann::json&, host::Responder respond) {
    respond.stream(stream_rows(rows(std::as_const(runtime.agent()))));
  });
}

/// evb.show, kernel.show and stats.show; `ports` are the configured ones.
template <class Agent, class PortConfigs>
void add_statistics(Runtime<Agent>& runtime, const PortConfigs& ports) {
  add_few(runtime, "evb.show", [](const Agent& agent) { return evb_rows(agent.evb()); });
  add_few(runtime, "kernel.show", [&runtime](const Agent&) { return kernel_rows(runtime.watch()); });
  std::vector<std::pair<PortId, std::string>> names;
  names.reserve(ports.size());
  for (const auto& port : ports) names.emplace_back(port.id, port.interface_name);
  add_few(runtime, "stats.show", [&runtime, names](const Agent& agent) {
    auto rows = stats_rows(runtime.datapath(), agent.frame_drops(), agent.frames_taken(), runtime.driver().ports(),
                           names, runtime.control());
    add_writers(rows, runtime.log(), runtime.audit_file());
    for (const auto& [counter, value] : runtime.watch().counters())
      rows.push_back({{"group", "kernel"}, {"counter", counter}, {"value", value}});
    return rows;
  });
}

}  // namespace splitnve::daemon
