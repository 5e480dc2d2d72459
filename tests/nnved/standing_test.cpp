// SPDX-License-Identifier: Apache-2.0
// What stations hear of what nnved holds of them, and of what they may have again (S6, S7).
#include <gtest/gtest.h>

#include "nnved/rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Standing;
using vdp::TlvType;
using What = Standing::What;
using Scope = Standing::Scope;

Tlv blue(TlvType type, std::uint8_t status = 0) { return {type, vsi(1), {entry(70001, mac(1))}, status}; }
constexpr vdp::ResponseStatus kKept{vdp::Code::kOther, true, false};

std::vector<Tlv> deactivates(const Station& station) {
  std::vector<Tlv> found;
  for (const Tlv& tlv : station.received)
    if (tlv.command == TlvType::kPreAssociateRr && (tlv.status & vdp::kStatusResponse) == 0) found.push_back(tlv);
  return found;
}
bool heard(const Station& station, const Standing& standing) {
  return std::ranges::find(station.standings, standing) != station.standings.end();
}
Standing vsi_standing(What what) { return {what, Scope::kVsi, vsi(1), GroupId(70001)}; }
/// The station's answer to a deactivate.
void answer(Rig& rig, Station& station, const Tlv& command) {
  Tlv said = command;
  said.status = vdp::kStatusResponse;
  rig.send(station, {said});
}

/// The VSI was Activated at station 1 on port 1, and has moved to station 2 on port 2.
struct Moved : testing::Test {
  Moved() : rig(make_config(2)), source(rig.station(1, 1)), target(rig.station(2, 2)) {
    rig.ask(source, blue(TlvType::kAssociate));
    rig.ask(target, blue(TlvType::kPreAssociateRr, vdp::kStatusMigrating));
    source.received.clear();
    EXPECT_TRUE(rig.ask(target, blue(TlvType::kAssociate, vdp::kStatusMigrating))->response().success());
  }
  Rig rig;
  Station& source;
  Station& target;
};

TEST_F(Moved, TheLoserIsToldAtOnceAndWhy) {
  const auto told = deactivates(source);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].entries.at(0).mac, mac(1));
  EXPECT_EQ(told[0].reason, "the VSI has moved to another station or port");
  EXPECT_TRUE(deactivates(target).empty());
}

TEST_F(Moved, ARenewalOfTheLoserIsGrantedAndCalledHeldUntilTheWinnerLeaves) {
  const auto held = rig.ask(source, blue(TlvType::kPreAssociateRr));
  EXPECT_TRUE(held->response().success());
  EXPECT_EQ(held->reason, "the VSI has moved to another station or port");
  EXPECT_TRUE(rig.ask(target, blue(TlvType::kAssociate))->reason.empty());
  rig.ask(target, blue(TlvType::kDeAssociate));
  EXPECT_TRUE(heard(source, vsi_standing(What::kReleased))) << "at once, without waiting for a renewal";
  const auto free = rig.ask(source, blue(TlvType::kPreAssociateRr));
  EXPECT_TRUE(free->response().success());
  EXPECT_TRUE(free->reason.empty());
}

