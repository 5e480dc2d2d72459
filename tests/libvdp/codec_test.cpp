// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/codec.hpp"

#include <gtest/gtest.h>

#include "codec_support.hpp"

namespace splitnve::vdp::test {
namespace {

constexpr char kManager[] = "0a10 6d677231 00000000 00000000 00000000 ";
constexpr char kVsi[] = "05 11111111222233334444555555555501 ";

ManagerId mgr1() { return ManagerId{{'m', 'g', 'r', '1'}}; }

VsiId vsi(std::uint8_t last) {
  VsiId id = *VsiId::from_uuid("11111111-2222-3333-4444-555555555500");
  id.octets[15] = last;
  return id;
}

/// A VDPDU with this manager and what `hex` says.
OctetString vdpdu(const std::string& hex) { return from_hex(kManager + hex); }

Tlv tlv(TlvType type, Octets value, std::size_t offset = 20) {
  return {static_cast<std::uint8_t>(type), value, offset};
}

/// The value of an association of VSI 01: status 0, type 1 version 1, then what `tail` says from the filter format on.
OctetString value(const std::string& tail) { return from_hex("00 000001 01 " + std::string(kVsi) + tail); }

OctetString written(VdpduWriter& writer) {
  const Octets octets = writer.finish();
  return OctetString(octets.begin(), octets.end());
}

void expect_refused(const OctetString& octets, const char* cause, std::size_t offset) {
  const auto read = read_vdpdu(octets);
  ASSERT_FALSE(read) << "not refused: " << cause;
  EXPECT_EQ(read.error(), (DecodeError{cause, offset}));
}

void expect_association_refused(TlvType type, Octets octets, const char* cause, std::size_t offset_in_value) {
  const auto read = decode_association(tlv(type, octets));
  ASSERT_FALSE(read) << "not refused: " << cause;
  EXPECT_EQ(read.error(), (DecodeError{cause, 20 + offset_in_value}))
      << read.error().cause << " " << read.error().offset;
}

// --- golden octets, both ways ---

struct Golden {
  const char* hex;  // behind the manager, without End
  CopiedAssociation association;
};

std::vector<Golden> golden() {
  const FilterEntry vid100{{}, {}, Vid(100)};
  const FilterEntry gid_mac{GroupId(70004), MacAddress(std::uint64_t{0x02aa00000004}), Vid(103)};
  return {
      {"061b 00 000001 01 05 11111111222233334444555555555501 01 0001 0064",
       {TlvType::kAssociate, 0x00, {1, 1}, vsi(0x01), FilterFormat::kVid, {vid100}}},
      {"061b 40 000001 01 05 11111111222233334444555555555501 01 0001 0064",
       {TlvType::kAssociate, 0x40, {1, 1}, vsi(0x01), FilterFormat::kVid, {vid100}}},
      {"0625 00 000001 01 05 11111111222233334444555555555504 04 0001 00011174 02aa00000004 0067",
       {TlvType::kAssociate, 0x00, {1, 1}, vsi(0x04), FilterFormat::kGroupMacVid, {gid_mac}}},
      {"061f 00 000001 01 05 11111111222233334444555555555507 03 0001 00011177 0000",
       {TlvType::kAssociate, 0x00, {1, 1}, vsi(0x07), FilterFormat::kGroupVid, {{GroupId(70007), {}, {}}}}},
      {"061f 40 000001 01 05 11111111222233334444555555555507 03 0001 00011177 03ef",
       {TlvType::kAssociate, 0x40, {1, 1}, vsi(0x07), FilterFormat::kGroupVid, {{GroupId(70007), {}, Vid(1007)}}}},
      {"061f 41 00000b 01 05 11111111222233334444555555555511 03 0001 00000005 0000",
       {TlvType::kAssociate, 0x41, {11, 1}, vsi(0x11), FilterFormat::kGroupVid, {{GroupId(5), {}, {}}}}},
      {"0221 20 fedcba 07 05 11111111222233334444555555555512 02 0001 02aa00000012 bfff",
       {TlvType::kPreAssociate,
        0x20,
        {0xfedcba, 7},
        vsi(0x12),
        FilterFormat::kMacVid,
        {{{}, MacAddress(std::uint64_t{0x02aa00000012}), Vid(4095), true, 3}}}},
      {"0419 52 000001 01 05 11111111222233334444555555555513 01 0000", {}},  // refused below: no entries
      {"0819 00 000001 01 05 11111111222233334444555555555514 04 0000",
       {TlvType::kDeAssociate, 0x00, {1, 1}, vsi(0x14), FilterFormat::kGroupMacVid, {}}},
  };
}

TEST(Codec, GoldenOctetsAreReadAndWritten) {
  for (const Golden& g : golden()) {
    SCOPED_TRACE(g.hex);
    const OctetString octets = vdpdu(std::string(g.hex) + "0000");
    const auto read = read_vdpdu(octets);
    ASSERT_TRUE(read) << read.error().cause;
    EXPECT_EQ(read->manager, mgr1());
    ASSERT_EQ(read->tlvs.size(), 1u);
    if (g.association == CopiedAssociation{}) {
      EXPECT_TRUE(std::holds_alternative<RawTlv>(read->tlvs[0]));
    } else {
      EXPECT_EQ(read->tlvs[0], CopiedTlv(g.association));
    }
    EXPECT_EQ(write_vdpdu(*read), octets);
  }
}

TEST(Codec, ARequestTellsSuspendedAndMigratingAndAResponseKeepAndHard) {
  Association request;
  request.status = kStatusSuspended | kStatusMigrating;
  EXPECT_FALSE(request.is_response());
  EXPECT_TRUE(request.suspended());
  EXPECT_TRUE(request.migrating());

  Association response;
  response.status = kStatusResponse | kStatusKeep | kStatusHard | 5;
  EXPECT_TRUE(response.is_response());
  EXPECT_FALSE(response.suspended());
  EXPECT_FALSE(response.migrating());
  EXPECT_EQ(response.response(), (ResponseStatus{Code::kInvalidAddress, true, true}));
  EXPECT_FALSE(response.response().success());
  response.status = kStatusResponse | kStatusKeep | kStatusHard;
  EXPECT_TRUE(response.response().success());
}

TEST(Codec, EveryResponseStatusIsItsOctetAgain) {
  for (unsigned octet = 0x40; octet < 0x80; ++octet)
    EXPECT_EQ(ResponseStatus::from_octet(static_cast<std::uint8_t>(octet)).octet(), octet);
}

TEST(Codec, ReservedStatusBitIsIgnoredAndKept) {
  const OctetString octets = from_hex("80 000001 01 " + std::string(kVsi) + "01 0001 0064");
  const auto association = decode_association(tlv(TlvType::kAssociate, octets));
  ASSERT_TRUE(association);
  EXPECT_EQ(association->status, 0x80);
  EXPECT_FALSE(association->is_response());
  EXPECT_FALSE(association->suspended());
}

TEST(Codec, ReservedCodesAreKeptAsReceived) {
  const ResponseStatus status = ResponseStatus::from_octet(0x4e);
  EXPECT_EQ(static_cast<unsigned>(status.code), 14u);
  EXPECT_FALSE(status.success());
  EXPECT_STREQ(to_string(status.code), "reserved code");
  EXPECT_STREQ(to_string(Code::kInvalidAddress), "invalid VID, GroupID or address");
}

TEST(Codec, UnknownVsiIdFormatsAreKeptAsReceived) {
  const OctetString octets = from_hex("00 000001 01 fe 11111111222233334444555555555501 01 0001 0064");
  const auto association = decode_association(tlv(TlvType::kAssociate, octets));
  ASSERT_TRUE(association);
  EXPECT_EQ(association->vsi.format, 0xfe);
}

TEST(Codec, AVlanWordSplitsIntoPsPcpAndVid) {
  const OctetString octets = value("01 0003 5064 d064 0fff");
  const auto association = decode_association(tlv(TlvType::kAssociate, octets));
  ASSERT_TRUE(association);
  ASSERT_EQ(association->count, 3);
  EXPECT_EQ(association->entry(0), (FilterEntry{{}, {}, Vid(100), false, 5}));
  EXPECT_EQ(association->entry(1), (FilterEntry{{}, {}, Vid(100), true, 5}));
  EXPECT_EQ(association->entry(2), (FilterEntry{{}, {}, Vid(4095), false, 0}));
}

TEST(CodecDeathTest, AnEntryBehindTheLastIsOurMistake) {
  const OctetString octets = value("01 0001 0064");
  const auto association = decode_association(tlv(TlvType::kAssociate, octets));
  ASSERT_TRUE(association);
  EXPECT_DEATH(static_cast<void>(association->entry(1)), "entry index below the count");
}

// --- walking ---

TEST(Codec, TheManagerComesFirst) {
  const std::string association = "061b 00 000001 01 " + std::string(kVsi) + "01 0001 0064";
  expect_refused({}, "VSI manager ID missing", 0);
  expect_refused(from_hex("0000"), "VSI manager ID missing", 0);
  expect_refused(from_hex(association), "VSI manager ID missing", 0);
  expect_refused(from_hex(association + kManager), "VSI manager ID missing", 0);
  expect_refused(from_hex("fe04 02534e01"), "VSI manager ID missing", 0);
}

TEST(Codec, TheManagerComesOnce) {
  expect_refused(vdpdu(kManager), "second VSI manager ID", 18);
  const std::string association = "061b 00 000001 01 " + std::string(kVsi) + "01 0001 0064";
  expect_refused(vdpdu(association + kManager), "second VSI manager ID", 18 + 29);
  expect_refused(vdpdu("0a00"), "second VSI manager ID", 18);
}

TEST(Codec, TheManagerHasSixteenOctets) {
  expect_refused(from_hex("0a00"), "VSI manager ID of other than 16 octets", 0);
  expect_refused(from_hex("0a0f 6d677231 00000000 00000000 000000"), "VSI manager ID of other than 16 octets", 0);
  expect_refused(from_hex("0a11 6d677231 00000000 00000000 00000000 00"), "VSI manager ID of other than 16 octets", 0);
  expect_refused(from_hex("0b10 6d677231 00000000 00000000 00000000"), "VSI manager ID of other than 16 octets", 0);
}

TEST(Codec, AVdpduMayEndWithoutEndAndThePaddingReadsAsEnd) {
  for (const char* tail : {"", "0000", "000000", "0000 0000 0000"}) {
    const auto read = read_vdpdu(vdpdu(tail));
    ASSERT_TRUE(read) << tail;
    EXPECT_TRUE(read->tlvs.empty());
  }
}

TEST(Codec, AStrayOctetIsATruncatedHeader) {
  expect_refused(from_hex("0a"), "truncated TLV header", 1);
  expect_refused(vdpdu("00"), "truncated TLV header", 19);
  expect_refused(vdpdu("06"), "truncated TLV header", 19);
}

TEST(Codec, DataBehindEndIsIgnored) {
  for (const char* tail : {"0000 0a10 ffff", "0000 ff", "0001", "01ff 061b"}) {  // End ends whatever length it claims
    const auto read = read_vdpdu(vdpdu(tail));
    ASSERT_TRUE(read) << tail;
    EXPECT_TRUE(read->tlvs.empty()) << tail;
  }
}

TEST(Codec, AValuePastTheEndIsTruncated) {
  expect_refused(vdpdu("0601"), "truncated TLV value", 20);
  expect_refused(vdpdu("061b 00"), "truncated TLV value", 21);
  OctetString longest = vdpdu("ffff");
  longest.resize(20 + 510);
  expect_refused(longest, "truncated TLV value", 530);
  longest.resize(20 + 511);
  const auto read = read_vdpdu(longest);
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<RawTlv>(read->tlvs.at(0)).value.size(), 511u);
}

TEST(Codec, UnknownTlvsAreWalkedOver) {
  const auto read = read_vdpdu(
      vdpdu("0c00 0e01ff fe05 00000cf105 fc02abcd 061b 00 000001 01 " + std::string(kVsi) + "01 0001 0064 0000"));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->tlvs.size(), 5u);
  EXPECT_EQ(read->tlvs[0], CopiedTlv(RawTlv{6, {}}));
  EXPECT_EQ(read->tlvs[1], CopiedTlv(RawTlv{7, {0xff}}));
  EXPECT_EQ(read->tlvs[2], CopiedTlv(RawTlv{127, {0, 0, 0x0c, 0xf1, 5}}));
  EXPECT_EQ(read->tlvs[3], CopiedTlv(RawTlv{126, {0xab, 0xcd}}));
  EXPECT_TRUE(std::holds_alternative<CopiedAssociation>(read->tlvs[4]));
}

