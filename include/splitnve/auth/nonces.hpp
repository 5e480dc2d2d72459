// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "splitnve/auth/hmac.hpp"
#include "splitnve/auth/session.hpp"

namespace splitnve::auth {

/// What everything unpredictable of an agent follows from: 32 octets of the kernel's random numbers, or fewer of a
/// test.
using Secret = std::array<std::uint8_t, 32>;

/// Nonces from a secret, by HMAC-SHA-256: none tells another, and none comes twice.
class Nonces {
 public:
  explicit Nonces(const Secret& secret);

  Nonce next();
  /// Another secret, for a part that keeps one of its own.
  Secret split();

 private:
  Secret draw();

  Hmac mac_;  ///< keyed with the secret
  std::uint64_t drawn_ = 0;
};

}  // namespace splitnve::auth
