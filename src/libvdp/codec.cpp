// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/codec.hpp"

#include <algorithm>
#include <array>

#include "splitnve/vdp/extensions.hpp"

namespace splitnve::vdp {
namespace {

constexpr std::size_t kHeaderOctets = 2;
constexpr std::size_t kManagerOctets = 16;
constexpr std::size_t kLengthMax = 511;  // 9 bits
constexpr std::size_t kHeadOctets = 22;  // status .. VSI-ID
constexpr std::size_t kFilterFormatEnd = 23;
constexpr std::size_t kFixedOctets = 25;  // .. entry count
constexpr std::uint8_t kTypeMax = 127;    // 7 bits

/// The error at the end of what the reader has: the first octet that was missing.
unexpected<DecodeError> truncated(const BoundedReader& reader, const char* cause) {
  return unexpected<DecodeError>(DecodeError{cause, reader.offset() + reader.remaining()});
}

unexpected<DecodeError> refused(const char* cause, std::size_t offset) {
  return unexpected<DecodeError>(DecodeError{cause, offset});
}

bool is_type(std::uint8_t code, TlvType type) { return code == static_cast<std::uint8_t>(type); }

/// Fills what an Association and its head have in common; the caller has checked that the 22 octets are there.
template <class Head>
void read_head(const Tlv& tlv, Head& out) {
  const std::uint8_t* at = tlv.value.data();
  out.command = static_cast<TlvType>(tlv.type);
  out.status = at[0];
  out.type.id = (std::uint32_t{at[1]} << 16) | (std::uint32_t{at[2]} << 8) | at[3];
  out.type.version = at[4];
  out.vsi.format = at[5];
  std::copy_n(at + 6, out.vsi.octets.size(), out.vsi.octets.begin());
}

/// The end of the fixed part: what the entries are and how many.
struct FilterHead {
  FilterFormat format = FilterFormat::kVid;
  std::uint16_t count = 0;
};

/// An address that is a range must be one, in every entry.
[[gnu::noinline]] Decoded<void> check_prefixes(const Tlv& tlv, FilterFormat format, std::size_t count) {
  const FilterLayout& has = layout(format);
  const std::size_t address_at = 4u + (has.mac ? 6u : 0u);
  const std::size_t address_octets = address_bits(has.ip) / 8u;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = kFixedOctets + i * has.octets + address_at;
    IpPrefix ip{has.ip, tlv.value[at + address_octets], {}};
    if (ip.length > address_bits(has.ip))
      return refused("prefix length out of range", tlv.offset + at + address_octets);
    std::copy_n(tlv.value.begin() + static_cast<std::ptrdiff_t>(at), address_octets, ip.octets.begin());
    if (ip.has_host_bits()) return refused("host bits set", tlv.offset + at);
  }
  return {};
}

Decoded<FilterHead> read_filter_head(const Tlv& tlv) {
  const Octets value = tlv.value;
  const bool whole_vsi_allowed = is_type(tlv.type, TlvType::kDeAssociate);
  if (value.size() < kFixedOctets) {
    const bool no_filter = value.size() == kHeadOctets || value.size() == kFilterFormatEnd;
    if (!whole_vsi_allowed || !no_filter) return refused("truncated association", tlv.offset + value.size());
    if (value.size() == kHeadOctets) return FilterHead{};
    // No entries follow, so an unknown format is no obstacle to understanding "the whole VSI".
    return FilterHead{filter_format(value[kHeadOctets]).value_or(FilterFormat::kVid), 0};
  }
  const auto format = filter_format(value[kHeadOctets]);
  if (!format) return refused("unknown filter format", tlv.offset + kHeadOctets);
  const auto count = static_cast<std::uint16_t>((value[kFilterFormatEnd] << 8) | value[kFilterFormatEnd + 1]);
  if (count == 0 && !whole_vsi_allowed) return refused("no filter entries", tlv.offset + kFilterFormatEnd);
  const std::size_t expected = kFixedOctets + count * entry_octets(*format);
  if (value.size() != expected)
    return refused("length does not match the entry count", tlv.offset + std::min(value.size(), expected));
  if (has_prefix(*format)) {
    const auto sound = check_prefixes(tlv, *format, count);
    if (!sound) return unexpected<DecodeError>(sound.error());
  }
  return FilterHead{*format, count};
}

/// Builds the result in its place: decoding is on the path of every received TLV, and an Association is 72 octets.
Decoded<Association> view(const Tlv& tlv, FilterHead filter) {
  Decoded<Association> result(tl::in_place);
  read_head(tlv, *result);
  result->format = filter.format;
  result->count = filter.count;
  result->entries = tlv.value.subspan(std::min(tlv.value.size(), kFixedOctets));
  return result;
}

std::uint16_t header(std::uint8_t type, std::size_t length) {
  return static_cast<std::uint16_t>((std::size_t{type} << 9) | length);
}

/// TLV header and the fixed part of an association in one piece, so that the writer checks its room once.
std::array<std::uint8_t, kHeaderOctets + kFixedOctets> fixed_part(const AssociationHead& head, std::uint8_t status,
                                                                  FilterFormat format, std::size_t count) {
  std::array<std::uint8_t, kHeaderOctets + kFixedOctets> out;
  const std::uint16_t tl = header(static_cast<std::uint8_t>(head.command), kFixedOctets + count * entry_octets(format));
  out[0] = static_cast<std::uint8_t>(tl >> 8);
  out[1] = static_cast<std::uint8_t>(tl);
  out[2] = status;
  out[3] = static_cast<std::uint8_t>(head.type.id >> 16);
  out[4] = static_cast<std::uint8_t>(head.type.id >> 8);
  out[5] = static_cast<std::uint8_t>(head.type.id);
  out[6] = head.type.version;
  out[7] = head.vsi.format;
  std::copy(head.vsi.octets.begin(), head.vsi.octets.end(), out.begin() + 8);
  out[24] = static_cast<std::uint8_t>(format);
  out[25] = static_cast<std::uint8_t>(count >> 8);
  out[26] = static_cast<std::uint8_t>(count);
  return out;
}

void write_ip(BoundedWriter& writer, const FilterLayout& has, const IpPrefix& ip) {
  ensure(ip.family == has.ip && (has.prefix ? !ip.has_host_bits() : ip.is_single()), "an IP of the format's kind");
  writer.octets(Octets(ip.octets).first(address_bits(has.ip) / 8u));
  if (has.prefix) writer.u8(ip.length);
}

void write_entry(BoundedWriter& writer, const FilterLayout& has, const FilterEntry& entry) {
  ensure(entry.pcp <= 7, "a PCP has 3 bits");
  if (has.group) writer.u32(entry.group.value());
  if (has.mac) writer.octets(entry.mac.octets());
  if (has.ip != IpFamily::kNone) write_ip(writer, has, entry.ip);
  writer.u16(static_cast<std::uint16_t>((entry.ps ? 0x8000u : 0u) | (unsigned{entry.pcp} << 12) | entry.vid.value()));
}

}  // namespace

