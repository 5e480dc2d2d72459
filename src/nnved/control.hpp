// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "agent.hpp"
#include "config_file.hpp"
#include "daemon/runtime.hpp"

namespace splitnve::nnved {

/// Registers nnved's verbs: tsi.show, tsi.remove, vn.show, port.show, peer.show, refusal.show, stats.show.
void add_verbs(daemon::Runtime<Agent>& runtime, const FileConfig& file);

}  // namespace splitnve::nnved
