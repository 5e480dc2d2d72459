// SPDX-License-Identifier: Apache-2.0
#include "tnved/record.hpp"

#include <algorithm>

#include "agent/record_fields.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::tnved {
namespace {

constexpr std::uint8_t kFlagArrival = 0x01;
constexpr std::uint8_t kFlagMigrationUnknown = 2;
constexpr std::size_t kFixedOctets = 58;
constexpr std::size_t kAddressOctets = 11;
constexpr std::uint8_t kWithoutIps = 2;

Decoded<void> read_identity(BoundedReader& reader, std::uint8_t& version, TsiRecord& record) {
  std::uint8_t vm = 0, flags = 0;
  if (!reader.u8(version)) return reader.error("truncated record");
  if (version == 0 || version > kRecordVersion) return reader.error("record of another version");
  if (!reader.u8(vm) || !reader.u8(flags)) return reader.error("truncated record");
  if (vm > static_cast<std::uint8_t>(VmState::kLeaving)) return reader.error("unknown VM state");
  record.vm = static_cast<VmState>(vm);
  record.arrival = (flags & kFlagArrival) != 0;
  record.migration_unknown = (flags & kFlagMigrationUnknown) != 0;
  record.priority = Priority::from_bits(flags >> 4);
  if (!agent::read_id(reader, record.uplink) || !agent::read_id(reader, record.vn) ||
      !agent::read_id(reader, record.guest_tag) || !agent::read_vsi(reader, record.vsi) ||
      !reader.array(record.manager.octets) || !reader.u32(record.type.id) || !reader.u8(record.type.version) ||
      !agent::read_id(reader, record.port))
    return reader.error("truncated record");
  if (!record.vn.is_vn_id()) return reader.error("VN ID out of range");
  if (record.type.id >> 24 != 0) return reader.error("VSI type out of range");
  return {};
}

Decoded<void> read_interface(BoundedReader& reader, TsiRecord& record) {
  if (!agent::read_text(reader, record.interface_name)) return reader.error("truncated record");
  if (record.interface_name.size() > kInterfaceNameOctetsMax) return reader.error("interface name too long");
  if (record.interface_name.empty() != (record.port.value() == 0))
    return reader.error("VM port without interface name");
  return {};
}

bool level_of_code(std::uint8_t code, vdp::Level& out) {
  if (code > static_cast<std::uint8_t>(vdp::Level::kActive)) return false;
  out = static_cast<vdp::Level>(code);
  return true;
}

/// Stored: 0 free, 1 gone, 2 reserved.
std::uint8_t code_of_hold(Hold hold) { return hold == Hold::kFree ? 0 : hold == Hold::kGone ? 1 : 2; }
Hold hold_of_code(std::uint8_t code) { return code == 0 ? Hold::kFree : code == 1 ? Hold::kGone : Hold::kReserved; }

Decoded<void> read_address(BoundedReader& reader, std::uint8_t version, TsiRecord::Address& address) {
  std::uint8_t level = 0;
  if (!agent::read_mac(reader, address.mac) || !reader.u8(level)) return reader.error("truncated address");
  address.priority = Priority::from_bits(level >> 4);
  if (!level_of_code(level & 0x0F, address.confirmed)) return reader.error("unknown level");
  if (!address.mac.is_usable_source()) return reader.error("address that no VM may have");
  if (!agent::read_id(reader, address.vid)) return reader.error("truncated address");
  if (version == 1) return {};
  std::uint8_t hold = 0;
  if (!reader.u8(level) || !reader.u8(hold)) return reader.error("truncated address");
  if (!level_of_code(level, address.wanted) || hold > static_cast<std::uint8_t>(Hold::kGone))
    return reader.error("unknown wish");
  address.hold = hold_of_code(hold);
  return {};
}

bool has_twice(const TsiRecord::Addresses& addresses) {
  std::vector<std::pair<MacAddress, IpPrefix>> names;
  for (const auto& address : addresses) names.emplace_back(address.mac, address.ip);
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

Decoded<void> read_ips(BoundedReader& reader, TsiRecord& record) {
  const auto macs = static_cast<std::ptrdiff_t>(record.addresses.size());
  std::uint8_t count = 0;
  if (!reader.u8(count)) return reader.error("truncated record");
  if (count > limits::kIpsPerInstanceMax) return reader.error("IP count out of range");
  for (unsigned i = 0; i < count; ++i) {
    TsiRecord::Address address;
    if (auto read = read_address(reader, kRecordVersion, address); !read) return read;
    const auto ip = agent::read_ip(reader);
    if (!ip) return unexpected<DecodeError>(ip.error());
    address.ip = *ip;
    const auto end = record.addresses.begin() + macs;
    if (std::none_of(record.addresses.begin(), end, [&](const auto& one) { return one.mac == address.mac; }))
      return reader.error("IP of a MAC that is not there");
    record.addresses.push_back(address);
  }
  return {};
}

void write_address(BoundedWriter& writer, const TsiRecord::Address& address) {
  writer.octets(address.mac.octets());
  writer.u8(static_cast<std::uint8_t>(static_cast<unsigned>(address.confirmed) | address.priority.bits() << 4));
  writer.u16(address.vid.value());
  writer.u8(static_cast<std::uint8_t>(address.wanted));
  writer.u8(code_of_hold(address.hold));
}

}  // namespace

OctetString encode_record(const TsiRecord& record) {
  ensure(record.interface_name.size() <= kInterfaceNameOctetsMax, "a stored interface name fits its length octet");
  std::size_t macs = 0, ips = 0, octets = 0;
  for (const auto& address : record.addresses) {
    ++(address.ip.is_none() ? macs : ips);
    octets += kAddressOctets + (address.ip.is_none() ? 0 : agent::ip_octets(address.ip));
  }
  ensure(macs <= limits::kAddressesPerInstanceMax && ips <= limits::kIpsPerInstanceMax,
         "a stored TSI has a bounded number of addresses");
  OctetString out(kFixedOctets + record.interface_name.size() + octets + (ips == 0 ? 0 : 1));
  BoundedWriter writer(out);
  writer.u8(ips == 0 ? kWithoutIps : kRecordVersion);
  writer.u8(static_cast<std::uint8_t>(record.vm));
  writer.u8(static_cast<std::uint8_t>((record.arrival ? kFlagArrival : 0) |
                                      (record.migration_unknown ? kFlagMigrationUnknown : 0) |
                                      record.priority.bits() << 4));
  writer.u32(record.uplink.value());
  writer.u32(record.vn.value());
  writer.u16(record.guest_tag.value());
  agent::write_vsi(writer, record.vsi);
  writer.octets(record.manager.octets);
  writer.u32(record.type.id);
  writer.u8(record.type.version);
  writer.u32(record.port.value());
  agent::write_text(writer, record.interface_name);
  writer.u16(static_cast<std::uint16_t>(macs));
  for (const auto& address : record.addresses)
    if (address.ip.is_none()) write_address(writer, address);
  if (ips != 0) writer.u8(static_cast<std::uint8_t>(ips));
  for (const auto& address : record.addresses) {
    if (address.ip.is_none()) continue;
    write_address(writer, address);
    agent::write_ip(writer, address.ip);
  }
  ensure(!writer.overflowed() && writer.room() == 0, "a record has the size that was computed for it");
  return out;
}

Decoded<TsiRecord> decode_record(Octets octets) {
  BoundedReader reader(octets);
  TsiRecord record;
  std::uint8_t version = 0;
  if (auto read = read_identity(reader, version, record); !read) return unexpected<DecodeError>(read.error());
  if (auto read = read_interface(reader, record); !read) return unexpected<DecodeError>(read.error());
  std::uint16_t count = 0;
  if (!reader.u16(count)) return reader.error("truncated record");
  if (count == 0 || count > limits::kAddressesPerInstanceMax) return reader.error("address count out of range");
  for (unsigned i = 0; i < count; ++i) {
    TsiRecord::Address address;
    if (auto read = read_address(reader, version, address); !read) return unexpected<DecodeError>(read.error());
    record.addresses.push_back(address);
  }
  // The last address never goes alone: the TSI leaves with it.
  if (std::all_of(record.addresses.begin(), record.addresses.end(),
                  [](const auto& address) { return address.wanted == vdp::Level::kNone; }))
    return reader.error("no address that stays");
  if (version > kWithoutIps)
    if (auto read = read_ips(reader, record); !read) return unexpected<DecodeError>(read.error());
  if (has_twice(record.addresses)) return reader.error("an address stands twice");
  if (!reader.empty()) return reader.error("octets after the record");
  return record;
}

}  // namespace splitnve::tnved