const char* to_string(TlvType type) {
  switch (type) {
    case TlvType::kEnd: return "End";
    case TlvType::kPreAssociate: return "Pre-Associate";
    case TlvType::kPreAssociateRr: return "Pre-Associate-RR";
    case TlvType::kAssociate: return "Associate";
    case TlvType::kDeAssociate: return "De-Associate";
    case TlvType::kManagerId: return "VSI-Manager-ID";
    case TlvType::kOrganizational: return "Organizational";
  }
  return "unknown";
}

const char* to_string(Code code) {
  switch (code) {
    case Code::kSuccess: return "success";
    case Code::kInvalidFormat: return "invalid format";
    case Code::kInsufficientResources: return "insufficient resources";
    case Code::kManagerUnreachable: return "VSI manager unreachable";
    case Code::kOther: return "other failure";
    case Code::kInvalidAddress: return "invalid VID, GroupID or address";
  }
  return "reserved code";
}

std::optional<FilterFormat> filter_format(std::uint8_t code) {
  const auto format = static_cast<FilterFormat>(code);
  if ((code & 0x70) != 0 || layout(format).octets == 0) return std::nullopt;
  return format;
}

// --- reading ---

const std::uint8_t* Association::read_ip(const FilterLayout& has, const std::uint8_t* at, IpPrefix& out) {
  const std::size_t octets = address_bits(has.ip) / 8u;
  out.family = has.ip;
  std::copy_n(at, octets, out.octets.begin());
  at += octets;
  out.length = has.prefix ? *at++ : address_bits(has.ip);
  return at;
}

Decoded<ManagerId> VdpduReader::manager() {
  const std::size_t start = reader_.offset();
  ended_ = true;  // until the manager is read, nothing may follow
  std::uint16_t tl = 0;
  if (reader_.empty()) return refused("VSI manager ID missing", start);
  if (!reader_.u16(tl)) return truncated(reader_, "truncated TLV header");
  if (!is_type(static_cast<std::uint8_t>(tl >> 9), TlvType::kManagerId))
    return refused("VSI manager ID missing", start);
  if ((tl & kLengthMax) != kManagerOctets) return refused("VSI manager ID of other than 16 octets", start);
  ManagerId id;
  if (!reader_.array(id.octets)) return truncated(reader_, "truncated TLV value");
  ended_ = false;
  return id;
}