TEST(Codec, ATlvTellsWhereItsValueStands) {
  const OctetString octets = vdpdu("0c00 0e01ff");
  VdpduReader reader(octets, 18);
  ASSERT_TRUE(reader.manager());
  EXPECT_EQ(reader.next()->value().offset, 18u + 20u);
  EXPECT_EQ(reader.next()->value().offset, 18u + 22u);
  EXPECT_FALSE(reader.next()->has_value());
}

TEST(Codec, AnErrorEndsTheWalk) {
  const OctetString octets = vdpdu(kManager + std::string("0c00"));
  VdpduReader reader(octets);
  ASSERT_TRUE(reader.manager());
  ASSERT_FALSE(reader.next());
  const auto after = reader.next();
  ASSERT_TRUE(after);
  EXPECT_FALSE(after->has_value());

  const OctetString headless = from_hex("0c00 0c00");
  VdpduReader without_manager(headless);
  ASSERT_FALSE(without_manager.manager());
  ASSERT_TRUE(without_manager.next());
  EXPECT_FALSE(without_manager.next()->has_value());
}

// --- malformed associations ---

TEST(Codec, AShortAssociationIsTruncatedAndItsHeadNeedsTwentyTwoOctets) {
  const OctetString whole = value("01 0001 0064");
  for (std::size_t size = 0; size < 25; ++size) {
    SCOPED_TRACE(size);
    const Octets cut = Octets(whole).first(size);
    expect_association_refused(TlvType::kAssociate, cut, "truncated association", size);
    expect_association_refused(TlvType::kPreAssociateRr, cut, "truncated association", size);
    EXPECT_EQ(decode_association_head(tlv(TlvType::kAssociate, cut)).has_value(), size >= 22);
  }
  expect_association_refused(TlvType::kAssociate, Octets(whole).first(25), "length does not match the entry count", 25);
}

