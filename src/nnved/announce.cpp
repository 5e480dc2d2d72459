// SPDX-License-Identifier: Apache-2.0
// What other nNVEs on the segments are told, and what is heard of them (S12).
#include "agent/announcement.hpp"
#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

bool Impl::is_of_bridge(std::uint32_t port_index, const ecp::Frame& frame, Instant now) {
  if (!config.announces) return false;
  const auto shown = agent::bridge_capabilities(frame);
  if (!shown) return false;
  segments.handle_bridge(port_index, frame.source, *shown, now);
  settle_segments(now);
  ++frames_taken;
  return true;
}

/// On a direct link a bridge's LLDP shows that it is none.
void Impl::note_lldp_bridge(std::uint32_t port_index, Octets octets, Instant now) {
  if (!config.announces || !config.ports[port_index].direct) return;
  const auto lldp = evb::decode_lldp(octets);
  if (!lldp || !lldp->evb || lldp->evb->mode != static_cast<std::uint8_t>(evb::Role::kBridge)) return;
  const Duration told = std::chrono::seconds(lldp->ttl_seconds);
  segments.handle_lldp(port_index, lldp->source, std::min(told, evb::longest_hold(config.lldp_interval)), now);
  settle_segments(now);
}

void Impl::announce(std::uint32_t port_index) {
  const PortConfig& port = config.ports[port_index];
  if (!ports[port_index].up) return;
  vdp::Capabilities own = new_exchange(port_index).own();
  own.nonce = announced_nonce;
  for (const MacAddress& group : {ecp::kNearestCustomerBridge, port.announced_to()}) {
    OctetString frame = agent::announcement(own, port.mac, group);
    config.wire.to_wire(ecp::payload_of(frame));
    journal.effects.push_back(agent::Transmit{port.id, std::move(frame)});
  }
}

/// `port show` always tells the last verdict; the log tells of changes as far as there are not too many.
void Impl::note_segment(std::uint32_t port_index, const SegmentWatch::Verdict& verdict, Instant now) {
  Port& port = ports[port_index];
  if (!port.segment_notices.take(now)) {
    ++port.segment_changes_unsaid;
    return;
  }
  const std::uint64_t unsaid = std::exchange(port.segment_changes_unsaid, 0);
  const std::string where = "port " + config.ports[port_index].interface_name;
  const std::string also = unsaid == 0 ? "" : " (and " + std::to_string(unsaid) + " earlier changes not logged)";
  if (verdict.seen == Reason::kNone) {
    journal.notice("SEGMENT_CLEAR", agent::Notice::Level::kInfo, where + ": new VNs are admitted" + also);
  } else if (verdict.seen == Reason::kListening) {
    journal.notice("SEGMENT_LISTENING", agent::Notice::Level::kInfo, where + ": " + verdict.text + also);
  } else {
    journal.notice("SEGMENT_CONFLICT", agent::Notice::Level::kError,
                   where + ": " + words(verdict.seen, verdict.text) +
                       (verdict.closed == Reason::kNone ? "" : "; no new VN there") + also);
  }
}

void Impl::settle_segments(Instant now) {
  if (!segments.has_begun()) segments.begin(now);
  while (const auto port_index = segments.poll_announcement(now)) announce(*port_index);
  while (const auto port_index = segments.poll_change()) {
    const SegmentWatch::Verdict& verdict = segments.verdict(*port_index);
    vaps.close_to_new(*port_index, verdict.closed);
    note_segment(*port_index, verdict, now);
  }
}

}  // namespace splitnve::nnved
