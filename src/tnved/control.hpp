// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "agent.hpp"
#include "config_file.hpp"
#include "daemon/runtime.hpp"

namespace splitnve::tnved {

/// Registers tnved's verbs: tsi.show and one for each lifecycle event, vn.show, port.show, peer.show, stats.show.
void add_verbs(daemon::Runtime<Agent>& runtime, const FileConfig& file);

}  // namespace splitnve::tnved
