// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "splitnve/agent/effects.hpp"
#include "splitnve/auth/authenticator.hpp"
#include "splitnve/auth/nonces.hpp"
#include "splitnve/ecp/session.hpp"
#include "splitnve/vdp/exchange.hpp"

namespace splitnve::agent {

/// The secret of an agent: the configured one, else one that its seed tells.
auth::Secret secret_of(const std::optional<auth::Secret>& configured, std::uint64_t seed);

/// What is configured for a peer.
struct AuthenticationPolicy {
  auth::Mode mode = auth::Mode::kOff;
  std::shared_ptr<const auth::KeyRing> keys;  ///< not empty unless off
};

/// PEER_UNAUTHENTICATED, with what to do about it.
Notice unauthenticated(const std::string& subject, const char* cause);

/// The authentication of one peer between the wire and its ECP session, as both agents use it, and what is logged of
/// it: one Transition per result, one notice a minute about what is refused.
///
///   received: handle_frame() -> ECP session -> handled()      sent: send() -> poll_frame() until it is false
class Authentication {
 public:
  /// Of a frame: what its agent has still to do.
  struct Heard {
    bool pass = false;  ///< give it to the ECP session, then call handled()
    std::uint64_t counter = 0;
    bool is_valid = false;                   ///< signed, and rightly
    bool established = false;                ///< nonce() is another now, the peer may have begun anew
    std::optional<vdp::Capabilities> shown;  ///< by a hello: they are true
    const char* dropped = nullptr;           ///< the cause, to be counted
  };

  /// `subject` names the peer in logs.
  Authentication(const auth::Authenticator::Config& config, std::string subject);

  /// Judges a frame of the peer before anything else looks at it. `own` are the capabilities that it is shown.
  Heard handle_frame(const ecp::Frame& frame, ecp::Session& session, const vdp::Capabilities& own, Instant now,
                     EffectQueue& effects);
  void handled(ecp::Session::Verdict verdict, std::uint64_t counter);
  /// Whether a frame that passed begins a session of VDP: it shows other capabilities, and is no old frame again, which
  /// anybody can send. ECP then starts anew: what it remembered of the peer's sequence belongs to the session before.
  bool begins_anew(const ecp::Frame& frame, std::uint64_t counter, const ecp::Session& session,
                   const vdp::Exchange& exchange, Instant now) const {
    return authenticator_.is_fresh(counter, frame.operation) && session.is_stale(frame, now) &&
           exchange.is_new_session(frame.payload);
  }
  /// It has signed before (Signers).
  void require() { authenticator_.require(); }
  /// Of a station that was unknown until this session: its frame is handled next.
  void adopt(auth::Session session) { authenticator_.adopt(std::move(session)); }
  void handle_delivery_failed() { authenticator_.handle_delivery_failed(); }
  void handle_time(Instant now) { authenticator_.handle_time(now); }
  std::optional<Instant> next_deadline() const { return authenticator_.next_deadline(); }

  bool may_send() const { return authenticator_.may_send(); }
  /// The longest VDPDU that leaves room for the signature.
  std::size_t vdpdu_octets_max() const { return limits::kVdpduOctetsMax - authenticator_.reserve(); }
  /// Signs the VDPDU and gives it to the session. Requires session.ready(now), may_send() and vdpdu_octets_max().
  void send(ecp::Session& session, OctetString& vdpdu, Instant now);
  /// The next frame: of the handshake, an acknowledgement, an ECPDU; false when none is left.
  bool poll_frame(ecp::Session& session, const vdp::Capabilities& own, OctetString& out);

  /// The one to show in our capabilities.
  const auth::Nonce& nonce() const {
    return authenticator_.session() != nullptr ? authenticator_.session()->own_nonce() : authenticator_.nonce();
  }
  const auth::Authenticator& authenticator() const { return authenticator_; }
  /// For people.
  struct View {
    const char* state = "off";  ///< off, none, refused, authenticated
    std::optional<auth::KeyId> key;
    const char* refusal = "";  ///< the last cause, without a session
    std::uint64_t sessions = 0, refused = 0;
  };
  View view() const;

 private:
  void log_refusal(const char* cause, Instant now, EffectQueue& effects);

  auth::Authenticator authenticator_;
  std::string subject_;
  const char* state_ = "none";
  const char* refusal_ = "";
  std::optional<Instant> noticed_at_;
};

}  // namespace splitnve::agent
