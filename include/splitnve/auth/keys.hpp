// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "splitnve/base/ids.hpp"

namespace splitnve::auth {

inline constexpr std::size_t kKeyOctets = 32;

/// Names a pre-shared key on both ends.
using KeyId = StrongId<struct KeyIdTag, std::uint16_t>;

/// A pre-shared key; its secret is wiped with it.
struct Key {
  Key() = default;
  Key(KeyId id_, const std::array<std::uint8_t, kKeyOctets>& secret_) : id(id_), secret(secret_) {}
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();

  KeyId id;
  std::array<std::uint8_t, kKeyOctets> secret{};
};

/// Tells keys apart in stored records without telling them: the first 8 octets of SHA-256 over a label and the secret.
std::uint64_t fingerprint(const Key& key);

/// The keys that one peer may use: any of them is accepted, the first is the one we sign with. So keys roll over: add
/// the new one behind the old on both ends, then put it first, then take the old one away.
class KeyRing {
 public:
  KeyRing() = default;
  /// Requires distinct ids.
  explicit KeyRing(std::vector<Key> keys);
  /// Null if there is no such key.
  const Key* find(KeyId id) const;
  /// Null if there is no key at all.
  const Key* preferred() const { return keys_.empty() ? nullptr : &keys_.front(); }
  bool empty() const { return keys_.empty(); }
  bool has_fingerprint(std::uint64_t fingerprint) const;

 private:
  std::vector<Key> keys_;
  std::vector<std::uint64_t> fingerprints_;
};

}  // namespace splitnve::auth
