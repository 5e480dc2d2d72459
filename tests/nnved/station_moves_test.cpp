// SPDX-License-Identifier: Apache-2.0
// A station speaks from another port, or with another MAC (S37): its TSIs follow if the old place is silent.
#include <gtest/gtest.h>

#include "nnved/rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::TlvType;

Tlv blue(TlvType type = TlvType::kAssociate, unsigned n = 1) { return {type, vsi(n), {entry(70001, mac(n))}}; }

AgentConfig segment_of_two() {
  AgentConfig config = make_config(3);
  for (PortConfig& port : config.ports) port.direct = false;
  config.ports[0].segment = config.ports[1].segment = "rack";
  return config;
}

/// Station 1 has VSI 1 Activated on port 1, and is heard on port 2 then.
struct StationMove : testing::Test {
  void begin(const AgentConfig& config) {
    rig.emplace(config);
    old_place = &rig->station(1, 1);
    new_place = &rig->station(1, 2);
    ASSERT_TRUE(rig->ask(*old_place, blue())->response().success());
    vid = rig->tsi(vsi(1), 1)->vid;
  }
  /// Sends it from the new place; the answer within 100 ms.
  std::optional<Tlv> ask_there(Station& station, const Tlv& tlv) {
    station.received.clear();
    rig->send(station, {tlv});
    rig->advance(100ms);
    for (const Tlv& answer : station.received)
      if (answer.id == tlv.id && (answer.status & vdp::kStatusResponse) != 0) return answer;
    return std::nullopt;
  }
  std::size_t noticed(const std::string& id) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(rig->notices, [&](const agent::Notice& one) { return one.id == id; }));
  }
  void expect_moved(unsigned port = 2) {
    ASSERT_TRUE(rig->tsi(vsi(1), port));
    EXPECT_EQ(rig->tsi(vsi(1), port)->state, TsiState::kActivated);
    EXPECT_TRUE(rig->datapath.open(PortId(port), rig->tsi(vsi(1), port)->vid, mac(1)));
    EXPECT_FALSE(rig->tsi(vsi(1), 1)) << "nothing of it is left at the old port";
    EXPECT_FALSE(rig->datapath.access.contains({PortId(1), vid}));
    EXPECT_TRUE(rig->consistent()) << rig->difference();
  }
  void expect_stays() {
    EXPECT_EQ(rig->tsi(vsi(1), 1)->state, TsiState::kActivated);
    EXPECT_TRUE(rig->datapath.open(PortId(1), vid, mac(1)));
    EXPECT_FALSE(rig->tsi(vsi(1), 2) && rig->tsi(vsi(1), 2)->state == TsiState::kActivated);
    EXPECT_TRUE(rig->consistent()) << rig->difference();
  }
  std::optional<Rig> rig;
  Station* old_place = nullptr;
  Station* new_place = nullptr;
  Vid vid;
};

TEST_F(StationMove, InASegmentTheTsiFollowsAndKeepsItsVid) {
  begin(segment_of_two());
  old_place->acks = false;
  old_place->received.clear();
  rig->programs.clear();
  EXPECT_TRUE(
      ask_there(*new_place, {TlvType::kAssociate, vsi(1), {entry(70001, mac(1), vid.value())}})->response().success());
  expect_moved();
  EXPECT_EQ(rig->tsi(vsi(1), 2)->vid, vid);
  EXPECT_TRUE(old_place->received.empty()) << "nobody is there to be told";
  for (const auto& program : rig->programs)
    for (const auto& row : program.rows.fdb) EXPECT_TRUE(row.owner) << "the address never was without an owner";
  EXPECT_EQ(noticed("nnved.station_moved"), 1u);
}

TEST_F(StationMove, BetweenDirectLinksToo) {
  begin(make_config(3));
  old_place->acks = false;
  EXPECT_TRUE(ask_there(*new_place, blue())->response().success());
  expect_moved();
}

TEST_F(StationMove, WhileTheOldPlaceAnswersNothingMovesAndTheAlarmTells) {
  begin(segment_of_two());
  const auto refused = ask_there(*new_place, blue());
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->response().success());
  expect_stays();
  EXPECT_EQ(noticed("STATION_TWICE"), 1u);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(ask_there(*new_place, blue())->response().success());
  EXPECT_EQ(noticed("STATION_TWICE"), 1u) << "once a minute";
}

