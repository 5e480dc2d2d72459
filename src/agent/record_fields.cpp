// SPDX-License-Identifier: Apache-2.0
#include "agent/record_fields.hpp"

#include <algorithm>

#include "splitnve/agent/effects.hpp"

namespace splitnve::agent {
namespace {

std::size_t octets_of(IpFamily family) { return address_bits(family) / 8u; }

}  // namespace

std::string record_name(std::uint64_t key) {
  const std::string number = " " + std::to_string(record_id(key));
  switch (record_kind(key)) {
    case RecordKind::kMeta: return "meta" + number;
    case RecordKind::kTsi: return "tsi" + number;
    case RecordKind::kLatch: return "latch" + number;
    case RecordKind::kVn: return "vn" + number;
    case RecordKind::kSigner: return "signer" + number;
    case RecordKind::kHeldTsi: return "held tsi" + number;
    case RecordKind::kHeldVn: return "held vn" + number;
  }
  return "kind " + std::to_string(key >> 56) + number;
}

void write_text(BoundedWriter& writer, std::string_view text) {
  ensure(text.size() <= 255, "a stored text fits its length octet");
  writer.u8(static_cast<std::uint8_t>(text.size()));
  for (const char c : text) writer.u8(static_cast<std::uint8_t>(c));
}

bool read_text(BoundedReader& reader, std::string& text) {
  std::uint8_t length = 0;
  Octets octets;
  if (!reader.u8(length) || !reader.take(length, octets)) return false;
  text.assign(octets.begin(), octets.end());
  return true;
}

void write_vsi(BoundedWriter& writer, const VsiId& vsi) {
  writer.u8(vsi.format);
  writer.octets(vsi.octets);
}

bool read_vsi(BoundedReader& reader, VsiId& vsi) { return reader.u8(vsi.format) && reader.array(vsi.octets); }

bool read_mac(BoundedReader& reader, MacAddress& mac) {
  MacAddress::Bytes octets{};
  if (!reader.array(octets)) return false;
  mac = MacAddress(octets);
  return true;
}

std::size_t ip_octets(const IpPrefix& ip) { return 2 + octets_of(ip.family); }

void write_ip(BoundedWriter& writer, const IpPrefix& ip) {
  writer.u8(static_cast<std::uint8_t>(ip.family));
  writer.u8(ip.length);
  writer.octets(Octets(ip.octets).first(octets_of(ip.family)));
}

Decoded<IpPrefix> read_ip(BoundedReader& reader) {
  IpPrefix ip;
  std::uint8_t family = 0;
  if (!reader.u8(family) || !reader.u8(ip.length)) return reader.error("truncated");
  ip.family = static_cast<IpFamily>(family);
  if (ip.family != IpFamily::kV4 && ip.family != IpFamily::kV6) return reader.error("unknown IP family");
  Octets octets;
  if (!reader.take(octets_of(ip.family), octets)) return reader.error("truncated");
  std::copy(octets.begin(), octets.end(), ip.octets.begin());
  if (ip.length > address_bits(ip.family) || ip.has_host_bits() || !ip.is_usable_source())
    return reader.error("an IP that no VM may have");
  return ip;
}

}  // namespace splitnve::agent
