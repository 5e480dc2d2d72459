// SPDX-License-Identifier: Apache-2.0
// Other numbers for what of ours is unregistered: there and back, and what has no number any more means nothing.
#include "splitnve/vdp/wire_map.hpp"

#include <gtest/gtest.h>

#include "codec_support.hpp"

namespace splitnve::vdp::test {
namespace {

constexpr Oui kOther{0x02, 0x11, 0x22};
const WireMap::Code kMoved[] = {{FilterFormat::kGroupIpv4Vid, 0x15}, {FilterFormat::kGroupIpv6Vid, 0x05}};

OctetString vdpdu() {
  return from_hex(
      "0a10 6d677231000000000000000000000000"
      "0623 00 000001 01 05 11111111222233334444555555555501 05 0001 00011174 c0000207 0067"
      "062f 00 000001 01 05 11111111222233334444555555555501 06 0001 00011174 20010db8000000000000000000000007 0067"
      "0625 00 000001 01 05 11111111222233334444555555555501 04 0001 00011174 02aa00000004 0067"
      "fe05 02534e 02 02 fe05 00000c f1 05 0000 fe05 02534e 02 02");
}

TEST(WireMap, GoesThereAndBack) {
  const auto map = WireMap::make(kOther, kMoved);
  ASSERT_TRUE(map);
  EXPECT_FALSE(map->is_identity());
  const OctetString before = vdpdu();
  OctetString octets = before;
  map->to_wire(octets);
  EXPECT_EQ(octets[18 + 2 + 22], 0x15);
  EXPECT_EQ(octets[18 + 37 + 2 + 22], 0x05);
  EXPECT_EQ(octets.size(), before.size());
  const std::size_t ours = 18 + 37 + 49 + 39 + 2;
  EXPECT_TRUE(std::ranges::equal(Octets(octets).subspan(ours, 3), kOther));
  EXPECT_TRUE(std::ranges::equal(Octets(octets).subspan(ours + 7, 3), from_hex("00000c"))) << "a foreign OUI stays";
  EXPECT_TRUE(std::ranges::equal(Octets(octets).last(5), Octets(before).last(5))) << "nothing is read behind End";
  map->from_wire(octets);
  EXPECT_EQ(octets, before);
}

TEST(WireMap, WhatHasNoNumberAnyMoreIsForeign) {
  const auto map = WireMap::make(kOther, kMoved);
  OctetString octets = vdpdu();
  map->from_wire(octets);  // written by somebody with the documented numbers
  const auto read = read_vdpdu(octets);
  ASSERT_TRUE(read);
  EXPECT_FALSE(filter_format(octets[18 + 37 + 2 + 22])) << "06 is nobody's";
  const auto& tlv = std::get<RawTlv>(read->tlvs.at(3));
  EXPECT_FALSE(decode_extension({tlv.type, tlv.value, 0})->has_value());
}

TEST(WireMap, OfNothingIsTheIdentity) {
  const auto map = WireMap::make(kOui, {});
  ASSERT_TRUE(map && map->is_identity());
  OctetString octets = vdpdu();
  map->to_wire(octets);
  map->from_wire(octets);
  EXPECT_EQ(octets, vdpdu());
}

TEST(WireMap, NumbersThatCollideAreRefused) {
  const auto refused = [](FilterFormat format, std::uint8_t code) {
    const WireMap::Code codes[] = {{format, code}};
    return !WireMap::make(kOui, codes);
  };
  EXPECT_TRUE(refused(FilterFormat::kGroupIpv4Vid, 6)) << "two formats of one number";
  EXPECT_TRUE(refused(FilterFormat::kGroupIpv4Vid, 4)) << "IEEE 802.1Q's";
  EXPECT_TRUE(refused(FilterFormat::kGroupMacVid, 9)) << "not ours to move";
  EXPECT_FALSE(refused(FilterFormat::kGroupIpv4Vid, 9));
  EXPECT_FALSE(WireMap::make(Oui{0x00, 0x80, 0xC2}, {}));
}

TEST(WireMap, EveryCutIsTakenAsFarAsItMakesSense) {
  const auto map = WireMap::make(kOther, kMoved);
  const OctetString whole = vdpdu();
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    OctetString octets(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const OctetString before = octets;
    map->to_wire(octets);
    map->from_wire(octets);
    EXPECT_EQ(octets, before) << size;
  }
}

TEST(WireMap, AnOuiIsThreeOctetsInHexadecimal) {
  EXPECT_EQ(oui_from_string("02-53-4E"), kOui);
  EXPECT_EQ(oui_from_string("02:53:4e"), kOui);
  for (const char* text : {"", "02-53-4", "02-53:4e", "02 53 4e", "02-5g-4e", "02-53-4e-00", "0253-4e0"})
    EXPECT_FALSE(oui_from_string(text)) << text;
}

}  // namespace
}  // namespace splitnve::vdp::test
