// SPDX-License-Identifier: Apache-2.0
// From frame to datapath and answer: the stages, their batches, their failures, and what survives a restart.
#include <gtest/gtest.h>

#include <random>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::TlvType;

Tlv associate(unsigned n, std::uint32_t vn = 70001) { return {TlvType::kAssociate, vsi(n), {entry(vn, mac(n))}}; }
Tlv pre_associate(unsigned n) { return {TlvType::kPreAssociateRr, vsi(n), {entry(70001, mac(n))}}; }

TEST(Agent, AnAssociateWithVidZeroOpensTheAddressAndIsAnsweredWithAVid) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  const auto answer = rig.ask(host, associate(1));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->response().success());
  const Vid vid = answer->entries.at(0).vid;
  EXPECT_TRUE(vid.is_assignable());
  EXPECT_TRUE(rig.datapath.open(PortId(1), vid, mac(1)));
  EXPECT_FALSE(rig.datapath.open(PortId(1), vid, mac(2)));
  const auto tsi = rig.tsi(vsi(1));
  ASSERT_TRUE(tsi);
  EXPECT_EQ(tsi->state, TsiState::kActivated);
  EXPECT_EQ(tsi->vid, vid);
  EXPECT_EQ(tsi->station, host.address);
  const auto vaps = rig.agent.vaps();
  ASSERT_EQ(vaps.size(), 1u);
  EXPECT_EQ(vaps[0].state, VapState::kConnected);
  EXPECT_EQ(vaps[0].associated_tsis, 1u);
  EXPECT_EQ(vaps[0].local_tag, vid);
  EXPECT_EQ(vaps[0].vni, 1001u);
  EXPECT_EQ(rig.datapath.domains.at(DomainId(70001)).local, (std::vector<datapath::FloodMember>{{PortId(1), vid}}));
  ASSERT_EQ(rig.authority.rows().size(), 1u);
  EXPECT_TRUE(rig.authority.rows()[0].forwarding);
  ASSERT_EQ(rig.authority.tags().size(), 1u);
  EXPECT_EQ(rig.authority.tags()[0].vid, vid);
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, APreAssociateReservesWithoutForwarding) {
  Rig rig(make_config(1));
  const auto answer = rig.ask(rig.station(1), pre_associate(1));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->response().success());
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated);
  EXPECT_FALSE(rig.datapath.open(PortId(1), answer->entries[0].vid, mac(1)));
  EXPECT_EQ(rig.datapath.guards.size(), 1u) << "the guard stands, closed";
  EXPECT_TRUE(rig.datapath.domains.at(DomainId(70001)).local.empty()) << "floods reach Activated TSIs only";
  EXPECT_TRUE(rig.authority.rows().at(0).mapped);
  EXPECT_FALSE(rig.authority.rows().at(0).forwarding);
}

TEST(Agent, ARenewalIsAnsweredAtOnceWithoutAnyBatch) {
  Rig rig(make_config(1));
  rig.ask(rig.station(1), associate(1));
  const auto programs = rig.programs.size(), persists = rig.persists.size(), publishes = rig.publishes.size();
  rig.hold_publish = true;
  EXPECT_TRUE(rig.ask(rig.station(1), associate(1))->response().success());
  EXPECT_EQ(rig.programs.size(), programs);
  EXPECT_EQ(rig.persists.size(), persists);
  EXPECT_EQ(rig.publishes.size(), publishes);
}

TEST(Agent, TheAnswerWaitsForTheAuthorityButTheEcpAcknowledgementDoesNot) {
  Rig rig(make_config(1));
  rig.hold_publish = true;
  Station& host = rig.station(1);
  EXPECT_FALSE(rig.ask(host, associate(1)));
  EXPECT_EQ(host.acked, 1u);
  EXPECT_TRUE(rig.programs.empty()) << "nothing opens before the authority agreed";
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kInit);
  rig.advance(2s);
  EXPECT_TRUE(host.received.empty());
  rig.release_publishes();
  ASSERT_EQ(host.received.size(), 1u);
  EXPECT_TRUE(host.received[0].response().success());
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
}

