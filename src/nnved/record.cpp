// SPDX-License-Identifier: Apache-2.0
#include "nnved/record.hpp"

#include "agent/record_fields.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::nnved {
namespace {

constexpr std::uint8_t kMigrating = 1, kSuspended = 2;
constexpr std::uint8_t kActive = 1, kSuperseded = 2, kWinner = 4;
constexpr std::size_t kFixedOctets = 60;
constexpr std::size_t kAddressOctets = 11;
constexpr std::size_t kIpFixedOctets = 7;
constexpr std::uint8_t kWithoutIps = 1;

std::uint8_t flag(bool set, std::uint8_t bit) { return set ? bit : std::uint8_t{0}; }

Decoded<AddressRecord> decode_address(BoundedReader& reader) {
  AddressRecord address;
  std::uint8_t flags = 0;
  if (!agent::read_mac(reader, address.mac) || !reader.u8(flags) || !reader.u32(address.generation))
    return reader.error("truncated");
  if ((flags & ~(kActive | kSuperseded | kWinner)) != 0) return reader.error("unknown address flags");
  address.active = (flags & kActive) != 0;
  address.superseded = (flags & kSuperseded) != 0;
  address.winner = (flags & kWinner) != 0;
  return address;
}

std::size_t octets_of(const std::vector<IpRecord>& ips) {
  std::size_t octets = ips.empty() ? 0 : 1;
  for (const IpRecord& ip : ips) octets += kIpFixedOctets + agent::ip_octets(ip.ip);
  return octets;
}

void write_ips(BoundedWriter& writer, const std::vector<IpRecord>& ips) {
  writer.u8(static_cast<std::uint8_t>(ips.size()));
  for (const IpRecord& ip : ips) {
    writer.octets(ip.mac.octets());
    writer.u8(ip.active ? 1 : 0);
    agent::write_ip(writer, ip.ip);
  }
}

Decoded<IpRecord> decode_ip(BoundedReader& reader) {
  IpRecord out;
  std::uint8_t active = 0;
  if (!agent::read_mac(reader, out.mac) || !reader.u8(active)) return reader.error("truncated");
  if (active > 1) return reader.error("unknown IP flags");
  const auto ip = agent::read_ip(reader);
  if (!ip) return unexpected(ip.error());
  out.ip = *ip;
  out.active = active != 0;
  return out;
}

}  // namespace

OctetString encode_record(const TsiRecord& record) {
  ensure(record.addresses.size() <= limits::kAddressesPerInstanceMax && record.ips.size() <= limits::kIpsPerInstanceMax,
         "a TSI record within its limits");
  OctetString octets(kFixedOctets + record.interface_name.size() + kAddressOctets * record.addresses.size() +
                     octets_of(record.ips));
  BoundedWriter writer(octets);
  writer.u8(record.ips.empty() ? kWithoutIps : kTsiRecordVersion);
  writer.u8(static_cast<std::uint8_t>(flag(record.migrating, kMigrating) | flag(record.suspended, kSuspended)));
  agent::write_vsi(writer, record.vsi);
  writer.octets(record.manager.octets);
  writer.u32(record.type.id);
  writer.u8(record.type.version);
  writer.u32(record.vn.value());
  writer.u16(record.vid.value());
  writer.u8(static_cast<std::uint8_t>(record.format));
  writer.octets(record.station.octets());
  writer.u32(record.port.value());
  agent::write_text(writer, record.interface_name);
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
  std::uint8_t version = 0, flags = 0, format = 0;
  std::uint16_t count = 0;
  if (!reader.u8(version)) return reader.error("truncated");
  if (version != kWithoutIps && version != kTsiRecordVersion) return reader.error("unknown record version");
  if (!reader.u8(flags) || !agent::read_vsi(reader, record.vsi) || !reader.array(record.manager.octets) ||
      !reader.u32(record.type.id) || !reader.u8(record.type.version) || !agent::read_id(reader, record.vn) ||
      !agent::read_id(reader, record.vid) || !reader.u8(format) || !agent::read_mac(reader, record.station) ||
      !agent::read_id(reader, record.port) || !agent::read_text(reader, record.interface_name) || !reader.u16(count))
    return reader.error("truncated");
  if ((flags & ~(kMigrating | kSuspended)) != 0) return reader.error("unknown TSI flags");
  record.migrating = (flags & kMigrating) != 0;
  record.suspended = (flags & kSuspended) != 0;
  const auto known = vdp::filter_format(format);
  if (!known) return reader.error("unknown filter format");
  record.format = *known;
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
