// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <boost/container_hash/hash.hpp>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "splitnve/base/ids.hpp"

namespace splitnve {

enum class IpFamily : std::uint8_t { kNone = 0, kV4 = 4, kV6 = 6 };
constexpr std::uint8_t address_bits(IpFamily family) {
  return family == IpFamily::kV4 ? 32 : family == IpFamily::kV6 ? 128 : 0;
}

/// An IP address, or a range of them as a prefix; family kNone is "no IP". IPv4 fills the first four octets, what the
/// family does not use is zero.
struct IpPrefix {
  IpFamily family = IpFamily::kNone;
  std::uint8_t length = 0;  ///< prefix length in bits; address_bits(family) is one address
  std::array<std::uint8_t, 16> octets{};

  /// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/64`; `nullopt` for anything else, host bits set included.
  static std::optional<IpPrefix> from_string(std::string_view text);
  /// The same; "-" for no IP.
  std::string to_string() const;
  constexpr bool is_none() const { return family == IpFamily::kNone; }
  constexpr bool is_single() const { return !is_none() && length == address_bits(family); }
  /// Is a bit behind the prefix set? Requires length <= address_bits(family).
  bool has_host_bits() const;
  /// One IPv6 address of fe80::/10.
  constexpr bool is_link_local() const {
    return family == IpFamily::kV6 && is_single() && octets[0] == 0xFE && (octets[1] & 0xC0) == 0x80;
  }
  /// What a tenant may send from: no single unspecified, loopback or broadcast address, and nothing of multicast.
  bool is_usable_source() const;
  friend constexpr auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
  friend bool operator==(const IpPrefix& a, const IpPrefix& b) {
    return a.family == b.family && a.length == b.length && Octets16(a.octets) == Octets16(b.octets);
  }
  friend std::size_t hash_value(const IpPrefix& ip) {
    return Octets16(ip.octets).hash() ^ (static_cast<std::size_t>(ip.family) << 8 | ip.length);
  }
};

}  // namespace splitnve