TEST(Agent, AnUndecidedRequestIsAnsweredCode3AtTheDeadlineAndItsReservationIsKeptForTheNextTry) {
  Rig rig(make_config(1));
  rig.hold_publish = true;
  Station& host = rig.station(1);
  rig.ask(host, associate(1));
  rig.advance(4100ms);
  ASSERT_EQ(host.received.size(), 1u);
  EXPECT_EQ(host.received[0].response().code, Code::kManagerUnreachable);
  EXPECT_FALSE(host.received[0].response().hard);
  rig.release_publishes();
  ASSERT_TRUE(rig.tsi(vsi(1)));
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated);
  EXPECT_TRUE(rig.consistent());
  EXPECT_TRUE(rig.ask(host, associate(1))->response().success());
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, AnAuthorityThatFailsMakesCode3AndLeavesNothingBehind) {
  Rig rig(make_config(1));
  rig.publish_error = "connection refused";
  const auto answer = rig.ask(rig.station(1), associate(1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response(), (vdp::ResponseStatus{Code::kManagerUnreachable, false, false}));
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.datapath.access.empty());
  EXPECT_TRUE(rig.store.empty());
  ASSERT_EQ(rig.agent.vaps().size(), 1u);
  EXPECT_EQ(rig.agent.vaps()[0].state, VapState::kDisconnected);
  EXPECT_FALSE(rig.agent.vaps()[0].reason.empty());
  rig.publish_error.clear();
  rig.advance(2s);
  EXPECT_TRUE(rig.ask(rig.station(1), associate(1))->response().success());
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, AnAuthorityThatNamesAnotherOwnerMakesCode5) {
  Rig rig(make_config(1));
  agent::Publish other;
  other.rows.push_back({GroupId(70001), mac(1), vsi(99), 0, true, true});
  rig.authority.handle(other, 1);
  const auto answer = rig.ask(rig.station(1), associate(1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response(), (vdp::ResponseStatus{Code::kInvalidAddress, false, true}));
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.datapath.fdb.empty());
}

TEST(Agent, ARowThatCannotBeProgrammedMakesCode2AndIsRolledBack) {
  Rig rig(make_config(1));
  rig.ask(rig.station(1), pre_associate(1));
  rig.fdb_fails = [](const datapath::FdbRow& row) {
    return row.owner && row.mac != mac(3) ? std::string("map is full") : std::string();
  };
  const auto before = rig.datapath;
  const auto answer = rig.ask(rig.station(1), associate(1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response(), (vdp::ResponseStatus{Code::kInsufficientResources, true, false}));
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated) << "back to what it was";
  EXPECT_FALSE(rig.tsi(vsi(1))->last_refusal.empty());
  EXPECT_EQ(rig.datapath, before);
  // One row's failure is nobody else's.
  rig.send(rig.station(1), {associate(2), associate(3)});
  EXPECT_FALSE(rig.tsi(vsi(2)));
  EXPECT_EQ(rig.tsi(vsi(3))->state, TsiState::kActivated);
  rig.advance(3s);
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, AStoreThatFailsMakesCode2) {
  Rig rig(make_config(1));
  rig.persist_error = "disk full";
  EXPECT_EQ(rig.ask(rig.station(1), associate(1))->response().code, Code::kInsufficientResources);
  EXPECT_EQ(rig.tsis(), 0u);
  rig.persist_error.clear();
  rig.advance(2s);
  EXPECT_TRUE(rig.consistent());
  EXPECT_TRUE(rig.store.empty());
}

TEST(Agent, ThirtySevenTlvsOfOneFrameShareOneBatchOfEachKind) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  OctetString capabilities;
  vdp::write_capabilities_only(*host.shows, capabilities);
  rig.send_octets(host, capabilities);
  rig.run();
  host.shows.reset();  // they have been shown
  host.raw.clear();
  std::vector<Tlv> tlvs;
  for (unsigned i = 1; i <= 37; ++i) tlvs.push_back(associate(i));
  rig.send(host, tlvs);
  EXPECT_EQ(rig.publishes.size(), 1u);
  EXPECT_EQ(rig.programs.size(), 1u);
  EXPECT_EQ(rig.persists.size(), 1u);
  EXPECT_EQ(rig.programs[0].rows.fdb.size(), 37u);
  EXPECT_EQ(rig.programs[0].rows.access.size(), 1u);
  EXPECT_EQ(host.received.size(), 37u);
  EXPECT_EQ(host.raw.size(), 2u) << "one acknowledgement, one ECPDU of answers";
  EXPECT_EQ(rig.store.size(), 37u);
  EXPECT_EQ(rig.agent.vaps().size(), 1u);
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, OneTlvOfTwoVnsMakesTwoInstancesOrNone) {
  Rig rig(make_config(1));
  Tlv both = associate(1);
  both.entries.push_back(entry(70002, mac(1)));
  const auto answer = rig.ask(rig.station(1), both);
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->entries[0].vid, answer->entries[1].vid) << "two VNs never share a VID on one port";
  EXPECT_TRUE(rig.tsi(vsi(1), 1, 70001));
  EXPECT_TRUE(rig.tsi(vsi(1), 1, 70002));
  Tlv bad = associate(2);
  bad.entries.push_back(entry(70003, mac(2)));
  EXPECT_EQ(rig.ask(rig.station(1), bad)->response().code, Code::kInvalidAddress);
  EXPECT_FALSE(rig.tsi(vsi(2)));
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, ARepeatedEcpduIsAcknowledgedAgainAndNotWorkedOnTwice) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  const OctetString payload = vdpdu({associate(1)});
  rig.send_octets(host, payload);
  --host.sequence;
  rig.send_octets(host, payload);
  rig.run();
  EXPECT_EQ(host.acked, 2u);
  EXPECT_EQ(host.received.size(), 1u);
  EXPECT_EQ(rig.agent.peers().at(0).duplicates, 1u);
}

