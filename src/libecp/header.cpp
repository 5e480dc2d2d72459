// SPDX-License-Identifier: Apache-2.0
#include "splitnve/ecp/header.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"

namespace splitnve::ecp {
namespace {

constexpr unsigned kVersionShift = 12;
constexpr unsigned kOperationShift = 10;
constexpr std::uint16_t kVersionMask = 0xF;
constexpr std::uint16_t kOperationMask = 0x3;
constexpr std::uint16_t kSubtypeMask = 0x3FF;

unexpected<DecodeError> wrong(const char* cause, std::size_t offset) {
  return unexpected<DecodeError>(DecodeError{cause, offset});
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
  const auto ethernet = decode_ethernet(reader);
  if (!ethernet) return unexpected<DecodeError>(ethernet.error());
  if (ethernet->type != kEtherType) return wrong("not the EtherType of ECP", ethernet->type_offset);
  Frame frame;
  frame.destination = ethernet->destination;
  frame.source = ethernet->source;
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
