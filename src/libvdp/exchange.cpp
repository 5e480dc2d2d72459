// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/exchange.hpp"

#include <utility>

namespace splitnve::vdp {

Decoded<Heard> survey(Octets vdpdu) {
  VdpduReader reader(vdpdu);
  if (const auto manager = reader.manager(); !manager) return unexpected<DecodeError>(manager.error());
  Heard heard;
  while (true) {
    const auto tlv = reader.next();
    if (!tlv) return unexpected<DecodeError>(tlv.error());
    if (!*tlv) return heard;
    if (is_association(static_cast<TlvType>((*tlv)->type))) {
      heard.associations = true;
    } else if (!heard.capabilities && extension_type(**tlv) == ExtensionType::kCapabilities) {
      if (const auto read = decode_extension(**tlv)) heard.capabilities = std::get<Capabilities>(**read);
    }
  }
}

bool is_discovery(Octets vdpdu) {
  VdpduReader reader(vdpdu);
  if (!reader.manager()) return false;
  while (true) {
    const auto tlv = reader.next();
    if (!tlv) return false;
    if (!*tlv) return true;
    if (!is_looked_at_elsewhere(**tlv)) return false;
  }
}

const char* to_string(Exchange::Verdict verdict) {
  switch (verdict) {
    case Exchange::Verdict::kUnknown: return "unknown";
    case Exchange::Verdict::kCapable: return "capable";
    case Exchange::Verdict::kLegacy: return "legacy";
  }
  return "unknown";
}

Exchange::Exchange(const Capabilities& own, Timing timing, bool marked_legacy)
    : own_(own),
      timing_(timing),
      marked_legacy_(marked_legacy),
      verdict_(marked_legacy ? Verdict::kLegacy : Verdict::kUnknown) {}

Exchange::Change Exchange::handle(const Heard& heard, Instant now) {
  Change change;
  if (marked_legacy_) return change;
  if (!heard.capabilities) {
    // Whoever speaks VDP without them has none, or will show them.
    if (!heard.associations || verdict_ != Verdict::kUnknown) return change;
    verdict_ = Verdict::kLegacy;
    change.verdict = true;
    return change;
  }
  const Capabilities& shown = *heard.capabilities;
  if (shown.role == own_.role) return change;
  change.verdict = verdict_ != Verdict::kCapable;
  change.flags = change.verdict || peer_->flags != shown.flags;
  change.session = peer_ && peer_->nonce != shown.nonce;
  change.state_lost = peer_ && (peer_->epoch != shown.epoch || peer_->system != shown.system);
  change.another = peer_ && peer_->system != shown.system;
  if (change.session) {
    shown_ = in_flight_ = false;
    show_at_ = now;
  }
  verdict_ = Verdict::kCapable;
  peer_ = shown;
  return change;
}

Exchange::Change Exchange::handle_time(Instant now) {
  Change change;
  const auto due = next_deadline();
  if (!due || *due > now) return change;
  verdict_ = Verdict::kLegacy;
  change.verdict = true;
  return change;
}

void Exchange::handle_sent(Instant now) {
  in_flight_ = true;
  show_at_ = now + timing_.keepalive_interval;
}

void Exchange::handle_delivered(Instant now) {
  if (!std::exchange(in_flight_, false)) return;
  shown_ = true;
  show_at_ = now + timing_.keepalive_interval;
  // Whoever has not even acknowledged is not there, and no legacy peer yet.
  if (!verdict_at_) verdict_at_ = now + timing_.patience();
}

/// It is shown again at once; the session's own back-off spaces that.
void Exchange::handle_delivery_failed() {
  if (std::exchange(in_flight_, false) && verdict_ != Verdict::kLegacy && !shown_) show_at_ = Instant{};
}

void Exchange::reset(const std::array<std::uint8_t, 16>& nonce) {
  own_.nonce = nonce;
  verdict_ = marked_legacy_ ? Verdict::kLegacy : Verdict::kUnknown;
  in_flight_ = shown_ = false;
  show_at_ = Instant{};
  verdict_at_.reset();
}

void Exchange::set_nonce(const std::array<std::uint8_t, 16>& nonce, Instant now) {
  if (own_.nonce == nonce) return;
  own_.nonce = nonce;
  shown_ = in_flight_ = false;
  show_at_ = now;
}

const Capabilities* Exchange::to_show(Instant now) const {
  if (marked_legacy_) return nullptr;
  const bool wanted = verdict_ != Verdict::kCapable || !shown_ || now >= show_at_;
  return wanted ? &own_ : nullptr;
}

std::optional<Instant> Exchange::speak_at() const {
  switch (verdict_) {
    case Verdict::kUnknown: return own_.role == Role::kStation ? std::optional(show_at_) : std::nullopt;
    case Verdict::kCapable: return in_flight_ ? std::nullopt : std::optional(show_at_);
    case Verdict::kLegacy: return std::nullopt;
  }
  return std::nullopt;
}

Exchange::Standing Exchange::standing(Flags able) const {
  Standing out;
  out.verdict = verdict_;
  out.peer = peer_;
  if (verdict_ != Verdict::kUnknown) out.given_up = able.without(flags());
  return out;
}

bool Exchange::is_new_session(Octets vdpdu) const {
  const auto heard = survey(vdpdu);
  return heard && heard->capabilities && (!peer_ || heard->capabilities->nonce != peer_->nonce);
}

}  // namespace splitnve::vdp
