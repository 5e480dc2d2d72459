// SPDX-License-Identifier: Apache-2.0
#include "splitnve/ecp/header.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "splitnve/base/limits.hpp"

namespace splitnve::ecp {
namespace {

constexpr MacAddress kOwn{0x020000000002};
constexpr MacAddress kPeer{0x020000000001};

OctetString frame_of(Operation operation, std::uint16_t sequence, Octets payload) {
  OctetString frame;
  encode_frame(kNearestCustomerBridge, kPeer, operation, EcpSequence(sequence), payload, frame);
  return frame;
}

// Puts a tag in front of the EtherType, as a frame port sees it that was given the tag inline.
OctetString with_tag(OctetString frame, std::uint16_t type, std::uint16_t tag) {
  const std::uint8_t octets[] = {static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type),
                                 static_cast<std::uint8_t>(tag >> 8), static_cast<std::uint8_t>(tag)};
  frame.insert(frame.begin() + 12, std::begin(octets), std::end(octets));
  return frame;
}

void expect_refused(const OctetString& frame, const std::string& cause, std::size_t offset) {
  const auto decoded = decode_frame(frame);
  ASSERT_FALSE(decoded.has_value()) << "accepted, expected: " << cause;
  EXPECT_EQ(decoded.error().cause, cause);
  EXPECT_EQ(decoded.error().offset, offset);
}

TEST(EcpHeader, RoundTripsEveryVersionOperationAndSubtype) {
  for (std::uint32_t word = 0; word <= 0xFFFF; ++word) {
    const auto sequence = static_cast<std::uint16_t>(word * 40503u);
    const OctetString octets = {static_cast<std::uint8_t>(word >> 8), static_cast<std::uint8_t>(word),
                                static_cast<std::uint8_t>(sequence >> 8), static_cast<std::uint8_t>(sequence)};
    BoundedReader reader(octets);
    const auto header = decode_header(reader);
    ASSERT_TRUE(header.has_value());
    ASSERT_EQ(header->version, word >> 12);
    ASSERT_EQ(header->operation, (word >> 10) & 3);
    ASSERT_EQ(header->subtype, word & 0x3FF);
    ASSERT_EQ(header->sequence, EcpSequence(sequence));
    OctetString again(kHeaderOctets);
    BoundedWriter writer(again);
    encode_header(*header, writer);
    ASSERT_FALSE(writer.overflowed());
    ASSERT_EQ(again, octets);
  }
}

TEST(EcpHeader, IsRefusedWhenTruncated) {
  const OctetString octets = {0x10, 0x01, 0x00, 0x07};
  for (std::size_t n = 0; n < octets.size(); ++n) {
    BoundedReader reader(Octets(octets).first(n), 14);
    const auto header = decode_header(reader);
    ASSERT_FALSE(header.has_value()) << n;
    EXPECT_EQ(header.error().offset, n < 2 ? 14u : 16u) << n;
  }
}

TEST(EcpHeaderDeathTest, FieldsWiderThanTheirBitsAreOurOwnMistake) {
  OctetString octets(kHeaderOctets);
  BoundedWriter writer(octets);
  EXPECT_DEATH(encode_header({16, 0, 1, EcpSequence(1)}, writer), "wider than its bits");
  EXPECT_DEATH(encode_header({1, 4, 1, EcpSequence(1)}, writer), "wider than its bits");
  EXPECT_DEATH(encode_header({1, 0, 0x400, EcpSequence(1)}, writer), "wider than its bits");
}

TEST(EcpFrame, ReadsARequestWithItsPadding) {
  const OctetString payload = {0x0A, 0x10, 0xFF};
  const auto octets = frame_of(Operation::kRequest, 0x1234, payload);
  ASSERT_EQ(octets.size(), limits::kFrameOctetsMin);
  const auto frame = decode_frame(octets);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->destination, kNearestCustomerBridge);
  EXPECT_EQ(frame->source, kPeer);
  EXPECT_EQ(frame->operation, Operation::kRequest);
  EXPECT_EQ(frame->sequence, EcpSequence(0x1234));
  EXPECT_EQ(frame->payload_offset, 18u);
  EXPECT_EQ(frame->payload.size(), limits::kFrameOctetsMin - 18);
  EXPECT_TRUE(std::equal(payload.begin(), payload.end(), frame->payload.begin()));
  EXPECT_EQ(frame->payload.data(), octets.data() + frame->payload_offset);
}

TEST(EcpFrame, AcceptsAnUnpaddedAckOf18OctetsAndAPaddedOneOf60) {
  auto octets = frame_of(Operation::kAck, 7, {});
  ASSERT_EQ(octets.size(), 60u);
  for (const std::size_t size : {std::size_t{60}, std::size_t{18}}) {
    octets.resize(size);
    const auto frame = decode_frame(octets);
    ASSERT_TRUE(frame.has_value()) << size;
    EXPECT_EQ(frame->operation, Operation::kAck);
    EXPECT_EQ(frame->sequence, EcpSequence(7));
    EXPECT_EQ(frame->payload.size(), size - 18);
  }
}

TEST(EcpFrame, WritesTheGoldenAck) {
  const OctetString golden = {0x01, 0x80, 0xC2, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00,
                              0x00, 0x00, 0x01, 0x89, 0x40, 0x14, 0x01, 0x00, 0x01};
  auto padded = golden;
  padded.resize(60);
  EXPECT_EQ(frame_of(Operation::kAck, 1, {}), padded);
}

