// SPDX-License-Identifier: Apache-2.0
// S6: a VSI moves between stations and ports; at most one has the address at any time.
#include <gtest/gtest.h>

#include <random>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::ResponseStatus;
using vdp::TlvType;

Tlv command(TlvType type, unsigned n, std::uint8_t status = 0) {
  return {type, vsi(n), {entry(70001, mac(n))}, status};
}
constexpr ResponseStatus kKept{Code::kOther, true, false};

/// The VSI is Activated at station 1 on port 1 and reserved, migration signalled, at station 2 on port 2.
struct Migration : testing::Test {
  Migration() : rig(make_config(2)), source(rig.station(1, 1)), target(rig.station(2, 2)) {
    rig.ask(source, command(TlvType::kAssociate, 1));
    rig.ask(target, command(TlvType::kPreAssociateRr, 1, vdp::kStatusMigrating));
  }
  Rig rig;
  Station& source;
  Station& target;
};

TEST_F(Migration, BothInstancesExistAndOneIsActivated) {
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kAssociated);
  EXPECT_EQ(rig.tsi(vsi(1), 2)->migration, vdp::Migration::kArriving);
  EXPECT_TRUE(rig.consistent());
}

TEST_F(Migration, TheTakeoverIsOneFdbWriteAndOneAuthorityRow) {
  rig.programs.clear();
  rig.publishes.clear();
  EXPECT_TRUE(rig.ask(target, command(TlvType::kAssociate, 1, vdp::kStatusMigrating))->response().success());
  ASSERT_EQ(rig.programs.size(), 1u);
  ASSERT_EQ(rig.programs[0].rows.fdb.size(), 1u);
  const auto owner = std::get<datapath::LocalOwner>(*rig.programs[0].rows.fdb[0].owner);
  EXPECT_EQ(owner.instance, rig.tsi(vsi(1), 2)->instance);
  EXPECT_EQ(owner.port, PortId(2));
  ASSERT_EQ(rig.publishes.size(), 1u);
  ASSERT_EQ(rig.publishes[0].rows.size(), 1u);
  EXPECT_EQ(rig.publishes[0].rows[0].generation, 1u);
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kAssociated);
  EXPECT_TRUE(rig.tsi(vsi(1), 1)->superseded);
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
  EXPECT_TRUE(rig.consistent());
}

TEST_F(Migration, TheLoserNeverReactivatesWhileTheWinnerIsThereAndMayLinger) {
  rig.ask(target, command(TlvType::kAssociate, 1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rig.ask(source, command(TlvType::kAssociate, 1))->response(), kKept);
    EXPECT_EQ(rig.ask(source, command(TlvType::kAssociate, 1, vdp::kStatusMigrating))->response(), kKept);
  }
  rig.programs.clear();
  EXPECT_TRUE(rig.ask(source, command(TlvType::kDeAssociate, 1))->response().success());
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
  for (const auto& program : rig.programs) EXPECT_TRUE(program.rows.fdb.empty()) << "the destination is untouched";
  EXPECT_EQ(rig.authority.rows().size(), 1u);
  EXPECT_TRUE(rig.consistent());
}

TEST_F(Migration, ASourceThatDeAssociatesHalfAMinuteLaterTakesNothingFromTheDestination) {
  ASSERT_TRUE(rig.ask(target, command(TlvType::kAssociate, 1, vdp::kStatusMigrating))->response().success());
  const Vid vid = rig.tsi(vsi(1), 2)->vid;
  for (const Instant cut_over = rig.now; rig.now < cut_over + 30s;) {
    rig.advance(5s);
    ASSERT_TRUE(rig.ask(source, command(TlvType::kPreAssociateRr, 1))->response().success()) << "it lingers";
    ASSERT_TRUE(rig.ask(target, command(TlvType::kAssociate, 1))->response().success());
  }
  const auto owner = rig.datapath.fdb.at({DomainId(70001), mac(1)});
  const auto claimed = rig.authority.rows().at(0);
  ASSERT_TRUE(claimed.mapped && claimed.forwarding);
  EXPECT_TRUE(rig.ask(source, command(TlvType::kDeAssociate, 1))->response().success());
  EXPECT_FALSE(rig.tsi(vsi(1), 1));
  EXPECT_TRUE(rig.datapath.open(PortId(2), vid, mac(1)));
  EXPECT_EQ(rig.datapath.fdb.at({DomainId(70001), mac(1)}), owner);
  ASSERT_EQ(rig.authority.rows().size(), 1u);
  const auto kept = rig.authority.rows()[0];
  EXPECT_TRUE(kept.vsi == vsi(1) && kept.mapped && kept.forwarding && kept.generation == claimed.generation);
  ASSERT_EQ(rig.authority.tags().size(), 1u);
  EXPECT_EQ(rig.authority.tags()[0].port, PortId(2));
  rig.advance(5s);
  EXPECT_TRUE(rig.ask(target, command(TlvType::kAssociate, 1))->response().success());
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
}

