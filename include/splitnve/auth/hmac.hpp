// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "splitnve/base/bytes.hpp"

struct evp_mac_ctx_st;

namespace splitnve::auth {

/// HMAC-SHA-256 under one key, which is prepared once: that costs several times what a use of it does. Libcrypto keeps
/// the key, and wipes it. One thread at a time may use it.
class Hmac {
 public:
  static constexpr std::size_t kDigestOctets = 32;
  using Digest = std::array<std::uint8_t, kDigestOctets>;

  explicit Hmac(Octets key);
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;
  Hmac(Hmac&&) noexcept;
  Hmac& operator=(Hmac&&) noexcept;
  ~Hmac();

  /// Of both, one behind the other.
  Digest operator()(Octets first, Octets second = {}) const;

 private:
  struct Free {
    void operator()(evp_mac_ctx_st* context) const;
  };
  std::unique_ptr<evp_mac_ctx_st, Free> context_;
};

}  // namespace splitnve::auth