TEST(EcpFrame, WritesTheLongestVdpduIntoAFrameOf1514Octets) {
  const OctetString payload(limits::kVdpduOctetsMax, 0xA5);
  const auto octets = frame_of(Operation::kRequest, 0xFFFF, payload);
  EXPECT_EQ(octets.size(), limits::kFrameOctetsMax);
  const auto frame = decode_frame(octets);
  ASSERT_TRUE(frame.has_value());
  EXPECT_TRUE(std::equal(payload.begin(), payload.end(), frame->payload.begin(), frame->payload.end()));
}

TEST(EcpFrame, LeavesNothingOfAnEarlierFrameInItsBuffer) {
  OctetString buffer(200, 0xEE);
  encode_frame(kNearestCustomerBridge, kPeer, Operation::kAck, EcpSequence(7), {}, buffer);
  EXPECT_EQ(buffer, frame_of(Operation::kAck, 7, {}));
}

TEST(EcpFrame, TruncatedAnywhereBeforeItsPayloadIsRefusedWithTheOffset) {
  const std::size_t field_starts[] = {0, 6, 12, 14, 16, 18};
  const auto octets = frame_of(Operation::kRequest, 7, {});
  for (std::size_t n = 0; n < 18; ++n) {
    const auto decoded = decode_frame(Octets(octets).first(n));
    ASSERT_FALSE(decoded.has_value()) << n;
    EXPECT_EQ(decoded.error().offset, *(std::ranges::upper_bound(field_starts, n) - 1)) << n;
    EXPECT_TRUE(std::string(decoded.error().cause).starts_with("truncated")) << n << ": " << decoded.error().cause;
  }
  for (std::size_t n = 18; n <= octets.size(); ++n) EXPECT_TRUE(decode_frame(Octets(octets).first(n)).has_value()) << n;
}

TEST(EcpFrame, TruncatedAnywhereInATaggedFrameIsRefusedWithTheOffset) {
  const std::size_t field_starts[] = {0, 6, 12, 14, 16, 18, 20, 22};
  const auto octets = with_tag(frame_of(Operation::kRequest, 7, {}), 0x8100, 0);
  for (std::size_t n = 0; n < 22; ++n) {
    const auto decoded = decode_frame(Octets(octets).first(n));
    ASSERT_FALSE(decoded.has_value()) << n;
    EXPECT_EQ(decoded.error().offset, *(std::ranges::upper_bound(field_starts, n) - 1)) << n;
  }
}

TEST(EcpFrame, IsAcceptedWithAPriorityTagOfAnyPriority) {
  const auto untagged = frame_of(Operation::kRequest, 7, {});
  for (unsigned priority = 0; priority < 16; ++priority) {  // PCP and DEI
    const auto octets = with_tag(untagged, 0x8100, static_cast<std::uint16_t>(priority << 12));
    const auto frame = decode_frame(octets);
    ASSERT_TRUE(frame.has_value()) << priority;
    EXPECT_EQ(frame->payload_offset, 22u);
    EXPECT_EQ(frame->sequence, EcpSequence(7));
  }
}

TEST(EcpFrame, IsRefusedInAnyVlan) {
  const auto untagged = frame_of(Operation::kRequest, 7, {});
  for (std::uint16_t vid = 1; vid <= 0x0FFF; ++vid) {
    const auto decoded = decode_frame(with_tag(untagged, 0x8100, vid));
    ASSERT_FALSE(decoded.has_value()) << vid;
    ASSERT_EQ(decoded.error(), (DecodeError{"tagged with a VLAN", 14}));
  }
  expect_refused(with_tag(untagged, 0x88A8, 0), "not the EtherType of ECP", 12);
  expect_refused(with_tag(with_tag(untagged, 0x8100, 0), 0x8100, 0), "not the EtherType of ECP", 16);
}

TEST(EcpFrame, OfAnotherEtherTypeIsRefused) {
  auto octets = frame_of(Operation::kRequest, 7, {});
  for (const unsigned type : {0x88B7u, 0x8890u, 0x88CCu, 0x0000u, 0x8941u}) {
    octets[12] = static_cast<std::uint8_t>(type >> 8);
    octets[13] = static_cast<std::uint8_t>(type);
    expect_refused(octets, "not the EtherType of ECP", 12);
  }
}

TEST(EcpFrame, IsAcceptedOnlyWithVersion1SubtypeVdpAndRequestOrAck) {
  auto octets = frame_of(Operation::kRequest, 7, {});
  for (unsigned word = 0; word <= 0xFFFF; ++word) {
    octets[14] = static_cast<std::uint8_t>(word >> 8);
    octets[15] = static_cast<std::uint8_t>(word);
    const auto decoded = decode_frame(octets);
    ASSERT_EQ(decoded.has_value(), word == 0x1001 || word == 0x1401) << std::hex << word;
    if (!decoded) {
      const char* cause = (word >> 12) != 1     ? "unsupported ECP version"
                          : (word & 0x3FF) != 1 ? "unsupported ECP subtype"
                                                : "unsupported ECP operation";
      ASSERT_EQ(decoded.error(), (DecodeError{cause, 14})) << std::hex << word;
    }
  }
}

TEST(EcpFrame, FromAGroupAddressIsRefused) {
  auto octets = frame_of(Operation::kRequest, 7, {});
  octets[6] |= 1;
  expect_refused(octets, "group source address", 6);
}

TEST(EcpFrame, IsAcceptedWhateverItsDestinationWhichIsThePortsToJudge) {
  for (const MacAddress destination :
       {kNearestCustomerBridge, kNearestBridge, kNearestNonTpmrBridge, kOwn, MacAddress(0x03534E000001)}) {
    OctetString octets;
    encode_frame(destination, kPeer, Operation::kRequest, EcpSequence(1), {}, octets);
    const auto frame = decode_frame(octets);
    ASSERT_TRUE(frame.has_value());
    EXPECT_EQ(frame->destination, destination);
  }
}

}  // namespace
}  // namespace splitnve::ecp