TEST_F(Migration, AnAbortClearsTheLatchAndTheSourceActivatesAgain) {
  rig.ask(target, command(TlvType::kAssociate, 1));
  rig.ask(target, command(TlvType::kDeAssociate, 1));
  EXPECT_FALSE(rig.tsi(vsi(1), 1)->superseded);
  EXPECT_TRUE(rig.ask(source, command(TlvType::kAssociate, 1))->response().success());
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_TRUE(rig.datapath.open(PortId(1), rig.tsi(vsi(1), 1)->vid, mac(1)));
  EXPECT_TRUE(rig.consistent());
}

TEST_F(Migration, ATakeoverThatCannotBeProgrammedLeavesTheSourceActivated) {
  rig.fdb_fails = [](const datapath::FdbRow& row) {
    return row.owner && std::get<datapath::LocalOwner>(*row.owner).port == PortId(2) ? std::string("no room")
                                                                                     : std::string();
  };
  EXPECT_EQ(rig.ask(target, command(TlvType::kAssociate, 1))->response(),
            (ResponseStatus{Code::kInsufficientResources, true, false}));
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_FALSE(rig.tsi(vsi(1), 1)->superseded);
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kAssociated);
  EXPECT_TRUE(rig.consistent());
}

TEST_F(Migration, TheLatchSurvivesARestart) {
  rig.ask(target, command(TlvType::kAssociate, 1));
  Rig after(make_config(2), rig.now);
  after.agent.restore(rig.stored(), after.now);
  after.datapath = rig.datapath;
  after.authority = rig.authority;
  EXPECT_TRUE(after.consistent());
  EXPECT_EQ(after.ask(after.station(1, 1), command(TlvType::kAssociate, 1))->response(), kKept);
  after.ask(after.station(2, 2), command(TlvType::kDeAssociate, 1));
  EXPECT_TRUE(after.ask(after.station(1, 1), command(TlvType::kAssociate, 1))->response().success());
  EXPECT_TRUE(after.consistent());
}

TEST_F(Migration, ASourceThatAssociatesWhileTheTakeoverWaitsIsAnsweredAfterIt) {
  rig.hold_publish = true;
  rig.send(target, {command(TlvType::kAssociate, 1)});
  source.received.clear();
  rig.send(source, {command(TlvType::kAssociate, 1)});
  EXPECT_TRUE(source.received.empty());
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated) << "still the owner";
  rig.release_publishes();
  const auto answer =
      std::ranges::find_if(source.received, [](const Tlv& tlv) { return (tlv.status & vdp::kStatusResponse) != 0; });
  ASSERT_NE(answer, source.received.end());
  EXPECT_EQ(answer->response(), kKept);
  EXPECT_EQ(source.received[0].command, TlvType::kPreAssociateRr) << "it has lost, and is told";
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
}

TEST(Takeover, AnActivateElsewhereWithoutSignalOrReservationIsRefused) {
  Rig rig(make_config(2));
  rig.ask(rig.station(1, 1), command(TlvType::kAssociate, 1));
  EXPECT_EQ(rig.ask(rig.station(2, 2), command(TlvType::kAssociate, 1))->response(),
            (ResponseStatus{Code::kOther, false, false}));
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_TRUE(rig.ask(rig.station(2, 2), command(TlvType::kAssociate, 1, vdp::kStatusMigrating))->response().success());
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
}

