// SPDX-License-Identifier: Apache-2.0
// The identifiers of the field as types. All are regular values, comparable, hashable by boost::hash.
#pragma once
#include <array>
#include <bit>
#include <boost/container_hash/hash.hpp>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "splitnve/base/wire_order.hpp"

namespace splitnve {

/// Identifiers are compared and hashed with every look-up: as words, where a default would call memcmp and hash octets.
struct Octets16 {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  explicit Octets16(const std::array<std::uint8_t, 16>& octets) {
    std::memcpy(&first, octets.data(), sizeof first);
    std::memcpy(&second, octets.data() + sizeof first, sizeof second);
  }
  friend bool operator==(const Octets16&, const Octets16&) = default;
  /// One word of both; the hash tables mix its bits.
  std::size_t hash() const { return first ^ (second * 0x9E3779B97F4A7C15u); }
};

/// An integer of one meaning; never converts by itself.
template <class Tag, class Rep>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  friend std::size_t hash_value(StrongId id) { return boost::hash<Rep>()(id.value_); }

 private:
  Rep value_ = 0;
};

/// A port of an agent (access port of nnved, uplink or VM port of tnved). The edge maps it to an interface.
using PortId = StrongId<struct PortIdTag, std::uint32_t>;
/// A TSI instance (S1) as store key and datapath id; 0 is "none".
using InstanceId = StrongId<struct InstanceIdTag, std::uint32_t>;
/// A bridge domain of the datapath: one VN as one agent forwards it.
using DomainId = StrongId<struct DomainIdTag, std::uint32_t>;
/// A batch of effects; results name it. Rises by one per batch, per agent.
using BatchId = StrongId<struct BatchIdTag, std::uint64_t>;
/// ECP sequence number; arithmetic is modulo 2^16.
using EcpSequence = StrongId<struct EcpSequenceTag, std::uint16_t>;

/// VLAN identifier, 12 bits. 0 is the null VID: "assign one" in a request, "untagged" in the datapath.
class Vid {
 public:
  constexpr Vid() = default;
  constexpr explicit Vid(std::uint16_t value) : value_(value & 0x0FFF) {}
  constexpr std::uint16_t value() const { return value_; }
  constexpr bool is_null() const { return value_ == 0; }
  /// 2..4094: VID 1 is every bridge's default, 4095 is reserved.
  constexpr bool is_assignable() const { return value_ >= 2 && value_ <= 4094; }
  friend constexpr auto operator<=>(Vid, Vid) = default;
  friend std::size_t hash_value(Vid vid) { return boost::hash<std::uint16_t>()(vid.value_); }

 private:
  std::uint16_t value_ = 0;
};

/// The priority (PCP) that a VSI's frames have on the link; none where the PS bit is not set.
class Priority {
 public:
  constexpr Priority() = default;
  constexpr explicit Priority(std::uint8_t pcp) : value_(static_cast<std::uint8_t>(kSignificant | (pcp & 7))) {}
  /// PS and PCP as four bits, as VLAN words and stores have them; a PCP without PS is none.
  static constexpr Priority from_bits(unsigned bits) {
    return (bits & kSignificant) != 0 ? Priority(static_cast<std::uint8_t>(bits & 7)) : Priority();
  }
  constexpr std::uint8_t bits() const { return value_; }
  constexpr bool is_none() const { return value_ == 0; }
  constexpr std::uint8_t pcp() const { return value_ & 7; }
  friend constexpr auto operator<=>(Priority, Priority) = default;

 private:
  static constexpr unsigned kSignificant = 8;
  std::uint8_t value_ = 0;
};

/// GroupID of VDP, 32 bits on the wire. A VN ID fills the low 24 bits; 0 means "no GroupID".
class GroupId {
 public:
  constexpr GroupId() = default;
  constexpr explicit GroupId(std::uint32_t value) : value_(value) {}
  constexpr std::uint32_t value() const { return value_; }
  constexpr bool is_null() const { return value_ == 0; }
  constexpr bool is_vn_id() const { return value_ != 0 && value_ < (1u << 24); }
  friend constexpr auto operator<=>(GroupId, GroupId) = default;
  friend std::size_t hash_value(GroupId id) { return boost::hash<std::uint32_t>()(id.value_); }

