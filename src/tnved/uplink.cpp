// SPDX-License-Identifier: Apache-2.0
#include "tnved/uplink.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "splitnve/base/limits.hpp"

namespace splitnve::tnved {

std::string said(std::string_view why) {
  std::string text(why);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text.empty() ? text : ": " + text;
}

std::string unmatched_text(const vdp::Station::Unmatched& answer) {
  return std::string("an answer to ") + vdp::to_string(answer.command) + " of vsi " + answer.vsi.to_string() +
         " matches no request" + status_text(answer.status, answer.why);
}

std::string status_text(const vdp::ResponseStatus& status, std::string_view why) {
  const bool known = static_cast<unsigned>(status.code) <= static_cast<unsigned>(vdp::Code::kInvalidAddress);
  std::string text = ": code " + std::to_string(static_cast<unsigned>(status.code));
  if (known) text += std::string(" (") + vdp::to_string(status.code) + ")";
  if (status.keep) text += ", the state before is kept";
  if (status.hard) text += ", do not try again";
  return text + said(why);
}
namespace {

constexpr std::size_t kVidsMax = 4094;

const ecp::Transmitter::AwaitingAck* outstanding(const ecp::Session& session) {
  return std::get_if<ecp::Transmitter::AwaitingAck>(&session.transmitter().state());
}

}  // namespace

bool Uplink::admits(const ecp::Frame& frame, bool is_signed, Instant now) const {
  if (config.nnve) return frame.source == *config.nnve;
  if (nnve == frame.source) return true;
  if (other_port == frame.source && is_signed) return true;
  if (nnve && now - session.last_heard() < limits::kDeadPeerTime) return false;
  return is_signed || awaits(frame);
}

bool Uplink::is_last_try() const {
  const auto* ecpdu = outstanding(session);
  return ecpdu != nullptr && ecpdu->retries_left == 0;
}

bool Uplink::awaits(const ecp::Frame& frame) const {
  const auto* ecpdu = outstanding(session);
  return frame.operation == ecp::Operation::kAck && ecpdu != nullptr && ecpdu->sequence == frame.sequence;
}

ecp::Session::Verdict Uplink::accept(ecp::Frame frame, std::uint64_t counter, Instant now) {
  nnve = frame.source;
  other_port.reset();
  questions_path = false;
  // It is back: what it missed, De-Associates above all, does not wait for a back-off.
  if (std::exchange(death_noted, false)) station.reassert_all(now);
  ++ecpdus_received;
  frame.source = session.config().peer_mac;
  if (authentication.begins_anew(frame, counter, session, exchange, now)) session.begin_anew();
  const auto verdict = session.handle_frame(frame, now);
  if (verdict == ecp::Session::Verdict::kDelivered) note_request(frame.sequence, now);
  return verdict;
}

/// What the nNVE acknowledged just before a crash is lost without a trace but this: its sequence does not go on.
void Uplink::note_request(EcpSequence sequence, Instant now) {
  const bool goes_on = !last_request || sequence.value() == static_cast<std::uint16_t>(last_request->value() + 1);
  last_request = sequence;
  if (!goes_on) reassert_soon(now);
}

void Uplink::reassert_soon(Instant now) {
  if (reassert_at) return;
  reassert_at = reasserted_at ? std::max(now, *reasserted_at + kReassertPause) : now;
}

void Uplink::reassert_due(Instant now) {
  if (!reassert_at || *reassert_at > now) return;
  reassert_at.reset();
  reasserted_at = now;
  ++reasserted;
  station.reassert_all(now);
}

Duration Uplink::dead_peer_time() const {
  const ecp::Timing& ecp = session.config().timing;
  return std::max<Duration>(failover_time, 2 * (1 + static_cast<int>(ecp.retries_max)) * ecp.ack_timer());
}

std::optional<Instant> Uplink::probe_at() const {
  if (!watched || !watched_since || !link_up || seeking()) return std::nullopt;
  return std::max(session.last_heard(), probed_at.value_or(*watched_since)) + dead_peer_time() / 4;
}

/// The next moment at which silence means something.
std::optional<Instant> Uplink::next_look() const {
  if (!watched || !watched_since || !link_up) return std::nullopt;
  const bool may_probe = session.idle() && authentication.may_send();
  const auto dies_at = death_noted ? std::nullopt : std::optional(dead_at());
  return may_probe ? earliest(dies_at, probe_at()) : dies_at;
}

bool Uplink::usable(Instant now) const {
  return link_up && nnve && watched_since && session.last_heard() >= *watched_since && now < dead_at() &&
         exchange.may_request() && authentication.may_send() && refusal().empty();
}

void Uplink::remember_vid(GroupId vn, Vid vid) {
  if (vid.is_null()) return;
  if (vids.size() >= kVidsMax) vids.clear();  // no link has more of them
  vids[vn] = vid;
}

Vid Uplink::remembered_vid(GroupId vn) const {
  const auto at = vids.find(vn);
  return at == vids.end() ? Vid() : at->second;
}

std::string Uplink::refusal() const {
  if (!uses_evb()) return signed_refusal;
  const bool group_ids = evb->machine().operational().group_ids;
  if (vdp::has_group(config.format) && !group_ids)
    return "the EVB neighbour on " + config.interface_name +
           " takes no GroupIDs: enable them there, or set the uplink's \"format\" to mac-vid or vid";
  return evb->refusal();
}

/// A shorter keep-alive interval begins with a renewal: the nNVE's lease is shorter from now on, too.
void Uplink::adopt(const ecp::Timing& ecp, const vdp::Timing& vdp, Instant now) {
  const Duration before = timing.keepalive_interval();
  timing = vdp;
  session.set_timing(ecp);
  station.set_timing(timing);
  exchange.set_timing({ecp.ack_timer(), timing.keepalive_interval()});
  if (timing.keepalive_interval() < before) reassert_soon(now);
}

void Uplink::adopt_timers(Instant now) { adopt(evb->ecp(), evb->vdp(), now); }

void Uplink::adopt_signed_timers(const ecp::Timing& ecp, const vdp::Timing& vdp, Instant now) {
  const auto& shown = exchange.peer();
  if (config.authentication.mode != auth::Mode::kRequire || !shown || !shown->has_timers()) return;
  const auto sum = agent::greater_timers(ecp, vdp, shown->timers);
  signed_refusal = sum.acceptable ? ""
                                  : "the timers of the nNVE on " + config.interface_name +
                                        " are beyond what is allowed here (" + agent::to_string(shown->timers) +
                                        "; at most " + evb::to_string(evb::kParametersMost) + "): lower them there";
  adopt(sum.ecp, sum.vdp, now);
}

}  // namespace splitnve::tnved
