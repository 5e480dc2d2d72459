// SPDX-License-Identifier: Apache-2.0
// The rows of tnved's tsi.show.
#pragma once
#include "daemon/control_rows.hpp"
#include "splitnve/host/json_text.hpp"
#include "tnved/agent.hpp"

namespace splitnve::tnved {

/// What rows show for the numbers of a TSI.
struct TsiNames {
  explicit TsiNames(const AgentConfig& config);
  daemon::Names<GroupId> vns;
  daemon::Names<PortId> uplinks;
};

void write_tsi(host::JsonText row, const TsiView& tsi, const TsiNames& names,
               const datapath::InstanceCounters& counters);

}  // namespace splitnve::tnved
