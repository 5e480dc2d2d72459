// SPDX-License-Identifier: Apache-2.0
// The rows of nnved's tsi.show.
#pragma once
#include <string>
#include <string_view>

#include "daemon/control_rows.hpp"
#include "nnved/agent.hpp"
#include "splitnve/host/json_text.hpp"

namespace splitnve::nnved {

/// The RFC writes states with a capital, as the log does; JSON has them in lower case.
std::string lower_case(std::string text);

/// A TSI; `latched` says why it has addresses that an operator has deactivated, and is empty if it has none.
void write_tsi(host::JsonText row, const TsiView& tsi, const daemon::TsiNames& names,
               const datapath::InstanceCounters& counters, const std::string& latched);
/// A latched VSI has no TSI; what stands in its place says why (S7).
void write_latch(host::JsonText row, const LatchView& latch, const daemon::TsiNames& names);

}  // namespace splitnve::nnved