TEST(Codec, TheHeadOfAMalformedAssociationIsReadable) {
  const OctetString octets = value("09 ffff");
  const auto head = decode_association_head(tlv(TlvType::kPreAssociate, octets));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->command, TlvType::kPreAssociate);
  EXPECT_EQ(head->status, 0);
  EXPECT_EQ(head->type, (VsiType{1, 1}));
  EXPECT_EQ(head->vsi, vsi(1));
}

TEST(Codec, OtherTypesAreNoAssociation) {
  const OctetString octets = value("01 0001 0064");
  for (unsigned type = 0; type < 128; ++type) {
    const bool association = type >= 1 && type <= 4;
    EXPECT_EQ(decode_association(tlv(static_cast<TlvType>(type), octets)).has_value(), association) << type;
    EXPECT_EQ(decode_association_head(tlv(static_cast<TlvType>(type), octets)).has_value(), association) << type;
  }
}

TEST(Codec, OnlyTheFormatsOfTheTableAreKnown) {
  for (unsigned code = 0; code < 256; ++code) {
    const bool known = (code >= 1 && code <= 8) || (code >= 0x85 && code <= 0x88);
    EXPECT_EQ(filter_format(static_cast<std::uint8_t>(code)).has_value(), known) << code;
  }
  for (const char* format : {"00", "09", "7f", "81", "84", "89", "ff"})
    expect_association_refused(TlvType::kAssociate, value(std::string(format) + "0001 0064"), "unknown filter format",
                               22);
  expect_association_refused(TlvType::kDeAssociate, value("00 0000"), "unknown filter format", 22);
}

