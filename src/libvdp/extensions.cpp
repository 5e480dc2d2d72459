// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/extensions.hpp"

#include <algorithm>

namespace splitnve::vdp {
namespace {

constexpr std::size_t kPrefixOctets = 4;  // OUI and subtype
constexpr std::size_t kCapabilitiesOctets = 46;
constexpr std::size_t kMigrationOctets = 1;
constexpr std::size_t kVnNameOctets = 16;
constexpr std::size_t kVnRequestOctets = 8;
constexpr std::size_t kCauseOctets = 2;
constexpr std::size_t kAuthenticationOctets = 34;
constexpr std::size_t kStandingOctets = 23;
constexpr std::size_t kVnAttributesOctets = 6;
constexpr std::size_t kVidSpanOctets = 4;
/// Timers, segment, number of VID ranges.
constexpr std::size_t kSecondVersionOctets = 3 + 8 + 1;
constexpr std::size_t kValueOctetsMax =
    kPrefixOctets + kCapabilitiesOctets + kSecondVersionOctets + kVidSpansMax * kVidSpanOctets;
static_assert(kValueOctetsMax >= kPrefixOctets + kCauseOctets + kReasonTextOctetsMax);
/// A number of 5 bits; what is above it is reserved, or R's.
constexpr std::uint8_t kExponentMask = 0x1F;
constexpr std::uint8_t kRelayBit = 0x80;

using Optional = std::optional<Extension>;

/// The reads after it cannot fail; what may follow the fixed part is the caller's to say.
Decoded<void> expect_octets(const BoundedReader& reader, std::size_t least, std::size_t most) {
  if (reader.remaining() < least)
    return unexpected<DecodeError>(DecodeError{"truncated extension", reader.offset() + reader.remaining()});
  if (reader.remaining() > most)
    return unexpected<DecodeError>(DecodeError{"octets behind the extension", reader.offset() + most});
  return {};
}

/// What the second version adds; what a later one may add behind it is not ours to read.
Decoded<void> read_second_version(BoundedReader& reader, Capabilities& out) {
  if (const auto size = expect_octets(reader, kSecondVersionOctets, reader.remaining()); !size) return size;
  std::uint8_t retries_rte = 0, relay_rwd = 0, rka = 0, count = 0;
  reader.u8(retries_rte);
  reader.u8(relay_rwd);
  reader.u8(rka);
  reader.u64(out.segment);
  out.timers = {static_cast<std::uint8_t>(retries_rte >> 5), static_cast<std::uint8_t>(retries_rte & kExponentMask),
                static_cast<std::uint8_t>(relay_rwd & kExponentMask), static_cast<std::uint8_t>(rka & kExponentMask),
                (relay_rwd & kRelayBit) != 0};
  if (reader.rest()[0] > kVidSpansMax) return reader.error("too many VID ranges");
  reader.u8(count);
  if (const auto size = expect_octets(reader, count * kVidSpanOctets, reader.remaining()); !size) return size;
  for (; count > 0; --count) {
    const BoundedReader at = reader;
    std::uint16_t first = 0, last = 0;
    reader.u16(first);
    reader.u16(last);
    if (first == 0 || first > last || last > 4094) return at.error("VID range out of range");
    out.vids.push_back({Vid(first), Vid(last)});
  }
  return {};
}

Decoded<Optional> read_capabilities(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kCapabilitiesOctets, reader.remaining()); !size)
    return unexpected<DecodeError>(size.error());
  if (reader.rest()[0] == 0) return reader.error("capabilities of version 0");
  Capabilities out;
  std::uint8_t role = 0;
  std::uint32_t flags = 0;
  reader.u8(out.version);
  reader.u8(role);
  reader.u32(flags);
  reader.array(out.system);
  reader.u64(out.epoch);
  reader.array(out.nonce);
  out.role = static_cast<Role>(role);
  out.flags = Flags(flags);
  if (out.version >= 2)
    if (const auto second = read_second_version(reader, out); !second) return unexpected<DecodeError>(second.error());
  return Optional(out);
}

Decoded<Optional> read_migration(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kMigrationOctets, kMigrationOctets); !size)
    return unexpected<DecodeError>(size.error());
  const std::uint8_t value = reader.rest()[0];
  if (value > static_cast<std::uint8_t>(Migration::kDeparting)) return reader.error("unknown migration value");
  return Optional(static_cast<Migration>(value));
}

Decoded<Optional> read_vn_name(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kVnNameOctets, kVnNameOctets); !size)
    return unexpected<DecodeError>(size.error());
  VnName out;
  reader.array(out.octets);
  return Optional(out);
}

