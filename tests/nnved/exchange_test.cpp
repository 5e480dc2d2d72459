// SPDX-License-Identifier: Apache-2.0
// The capability exchange as nnved does it (S15), and a station that loses its state (S9).
#include <gtest/gtest.h>

#include "nnved/peer.hpp"
#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Exchange;
using vdp::TlvType;

Tlv associate(unsigned n) { return {TlvType::kAssociate, vsi(n), {entry(70001, mac(n))}}; }
Exchange::Standing standing(const Rig& rig) { return rig.agent.peers().at(0).standing; }

/// The capabilities in what the station was sent, newest last.
std::vector<vdp::Capabilities> shown_to(const Station& station) {
  std::vector<vdp::Capabilities> shown;
  for (const OctetString& octets : station.raw) {
    const auto frame = ecp::decode_frame(octets);
    if (frame->operation != ecp::Operation::kRequest) continue;
    if (const auto heard = vdp::survey(frame->payload); heard && heard->capabilities)
      shown.push_back(*heard->capabilities);
  }
  return shown;
}

TEST(NnvedExchange, AStationThatShowsItsCapabilitiesIsShownOursAtOnce) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  OctetString octets;
  vdp::write_capabilities_only(*station.shows, octets);
  rig.send_octets(station, octets);
  rig.run();
  ASSERT_EQ(shown_to(station).size(), 1u);
  EXPECT_EQ(shown_to(station)[0].role, vdp::Role::kBridge);
  EXPECT_EQ(shown_to(station)[0].flags, vdp::kAble);
  EXPECT_EQ(standing(rig).verdict, Exchange::Verdict::kCapable);
  EXPECT_EQ(rig.tsis(), 0u);
  rig.advance(10s);
  EXPECT_EQ(shown_to(station).size(), 1u);
  rig.advance(1s);
  EXPECT_EQ(shown_to(station).size(), 2u) << "once per keep-alive interval";
}

AgentConfig with_other_numbers() {
  AgentConfig config = make_config(1);
  const vdp::WireMap::Code moved[] = {{vdp::FilterFormat::kGroupMacIpv4Vid, 0x17}};
  config.wire = *vdp::WireMap::make({0x02, 0x11, 0x22}, moved);
  return config;
}

TEST(NnvedExchange, WithOurOwnNumbersAtBothEndsAllIsAsBefore) {
  Rig rig(with_other_numbers());
  Station& station = rig.station(1);
  OctetString octets;
  vdp::write_capabilities_only(*station.shows, octets);
  rig.agent.config().wire.to_wire(octets);
  rig.send_octets(station, octets);
  rig.run();
  EXPECT_EQ(standing(rig).verdict, Exchange::Verdict::kCapable);
  EXPECT_TRUE(shown_to(station).empty()) << "what is on the wire has the other OUI";
  for (OctetString& frame : station.raw) rig.agent.config().wire.from_wire(ecp::payload_of(frame));
  EXPECT_EQ(shown_to(station).size(), 1u);
}

TEST(NnvedExchange, AStationWithAnotherOuiIsLegacy) {
  Rig rig(with_other_numbers());
  Station& station = rig.station(1);
  EXPECT_TRUE(rig.ask(station, associate(1))->response().success());
  EXPECT_EQ(standing(rig).verdict, Exchange::Verdict::kLegacy);
}

TEST(NnvedExchange, AStationOfTheFirstVersionIsUnderstood) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  station.shows->version = 1;
  EXPECT_TRUE(rig.ask(station, associate(1))->response().success());
  EXPECT_EQ(standing(rig).verdict, Exchange::Verdict::kCapable);
  EXPECT_FALSE(standing(rig).peer->has_timers());
}

TEST(NnvedExchange, OursTellTimersSegmentAndVids) {
  AgentConfig config = make_config(1);
  config.ports[0].segment_id = vdp::segment_id("rack-7");
  Rig rig(config);
  Station& station = rig.station(1);
  EXPECT_TRUE(rig.ask(station, associate(1))->response().success());
  const vdp::Capabilities shown = shown_to(station).at(0);
  EXPECT_EQ(shown.timers, agent::local_timers(config.ecp, config.vdp));
  EXPECT_EQ(shown.segment, vdp::segment_id("rack-7"));
  EXPECT_EQ(shown.vids, vdp::VidSpans({{config.ports[0].vids.first, config.ports[0].vids.last}}));
}

