// SPDX-License-Identifier: Apache-2.0
#include "splitnve/evb/machine.hpp"

#include <algorithm>

#include "splitnve/base/check.hpp"

namespace splitnve::evb {
namespace {

constexpr std::array<unsigned Parameters::*, 4> kAll = {&Parameters::retries, &Parameters::rte, &Parameters::rwd,
                                                        &Parameters::rka};
constexpr std::size_t kRwd = 2, kRka = 3;
constexpr unsigned kHoldIntervals = 4;  // IEEE 802.1AB msgTxHold
constexpr unsigned kLatchIntervals = 2;

unexpected<DecodeError> ignored(const char* cause, std::size_t offset) {
  return unexpected<DecodeError>(DecodeError{cause, offset});
}

bool within(const Parameters& values, const Parameters& least, const Parameters& most) {
  return std::all_of(kAll.begin(), kAll.end(),
                     [&](auto one) { return values.*one >= least.*one && values.*one <= most.*one; });
}

Role other(Role role) { return role == Role::kBridge ? Role::kStation : Role::kBridge; }

/// The neighbour's own value after what it announces now.
std::optional<unsigned> learn(std::optional<unsigned> before, unsigned value, bool echo) {
  if (!echo) return value;
  return before ? std::optional(std::min(*before, value)) : std::nullopt;
}

}  // namespace

Duration longest_hold(Duration interval) {
  return kHoldIntervals * std::max(interval, kLldpInterval) + std::chrono::seconds(1);
}

std::string to_string(const Parameters& values) {
  return "R " + std::to_string(values.retries) + ", RTE " + std::to_string(values.rte) + ", RWD " +
         std::to_string(values.rwd) + ", RKA " + std::to_string(values.rka);
}

Machine::Machine(Config config) : config_(std::move(config)) {
  ensure(within(config_.values, kParametersLeast, kParametersMost), "EVB values are within our own bounds");
  ensure(config_.interval >= kLldpFastInterval, "the LLDP interval is at least a second");
  operational_ = derive();
  announced_ = compose();
}

const Machine::Neighbour* Machine::neighbour() const {
  const auto* there = std::get_if<Neighboured>(&state_);
  return there == nullptr ? nullptr : &there->neighbour;
}

Decoded<void> Machine::handle_frame(Octets octets, Instant now) {
  ++stats_.received;
  auto frame = decode_lldp(octets);
  const auto taken = frame ? take(std::move(*frame), now) : ignored(frame.error().cause, frame.error().offset);
  if (!taken) ++stats_.ignored;
  return taken;
}

Decoded<void> Machine::take(LldpFrame frame, Instant now) {
  constexpr std::size_t kSourceOffset = 6, kPduOffset = 14;
  if (!up_) return ignored("LLDP while the link is down", 0);
  if (!is_link_group(frame.destination)) return ignored("LLDP to another address", 0);
  if (frame.source == config_.own_mac) return ignored("our own LLDP frame", kSourceOffset);
  const Neighbour* known = neighbour();
  const bool same = known != nullptr && known->source == frame.source && known->destination == frame.destination;
  if (known != nullptr && !same) return ignored("LLDP of another neighbour", kSourceOffset);
  const Role theirs = other(config_.role);
  const bool speaks = frame.evb && frame.evb->mode == static_cast<std::uint8_t>(theirs) && frame.ttl_seconds != 0;
  if (!speaks && same) {
    forget(frame.ttl_seconds == 0 ? "the neighbour said goodbye" : "the neighbour stopped EVB", now);
    return {};
  }
  if (frame.ttl_seconds == 0) return ignored("LLDP goodbye of nobody we know", kPduOffset);
  if (!frame.evb) return ignored("LLDP without EVB", kPduOffset);
  if (!speaks) return ignored("the EVB neighbour has our own role", kPduOffset);

  const auto of_us = [&](const Tlv& tlv) { return tlv.status_of(config_.role); };
  const bool restarted = same && of_us(known->heard) != 0 && of_us(*frame.evb) == 0 && of_us(announced_) != 0;
  Neighbour next{frame.source,
                 frame.destination,
                 std::move(frame.chassis),
                 std::move(frame.port),
                 *frame.evb,
                 frame.ttl_seconds,
                 now,
                 now + std::min<Duration>(std::chrono::seconds(frame.ttl_seconds), longest_hold(config_.interval)),
                 {}};
  const std::array<bool, 4> echo = {false, false, frame.evb->rwd_remote, frame.evb->rka_remote};
  for (std::size_t i = 0; i < kAll.size(); ++i)
    next.own[i] = learn(same && !restarted ? known->own[i] : std::nullopt, frame.evb->values.*kAll[i], echo[i]);
  const char* reason = restarted ? "the neighbour restarted" : same ? "the neighbour's values" : "a neighbour";
  enter(Neighboured{std::move(next)}, reason, restarted, now);
  if (!same || restarted) announce_soon(now);
  return {};
}

void Machine::forget(const char* reason, Instant now) {
  latches_ = {};
  enter(Alone{}, reason, false, now);
}

void Machine::enter(State next, const char* reason, bool restarted, Instant now) {
  state_ = std::move(next);
  settle(reason, restarted, now);
}

void Machine::settle(const char* reason, bool restarted, Instant now) {
  const Operational next = derive();
  if (next != operational_ || restarted) changes_.push_back({operational_, next, reason, restarted});
  operational_ = next;
  const Tlv tlv = compose();
  if (tlv == announced_) return;
  announced_ = tlv;
  announce_soon(now);
}

std::optional<unsigned> Machine::theirs(std::size_t parameter) const {
  const Neighbour* known = neighbour();
  return known == nullptr || latches_[parameter] ? std::nullopt : known->own[parameter];
}

Operational Machine::derive() const {
  Operational next;
  next.values = config_.values;
  for (std::size_t i = 0; i < kAll.size(); ++i)
    next.values.*kAll[i] = std::max(next.values.*kAll[i], theirs(i).value_or(0));
  const Neighbour* known = neighbour();
  if (known == nullptr) return next;
  next.negotiated = true;
  next.acceptable = within(next.values, Parameters{0, 0, 0, 0}, kParametersMost);
  const Tlv& heard = known->heard;
  if (config_.role == Role::kBridge) {
    next.group_ids = config_.group_ids && (heard.station_status & station_status::kGroupIds) != 0;
    next.reflective_relay = config_.reflective_relay && (heard.station_status & station_status::kRelayWanted) != 0;
  } else {
    next.group_ids = config_.group_ids && (heard.bridge_status & bridge_status::kGroupIds) != 0;
    next.reflective_relay = config_.reflective_relay && (heard.bridge_status & bridge_status::kRelayOn) != 0;
  }
  return next;
}

Tlv Machine::compose() const {
  Tlv tlv;
  tlv.mode = static_cast<std::uint8_t>(config_.role);
  tlv.values = operational_.values;
  tlv.rwd_remote = theirs(kRwd) && *theirs(kRwd) >= config_.values.rwd;
  tlv.rka_remote = theirs(kRka) && *theirs(kRka) >= config_.values.rka;
  const Neighbour* known = neighbour();
  if (config_.role == Role::kBridge) {
    tlv.station_status = known == nullptr ? std::uint8_t{0} : known->heard.station_status;
    if (config_.group_ids) tlv.bridge_status |= bridge_status::kGroupIds;
    if (config_.reflective_relay) tlv.bridge_status |= bridge_status::kRelayCapable;
    if (operational_.reflective_relay) tlv.bridge_status |= bridge_status::kRelayOn;
    return tlv;
  }
  tlv.bridge_status = known == nullptr ? std::uint8_t{0} : known->heard.bridge_status;
  if (config_.group_ids) tlv.station_status |= station_status::kGroupIds;
  if (config_.reflective_relay) tlv.station_status |= station_status::kRelayWanted;
  const bool relay = (tlv.bridge_status & bridge_status::kRelayOn) != 0;
  tlv.station_status |= known == nullptr ? station_status::kRelayUnknown
                        : relay          ? station_status::kRelayOn
                                         : station_status::kRelayOff;
  return tlv;
}

void Machine::announce_soon(Instant now) {
  if (!up_) return;
  fast_left_ = kLldpFastCount;
  next_send_ = sent_at_ ? std::max(now, *sent_at_ + kLldpFastInterval) : now;
}

void Machine::handle_time(Instant now) {
  if (const Neighbour* known = neighbour(); known != nullptr && known->expires <= now)
    forget("the neighbour is silent", now);
  bool over = false;
  for (auto& latch : latches_) {
    if (!latch || *latch > now) continue;
    latch.reset();
    over = true;
  }
  if (over) settle("the decrease has been told", false, now);
  if (!up_ || next_send_ > now) return;
  send_ = true;
  sent_at_ = now;
  if (fast_left_ > 0) --fast_left_;
  next_send_ = now + (fast_left_ > 0 ? kLldpFastInterval : config_.interval);
}

void Machine::handle_link(bool up, Instant now) {
  if (up == up_) return;
  up_ = up;
  if (up) {
    goodbye_ = false;
    return announce_soon(now);
  }
  send_ = false;
  forget("link down", now);
}

void Machine::set_values(const Parameters& values, Instant now) {
  ensure(within(values, kParametersLeast, kParametersMost), "EVB values are within our own bounds");
  for (std::size_t i = 0; i < kAll.size(); ++i)
    if (values.*kAll[i] < config_.values.*kAll[i] && neighbour() != nullptr)
      latches_[i] = now + kLatchIntervals * config_.interval;
  config_.values = values;
  settle("our values", false, now);
}

void Machine::shut_down(Instant now) {
  if (!up_) return;
  handle_link(false, now);
  goodbye_ = true;
}

LldpFrame Machine::pdu(std::uint16_t ttl_seconds) const {
  LldpFrame frame{kNearestCustomerBridge, config_.own_mac, config_.chassis, config_.port, ttl_seconds, std::nullopt};
  if (ttl_seconds != 0) frame.evb = announced_;
  return frame;
}

bool Machine::poll_frame(OctetString& out) {
  if (!goodbye_ && !send_) return false;
  const auto hold = std::chrono::ceil<std::chrono::seconds>(kHoldIntervals * config_.interval).count();
  const auto ttl = static_cast<std::uint16_t>(std::min<std::int64_t>(hold, UINT16_MAX));
  encode_lldp(pdu(goodbye_ ? std::uint16_t{0} : ttl), out);
  goodbye_ = send_ = false;
  ++stats_.sent;
  return true;
}

std::optional<Machine::Change> Machine::poll_change() {
  if (changes_.empty()) return std::nullopt;
  const Change change = changes_.front();
  changes_.pop_front();
  return change;
}

std::optional<Instant> Machine::next_deadline() const {
  std::optional<Instant> next;
  if (up_) next = next_send_;
  if (const Neighbour* known = neighbour()) next = earliest(next, known->expires);
  for (const auto& latch : latches_) next = earliest(next, latch);
  return next;
}

}  // namespace splitnve::evb
