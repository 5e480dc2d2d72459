// SPDX-License-Identifier: Apache-2.0
// The path to the nNVE ends at another port of it (S37): a bridge or cable between us has been changed. The
// conversation follows when the known port is silent and the other one is there; TSIs keep forwarding meanwhile (S8).
#include "agent/announcement.hpp"
#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

/// Another port of our nNVE has spoken: is the known one still there? Asked once a second. Where signatures are asked
/// for, nothing is done for a frame without one: the other port may sign.
void Agent::Impl::note_other_port(Uplink& uplink, const ecp::Frame& frame, Instant now) {
  if (uplink.config.nnve || uplink.config.discovery) return;  // it is to be this one, or found anew
  if (!uplink.nnve || uplink.nnve == frame.source || !uplink.exchange.peer()) return;
  const auto shown = agent::bridge_capabilities(frame);
  if (!shown || shown->system != uplink.exchange.peer()->system) return;
  uplink.other_port = frame.source;
  if (uplink.config.authentication.mode != auth::Mode::kOff || now < uplink.may_question_at) return;
  uplink.may_question_at = now + kOtherPortPause;
  uplink.questions_path = true;
  uplink.exchange.show_again(now);
  compose(uplink, now);
}

/// It has acknowledged what the known port has not, although that was sent as often as it may be.
bool Agent::Impl::other_port_answers(const Uplink& uplink, const ecp::Frame& frame) {
  if (uplink.other_port != frame.source || uplink.config.authentication.mode != auth::Mode::kOff) return false;
  return uplink.awaits(frame) && uplink.is_last_try();
}

}  // namespace splitnve::tnved
