// SPDX-License-Identifier: Apache-2.0
// The rows of tnved's tsi.show.
#pragma once
#include "daemon/control_rows.hpp"
#include "splitnve/host/json_text.hpp"
#include "tnved/agent.hpp"

namespace splitnve::tnved {

void write_tsi(host::JsonText row, const TsiView& tsi, const daemon::TsiNames& names,
               const datapath::InstanceCounters& counters, bool is_closed);

}  // namespace splitnve::tnved