TEST(NnvedExchange, AnswersTellWhatIsSpecialOfTheVn) {
  AgentConfig config = make_config(1);
  config.vn_attributes[GroupId(70001)] = vdp::VnAttributes::kLocalSwitchingOff;
  Rig rig(config);
  Station& station = rig.station(1);
  station.shows->flags = vdp::Flags::all().without(vdp::Flags().set(vdp::Flag::kVnAttributes));
  const auto told = [&](const Tlv& request) {
    station.raw.clear();
    EXPECT_TRUE(rig.ask(station, request)->response().success());
    std::vector<vdp::VnAttributes> found;
    for (const OctetString& octets : station.raw) {
      const auto frame = ecp::decode_frame(octets);
      if (frame->operation != ecp::Operation::kRequest) continue;
      vdp::StatementReader reader(frame->payload);
      while (const auto statement = reader.next())
        found.insert(found.end(), statement->attributes.begin(), statement->attributes.end());
    }
    return found;
  };
  EXPECT_TRUE(told({TlvType::kAssociate, vsi(2), {entry(70002, mac(2))}}).empty()) << "another VN";
  EXPECT_TRUE(told(associate(1)).empty()) << "its flag has not been shown";
  station.shows->flags.set(vdp::Flag::kVnAttributes);
  told({TlvType::kAssociate, vsi(2), {entry(70002, mac(2))}});
  EXPECT_EQ(told(associate(1)), std::vector({vdp::VnAttributes{GroupId(70001), 1}}));
}

TEST(NnvedExchange, ALegacyStationIsShownThemWithAnswersOnly) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  station.shows.reset();
  EXPECT_TRUE(rig.ask(station, associate(1))->response().success());
  EXPECT_EQ(standing(rig).verdict, Exchange::Verdict::kLegacy);
  EXPECT_EQ(standing(rig).given_up, vdp::kAble);
  EXPECT_EQ(shown_to(station).size(), 1u);
  rig.advance(25s);
  EXPECT_EQ(shown_to(station).size(), 1u);
}

TEST(NnvedExchange, OnAPortMarkedLegacyNothingOfOursIsSent) {
  AgentConfig config = make_config(1);
  config.ports[0].legacy = true;
  Rig rig(config);
  EXPECT_TRUE(rig.ask(rig.station(1), associate(1))->response().success());
  EXPECT_TRUE(shown_to(rig.station(1)).empty());
}

/// Acknowledges the station's latest ECPDU from us.
void acknowledge_last(Rig& rig, Station& station) {
  const auto request = std::find_if(station.raw.rbegin(), station.raw.rend(), [](const OctetString& frame) {
    return ecp::decode_frame(frame)->operation == ecp::Operation::kRequest;
  });
  ASSERT_NE(request, station.raw.rend());
  OctetString ack;
  ecp::encode_frame(ecp::kNearestCustomerBridge, station.address, ecp::Operation::kAck,
                    ecp::decode_frame(*request)->sequence, {}, ack);
  rig.agent.handle_frame(station.port, ack, rig.now);
  rig.run();
}

TEST(NnvedExchange, ALegacyStationIsLeftFourMillisecondsFromItsAcknowledgementOn) {
  AgentConfig config = make_config(1);
  config.ports[0].legacy = true;
  Rig rig(std::move(config));
  Station& station = rig.station(1);
  station.acks = false;
  rig.send(station, {associate(1)});
  ASSERT_EQ(station.received.size(), 1u);
  rig.send(station, {associate(2)});
  rig.now += 2ms;  // slow to read: most of the time since we sent has passed
  acknowledge_last(rig, station);
  EXPECT_EQ(station.received.size(), 1u);
  rig.advance(kLegacyPace - 1ms);
  EXPECT_EQ(station.received.size(), 1u) << "within its pause";
  rig.advance(1ms);
  EXPECT_EQ(station.received.size(), 2u);
}

TEST(NnvedExchange, WhatIsWithheldIsNotOffered) {
  AgentConfig config = make_config(1);
  config.offer = vdp::Flags();
  Rig rig(config);
  rig.ask(rig.station(1), associate(1));
  EXPECT_EQ(shown_to(rig.station(1)).at(0).flags, vdp::Flags());
}

TEST(NnvedExchange, AStationThatLostItsStateLosesNothingAtOnce) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  rig.ask(station, associate(1));
  rig.advance(14s);
  ++station.shows->epoch;
  rig.ask(station, associate(2));
  rig.advance(14s);
  EXPECT_TRUE(rig.tsi(vsi(1))) << "its age begins anew";
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
  EXPECT_EQ(std::count_if(rig.notices.begin(), rig.notices.end(),
                          [](const auto& n) { return std::string(n.id) == "nnved.station_state_lost"; }),
            1);
  rig.advance(5s);
  rig.ask(station, associate(2));
  rig.advance(5s);
  EXPECT_FALSE(rig.tsi(vsi(1))) << "what it does not tell again goes";
}

TEST(NnvedExchange, TheEpochSurvivesARestart) {
  Rig before(make_config(1));
  before.agent.restore({}, before.now);
  before.drain();
  ASSERT_FALSE(before.meta.empty());
  Rig after(make_config(1));
  after.agent.restore(before.stored(), after.now);
  after.drain();
  EXPECT_TRUE(after.meta.empty()) << "nothing new to store";
  before.ask(before.station(1), associate(1));
  after.ask(after.station(1), associate(1));
  EXPECT_EQ(shown_to(before.station(1)).at(0).epoch, shown_to(after.station(1)).at(0).epoch);
  EXPECT_NE(shown_to(before.station(1)).at(0).epoch, 0u);
}

}  // namespace
}  // namespace splitnve::nnved::test
