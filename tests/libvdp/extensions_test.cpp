// SPDX-License-Identifier: Apache-2.0
// The formats with IPs and our organizational TLVs: golden octets, truncation, what is refused and where.
#include "splitnve/vdp/extensions.hpp"

#include <gtest/gtest.h>

#include <random>

#include "codec_support.hpp"

namespace splitnve::vdp::test {
namespace {

constexpr char kVsi[] = "05 11111111222233334444555555555501 ";
constexpr std::size_t kOffset = 20;
constexpr std::size_t kEntries = 25;  // where they start in an association's value

IpPrefix ip(const char* text) { return *IpPrefix::from_string(text); }

OctetString association(const std::string& tail) { return from_hex("00 000001 01 " + std::string(kVsi) + tail); }

Decoded<Association> decode(Octets value) { return decode_association({3, value, kOffset}); }

void expect_refused(const std::string& tail, const char* cause, std::size_t offset_in_value) {
  const OctetString octets = association(tail);
  const auto read = decode(octets);
  ASSERT_FALSE(read) << tail;
  EXPECT_EQ(read.error(), (DecodeError{cause, kOffset + offset_in_value})) << tail << ": " << read.error().offset;
}

Decoded<std::optional<Extension>> decode_ours(Octets value) { return decode_extension({127, value, kOffset}); }

OctetString ours(const std::string& hex) { return from_hex("02534e" + hex); }

std::string repeated(const char* hex, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += hex;
  return out;
}

// --- formats with IPs ---

struct GoldenEntry {
  const char* tail;  // filter format, count, entry
  FilterFormat format;
  FilterEntry entry;
};

std::vector<GoldenEntry> golden_entries() {
  const GroupId group(70004);
  const MacAddress mac(std::uint64_t{0x02aa00000004});
  const MacAddress none;
  return {
      {"05 0001 00011174 c0000207 0067",
       FilterFormat::kGroupIpv4Vid,
       {group, none, Vid(103), false, 0, ip("192.0.2.7")}},
      {"06 0001 00011174 20010db8000000000000000000000007 0067",
       FilterFormat::kGroupIpv6Vid,
       {group, none, Vid(103), false, 0, ip("2001:db8::7")}},
      {"07 0001 00011174 02aa00000004 c0000207 b067",
       FilterFormat::kGroupMacIpv4Vid,
       {group, mac, Vid(103), true, 3, ip("192.0.2.7")}},
      {"08 0001 00011174 02aa00000004 20010db8000000000000000000000007 0067",
       FilterFormat::kGroupMacIpv6Vid,
       {group, mac, Vid(103), false, 0, ip("2001:db8::7")}},
      {"85 0001 00011174 c0000200 18 0067",
       FilterFormat::kGroupIpv4PrefixVid,
       {group, none, Vid(103), false, 0, ip("192.0.2.0/24")}},
      {"86 0001 00011174 20010db8000000000000000000000000 20 0067",
       FilterFormat::kGroupIpv6PrefixVid,
       {group, none, Vid(103), false, 0, ip("2001:db8::/32")}},
      {"87 0001 00011174 02aa00000004 c0000207 20 0000",
       FilterFormat::kGroupMacIpv4PrefixVid,
       {group, mac, Vid(), false, 0, ip("192.0.2.7")}},
      {"88 0001 00011174 02aa00000004 00000000000000000000000000000000 00 0067",
       FilterFormat::kGroupMacIpv6PrefixVid,
       {group, mac, Vid(103), false, 0, ip("::/0")}},
  };
}

TEST(IpFormats, GoldenOctetsAreReadAndWritten) {
  for (const GoldenEntry& golden : golden_entries()) {
    SCOPED_TRACE(golden.tail);
    const OctetString value = association(golden.tail);
    const auto read = decode(value);
    ASSERT_TRUE(read) << read.error().cause << " at " << read.error().offset;
    EXPECT_EQ(read->format, golden.format);
    ASSERT_EQ(read->count, 1);
    EXPECT_EQ(read->entry(0), golden.entry);

    OctetString buffer(limits::kVdpduOctetsMax);
    VdpduWriter writer(buffer, ManagerId{});
    writer.association(TlvType::kAssociate, 0, read->type, read->vsi, read->format, {&golden.entry, 1});
    const Octets written = writer.finish();
    EXPECT_TRUE(std::ranges::equal(written.subspan(kOffset, value.size()), value));
  }
}

TEST(IpFormats, ATlvCarriesAsManyEntriesAsItsLengthAllows) {
  const std::pair<FilterFormat, std::size_t> most[] = {
      {FilterFormat::kGroupIpv4Vid, 48},          {FilterFormat::kGroupIpv6Vid, 22},
      {FilterFormat::kGroupMacIpv4Vid, 30},       {FilterFormat::kGroupMacIpv6Vid, 17},
      {FilterFormat::kGroupIpv4PrefixVid, 44},    {FilterFormat::kGroupIpv6PrefixVid, 21},
      {FilterFormat::kGroupMacIpv4PrefixVid, 28}, {FilterFormat::kGroupMacIpv6PrefixVid, 16},
  };
  for (const auto& [format, count] : most) EXPECT_EQ(entries_per_tlv_max(format), count);
}

TEST(IpFormats, EveryCutIsRefusedInsideTheValue) {
  for (const GoldenEntry& golden : golden_entries()) {
    const OctetString value = association(golden.tail);
    for (std::size_t size = 0; size < value.size(); ++size) {
      const auto read = decode(Octets(value).first(size));
      ASSERT_FALSE(read) << golden.tail << " cut to " << size;
      EXPECT_EQ(read.error().offset, kOffset + size);
    }
  }
}

TEST(IpFormats, APrefixLengthBeyondTheAddressIsRefusedWhereItStands) {
  expect_refused("85 0001 00011174 c0000200 21 0067", "prefix length out of range", kEntries + 8);
  expect_refused("87 0001 00011174 02aa00000004 c0000200 ff 0067", "prefix length out of range", kEntries + 14);
  expect_refused("86 0001 00011174 20010db8000000000000000000000000 81 0067", "prefix length out of range",
                 kEntries + 20);
  expect_refused("85 0002 00011174 c0000200 18 0067 00011174 c0000200 21 0067", "prefix length out of range",
                 kEntries + 11 + 8);
}

TEST(IpFormats, HostBitsAreRefusedWhereTheAddressStands) {
  expect_refused("85 0001 00011174 c0000201 18 0067", "host bits set", kEntries + 4);
  expect_refused("85 0001 00011174 c0000200 00 0067", "host bits set", kEntries + 4);
  expect_refused("85 0001 00011174 c0000280 18 0067", "host bits set", kEntries + 4);
  expect_refused("88 0001 00011174 02aa00000004 20010db8000000000000000000000001 7f 0067", "host bits set",
                 kEntries + 10);
}

TEST(CodecDeathTest, TheWriterTakesAnIpOfItsFormatOnly) {
  OctetString buffer(limits::kVdpduOctetsMax);
  VdpduWriter writer(buffer, ManagerId{});
  const auto write = [&](FilterFormat format, const char* text) {
    const FilterEntry entry{GroupId(1), {}, {}, false, 0, ip(text)};
    writer.association(TlvType::kAssociate, 0, {1, 1}, VsiId{}, format, {&entry, 1});
  };
  EXPECT_DEATH(write(FilterFormat::kGroupIpv4Vid, "2001:db8::1"), "an IP of the format's kind");
  EXPECT_DEATH(write(FilterFormat::kGroupIpv4Vid, "192.0.2.0/24"), "an IP of the format's kind");
}

// --- our TLVs ---

Capabilities capabilities() {
  Capabilities out;
  out.role = Role::kBridge;
  out.flags = Flags().set(Flag::kDeactivate).set(Flag::kIncrementalFilter);
  out.system.fill(0x11);
  out.epoch = 7;
  out.nonce.fill(0x22);
  out.timers = {3, 8, 20, 21, true};
  out.segment = 9;
  out.vids = {{Vid(100), Vid(199)}, {Vid(300), Vid(399)}};
  return out;
}

Capabilities first_version() {
  Capabilities out = capabilities();
  out.version = 1;
  out.timers = {};
  out.segment = 0;
  out.vids.clear();
  return out;
}

const std::string kFirstVersion = "02 00000104" + repeated("11", 16) + "0000000000000007" + repeated("22", 16);

VsiId vsi_of(std::uint8_t octet) {
  VsiId vsi;
  vsi.format = 5;
  vsi.octets.fill(octet);
  return vsi;
}

std::vector<std::pair<OctetString, Extension>> golden_extensions() {
  VnName name;
  name.octets.fill(0x44);
  Authentication authentication{1, 2, 3, {}};
  authentication.tag.fill(0x55);
  return {
      {ours("01 01" + kFirstVersion), first_version()},
      {ours("01 02" + kFirstVersion + "68 94 15 0000000000000009 02 006400c7 012c018f"), capabilities()},
      {ours("07 01 00 05" + repeated("66", 16) + "00011174"),
       Standing{Standing::What::kHeld, Standing::Scope::kVsi, vsi_of(0x66), GroupId(70004)}},
      {ours("07 02 02 00" + repeated("00", 16) + "00000000"),
       Standing{Standing::What::kEndOfList, Standing::Scope::kAll, VsiId{0, {}}, GroupId()}},
      {ours("09 00011174 0001"), VnAttributes{GroupId(70004), VnAttributes::kLocalSwitchingOff}},
      {ours("02 00"), Migration::kUnknown},
      {ours("02 03"), Migration::kDeparting},
      {ours("03" + repeated("44", 16)), name},
      {ours("04 01 00011174 00 0000"), VnRequest{VnRequest::Operation::kConnect, GroupId(70004), 0, Vid()}},
      {ours("04 02 00011174 64 0064"), VnRequest{VnRequest::Operation::kDisconnect, GroupId(70004), 0x64, Vid(100)}},
      {ours("05 000c 6e6f20564e"), ReasonText{12, "no VN"}},
      {ours("05 0000"), ReasonText{0, ""}},
      {ours("06 0001 0000000000000002 0000000000000003" + repeated("55", 16)), authentication},
  };
}

TEST(Extensions, GoldenOctetsAreReadAndWritten) {
  for (const auto& [octets, extension] : golden_extensions()) {
    const auto read = decode_ours(octets);
    ASSERT_TRUE(read && *read) << extension.index();
    EXPECT_EQ(**read, extension) << extension.index();

    OctetString buffer(limits::kVdpduOctetsMax);
    VdpduWriter writer(buffer, ManagerId{});
    ASSERT_TRUE(write_extension(writer, extension));
    EXPECT_TRUE(std::ranges::equal(writer.finish().subspan(kOffset, octets.size()), octets)) << extension.index();
    EXPECT_EQ(extension_octets(extension), 2 + octets.size());
  }
}

TEST(Extensions, EveryCutIsRefusedAtItsEndOrNotOurs) {
  for (const auto& [octets, extension] : golden_extensions()) {
    const bool text = std::holds_alternative<ReasonText>(extension);
    for (std::size_t size = 0; size < octets.size(); ++size) {
      const auto read = decode_ours(Octets(octets).first(size));
      if (size < 4) {
        EXPECT_TRUE(read && !*read) << "without OUI and subtype it is a foreign TLV";
      } else if (!text || size < 6) {
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error(), (DecodeError{"truncated extension", kOffset + size}));
      }
    }
  }
}

TEST(Extensions, OnlyCapabilitiesMayGrow) {
  for (auto [octets, extension] : golden_extensions()) {
    if (std::holds_alternative<ReasonText>(extension)) continue;
    const std::size_t end = octets.size();
    octets.push_back(0xff);
    const auto read = decode_ours(octets);
    if (std::holds_alternative<Capabilities>(extension)) {
      ASSERT_TRUE(read && *read);
      EXPECT_EQ(**read, extension);
    } else {
      ASSERT_FALSE(read);
      EXPECT_EQ(read.error(), (DecodeError{"octets behind the extension", kOffset + end}));
    }
  }
}

TEST(Extensions, ValuesOutOfRangeAreRefusedWhereTheyStand) {
  const auto expect = [](const OctetString& octets, const char* cause, std::size_t at) {
    const auto read = decode_ours(octets);
    ASSERT_FALSE(read) << cause;
    EXPECT_EQ(read.error(), (DecodeError{cause, kOffset + at}));
  };
  expect(ours("01 00" + repeated("00", 45)), "capabilities of version 0", 4);
  expect(ours("02 04"), "unknown migration value", 4);
  expect(ours("04 00 00011174 00 0000"), "unknown VN operation", 4);
  expect(ours("04 04 00011174 00 0000"), "unknown VN operation", 4);
  expect(ours("01 02" + kFirstVersion + "68 94 15 0000000000000009 09" + repeated("00010001", 9)),
         "too many VID ranges", 4 + 46 + 11);
  for (const char* range : {"00c70064", "00000064", "00640fff"})
    expect(ours("01 02" + kFirstVersion + "68 94 15 0000000000000009 01" + range), "VID range out of range",
           4 + 46 + 12);
  expect(ours("07 03 00 05" + repeated("66", 16) + "00011174"), "unknown standing", 4);
  expect(ours("07 01 03 05" + repeated("66", 16) + "00011174"), "unknown scope of a standing", 5);
  expect(ours("05 0000" + repeated("41", 65)), "octets behind the extension", 4 + 2 + 64);
}

TEST(Extensions, ForeignOuisAndUnknownSubtypesAreWalkedOver) {
  for (const char* hex : {"00000c f105", "02534f 0202", "02534e 00", "02534e 08ff", "02534e 0aff", "02534e ff"}) {
    const OctetString octets = from_hex(hex);
    const auto read = decode_ours(octets);
    ASSERT_TRUE(read) << hex;
    EXPECT_FALSE(read->has_value()) << hex;
  }
  const OctetString migration = ours("02 02");
  EXPECT_FALSE(decode_extension({126, migration, kOffset})->has_value()) << "only type 127 is organizational";
}

TEST(Extensions, NothingButEndStandsBehindAuthentication) {
  const std::string manager = "0a10" + repeated("00", 16);
  const std::string authentication = "fe26 02534e06" + repeated("00", 34);
  const OctetString legal = from_hex(manager + "fe05 02534e0202" + authentication + "0000 fe00");
  const auto read = read_vdpdu(legal);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tlvs.size(), 2u);
  const OctetString behind = from_hex(manager + authentication + "fe05 02534e0202" + "0000");
  const auto refused = read_vdpdu(behind);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (DecodeError{"TLV behind authentication", 18 + 40}));
}

