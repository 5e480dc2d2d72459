// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/keys.hpp"

#include <openssl/crypto.h>

#include <algorithm>

#include "splitnve/base/check.hpp"

namespace splitnve::auth {

Key::~Key() { OPENSSL_cleanse(secret.data(), secret.size()); }

KeyRing::KeyRing(std::vector<Key> keys) : keys_(std::move(keys)) {
  for (const Key& key : keys_)
    ensure(std::count_if(keys_.begin(), keys_.end(), [&](const Key& other) { return other.id == key.id; }) == 1,
           "key ids are distinct");
}

const Key* KeyRing::find(KeyId id) const {
  const auto at = std::find_if(keys_.begin(), keys_.end(), [id](const Key& key) { return key.id == id; });
  return at == keys_.end() ? nullptr : &*at;
}

}  // namespace splitnve::auth
