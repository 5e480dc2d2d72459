// SPDX-License-Identifier: Apache-2.0
// Our extensions as nnved speaks them: only to a station that has shown the flag (E7), degraded to others (S20).
#include <gtest/gtest.h>

#include "nnved/rig.hpp"

namespace splitnve::nnved::test {
namespace {

const Tlv kBlue1{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}};
const Tlv kUnknownVn{vdp::TlvType::kAssociate, vsi(1), {entry(70009, mac(1))}};

TEST(NnvedExtension, ARefusedStationIsToldWhyIfItUnderstands) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  EXPECT_EQ(rig.ask(station, kUnknownVn)->reason, "the VN is not registered here");
  Station& other = rig.station(2);
  other.shows->flags = vdp::Flags::all().without(vdp::Flags().set(vdp::Flag::kReasonText));
  EXPECT_EQ(rig.ask(other, kUnknownVn)->reason, "");
  Station& legacy = rig.station(3);
  legacy.shows.reset();
  EXPECT_EQ(rig.ask(legacy, kUnknownVn)->reason, "");
}

TEST(NnvedExtension, TheOperatorsReasonGoesWithTheDeAssociateAndWithRefusals) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, kBlue1)->response().success());
  station.received.clear();
  ASSERT_TRUE(rig.agent.latch_tsi(vsi(1), GroupId(70001), "misbehaves", rig.now));
  rig.run();
  ASSERT_EQ(station.received.size(), 1u);
  EXPECT_EQ(station.received[0].reason, "misbehaves");
  EXPECT_EQ(rig.ask(station, kBlue1)->reason, "taken out of service by the operator: misbehaves");
}

TEST(NnvedExtension, MigrationIsShownAsUnknownNoOrYes) {
  Rig rig(make_config(1));
  Station& capable = rig.station(1);
  ASSERT_TRUE(rig.ask(capable, kBlue1)->response().success());
  ASSERT_TRUE(rig.ask(capable, kBlue1)->response().success());
  EXPECT_EQ(rig.tsi(vsi(1))->migration, vdp::Migration::kNone);
  Tlv departs = kBlue1;
  departs.status = vdp::kStatusSuspended;
  ASSERT_TRUE(rig.ask(capable, departs)->response().success());
  EXPECT_EQ(rig.tsi(vsi(1))->migration, vdp::Migration::kDeparting);
  Station& legacy = rig.station(2);
  legacy.shows.reset();
  ASSERT_TRUE(rig.ask(legacy, {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})->response().success());
  EXPECT_EQ(rig.tsi(vsi(2))->migration, vdp::Migration::kUnknown);
}

// --- deactivate (D9) ---

const Tlv kTwo{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1)), entry(70001, mac(2))}};

std::size_t active(const Rig& rig) {
  const auto view = rig.tsi(vsi(1));
  return view ? static_cast<std::size_t>(std::ranges::count_if(view->addresses, &AddressView::active)) : 0;
}

TEST(NnvedDeactivate, SomeAddressesCloseStayReservedAndAreLatchedUntilReleased) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, kTwo)->response().success());
  const Vid vid = rig.tsi(vsi(1))->vid;
  station.received.clear();
  ASSERT_TRUE(rig.agent.deactivate_tsi(rig.tsi(vsi(1))->instance, std::vector{mac(2)}, "noisy", rig.now));
  rig.run();
  ASSERT_EQ(station.received.size(), 1u);
  EXPECT_EQ(station.received[0].command, vdp::TlvType::kPreAssociateRr);
  EXPECT_EQ(station.received[0].status, 0u);
  ASSERT_EQ(station.received[0].entries.size(), 1u);
  EXPECT_EQ(station.received[0].entries[0].mac, mac(2));
  EXPECT_NE(station.received[0].reason.find("noisy"), std::string::npos);
  EXPECT_EQ(active(rig), 1u);
  EXPECT_TRUE(rig.datapath.open(PortId(1), vid, mac(1)));
  EXPECT_FALSE(rig.datapath.open(PortId(1), vid, mac(2)));
  EXPECT_TRUE(rig.consistent()) << rig.difference();
  const Tlv second{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(2))}};
  const auto refused = rig.ask(station, second);
  EXPECT_EQ(refused->response().code, vdp::Code::kOther);
  EXPECT_TRUE(refused->response().keep);
  EXPECT_NE(refused->reason.find("noisy"), std::string::npos);
  Tlv reserve = second;
  reserve.command = vdp::TlvType::kPreAssociateRr;
  EXPECT_TRUE(rig.ask(station, reserve)->response().success()) << "its reservation is renewed";
  EXPECT_TRUE(rig.ask(station, {vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}})->response().success());
  EXPECT_TRUE(rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now));
  EXPECT_TRUE(rig.ask(station, second)->response().success());
  EXPECT_EQ(active(rig), 2u);
}

