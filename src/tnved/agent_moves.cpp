// SPDX-License-Identifier: Apache-2.0
// The path to the nNVE ends at another port of it (S37): a bridge or cable between us has been changed. The
// conversation follows when the known port is silent and the other one is there; TSIs keep forwarding meanwhile (S8).
#include "agent/announcement.hpp"
#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {
namespace {

/// The first answer to an ECPDU may have been on its way when the path was changed back; a second one comes after a
/// retransmission that the known port has not answered either.
constexpr unsigned kAnswersThatTell = 2;

}  // namespace

/// Another port of our nNVE has spoken: is the known one still there?
void Agent::Impl::note_other_port(Uplink& uplink, const ecp::Frame& frame, Instant now) {
  if (uplink.config.nnve || uplink.config.discovery) return;  // it is to be this one, or found anew
  if (!uplink.nnve || uplink.nnve == frame.source || !uplink.exchange.peer()) return;
  if (uplink.other_port && uplink.other_port->mac == frame.source) return;
  const auto shown = agent::bridge_capabilities(frame);
  if (!shown || shown->system != uplink.exchange.peer()->system) return;
  uplink.other_port = Uplink::OtherPort{frame.source};
  uplink.exchange.show_again(now);  // with the question
}

/// It has acknowledged what the known port has not.
bool Agent::Impl::other_port_answers(Uplink& uplink, const ecp::Frame& frame) {
  if (!uplink.other_port || uplink.other_port->mac != frame.source || !uplink.awaits(frame)) return false;
  if (uplink.config.authentication.mode != auth::Mode::kOff) return false;  // its signature will tell
  if (uplink.other_port->answered != frame.sequence) uplink.other_port->answers = 0;
  uplink.other_port->answered = frame.sequence;
  return ++uplink.other_port->answers >= kAnswersThatTell;
}

/// The known port has acknowledged nothing, however often it was asked.
void Agent::Impl::known_port_is_silent(Uplink& uplink, Instant now) {
  if (!uplink.other_port) return;
  uplink.nnve_before = uplink.nnve;
  meet(uplink, uplink.other_port->mac, now);
}

}  // namespace splitnve::tnved
