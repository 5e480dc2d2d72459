// SPDX-License-Identifier: Apache-2.0
// What EVB needs of LLDP (IEEE 802.1AB): a frame with one LLDPDU, in which the EVB TLV travels.
//
//   Ethernet 88CC | chassis ID | port ID | time to live | ... | EVB TLV | ... | End
//
//    0                   1
//   +-------------+-----------------+
//   |    type     |     length      |  value
//   +-------------+-----------------+
//       7 bits         9 bits
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ethernet.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/evb/tlv.hpp"

namespace splitnve::evb {

inline constexpr std::uint16_t kLldpEtherType = 0x88CC;
/// Octets of a chassis or port ID behind its subtype (IEEE 802.1AB): what a peer makes us keep of its name.
inline constexpr std::size_t kLldpIdOctetsMax = 255;

/// A chassis or port ID: its subtype, and its octets as they came.
struct LldpId {
  static constexpr std::uint8_t kChassisMac = 4, kPortMac = 3, kPortInterfaceName = 5;
  std::uint8_t subtype = 0;
  OctetString octets;

  /// For people: a MAC address, else text in which all but printable ASCII is escaped.
  std::string to_string(std::uint8_t mac_subtype) const;
  friend bool operator==(const LldpId&, const LldpId&) = default;
};

/// A received LLDPDU, reduced to what EVB acts on. Its order and its lengths have been checked.
struct LldpFrame {
  MacAddress destination;
  MacAddress source;
  LldpId chassis;
  LldpId port;
  std::uint16_t ttl_seconds = 0;  ///< 0: the sender says goodbye
  std::optional<Tlv> evb;
  friend bool operator==(const LldpFrame&, const LldpFrame&) = default;
};

/// True if the EtherType, behind a tag if there is one, is LLDP's.
bool is_lldp(Octets frame);

/// Decodes an untagged or priority-tagged frame. Other TLVs are stepped over; what follows End is padding. Errors, each
/// with its offset: as decode_ethernet, another EtherType, chassis ID, port ID and TTL not first, not in this order or
/// again, a length outside of its bounds, a truncated TLV, a second EVB TLV or one not of 9 octets.
Decoded<LldpFrame> decode_lldp(Octets frame);

/// Writes the whole frame, padded with zeros to 60 octets. Requires IDs of 1 to kLldpIdOctetsMax octets.
void encode_lldp(const LldpFrame& frame, OctetString& out);

}  // namespace splitnve::evb