TEST(Agent, ADeAssociateRemovesEverythingAndTheVidRests) {
  AgentConfig config = make_config(1);
  config.ports[0].vids = {Vid(100), Vid(100)};
  Rig rig(config);
  Station& host = rig.station(1);
  rig.ask(host, associate(1));
  const auto answer = rig.ask(host, {TlvType::kDeAssociate, vsi(1), {}});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->response().success());
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_EQ(rig.datapath, DatapathModel{});
  EXPECT_TRUE(rig.store.empty());
  EXPECT_TRUE(rig.authority.rows().empty());
  EXPECT_TRUE(rig.authority.tags().empty());
  EXPECT_TRUE(rig.agent.vaps().empty());
  EXPECT_EQ(rig.ask(host, associate(2, 70002))->response().code, Code::kInsufficientResources);
  rig.advance(11s);
  EXPECT_TRUE(rig.ask(host, associate(2, 70002))->response().success());
}

TEST(Agent, ADeAssociateOvertakesAnAssociateThatWaitsForTheAuthority) {
  Rig rig(make_config(1));
  rig.hold_publish = true;
  Station& host = rig.station(1);
  rig.send(host, {associate(1)});
  rig.send(host, {{TlvType::kDeAssociate, vsi(1), {entry(70001, mac(1))}}});
  rig.release_publishes();
  ASSERT_EQ(host.received.size(), 2u);
  EXPECT_EQ(host.received[0].command, TlvType::kAssociate);
  EXPECT_EQ(host.received[0].response().code, Code::kOther);
  EXPECT_EQ(host.received[1].command, TlvType::kDeAssociate);
  EXPECT_TRUE(host.received[1].response().success());
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.authority.rows().empty());
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, ASlowVsiDelaysNoOther) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  rig.ask(host, associate(2));
  rig.hold_publish = true;
  rig.send(host, {associate(1)});
  host.received.clear();
  rig.send(host, {associate(2)});
  ASSERT_EQ(host.received.size(), 1u);
  EXPECT_EQ(host.received[0].id, vsi(2));
}

TEST(Agent, AfterARestartTheStoredTsisAreThereAndNothingIsPulledDown) {
  Rig before(make_config(2));
  before.ask(before.station(1), associate(1));
  before.ask(before.station(1), pre_associate(2));
  before.ask(before.station(2, 2), associate(3, 70002));
  Rig after(make_config(2), before.now + 1h);
  EXPECT_EQ(after.agent.restore(before.stored(), after.now), 0u);
  after.drain();
  EXPECT_TRUE(after.programs.empty());
  DatapathModel restored;
  restored.apply(after.agent.desired_rows());
  EXPECT_EQ(restored, before.datapath) << "instances, tags and owners are unchanged";
  EXPECT_EQ(after.tsi(vsi(2))->state, TsiState::kAssociated);
  after.datapath = before.datapath;
  after.authority = before.authority;
  const auto answer = after.ask(after.station(1), associate(1));
  EXPECT_TRUE(answer->response().success());
  EXPECT_EQ(answer->entries[0].vid, before.tsi(vsi(1))->vid);
  EXPECT_TRUE(after.consistent());
  after.advance(29s);
  EXPECT_TRUE(after.tsi(vsi(3), 2, 70002)) << "ages begin anew";
  after.advance(5min);
  EXPECT_EQ(after.tsis(), 0u);
}

