// SPDX-License-Identifier: Apache-2.0
#include "splitnve/ecp/header.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"

namespace splitnve::ecp {
namespace {

constexpr std::uint16_t kPriorityTagType = 0x8100;
constexpr std::uint16_t kTagVidMask = 0x0FFF;
constexpr std::size_t kSourceOffset = 6;
constexpr std::size_t kEthernetOctets = 14;

constexpr unsigned kVersionShift = 12;
constexpr unsigned kOperationShift = 10;
constexpr std::uint16_t kVersionMask = 0xF;
constexpr std::uint16_t kOperationMask = 0x3;
constexpr std::uint16_t kSubtypeMask = 0x3FF;

unexpected<DecodeError> wrong(const char* cause, std::size_t offset) {
  return unexpected<DecodeError>(DecodeError{cause, offset});
}

// Steps over the EtherType and one priority tag before it (S18). A VLAN is never ECP's: its sender may be a tenant.
Decoded<void> decode_ether_type(BoundedReader& reader) {
  std::size_t at = reader.offset();
  std::uint16_t type = 0;
  if (!reader.u16(type)) return reader.error("truncated EtherType");
  if (type == kPriorityTagType) {
    at = reader.offset();
    std::uint16_t tag = 0;
    if (!reader.u16(tag)) return reader.error("truncated tag");
    if ((tag & kTagVidMask) != 0) return wrong("tagged with a VLAN", at);
    at = reader.offset();
    if (!reader.u16(type)) return reader.error("truncated EtherType");
  }
  if (type != kEtherType) return wrong("not the EtherType of ECP", at);
  return {};
}

// The narrowing step: what another version, subtype or operation means is unknown, so such a frame is dropped unacked.
Decoded<Operation> supported_operation(const Header& header, std::size_t offset) {
  if (header.version != kVersion) return wrong("unsupported ECP version", offset);
  if (header.subtype != kSubtypeVdp) return wrong("unsupported ECP subtype", offset);
  if (header.operation == static_cast<std::uint8_t>(Operation::kRequest)) return Operation::kRequest;
  if (header.operation == static_cast<std::uint8_t>(Operation::kAck)) return Operation::kAck;
  return wrong("unsupported ECP operation", offset);
}

}  // namespace

Decoded<Header> decode_header(BoundedReader& reader) {
  std::uint16_t word = 0;
  std::uint16_t sequence = 0;
  if (!reader.u16(word) || !reader.u16(sequence)) return reader.error("truncated ECP header");
  Header header;
  header.version = static_cast<std::uint8_t>((word >> kVersionShift) & kVersionMask);
  header.operation = static_cast<std::uint8_t>((word >> kOperationShift) & kOperationMask);
  header.subtype = static_cast<std::uint16_t>(word & kSubtypeMask);
  header.sequence = EcpSequence(sequence);
  return header;
}

void encode_header(const Header& header, BoundedWriter& writer) {
  ensure(header.version <= kVersionMask && header.operation <= kOperationMask && header.subtype <= kSubtypeMask,
         "an ECP header field is wider than its bits");
  writer.u16(static_cast<std::uint16_t>((header.version << kVersionShift) | (header.operation << kOperationShift) |
                                        header.subtype));
  writer.u16(header.sequence.value());
}

Decoded<Frame> decode_frame(Octets octets) {
  BoundedReader reader(octets);
  MacAddress::Bytes destination{};
  MacAddress::Bytes source{};
  if (!reader.array(destination) || !reader.array(source)) return reader.error("truncated Ethernet header");
  Frame frame;
  frame.destination = MacAddress(destination);
  frame.source = MacAddress(source);
  if (frame.source.is_group()) return wrong("group source address", kSourceOffset);
  if (auto type = decode_ether_type(reader); !type) return unexpected<DecodeError>(type.error());
  const std::size_t header_offset = reader.offset();
  const auto header = decode_header(reader);
  if (!header) return unexpected<DecodeError>(header.error());
  const auto operation = supported_operation(*header, header_offset);
  if (!operation) return unexpected<DecodeError>(operation.error());
  frame.operation = *operation;
  frame.sequence = header->sequence;
  frame.payload = reader.rest();
  frame.payload_offset = reader.offset();
  return frame;
}

void encode_frame(MacAddress destination, MacAddress source, Operation operation, EcpSequence sequence, Octets payload,
                  OctetString& out) {
  const std::size_t octets = kEthernetOctets + kHeaderOctets + payload.size();
  out.resize(std::max(octets, limits::kFrameOctetsMin));
  BoundedWriter writer(out);
  writer.octets(destination.octets());
  writer.octets(source.octets());
  writer.u16(kEtherType);
  encode_header({kVersion, static_cast<std::uint8_t>(operation), kSubtypeVdp, sequence}, writer);
  writer.octets(payload);
  writer.zeros(writer.room());
  ensure(!writer.overflowed(), "an ECP frame outgrew its buffer");
}

}  // namespace splitnve::ecp
