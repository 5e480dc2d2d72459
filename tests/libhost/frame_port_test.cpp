// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/frame_port.hpp"

#include <pcap/pcap.h>

#include "own_network.hpp"
#include "temporary_folder.hpp"

namespace splitnve::host {
namespace {

using testing::frame_of;
using testing::wait_readable;

constexpr MacAddress kNearestBridge(0x0180C200000Eu);
constexpr MacAddress kNearestNonTpmr(0x0180C2000003u);
constexpr MacAddress kNearestCustomer(0x0180C2000000u);
const std::vector<std::uint8_t> kEcp = {0x89, 0x40};
/// What ends a test's burst: everything before it has then been received or was filtered.
const OctetString kMarker = frame_of(kNearestCustomer, kEcp, 46, 0xEE);

class FramePortTest : public testing::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    east_ = open("east");
    west_ = open("west");
  }
  static std::unique_ptr<FramePort> open(const std::string& name) {
    auto port = FramePort::open(name);
    EXPECT_TRUE(port) << port.error().to_string();
    return port ? std::move(*port) : nullptr;
  }
  /// Sends frames and the marker from east; what west delivers before the marker.
  std::vector<OctetString> exchange(std::vector<OctetString> frames) {
    frames.push_back(kMarker);
    EXPECT_EQ(east_->send(frames), frames.size());
    std::vector<OctetString> delivered;
    while (delivered.empty() || delivered.back() != kMarker) {
      if (!wait_readable(west_->fd())) {
        ADD_FAILURE() << "the marker did not arrive";
        return delivered;
      }
      west_->receive([&](Octets frame) { delivered.emplace_back(frame.begin(), frame.end()); });
    }
    delivered.pop_back();
    return delivered;
  }
  std::unique_ptr<FramePort> east_;
  std::unique_ptr<FramePort> west_;
};

TEST_F(FramePortTest, DeliversEcpToTheThreeGroupAddressesAndToItself) {
  const std::vector<OctetString> frames = {
      frame_of(kNearestBridge, kEcp, 46, 1), frame_of(kNearestNonTpmr, kEcp, 46, 2),
      frame_of(kNearestCustomer, kEcp, 46, 3), frame_of(west_->link().mac, kEcp, 1500, 4)};
  EXPECT_EQ(exchange(frames), frames);
  EXPECT_EQ(west_->stats().rx_frames, 5u);
  EXPECT_EQ(east_->stats().tx_frames, 5u);
}

TEST_F(FramePortTest, JoinsTheGroupAddressesOfTheInterface) {
  const std::string grep = "ip maddress show dev west | grep -q ";
  EXPECT_EQ(std::system((grep + "01:80:c2:00:00:0e").c_str()), 0);
  EXPECT_EQ(std::system((grep + "01:80:c2:00:00:03").c_str()), 0);
  EXPECT_EQ(std::system((grep + "01:80:c2:00:00:00").c_str()), 0);
}

TEST_F(FramePortTest, OtherProtocolsDoNotReachTheProcess) {
  const OctetString eapol = frame_of(kNearestBridge, {0x88, 0x8E}, 46, 1);
  const OctetString ip = frame_of(west_->link().mac, {0x08, 0x00}, 46, 1);
  const OctetString tagged_ip = frame_of(west_->link().mac, {0x81, 0x00, 0x00, 0x00, 0x08, 0x00}, 46, 1);
  EXPECT_TRUE(exchange({eapol, ip, tagged_ip}).empty());
  EXPECT_EQ(west_->stats().rx_frames, 1u) << "the marker only";
}

TEST_F(FramePortTest, LldpIsDeliveredUntaggedOrPriorityTaggedAndNotFromAVlan) {
  const OctetString lldp = frame_of(kNearestBridge, {0x88, 0xCC}, 46, 1);
  const OctetString priority = frame_of(kNearestBridge, {0x81, 0x00, 0xE0, 0x00, 0x88, 0xCC}, 46, 2);
  const OctetString tagged = frame_of(kNearestBridge, {0x81, 0x00, 0x00, 0x64, 0x88, 0xCC}, 46, 3);
  const auto delivered = exchange({lldp, priority, tagged});
  ASSERT_EQ(delivered.size(), 2u);
  EXPECT_EQ(delivered[0], lldp);
  EXPECT_EQ(delivered[1].back(), 2);
  EXPECT_EQ(west_->stats().rx_tagged, 1u);
}

TEST_F(FramePortTest, PriorityTaggedEcpIsDeliveredAndTaggedEcpIsCounted) {
  const OctetString priority = frame_of(kNearestBridge, {0x81, 0x00, 0xE0, 0x00, 0x89, 0x40}, 46, 1);
  const OctetString tagged = frame_of(kNearestBridge, {0x81, 0x00, 0x00, 0x64, 0x89, 0x40}, 46, 2);
  const OctetString stacked = frame_of(kNearestBridge, {0x81, 0, 0, 0, 0x81, 0, 0, 0x64, 0x89, 0x40}, 46, 3);
  const auto delivered = exchange({priority, tagged, stacked});
  ASSERT_EQ(delivered.size(), 1u);
  EXPECT_EQ(delivered[0].back(), 1);
  EXPECT_EQ(west_->stats().rx_tagged, 2u);
}