TEST(Agent, StoredRecordsThatNoLongerFitAreDroppedWithANotice) {
  Rig before(make_config(2));
  before.ask(before.station(1), associate(1));
  before.ask(before.station(2, 2), associate(2));
  auto records = before.stored();
  records.push_back({agent::store_key(agent::RecordKind::kTsi, 77), {1, 2, 3}});
  Rig after(make_config(2));
  EXPECT_EQ(after.agent.restore(records, after.now), 1u);
  after.drain();
  EXPECT_EQ(after.notices.size(), 1u);
  EXPECT_EQ(after.tsis(), 2u);
  ASSERT_EQ(after.persists.size(), 1u);
  EXPECT_EQ(after.persists[0].records.size(), 1u);
}

TEST(Agent, ARecordThatTheConfigurationHasNoPlaceForIsHeldUntilItHas) {
  Rig before(make_config(2));
  before.ask(before.station(1), associate(1));
  before.ask(before.station(2, 2), associate(2));
  const auto whole = before.tsi(vsi(2), 2);
  ASSERT_TRUE(whole);

  Rig without(make_config(1));  // the second port is lost
  EXPECT_EQ(without.agent.restore(before.stored(), without.now), 0u) << "held is not unreadable";
  without.drain();
  ASSERT_EQ(without.notices.size(), 1u);
  EXPECT_STREQ(without.notices[0].id, "nnved.record_held");
  ASSERT_EQ(without.agent.held().size(), 1u);
  EXPECT_EQ(without.agent.held()[0].vsi, vsi(2));
  EXPECT_EQ(without.agent.held()[0].reason, "its port is not configured");
  // Its number is given to another; that does not cost the record.
  without.store.clear();
  for (const auto& record : before.stored()) without.store[record.key] = record.value;
  for (const auto& persist : without.persists)
    for (const auto& record : persist.records) {
      if (record.value.empty())
        without.store.erase(record.key);
      else
        without.store[record.key] = record.value;
    }
  without.ask(without.station(1), associate(3));
  EXPECT_EQ(without.tsis(), 2u);

  Rig again(make_config(1));  // once more without it
  EXPECT_EQ(again.agent.restore(without.stored(), again.now), 0u);
  EXPECT_EQ(again.agent.held().size(), 1u);
  EXPECT_EQ(again.tsis(), 2u);

  Rig after(make_config(2));
  EXPECT_EQ(after.agent.restore(without.stored(), after.now), 0u);
  after.drain();
  EXPECT_TRUE(after.agent.held().empty());
  EXPECT_EQ(after.tsis(), 3u);
  const auto returned = after.tsi(vsi(2), 2);
  ASSERT_TRUE(returned);
  EXPECT_EQ(returned->vid, whole->vid);
  EXPECT_EQ(returned->addresses.size(), whole->addresses.size());
}

TEST(Agent, AnEntryThatIsNotRenewedAgesAloneWhileItsStationSpeaks) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  rig.send(host, {associate(1), associate(2)});
  for (int i = 0; i < 4; ++i) {
    rig.advance(10s);
    rig.ask(host, associate(1));
  }
  EXPECT_TRUE(rig.tsi(vsi(1)));
  EXPECT_FALSE(rig.tsi(vsi(2)));
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, WhatAStationDidNotRenewBeforeItsCrashWaitsForItsReturn) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  rig.send(host, {associate(1), associate(2)});
  rig.advance(11s);
  rig.ask(host, associate(1));
  rig.advance(7s);
  EXPECT_TRUE(rig.tsi(vsi(2))) << "overdue, but nobody is there to renew it";
  rig.ask(host, associate(1));
  rig.advance(1s);
  rig.ask(host, associate(2));
  rig.advance(10s);
  EXPECT_TRUE(rig.tsi(vsi(2)));
}

TEST(Agent, ASilentStationIsKeptForTheDeadPeerTimeAndThenGoesWhole) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  rig.send(host, {associate(1)});
  rig.advance(5s);
  rig.send(host, {associate(2)});
  host.acks = false;
  rig.advance(29s);
  EXPECT_EQ(rig.tsis(), 2u) << "the older entry's keep-alive is overdue, but its station is silent";
  rig.advance(2s);
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_EQ(rig.datapath, DatapathModel{});
  rig.advance(5min);
  EXPECT_TRUE(rig.agent.peers().empty());
  EXPECT_FALSE(rig.agent.next_deadline());
}

