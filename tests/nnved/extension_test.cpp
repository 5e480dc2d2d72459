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

}  // namespace
}  // namespace splitnve::nnved::test
