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
constexpr std::size_t kValueOctetsMax = kPrefixOctets + kCauseOctets + kReasonTextOctetsMax;

using Optional = std::optional<Extension>;

/// The reads after it cannot fail; what may follow the fixed part is the caller's to say.
Decoded<void> expect_octets(const BoundedReader& reader, std::size_t least, std::size_t most) {
  if (reader.remaining() < least)
    return unexpected<DecodeError>(DecodeError{"truncated extension", reader.offset() + reader.remaining()});
  if (reader.remaining() > most)
    return unexpected<DecodeError>(DecodeError{"octets behind the extension", reader.offset() + most});
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
};

/// The value of the TLV, OUI and subtype first; the variant's order is the subtypes'.
Octets encode(const Extension& extension, MutableOctets buffer) {
  BoundedWriter writer(buffer);
  writer.octets(kOui);
  writer.u8(static_cast<std::uint8_t>(extension.index() + 1));
  std::visit(Write{writer}, extension);
  ensure(!writer.overflowed(), "the buffer holds every extension");
  return writer.written();
}

constexpr std::array kFlagNames{"ip-formats", "prefix-formats", "deactivate",  "bridge-deactivate",  "migration",
                                "vn-name",    "vn-requests",    "reason-text", "incremental-filter", "multi-vid"};
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

std::string_view cut_reason_text(std::string_view text) {
  std::size_t octets = std::min(text.size(), kReasonTextOctetsMax);
  while (octets < text.size() && octets > 0 && (static_cast<unsigned char>(text[octets]) & 0xC0u) == 0x80u) --octets;
  return text.substr(0, octets);
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

std::size_t extension_octets(const Extension& extension) {
  std::array<std::uint8_t, kValueOctetsMax> buffer;
  return 2 + encode(extension, buffer).size();
}

}  // namespace splitnve::vdp