TEST(Codec, NoEntriesAreLegalOnlyInADeAssociate) {
  const OctetString octets = value("03 0000");
  for (const TlvType type : {TlvType::kPreAssociate, TlvType::kPreAssociateRr, TlvType::kAssociate})
    expect_association_refused(type, octets, "no filter entries", 23);
  const auto association = decode_association(tlv(TlvType::kDeAssociate, octets));
  ASSERT_TRUE(association);
  EXPECT_EQ(association->count, 0);
  EXPECT_EQ(association->format, FilterFormat::kGroupVid);
  EXPECT_TRUE(association->entries.empty());
}

TEST(Codec, ADeAssociateWithoutFilterInformationNamesTheWholeVsi) {
  const OctetString octets = value("04 0000");
  for (const std::size_t size : {22u, 23u, 25u}) {
    const auto association = decode_association(tlv(TlvType::kDeAssociate, Octets(octets).first(size)));
    ASSERT_TRUE(association) << size;
    EXPECT_EQ(association->count, 0) << size;
    EXPECT_EQ(association->vsi, vsi(1)) << size;
    EXPECT_TRUE(association->entries.empty()) << size;
  }
  const OctetString unknown_format = value("00");
  EXPECT_TRUE(decode_association(tlv(TlvType::kDeAssociate, unknown_format)));
  expect_association_refused(TlvType::kDeAssociate, Octets(octets).first(21), "truncated association", 21);
  expect_association_refused(TlvType::kDeAssociate, Octets(octets).first(24), "truncated association", 24);
}

