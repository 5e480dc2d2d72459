// SPDX-License-Identifier: Apache-2.0
// Latches (S7), drain (S34), and the records of latches.
#include <gtest/gtest.h>

#include "nnved/latch.hpp"
#include "nnved/rig.hpp"

namespace splitnve::nnved::test {
namespace {

const Tlv kBlue1{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}};
const Tlv kBlue2{vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}};
const Tlv kRed1{vdp::TlvType::kAssociate, vsi(1), {entry(70002, mac(1))}};

std::size_t deassociates(const Station& station) {
  return static_cast<std::size_t>(std::count_if(station.received.begin(), station.received.end(), [](const Tlv& tlv) {
    return tlv.command == vdp::TlvType::kDeAssociate && (tlv.status & vdp::kStatusResponse) == 0;
  }));
}

void expect_refused(Rig& rig, Station& station, const Tlv& tlv, const std::string& words) {
  const auto answer = rig.ask(station, tlv);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->response().code, vdp::Code::kOther);
  EXPECT_FALSE(answer->response().hard);
  ASSERT_FALSE(rig.agent.refusals().empty());
  EXPECT_EQ(rig.agent.refusals().back().reason, words);
}

TEST(NnvedOperator, ADisconnectedVnLosesItsTsisAndRefusesNewOnesUntilItIsReleased) {
  Rig rig(make_config(2));
  Station& one = rig.station(1);
  Station& other = rig.station(2, 2);
  ASSERT_TRUE(rig.ask(one, kBlue1)->response().success());
  ASSERT_TRUE(rig.ask(one, kRed1)->response().success());
  ASSERT_TRUE(rig.ask(other, kBlue2)->response().success());
  one.received.clear();
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "moving", rig.now));
  rig.run();
  EXPECT_EQ(deassociates(one), 1u);
  EXPECT_FALSE(rig.tsi(vsi(1)));
  EXPECT_TRUE(rig.tsi(vsi(1), 1, 70002)) << "another VN of the VSI stays";
  EXPECT_TRUE(rig.tsi(vsi(2), 2)) << "the VN stays on another port";
  EXPECT_TRUE(rig.consistent()) << rig.difference();
  expect_refused(rig, one, kBlue1, "taken out of service by the operator: moving");
  EXPECT_TRUE(rig.agent.release_vn(PortId(1), GroupId(70001), rig.now));
  EXPECT_FALSE(rig.agent.release_vn(PortId(1), GroupId(70001), rig.now));
  rig.run();
  EXPECT_TRUE(rig.ask(one, kBlue1)->response().success());
}

TEST(NnvedOperator, ALatchedVsiIsRefusedOnEveryPortAndOnlyInItsVn) {
  Rig rig(make_config(2));
  Station& one = rig.station(1);
  Station& other = rig.station(2, 2);
  ASSERT_TRUE(rig.ask(one, kBlue1)->response().success());
  one.received.clear();
  ASSERT_TRUE(rig.agent.latch_tsi(vsi(1), GroupId(70001), "misbehaves", rig.now));
  rig.run();
  EXPECT_EQ(deassociates(one), 1u);
  expect_refused(rig, other, kBlue1, "taken out of service by the operator: misbehaves");
  EXPECT_TRUE(rig.ask(one, kRed1)->response().success());
  EXPECT_TRUE(rig.ask(one, kBlue2)->response().success());
  EXPECT_TRUE(rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now));
  EXPECT_TRUE(rig.ask(other, kBlue1)->response().success());
}

TEST(NnvedOperator, LatchesSurviveARestartAndLeaveTheStoreWhenReleased) {
  Rig rig(make_config(1));
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "a", rig.now));
  ASSERT_TRUE(rig.agent.latch_tsi(vsi(1), GroupId(70002), "b", rig.now));
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "another reason", rig.now));
  rig.run();
  ASSERT_EQ(rig.store.size(), 2u);
  Rig again(make_config(1));
  EXPECT_EQ(again.agent.restore(rig.stored(), again.now), 0u);
  again.store = rig.store;
  expect_refused(again, again.station(1), kBlue2, "taken out of service by the operator: another reason");
  expect_refused(again, again.station(1), kRed1, "taken out of service by the operator: b");
  EXPECT_EQ(again.agent.desired_records().size(), 4u) << "and the epoch, and the ports that are open to the host";
  EXPECT_TRUE(again.agent.release_vn(PortId(1), GroupId(70001), again.now));
  EXPECT_TRUE(again.agent.release_tsi(vsi(1), GroupId(70002), again.now));
  again.run();
  EXPECT_TRUE(again.store.empty());
}

