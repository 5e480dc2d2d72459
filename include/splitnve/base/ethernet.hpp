// SPDX-License-Identifier: Apache-2.0
// What the control protocols of a link have in common on the wire.
#pragma once
#include <cstdint>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"

namespace splitnve {

inline constexpr std::size_t kEthernetOctets = 14;
inline constexpr MacAddress kNearestCustomerBridge{MacAddress::Bytes{0x01, 0x80, 0xC2, 0x00, 0x00, 0x00}};
inline constexpr MacAddress kNearestNonTpmrBridge{MacAddress::Bytes{0x01, 0x80, 0xC2, 0x00, 0x00, 0x03}};
inline constexpr MacAddress kNearestBridge{MacAddress::Bytes{0x01, 0x80, 0xC2, 0x00, 0x00, 0x0E}};

constexpr bool is_link_group(const MacAddress& mac) {
  return mac == kNearestCustomerBridge || mac == kNearestNonTpmrBridge || mac == kNearestBridge;
}

/// A group address that bridges forward: neither broadcast nor one of the reserved 01-80-C2-00-00-0x.
constexpr bool is_forwarded_group(const MacAddress& mac) {
  const bool reserved = (mac.value() & ~0xFull) == 0x0180C2000000ull;
  return mac.is_group() && !reserved && mac.value() != 0xFFFFFFFFFFFFull;
}

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  std::uint16_t type = 0;
  std::size_t type_offset = 0;  ///< for located errors about `type`
};

/// Reads addresses and EtherType of an untagged frame, or of one with an inline priority tag. A VLAN is never a control
/// protocol's: its sender may be a tenant (S18). Errors: truncated, tagged with a VLAN, group source address.
inline Decoded<EthernetHeader> decode_ethernet(BoundedReader& reader) {
  constexpr std::uint16_t kTagType = 0x8100;
  constexpr std::uint16_t kTagVidMask = 0x0FFF;
  const auto wrong = [](const char* cause, std::size_t offset) {
    return unexpected<DecodeError>(DecodeError{cause, offset});
  };
  EthernetHeader header;
  MacAddress::Bytes destination{};
  MacAddress::Bytes source{};
  if (!reader.array(destination)) return reader.error("truncated Ethernet header");
  const std::size_t source_offset = reader.offset();
  if (!reader.array(source)) return reader.error("truncated Ethernet header");
  header.destination = MacAddress(destination);
  header.source = MacAddress(source);
  if (header.source.is_group()) return wrong("group source address", source_offset);
  header.type_offset = reader.offset();
  if (!reader.u16(header.type)) return reader.error("truncated EtherType");
  if (header.type != kTagType) return header;
  const std::size_t tag_offset = reader.offset();
  std::uint16_t tag = 0;
  if (!reader.u16(tag)) return reader.error("truncated tag");
  if ((tag & kTagVidMask) != 0) return wrong("tagged with a VLAN", tag_offset);
  header.type_offset = reader.offset();
  if (!reader.u16(header.type)) return reader.error("truncated EtherType");
  return header;
}

}  // namespace splitnve
