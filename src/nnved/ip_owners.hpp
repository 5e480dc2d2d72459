// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <compare>
#include <cstdint>
#include <map>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"

namespace splitnve::nnved {

/// The longest ranges of addresses that a TSI may claim unless its VN allows wider ones (S6).
inline constexpr std::uint8_t kPrefixBitsMinV4 = 24;
inline constexpr std::uint8_t kPrefixBitsMinV6 = 64;

/// Do the two prefixes share an address?
bool overlap(const IpPrefix& a, const IpPrefix& b);

/// Which VSI holds which IP prefix of a VN (S6): prefixes of two VSIs never overlap, those of one VSI may. The work of
/// a look-up is bounded by the prefix lengths in use, never by how many prefixes there are.
class IpOwners {
 public:
  /// Who claims a prefix, or holds it: under which of its MACs, and at which of its places (the instance).
  struct Claim {
    VsiId vsi;
    MacAddress mac;
    std::uint32_t place = 0;
  };
  /// Who holds an address of the prefix and is another VSI, or the same one under another MAC at another place; null if
  /// there is none. The same MAC at another place is a takeover, which is the MAC's business.
  const Claim* other(GroupId vn, const IpPrefix& ip, const Claim& claim) const;
  /// Counted: a VSI may have an IP under several MACs and at several places; the first of them stands for all.
  void add(GroupId vn, const IpPrefix& ip, const Claim& claim);
  void remove(GroupId vn, const IpPrefix& ip);
  std::size_t size() const { return holders_.size(); }

 private:
  struct Key {
    GroupId vn;
    IpFamily family = IpFamily::kNone;
    std::array<std::uint8_t, 16> first{};
    std::uint8_t length = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Holder {
    Claim claim;
    std::uint32_t rows = 0;
  };
  struct FamilyKey {
    GroupId vn;
    IpFamily family = IpFamily::kNone;
    friend bool operator==(const FamilyKey&, const FamilyKey&) = default;
    friend std::size_t hash_value(const FamilyKey& key) {
      return boost::hash<std::uint64_t>()((std::uint64_t{key.vn.value()} << 8) |
                                          static_cast<std::uint64_t>(key.family));
    }
  };
  /// How many prefixes of each length a VN has.
  using Lengths = std::array<std::uint32_t, 129>;
  static Key key_of(GroupId vn, const IpPrefix& ip) { return {vn, ip.family, ip.octets, ip.length}; }
  const Claim* around(GroupId vn, const IpPrefix& ip, const Claim& claim) const;
  const Claim* within(GroupId vn, const IpPrefix& ip, const Claim& claim) const;

  std::map<Key, Holder> holders_;
  boost::unordered_flat_map<FamilyKey, Lengths> lengths_;
};

}  // namespace splitnve::nnved
