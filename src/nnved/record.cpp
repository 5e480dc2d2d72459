// SPDX-License-Identifier: Apache-2.0
#include "nnved/record.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"

namespace splitnve::nnved {
namespace {

constexpr std::uint8_t kMigrating = 1, kSuspended = 2;
constexpr std::uint8_t kActive = 1, kSuperseded = 2, kWinner = 4;
constexpr std::size_t kFixedOctets = 60;
constexpr std::size_t kAddressOctets = 11;
constexpr std::size_t kIpFixedOctets = 9;
constexpr std::uint8_t kWithoutIps = 1;

std::uint8_t flag(bool set, std::uint8_t bit) { return set ? bit : std::uint8_t{0}; }

bool read_mac(BoundedReader& reader, MacAddress& mac) {
  MacAddress::Bytes octets{};
  if (!reader.array(octets)) return false;
  mac = MacAddress(octets);
  return true;
}

/// Reads an integer of representation `Rep` into an id.
template <class Rep, class Id>
bool read_id(BoundedReader& reader, bool (BoundedReader::*read)(Rep&), Id& id) {
  Rep value = 0;
  if (!(reader.*read)(value)) return false;
  id = Id(value);
  return true;
}

Decoded<AddressRecord> decode_address(BoundedReader& reader) {
  AddressRecord address;
  std::uint8_t flags = 0;
  if (!read_mac(reader, address.mac) || !reader.u8(flags) || !reader.u32(address.generation))
    return reader.error("truncated");
  if ((flags & ~(kActive | kSuperseded | kWinner)) != 0) return reader.error("unknown address flags");
  address.active = (flags & kActive) != 0;
  address.superseded = (flags & kSuperseded) != 0;
  address.winner = (flags & kWinner) != 0;
  return address;
}

std::size_t ip_octets(IpFamily family) { return address_bits(family) / 8u; }

std::size_t octets_of(const std::vector<IpRecord>& ips) {
  std::size_t octets = ips.empty() ? 0 : 1;
  for (const IpRecord& ip : ips) octets += kIpFixedOctets + ip_octets(ip.ip.family);
  return octets;
}

void write_ips(BoundedWriter& writer, const std::vector<IpRecord>& ips) {
  writer.u8(static_cast<std::uint8_t>(ips.size()));
  for (const IpRecord& ip : ips) {
    writer.octets(ip.mac.octets());
    writer.u8(ip.active ? 1 : 0);
    writer.u8(static_cast<std::uint8_t>(ip.ip.family));
    writer.u8(ip.ip.length);
    writer.octets(Octets(ip.ip.octets).first(ip_octets(ip.ip.family)));
  }
}

Decoded<IpRecord> decode_ip(BoundedReader& reader) {
  IpRecord out;
  std::uint8_t active = 0, family = 0;
  if (!read_mac(reader, out.mac) || !reader.u8(active) || !reader.u8(family) || !reader.u8(out.ip.length))
    return reader.error("truncated");
  out.ip.family = static_cast<IpFamily>(family);
  if (active > 1) return reader.error("unknown IP flags");
  if (out.ip.family != IpFamily::kV4 && out.ip.family != IpFamily::kV6) return reader.error("unknown IP family");
  Octets octets;
  if (!reader.take(ip_octets(out.ip.family), octets)) return reader.error("truncated");
  std::copy(octets.begin(), octets.end(), out.ip.octets.begin());
  if (out.ip.length > address_bits(out.ip.family) || out.ip.has_host_bits() || !out.ip.is_usable_source())
    return reader.error("an IP that no MAC may have");
  out.active = active != 0;
  return out;
}

}  // namespace

OctetString encode_record(const TsiRecord& record) {
  ensure(record.interface_name.size() <= 255 && record.addresses.size() <= limits::kAddressesPerInstanceMax &&
             record.ips.size() <= limits::kIpsPerInstanceMax,
         "a TSI record within its limits");
  OctetString octets(kFixedOctets + record.interface_name.size() + kAddressOctets * record.addresses.size() +
                     octets_of(record.ips));
  BoundedWriter writer(octets);
  writer.u8(record.ips.empty() ? kWithoutIps : kTsiRecordVersion);
  writer.u8(static_cast<std::uint8_t>(flag(record.migrating, kMigrating) | flag(record.suspended, kSuspended)));
  writer.u8(record.vsi.format);
  writer.octets(record.vsi.octets);
  writer.octets(record.manager.octets);
  writer.u32(record.type.id);
  writer.u8(record.type.version);
  writer.u32(record.vn.value());
  writer.u16(record.vid.value());
  writer.u8(static_cast<std::uint8_t>(record.format));
  writer.octets(record.station.octets());
  writer.u32(record.port.value());
  writer.u8(static_cast<std::uint8_t>(record.interface_name.size()));
  for (const char c : record.interface_name) writer.u8(static_cast<std::uint8_t>(c));
  writer.u16(static_cast<std::uint16_t>(record.addresses.size()));
  for (const AddressRecord& address : record.addresses) {
    writer.octets(address.mac.octets());
    writer.u8(static_cast<std::uint8_t>(flag(address.active, kActive) | flag(address.superseded, kSuperseded) |
                                        flag(address.winner, kWinner)));
    writer.u32(address.generation);
  }
  if (!record.ips.empty()) write_ips(writer, record.ips);
  ensure(!writer.overflowed() && writer.room() == 0, "a TSI record has the size that was reckoned");
  return octets;
}

Decoded<TsiRecord> decode_record(Octets octets) {
  BoundedReader reader(octets);
  TsiRecord record;
  std::uint8_t version = 0, flags = 0, format = 0, name_octets = 0;
  std::uint16_t count = 0;
  if (!reader.u8(version)) return reader.error("truncated");
  if (version != kWithoutIps && version != kTsiRecordVersion) return reader.error("unknown record version");
  if (!reader.u8(flags) || !reader.u8(record.vsi.format) || !reader.array(record.vsi.octets) ||
      !reader.array(record.manager.octets) || !reader.u32(record.type.id) || !reader.u8(record.type.version) ||
      !read_id(reader, &BoundedReader::u32, record.vn) || !read_id(reader, &BoundedReader::u16, record.vid) ||
      !reader.u8(format) || !read_mac(reader, record.station) || !read_id(reader, &BoundedReader::u32, record.port) ||
      !reader.u8(name_octets))
    return reader.error("truncated");
  if ((flags & ~(kMigrating | kSuspended)) != 0) return reader.error("unknown TSI flags");
  record.migrating = (flags & kMigrating) != 0;
  record.suspended = (flags & kSuspended) != 0;
  const auto known = vdp::filter_format(format);
  if (!known) return reader.error("unknown filter format");
  record.format = *known;
  Octets name;
  if (!reader.take(name_octets, name) || !reader.u16(count)) return reader.error("truncated");
  record.interface_name.assign(name.begin(), name.end());
  if (count > limits::kAddressesPerInstanceMax) return reader.error("too many addresses");
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto address = decode_address(reader);
    if (!address) return unexpected(address.error());
    record.addresses.push_back(*address);
  }
  std::uint8_t ips = 0;
  if (version != kWithoutIps && !reader.u8(ips)) return reader.error("truncated");
  if (ips > limits::kIpsPerInstanceMax) return reader.error("too many IPs");
  for (; ips > 0; --ips) {
    const auto ip = decode_ip(reader);
    if (!ip) return unexpected(ip.error());
    record.ips.push_back(*ip);
  }
  if (!reader.empty()) return reader.error("octets left over");
  return record;
}

}  // namespace splitnve::nnved
