// SPDX-License-Identifier: Apache-2.0
#include "tnved/uplink.hpp"

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
  if (nnve == frame.source) return true;
  if (nnve && now - session.last_heard() < limits::kDeadPeerTime) return false;
  return acknowledges(frame, session.transmitter());
}

ecp::Session::Verdict Uplink::accept(ecp::Frame frame, Instant now) {
  nnve = frame.source;
  ++ecpdus_received;
  frame.source = session.config().peer_mac;
  return session.handle_frame(frame, now);
}

}  // namespace splitnve::tnved
