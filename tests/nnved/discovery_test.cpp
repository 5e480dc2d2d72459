// SPDX-License-Identifier: Apache-2.0
// Stations behind bridges, which look for us by a group address (S17, E2).
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::TlvType;

constexpr MacAddress kGroup(0x03534E000001u);
constexpr const char* kRefused = "to the group, and not capabilities alone";

AgentConfig with_group(bool sole = false) {
  AgentConfig config = make_config(1);
  config.ports[0].group = kGroup;
  config.ports[0].sole_nnve = sole;
  return config;
}

void send_to(Rig& rig, Station& from, MacAddress destination, Octets payload) {
  OctetString frame;
  ecp::encode_frame(destination, from.address, ecp::Operation::kRequest, EcpSequence(from.sequence++), payload, frame);
  rig.agent.handle_frame(from.port, frame, rig.now);
  rig.run();
}

OctetString capabilities(const Station& station) {
  OctetString octets;
  vdp::write_capabilities_only(*station.shows, octets);
  return octets;
}
OctetString associate() { return vdpdu({{TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}}}); }

TEST(NnvedDiscovery, CapabilitiesToTheGroupAreAnsweredFromOurOwnAddressToTheStation) {
  Rig rig(with_group());
  Station& station = rig.station(1);
  station.acks = false;
  send_to(rig, station, kGroup, capabilities(station));
  ASSERT_EQ(station.raw.size(), 2u) << "the acknowledgement, and our capabilities";
  for (const OctetString& octets : station.raw) {
    const auto frame = ecp::decode_frame(octets);
    EXPECT_EQ(frame->source, port_mac(1));
    EXPECT_EQ(frame->destination, station.address);
  }
}

TEST(NnvedDiscovery, AnythingElseToTheGroupIsNeitherAcknowledgedNorProcessed) {
  Rig rig(with_group());
  Station& station = rig.station(1);
  send_to(rig, station, kGroup, associate());
  send_to(rig, station, kGroup, vdpdu({{TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}}}, station.shows));
  send_to(rig, station, kGroup, {});
  EXPECT_EQ(station.raw.size(), 0u);
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_EQ(rig.agent.peers().size(), 0u);
  EXPECT_EQ(rig.dropped(kRefused), 3u);
  send_to(rig, station, port_mac(1), associate());
  EXPECT_EQ(rig.tsis(), 1u) << "by unicast it is";
}

TEST(NnvedDiscovery, ASoleNnveTakesEverythingThatIsSentToTheGroup) {
  Rig rig(with_group(true));
  Station& station = rig.station(1);
  send_to(rig, station, kGroup, associate());
  EXPECT_EQ(rig.tsis(), 1u);
  ASSERT_FALSE(station.received.empty());
  EXPECT_TRUE(station.received.back().response().success());
  EXPECT_EQ(ecp::decode_frame(station.raw.back())->destination, station.address);
}

TEST(NnvedDiscovery, APortWithoutAGroupHearsNone) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  send_to(rig, station, kGroup, capabilities(station));
  EXPECT_EQ(rig.dropped("not for us"), 1u);
  EXPECT_TRUE(station.raw.empty());
}

TEST(NnvedDiscovery, AReservedAddressIsNoGroupThatBridgesPass) {
  EXPECT_TRUE(is_forwarded_group(kGroup));
  EXPECT_TRUE(is_forwarded_group(MacAddress(0x0180C2000010u)));
  for (const std::uint64_t reserved : {0x0180C2000000u, 0x0180C200000Eu})
    EXPECT_FALSE(is_forwarded_group(MacAddress(reserved)));
  EXPECT_FALSE(is_forwarded_group(MacAddress(0xFFFFFFFFFFFFu)));
  EXPECT_FALSE(is_forwarded_group(port_mac(1)));
}

}  // namespace
}  // namespace splitnve::nnved::test
