// SPDX-License-Identifier: Apache-2.0
#include "nnved/record.hpp"

#include <gtest/gtest.h>

#include <random>

namespace splitnve::nnved {
namespace {

TsiRecord make_record(std::mt19937& random) {
  TsiRecord record;
  record.vsi.format = static_cast<std::uint8_t>(1 + random() % 5);
  for (auto& octet : record.vsi.octets) octet = static_cast<std::uint8_t>(random());
  for (auto& octet : record.manager.octets) octet = static_cast<std::uint8_t>(random());
  record.type = {static_cast<std::uint32_t>(random() & 0xFFFFFF), static_cast<std::uint8_t>(random())};
  record.vn = GroupId(static_cast<std::uint32_t>(random() & 0xFFFFFF));
  record.vid = Vid(static_cast<std::uint16_t>(random() & 0xFFF));
  record.format = static_cast<vdp::FilterFormat>(1 + random() % 4);
  record.station = MacAddress(std::uint64_t{random()});
  record.port = PortId(static_cast<std::uint32_t>(random()));
  record.interface_name = std::string(random() % 16, 'e');
  record.migrating = random() % 2;
  record.suspended = random() % 2;
  for (unsigned i = 0; i < random() % 5; ++i)
    record.addresses.push_back({MacAddress(std::uint64_t{random()}), random() % 2 == 0, random() % 2 == 0,
                                random() % 2 == 0, static_cast<std::uint32_t>(random())});
  constexpr const char* kIps[] = {"192.0.2.7", "192.0.2.0/24", "2001:db8::7", "2001:db8::/64", "0.0.0.0/0"};
  for (unsigned i = 0; i < random() % 3; ++i)
    record.ips.push_back(
        {MacAddress(std::uint64_t{random()}), *IpPrefix::from_string(kIps[random() % 5]), random() % 2 == 0});
  for (unsigned i = 0; i < random() % 4; ++i)
    record.further_vids.push_back(Vid(static_cast<std::uint16_t>(2 + random() % 4000)));
  return record;
}

TEST(TsiRecord, DecodesToWhatWasEncoded) {
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    const TsiRecord record = make_record(random);
    const auto decoded = decode_record(encode_record(record));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, record);
  }
}

TEST(TsiRecord, EveryPrefixAndEveryExtraOctetIsRefused) {
  std::mt19937 random(2);
  TsiRecord record = make_record(random);
  record.addresses.assign(3, {MacAddress(0x02AA00000001ull), true, false, true, 9});
  record.ips.assign(1, {MacAddress(0x02AA00000001ull), *IpPrefix::from_string("2001:db8::7"), true});
  record.further_vids = {Vid(101), Vid(102)};
  OctetString octets = encode_record(record);
  for (std::size_t n = 0; n < octets.size(); ++n) {
    const auto decoded = decode_record(Octets(octets.data(), n));
    ASSERT_FALSE(decoded) << n;
    EXPECT_STREQ(decoded.error().cause, "truncated");
    EXPECT_LE(decoded.error().offset, n);
  }
  octets.push_back(0);
  EXPECT_STREQ(decode_record(octets).error().cause, "octets left over");
}

TEST(TsiRecord, UnknownVersionFlagsAndFormatAreRefusedAndRandomOctetsNeverCrash) {
  std::mt19937 random(3);
  const OctetString good = encode_record(make_record(random));
  OctetString bad = good;
  bad[0] = kTsiRecordVersion + 1;
  EXPECT_STREQ(decode_record(bad).error().cause, "unknown record version");
  bad = good;
  bad[1] = 0x80;
  EXPECT_STREQ(decode_record(bad).error().cause, "unknown TSI flags");
  bad = good;
  bad[46] = 9;
  EXPECT_STREQ(decode_record(bad).error().cause, "unknown filter format");
  unsigned accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    bad = good;
    for (unsigned k = 0; k < 1 + random() % 4; ++k) bad[random() % bad.size()] = static_cast<std::uint8_t>(random());
    const auto decoded = decode_record(bad);
    if (!decoded) continue;
    ++accepted;
    EXPECT_TRUE(decode_record(encode_record(*decoded)));
  }
  EXPECT_GT(accepted, 0u);
}

TEST(TsiRecord, TheVersionIsTheOldestThatHoldsIt) {
  TsiRecord record;
  record.addresses.push_back({});
  EXPECT_EQ(encode_record(record)[0], 1);
  record.ips.push_back({MacAddress(), *IpPrefix::from_string("192.0.2.7"), true});
  EXPECT_EQ(encode_record(record)[0], 2);
  record.ips.clear();
  record.further_vids = {Vid(101)};
  EXPECT_EQ(encode_record(record)[0], 3);
}

TEST(TsiRecord, VidsThatNoVnMayHaveAreRefused) {
  TsiRecord record;
  record.addresses.push_back({});
  record.further_vids = {Vid(101), Vid(102)};
  OctetString octets = encode_record(record);
  OctetString bad = octets;
  bad[bad.size() - 1] = 0xFF;
  bad[bad.size() - 2] = 0x0F;
  EXPECT_STREQ(decode_record(bad).error().cause, "a VID that no VN may have");
  bad = octets;
  bad[bad.size() - 5] = 8;
  EXPECT_STREQ(decode_record(bad).error().cause, "VID count out of range");
}

TEST(TsiRecord, AOneAddressRecordIsCompact) {
  TsiRecord record;
  record.interface_name = "swp1";
  record.addresses.push_back({});
  EXPECT_LE(encode_record(record).size(), 80u);
}

}  // namespace
}  // namespace splitnve::nnved
