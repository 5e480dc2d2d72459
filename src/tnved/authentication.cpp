// SPDX-License-Identifier: Apache-2.0
// Who may speak as the nNVE of an uplink (F2, S16): between the decoded frame and ECP.
#include "agent/authentication.hpp"

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

std::array<std::uint8_t, 16> Agent::Impl::nonce_for(const Uplink& uplink) const {
  const bool off = uplink.config.authentication.mode == auth::Mode::kOff;
  return off ? uplink.exchange.own().nonce : uplink.authentication.nonce();
}

void Agent::Impl::note_signer(const Uplink& uplink) {
  const auth::Session& session = *uplink.authentication.authenticator().session();
  const auth::Key* key = uplink.config.authentication.keys->find(session.key());
  ensure(key != nullptr, "a session is under a key of its peer");
  const auto number = signers_.note({session.parties().bridge_system, auth::fingerprint(*key),
                                     session.parties().bridge_mac, uplink.config.interface_name});
  if (number) signers_dirty_.push_back(*number);
}

/// An uplink whose nNVE has signed before takes nothing plain after a restart either (S40).
void Agent::Impl::restore_signers(std::span<const agent::StoreRecord> records) {
  for (const agent::StoreRecord& stored : records) {
    if (agent::record_kind(stored.key) != agent::RecordKind::kSigner) continue;
    if (const std::string wrong = signers_.restore(stored); !wrong.empty())
      notice("TNVED_RECORD_REFUSED", agent::Notice::Level::kError, "key=" + std::to_string(stored.key) + " " + wrong);
  }
  for (Uplink& uplink : uplinks_)
    if (uplink.config.authentication.mode == auth::Mode::kAccept &&
        signers_.has_interface(uplink.config.interface_name, *uplink.config.authentication.keys))
      uplink.authentication.require();
}

/// An nNVE that has a key may become the uplink's by its signature; one that signs nothing has to acknowledge us first.
std::optional<std::uint64_t> Agent::Impl::authenticate(Uplink& uplink, const ecp::Frame& frame, Instant now) {
  const auto foreign = [this] { return count_drop("source is not the uplink's nNVE"), std::nullopt; };
  const bool may_sign = uplink.config.authentication.mode != auth::Mode::kOff;
  const bool follows = other_port_answers(uplink, frame);
  if (!follows && !uplink.admits(frame, may_sign, now)) {
    note_other_port(uplink, frame, now);
    return foreign();
  }
  const auto heard = uplink.authentication.handle_frame(frame, uplink.session, uplink.exchange.own(), now, effects_);
  if (heard.established) {
    note_signer(uplink);
    uplink.exchange.set_nonce(uplink.authentication.nonce(), now);
    uplink.last_request.reset();
    meet(uplink, frame.source, now);
  }
  if (heard.shown) {
    exchanged(uplink, uplink.exchange.handle({heard.shown, false}, now), now);
    uplink.adopt_signed_timers(config_.ecp, config_.vdp, now);
  }
  if (heard.dropped != nullptr) count_drop(heard.dropped);
  if (!heard.pass) return std::nullopt;
  if (!follows && !uplink.admits(frame, heard.counter != 0, now)) return foreign();
  return heard.counter;
}

}  // namespace splitnve::tnved
