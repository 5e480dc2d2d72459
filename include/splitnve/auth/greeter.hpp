// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <optional>

#include "splitnve/auth/session.hpp"
#include "splitnve/base/time.hpp"

namespace splitnve::auth {

/// A bridge's side of the handshake with stations of which it remembers nothing (S40): the nonce that it shows follows
/// from a secret of this process, the time, and what the station has said, so that it is known again when the station
/// signs with it. One hello is answered by one, nothing is repeated, and nothing is kept before a signature is valid.
///
///   plain hello (capabilities)  ->
///                               <- hello signed under (its nonce, nonce(...))
///   signed under both           -> open(): the session, with which an Authenticator goes on
class Greeter {
 public:
  static constexpr Duration kSlot = std::chrono::seconds(10);
  using Secret = std::array<std::uint8_t, 32>;
  /// Who speaks to whom.
  struct Link {
    std::uint32_t port = 0;
    MacAddress own_mac;
    MacAddress station;
  };

  /// `secret`: unpredictable, of this process alone.
  explicit Greeter(const Secret& secret) : mac_(secret) {}

  /// The answer to a plain hello that showed `shown`, as a frame; `own` are our capabilities, their nonce is replaced.
  void answer(const vdp::Capabilities& shown, const Key& key, const vdp::Capabilities& own, const Link& link,
              const MacAddress& destination, Instant now, OctetString& out) const;
  /// The session under which this frame is signed, if it is by a nonce of ours that is at most two slots old. Its key
  /// is derived only for a frame that names the right session.
  std::optional<Session> open(const ecp::Frame& frame, const Outline& read, const KeyRing& keys,
                              const vdp::Capabilities& own, const Link& link, Instant now) const;
  /// A session that was made by an answer of ours has ended: what was recorded of it must not make another one.
  void forget() { ++generation_; }

 private:
  Parties parties(const vdp::Capabilities& shown, const vdp::Capabilities& own, const Link& link,
                  std::int64_t slot) const;

  Hmac mac_;  ///< keyed with the secret
  std::uint64_t generation_ = 0;
};

}  // namespace splitnve::auth
