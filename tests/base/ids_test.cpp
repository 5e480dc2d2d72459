// SPDX-License-Identifier: Apache-2.0
#include "splitnve/base/ids.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <type_traits>

#include "splitnve/datapath/rows.hpp"

namespace splitnve {
namespace {

using datapath::UnderlayAddress;

static_assert(!std::is_convertible_v<std::uint32_t, PortId> && !std::is_convertible_v<PortId, std::uint32_t>);
static_assert(!std::is_convertible_v<PortId, InstanceId>);

TEST(MacAddress, RoundTripsThroughTextAndNumber) {
  std::mt19937_64 random(7);
  for (unsigned i = 0; i < 1000; ++i) {
    const std::uint64_t value = random() & 0xFFFFFFFFFFFF;
    const MacAddress mac(value);
    ASSERT_EQ(mac.value(), value);
    ASSERT_EQ(MacAddress::from_string(mac.to_string()), mac);
    ASSERT_EQ(MacAddress(mac.octets()), mac);
  }
  EXPECT_EQ(MacAddress(0x02AA0000000F).to_string(), "02:aa:00:00:00:0f");
  EXPECT_EQ(MacAddress::from_string("02:AA:00:00:00:0F"), MacAddress(0x02AA0000000F));
}

TEST(MacAddress, RefusesAnyOtherText) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text :
       {""sv, "02:aa:00:00:00"sv, "02:aa:00:00:00:0"sv, "02:aa:00:00:00:01:"sv, "02-aa-00-00-00-01"sv,
        "02:aa:00:00:00:0g"sv, "02aa:00:00:00:0001"sv, " 2:aa:00:00:00:01"sv, "+2:aa:00:00:00:01"sv,
        "02:aa:00:00:00:\0001"sv, "02:aa:00:00:0001:"sv})
    EXPECT_FALSE(MacAddress::from_string(text).has_value()) << text;
}

TEST(MacAddress, TellsUsableSourcesFromGroupsAndZero) {
  EXPECT_TRUE(MacAddress(0x020000000001).is_usable_source());
  EXPECT_FALSE(MacAddress().is_usable_source());
  EXPECT_FALSE(MacAddress(0x0180C2000000).is_usable_source());
  EXPECT_FALSE(MacAddress(0xFFFFFFFFFFFF).is_usable_source());
  EXPECT_TRUE(MacAddress(0xFFFFFFFFFFFF).is_group());
  EXPECT_LT(MacAddress(0x020000000001), MacAddress(0x020000000100));
}

TEST(Vid, KeepsTwelveBitsAndKnowsWhatMayBeAssigned) {
  EXPECT_EQ(Vid(0xF064).value(), 0x064);
  EXPECT_TRUE(Vid().is_null());
  for (std::uint16_t value = 0; value < 4096; ++value)
    ASSERT_EQ(Vid(value).is_assignable(), value >= 2 && value <= 4094) << value;
}

TEST(GroupId, IsAVnIdOnlyBelowTwoToThe24) {
  EXPECT_TRUE(GroupId(0).is_null());
  EXPECT_FALSE(GroupId(0).is_vn_id());
  EXPECT_TRUE(GroupId(1).is_vn_id());
  EXPECT_TRUE(GroupId(0xFFFFFF).is_vn_id());
  EXPECT_FALSE(GroupId(0x1000000).is_vn_id());
  EXPECT_FALSE(GroupId(0xFFFFFFFF).is_vn_id());
}

TEST(VsiId, RoundTripsThroughUuidText) {
  std::mt19937_64 random(3);
  for (unsigned i = 0; i < 1000; ++i) {
    VsiId id;
    for (auto& octet : id.octets) octet = static_cast<std::uint8_t>(random());
    ASSERT_EQ(VsiId::from_uuid(id.to_string()), id);
  }
  const auto id = VsiId::from_uuid("11111111-2222-3333-4444-5555555555AB");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->format, 5);
  EXPECT_EQ(id->to_string(), "11111111-2222-3333-4444-5555555555ab");
}

