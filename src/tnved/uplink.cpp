// SPDX-License-Identifier: Apache-2.0
#include "tnved/uplink.hpp"

#include <algorithm>
#include <variant>

#include "splitnve/base/limits.hpp"

namespace splitnve::tnved {
namespace {

bool acknowledges(const ecp::Frame& frame, const ecp::Transmitter& transmitter) {
  const auto* awaiting = std::get_if<ecp::Transmitter::AwaitingAck>(&transmitter.state());
  return frame.operation == ecp::Operation::kAck && awaiting != nullptr && awaiting->sequence == frame.sequence;
}

}  // namespace

bool Uplink::admits(const ecp::Frame& frame, Instant now) const {
  if (config.nnve) return frame.source == *config.nnve;
  if (nnve == frame.source) return true;
  if (nnve && now - session.last_heard() < limits::kDeadPeerTime) return false;
  return acknowledges(frame, session.transmitter());
}

ecp::Session::Verdict Uplink::accept(ecp::Frame frame, Instant now) {
  nnve = frame.source;
  ++ecpdus_received;
  frame.source = session.config().peer_mac;
  const auto verdict = session.handle_frame(frame, now);
  if (verdict == ecp::Session::Verdict::kDelivered) note_request(frame.sequence, now);
  return verdict;
}

/// What the nNVE acknowledged just before a crash is lost without a trace but this: its sequence does not go on.
void Uplink::note_request(EcpSequence sequence, Instant now) {
  const bool goes_on = !last_request || sequence.value() == static_cast<std::uint16_t>(last_request->value() + 1);
  last_request = sequence;
  if (goes_on || reassert_at) return;
  reassert_at = reasserted_at ? std::max(now, *reasserted_at + kReassertPause) : now;
}

void Uplink::reassert_due(Instant now) {
  if (!reassert_at || *reassert_at > now) return;
  reassert_at.reset();
  reasserted_at = now;
  ++reasserted;
  station.reassert_all(now);
}

}  // namespace splitnve::tnved