Decoded<std::optional<Tlv>> VdpduReader::next() {
  if (ended_ || reader_.empty()) return std::nullopt;
  const std::size_t start = reader_.offset();
  std::uint16_t tl = 0;
  ended_ = true;  // after End and after an error alike
  if (!reader_.u16(tl)) return truncated(reader_, "truncated TLV header");
  Tlv tlv;
  tlv.type = static_cast<std::uint8_t>(tl >> 9);
  tlv.offset = reader_.offset();
  if (is_type(tlv.type, TlvType::kEnd)) return std::nullopt;
  if (sealed_) return refused("TLV behind authentication", start);
  if (is_type(tlv.type, TlvType::kManagerId)) return refused("second VSI manager ID", start);
  if (!reader_.take(tl & kLengthMax, tlv.value)) return truncated(reader_, "truncated TLV value");
  sealed_ = is_type(tlv.type, TlvType::kOrganizational) && extension_type(tlv) == ExtensionType::kAuthentication;
  ended_ = false;
  return tlv;
}

Decoded<AssociationHead> decode_association_head(const Tlv& tlv) {
  if (!is_association(static_cast<TlvType>(tlv.type))) return refused("not an association TLV", tlv.offset);
  if (tlv.value.size() < kHeadOctets) return refused("truncated association", tlv.offset + tlv.value.size());
  AssociationHead head;
  read_head(tlv, head);
  return head;
}

Decoded<Association> decode_association(const Tlv& tlv) {
  if (!is_association(static_cast<TlvType>(tlv.type))) return refused("not an association TLV", tlv.offset);
  const auto filter = read_filter_head(tlv);
  if (!filter) return unexpected<DecodeError>(filter.error());
  return view(tlv, *filter);
}

// --- writing ---

VdpduWriter::VdpduWriter(MutableOctets buffer, const ManagerId& manager) : writer_(buffer) {
  ensure(buffer.size() >= kHeaderOctets + kManagerOctets + kHeaderOctets, "a VDPDU buffer holds manager ID and End");
  writer_.u16(header(static_cast<std::uint8_t>(TlvType::kManagerId), kManagerOctets));
  writer_.octets(manager.octets);
}

bool VdpduWriter::fits(FilterFormat format, std::size_t count, std::size_t behind) const {
  return count <= entries_per_tlv_max(format) &&
         association_octets(format, count) + behind + kHeaderOctets + reserved_ <= writer_.room();
}

bool VdpduWriter::has_room(std::size_t octets) const { return octets + kHeaderOctets + reserved_ <= writer_.room(); }

void VdpduWriter::association(TlvType command, std::uint8_t status, const VsiType& type, const VsiId& vsi,
                              FilterFormat format, std::span<const FilterEntry> entries) {
  ensure(is_association(command), "an association TLV has one of the four commands");
  ensure(type.id < (1u << 24), "a VSI type id has 24 bits");
  ensure(fits(format, entries.size()), "the caller has asked fits()");
  writer_.octets(fixed_part({command, status, type, vsi}, status, format, entries.size()));
  for (const FilterEntry& entry : entries) write_entry(writer_, layout(format), entry);
  ++tlvs_;
}

bool VdpduWriter::association_head(const AssociationHead& head, std::uint8_t status) {
  ensure(is_association(head.command), "an association TLV has one of the four commands");
  if (!fits(FilterFormat::kVid, 0)) return false;
  writer_.octets(fixed_part(head, status, FilterFormat::kVid, 0));
  ++tlvs_;
  return true;
}

bool VdpduWriter::raw(std::uint8_t type, Octets value) {
  ensure(type <= kTypeMax, "a TLV type has 7 bits");
  ensure(!is_type(type, TlvType::kEnd) && !is_type(type, TlvType::kManagerId),
         "the writer itself adds manager and End");
  if (value.size() > kLengthMax || kHeaderOctets + value.size() + kHeaderOctets + reserved_ > writer_.room())
    return false;
  writer_.u16(header(type, value.size()));
  writer_.octets(value);
  ++tlvs_;
  return true;
}

Octets VdpduWriter::finish() {
  writer_.u16(header(static_cast<std::uint8_t>(TlvType::kEnd), 0));
  ensure(!writer_.overflowed(), "every TLV leaves room for End, and finish() comes once");
  return writer_.written();
}

}  // namespace splitnve::vdp
