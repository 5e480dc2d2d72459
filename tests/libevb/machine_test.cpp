// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>

#include "machine_support.hpp"
#include "support/capture.hpp"

namespace splitnve::evb {
namespace {

constexpr Parameters kOurs{3, 8, 20, 20};

/// The five octets that a frame announces.
std::string announced(const OctetString& frame) {
  const auto pdu = decode_lldp(frame);
  if (!pdu || !pdu->evb) return "nothing";
  OctetString octets(kValueOctets);
  BoundedWriter writer(octets);
  encode_evb(*pdu->evb, writer);
  std::string text;
  for (std::size_t i = 4; i < octets.size(); ++i) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", octets[i]);
    text += two;
  }
  return text;
}

/// A frame of the bridge: what EVB it holds, how long it lasts, and where it goes.
OctetString from_bridge(std::optional<Tlv> tlv, std::uint16_t ttl = 120, MacAddress to = kNearestCustomerBridge,
                        MacAddress from = kBridgeMac) {
  LldpFrame frame{to, from, id(LldpId::kChassisMac, from), id(LldpId::kPortMac, from), ttl, tlv};
  OctetString octets;
  encode_lldp(frame, octets);
  return octets;
}
const Tlv kBridgeTlv{0x07, 0x00, 1, {5, 10, 22, 8}, false, false};

/// A station at time 0 with its link up.
struct Station : End {
  explicit Station(Machine::Config how = config(Role::kStation, kOurs)) : End(how) { machine.handle_link(true, now); }
  Instant now{};
  std::string hear(const OctetString& frame) {
    const auto taken = machine.handle_frame(frame, now);
    return taken ? "" : taken.error().cause;
  }
  Operational operational() const { return machine.operational(); }
};

TEST(EvbMachine, StationSaysTheOctetsOfARealOne) {
  auto how = config(Role::kStation, kOurs);
  how.reflective_relay = true;
  Station station(how);
  auto sent = station.run(station.now);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0], test::read_named_capture("00-lldp-evb").at(0));
  EXPECT_EQ(announced(sent[0]), "000f689414");
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv)), "");
  station.now += seconds(1);
  sent = station.run(station.now);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(announced(sent[0]), "070daab614");
  EXPECT_EQ(station.operational().values, (Parameters{5, 10, 22, 20}));
  EXPECT_TRUE(station.operational().reflective_relay);
  EXPECT_TRUE(station.operational().group_ids);
}

TEST(EvbMachine, BridgeGrantsReflectiveRelayWhenTheStationWantsIt) {
  auto bridge = config(Role::kBridge, {5, 10, 22, 20}), station = config(Role::kStation, kOurs);
  bridge.reflective_relay = station.reflective_relay = true;
  Link link(bridge, station);
  EXPECT_EQ(announced(link.bridge.run(link.now).at(0)), "0600aa5614");
  link.run(seconds(40));
  EXPECT_EQ(link.bridge.machine.announced().bridge_status, 0x07);
  EXPECT_EQ(link.bridge.machine.announced().station_status, 0x0D);
  EXPECT_TRUE(link.bridge.machine.operational().reflective_relay);
  EXPECT_TRUE(link.station.machine.operational().reflective_relay);
}

TEST(EvbMachine, NothingIsSentBeforeTheLinkIsUp) {
  End station(config(Role::kStation, kOurs));
  EXPECT_FALSE(station.machine.next_deadline());
  EXPECT_TRUE(station.run(Instant{} + seconds(100)).empty());
}

TEST(EvbMachine, AnnouncesFastAtFirstAndThenOnItsInterval) {
  Station station;
  std::vector<int> at;
  for (int second = 0; second <= 100; ++second)
    if (!station.run(Instant{} + seconds(second)).empty()) at.push_back(second);
  EXPECT_EQ(at, (std::vector<int>{0, 1, 2, 3, 33, 63, 93}));
}

TEST(EvbMachine, ANeighbourThatChangesWithEveryFrameIsAnsweredOnceASecond) {
  Station station;
  std::size_t sent = 0;
  for (int i = 0; i < 1000; ++i, station.now += std::chrono::milliseconds(10)) {
    Tlv tlv = kBridgeTlv;
    tlv.values.retries = static_cast<unsigned>(i) % 8;
    station.hear(from_bridge(tlv));
    sent += station.run(station.now).size();
  }
  EXPECT_LE(sent, 11u);
}

TEST(EvbMachine, BothEndsTakeTheGreaterOfEachValue) {
  Link link(config(Role::kBridge, {5, 8, 22, 18}), config(Role::kStation, {3, 12, 20, 19}));
  link.run(seconds(5));
  EXPECT_EQ(link.bridge.machine.operational().values, (Parameters{5, 12, 22, 19}));
  EXPECT_EQ(link.station.machine.operational().values, (Parameters{5, 12, 22, 19}));
  EXPECT_FALSE(link.bridge.machine.announced().rwd_remote);
  EXPECT_TRUE(link.bridge.machine.announced().rka_remote);
  EXPECT_TRUE(link.station.machine.announced().rwd_remote);
  EXPECT_FALSE(link.station.machine.announced().rka_remote);
}

