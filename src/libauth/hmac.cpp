// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/hmac.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

namespace splitnve::auth {
namespace {

char kSha256[] = "SHA256";  // OSSL_PARAM wants it writable, and does not write

void must(bool ok) { ensure(ok, "libcrypto has failed"); }

}  // namespace

void Hmac::Free::operator()(evp_mac_ctx_st* context) const { EVP_MAC_CTX_free(context); }

Hmac::Hmac(Octets key) {
  static const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr),
                                                                      EVP_MAC_free);
  must(hmac != nullptr);
  context_.reset(EVP_MAC_CTX_new(hmac.get()));
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, kSha256, 0),
                               OSSL_PARAM_construct_end()};
  must(context_ != nullptr && EVP_MAC_init(context_.get(), key.data(), key.size(), params) == 1);
}

Hmac::Hmac(Hmac&&) noexcept = default;
Hmac& Hmac::operator=(Hmac&&) noexcept = default;
Hmac::~Hmac() = default;

Hmac::Digest Hmac::operator()(Octets first, Octets second) const {
  Digest digest;
  std::size_t octets = 0;
  // Without a key it begins anew under the one it was prepared with.
  must(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1 &&
       EVP_MAC_update(context_.get(), first.data(), first.size()) == 1 &&
       EVP_MAC_update(context_.get(), second.data(), second.size()) == 1 &&
       EVP_MAC_final(context_.get(), digest.data(), &octets, digest.size()) == 1 && octets == digest.size());
  return digest;
}

}  // namespace splitnve::auth
