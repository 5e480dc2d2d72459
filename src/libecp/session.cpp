// SPDX-License-Identifier: Apache-2.0
#include "splitnve/ecp/session.hpp"

#include <utility>

namespace splitnve::ecp {
namespace {

// Acks that may wait for poll_frame(): as many as the inbox holds ECPDUs. The caller drains after every call, so only
// one that does not meets this bound, and then the peer's retransmission finds room again.
constexpr std::size_t kQueuedAcksMax = limits::kInboxEcpdusMax;

}  // namespace

Session::Session(const Config& config)
    : config_(config), transmitter_(config.timing, config.first_sequence), inbox_(limits::kInboxEcpdusMax) {
  acks_.reserve(kQueuedAcksMax);
}

void Session::set_timing(Timing timing) {
  config_.timing = timing;
  transmitter_.set_timing(timing);
}

Session::Verdict Session::handle_frame(const Frame& frame, Instant now) {
  ensure(frame.source == config_.peer_mac, "a frame was given to another peer's session");
  last_heard_ = now;
  switch (frame.operation) {
    case Operation::kRequest: return handle_request(frame, now);
    case Operation::kAck:
      if (!transmitter_.handle_ack(frame.sequence, now)) return Verdict::kUnexpectedAck;
      failures_ = 0;
      backoff_until_.reset();
      return Verdict::kAck;
  }
  ensure(false, "an ECP operation outside its enumeration");
  return Verdict::kUnexpectedAck;
}

// S11: a repeat is acknowledged even with a full inbox, since it needs no room there; a new ECPDU without room is left
// unremembered, so that its retransmission is delivered once there is room. Who waits for acknowledgements never sends
// one, for the ECPDU that fills the inbox is acknowledged when the next one fits.
Session::Verdict Session::handle_request(const Frame& frame, Instant now) {
  if (acks_.size() >= kQueuedAcksMax) return Verdict::kInboxFull;
  const Duration window = config_.timing.duplicate_window();
  switch (receiver_.classify(frame.sequence, frame.payload, now, window)) {
    case Receiver::Verdict::kDuplicate:
      if (held_ack_ != frame.sequence) acks_.push_back(frame.sequence);
      return Verdict::kDuplicate;
    case Receiver::Verdict::kStale: acks_.push_back(frame.sequence); return Verdict::kStale;
    case Receiver::Verdict::kNew: break;
  }
  if (inbox_count_ == inbox_.size()) return Verdict::kInboxFull;
  receiver_.accept(frame.sequence, frame.payload, now);
  backoff_until_.reset();  // who speaks may hear again; the next failure waits longer than the last all the same
  push_inbox(frame.payload);
  if (inbox_count_ == inbox_.size()) {
    held_ack_ = frame.sequence;
  } else {
    acks_.push_back(frame.sequence);
  }
  return Verdict::kDelivered;
}

void Session::handle_time(Instant now) {
  if (backoff_until_ && now >= *backoff_until_) backoff_until_.reset();
  if (transmitter_.handle_time(now)) back_off(now);
}

void Session::back_off(Instant now) {
  ++failures_;
  Duration pause = config_.timing.ack_timer();
  for (unsigned i = 0; i < failures_ && pause < limits::kEcpBackoffMax; ++i) pause *= 2;
  backoff_until_ = now + std::min(pause, limits::kEcpBackoffMax);
}

void Session::link_down() {
  transmitter_.reset();
  receiver_.reset();
  acks_.clear();
  held_ack_.reset();
  failures_ = 0;
  backoff_until_.reset();
}

bool Session::ready(Instant now) const { return transmitter_.ready() && (!backoff_until_ || now >= *backoff_until_); }

void Session::send(Octets vdpdu, Instant now) {
  ensure(ready(now), "a VDPDU was sent while the session was not ready");
  backoff_until_.reset();
  transmitter_.send(vdpdu, now);
}

std::optional<Transmitter::Outcome> Session::poll_outcome() { return transmitter_.poll_outcome(); }

void Session::push_inbox(Octets payload) {
  inbox_[(inbox_head_ + inbox_count_) % inbox_.size()].assign(payload.begin(), payload.end());
  ++inbox_count_;
}

std::optional<Octets> Session::inbox_front() const {
  if (inbox_count_ == 0) return std::nullopt;
  return Octets(inbox_[inbox_head_]);
}

void Session::pop_inbox() {
  ensure(inbox_count_ > 0, "popping an empty inbox");
  inbox_head_ = (inbox_head_ + 1) % inbox_.size();
  --inbox_count_;
  if (held_ack_) acks_.push_back(*std::exchange(held_ack_, std::nullopt));
}

std::optional<EcpSequence> Session::poll_ack() {
  if (acks_.empty()) return std::nullopt;
  const EcpSequence sequence = acks_.front();
  acks_.erase(acks_.begin());  // at most kQueuedAcksMax words move
  return sequence;
}

bool Session::poll_frame(OctetString& out) {
  out.clear();
  if (const auto sequence = poll_ack()) {
    encode_frame(config_.destination, config_.own_mac, Operation::kAck, *sequence, {}, out);
    return true;
  }
  const auto pdu = transmitter_.poll_transmit();
  if (!pdu) return false;
  encode_frame(config_.destination, config_.own_mac, Operation::kRequest, pdu->sequence, pdu->payload, out);
  return true;
}

std::optional<Instant> Session::next_deadline() const { return earliest(transmitter_.next_deadline(), backoff_until_); }

}  // namespace splitnve::ecp
