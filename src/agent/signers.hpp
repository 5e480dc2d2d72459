// SPDX-License-Identifier: Apache-2.0
// Who has signed before, so that nobody speaks in its name without a signature where that is allowed (S40).
//
//   stored: version(1) system id(16) key fingerprint(8) MAC(6) interface length(1) interface
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "splitnve/agent/effects.hpp"
#include "splitnve/auth/keys.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::agent {

struct Signer {
  vdp::SystemId system{};
  std::uint64_t fingerprint = 0;  ///< of the key, auth::fingerprint()
  MacAddress mac;
  std::string interface_name;
  friend bool operator==(const Signer&, const Signer&) = default;
};

/// The peers that have signed, bounded by limits::kSignersMax; the oldest gives way, of the same
/// interface if there is one. One counts as long as the key that it signed with is configured: take the key away to let
/// it speak plainly again.
class Signers {
 public:
  /// Its number, if that is to be stored now; nullopt: it is known.
  std::optional<std::uint32_t> note(const Signer& signer);
  bool has_mac(const MacAddress& mac, std::string_view interface_name, const auth::KeyRing& keys) const;
  bool has_interface(std::string_view interface_name, const auth::KeyRing& keys) const;
  bool has_system(const vdp::SystemId& system, const auth::KeyRing& keys) const;
  std::uint32_t size() const { return static_cast<std::uint32_t>(signers_.size()); }

  /// False for a number whose record was lost.
  bool contains(std::uint32_t number) const { return !signers_.at(number).mac.is_zero(); }
  StoreRecord record(std::uint32_t number) const;
  /// What is wrong with the record; empty if it could be used.
  std::string restore(const StoreRecord& stored);

 private:
  std::size_t yields_to(std::string_view interface_name);

  std::vector<Signer> signers_;
  std::size_t oldest_ = 0;
};

}  // namespace splitnve::agent
