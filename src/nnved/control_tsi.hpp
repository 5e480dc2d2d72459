// SPDX-License-Identifier: Apache-2.0
// The rows of nnved's tsi.show.
#pragma once
#include <string>
#include <string_view>

#include "daemon/control_rows.hpp"
#include "nnved/agent.hpp"
#include "splitnve/host/json_text.hpp"

namespace splitnve::nnved {

/// What rows show for the numbers of a TSI.
struct TsiNames {
  explicit TsiNames(const AgentConfig& config);
  daemon::Names<GroupId> vns;
  daemon::Names<PortId> ports;
};

/// A TSI; `latched` says why it has addresses that an operator has deactivated, and is empty if it has none.
void write_tsi(host::JsonText row, const TsiView& tsi, const TsiNames& names,
               const datapath::InstanceCounters& counters, const std::string& latched);
/// A latched VSI has no TSI; what stands in its place says why (S7).
void write_latch(host::JsonText row, const LatchView& latch, const TsiNames& names);

}  // namespace splitnve::nnved