TEST(Codec, TheLengthMatchesTheCountExactly) {
  for (const TlvType type : {TlvType::kAssociate, TlvType::kDeAssociate}) {
    const char* cause = "length does not match the entry count";
    expect_association_refused(type, value("01 0002 0064"), cause, 27);
    expect_association_refused(type, value("01 0001 0064 00"), cause, 27);
    expect_association_refused(type, value("04 0001 00011174 02aa00000004 00"), cause, 36);
    expect_association_refused(type, value("03 0001 00011174 0067 0000"), cause, 31);
  }
  expect_association_refused(TlvType::kDeAssociate, value("01 0000 0064"), "length does not match the entry count", 25);
}

TEST(Codec, NoCountWrapsAroundToAShortLength) {
  OctetString octets = value("04 ffff");
  expect_association_refused(TlvType::kAssociate, octets, "length does not match the entry count", 25);
  octets.resize(511);
  expect_association_refused(TlvType::kAssociate, octets, "length does not match the entry count", 511);
  // 0x8000 x 2 and 0x2000 x 8 are 2^16: zero for whoever multiplies in 16 bits.
  expect_association_refused(TlvType::kAssociate, value("01 8000"), "length does not match the entry count", 25);
  expect_association_refused(TlvType::kAssociate, value("02 2000"), "length does not match the entry count", 25);
}

TEST(Codec, ATlvCarriesAsManyEntriesAsItsLengthAllows) {
  EXPECT_EQ(entries_per_tlv_max(FilterFormat::kVid), 243u);
  EXPECT_EQ(entries_per_tlv_max(FilterFormat::kMacVid), 60u);
  EXPECT_EQ(entries_per_tlv_max(FilterFormat::kGroupVid), 81u);
  EXPECT_EQ(entries_per_tlv_max(FilterFormat::kGroupMacVid), 40u);
  EXPECT_EQ(limits::kEntriesPerTlvMax, entries_per_tlv_max(FilterFormat::kVid));
  for (unsigned code = 1; code <= 4; ++code) {
    const auto format = static_cast<FilterFormat>(code);
    CopiedAssociation association{TlvType::kAssociate, 0, {1, 1}, vsi(1), format, {}};
    association.entries.resize(entries_per_tlv_max(format));
    const CopiedVdpdu vdpdu{mgr1(), {association}};
    EXPECT_EQ(*read_vdpdu(write_vdpdu(vdpdu)), vdpdu);
    OctetString buffer(2048);
    const VdpduWriter writer(buffer, mgr1());
    EXPECT_TRUE(writer.fits(format, entries_per_tlv_max(format)));
    EXPECT_FALSE(writer.fits(format, entries_per_tlv_max(format) + 1));
  }
}

// --- writing ---

TEST(Codec, AnEmptyVdpduIsManagerAndEnd) {
  OctetString buffer(20);
  VdpduWriter writer(buffer, mgr1());
  EXPECT_EQ(writer.tlvs(), 0u);
  EXPECT_FALSE(writer.raw(127, {}));
  EXPECT_FALSE(writer.association_head({TlvType::kAssociate, 0, {1, 1}, vsi(1)}, 0x41));
  EXPECT_EQ(written(writer), vdpdu("0000"));
}

TEST(Codec, ThirtySevenGroupMacVidAssociationsFillAnEcpdu) {
  OctetString buffer(limits::kVdpduOctetsMax);
  VdpduWriter writer(buffer, mgr1());
  const FilterEntry entry{GroupId(70004), MacAddress(std::uint64_t{0x02aa00000004}), Vid(103)};
  while (writer.fits(FilterFormat::kGroupMacVid, 1))
    writer.association(TlvType::kAssociate, 0, {1, 1}, vsi(1), FilterFormat::kGroupMacVid, {&entry, 1});
  EXPECT_EQ(writer.tlvs(), 37u);
  const auto read = read_vdpdu(written(writer));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->tlvs.size(), 37u);
}

