// SPDX-License-Identifier: Apache-2.0
#include "splitnve/evb/lldp.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"

namespace splitnve::evb {
namespace {

constexpr std::uint8_t kEnd = 0, kChassis = 1, kPort = 2, kTtl = 3, kOrganizational = 127;
constexpr unsigned kTypeShift = 9;
constexpr std::uint16_t kLengthMask = 0x1FF;
constexpr std::size_t kTlvHeaderOctets = 2;
constexpr std::size_t kTtlOctets = 2;

struct Header {
  std::uint8_t type = 0;
  std::size_t length = 0;
};

unexpected<DecodeError> wrong(const char* cause, std::size_t offset) {
  return unexpected<DecodeError>(DecodeError{cause, offset});
}

/// A TLV's header and a reader of its value.
Decoded<BoundedReader> next_tlv(BoundedReader& reader, Header& header) {
  std::uint16_t word = 0;
  if (!reader.u16(word)) return reader.error("truncated LLDP TLV");
  header.type = static_cast<std::uint8_t>(word >> kTypeShift);
  header.length = word & kLengthMask;
  if (reader.remaining() < header.length) return reader.error("truncated LLDP TLV");
  return reader.sub(header.length);
}

Decoded<LldpId> decode_id(BoundedReader& reader, std::uint8_t type, const char* missing, const char* length) {
  const std::size_t at = reader.offset();
  Header header;
  auto value = next_tlv(reader, header);
  if (!value) return unexpected<DecodeError>(value.error());
  if (header.type != type) return wrong(missing, at);
  if (header.length < 2 || header.length > 1 + kLldpIdOctetsMax) return wrong(length, at);
  LldpId id;
  value->u8(id.subtype);
  id.octets.assign(value->rest().begin(), value->rest().end());
  return id;
}

Decoded<std::uint16_t> decode_ttl(BoundedReader& reader) {
  const std::size_t at = reader.offset();
  Header header;
  auto value = next_tlv(reader, header);
  if (!value) return unexpected<DecodeError>(value.error());
  if (header.type != kTtl) return wrong("the TTL is not the third TLV", at);
  std::uint16_t seconds = 0;
  if (!value->u16(seconds)) return wrong("TTL of a wrong length", at);
  return seconds;
}

/// The TLVs behind the mandatory three. An LLDPDU that fills its frame may lack the End TLV.
Decoded<void> decode_optional(BoundedReader& reader, LldpFrame& frame) {
  while (!reader.empty()) {
    const std::size_t at = reader.offset();
    Header header;
    auto value = next_tlv(reader, header);
    if (!value) return unexpected<DecodeError>(value.error());
    if (header.type == kEnd && header.length != 0) return wrong("End TLV with a value", at);
    if (header.type == kEnd) return {};
    if (header.type <= kTtl) return wrong("a mandatory LLDP TLV again", at);
    if (header.type != kOrganizational || !is_evb(value->rest())) continue;
    if (frame.evb) return wrong("a second EVB TLV", at);
    const auto evb = decode_evb(*value);
    if (!evb) return unexpected<DecodeError>(evb.error());
    frame.evb = *evb;
  }
  return {};
}

void write_header(BoundedWriter& writer, std::uint8_t type, std::size_t length) {
  writer.u16(static_cast<std::uint16_t>((unsigned{type} << kTypeShift) | length));
}
void write_id(BoundedWriter& writer, std::uint8_t type, const LldpId& id) {
  ensure(!id.octets.empty() && id.octets.size() <= kLldpIdOctetsMax, "an LLDP ID has 1 to 255 octets");
  write_header(writer, type, 1 + id.octets.size());
  writer.u8(id.subtype);
  writer.octets(id.octets);
}

}  // namespace

std::string LldpId::to_string(std::uint8_t mac_subtype) const {
  MacAddress::Bytes mac{};
  if (subtype == mac_subtype && octets.size() == mac.size()) {
    std::copy(octets.begin(), octets.end(), mac.begin());
    return MacAddress(mac).to_string();
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t octet : octets) {
    if (octet >= 0x20 && octet < 0x7F && octet != '\\')
      text += static_cast<char>(octet);
    else
      text += {'\\', 'x', kDigits[octet >> 4], kDigits[octet & 0xF]};
  }
  return text;
}

bool is_lldp(Octets frame) {
  const auto type_at = [&](std::size_t at) {
    return frame.size() >= at + 2 ? (unsigned{frame[at]} << 8 | frame[at + 1]) : 0u;
  };
  constexpr std::size_t kType = 12, kTypeBehindTag = 16;
  return type_at(kType) == kLldpEtherType || (type_at(kType) == 0x8100 && type_at(kTypeBehindTag) == kLldpEtherType);
}

Decoded<LldpFrame> decode_lldp(Octets octets) {
  BoundedReader reader(octets);
  const auto ethernet = decode_ethernet(reader);
  if (!ethernet) return unexpected<DecodeError>(ethernet.error());
  if (ethernet->type != kLldpEtherType) return wrong("not the EtherType of LLDP", ethernet->type_offset);
  LldpFrame frame;
  frame.destination = ethernet->destination;
  frame.source = ethernet->source;
  auto chassis = decode_id(reader, kChassis, "the chassis ID is not the first TLV", "chassis ID of a wrong length");
  if (!chassis) return unexpected<DecodeError>(chassis.error());
  auto port = decode_id(reader, kPort, "the port ID is not the second TLV", "port ID of a wrong length");
  if (!port) return unexpected<DecodeError>(port.error());
  const auto ttl = decode_ttl(reader);
  if (!ttl) return unexpected<DecodeError>(ttl.error());
  frame.chassis = std::move(*chassis);
  frame.port = std::move(*port);
  frame.ttl_seconds = *ttl;
  if (const auto rest = decode_optional(reader, frame); !rest) return unexpected<DecodeError>(rest.error());
  return frame;
}

void encode_lldp(const LldpFrame& frame, OctetString& out) {
  constexpr std::size_t kFixed = kEthernetOctets + 5 * kTlvHeaderOctets + 2 + kTtlOctets + kValueOctets;
  out.assign(std::max(limits::kFrameOctetsMin, kFixed + frame.chassis.octets.size() + frame.port.octets.size()), 0);
  BoundedWriter writer(out);
  writer.octets(frame.destination.octets());
  writer.octets(frame.source.octets());
  writer.u16(kLldpEtherType);
  write_id(writer, kChassis, frame.chassis);
  write_id(writer, kPort, frame.port);
  write_header(writer, kTtl, kTtlOctets);
  writer.u16(frame.ttl_seconds);
  if (frame.evb) {
    write_header(writer, kOrganizational, kValueOctets);
    encode_evb(*frame.evb, writer);
  }
  write_header(writer, kEnd, 0);
  ensure(!writer.overflowed(), "an LLDP frame outgrew its buffer");
  out.resize(std::max(limits::kFrameOctetsMin, writer.size()));
}

}  // namespace splitnve::evb