Decoded<Optional> read_vn_request(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kVnRequestOctets, kVnRequestOctets); !size)
    return unexpected<DecodeError>(size.error());
  const std::uint8_t operation = reader.rest()[0];
  if (operation < 1 || operation > 3) return reader.error("unknown VN operation");
  VnRequest out;
  out.operation = static_cast<VnRequest::Operation>(operation);
  std::uint32_t group = 0;
  std::uint16_t vid = 0;
  reader.skip(1);
  reader.u32(group);
  reader.u8(out.status);
  reader.u16(vid);
  out.group = GroupId(group);
  out.vid = Vid(vid);
  return Optional(out);
}

Decoded<Optional> read_reason(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kCauseOctets, kCauseOctets + kReasonTextOctetsMax); !size)
    return unexpected<DecodeError>(size.error());
  ReasonText out;
  reader.u16(out.cause);
  const Octets text = reader.rest();
  // Characters may alias octets; the view lives as long as the VDPDU.
  // NOLINTNEXTLINE(bugprone-casting-through-void)
  out.text = std::string_view(static_cast<const char*>(static_cast<const void*>(text.data())), text.size());
  return Optional(out);
}

Decoded<Optional> read_authentication(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kAuthenticationOctets, kAuthenticationOctets); !size)
    return unexpected<DecodeError>(size.error());
  Authentication out;
  reader.u16(out.key);
  reader.u64(out.session);
  reader.u64(out.counter);
  reader.array(out.tag);
  return Optional(out);
}

Decoded<Optional> read_standing(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kStandingOctets, kStandingOctets); !size)
    return unexpected<DecodeError>(size.error());
  if (reader.rest()[0] > static_cast<std::uint8_t>(Standing::What::kEndOfList)) return reader.error("unknown standing");
  Standing out;
  out.what = static_cast<Standing::What>(reader.rest()[0]);
  reader.skip(1);
  if (reader.rest()[0] > static_cast<std::uint8_t>(Standing::Scope::kAll))
    return reader.error("unknown scope of a standing");
  out.scope = static_cast<Standing::Scope>(reader.rest()[0]);
  reader.skip(1);
  std::uint32_t group = 0;
  reader.u8(out.vsi.format);
  reader.array(out.vsi.octets);
  reader.u32(group);
  out.group = GroupId(group);
  return Optional(out);
}

Decoded<Optional> read_vn_attributes(BoundedReader& reader) {
  if (const auto size = expect_octets(reader, kVnAttributesOctets, kVnAttributesOctets); !size)
    return unexpected<DecodeError>(size.error());
  VnAttributes out;
  std::uint32_t group = 0;
  reader.u32(group);
  reader.u16(out.flags);
  out.group = GroupId(group);
  return Optional(out);
}

/// The subtype's value into the TLV's.
struct Write {
  BoundedWriter& writer;

  void operator()(const Capabilities& c) const {
    writer.u8(c.version);
    writer.u8(static_cast<std::uint8_t>(c.role));
    writer.u32(c.flags.bits());
    writer.octets(c.system);
    writer.u64(c.epoch);
    writer.octets(c.nonce);
    if (c.version < 2) return;
    const LocalTimers& t = c.timers;
    ensure(t.retries <= 7 && std::max({t.rte, t.rwd, t.rka}) <= kExponentMask, "timers as EVB can say them");
    writer.u8(static_cast<std::uint8_t>(t.retries << 5 | t.rte));
    writer.u8(static_cast<std::uint8_t>((t.reflective_relay ? kRelayBit : 0) | t.rwd));
    writer.u8(t.rka);
    writer.u64(c.segment);
    writer.u8(static_cast<std::uint8_t>(c.vids.size()));
    for (const VidSpan& span : c.vids) {
      writer.u16(span.first.value());
      writer.u16(span.last.value());
    }
  }
  void operator()(Migration m) const { writer.u8(static_cast<std::uint8_t>(m)); }
  void operator()(const VnName& name) const { writer.octets(name.octets); }
  void operator()(const VnRequest& request) const {
    writer.u8(static_cast<std::uint8_t>(request.operation));
    writer.u32(request.group.value());
    writer.u8(request.status);
    writer.u16(request.vid.value());
  }
  void operator()(const ReasonText& reason) const {
    ensure(reason.text.size() <= kReasonTextOctetsMax, "a reason text of at most 64 octets");
    writer.u16(reason.cause);
    for (const char c : reason.text) writer.u8(static_cast<std::uint8_t>(c));
  }
  void operator()(const Authentication& a) const {
    writer.u16(a.key);
    writer.u64(a.session);
    writer.u64(a.counter);
    writer.octets(a.tag);
  }
  void operator()(const Standing& s) const {
    writer.u8(static_cast<std::uint8_t>(s.what));
    writer.u8(static_cast<std::uint8_t>(s.scope));
    writer.u8(s.vsi.format);
    writer.octets(s.vsi.octets);
    writer.u32(s.group.value());
  }
  void operator()(const VnAttributes& a) const {
    writer.u32(a.group.value());
    writer.u16(a.flags);
  }
};

