// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "splitnve/evb/lldp.hpp"
#include "support/capture.hpp"

namespace splitnve::evb {
namespace {

OctetString from_hex(const std::string& text) {
  OctetString octets;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    octets.push_back(static_cast<std::uint8_t>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  return octets;
}
OctetString encoded(const Tlv& tlv) {
  OctetString octets(kValueOctets);
  BoundedWriter writer(octets);
  encode_evb(tlv, writer);
  EXPECT_EQ(writer.size(), kValueOctets);
  return octets;
}

const std::string kEthernet = "0180c2000000 020000000001 88cc";
const std::string kMandatory = "0207 04 020000000001 0407 03 020000000001 0602 0078";
const std::string kEvb = "fe09 0080c20d 000f689414";
Decoded<LldpFrame> decoded(const std::string& pdu) { return decode_lldp(from_hex(kEthernet + pdu)); }
std::string cause(const std::string& pdu) {
  const auto frame = decoded(pdu);
  return frame ? "" : frame.error().cause;
}

TEST(EvbTlv, HasTheOctetsThatRealPeersSend) {
  Tlv alone{0x00, 0x0F, 2, {3, 8, 20, 20}, false, false};
  Tlv bridge{0x07, 0x00, 1, {5, 10, 22, 8}, false, false};
  Tlv after{0x07, 0x0D, 2, {5, 10, 22, 20}, true, false};
  EXPECT_EQ(encoded(alone), from_hex("0080c20d 000f689414"));
  EXPECT_EQ(encoded(bridge), from_hex("0080c20d 0700aa5608"));
  EXPECT_EQ(encoded(after), from_hex("0080c20d 070daab614"));
}

TEST(EvbTlv, DecodesWhatItEncodesInEveryField) {
  for (unsigned word = 0; word < 0x10000; ++word) {
    Tlv tlv{static_cast<std::uint8_t>(word),
            static_cast<std::uint8_t>(word >> 8),
            static_cast<std::uint8_t>(word % 4),
            {word % 8, (word >> 3) % 32, (word >> 8) % 32, (word >> 5) % 32},
            word % 3 == 0,
            word % 5 == 0};
    const auto again = decode_evb(BoundedReader(encoded(tlv)));
    ASSERT_TRUE(again);
    ASSERT_EQ(*again, tlv) << word;
  }
}

TEST(EvbTlv, KeepsReservedBitsOutAndRefusesOtherLengths) {
  EXPECT_EQ(decode_evb(BoundedReader(from_hex("0080c20d 000f6894d4")))->values.rka, 20u);
  for (std::size_t octets = 0; octets <= 20; ++octets) {
    OctetString value = from_hex("0080c20d 000f689414 0000000000000000000000");
    value.resize(octets);
    EXPECT_EQ(decode_evb(BoundedReader(value)).has_value(), octets == kValueOctets) << octets;
  }
}

TEST(Lldp, DecodesTheFramesOfARealPeerAndWritesThemAgain) {
  std::size_t with_evb = 0;
  for (const auto& octets : test::read_named_capture("00-lldp-evb")) {
    ASSERT_TRUE(is_lldp(octets));
    const auto frame = decode_lldp(octets);
    ASSERT_TRUE(frame) << frame.error().cause;
    EXPECT_EQ(frame->ttl_seconds, 120);
    EXPECT_EQ(frame->destination, kNearestCustomerBridge);
    EXPECT_EQ(frame->chassis.to_string(LldpId::kChassisMac), frame->source.to_string());
    EXPECT_EQ(frame->port.to_string(LldpId::kPortMac), frame->source.to_string());
    with_evb += frame->evb.has_value();
    OctetString again;
    encode_lldp(*frame, again);
    EXPECT_EQ(again, octets);
  }
  EXPECT_EQ(with_evb, 11u);
}

TEST(Lldp, RefusesEveryPrefixThatCutsATlv) {
  const OctetString whole = from_hex(kEthernet + kMandatory + kEvb + "0000");
  const std::size_t mandatory = from_hex(kEthernet + kMandatory).size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto frame = decode_lldp(Octets(whole.data(), size));
    const bool between_tlvs = size == mandatory || size == whole.size() - 2;  // LLDPDUs without an End TLV
    EXPECT_EQ(frame.has_value(), between_tlvs) << size;
    if (!frame) {
      EXPECT_LE(frame.error().offset, size);
    }
  }
}

TEST(Lldp, RefusesWhatIsOutOfOrderOrOfAWrongLength) {
  EXPECT_EQ(cause(kMandatory + kEvb + "0000"), "");
  EXPECT_EQ(cause("0407 03 020000000001"), "the chassis ID is not the first TLV");
  EXPECT_EQ(cause("0207 04 020000000001 0602 0078"), "the port ID is not the second TLV");
  EXPECT_EQ(cause("0207 04 020000000001 0407 03 020000000001 0000"), "the TTL is not the third TLV");
  EXPECT_EQ(cause("0201 04"), "chassis ID of a wrong length");
  EXPECT_EQ(cause("0207 04 020000000001 0401 03"), "port ID of a wrong length");
  EXPECT_EQ(cause("0207 04 020000000001 0407 03 020000000001 0601 00"), "TTL of a wrong length");
  EXPECT_EQ(cause(kMandatory + "0602 0078"), "a mandatory LLDP TLV again");
  EXPECT_EQ(cause(kMandatory + kEvb + kEvb), "a second EVB TLV");
  EXPECT_EQ(cause(kMandatory + "fe08 0080c20d 000f6894"), "EVB TLV of a wrong length");
  EXPECT_EQ(cause(kMandatory + "fe0a 0080c20d 000f689414 00"), "EVB TLV of a wrong length");
  EXPECT_EQ(cause(kMandatory + "0001 00"), "End TLV with a value");
  EXPECT_EQ(cause(kMandatory + "ffff 00"), "truncated LLDP TLV");
  std::string longest = "0301 04", too_long = "0301 04";
  for (int i = 0; i < 256; ++i) longest += i < 255 ? "41" : "";
  EXPECT_EQ(cause("0300" + longest.substr(4) + "0407 03 020000000001 0602 0078"), "");
  for (int i = 0; i < 256; ++i) too_long += "41";
  EXPECT_EQ(cause(too_long), "chassis ID of a wrong length");
}

TEST(Lldp, StepsOverTlvsOfOthersAndStopsAtTheEnd) {
  const std::string others = "0a03 737731 0c00 fe06 00120f 010203 fe09 0080c201 0001020304";
  const auto frame = decoded(kMandatory + others + kEvb + "0000 ffffffff");
  ASSERT_TRUE(frame);
  ASSERT_TRUE(frame->evb);
  EXPECT_EQ(frame->evb->values, (Parameters{3, 8, 20, 20}));
  EXPECT_FALSE(decoded(kMandatory + others + "0000" + kEvb)->evb);
}

TEST(Lldp, TakesAPriorityTagAndNoVlan) {
  const std::string addresses = "0180c2000000 020000000001";
  EXPECT_TRUE(is_lldp(from_hex(addresses + "8100e000 88cc")));
  EXPECT_FALSE(is_lldp(from_hex(addresses + "8940")));
  EXPECT_FALSE(is_lldp(from_hex("0180c2000000")));
  EXPECT_TRUE(decode_lldp(from_hex(addresses + "8100e000 88cc" + kMandatory)));
  const auto tagged = decode_lldp(from_hex(addresses + "81000064 88cc" + kMandatory));
  ASSERT_FALSE(tagged);
  EXPECT_STREQ(tagged.error().cause, "tagged with a VLAN");
}

TEST(Lldp, ShowsNamesOfPeersEscaped) {
  const auto text = [](const std::string& octets) { return LldpId{5, from_hex(octets)}.to_string(LldpId::kPortMac); };
  EXPECT_EQ(text("65746830"), "eth0");
  EXPECT_EQ(text("1b5b41 0a ff"), "\\x1b[A\\x0a\\xff");
  EXPECT_EQ(text("5c"), "\\x5c");
}

}  // namespace
}  // namespace splitnve::evb
