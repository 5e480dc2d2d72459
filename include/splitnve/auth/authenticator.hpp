// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "splitnve/auth/session.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::auth {

/// Local configuration, never a flag on the wire (S16).
enum class Mode : std::uint8_t {
  kOff,      ///< nothing is signed, nothing is looked at
  kAccept,   ///< signed if the peer can, plain otherwise, but never plain again once a session exists
  kRequire,  ///< nothing but the handshake without a session
};
const char* to_string(Mode mode);

/// Authentication of one peer: the handshake, the check of what comes in, the signature of what goes out (S16).
///
///   the one that begins              the other
///     hello: capabilities, plain  ->                            any plain ECPDU with capabilities is one
///                                 <- hello: capabilities, signed under (its nonce, ours)
///     SESSION, acknowledges signed ->                           first valid frame under the new keys: SESSION
///
/// Hellos and their acknowledgements are counted 0 and never reach ECP. A forged plain hello costs an answer and
/// changes nothing; a signed one that is not valid is not even answered. Our next nonce waits until it has made a
/// session, and makes only one: what was recorded under an older one is worth nothing. An old session lives until the
/// new one is there. Whoever has lost its session and hears signed frames says a plain hello, and so does one whose
/// ECPDUs fail.
///
/// Per frame: check(), then ECP's duplicate test, then is_fresh(), then ECP, then spend() if ECP took it. After any
/// call drain poll_frame().
class Authenticator {
 public:
  struct Config {
    Mode mode = Mode::kOff;
    std::shared_ptr<const KeyRing> keys;  ///< not empty unless off
    vdp::Role role = vdp::Role::kStation;
    MacAddress own_mac;
    Nonce seed{};  ///< unpredictable, of this conversation alone: our nonces come from it
  };
  enum class Verdict : std::uint8_t {
    kPass,       ///< for ECP: valid, or plain where plain is allowed
    kHandshake,  ///< was all for us
    kDrop,       ///< neither acknowledged nor delivered; `cause` says why
  };
  struct Judgement {
    Verdict verdict = Verdict::kPass;
    const char* cause = "";                  ///< of a drop, or of a hello that could not be used
    std::uint64_t counter = 0;               ///< of a valid ECPDU or acknowledgement; 0: plain
    bool established = false;                ///< this frame made a new session
    bool is_valid = false;                   ///< its tag is right
    std::optional<vdp::Capabilities> shown;  ///< by a valid hello
  };
  struct Stats {
    std::uint64_t sessions = 0, valid = 0, refused = 0, hellos_sent = 0, hellos_heard = 0;
  };

  explicit Authenticator(const Config& config);

  // --- what comes in ---
  /// `own` are our capabilities as they are shown; their nonce is ours to choose.
  Judgement check(const ecp::Frame& frame, const vdp::Capabilities& own, Instant now);
  /// Was this counter not accepted yet, nor one of a later request? 0, a plain frame, always is fresh.
  bool is_fresh(std::uint64_t counter, ecp::Operation operation) const;
  void spend(std::uint64_t counter, ecp::Operation operation);
  /// Nothing plain is taken of this peer from now on: it has signed before. Requires that it is not off.
  void require() {
    ensure(config_.mode != Mode::kOff, "a peer that signed has keys");
    config_.mode = Mode::kRequire;
  }
  /// A session that somebody else has found valid for the frame that is checked next (Greeter).
  void adopt(Session session) { candidate_.emplace(std::move(session)); }
  /// An ECPDU of ours was not acknowledged in time: after some in a row and nothing valid meanwhile, a new handshake.
  void handle_delivery_failed();
  /// A station without a session, where one is required, says hello.
  void handle_time(Instant now);
  std::optional<Instant> next_deadline() const;

  // --- what goes out ---
  /// May ECPDUs be sent? Where a session is required, not before there is one.
  bool may_send() const { return config_.mode != Mode::kRequire || session_; }
  /// Octets to leave free in every VDPDU.
  std::size_t reserve() const { return config_.mode == Mode::kOff ? 0 : kTlvOctets; }
  /// Signs a VDPDU, or makes the payload of an acknowledgement (`vdpdu` empty); leaves it as it is without a session.
  void seal(ecp::Operation operation, EcpSequence sequence, const MacAddress& destination, OctetString& vdpdu);
  /// The next frame of the handshake; false when none is left.
  /// Hellos and their acknowledgements go where what they answer came from; without that to `destination`.
  bool poll_frame(const vdp::Capabilities& own, const MacAddress& destination, OctetString& out);

  // --- what is known ---
  Mode mode() const { return config_.mode; }
  /// Null: there is none. Its nonce is the one to show in our capabilities from now on.
  const Session* session() const { return session_ ? &*session_ : nullptr; }
  /// The one to show as long as there is no session.
  const Nonce& nonce() const { return nonce_; }
  const Stats& stats() const { return stats_; }

 private:
  enum class Hello : std::uint8_t { kNone, kPlain, kCandidate, kSession };

  Judgement check_plain(const ecp::Frame& frame, const Outline& read, const vdp::Capabilities& own, Instant now);
  Judgement check_sealed(const ecp::Frame& frame, const Outline& read, const vdp::Capabilities& own, Instant now);
  Session* session_of(const ecp::Frame& frame, const Outline& read, const vdp::Capabilities& own);
  Judgement refuse(const char* cause);
  bool greets(const Outline& read, const ecp::Frame& frame) const;
  void answer_hello(const vdp::Capabilities& shown, const MacAddress& peer, const vdp::Capabilities& own, Instant now);
  Parties parties(const vdp::Capabilities& shown, const MacAddress& peer, const vdp::Capabilities& own) const;
  void establish();
  void renew_nonce();

  Config config_;
  Nonce nonce_{};
  std::uint64_t nonces_ = 0;
  std::optional<Session> session_;
  std::optional<Session> candidate_;    ///< the keys last derived; nothing valid has come under them
  Hello hello_ = Hello::kNone;          ///< owed
  std::optional<EcpSequence> ack_;      ///< owed, to a valid hello
  std::optional<MacAddress> hello_to_;  ///< where the handshake's last frame is answered, of a bridge
  Instant answered_at_{};
  std::optional<Instant> said_plain_at_;
  unsigned failures_ = 0;
  unsigned plain_hellos_ = 0;  ///< since there was a session
  Instant hello_at_{};
  Duration hello_pause_;
  Stats stats_;
};

}  // namespace splitnve::auth