TEST(EvbMachine, EqualValuesStandStill) {
  Link link(config(Role::kBridge, kOurs), config(Role::kStation, kOurs));
  link.run(seconds(10));
  const auto sent = link.bridge.machine.stats().sent + link.station.machine.stats().sent;
  link.run(seconds(60));
  EXPECT_LE(link.bridge.machine.stats().sent + link.station.machine.stats().sent, sent + 4);
}

TEST(EvbMachine, AnEchoOfOurOwnValueIsNotTheNeighboursValue) {
  Station station;
  Tlv tlv = kBridgeTlv;
  tlv.values = {3, 8, 24, 24};
  tlv.rwd_remote = tlv.rka_remote = true;  // of our former life
  station.hear(from_bridge(tlv));
  EXPECT_EQ(station.operational().values, kOurs);
}

TEST(EvbMachine, APeerThatRepeatsItsOwnValueAsAnEchoDoesNotMakeUsSwing) {
  Station station;
  Tlv tlv = kBridgeTlv;
  station.hear(from_bridge(tlv));
  tlv.rwd_remote = true;  // as lldpad does on hearing its 22 from us
  for (int i = 0; i < 10; ++i) {
    station.hear(from_bridge(tlv));
    EXPECT_EQ(station.operational().values.rwd, 22u);
  }
}

TEST(EvbMachine, ALowerEchoTellsThatTheNeighboursOwnValueFell) {
  Station station;
  Tlv tlv = kBridgeTlv;
  station.hear(from_bridge(tlv));
  tlv.values.rwd = 20;
  tlv.rwd_remote = true;
  station.hear(from_bridge(tlv));
  EXPECT_EQ(station.operational().values.rwd, 20u);
}

TEST(EvbMachine, AfterADecreaseTheNeighboursRepetitionIsNotHeardForTwoIntervals) {
  Link link(config(Role::kBridge, {5, 12, 22, 22}), config(Role::kStation, kOurs));
  link.run(seconds(20));
  ASSERT_EQ(link.station.machine.operational().values, (Parameters{5, 12, 22, 22}));
  link.bridge.machine.set_values({2, 6, 18, 18}, link.now);
  EXPECT_EQ(link.bridge.machine.announced().values, (Parameters{2, 6, 18, 18}));
  link.run(seconds(2));
  EXPECT_EQ(link.station.machine.operational().values, kOurs);
  EXPECT_EQ(link.bridge.machine.announced().values, (Parameters{2, 6, 18, 18}));
  link.run(seconds(59));
  EXPECT_EQ(link.bridge.machine.operational().values, kOurs);
  EXPECT_EQ(link.station.machine.operational().values, kOurs);
}

TEST(EvbMachine, TwoDecreasesAtOnceLeaveNothingOfThePast) {
  Link link(config(Role::kBridge, {5, 12, 22, 22}), config(Role::kStation, {5, 12, 22, 22}));
  link.run(seconds(20));
  link.bridge.machine.set_values({2, 6, 18, 18}, link.now);
  link.station.machine.set_values({3, 8, 18, 20}, link.now);
  link.run(seconds(130));
  EXPECT_EQ(link.bridge.machine.operational().values, (Parameters{3, 8, 18, 20}));
  EXPECT_EQ(link.station.machine.operational().values, (Parameters{3, 8, 18, 20}));
}

TEST(EvbMachine, ValuesBeyondOurBoundAreRefusedAndNotClamped) {
  for (const Parameters& beyond : {Parameters{3, 21, 20, 20}, Parameters{3, 8, 25, 20}, Parameters{3, 8, 20, 31}}) {
    Station station;
    Tlv tlv = kBridgeTlv;
    tlv.values = beyond;
    station.hear(from_bridge(tlv));
    EXPECT_FALSE(station.operational().acceptable);
    EXPECT_EQ(station.operational().values, beyond);
    station.run(station.now);
    EXPECT_EQ(station.machine.announced().values, beyond);
  }
}

TEST(EvbMachine, ValuesAgeWithTheTtl) {
  Station station;
  station.hear(from_bridge(kBridgeTlv, 10));
  station.run(Instant{} + std::chrono::milliseconds(9999));
  EXPECT_TRUE(station.operational().negotiated);
  station.run(Instant{} + seconds(10));
  EXPECT_EQ(station.operational(), Operational({kOurs}));
  EXPECT_EQ(station.machine.announced().bridge_status, 0);
  ASSERT_EQ(station.changes.size(), 2u);
  EXPECT_STREQ(station.changes[1].reason, "the neighbour is silent");
  EXPECT_EQ(station.changes[1].before.values, (Parameters{5, 10, 22, 20}));
}

