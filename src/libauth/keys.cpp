// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/keys.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <string_view>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/check.hpp"

namespace splitnve::auth {

Key::~Key() { OPENSSL_cleanse(secret.data(), secret.size()); }

std::uint64_t fingerprint(const Key& key) {
  constexpr std::string_view kLabel = "split-nve fingerprint 1";
  std::array<std::uint8_t, kLabel.size() + kKeyOctets> room;
  BoundedWriter writer(room);
  for (const char c : kLabel) writer.u8(static_cast<std::uint8_t>(c));
  writer.octets(key.secret);
  std::array<std::uint8_t, 32> digest;
  ensure(EVP_Digest(room.data(), room.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1,
         "libcrypto has failed");
  OPENSSL_cleanse(room.data(), room.size());
  std::uint64_t out = 0;
  BoundedReader(digest).u64(out);
  return out;
}

bool KeyRing::has_fingerprint(std::uint64_t fingerprint) const {
  return std::find(fingerprints_.begin(), fingerprints_.end(), fingerprint) != fingerprints_.end();
}

KeyRing::KeyRing(std::vector<Key> keys) : keys_(std::move(keys)) {
  for (const Key& key : keys_) fingerprints_.push_back(fingerprint(key));
  for (const Key& key : keys_)
    ensure(std::count_if(keys_.begin(), keys_.end(), [&](const Key& other) { return other.id == key.id; }) == 1,
           "key ids are distinct");
}

const Key* KeyRing::find(KeyId id) const {
  const auto at = std::find_if(keys_.begin(), keys_.end(), [id](const Key& key) { return key.id == id; });
  return at == keys_.end() ? nullptr : &*at;
}

}  // namespace splitnve::auth
