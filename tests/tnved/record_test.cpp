// SPDX-License-Identifier: Apache-2.0
#include "tnved/record.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace splitnve::tnved {
namespace {

TsiRecord sample() {
  TsiRecord record;
  record.vm = VmState::kDeparting;
  record.arrival = true;
  record.uplink = PortId(2);
  record.vn = GroupId(70020);
  record.guest_tag = Vid(17);
  record.priority = Priority(0);
  record.vsi = *VsiId::from_uuid("11111111-2222-3333-4444-555555555501");
  record.manager.octets[0] = 0x6D;
  record.type = {0xABCDEF, 7};
  record.port = PortId(4097);
  record.interface_name = "tap-vm17";
  record.addresses = {
      {MacAddress(0x02AA00000001u), vdp::Level::kActive, Vid(100)},
      {MacAddress(0x02AA00000002u), vdp::Level::kReserved, Vid(101), vdp::Level::kReserved, Hold::kReserved},
      {MacAddress(0x02AA00000003u), vdp::Level::kNone, Vid(), vdp::Level::kActive, Hold::kGone},
      {MacAddress(0x02AA00000001u), vdp::Level::kActive, Vid(100), vdp::Level::kActive, Hold::kFree,
       *IpPrefix::from_string("192.0.2.7")},
      {MacAddress(0x02AA00000002u), vdp::Level::kNone, Vid(), vdp::Level::kNone, Hold::kGone,
       *IpPrefix::from_string("2001:db8::/64")}};
  record.addresses[0].priority = Priority(7);
  return record;
}

TEST(TsiRecord, ReadsWhatItWrote) {
  const auto octets = encode_record(sample());
  const auto read = decode_record(octets);
  ASSERT_TRUE(read.has_value()) << read.error().cause;
  EXPECT_EQ(*read, sample());
}

TEST(TsiRecord, ReadsWhatItWroteForAnyRecord) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 2000; ++i) {
    TsiRecord record = sample();
    record.vm = static_cast<VmState>(random() % 6);
    record.arrival = random() % 2 != 0;
    record.vn = GroupId(static_cast<std::uint32_t>(1 + random() % 0xFFFFFF));
    record.type = {static_cast<std::uint32_t>(random() % 0x1000000), static_cast<std::uint8_t>(random())};
    record.interface_name.assign(random() % 16, 'x');
    record.port = PortId(record.interface_name.empty() ? 0 : 4096 + static_cast<std::uint32_t>(random() % 100));
    record.addresses.clear();
    for (std::uint64_t n = 1 + random() % 5; n > 0; --n)
      record.addresses.push_back({MacAddress(0x020000000000u + (random() & 0xFFFFFFFF)),
                                  static_cast<vdp::Level>(random() % 3), Vid(static_cast<std::uint16_t>(random())),
                                  static_cast<vdp::Level>(random() % 3), static_cast<Hold>(random() % 3)});
    record.addresses.front().wanted = vdp::Level::kReserved;  // a live TSI keeps at least one
    const auto read = decode_record(encode_record(record));
    ASSERT_TRUE(read.has_value()) << read.error().cause;
    EXPECT_EQ(*read, record);
  }
}

TEST(TsiRecord, RefusesEveryPrefixAndAnyTail) {
  auto octets = encode_record(sample());
  for (std::size_t n = 0; n < octets.size(); ++n) {
    const auto read = decode_record(Octets(octets.data(), n));
    ASSERT_FALSE(read.has_value()) << "prefix of " << n << " octets";
    EXPECT_LE(read.error().offset, n);
  }
  octets.push_back(0);
  EXPECT_FALSE(decode_record(octets).has_value());
}

TEST(TsiRecord, RefusesAnotherVersionAndValuesThatNobodyWrites) {
  const auto refuses = [](std::size_t at, std::uint8_t value) {
    auto octets = encode_record(sample());
    octets[at] = value;
    return !decode_record(octets).has_value();
  };
  EXPECT_TRUE(refuses(0, kRecordVersion + 1));
  EXPECT_TRUE(refuses(1, 6)) << "VM state";
  EXPECT_TRUE(refuses(7, 1)) << "VN above 24 bits";
  EXPECT_TRUE(refuses(46, 1)) << "VSI type above 24 bits";
  EXPECT_TRUE(refuses(55, 16)) << "interface name too long";
  EXPECT_TRUE(refuses(66, 0x03)) << "group address";
  EXPECT_TRUE(refuses(72, 3)) << "level";
  EXPECT_TRUE(refuses(75, 3)) << "wanted level";
  EXPECT_TRUE(refuses(76, 3)) << "held";
}

TEST(TsiRecord, RefusesAnAddressThatStandsTwice) {
  TsiRecord record = sample();
  record.addresses[2].mac = record.addresses[0].mac;
  const auto read = decode_record(encode_record(record));
  ASSERT_FALSE(read.has_value());
  EXPECT_STREQ(read.error().cause, "an address stands twice");
}

TEST(TsiRecord, ReadsTheFirstVersionWhoseAddressesFollowTheVm) {
  auto record = sample();
  auto& all = record.addresses;
  all.erase(std::remove_if(all.begin(), all.end(), [](const auto& address) { return !address.ip.is_none(); }),
            all.end());
  for (auto& address : record.addresses) {
    address.wanted = vdp::Level::kActive;
    address.hold = Hold::kFree;
  }
  OctetString old = encode_record(record);
  old[0] = 1;
  const std::size_t first = old.size() - record.addresses.size() * 11;
  OctetString first_version(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(first));
  for (std::size_t i = 0; i < record.addresses.size(); ++i)
    first_version.insert(first_version.end(), old.begin() + static_cast<std::ptrdiff_t>(first + i * 11),
                         old.begin() + static_cast<std::ptrdiff_t>(first + i * 11 + 9));
  const auto read = decode_record(first_version);
  ASSERT_TRUE(read.has_value()) << read.error().cause;
  EXPECT_EQ(*read, record);
}

}  // namespace
}  // namespace splitnve::tnved
