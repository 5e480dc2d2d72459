// SPDX-License-Identifier: Apache-2.0
// Who may speak as the nNVE of an uplink (F2, S16): between the decoded frame and ECP.
#include "agent/authentication.hpp"

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

std::array<std::uint8_t, 16> Agent::Impl::nonce_for(const Uplink& uplink) const {
  const bool off = uplink.config.authentication.mode == auth::Mode::kOff;
  return off ? uplink.exchange.own().nonce : uplink.authentication.nonce();
}

/// An nNVE that has a key may become the uplink's by its signature; one that signs nothing has to acknowledge us first.
std::optional<std::uint64_t> Agent::Impl::authenticate(Uplink& uplink, const ecp::Frame& frame, Instant now) {
  const auto foreign = [this] { return count_drop("source is not the uplink's nNVE"), std::nullopt; };
  const bool may_sign = uplink.config.authentication.mode != auth::Mode::kOff;
  if (!uplink.admits(frame, may_sign, now)) return foreign();
  const auto heard = uplink.authentication.handle_frame(frame, uplink.session, uplink.exchange.own(), now, effects_);
  if (heard.established) {
    uplink.exchange.set_nonce(uplink.authentication.nonce(), now);
    uplink.last_request.reset();
    meet(uplink, frame.source, now);
  }
  if (heard.shown) exchanged(uplink, uplink.exchange.handle({heard.shown, false}, now), now);
  if (heard.dropped != nullptr) count_drop(heard.dropped);
  if (!heard.pass) return std::nullopt;
  if (!uplink.admits(frame, heard.counter != 0, now)) return foreign();
  return heard.counter;
}

}  // namespace splitnve::tnved