TEST_F(StationMove, ALinkThatIsDownNeedNotBeAsked) {
  begin(segment_of_two());
  rig->agent.handle_link(PortId(1), false, rig->now);
  rig->run();
  EXPECT_TRUE(rig->ask(*new_place, blue())->response().success()) << "at once";
  expect_moved();
}

TEST_F(StationMove, AnotherStationIsNotThisOneAndNobodyIsAsked) {
  begin(segment_of_two());
  old_place->acks = false;
  Station& other = rig->station(2, 2);
  old_place->raw.clear();
  EXPECT_FALSE(ask_there(other, blue())->response().success());
  expect_stays();
  EXPECT_TRUE(old_place->raw.empty());
}

TEST_F(StationMove, BetweenPortsThatHaveNothingInCommonNothingMoves) {
  AgentConfig config = segment_of_two();
  config.ports[1].segment = "another";
  begin(config);
  old_place->acks = false;
  EXPECT_FALSE(ask_there(*new_place, blue())->response().success());
  expect_stays();
}

TEST_F(StationMove, UnlessBothSayAny) {
  AgentConfig config = segment_of_two();
  config.ports[1].segment = "another";
  config.ports[0].station_moves = config.ports[1].station_moves = StationMoves::kAny;
  begin(config);
  old_place->acks = false;
  EXPECT_TRUE(ask_there(*new_place, blue())->response().success());
  expect_moved();
}

TEST_F(StationMove, NoneMeansNone) {
  AgentConfig config = segment_of_two();
  config.ports[0].station_moves = StationMoves::kNone;
  begin(config);
  old_place->acks = false;
  EXPECT_FALSE(ask_there(*new_place, blue())->response().success());
  expect_stays();
}

TEST_F(StationMove, AReservedTsiFollowsReserved) {
  begin(segment_of_two());
  rig->ask(*old_place, blue(TlvType::kPreAssociateRr));
  old_place->acks = false;
  EXPECT_TRUE(ask_there(*new_place, blue(TlvType::kPreAssociateRr))->response().success());
  EXPECT_EQ(rig->tsi(vsi(1), 2)->state, TsiState::kAssociated);
  EXPECT_FALSE(rig->tsi(vsi(1), 1));
  EXPECT_TRUE(rig->consistent()) << rig->difference();
}

TEST_F(StationMove, WhatItDoesNotNameStaysWhereItIs) {
  begin(segment_of_two());
  ASSERT_TRUE(rig->ask(*old_place, blue(TlvType::kAssociate, 2))->response().success());
  old_place->acks = false;
  EXPECT_TRUE(ask_there(*new_place, blue())->response().success());
  EXPECT_EQ(rig->tsi(vsi(2), 1)->state, TsiState::kActivated);
  EXPECT_TRUE(ask_there(*new_place, blue(TlvType::kAssociate, 2))->response().success());
  EXPECT_FALSE(rig->tsi(vsi(2), 1));
  EXPECT_EQ(noticed("nnved.station_moved"), 1u) << "it is one move of a station";
}

TEST_F(StationMove, ANewMacAtOnePortTakesItsTsisAlong) {
  begin(segment_of_two());
  Station& renamed = rig->station(2, 1);
  renamed.shows->system = old_place->shows->system;
  old_place->acks = false;
  EXPECT_TRUE(ask_there(renamed, blue())->response().success());
  EXPECT_EQ(rig->tsis(), 1u);
  EXPECT_EQ(rig->tsi(vsi(1), 1)->station, renamed.address);
  EXPECT_TRUE(rig->consistent()) << rig->difference();
}

TEST_F(StationMove, ALateFrameOfTheOldPlaceMovesNothingBack) {
  begin(segment_of_two());
  old_place->acks = false;
  ASSERT_TRUE(ask_there(*new_place, blue())->response().success());
  rig->send(*old_place, {blue()});
  rig->advance(100ms);
  EXPECT_EQ(rig->tsi(vsi(1), 2)->state, TsiState::kActivated) << "the new place answers";
  EXPECT_TRUE(rig->consistent()) << rig->difference();
}

TEST_F(StationMove, ASignalledMigrationDoesNotAskTheOldPlace) {
  begin(make_config(3));
  old_place->raw.clear();
  Tlv arriving = blue();
  arriving.status = vdp::kStatusMigrating;
  EXPECT_TRUE(rig->ask(*new_place, arriving)->response().success());
  EXPECT_EQ(rig->tsi(vsi(1), 2)->state, TsiState::kActivated);
  EXPECT_TRUE(rig->tsi(vsi(1), 1)->superseded) << "both places answer: it is a takeover (S6)";
}

