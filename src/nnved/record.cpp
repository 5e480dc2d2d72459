// SPDX-License-Identifier: Apache-2.0
#include "nnved/record.hpp"

#include "agent/record_fields.hpp"
#include "nnved/vap.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::nnved {
namespace {

constexpr std::uint8_t kMigrating = 1, kSuspended = 2;
constexpr std::uint8_t kActive = 1, kSuperseded = 2, kWinner = 4;
constexpr std::size_t kFixedOctets = 60;
constexpr std::size_t kAddressOctets = 11;
constexpr std::size_t kIpFixedOctets = 7;
constexpr std::size_t kVidOctets = 2;
constexpr std::uint8_t kWithoutIps = 1, kWithIps = 2;

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

/// The oldest version that holds it, so that an older daemon reads what it can.
std::uint8_t version_of(const TsiRecord& record) {
  if (!record.further_vids.empty()) return kTsiRecordVersion;
  return record.ips.empty() ? kWithoutIps : kWithIps;
}

std::size_t octets_of(const TsiRecord& record) {
  const std::uint8_t version = version_of(record);
  std::size_t octets = kFixedOctets + record.interface_name.size() + kAddressOctets * record.addresses.size();
  if (version >= kWithIps) ++octets;
  for (const IpRecord& ip : record.ips) octets += kIpFixedOctets + agent::ip_octets(ip.ip);
  if (version > kWithIps) octets += 1 + kVidOctets * record.further_vids.size();
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

void write_vids(BoundedWriter& writer, const std::vector<Vid>& vids) {
  writer.u8(static_cast<std::uint8_t>(vids.size()));
  for (const Vid vid : vids) writer.u16(vid.value());
}

Decoded<std::vector<Vid>> decode_vids(BoundedReader& reader) {
  std::uint8_t count = 0;
  if (!reader.u8(count)) return reader.error("truncated");
  if (count == 0 || count >= kVidsPerVapMax) return reader.error("VID count out of range");
  std::vector<Vid> vids(count);
  for (Vid& vid : vids) {
    if (!agent::read_id(reader, vid)) return reader.error("truncated");
    if (!vid.is_assignable()) return reader.error("a VID that no VN may have");
  }
  return vids;
}

}  // namespace

OctetString encode_record(const TsiRecord& record) {
  ensure(record.addresses.size() <= limits::kAddressesPerInstanceMax &&
             record.ips.size() <= limits::kIpsPerInstanceMax && record.further_vids.size() < kVidsPerVapMax,
         "a TSI record within its limits");
  const std::uint8_t version = version_of(record);
  OctetString octets(octets_of(record));
  BoundedWriter writer(octets);
  writer.u8(version);
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
  if (version >= kWithIps) write_ips(writer, record.ips);
  if (version > kWithIps) write_vids(writer, record.further_vids);
  ensure(!writer.overflowed() && writer.room() == 0, "a TSI record has the size that was reckoned");
  return octets;
}

Decoded<TsiRecord> decode_record(Octets octets) {
  BoundedReader reader(octets);
  TsiRecord record;
  std::uint8_t version = 0, flags = 0, format = 0;
  std::uint16_t count = 0;
  if (!reader.u8(version)) return reader.error("truncated");
  if (version < kWithoutIps || version > kTsiRecordVersion) return reader.error("unknown record version");
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
  if (version > kWithIps) {
    auto vids = decode_vids(reader);
    if (!vids) return unexpected(vids.error());
    record.further_vids = std::move(*vids);
  }
  if (!reader.empty()) return reader.error("octets left over");
  return record;
}

}  // namespace splitnve::nnved