TEST(VsiId, RefusesAnyOtherText) {
  for (const char* text : {"", "11111111-2222-3333-4444-5555555555a", "11111111222233334444555555555501",
                           "11111111-2222-3333-4444-5555555555011", "{1111111-2222-3333-4444-55555555550}",
                           "11111111-2222-3333-44445-555555555501", "g1111111-2222-3333-4444-555555555501",
                           "111111112-222-3333-4444-555555555501"})
    EXPECT_FALSE(VsiId::from_uuid(text).has_value()) << text;
}

TEST(VsiId, ShowsEachFormatInItsOwnText) {
  const VsiId ipv4{1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1}};
  const VsiId ipv6{2, {0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  const VsiId mac{3, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0xAA, 0, 0, 0, 4}};
  const VsiId local{4, {0xDE, 0xAD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  const VsiId unknown{200, local.octets};
  EXPECT_EQ(ipv4.to_string(), "192.0.2.1");
  EXPECT_EQ(ipv6.to_string(), "2001:db8::1");
  EXPECT_EQ(mac.to_string(), "02:aa:00:00:00:04");
  EXPECT_EQ(local.to_string(), "format4:dead0000000000000000000000000001");
  EXPECT_EQ(unknown.to_string(), "format200:dead0000000000000000000000000001");
}

TEST(VsiId, IsReadAsItIsShownInEveryFormat) {
  VsiId ipv4{1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1}};
  VsiId mac{3, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0xAA, 0, 0, 0, 4}};
  const VsiId ipv6{2, {0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  const VsiId local{4, {0xDE, 0xAD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  for (const VsiId& id : {ipv4, mac, ipv6, local, VsiId{5, local.octets}, VsiId{200, local.octets}, VsiId{0, {}}})
    EXPECT_EQ(VsiId::from_string(id.to_string()), id) << id.to_string();
  ipv4.octets[0] = mac.octets[3] = 7;  // an address text would not tell them from others
  for (const VsiId& id : {ipv4, mac}) EXPECT_EQ(VsiId::from_string(id.to_string()), id) << id.to_string();
  for (const char* text : {"", "1", "format:dead0000000000000000000000000001", "format4:dead", "02:aa:00:00:00",
                           "format256:dead0000000000000000000000000001", "format4:dead000000000000000000000000000g"})
    EXPECT_FALSE(VsiId::from_string(text)) << text;
}

TEST(VsiId, HasTheFormatInItsIdentity) {
  const VsiId local{4, {}};
  const VsiId uuid{5, {}};
  EXPECT_NE(local, uuid);
  EXPECT_NE(hash_value(local), hash_value(uuid));
}

TEST(UnderlayAddress, RoundTripsIpv4AndIpv6Text) {
  for (const char* text : {"192.0.2.1", "255.255.255.255", "0.0.0.0", "2001:db8::1", "::", "fe80::1"}) {
    const auto address = UnderlayAddress::from_string(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->to_string(), text);
    EXPECT_EQ(address->is_ipv4(), std::string_view(text).find('.') != std::string_view::npos) << text;
  }
}

TEST(UnderlayAddress, TakesMappedIpv4AsIpv4) {
  const auto mapped = UnderlayAddress::from_string("::ffff:192.0.2.1");
  ASSERT_TRUE(mapped.has_value());
  EXPECT_TRUE(mapped->is_ipv4());
  EXPECT_EQ(mapped, UnderlayAddress::from_string("192.0.2.1"));
}

TEST(UnderlayAddress, RefusesAnyOtherText) {
  for (const char* text : {"", "192.0.2", "192.0.2.256", "192.0.2.1/24", "192.0.2.1 ", "2001:db8::1%eth0", "host", "1"})
    EXPECT_FALSE(UnderlayAddress::from_string(text).has_value()) << text;
}

TEST(Drop, NamesEveryReasonOnce) {
  std::set<std::string> names;
  const auto count = static_cast<unsigned>(datapath::Drop::kCount_);
  for (unsigned i = 0; i < count; ++i) names.insert(datapath::to_string(static_cast<datapath::Drop>(i)));
  EXPECT_EQ(names.size(), count);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace splitnve