TEST(NnvedOperator, ALatchWaitsForAStoreThatFails) {
  Rig rig(make_config(1));
  rig.persist_error = "disk full";
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "a", rig.now));
  rig.run();
  EXPECT_TRUE(rig.store.empty());
  rig.persist_error.clear();
  rig.advance(3s);
  EXPECT_EQ(rig.store.size(), 1u);
}

TEST(NnvedOperator, LatchesAreBoundedAndLongReasonsCutBetweenCharacters) {
  Rig rig(make_config(1));
  std::string reason(60, 'x');
  reason += "\xC3\xBC and more";  // the u umlaut would be cut in two by the dots
  ASSERT_TRUE(rig.agent.latch_tsi(vsi(0), GroupId(70001), reason, rig.now));
  EXPECT_EQ(rig.agent.latches().front().reason, std::string(60, 'x') + "...");
  for (unsigned i = 1; i < limits::kLatchesMax; ++i)
    ASSERT_TRUE(rig.agent.latch_tsi(vsi(i), GroupId(70001), "", rig.now));
  EXPECT_FALSE(rig.agent.latch_tsi(vsi(limits::kLatchesMax), GroupId(70001), "", rig.now));
  EXPECT_FALSE(rig.agent.latch_vn(PortId(9), GroupId(70001), "", rig.now)) << "no such port";
}

TEST(NnvedOperator, DrainLeavesNothingAndRefusesUntilUndrain) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  for (unsigned i = 1; i <= 50; ++i)
    ASSERT_TRUE(rig.ask(station, {vdp::TlvType::kAssociate, vsi(i), {entry(70001, mac(i))}})->response().success());
  station.received.clear();
  EXPECT_EQ(rig.agent.drain("upgrade", rig.now), 50u);
  rig.run();
  rig.advance(1s);
  EXPECT_EQ(deassociates(station), 50u);
  EXPECT_TRUE(rig.agent.is_drained());
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.store.empty());
  EXPECT_TRUE(rig.datapath.fdb.empty() && rig.datapath.guards.empty() && rig.datapath.access.empty());
  EXPECT_TRUE(rig.authority.rows().empty() && rig.authority.tags().empty());
  expect_refused(rig, station, kBlue1, "the switch is being drained");
  rig.agent.undrain(rig.now);
  EXPECT_TRUE(rig.ask(station, kBlue1)->response().success());
}

TEST(NnvedOperator, DrainIsNotOverBeforeTheStationsKnow) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, kBlue1)->response().success());
  station.acks = false;
  rig.agent.drain("", rig.now);
  rig.run();
  EXPECT_FALSE(rig.agent.is_drained());
  station.acks = true;
  rig.advance(3s);
  EXPECT_TRUE(rig.agent.is_drained());
}

TEST(NnvedOperator, ARequestOnItsWayDoesNotOutliveTheLatch) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  rig.hold_publish = true;
  rig.send(station, {kBlue1});
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "now", rig.now));
  rig.run();
  rig.release_publishes();
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST(NnvedLatchRecord, WhatIsDecodedIsWhatWasEncodedAndEveryPrefixIsRefused) {
  for (const Latch& latch : {Latch{GroupId(70001), "p1", std::nullopt, "why"}, Latch{GroupId(1), "", vsi(7), ""}}) {
    const OctetString octets = encode_latch(latch);
    ASSERT_EQ(decode_latch(octets).value(), latch);
    for (std::size_t n = 0; n < octets.size(); ++n) EXPECT_FALSE(decode_latch(Octets(octets).first(n))) << n;
    OctetString longer = octets;
    longer.push_back(0);
    EXPECT_FALSE(decode_latch(longer));
    OctetString later = octets;
    later[0] = 9;
    EXPECT_STREQ(decode_latch(later).error().cause, "unknown record version");
  }
  EXPECT_STREQ(decode_latch(encode_latch({GroupId(1), "", std::nullopt, ""})).error().cause, "neither port nor VSI");
}

}  // namespace
}  // namespace splitnve::nnved::test