TEST(Agent, ALinkThatComesBackInTimeLosesNothingAndALostOneLosesAll) {
  Rig rig(make_config(2));
  rig.ask(rig.station(1), associate(1));
  rig.ask(rig.station(2, 2), associate(2));
  const auto before = rig.datapath;
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.advance(2900ms);
  rig.agent.handle_link(PortId(1), true, rig.now);
  rig.advance(10s);
  EXPECT_EQ(rig.datapath, before);
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.advance(3100ms);
  EXPECT_FALSE(rig.tsi(vsi(1)));
  EXPECT_TRUE(rig.tsi(vsi(2), 2));
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, ALinkLostWhileRequestsAreOnTheirWayLeavesNothing) {
  Rig rig(make_config(1));
  rig.hold_publish = true;
  rig.send(rig.station(1), {associate(1), associate(2)});
  rig.send(rig.station(1), {associate(1)});
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.advance(3100ms);
  EXPECT_EQ(rig.tsis(), 0u);
  rig.release_publishes();
  EXPECT_TRUE(rig.authority.rows().empty());
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, TheOperatorsRemovalReachesTheStation) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  rig.ask(host, associate(1));
  host.received.clear();
  EXPECT_FALSE(rig.agent.remove_tsi(InstanceId(99), "", rig.now));
  EXPECT_TRUE(rig.agent.remove_tsi(rig.tsi(vsi(1))->instance, "maintenance", rig.now));
  rig.run();
  ASSERT_EQ(host.received.size(), 1u);
  EXPECT_EQ(host.received[0].command, TlvType::kDeAssociate);
  EXPECT_EQ(host.received[0].status & vdp::kStatusResponse, 0);
  EXPECT_EQ(host.received[0].entries.at(0).mac, mac(1));
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.consistent());
}

TEST(Agent, FramesThatAreNotForUsAreDroppedAndCountedByCause) {
  AgentConfig config = make_config(1);
  config.ports[0].stations = {station_mac(1)};
  Rig rig(config);
  const auto frame = [&](MacAddress to, MacAddress from, ecp::Operation operation) {
    OctetString octets;
    ecp::encode_frame(to, from, operation, EcpSequence(1), vdpdu({associate(1)}), octets);
    rig.agent.handle_frame(PortId(1), octets, rig.now);
  };
  frame(MacAddress(0x0180C2000001ull), station_mac(1), ecp::Operation::kRequest);
  EXPECT_EQ(rig.dropped("not for us"), 1u);
  frame(ecp::kNearestCustomerBridge, port_mac(1), ecp::Operation::kRequest);
  EXPECT_EQ(rig.dropped("our own frame"), 1u);
  frame(ecp::kNearestCustomerBridge, station_mac(2), ecp::Operation::kRequest);
  EXPECT_EQ(rig.dropped("station not admitted"), 1u);
  frame(ecp::kNearestCustomerBridge, station_mac(1), ecp::Operation::kAck);
  EXPECT_EQ(rig.dropped("acknowledgement from an unknown peer"), 1u);
  EXPECT_TRUE(rig.agent.peers().empty());
  frame(port_mac(1), station_mac(1), ecp::Operation::kRequest);
  frame(ecp::kNearestBridge, station_mac(1), ecp::Operation::kRequest);
  EXPECT_EQ(rig.agent.peers().size(), 1u);
}

TEST(Agent, APortTakesABoundedNumberOfPeersAndForgetsTheIdle) {
  Rig rig(make_config(1));
  for (unsigned i = 0; i < limits::kPeersPerPortMax + 3; ++i) {
    OctetString octets;
    ecp::encode_frame(ecp::kNearestCustomerBridge, station_mac(1000 + i), ecp::Operation::kRequest, EcpSequence(1),
                      vdpdu({{TlvType::kDeAssociate, vsi(1), {}}}), octets);
    rig.agent.handle_frame(PortId(1), octets, rig.now);
  }
  rig.run();
  EXPECT_EQ(rig.agent.peers().size(), limits::kPeersPerPortMax);
  EXPECT_EQ(rig.dropped("too many peers"), 3u);
  rig.advance(10min);
  EXPECT_TRUE(rig.agent.peers().empty());
}

OctetString deassociate_of(unsigned n) {
  OctetString octets;
  ecp::encode_frame(ecp::kNearestCustomerBridge, station_mac(n), ecp::Operation::kRequest, EcpSequence(1),
                    vdpdu({{TlvType::kDeAssociate, vsi(1), {}}}), octets);
  return octets;
}

