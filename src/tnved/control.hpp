// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "agent.hpp"
#include "config_file.hpp"
#include "daemon/runtime.hpp"

namespace splitnve::tnved {

/// Registers tnved's verbs: tsi.show and one for each lifecycle event, tsi.apply, vn.show, port.show, peer.show,
/// stats.show.
void add_verbs(daemon::Runtime<Agent>& runtime, const FileConfig& file);
/// The verb for many TSIs at once (control_apply.cpp).
void add_apply_verb(daemon::Runtime<Agent>& runtime);

/// Registers tsi.add-address, tsi.remove-address, tsi.deactivate-address and tsi.activate-address.
void add_address_verbs(daemon::Runtime<Agent>& runtime);

/// Drain (control_drain.cpp): every TSI is shut down, its port closes at once; the nNVE confirms.
void shut_down_all(Agent& agent, Instant now);
bool has_no_tsi(const Agent& agent);
/// Why an event that brings a TSI up is refused now; nullopt: it is not.
std::optional<Error> refusal_while_draining(bool draining, Verb verb);

}  // namespace splitnve::tnved
