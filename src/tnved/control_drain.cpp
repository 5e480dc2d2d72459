// SPDX-License-Identifier: Apache-2.0
#include "control.hpp"

namespace splitnve::tnved {

void shut_down_all(Agent& agent, Instant now) {
  for (std::uint32_t slot = 0; slot < agent.tsi_slots(); ++slot) {
    const auto tsi = agent.tsi(slot);
    if (!tsi || tsi->vm == VmState::kLeaving) continue;
    LifecycleEvent event;
    event.verb = Verb::kShutdown;
    event.vsi = tsi->vsi;
    agent.handle_event(event, now);
  }
}

bool has_no_tsi(const Agent& agent) {
  for (std::uint32_t slot = 0; slot < agent.tsi_slots(); ++slot)
    if (agent.tsi(slot)) return false;
  return true;
}

std::optional<Error> refusal_while_draining(bool draining, Verb verb) {
  const bool brings_up =
      verb == Verb::kCreate || verb == Verb::kStart || verb == Verb::kResume || verb == Verb::kMigrateIn;
  if (!draining || !brings_up) return std::nullopt;
  return Error{"this hypervisor is being drained", "", "start the VM elsewhere, or end it: vdpctl undrain"};
}

}  // namespace splitnve::tnved