TEST(Codec, EveryTlvLeavesRoomForEnd) {
  const FilterEntry entry{{}, {}, Vid(100)};
  const std::size_t exact = 18 + association_octets(FilterFormat::kVid, 1) + 2;
  OctetString short_by_one(exact - 1);
  EXPECT_FALSE(VdpduWriter(short_by_one, mgr1()).fits(FilterFormat::kVid, 1));
  OctetString buffer(exact);
  VdpduWriter writer(buffer, mgr1());
  ASSERT_TRUE(writer.fits(FilterFormat::kVid, 1));
  writer.association(TlvType::kAssociate, 0, {1, 1}, vsi(1), FilterFormat::kVid, {&entry, 1});
  EXPECT_EQ(written(writer), vdpdu("061b 00 000001 01 " + std::string(kVsi) + "01 0001 0064 0000"));
}

TEST(Codec, WhatDoesNotFitIsNotWritten) {
  OctetString buffer(20 + 6);
  VdpduWriter writer(buffer, mgr1());
  EXPECT_FALSE(writer.raw(127, from_hex("02534e0100")));
  EXPECT_TRUE(writer.raw(127, from_hex("02534e01")));
  EXPECT_FALSE(writer.raw(127, {}));
  EXPECT_EQ(writer.tlvs(), 1u);
  EXPECT_EQ(written(writer), vdpdu("fe04 02534e01 0000"));

  OctetString large(2048);
  const OctetString too_long(512);
  EXPECT_FALSE(VdpduWriter(large, mgr1()).raw(127, too_long));
}

TEST(Codec, TheAnswerToAMalformedTlvIsItsHeadWithoutEntries) {
  OctetString buffer(limits::kVdpduOctetsMax);
  VdpduWriter writer(buffer, mgr1());
  ASSERT_TRUE(writer.association_head({TlvType::kPreAssociate, 0, {0x49, 2}, vsi(1)},
                                      ResponseStatus{Code::kInvalidFormat}.octet()));
  const OctetString octets = written(writer);
  EXPECT_EQ(octets, vdpdu("0219 41 000049 02 " + std::string(kVsi) + "01 0000 0000"));

  VdpduReader reader(octets);
  ASSERT_TRUE(reader.manager());
  const auto answer = reader.next();
  ASSERT_TRUE(answer && *answer);
  EXPECT_FALSE(decode_association(**answer));
  const auto head = decode_association_head(**answer);
  ASSERT_TRUE(head);
  EXPECT_EQ(ResponseStatus::from_octet(head->status).code, Code::kInvalidFormat);
  EXPECT_EQ(head->vsi, vsi(1));
}

TEST(CodecDeathTest, TheWriterRefusesWhatItsCallerShouldHaveAsked) {
  const FilterEntry entry{{}, {}, Vid(100)};
  const std::span<const FilterEntry> one(&entry, 1);
  OctetString buffer(64);
  VdpduWriter writer(buffer, mgr1());
  EXPECT_DEATH(writer.association(TlvType::kEnd, 0, {1, 1}, vsi(1), FilterFormat::kVid, one), "four commands");
  EXPECT_DEATH(writer.association(TlvType::kAssociate, 0, {1u << 24, 1}, vsi(1), FilterFormat::kVid, one), "24 bits");
  EXPECT_DEATH(writer.raw(5, {}), "manager and End");
  EXPECT_DEATH(writer.raw(128, {}), "7 bits");
  OctetString tiny(19);
  EXPECT_DEATH(VdpduWriter(tiny, mgr1()), "holds manager ID and End");
}

TEST(Codec, TlvTypesHaveNames) {
  EXPECT_STREQ(to_string(TlvType::kPreAssociateRr), "Pre-Associate-RR");
  EXPECT_STREQ(to_string(TlvType::kManagerId), "VSI-Manager-ID");
  EXPECT_STREQ(to_string(static_cast<TlvType>(77)), "unknown");
}

}  // namespace
}  // namespace splitnve::vdp::test
