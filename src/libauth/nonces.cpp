// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/nonces.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

namespace splitnve::auth {

Nonces::~Nonces() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

Secret Nonces::draw() {
  std::array<std::uint8_t, 8> number;
  BoundedWriter(number).u64(drawn_++);
  Secret out;
  static_assert(sizeof out == 32, "as long as the digest");
  ensure(HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), number.data(), number.size(), out.data(),
              nullptr) != nullptr,
         "libcrypto has failed");
  return out;
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
