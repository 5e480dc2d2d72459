// SPDX-License-Identifier: Apache-2.0
// What a real peer sent (lldpad) is read and written octet for octet.
#include "support/capture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "splitnve/ecp/header.hpp"

namespace splitnve::ecp {
namespace {

constexpr std::size_t kUnpaddedAckOctets = 18;

class EcpCapture : public testing::TestWithParam<std::filesystem::path> {};

std::string test_name(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem().string();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

TEST_P(EcpCapture, DecodesAndReencodesOctetForOctet) {
  std::size_t ecp_frames = 0;
  for (const auto& captured : test::read_capture(GetParam())) {
    if (!test::has_ether_type(captured, kEtherType)) continue;
    ++ecp_frames;
    const auto frame = decode_frame(captured);
    ASSERT_TRUE(frame.has_value()) << "frame " << ecp_frames << ": " << frame.error().cause;
    OctetString again;
    encode_frame(frame->destination, frame->source, frame->operation, frame->sequence, frame->payload, again);
    if (captured.size() == kUnpaddedAckOctets) {  // lldpad leaves its acks unpadded
      ASSERT_EQ(frame->operation, Operation::kAck);
      ASSERT_TRUE(std::all_of(again.begin() + kUnpaddedAckOctets, again.end(), [](auto octet) { return octet == 0; }));
      again.resize(kUnpaddedAckOctets);
    }
    EXPECT_EQ(again, captured) << "frame " << ecp_frames;
  }
  const bool is_lldp = GetParam().stem() == "00-lldp-evb";
  EXPECT_EQ(ecp_frames > 0, !is_lldp);
}

TEST_P(EcpCapture, AnswersEachRequestWithAnAckOfItsSequence) {
  std::vector<Frame> requests;
  const auto captured = test::read_capture(GetParam());
  for (const auto& octets : captured) {
    const auto frame = decode_frame(octets);
    if (!frame) continue;
    if (frame->operation == Operation::kRequest) {
      requests.push_back(*frame);
      continue;
    }
    const auto asked = std::ranges::find_if(requests, [&](const Frame& request) {
      return request.sequence == frame->sequence && request.source != frame->source;
    });
    EXPECT_NE(asked, requests.end()) << "ack " << frame->sequence.value() << " answers nothing";
  }
}

INSTANTIATE_TEST_SUITE_P(Lldpad, EcpCapture, testing::ValuesIn(test::capture_files()), test_name);

}  // namespace
}  // namespace splitnve::ecp