TEST(Extensions, WhatDoesNotFitIsNotWritten) {
  OctetString buffer(20 + 51);
  VdpduWriter writer(buffer, ManagerId{});
  EXPECT_FALSE(write_extension(writer, capabilities()));
  EXPECT_TRUE(write_extension(writer, Migration::kArriving));
  EXPECT_EQ(writer.tlvs(), 1u);
}

TEST(Extensions, ReservedBitsOfTheTimersAreIgnored) {
  const auto read = decode_ours(ours("01 02" + kFirstVersion + "68 f4 f5 0000000000000009 00"));
  ASSERT_TRUE(read && *read);
  EXPECT_EQ(std::get<Capabilities>(**read).timers, (LocalTimers{3, 8, 20, 21, true}));
}

/// A peer one version behind reads what it knows of ours: the first 46 octets, whatever the version says.
TEST(Extensions, TheFirstVersionsFieldsStandWhereTheyStood) {
  OctetString buffer(limits::kVdpduOctetsMax);
  VdpduWriter writer(buffer, ManagerId{});
  ASSERT_TRUE(write_extension(writer, capabilities()));
  const Octets value = writer.finish().subspan(kOffset);
  EXPECT_EQ(value[4], 2);
  EXPECT_TRUE(std::ranges::equal(value.subspan(5, 45), from_hex(kFirstVersion)));
}