TEST(NnvedDeactivate, AllAddressesCloseAndTheLatchSurvivesARestart) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, kTwo)->response().success());
  ASSERT_TRUE(rig.agent.deactivate_tsi(rig.tsi(vsi(1))->instance, {}, "maintenance", rig.now));
  rig.run();
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated);
  Rig after(make_config(1));
  after.agent.restore(rig.stored(), after.now);
  after.drain();
  EXPECT_EQ(after.tsi(vsi(1))->state, TsiState::kAssociated);
  EXPECT_EQ(after.ask(after.station(1), kTwo)->response().code, vdp::Code::kOther);
  EXPECT_TRUE(after.agent.release_tsi(vsi(1), GroupId(70001), after.now));
  EXPECT_TRUE(after.ask(after.station(1), kTwo)->response().success());
}

TEST(NnvedDeactivate, AStationWithoutTheFlagIsToldToDeAssociateAndMayReserve) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  station.shows->flags = vdp::Flags();
  ASSERT_TRUE(rig.ask(station, kTwo)->response().success());
  station.received.clear();
  ASSERT_TRUE(rig.agent.deactivate_tsi(rig.tsi(vsi(1))->instance, {}, "maintenance", rig.now));
  rig.run();
  ASSERT_EQ(station.received.size(), 1u);
  EXPECT_EQ(station.received[0].command, vdp::TlvType::kDeAssociate);
  EXPECT_FALSE(rig.tsi(vsi(1)));
  EXPECT_TRUE(rig.consistent()) << rig.difference();
  EXPECT_EQ(rig.ask(station, kTwo)->response().code, vdp::Code::kOther);
  Tlv reserve = kTwo;
  reserve.command = vdp::TlvType::kPreAssociate;
  EXPECT_TRUE(rig.ask(station, reserve)->response().success());
}

TEST(NnvedDeactivate, RefusesAnAddressThatTheTsiDoesNotHave) {
  Rig rig(make_config(1));
  ASSERT_TRUE(rig.ask(rig.station(1), kTwo)->response().success());
  const InstanceId instance = rig.tsi(vsi(1))->instance;
  EXPECT_FALSE(rig.agent.deactivate_tsi(instance, std::vector{mac(1), mac(9)}, "", rig.now));
  EXPECT_FALSE(rig.agent.deactivate_tsi(InstanceId(99), {}, "", rig.now));
  EXPECT_TRUE(rig.agent.latches().empty());
  EXPECT_EQ(active(rig), 2u);
}

// --- several VIDs (D7, S14) ---

std::vector<Vid> vids(const std::optional<Tlv>& answer) {
  std::vector<Vid> out;
  if (!answer || !answer->response().success()) return out;
  for (const auto& entry : answer->entries) out.push_back(entry.vid);
  return out;
}
Tlv three_vids() { return {vdp::TlvType::kAssociate, vsi(1), std::vector(3, entry(70001, mac(1)))}; }

TEST(NnvedSeveralVids, EntriesOfOneAddressGetAsManyVidsThatAllReachTheVn) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  station.shows.reset();
  const auto given = vids(rig.ask(station, three_vids()));
  ASSERT_EQ(given.size(), 3u);
  EXPECT_EQ(std::set(given.begin(), given.end()).size(), 3u);
  for (const Vid vid : given) EXPECT_TRUE(rig.datapath.open(PortId(1), vid, mac(1)));
  EXPECT_EQ(rig.tsi(vsi(1))->vid, given[0]) << "frames leave with the first";
  EXPECT_TRUE(rig.consistent()) << rig.difference();
  EXPECT_EQ(rig.agent.vaps().at(0).local_tags, given);
  Tlv renewal = three_vids();
  for (std::size_t i = 0; i < 3; ++i) renewal.entries[i].vid = given[i];
  EXPECT_EQ(vids(rig.ask(station, renewal)), given) << "a keep-alive names them";
  EXPECT_EQ(vids(rig.ask(station, three_vids())), given) << "and a repeated request gets the same";
  std::swap(renewal.entries[0].vid, renewal.entries[2].vid);
  renewal.entries[1].vid = Vid();
  EXPECT_EQ(vids(rig.ask(station, renewal)), (std::vector{given[2], given[1], given[0]}));
  EXPECT_EQ(std::get<datapath::LocalOwner>(rig.datapath.fdb.begin()->second).tag, given[2])
      << "that of its first entry";
  renewal.command = vdp::TlvType::kDeAssociate;
  renewal.entries[1].vid = given[1];
  EXPECT_TRUE(rig.ask(station, renewal)->response().success());
  EXPECT_TRUE(rig.datapath.access.empty());
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST(NnvedSeveralVids, OtherAddressesOfTheVnKeepSharingItsFirst) {
  Rig rig(make_config(1));
  const auto given = vids(rig.ask(rig.station(1), three_vids()));
  EXPECT_EQ(vids(rig.ask(rig.station(1), {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})),
            std::vector{given.at(0)});
}