TEST_F(StationMove, ThirtyMovesAMinuteToEachPort) {
  begin(segment_of_two());
  for (unsigned i = 0; i < 100; ++i) {
    rig->station(1, 1 + i % 2).acks = false;
    Station& to = rig->station(1, 2 - i % 2);
    to.acks = true;
    ask_there(to, blue());
  }
  EXPECT_GE(noticed("nnved.station_moved"), 30u) << "half of them at once";
  EXPECT_LE(noticed("nnved.station_moved"), 40u) << "and those that these seconds allow";
}

TEST_F(StationMove, ManyRequestsWaitForOneAnswerAndKeepTheirOrder) {
  begin(segment_of_two());
  old_place->acks = false;
  new_place->received.clear();
  rig->send(*new_place, {blue(TlvType::kPreAssociateRr), blue(), blue(TlvType::kPreAssociateRr)});
  rig->advance(200ms);
  std::vector<TlvType> answered;
  for (const Tlv& tlv : new_place->received)
    if ((tlv.status & vdp::kStatusResponse) != 0) answered.push_back(tlv.command);
  EXPECT_EQ(answered, (std::vector{TlvType::kPreAssociateRr, TlvType::kAssociate, TlvType::kPreAssociateRr}));
  EXPECT_EQ(rig->tsi(vsi(1), 2)->state, TsiState::kAssociated);
  EXPECT_TRUE(rig->consistent()) << rig->difference();
}

TEST_F(StationMove, WhoGoesWhileItsRequestsWaitLeavesNothing) {
  begin(segment_of_two());
  old_place->acks = false;
  rig->send(*new_place, {blue()});
  rig->agent.handle_link(PortId(2), false, rig->now);
  rig->advance(30s);
  EXPECT_FALSE(rig->tsi(vsi(1), 2));
  EXPECT_TRUE(rig->consistent()) << rig->difference();
}

TEST_F(StationMove, ASilenceOfLongAgoOrOfAFlapProvesNothing) {
  begin(segment_of_two());
  rig->agent.handle_link(PortId(1), false, rig->now);
  rig->advance(100ms);
  rig->agent.handle_link(PortId(1), true, rig->now);
  rig->run();
  old_place->raw.clear();
  EXPECT_FALSE(ask_there(*new_place, blue())->response().success());
  EXPECT_FALSE(old_place->raw.empty()) << "it is asked";
  expect_stays();
}

TEST_F(StationMove, WhoShowsNothingIsNotOneThatHasShownWhoItIs) {
  begin(segment_of_two());
  old_place->acks = false;
  new_place->shows.reset();
  const auto refused = ask_there(*new_place, blue());
  EXPECT_FALSE(refused && refused->response().success());
  rig->advance(5s);
  expect_stays();
}

TEST_F(StationMove, AReservationElsewhereEndsNoRunningVm) {
  begin(segment_of_two());
  old_place->acks = false;
  ask_there(*new_place, blue(TlvType::kPreAssociateRr));
  EXPECT_EQ(rig->tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_TRUE(rig->datapath.open(PortId(1), vid, mac(1)));
}

TEST_F(StationMove, AStrayAsksAtBothPortsWhereAMoveIsPossible) {
  begin(segment_of_two());
  new_place->raw.clear();
  old_place->raw.clear();
  rig->agent.handle_stray(PortId(2), vid, mac(1), rig->now);
  rig->run();
  EXPECT_EQ(new_place->raw.size(), 1u);
  EXPECT_EQ(old_place->raw.size(), 1u);
  rig->station(1, 3).raw.clear();
  rig->agent.handle_stray(PortId(3), vid, mac(1), rig->now);
  rig->agent.handle_stray(PortId(2), vid, mac(2), rig->now);
  rig->run();
  EXPECT_TRUE(rig->station(1, 3).raw.empty()) << "nothing moves there";
  EXPECT_EQ(new_place->raw.size(), 1u) << "nobody's";
  EXPECT_TRUE(ask_there(*new_place, blue()).has_value());
  EXPECT_EQ(noticed("STATION_TWICE"), 1u);
}

}  // namespace
}  // namespace splitnve::nnved::test