TEST(Extensions, WhatIsWrittenIsReadAsItWas) {
  std::mt19937 random(13);
  const auto word = [&] { return static_cast<std::uint32_t>(random()); };
  const auto below = [&](unsigned end) { return static_cast<std::uint16_t>(random() % end); };
  const auto octet = [&](unsigned end) { return static_cast<std::uint8_t>(random() % end); };
  for (int round = 0; round < 2000; ++round) {
    Capabilities caps = first_version();
    caps.version = static_cast<std::uint8_t>(1 + octet(255));
    caps.flags = Flags(word());
    if (caps.has_timers()) {
      caps.timers = {octet(8), octet(32), octet(32), octet(32), octet(2) == 1};
      caps.segment = random();
      for (unsigned n = below(kVidSpansMax + 1); n > 0; --n) {
        const auto first = static_cast<std::uint16_t>(1 + below(4094));
        caps.vids.push_back({Vid(first), Vid(static_cast<std::uint16_t>(first + below(4095u - first)))});
      }
    }
    const Standing standing{static_cast<Standing::What>(octet(3)), static_cast<Standing::Scope>(octet(3)),
                            vsi_of(octet(256)), GroupId(word())};
    for (const Extension& extension :
         {Extension(caps), Extension(standing), Extension(VnAttributes{GroupId(word()), below(65535)})}) {
      OctetString buffer(limits::kVdpduOctetsMax);
      VdpduWriter writer(buffer, ManagerId{});
      ASSERT_TRUE(write_extension(writer, extension));
      const Octets value = writer.finish().subspan(kOffset, extension_octets(extension) - 2);
      const auto read = decode_ours(value);
      ASSERT_TRUE(read && *read) << round;
      ASSERT_EQ(**read, extension) << round;
    }
  }
}

TEST(Extensions, ASegmentIsKnownByItsName) {
  EXPECT_EQ(segment_id(""), 0u);
  EXPECT_EQ(segment_id("a"), 0xaf63dc4c8601ec8cu) << "FNV-1a of 64 bits";
  EXPECT_NE(segment_id("rack-7"), segment_id("rack-8"));
}

TEST(Extensions, FlagsHaveNamesAndUnknownBitsAreKept) {
  for (const Flag flag : kAllFlags) EXPECT_EQ(flag_from_string(to_string(flag)), flag);
  EXPECT_FALSE(flag_from_string("telepathy"));
  EXPECT_EQ(Flags::all().bits(), 0x1fffu);
  EXPECT_EQ(Flags(0x80000004).bits(), 0x80000004u);
  EXPECT_TRUE(Flags(0x80000004).has(Flag::kDeactivate));
}

}  // namespace
}  // namespace splitnve::vdp::test