TEST_F(FramePortTest, OwnFramesAreNotReceived) {
  exchange({frame_of(kNearestBridge, kEcp, 46, 1)});
  EXPECT_EQ(east_->receive([](Octets) { FAIL() << "an own frame came back"; }), 0u);
}

TEST_F(FramePortTest, ABurstOfTwoThousandLongFramesIsKeptWhole) {
  std::vector<OctetString> frames;
  for (int i = 0; i < 2000; ++i)
    frames.push_back(frame_of(kNearestBridge, kEcp, 1500, static_cast<std::uint8_t>(i % 200)));
  const auto delivered = exchange(frames);
  EXPECT_EQ(delivered, frames);
  EXPECT_EQ(west_->stats().rx_dropped, 0u);
}

TEST_F(FramePortTest, AnOversizeFrameIsCountedAndNotDelivered) {
  run("ip link set east mtu 9000");
  run("ip link set west mtu 9000");
  EXPECT_TRUE(exchange({frame_of(kNearestBridge, kEcp, 4000, 1)}).empty());
  EXPECT_EQ(west_->stats().rx_oversize, 1u);
}

TEST_F(FramePortTest, WhatTheKernelDoesNotTakeIsCounted) {
  run("ip link set east down");
  const std::vector<OctetString> frames = {kMarker, kMarker};
  EXPECT_EQ(east_->send(frames), 0u);
  EXPECT_EQ(east_->stats().tx_dropped, 2u);
}

TEST_F(FramePortTest, ATraceHoldsFramesOfBothDirectionsUntilItIsStopped) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.file("west.pcap");
  ASSERT_TRUE(west_->start_trace(path));
  EXPECT_TRUE(west_->tracing());
  const OctetString request = frame_of(kNearestBridge, kEcp, 46, 1);
  const OctetString reply = frame_of(kNearestBridge, kEcp, 50, 2);
  exchange({request});
  ASSERT_EQ(west_->send({&reply, 1}), 1u);
  west_->stop_trace();
  exchange({request});

  char error[PCAP_ERRBUF_SIZE];
  pcap_t* trace = pcap_open_offline(path.c_str(), error);
  ASSERT_NE(trace, nullptr) << error;
  std::vector<OctetString> traced;
  pcap_pkthdr* header = nullptr;
  const unsigned char* octets = nullptr;
  while (pcap_next_ex(trace, &header, &octets) == 1) traced.emplace_back(octets, octets + header->caplen);
  pcap_close(trace);
  EXPECT_EQ(traced, (std::vector<OctetString>{request, kMarker, reply}));
}

TEST_F(FramePortTest, ATraceThatCannotBeWrittenIsAnError) {
  const auto refused = west_->start_trace("/nowhere/at/all.pcap");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().where, "/nowhere/at/all.pcap");
  EXPECT_FALSE(west_->tracing());
}

TEST_F(FramePortTest, AMissingInterfaceIsAClearError) {
  const auto port = FramePort::open("nowhere0");
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().to_string(),
            "nowhere0: no such network interface (create it or correct its name in the configuration)");
  EXPECT_FALSE(FramePort::open("a-name-longer-than-any-interface"));
}

TEST_F(FramePortTest, AnInterfaceThatIsNotEthernetIsAnError) {
  // Loopback has its own hardware type.
  const auto port = FramePort::open("lo");
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().what, "not an Ethernet interface");
}

TEST(FrameTags, OnlyUntaggedAndPriorityTaggedFramesPass) {
  const OctetString plain = frame_of(kNearestBridge, kEcp, 46, 0);
  const OctetString inline_priority = frame_of(kNearestBridge, {0x81, 0x00, 0x70, 0x00, 0x89, 0x40}, 46, 0);
  const OctetString inline_tagged = frame_of(kNearestBridge, {0x81, 0x00, 0x00, 0x01, 0x89, 0x40}, 46, 0);
  EXPECT_TRUE(is_untagged_or_priority(plain, std::nullopt));
  EXPECT_TRUE(is_untagged_or_priority(plain, std::uint16_t{0}));
  EXPECT_TRUE(is_untagged_or_priority(plain, std::uint16_t{0xF000})) << "priority and drop eligible bits are no VID";
  EXPECT_FALSE(is_untagged_or_priority(plain, std::uint16_t{1}));
  EXPECT_TRUE(is_untagged_or_priority(inline_priority, std::nullopt));
  EXPECT_FALSE(is_untagged_or_priority(inline_tagged, std::nullopt));
  EXPECT_FALSE(is_untagged_or_priority(inline_priority, std::uint16_t{0})) << "two tags";
  EXPECT_TRUE(is_untagged_or_priority(Octets(inline_tagged).first(13), std::nullopt)) << "too short to have a tag";
}

}  // namespace
}  // namespace splitnve::host
