// SPDX-License-Identifier: Apache-2.0
// LLDP of the uplinks, and the timers that follow from it.
#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

void Agent::Impl::handle_lldp(Uplink& uplink, Octets octets, Instant now) {
  if (!uplink.evb) return count_drop("LLDP while EVB is off");
  BoundedReader reader(octets);
  const auto ethernet = decode_ethernet(reader);
  if (!ethernet) return count_drop(ethernet.error().cause);
  const auto& only = uplink.config.discovery ? uplink.nnve : uplink.config.nnve;
  if ((only || uplink.config.discovery) && ethernet->source != only)
    return count_drop("source is not the uplink's nNVE");
  if (const auto read = uplink.evb->machine().handle_frame(octets, now); !read)
    count_drop(read.error().cause);
  else
    ++taken_;
  settle_evb(uplink, now);
}

void Agent::Impl::settle_evb(Uplink& uplink, Instant now) {
  if (!uplink.evb) return;
  const auto change = uplink.evb->drain(effects_);
  if (!change || !uplink.uses_evb()) return;
  uplink.adopt_timers(now);
  if (change->restarted) uplink.reassert_soon(now);
  uplink.reassert_due(now);
  const std::string refusal = uplink.refusal();
  if (!refusal.empty() && change->now.acceptable)
    notice("EVB_REFUSED", agent::Notice::Level::kWarning, "port=" + uplink.config.interface_name + " " + refusal);
}

void Agent::Impl::shut_down(Instant now) {
  for (Uplink& uplink : uplinks_) {
    if (!uplink.evb) continue;
    uplink.evb->machine().shut_down(now);
    uplink.evb->drain(effects_);
  }
}

std::vector<agent::EvbView> Agent::evb() const {
  std::vector<agent::EvbView> views;
  for (const Uplink& uplink : impl_->uplinks_)
    if (uplink.evb) views.push_back({uplink.config.interface_name, &uplink.evb->machine()});
  return views;
}

}  // namespace splitnve::tnved
