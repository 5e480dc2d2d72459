// SPDX-License-Identifier: Apache-2.0
// The Edge Control Protocol header and its Ethernet frame.
//
//    0                   1                   2                   3
//   +-------+---+-------------------+-------------------------------+
//   |version|op |      subtype      |           sequence            |
//   +-------+---+-------------------+-------------------------------+
//     4 bits 2 b       10 bits                   16 bits
#pragma once
#include <cstdint>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ethernet.hpp"
#include "splitnve/base/ids.hpp"

namespace splitnve::ecp {

inline constexpr std::uint16_t kEtherType = 0x8940;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::uint16_t kSubtypeVdp = 1;
inline constexpr std::size_t kHeaderOctets = 4;
using splitnve::kNearestBridge;
using splitnve::kNearestCustomerBridge;
using splitnve::kNearestNonTpmrBridge;

enum class Operation : std::uint8_t { kRequest = 0, kAck = 1 };

/// As received: every code point kept, none judged.
struct Header {
  std::uint8_t version = kVersion;
  std::uint8_t operation = 0;
  std::uint16_t subtype = kSubtypeVdp;
  EcpSequence sequence;
  friend bool operator==(const Header&, const Header&) = default;
};

/// A received frame, narrowed to what a daemon acts on: version 1, subtype VDP, request or ack. Views the frame.
struct Frame {
  MacAddress destination;
  MacAddress source;
  Operation operation = Operation::kRequest;
  EcpSequence sequence;
  Octets payload;                  ///< VDPDU of a request with its padding; of an ack whatever followed the header
  std::size_t payload_offset = 0;  ///< of `payload` within the frame, for located errors
};

/// Reads the four header octets. Errors: truncated.
Decoded<Header> decode_header(BoundedReader& reader);
void encode_header(const Header& header, BoundedWriter& writer);

/// Decodes an Ethernet frame with EtherType 0x8940, untagged or with an inline priority tag (VID 0, S18). Errors, each
/// with its offset: truncated, other EtherType, tagged, unsupported version, subtype or operation, group source
/// address.
Decoded<Frame> decode_frame(Octets frame);

/// Writes Ethernet header, ECP header and payload, padded with zeros to 60 octets.
void encode_frame(MacAddress destination, MacAddress source, Operation operation, EcpSequence sequence, Octets payload,
                  OctetString& out);
/// What follows the ECP header in a frame of encode_frame(), padding included.
inline MutableOctets payload_of(OctetString& frame) {
  return MutableOctets(frame).subspan(kEthernetOctets + kHeaderOctets);
}

}  // namespace splitnve::ecp