TEST_F(Moved, TheLoserComesBackOnlyByAMigrationThatItAsksForAfterItKnows) {
  const Tlv back = blue(TlvType::kAssociate, vdp::kStatusMigrating);
  EXPECT_EQ(rig.ask(source, back)->response(), kKept) << "it may not know yet that it lost";
  rig.send(source, {blue(TlvType::kAssociate, vdp::kStatusResponse)});  // an answer to nothing
  EXPECT_EQ(rig.ask(source, back)->response(), kKept);
  answer(rig, source, blue(TlvType::kPreAssociateRr));
  EXPECT_EQ(rig.ask(source, blue(TlvType::kAssociate))->response(), kKept) << "no migration is signalled";
  EXPECT_TRUE(rig.ask(source, back)->response().success());
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_FALSE(rig.tsi(vsi(1), 1)->superseded);
  EXPECT_TRUE(rig.tsi(vsi(1), 2)->superseded);
  EXPECT_EQ(deactivates(target).size(), 1u);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST_F(Moved, ATakeoverThatComesToNothingTellsNobody) {
  source.received.clear();
  rig.ask(target, blue(TlvType::kDeAssociate));
  ASSERT_TRUE(rig.ask(source, blue(TlvType::kAssociate))->response().success());
  rig.fdb_fails = [](const datapath::FdbRow&) { return std::string("no room"); };
  source.received.clear();
  rig.ask(target, blue(TlvType::kAssociate, vdp::kStatusMigrating));
  EXPECT_TRUE(deactivates(source).empty());
}

TEST(Standings, ALegacyLoserHearsNothingOfIt) {
  AgentConfig config = make_config(2);
  Rig rig(config);
  Station& source = rig.station(1, 1);
  source.shows.reset();
  Station& target = rig.station(2, 2);
  rig.ask(source, blue(TlvType::kAssociate));
  rig.ask(target, blue(TlvType::kPreAssociateRr, vdp::kStatusMigrating));
  source.received.clear();
  rig.ask(target, blue(TlvType::kAssociate, vdp::kStatusMigrating));
  rig.advance(5s);
  EXPECT_TRUE(source.received.empty());
}

// --- what an operator holds ---

TEST(Standings, AReleaseIsToldToTheStationThatLostTheVsiInEveryIdFormat) {
  for (const std::uint8_t format :
       {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}, std::uint8_t{5}}) {
    Rig rig(make_config(2));
    Station& one = rig.station(1);
    Station& other = rig.station(2, 2);
    VsiId id = vsi(7);
    id.format = format;
    const Tlv tlv{TlvType::kAssociate, id, {entry(70001, mac(1))}};
    ASSERT_TRUE(rig.ask(one, tlv)->response().success());
    rig.ask(other, {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
    ASSERT_TRUE(rig.agent.latch_tsi(id, GroupId(70001), "test", rig.now));
    rig.run();
    ASSERT_TRUE(rig.agent.release_tsi(id, GroupId(70001), rig.now));
    rig.run();
    EXPECT_TRUE(heard(one, {What::kReleased, Scope::kVsi, id, GroupId(70001)})) << int{format};
    EXPECT_FALSE(heard(other, {What::kReleased, Scope::kVsi, id, GroupId(70001)})) << "it is nobody else's business";
    EXPECT_TRUE(rig.ask(one, tlv)->response().success());
  }
}

TEST(Standings, WhoWasRefusedIsToldOfTheRelease) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  ASSERT_TRUE(rig.agent.latch_tsi(vsi(1), GroupId(70001), "test", rig.now));
  EXPECT_FALSE(rig.ask(one, blue(TlvType::kAssociate))->response().success());
  ASSERT_TRUE(rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now));
  rig.run();
  EXPECT_TRUE(heard(one, vsi_standing(What::kReleased)));
}

TEST(Standings, StrangersWhoAskForAHeldVsiDoNotTakeItsReleaseAway) {
  Rig rig(make_config(2));
  Station& one = rig.station(1);
  rig.ask(one, blue(TlvType::kAssociate));
  rig.agent.latch_tsi(vsi(1), GroupId(70001), "test", rig.now);
  rig.run();
  for (unsigned n = 2; n < 20; ++n) rig.ask(rig.station(n, 2), blue(TlvType::kAssociate));
  rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now);
  rig.run();
  EXPECT_TRUE(heard(one, vsi_standing(What::kReleased)));
}

TEST(Standings, ASessionBeginsWithTheListOfWhatIsHeld) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  rig.ask(one, blue(TlvType::kAssociate));
  ASSERT_FALSE(one.standings.empty());
  EXPECT_EQ(one.standings.back().what, What::kEndOfList) << "nothing is held";
  rig.agent.latch_tsi(vsi(1), GroupId(70001), "test", rig.now);
  rig.agent.latch_vn(PortId(1), GroupId(70002), "test", rig.now);
  rig.run();
  one.standings.clear();
  rig.advance(2s);
  one.shows->nonce[3] ^= 1;
  rig.ask(one, {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
  rig.advance(1s);
  ASSERT_EQ(one.standings.size(), 3u);
  EXPECT_TRUE(heard(one, vsi_standing(What::kHeld)));
  EXPECT_TRUE(heard(one, {What::kHeld, Scope::kVn, {}, GroupId(70002)}));
  EXPECT_EQ(one.standings.back().what, What::kEndOfList);
}

TEST(Standings, WhatIsLostOnTheWayIsToldAgain) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  rig.ask(one, blue(TlvType::kAssociate));
  rig.agent.latch_tsi(vsi(1), GroupId(70001), "test", rig.now);
  rig.run();
  one.acks = false;
  one.standings.clear();
  rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now);
  rig.advance(2s);
  one.standings.clear();
  one.acks = true;
  rig.advance(3s);
  EXPECT_TRUE(heard(one, vsi_standing(What::kReleased)));
}