 private:
  std::uint32_t value_ = 0;
};

/// 48-bit MAC address.
class MacAddress {
 public:
  using Bytes = std::array<std::uint8_t, 6>;
  constexpr MacAddress() = default;
  constexpr explicit MacAddress(Bytes octets) : octets_(octets) {}
  constexpr explicit MacAddress(std::uint64_t value) {
    for (unsigned i = 0; i < 6; ++i) octets_[i] = static_cast<std::uint8_t>(value >> (8 * (5 - i)));
  }
  /// Accepts `02:aa:00:00:00:01` in either case; `nullopt` for anything else.
  static std::optional<MacAddress> from_string(std::string_view text);
  std::string to_string() const;

  constexpr const Bytes& octets() const { return octets_; }
  constexpr std::uint64_t value() const {
    const auto high = std::bit_cast<std::uint32_t>(std::array{octets_[0], octets_[1], octets_[2], octets_[3]});
    const auto low = std::bit_cast<std::uint16_t>(std::array{octets_[4], octets_[5]});
    return std::uint64_t{wire_order(high)} << 16 | wire_order(low);
  }
  constexpr bool is_zero() const { return value() == 0; }
  constexpr bool is_group() const { return (octets_[0] & 1) != 0; }
  /// A tenant's address: neither zero, nor group, nor reserved.
  constexpr bool is_usable_source() const { return !is_zero() && !is_group(); }
  friend constexpr bool operator==(const MacAddress& a, const MacAddress& b) { return a.value() == b.value(); }
  friend constexpr auto operator<=>(const MacAddress& a, const MacAddress& b) { return a.value() <=> b.value(); }
  friend std::size_t hash_value(const MacAddress& mac) { return boost::hash<std::uint64_t>()(mac.value()); }

 private:
  Bytes octets_{};
};

/// VSI-ID: a format (1 IPv4, 2 IPv6, 3 MAC, 4 local, 5 UUID) and 16 octets. The format is part of the identity.
struct VsiId {
  std::uint8_t format = 5;
  std::array<std::uint8_t, 16> octets{};

  /// A UUID in its 36-character text form gives format 5; `nullopt` for anything else.
  static std::optional<VsiId> from_uuid(std::string_view text);
  /// UUID text for format 5, address text for 1..3, hexadecimal for the others and for what no address text shows.
  std::string to_string() const;
  /// What to_string() shows, in every format; `nullopt` for anything else.
  static std::optional<VsiId> from_string(std::string_view text);
  friend constexpr auto operator<=>(const VsiId&, const VsiId&) = default;
  friend bool operator==(const VsiId& a, const VsiId& b) {
    return a.format == b.format && Octets16(a.octets) == Octets16(b.octets);
  }
  friend std::size_t hash_value(const VsiId& id) { return Octets16(id.octets).hash() ^ id.format; }
};

/// VSI manager ID: 16 raw octets, an IPv6 address by the standard; zero is "unknown".
struct ManagerId {
  std::array<std::uint8_t, 16> octets{};
  friend constexpr auto operator<=>(const ManagerId&, const ManagerId&) = default;
  friend bool operator==(const ManagerId& a, const ManagerId& b) { return Octets16(a.octets) == Octets16(b.octets); }
  friend std::size_t hash_value(const ManagerId& id) { return Octets16(id.octets).hash(); }
};

/// VSI type: 24-bit id and version. With the manager ID it names a profile.
struct VsiType {
  std::uint32_t id = 0;
  std::uint8_t version = 0;
  friend constexpr auto operator<=>(const VsiType&, const VsiType&) = default;
};

}  // namespace splitnve