TEST(Agent, WhoNeverAcknowledgesIsSentAtMostThreeFramesForEachOfItsOwn) {
  Rig rig(make_config(1));
  Station& spoofed = rig.station(1);
  spoofed.acks = false;
  for (const unsigned sent : {1u, 2u}) {
    rig.agent.handle_frame(PortId(1), deassociate_of(1), rig.now);
    rig.advance(5s);
    EXPECT_LE(spoofed.raw.size(), 3u * sent);
    EXPECT_GE(spoofed.raw.size(), 2u) << "the acknowledgement and the answer";
  }
  rig.advance(56s);
  EXPECT_LE(spoofed.raw.size(), 6u);
}

TEST(Agent, AtAFullPortWhoNeverAcknowledgedGivesWayToWhoComesNext) {
  Rig rig(make_config(1));
  Station& settled = rig.station(1);
  ASSERT_TRUE(rig.ask(settled, associate(1))->response().success());
  for (unsigned i = 0; i < 2 * limits::kPeersPerPortMax; ++i) {
    rig.agent.handle_frame(PortId(1), deassociate_of(1000 + i), rig.now);
    rig.run();
  }
  EXPECT_EQ(rig.agent.peers().size(), limits::kPeersPerPortMax);
  EXPECT_EQ(rig.dropped("too many peers"), 0u);
  EXPECT_TRUE(rig.ask(rig.station(2), associate(2))->response().success());
  EXPECT_TRUE(rig.ask(settled, associate(1))->response().success());
}

TEST(Agent, PeersTakeTurnsSoThatABusyOneDelaysNoOther) {
  Rig rig(make_config(1));
  Station& busy = rig.station(1);
  Station& quiet = rig.station(2);
  for (unsigned i = 1; i <= 8; ++i) rig.send_octets(busy, vdpdu({associate(i)}));
  rig.send_octets(quiet, vdpdu({associate(100)}));
  EXPECT_TRUE(rig.agent.handle_work(4, rig.now));  // a VDPDU costs one, and what it brings
  rig.drain();
  EXPECT_TRUE(rig.tsi(vsi(100)));
  EXPECT_EQ(rig.tsis(), 2u);
}

TEST(Agent, MangledFramesNeverCrashItAndLeaveItConsistent) {
  Rig rig(make_config(2));
  std::mt19937 engine(11);
  const auto random = [&engine] { return static_cast<unsigned>(engine()); };
  std::uint64_t now_dropped = 0;
  for (int i = 0; i < 8000; ++i) {
    Tlv tlv{static_cast<TlvType>(1 + random() % 4), vsi(random() % 6), {}};
    tlv.status = random() % 4 == 0 ? static_cast<std::uint8_t>((random() % 4) << 4) : std::uint8_t{0};
    for (unsigned k = 0; k < 1 + random() % 3; ++k)
      tlv.entries.push_back(entry(70001 + random() % 3, mac(random() % 6),
                                  static_cast<std::uint16_t>(random() % 3 ? 0 : 2 + random() % 3)));
    OctetString frame;
    ecp::encode_frame(ecp::kNearestCustomerBridge, station_mac(random() % 4), ecp::Operation::kRequest,
                      EcpSequence(static_cast<std::uint16_t>(i)), vdpdu({tlv}), frame);
    if (random() % 2) frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
    if (random() % 8 == 0) frame.resize(random() % frame.size());
    rig.hold_publish = random() % 4 == 0;
    rig.agent.handle_frame(PortId(1 + random() % 2), frame, rig.now);
    rig.run();
    if (random() % 8 == 0) rig.release_publishes();
    if (random() % 16 == 0) rig.advance(std::chrono::milliseconds(random() % 5000));
    if (random() % 512 == 0) rig.agent.handle_link(PortId(1), random() % 2, rig.now);
    if (i % 500 == 0) {
      rig.release_publishes();
      ASSERT_TRUE(rig.consistent()) << i << rig.difference();
    }
  }
  for (const auto& [cause, count] : rig.agent.frame_drops()) now_dropped += count;
  EXPECT_GT(now_dropped, 100u);
  EXPECT_GT(rig.transitions.size(), 500u);
  rig.release_publishes();
  rig.advance(10min);
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_EQ(rig.datapath, DatapathModel{});
  EXPECT_TRUE(rig.store.empty());
  EXPECT_TRUE(rig.authority.rows().empty());
}

}  // namespace
}  // namespace splitnve::nnved::test