TEST(NnvedSeveralVids, TooManyAreRefusedAndNothingIsTaken) {
  AgentConfig config = make_config(1);
  config.ports[0].vids = {Vid(100), Vid(109)};
  Rig rig(config);
  const Tlv nine{vdp::TlvType::kAssociate, vsi(1), std::vector(9, entry(70001, mac(1)))};
  EXPECT_EQ(rig.ask(rig.station(1), nine)->response().code, vdp::Code::kInsufficientResources);
  EXPECT_EQ(rig.agent.ports()[0].vids_free, 10u);
  ASSERT_EQ(vids(rig.ask(rig.station(1), {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})).size(), 1u);
  EXPECT_EQ(rig.ask(rig.station(1), nine)->response().code, vdp::Code::kInsufficientResources);
  EXPECT_EQ(rig.agent.ports()[0].vids_free, 9u);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

/// The TSI has its record from the first request; the VIDs that come later are written into it.
TEST(NnvedSeveralVids, ARestartKeepsThemAllBeforeTheStationSaysAWord) {
  Rig before(make_config(1));
  ASSERT_EQ(vids(before.ask(before.station(1), {vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}})).size(), 1u);
  const auto given = vids(before.ask(before.station(1), three_vids()));
  ASSERT_EQ(given.size(), 3u);
  Rig rig(make_config(1));
  rig.agent.restore(before.stored(), rig.now);
  rig.drain();
  rig.datapath.apply(rig.agent.desired_rows());
  EXPECT_EQ(rig.agent.vaps().at(0).local_tags, given);
  for (const Vid vid : given) EXPECT_TRUE(rig.datapath.open(PortId(1), vid, mac(1)));
  EXPECT_EQ(vids(rig.ask(rig.station(1), three_vids())), given) << "one whose answer was lost gets the same";
}

TEST(NnvedSeveralVids, WhoUsesThemKeepsThemWhoeverAskedFirst) {
  Rig before(make_config(1));
  const Tlv one{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}};
  ASSERT_EQ(vids(before.ask(before.station(1), one)).size(), 1u);
  const Tlv other{vdp::TlvType::kAssociate, vsi(2), std::vector(3, entry(70001, mac(2)))};
  const auto given = vids(before.ask(before.station(1), other));
  ASSERT_EQ(given.size(), 3u);
  EXPECT_EQ(vids(before.ask(before.station(1), three_vids())), given);
  const Tlv leave{vdp::TlvType::kDeAssociate, vsi(2), {}, 0, vdp::FilterFormat::kVid};
  EXPECT_TRUE(before.ask(before.station(1), leave)->response().success());
  Rig rig(make_config(1));
  rig.agent.restore(before.stored(), rig.now);
  rig.drain();
  EXPECT_EQ(rig.agent.vaps().at(0).local_tags, given);
}

TEST(NnvedSeveralVids, ARestartGivesUpThoseThatTheConfigurationGivesAwayNoLonger) {
  Rig before(make_config(1));
  const auto given = vids(before.ask(before.station(1), three_vids()));
  ASSERT_EQ(given.size(), 3u);
  AgentConfig smaller = make_config(1);
  smaller.ports[0].vids = {given[0], given[1]};
  Rig rig(smaller);
  rig.agent.restore(before.stored(), rig.now);
  rig.drain();
  EXPECT_EQ(rig.agent.vaps().at(0).local_tags, (std::vector{given[0], given[1]}));
}

}  // namespace
}  // namespace splitnve::nnved::test