TEST(EvbMachine, NobodyIsHeldForLongerThanFourIntervals) {
  Station station;
  station.hear(from_bridge(kBridgeTlv, 65535));
  station.run(Instant{} + seconds(120));
  EXPECT_TRUE(station.operational().negotiated);
  station.run(Instant{} + seconds(121));
  EXPECT_FALSE(station.operational().negotiated);
}

TEST(EvbMachine, AGoodbyeEndsTheNeighbourAtOnce) {
  Link link(config(Role::kBridge, {5, 10, 22, 20}), config(Role::kStation, kOurs));
  link.run(seconds(10));
  ASSERT_TRUE(link.station.machine.operational().negotiated);
  link.bridge.machine.shut_down(link.now);
  link.run(seconds(1));
  EXPECT_EQ(link.station.machine.operational(), Operational({kOurs}));
  const auto sent = link.bridge.machine.stats().sent;
  link.run(seconds(100));
  EXPECT_EQ(link.bridge.machine.stats().sent, sent);
}

TEST(EvbMachine, ALostLinkForgetsTheNeighbour) {
  Station station;
  station.hear(from_bridge(kBridgeTlv));
  station.machine.handle_link(false, station.now);
  EXPECT_EQ(station.operational(), Operational({kOurs}));
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv)), "LLDP while the link is down");
  EXPECT_TRUE(station.run(Instant{} + seconds(50)).empty());
}

TEST(EvbMachine, WhatIsNotTheNeighboursEvbChangesNothing) {
  Station station;
  const MacAddress stranger(std::uint64_t{0x0200000000FF});
  EXPECT_EQ(station.hear(from_bridge(std::nullopt)), "LLDP without EVB");
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv, 0)), "LLDP goodbye of nobody we know");
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv, 120, MacAddress(std::uint64_t{0x020000000009}))),
            "LLDP to another address");
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv, 120, kNearestCustomerBridge, kStationMac)), "our own LLDP frame");
  Tlv role = kBridgeTlv;
  for (const std::uint8_t mode : {std::uint8_t{0}, std::uint8_t{2}, std::uint8_t{3}}) {
    role.mode = mode;
    EXPECT_EQ(station.hear(from_bridge(role)), "the EVB neighbour has our own role");
  }
  EXPECT_EQ(station.operational(), Operational({kOurs}));
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv)), "");
  EXPECT_EQ(station.hear(from_bridge(kBridgeTlv, 120, kNearestCustomerBridge, stranger)), "LLDP of another neighbour");
  // The peer's other LLDP agent, for another group, has no EVB and says its own goodbyes.
  EXPECT_EQ(station.hear(from_bridge(std::nullopt, 120, kNearestBridge)), "LLDP of another neighbour");
  EXPECT_EQ(station.hear(from_bridge(std::nullopt, 0, kNearestBridge)), "LLDP of another neighbour");
  EXPECT_TRUE(station.operational().negotiated);
  EXPECT_EQ(station.machine.stats().ignored, 10u);
}

TEST(EvbMachine, ANeighbourThatStopsEvbIsNone) {
  Station station;
  station.hear(from_bridge(kBridgeTlv, 120, kNearestBridge));
  EXPECT_TRUE(station.operational().negotiated);
  EXPECT_EQ(station.hear(from_bridge(std::nullopt, 120, kNearestBridge)), "");
  EXPECT_FALSE(station.operational().negotiated);
}

TEST(EvbMachine, GroupIdsNeedBothEnds) {
  Station station;
  EXPECT_TRUE(station.operational().group_ids);
  Tlv tlv = kBridgeTlv;
  tlv.bridge_status = 0x03;
  station.hear(from_bridge(tlv));
  EXPECT_FALSE(station.operational().group_ids);
  station.hear(from_bridge(kBridgeTlv));
  EXPECT_TRUE(station.operational().group_ids);
}

TEST(EvbMachine, ANeighbourThatForgotUsIsToldAsRestarted) {
  Station station;
  Tlv tlv = kBridgeTlv;
  tlv.station_status = 0x0D;
  station.hear(from_bridge(kBridgeTlv));
  station.hear(from_bridge(tlv));
  station.run(station.now);
  EXPECT_EQ(station.changes.size(), 1u);
  tlv.values.rwd = 24;
  station.hear(from_bridge(tlv));
  station.hear(from_bridge(kBridgeTlv));
  station.run(station.now);
  ASSERT_EQ(station.changes.size(), 3u);
  EXPECT_TRUE(station.changes[2].restarted);
  EXPECT_EQ(station.operational().values.rwd, 22u);
}

}  // namespace
}  // namespace splitnve::evb
