// SPDX-License-Identifier: Apache-2.0
// VDP TLVs: wire types, reader, writer. Nothing here allocates; a decoded association views the octets it came from.
//
//   TLV header: type (7 bits) length (9 bits)
//   association value: status(1) type id(3) type version(1) VSI-ID format(1) VSI-ID(16) filter format(1) count(2)
//                      entries
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "splitnve/base/bytes.hpp"
#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip.hpp"
#include "splitnve/base/limits.hpp"

namespace splitnve::vdp {

enum class TlvType : std::uint8_t {
  kEnd = 0,
  kPreAssociate = 1,
  kPreAssociateRr = 2,
  kAssociate = 3,
  kDeAssociate = 4,
  kManagerId = 5,
  kOrganizational = 127,
};
const char* to_string(TlvType type);
inline bool is_association(TlvType type) { return type >= TlvType::kPreAssociate && type <= TlvType::kDeAssociate; }

/// Filter information formats. 1..4 are IEEE 802.1Q's. The formats with an IP address are ours and provisional: the
/// code points of IEEE 802.1Qcy are unknown to us. 0x80 adds a prefix length behind the address.
enum class FilterFormat : std::uint8_t {
  kVid = 1,
  kMacVid = 2,
  kGroupVid = 3,
  kGroupMacVid = 4,
  kGroupIpv4Vid = 0x05,
  kGroupIpv6Vid = 0x06,
  kGroupMacIpv4Vid = 0x07,
  kGroupMacIpv6Vid = 0x08,
  kGroupIpv4PrefixVid = 0x85,
  kGroupIpv6PrefixVid = 0x86,
  kGroupMacIpv4PrefixVid = 0x87,
  kGroupMacIpv6PrefixVid = 0x88,
};

/// What an entry of a format holds, in this order; the VID word comes last.
struct alignas(8) FilterLayout {
  std::uint8_t octets = 0;  ///< of an entry; 0: no such format
  bool group = false;
  bool mac = false;
  IpFamily ip = IpFamily::kNone;
  bool prefix = false;
};
namespace detail {
/// The one table of formats, by code: kLayouts[0x80 ? 1 : 0][low four bits]. Its sizes are powers of two because every
/// TLV and every entry asks it.
inline constexpr FilterLayout kLayouts[2][16] = {
    {{},
     {2},
     {8, false, true},
     {6, true, false},
     {12, true, true},
     {10, true, false, IpFamily::kV4},
     {22, true, false, IpFamily::kV6},
     {16, true, true, IpFamily::kV4},
     {28, true, true, IpFamily::kV6}},
    {{},
     {},
     {},
     {},
     {},
     {11, true, false, IpFamily::kV4, true},
     {23, true, false, IpFamily::kV6, true},
     {17, true, true, IpFamily::kV4, true},
     {29, true, true, IpFamily::kV6, true}},
};
}  // namespace detail
constexpr const FilterLayout& layout(FilterFormat f) {
  const auto code = static_cast<std::uint8_t>(f);
  return detail::kLayouts[code >> 7][code & 0x0F];
}
constexpr bool has_mac(FilterFormat f) { return layout(f).mac; }
constexpr bool has_group(FilterFormat f) { return layout(f).group; }
constexpr bool has_ip(FilterFormat f) { return layout(f).ip != IpFamily::kNone; }
constexpr bool has_prefix(FilterFormat f) { return layout(f).prefix; }
constexpr std::size_t entry_octets(FilterFormat f) { return layout(f).octets; }
/// GroupID/MAC/VID, with this IP if there is one.
constexpr FilterFormat group_mac_format(const IpPrefix& ip) {
  switch (ip.family) {
    case IpFamily::kNone: return FilterFormat::kGroupMacVid;
    case IpFamily::kV4: return ip.is_single() ? FilterFormat::kGroupMacIpv4Vid : FilterFormat::kGroupMacIpv4PrefixVid;
    case IpFamily::kV6: return ip.is_single() ? FilterFormat::kGroupMacIpv6Vid : FilterFormat::kGroupMacIpv6PrefixVid;
  }
  return FilterFormat::kGroupMacVid;
}
/// The narrowing step from the wire; `nullopt` for formats we do not know.
std::optional<FilterFormat> filter_format(std::uint8_t code);

/// One filter information entry. What the format lacks is zero and is not written.
struct FilterEntry {
  GroupId group;
  MacAddress mac;
  Vid vid;
  bool ps = false;       ///< PCP significant
  std::uint8_t pcp = 0;  ///< 0..7, kept from the wire even if ps is false
  IpPrefix ip{};         ///< a single address in the formats without prefix length
  Priority priority() const { return ps ? Priority(pcp) : Priority(); }
  friend bool operator==(const FilterEntry&, const FilterEntry&) = default;
};

// --- status octet ---
inline constexpr std::uint8_t kStatusResponse = 0x40;
inline constexpr std::uint8_t kStatusSuspended = 0x20;  ///< S, request: migration source or suspended
inline constexpr std::uint8_t kStatusMigrating = 0x10;  ///< M, request: migration destination
inline constexpr std::uint8_t kStatusKeep = 0x20;       ///< response: the previous state is kept
inline constexpr std::uint8_t kStatusHard = 0x10;       ///< response: do not try again
inline constexpr std::uint8_t kStatusCodeMask = 0x0F;

enum class Code : std::uint8_t {
  kSuccess = 0,
  kInvalidFormat = 1,
  kInsufficientResources = 2,
  kManagerUnreachable = 3,
  kOther = 4,
  kInvalidAddress = 5,  ///< VID, GroupID or MAC not valid here
};
const char* to_string(Code code);

/// What a response says. `code` keeps reserved values 6..15 as received.
struct ResponseStatus {
  Code code = Code::kSuccess;
  bool keep = false;
  bool hard = false;
  /// Code 0 is success whatever KEEP and HARD say.
  bool success() const { return code == Code::kSuccess; }
  std::uint8_t octet() const {
    return static_cast<std::uint8_t>(kStatusResponse | (keep ? kStatusKeep : 0) | (hard ? kStatusHard : 0) |
                                     static_cast<std::uint8_t>(code));
  }
  static ResponseStatus from_octet(std::uint8_t status) {
    return {static_cast<Code>(status & kStatusCodeMask), (status & kStatusKeep) != 0, (status & kStatusHard) != 0};
  }
  friend bool operator==(const ResponseStatus&, const ResponseStatus&) = default;
};

/// A TLV as found: type code, value, and where the value starts in the VDPDU.
struct Tlv {
  std::uint8_t type = 0;
  Octets value;
  std::size_t offset = 0;
};

/// Walks the TLVs of a VDPDU up to End or the end of the octets; what stands after End is ignored, and zero padding
/// reads as End. Call manager() once, then next() until it is empty. The first TLV must be the manager ID (16 octets),
/// and it may not come again; our authentication TLV is the last before End. Errors: truncated header or value, manager
/// missing, second, or of another length, a TLV behind authentication; they end the walk.
class VdpduReader {
 public:
  explicit VdpduReader(Octets vdpdu, std::size_t base_offset = 0) : reader_(vdpdu, base_offset) {}
  Decoded<ManagerId> manager();
  /// The next TLV after the manager; empty optional at the end.
  Decoded<std::optional<Tlv>> next();