TEST(Takeover, ALegacyLoserHearsSuccessForAWhileAndThenThatItsVsiIsGone) {
  Rig rig(make_config(2));
  Station& source = rig.station(1, 1);
  Station& target = rig.station(2, 2);
  source.shows.reset();
  ASSERT_TRUE(rig.ask(source, command(TlvType::kAssociate, 1))->response().success());
  const Vid vid = rig.tsi(vsi(1), 1)->vid;
  const Instant begin = rig.now;
  ASSERT_TRUE(rig.ask(target, command(TlvType::kAssociate, 1, vdp::kStatusMigrating))->response().success());
  EXPECT_FALSE(rig.datapath.open(PortId(1), vid, mac(1)));
  source.received.clear();
  while (rig.now < begin + limits::kLegacyLoserHold - 6s) {
    rig.advance(5s);
    EXPECT_TRUE(rig.ask(source, command(TlvType::kAssociate, 1))->response().success());
    EXPECT_TRUE(rig.ask(target, command(TlvType::kAssociate, 1))->response().success());
    EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kAssociated);
    EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
  }
  source.received.clear();
  rig.advance(7s);
  ASSERT_EQ(source.received.size(), 1u);
  EXPECT_EQ(source.received[0].command, TlvType::kDeAssociate);
  EXPECT_FALSE(rig.tsi(vsi(1), 1));
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
  EXPECT_FALSE(rig.ask(source, command(TlvType::kAssociate, 1))->response().success())
      << "it has to say that it arrives";
  EXPECT_TRUE(rig.consistent());
}

TEST(Takeover, ALegacyLoserGetsItBackWhenTheWinnerLeaves) {
  Rig rig(make_config(2));
  Station& source = rig.station(1, 1);
  source.shows.reset();
  rig.ask(source, command(TlvType::kAssociate, 1));
  rig.ask(rig.station(2, 2), command(TlvType::kAssociate, 1, vdp::kStatusMigrating));
  rig.ask(source, command(TlvType::kAssociate, 1));
  rig.ask(rig.station(2, 2), command(TlvType::kDeAssociate, 1));
  EXPECT_TRUE(rig.ask(source, command(TlvType::kAssociate, 1))->response().success());
  EXPECT_EQ(rig.tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_TRUE(rig.consistent());
}

TEST(Takeover, WorksBetweenTwoStationsBehindOnePort) {
  Rig rig(make_config(1));
  rig.ask(rig.station(1), command(TlvType::kAssociate, 1));
  EXPECT_TRUE(rig.ask(rig.station(2), command(TlvType::kAssociate, 1, vdp::kStatusMigrating))->response().success());
  EXPECT_EQ(rig.datapath.guards.size(), 1u);
  EXPECT_TRUE(rig.datapath.open(PortId(1), rig.tsi(vsi(1))->vid, mac(1)));
  EXPECT_TRUE(rig.consistent());
  rig.ask(rig.station(2), command(TlvType::kDeAssociate, 1));
  EXPECT_TRUE(rig.consistent());
  EXPECT_TRUE(rig.ask(rig.station(1), command(TlvType::kAssociate, 1))->response().success());
  EXPECT_TRUE(rig.datapath.open(PortId(1), rig.tsi(vsi(1))->vid, mac(1)));
}

TEST(Takeover, RandomMovesNeverActivateAnAddressTwice) {
  Rig rig(make_config(3));
  std::mt19937 engine(5);
  const auto random = [&engine] { return static_cast<unsigned>(engine()); };
  constexpr std::array kCommands{TlvType::kPreAssociateRr, TlvType::kAssociate, TlvType::kAssociate,
                                 TlvType::kDeAssociate};
  unsigned takeovers = 0;
  for (int i = 0; i < 3000; ++i) {
    rig.now += 1s;  // an address that is taken over too often within a minute would stay
    const unsigned place = 1 + random() % 3;
    const std::uint8_t status = random() % 2 ? vdp::kStatusMigrating : std::uint8_t{0};
    if (random() % 8 == 0) rig.hold_publish = true;
    rig.send(rig.station(place, place), {command(kCommands[random() % 4], 1 + random() % 2, status)});
    if (random() % 4 == 0) rig.release_publishes();
    for (unsigned n = 1; n <= 2; ++n) {
      int active = 0;
      for (unsigned port = 1; port <= 3; ++port)
        if (const auto tsi = rig.tsi(vsi(n), port)) active += tsi->state == TsiState::kActivated ? 1 : 0;
      ASSERT_LE(active, 1) << i;
    }
    if (i % 100 == 0) {
      rig.release_publishes();
      ASSERT_TRUE(rig.consistent()) << i;
    }
  }
  for (const auto& one : rig.transitions) takeovers += one.reason == "the VSI has moved to another station or port";
  EXPECT_GT(takeovers, 50u);
}

}  // namespace
}  // namespace splitnve::nnved::test
