// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/nonces.hpp"

#include <openssl/crypto.h>

#include <algorithm>

namespace splitnve::auth {

Nonces::Nonces(const Secret& secret) : mac_(secret) {}

Secret Nonces::draw() {
  std::array<std::uint8_t, 8> number;
  BoundedWriter(number).u64(drawn_++);
  static_assert(sizeof(Secret) == Hmac::kDigestOctets);
  return mac_(number);
}

Nonce Nonces::next() {
  Secret drawn = draw();
  Nonce out;
  std::copy_n(drawn.begin(), out.size(), out.begin());
  OPENSSL_cleanse(drawn.data(), drawn.size());
  return out;
}

Secret Nonces::split() { return draw(); }

}  // namespace splitnve::auth
