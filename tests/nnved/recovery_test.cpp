// SPDX-License-Identifier: Apache-2.0
// A lost store (S13): the datapath forwards on, the stations tell, tags stay.
#include <gtest/gtest.h>

#include "nnved/rig.hpp"

namespace splitnve::nnved::test {
namespace {

Tlv associate(unsigned n, std::uint32_t vn, Vid vid = Vid()) {
  return {vdp::TlvType::kAssociate, vsi(n), {entry(vn, mac(n), vid.value())}};
}

datapath::Rows dump(const DatapathModel& model) {
  datapath::Rows rows;
  for (const auto& [key, row] : model.domains) rows.domains.push_back(row);
  for (const auto& [key, row] : model.access) rows.access.push_back(row);
  for (const auto& [key, instance] : model.guards)
    rows.guards.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), instance});
  for (const auto& [key, owner] : model.fdb) rows.fdb.push_back({key.first, key.second, owner});
  return rows;
}

/// A switch with four TSIs of two stations, and its successor without a store.
class NnvedRecovery : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(before.ask(before.station(1), associate(9, 70002))->response().success());
    for (unsigned n = 1; n <= 3; ++n)
      ASSERT_TRUE(
          before.ask(before.station(n == 3 ? 2 : 1, n == 3 ? 2 : 1), associate(n, 70001))->response().success());
    ASSERT_TRUE(before.ask(before.station(1), {vdp::TlvType::kDeAssociate, vsi(1), {}})->response().success());
    after.datapath = before.datapath;
  }
  void begin(bool hold_vids) {
    after.agent.recover(dump(after.datapath), hold_vids, after.now);
    after.run();
  }
  /// As the daemon does when the time is over.
  void end() {
    after.advance(*after.agent.recovery_ends() - after.now);
    after.agent.end_recovery(after.now);
    after.run();
    after.datapath = {};
    after.datapath.apply(after.agent.desired_rows());
  }
  Vid vid(unsigned n, unsigned port, std::uint32_t vn) { return before.tsi(vsi(n), port, vn)->vid; }

  Rig before{make_config(2)};
  Rig after{make_config(2)};
};

TEST_F(NnvedRecovery, NothingIsWrittenBeforeAStationSpeaks) {
  begin(true);
  EXPECT_TRUE(after.programs.empty());
  EXPECT_EQ(after.datapath, before.datapath);
}

TEST_F(NnvedRecovery, WhatAStationRepeatsKeepsTagAndNumberSoThatNoRowChanges) {
  begin(true);
  for (const unsigned n : {3u, 2u}) {
    const unsigned port = n == 3 ? 2 : 1;
    ASSERT_TRUE(
        after.ask(after.station(n == 3 ? 2 : 1, port), associate(n, 70001, vid(n, port, 70001)))->response().success());
    EXPECT_EQ(after.tsi(vsi(n), port)->instance, before.tsi(vsi(n), port)->instance);
    EXPECT_EQ(after.datapath, before.datapath) << "after VSI " << n;
  }
}

TEST_F(NnvedRecovery, AVnThatTheDatapathKnowsHasItsTagForWhoeverAsksWithNone) {
  begin(true);
  const auto answer = after.ask(after.station(1), associate(2, 70001));
  ASSERT_TRUE(answer && answer->response().success());
  EXPECT_EQ(answer->entries[0].vid, vid(2, 1, 70001));
}

TEST_F(NnvedRecovery, ANewTsiTakesNoNumberThatTheDatapathKnows) {
  begin(true);
  ASSERT_TRUE(after.ask(after.station(1), associate(50, 70001))->response().success());
  for (const auto& [key, instance] : before.datapath.guards) EXPECT_NE(after.tsi(vsi(50))->instance, instance);
  EXPECT_TRUE(after.datapath.open(PortId(1), vid(2, 1, 70001), mac(2))) << "the one that has not spoken forwards on";
}

TEST_F(NnvedRecovery, AVnWithoutATagWaitsForTheEndUnlessThereIsARecoveryRange) {
  after.datapath = {};  // a reboot took the datapath too
  begin(true);
  const auto refused = after.ask(after.station(1), associate(2, 70001));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->response().code, vdp::Code::kInsufficientResources);
  const auto kept = after.ask(after.station(1), associate(2, 70001, Vid(77)));
  ASSERT_TRUE(kept && kept->response().success()) << "the station's own tag is kept";
  EXPECT_EQ(kept->entries[0].vid, Vid(77));
  end();
  EXPECT_TRUE(after.ask(after.station(1), associate(9, 70002))->response().success());

  auto config = make_config(1);
  config.ports[0].recovery_vids = VidRange{Vid(3000), Vid(3001)};
  Rig ranged(config);
  ranged.agent.recover({}, true, ranged.now);
  const auto given = ranged.ask(ranged.station(1), associate(2, 70001));
  ASSERT_TRUE(given && given->response().success());
  EXPECT_EQ(given->entries[0].vid, Vid(3000));
}

TEST_F(NnvedRecovery, WithoutALossThatTheOperatorNamedNewVnsGetTagsThatNobodyHas) {
  begin(false);
  after.datapath = {};
  const auto answer = after.ask(after.station(5), associate(9, 70002));
  ASSERT_TRUE(answer && answer->response().success());
  EXPECT_EQ(answer->entries[0].vid, vid(9, 1, 70002));
}

TEST_F(NnvedRecovery, AtTheEndWhatNobodyToldIsNotWantedAnyLonger) {
  begin(true);
  ASSERT_TRUE(after.ask(after.station(1), associate(2, 70001, vid(2, 1, 70001)))->response().success());
  EXPECT_EQ(after.datapath.domains.at(DomainId(70001)).local.size(), 2u) << "port 2 still gets what is flooded";
  end();
  EXPECT_FALSE(after.agent.recovery_ends());
  EXPECT_FALSE(after.datapath.open(PortId(2), vid(3, 2, 70001), mac(3)));
  EXPECT_TRUE(after.consistent()) << after.difference();
}

TEST(NnvedAging, AStationThatComesBackFromARestartHasTimeToRenewWhatItHas) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, associate(1, 70001))->response().success());
  const Duration timeout = rig.agent.config().vdp.keepalive_timeout();
  rig.advance(timeout - 10ms);
  ASSERT_TRUE(rig.ask(station, associate(2, 70001))->response().success()) << "it speaks of another TSI first";
  rig.advance(rig.agent.config().vdp.keepalive_interval() / 8);
  EXPECT_TRUE(rig.tsi(vsi(1)));
  ASSERT_TRUE(rig.ask(station, associate(1, 70001))->response().success());
  EXPECT_TRUE(rig.datapath.open(PortId(1), rig.tsi(vsi(1))->vid, mac(1)));
}

}  // namespace
}  // namespace splitnve::nnved::test
