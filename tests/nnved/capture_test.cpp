// SPDX-License-Identifier: Apache-2.0
// The requests of a real lldpad, frame by frame from its captures, answered.
#include <gtest/gtest.h>

#include "rig.hpp"
#include "support/capture.hpp"

namespace splitnve::nnved::test {
namespace {

struct Replay {
  std::vector<Tlv> requests;  ///< new ones of the station in the capture
  std::vector<Tlv> answers;
  unsigned acked = 0;
};

/// A legacy port on which lldpad's VIDs and GroupIDs are known.
AgentConfig lldpad_config() {
  AgentConfig config = make_config(1);
  config.ports[0].legacy = true;
  for (std::uint32_t vn = 70003; vn < 70040; ++vn) config.vns.push_back({GroupId(vn), "", "", vn, {}});
  for (std::uint16_t vid = 100; vid <= 101; ++vid)
    config.ports[0].static_vids.push_back({Vid(vid), GroupId(70040u + vid)});
  for (std::uint32_t vn = 70140; vn <= 70141; ++vn) config.vns.push_back({GroupId(vn), "", "", vn, {}});
  return config;
}

Replay replay(Rig& rig, const std::string& name) {
  Replay seen;
  for (const OctetString& octets : splitnve::test::read_named_capture(name)) {
    const auto frame = ecp::decode_frame(octets);
    if (!frame || frame->operation != ecp::Operation::kRequest) continue;
    bool of_station = false;
    for (const Tlv& tlv : read_vdpdu(frame->payload)) {
      if ((tlv.status & vdp::kStatusResponse) != 0) continue;
      seen.requests.push_back(tlv);
      of_station = true;
    }
    if (!of_station) continue;
    Station* host = nullptr;
    for (Station& known : rig.stations)
      if (known.address == frame->source) host = &known;
    if (host == nullptr) {
      host = &rig.stations.emplace_back();
      host->port = PortId(1);
      host->address = frame->source;
    }
    host->received.clear();
    rig.agent.handle_frame(PortId(1), octets, rig.now);
    rig.run();
    rig.advance(5ms);
    for (const Tlv& tlv : host->received) seen.answers.push_back(tlv);
    seen.acked = host->acked;
  }
  return seen;
}

class LldpadCapture : public testing::TestWithParam<const char*> {};

TEST_P(LldpadCapture, ItsAssociateIsAcknowledgedGrantedAndRepeatedInTheAnswer) {
  Rig rig(lldpad_config());
  const Replay seen = replay(rig, GetParam());
  ASSERT_FALSE(seen.requests.empty());
  EXPECT_GE(seen.acked, 1u);
  ASSERT_FALSE(seen.answers.empty());
  const Tlv& request = seen.requests.front();
  const Tlv& answer = seen.answers.front();
  EXPECT_TRUE(answer.response().success()) << vdp::to_string(answer.response().code);
  EXPECT_EQ(answer.command, request.command);
  EXPECT_EQ(answer.manager, request.manager);
  EXPECT_EQ(answer.id, request.id);
  EXPECT_EQ(answer.format, request.format);
  ASSERT_EQ(answer.entries.size(), request.entries.size());
  for (std::size_t i = 0; i < answer.entries.size(); ++i) {
    EXPECT_EQ(answer.entries[i].group, request.entries[i].group);
    EXPECT_EQ(answer.entries[i].mac, request.entries[i].mac);
    EXPECT_TRUE(answer.entries[i].vid.is_assignable());
    EXPECT_TRUE(request.entries[i].vid.is_null() || answer.entries[i].vid == request.entries[i].vid);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, LldpadCapture,
                         testing::Values("01-assoc-vid", "02-assoc-mac-vid", "03-assoc-gid-vid", "04-assoc-gid-mac-vid",
                                         "07-null-gid", "08-null-gid-mac"),
                         [](const auto& one) {
                           std::string name = one.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(LldpadCapture, NoFrameOfAnyCaptureHarmsTheAgent) {
  Rig rig(lldpad_config());
  std::size_t frames = 0;
  for (const auto& file : splitnve::test::capture_files()) {
    for (const OctetString& octets : splitnve::test::read_capture(file)) {
      rig.agent.handle_frame(PortId(1), octets, rig.now);
      rig.run();
      ++frames;
    }
    rig.advance(1s);
  }
  EXPECT_GT(frames, 50u);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
  rig.advance(10min);
  EXPECT_EQ(rig.tsis(), 0u);
}

}  // namespace
}  // namespace splitnve::nnved::test
