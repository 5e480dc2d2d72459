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

}  // namespace
}  // namespace splitnve::nnved::test
