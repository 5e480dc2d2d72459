// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "splitnve/ecp/session.hpp"

namespace splitnve::ecp {
namespace {

constexpr unsigned kRetriesMax = 7;
constexpr unsigned kRetransmissionExponentMax = 31;

EcpSequence following(EcpSequence sequence) {
  return EcpSequence(static_cast<std::uint16_t>(sequence.value() + 1));  // modulo 2^16, 0 included
}

// The EVB codec narrows what a peer announces to these bits, so a wider value is our own mistake.
Timing checked(Timing timing) {
  ensure(timing.retries_max <= kRetriesMax, "R is at most 7");
  ensure(timing.retransmission_exponent <= kRetransmissionExponentMax, "RTE is at most 31");
  return timing;
}

}  // namespace

Transmitter::Transmitter(Timing timing, EcpSequence first) : timing_(checked(timing)), next_(first) {}

void Transmitter::set_timing(Timing timing) { timing_ = checked(timing); }

void Transmitter::send(Octets payload, Instant now) {
  ensure(ready(), "an ECPDU is outstanding or its outcome not polled");
  ensure(payload.size() <= limits::kVdpduOctetsMax, "a VDPDU is longer than an ECPDU may be");
  payload_.assign(payload.begin(), payload.end());
  state_ = AwaitingAck{next_, timing_.retries_max, now + timing_.ack_timer()};
  next_ = following(next_);
  transmit_ = true;
  ++stats_.sent;
}

bool Transmitter::handle_ack(EcpSequence sequence, Instant) {
  const auto* waiting = std::get_if<AwaitingAck>(&state_);
  if (waiting == nullptr || waiting->sequence != sequence) {
    ++stats_.unexpected_acks;
    return false;
  }
  state_ = Idle{};
  transmit_ = false;  // a retransmission not yet polled has become needless
  outcome_ = Outcome::kDelivered;
  ++stats_.delivered;
  return true;
}

bool Transmitter::handle_time(Instant now) {
  auto* waiting = std::get_if<AwaitingAck>(&state_);
  if (waiting == nullptr || now < waiting->resend_at) return false;
  if (waiting->retries_left == 0) {
    state_ = Idle{};
    transmit_ = false;
    outcome_ = Outcome::kFailed;
    ++stats_.failed;
    return true;
  }
  --waiting->retries_left;
  // From now, not from the missed deadline: a late call must not fire all retries at once.
  waiting->resend_at = now + timing_.ack_timer();
  transmit_ = true;
  ++stats_.retransmitted;
  return false;
}

void Transmitter::abandon() {
  if (!std::holds_alternative<AwaitingAck>(state_)) return;
  state_ = Idle{};
  transmit_ = false;
  outcome_ = Outcome::kFailed;
  ++stats_.failed;
}

void Transmitter::reset() {
  state_ = Idle{};
  transmit_ = false;
  outcome_.reset();
}

std::optional<Transmitter::Pdu> Transmitter::poll_transmit() {
  if (!std::exchange(transmit_, false)) return std::nullopt;
  const auto* waiting = std::get_if<AwaitingAck>(&state_);
  ensure(waiting != nullptr, "an idle transmitter has nothing to transmit");
  return Pdu{waiting->sequence, payload_};
}

std::optional<Transmitter::Outcome> Transmitter::poll_outcome() { return std::exchange(outcome_, std::nullopt); }

std::optional<Instant> Transmitter::next_deadline() const {
  const auto* waiting = std::get_if<AwaitingAck>(&state_);
  return waiting == nullptr ? std::nullopt : std::optional(waiting->resend_at);
}

}  // namespace splitnve::ecp
