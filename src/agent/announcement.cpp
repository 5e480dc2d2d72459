// SPDX-License-Identifier: Apache-2.0
#include "agent/announcement.hpp"

#include "splitnve/vdp/exchange.hpp"

namespace splitnve::agent {

std::optional<vdp::Capabilities> bridge_capabilities(const ecp::Frame& frame) {
  if (frame.payload.empty()) return std::nullopt;
  const auto heard = vdp::survey(frame.payload);
  if (!heard || !heard->capabilities || heard->capabilities->role != vdp::Role::kBridge) return std::nullopt;
  return heard->capabilities;
}

bool is_announcement(const ecp::Frame& frame) {
  return frame.operation == ecp::Operation::kAck && frame.sequence == EcpSequence(0) && frame.destination.is_group() &&
         !frame.payload.empty() && vdp::is_discovery(frame.payload);
}

OctetString announcement(const vdp::Capabilities& own, const MacAddress& source, const MacAddress& group) {
  OctetString payload, frame;
  vdp::write_capabilities_only(own, payload);
  ecp::encode_frame(group, source, ecp::Operation::kAck, EcpSequence(0), payload, frame);
  return frame;
}

}  // namespace splitnve::agent