 private:
  BoundedReader reader_;
  bool ended_ = false;
  bool sealed_ = false;  ///< the authentication TLV has been read
};

/// A decoded association TLV; `entries` are still octets of the frame, read one by one with `entry(i)`.
struct Association {
  TlvType command = TlvType::kAssociate;
  std::uint8_t status = 0;
  VsiType type;
  VsiId vsi;
  FilterFormat format = FilterFormat::kVid;
  std::uint16_t count = 0;  ///< 0 only in a De-Associate: the whole VSI (S3)
  Octets entries;

  bool is_response() const { return (status & kStatusResponse) != 0; }
  bool suspended() const { return !is_response() && (status & kStatusSuspended) != 0; }
  bool migrating() const { return !is_response() && (status & kStatusMigrating) != 0; }
  ResponseStatus response() const { return ResponseStatus::from_octet(status); }
  /// Requires i < count of a decoded association.
  FilterEntry entry(std::size_t i) const;

 private:
  static const std::uint8_t* read_ip(const FilterLayout& has, const std::uint8_t* at, IpPrefix& out);
};

inline FilterEntry Association::entry(std::size_t i) const {
  const FilterLayout& has = layout(format);
  ensure((i + 1) * has.octets <= entries.size(), "entry index below the count");
  const std::uint8_t* at = entries.data() + i * has.octets;
  FilterEntry out;
  if (has.group) {
    out.group =
        GroupId((std::uint32_t{at[0]} << 24) | (std::uint32_t{at[1]} << 16) | (std::uint32_t{at[2]} << 8) | at[3]);
    at += 4;
  }
  if (has.mac) {
    out.mac = MacAddress(MacAddress::Bytes{at[0], at[1], at[2], at[3], at[4], at[5]});
    at += 6;
  }
  if (has.ip != IpFamily::kNone) at = read_ip(has, at, out.ip);
  out.ps = (at[0] & 0x80) != 0;
  out.pcp = static_cast<std::uint8_t>((at[0] >> 4) & 0x07);
  out.vid = Vid(static_cast<std::uint16_t>((at[0] << 8) | at[1]));
  return out;
}

/// The part of an association TLV that can be read even when the rest is malformed: enough to answer it with code 1.
struct AssociationHead {
  TlvType command = TlvType::kAssociate;
  std::uint8_t status = 0;
  VsiType type;
  VsiId vsi;
};
/// Reads the 22 fixed octets. Errors: truncated, not an association type.
Decoded<AssociationHead> decode_association_head(const Tlv& tlv);
/// Reads the whole value. Errors: truncated, unknown filter format, count 0 outside De-Associate, length that does not
/// match the count, prefix length out of range, host bits set. A De-Associate without filter information (22 or 23
/// octets) has count 0, and its format says nothing.
Decoded<Association> decode_association(const Tlv& tlv);

/// Octets that an association TLV with these entries takes, header included.
constexpr std::size_t association_octets(FilterFormat format, std::size_t count) {
  return 2 + 25 + count * entry_octets(format);
}
/// The most entries of a format that one TLV can carry (the 9-bit length).
constexpr std::size_t entries_per_tlv_max(FilterFormat format) { return (511 - 25) / entry_octets(format); }

/// Builds a VDPDU into a buffer: manager ID first, then TLVs while they fit with the End TLV, then End.
class VdpduWriter {
 public:
  /// `buffer` holds at least 20 octets; limits::kVdpduOctetsMax is the usual size.
  VdpduWriter(MutableOctets buffer, const ManagerId& manager);
  /// `behind`: octets of TLVs that belong behind it.
  bool fits(FilterFormat format, std::size_t count, std::size_t behind = 0) const;
  /// For whole TLVs of so many octets, headers included.
  bool has_room(std::size_t octets) const;
  /// Requires fits(), a 24-bit type id, PCPs below 8, and IPs of the format's family and kind.
  void association(TlvType command, std::uint8_t status, const VsiType& type, const VsiId& vsi, FilterFormat format,
                   std::span<const FilterEntry> entries);
  /// The answer to a TLV that could not be decoded: its fixed part and an empty filter list (format 1, count 0); false
  /// if it does not fit. decode_association() refuses it outside De-Associate: its receiver reads it as a head.
  bool association_head(const AssociationHead& head, std::uint8_t status);
  /// The raw TLV `type` with `value`; false if it does not fit (then nothing is written). End and the manager are the
  /// writer's own.
  bool raw(std::uint8_t type, Octets value);
  /// Keeps so many octets from what follows, until release(): room for a TLV that stands behind it.
  void reserve(std::size_t octets) { reserved_ = octets; }
  void release() { reserved_ = 0; }
  std::size_t tlvs() const { return tlvs_; }
  /// Appends End and returns the VDPDU. Call it once, last.
  Octets finish();

 private:
  BoundedWriter writer_;
  std::size_t reserved_ = 0;
  std::size_t tlvs_ = 0;
};

}  // namespace splitnve::vdp