constexpr std::array kTypes{ExtensionType::kCapabilities, ExtensionType::kMigration,   ExtensionType::kVnName,
                            ExtensionType::kVnRequest,    ExtensionType::kReason,      ExtensionType::kAuthentication,
                            ExtensionType::kStanding,     ExtensionType::kVnAttributes};
static_assert(kTypes.size() == std::variant_size_v<Extension>, "in the variant's order");

/// The value of the TLV, OUI and subtype first.
Octets encode(const Extension& extension, MutableOctets buffer) {
  BoundedWriter writer(buffer);
  writer.octets(kOui);
  writer.u8(static_cast<std::uint8_t>(kTypes[extension.index()]));
  std::visit(Write{writer}, extension);
  ensure(!writer.overflowed(), "the buffer holds every extension");
  return writer.written();
}

constexpr std::array kFlagNames{"ip-formats", "prefix-formats", "deactivate",   "bridge-deactivate",  "migration",
                                "vn-name",    "vn-requests",    "reason-text",  "incremental-filter", "multi-vid",
                                "standing",   "digest",         "vn-attributes"};
static_assert(kFlagNames.size() == kAllFlags.size());

}  // namespace

const char* to_string(Flag flag) {
  const auto found = std::ranges::find(kAllFlags, flag);
  return found == kAllFlags.end() ? "unknown" : kFlagNames[static_cast<std::size_t>(found - kAllFlags.begin())];
}

std::optional<Flag> flag_from_string(std::string_view name) {
  const auto found = std::ranges::find(kFlagNames, name);
  if (found == kFlagNames.end()) return std::nullopt;
  return kAllFlags[static_cast<std::size_t>(found - kFlagNames.begin())];
}

const char* to_string(Migration migration) {
  switch (migration) {
    case Migration::kUnknown: return "unknown";
    case Migration::kNone: return "no";
    case Migration::kArriving: return "arriving";
    case Migration::kDeparting: return "departing";
  }
  return "unknown";
}

Migration migration_of_bits(bool suspended, bool migrating, bool peer_knows) {
  if (migrating) return Migration::kArriving;
  if (!peer_knows) return Migration::kUnknown;
  return suspended ? Migration::kDeparting : Migration::kNone;
}

std::string cut_reason_text(std::string_view text) {
  if (text.size() <= kReasonTextOctetsMax) return std::string(text);
  constexpr std::string_view kMore = "...";
  std::size_t octets = kReasonTextOctetsMax - kMore.size();
  while (octets > 0 && (static_cast<unsigned char>(text[octets]) & 0xC0u) == 0x80u) --octets;
  return std::string(text.substr(0, octets)) + std::string(kMore);
}

std::optional<ExtensionType> extension_type(const Tlv& tlv) {
  if (tlv.type != static_cast<std::uint8_t>(TlvType::kOrganizational) || tlv.value.size() < kPrefixOctets)
    return std::nullopt;
  if (!std::equal(kOui.begin(), kOui.end(), tlv.value.begin())) return std::nullopt;
  return static_cast<ExtensionType>(tlv.value[kOui.size()]);
}

Decoded<std::optional<Extension>> decode_extension(const Tlv& tlv) {
  const auto type = extension_type(tlv);
  if (!type) return Optional();
  BoundedReader reader(tlv.value.subspan(kPrefixOctets), tlv.offset + kPrefixOctets);
  switch (*type) {
    case ExtensionType::kCapabilities: return read_capabilities(reader);
    case ExtensionType::kMigration: return read_migration(reader);
    case ExtensionType::kVnName: return read_vn_name(reader);
    case ExtensionType::kVnRequest: return read_vn_request(reader);
    case ExtensionType::kReason: return read_reason(reader);
    case ExtensionType::kAuthentication: return read_authentication(reader);
    case ExtensionType::kStanding: return read_standing(reader);
    case ExtensionType::kVnAttributes: return read_vn_attributes(reader);
  }
  return Optional();
}

bool write_extension(VdpduWriter& writer, const Extension& extension) {
  std::array<std::uint8_t, kValueOctetsMax> buffer;
  return writer.raw(static_cast<std::uint8_t>(TlvType::kOrganizational), encode(extension, buffer));
}

void write_reserved(VdpduWriter& writer, const Extension& extension) {
  writer.release();
  ensure(write_extension(writer, extension), "its room was reserved");
}

void write_capabilities_only(const Capabilities& capabilities, OctetString& out) {
  out.resize(limits::kVdpduOctetsMax);
  VdpduWriter writer(out, ManagerId{});
  write_extension(writer, capabilities);
  out.resize(writer.finish().size());
}

void write_question(OctetString& out) {
  out.resize(limits::kVdpduOctetsMax);
  out.resize(VdpduWriter(out, ManagerId{}).finish().size());
}

std::size_t extension_octets(const Extension& extension) {
  std::array<std::uint8_t, kValueOctetsMax> buffer;
  return 2 + encode(extension, buffer).size();
}

}  // namespace splitnve::vdp