TEST(Standings, UndrainLetsAllBackAtOnce) {
  Rig rig(make_config(3));
  Station& one = rig.station(1);
  Station& other = rig.station(2, 2);
  Station& old = rig.station(3, 3);
  old.shows->flags = vdp::Flags::all().without(vdp::Flags().set(vdp::Flag::kStanding));
  rig.ask(one, blue(TlvType::kAssociate));
  rig.ask(other, {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
  rig.ask(old, {TlvType::kAssociate, vsi(3), {entry(70001, mac(3))}});
  rig.agent.drain("upgrade", rig.now);
  rig.run();
  rig.agent.undrain(rig.now);
  rig.run();
  const Standing all{What::kReleased, Scope::kAll, {}, {}};
  EXPECT_TRUE(heard(one, all) && heard(other, all));
  EXPECT_TRUE(old.standings.empty()) << "it has not shown that it knows them (E7)";
}

TEST(Standings, AnAddressThatIsLatchedIsCalledHeldByEachRenewalAndTheReleaseIsTold) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  rig.ask(one, blue(TlvType::kAssociate));
  rig.agent.deactivate_tsi(rig.tsi(vsi(1))->instance, {}, "noisy", rig.now);
  rig.run();
  const auto held = rig.ask(one, blue(TlvType::kPreAssociateRr));
  EXPECT_TRUE(held->response().success());
  EXPECT_EQ(held->reason, "taken out of service by the operator: noisy");
  rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now);
  rig.run();
  EXPECT_TRUE(heard(one, vsi_standing(What::kReleased)));
  EXPECT_TRUE(rig.ask(one, blue(TlvType::kPreAssociateRr))->reason.empty());
}

// --- legacy stations (S7) ---

struct LegacyHeld : testing::Test {
  static AgentConfig config(LegacyHold hold) {
    AgentConfig made = make_config(1);
    made.legacy_hold = hold;
    return made;
  }
  void begin(Rig& rig) {
    station = &rig.station(1);
    station->shows.reset();
    ASSERT_TRUE(rig.ask(*station, blue(TlvType::kAssociate))->response().success());
    station->received.clear();
  }
  std::size_t commands() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        station->received, [](const Tlv& tlv) { return (tlv.status & vdp::kStatusResponse) == 0; }));
  }
  /// It is closed, its renewals succeed, and it hears nothing.
  void expect_silent(Rig& rig) {
    rig.run();
    rig.advance(1s);
    EXPECT_EQ(commands(), 0u);
    for (int i = 0; i < 3; ++i) {
      rig.advance(5s);
      EXPECT_TRUE(rig.ask(*station, blue(TlvType::kAssociate))->response().success());
      EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated);
      EXPECT_FALSE(rig.datapath.open(PortId(1), rig.tsi(vsi(1))->vid, mac(1)));
    }
  }
  /// Its next renewal opens it again.
  void expect_back(Rig& rig) {
    rig.run();
    EXPECT_TRUE(rig.ask(*station, blue(TlvType::kAssociate))->response().success());
    EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
    EXPECT_TRUE(rig.datapath.open(PortId(1), rig.tsi(vsi(1))->vid, mac(1)));
    EXPECT_TRUE(rig.consistent()) << rig.difference();
  }
  Station* station = nullptr;
};

TEST_F(LegacyHeld, ADeactivatedVsiIsClosedSilentlyAndForwardsAfterItsRelease) {
  Rig rig(config(LegacyHold::kSilent));
  begin(rig);
  ASSERT_TRUE(rig.agent.deactivate_tsi(rig.tsi(vsi(1))->instance, {}, "noisy", rig.now));
  expect_silent(rig);
  ASSERT_TRUE(rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now));
  expect_back(rig);
}

TEST_F(LegacyHeld, SoIsAVnThatIsDisconnected) {
  Rig rig(config(LegacyHold::kSilent));
  begin(rig);
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "moving", rig.now));
  expect_silent(rig);
  EXPECT_FALSE(rig.ask(*station, {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})->response().success());
  ASSERT_TRUE(rig.agent.release_vn(PortId(1), GroupId(70001), rig.now));
  expect_back(rig);
}

TEST_F(LegacyHeld, SoIsADrainWhichEndsAllTheSame) {
  Rig rig(config(LegacyHold::kSilent));
  begin(rig);
  rig.agent.drain("upgrade", rig.now);
  expect_silent(rig);
  EXPECT_TRUE(rig.agent.is_drained());
  rig.agent.undrain(rig.now);
  expect_back(rig);
}

TEST_F(LegacyHeld, ARemovedVsiIsDeAssociated) {
  Rig rig(config(LegacyHold::kSilent));
  begin(rig);
  ASSERT_TRUE(rig.agent.latch_tsi(vsi(1), GroupId(70001), "gone", rig.now));
  rig.run();
  rig.advance(1s);
  EXPECT_EQ(commands(), 1u);
  EXPECT_FALSE(rig.tsi(vsi(1)));
}

TEST_F(LegacyHeld, TheConfigurationMayWantADeAssociateInstead) {
  Rig rig(config(LegacyHold::kDeassociate));
  begin(rig);
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "moving", rig.now));
  rig.run();
  rig.advance(1s);
  EXPECT_EQ(commands(), 1u);
  EXPECT_FALSE(rig.tsi(vsi(1)));
}

}  // namespace
}  // namespace splitnve::nnved::test
