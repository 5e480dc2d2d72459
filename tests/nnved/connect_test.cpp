// SPDX-License-Identifier: Apache-2.0
// VNs that stations connect by themselves (D5, S30), and the switch's own disconnect (D6).
#include "nnved/connect.hpp"

#include <gtest/gtest.h>

#include "nnved/rig.hpp"

namespace splitnve::nnved::test {
namespace {

using Operation = vdp::VnRequest::Operation;

const Tlv kBlue1{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}};
const Tlv kLeaveBlue1{vdp::TlvType::kDeAssociate, vsi(1), {entry(70001, mac(1))}};

std::optional<VapView> vap(const Rig& rig, unsigned port = 1, std::uint32_t vn = 70001) {
  for (const VapView& view : rig.agent.vaps())
    if (view.port == PortId(port) && view.vn == GroupId(vn)) return view;
  return std::nullopt;
}
vdp::Code code_of(const std::optional<VnSaid>& answer) {
  return answer ? vdp::ResponseStatus::from_octet(answer->request.status).code : vdp::Code{99};
}
std::size_t told(const Station& station, Operation operation) {
  return static_cast<std::size_t>(std::count_if(station.vns.begin(), station.vns.end(), [&](const VnSaid& said) {
    return !said.request.is_response() && said.request.operation == operation;
  }));
}

TEST(NnvedConnect, AStationConnectsAVnWithoutAnyTsiAndTheTsisGetItsVid) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  const auto answer = rig.ask_vn(one, Operation::kConnect, 70001);
  ASSERT_EQ(code_of(answer), vdp::Code::kSuccess);
  ASSERT_TRUE(vap(rig));
  EXPECT_EQ(vap(rig)->state, VapState::kConnected);
  EXPECT_EQ(vap(rig)->local_tag, answer->request.vid);
  EXPECT_EQ(vap(rig)->associated_tsis, 0u);
  EXPECT_EQ(rig.datapath.access.size(), 1u) << "the tag is known to the datapath when the station hears of it";
  EXPECT_EQ(rig.store.size(), 1u) << "and stored";
  const auto associated = rig.ask(one, kBlue1);
  ASSERT_TRUE(associated);
  EXPECT_EQ(associated->entries[0].vid, answer->request.vid);
  ASSERT_TRUE(rig.ask(one, kLeaveBlue1)->response().success());
  ASSERT_TRUE(vap(rig)) << "an explicitly connected VN stays when the last TSI leaves";
  EXPECT_EQ(vap(rig)->local_tag, answer->request.vid);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kDisconnect, 70001)), vdp::Code::kSuccess);
  EXPECT_FALSE(vap(rig));
  EXPECT_TRUE(rig.datapath.access.empty());
  EXPECT_TRUE(rig.store.empty());
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST(NnvedConnect, TheAnswerWaitsForDatapathAndStore) {
  Rig rig(make_config(1));
  rig.hold_program = true;
  EXPECT_FALSE(rig.ask_vn(rig.station(1), Operation::kConnect, 70001));
  Rig failing(make_config(1));
  failing.program_error = "no room";
  const auto refused = failing.ask_vn(failing.station(1), Operation::kConnect, 70001);
  EXPECT_EQ(code_of(refused), vdp::Code::kInsufficientResources);
  EXPECT_NE(refused->reason.find("no room"), std::string::npos) << refused->reason;
  Rig unstored(make_config(1));
  unstored.persist_error = "disk full";
  EXPECT_EQ(code_of(unstored.ask_vn(unstored.station(1), Operation::kConnect, 70001)),
            vdp::Code::kInsufficientResources);
  unstored.persist_error = "";
  unstored.advance(2s);
  EXPECT_TRUE(unstored.store.empty());
  EXPECT_TRUE(unstored.consistent()) << unstored.difference();
}

TEST(NnvedConnect, RefusalsAreCodedAsForTsis) {
  AgentConfig config = make_config(1);
  config.ports[0].vns = {GroupId(70001)};
  config.ports[0].vids = {Vid(100), Vid(100)};
  Rig rig(config);
  Station& one = rig.station(1);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70002)), vdp::Code::kOther) << "not admitted on the port";
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 5)), vdp::Code::kInvalidAddress) << "not registered";
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 0)), vdp::Code::kInvalidAddress);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 1u << 24)), vdp::Code::kInvalidAddress);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001, 101)), vdp::Code::kInvalidAddress)
      << "VID out of range";
  EXPECT_EQ(rig.agent.refusals().size(), 5u);
  ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  AgentConfig small = make_config(1);
  small.ports[0].vids = {Vid(100), Vid(100)};
  Rig full(small);
  ASSERT_EQ(code_of(full.ask_vn(full.station(1), Operation::kConnect, 70001)), vdp::Code::kSuccess);
  EXPECT_EQ(code_of(full.ask_vn(full.station(1), Operation::kConnect, 70002)), vdp::Code::kInsufficientResources);
}

TEST(NnvedConnect, ADisconnectWithTsisIsCode4UnlessItTakesThemAlong) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  ASSERT_TRUE(rig.ask(one, kBlue1)->response().success());
  const auto refused = rig.ask_vn(one, Operation::kDisconnect, 70001);
  ASSERT_EQ(code_of(refused), vdp::Code::kOther);
  EXPECT_TRUE(vdp::ResponseStatus::from_octet(refused->request.status).keep);
  EXPECT_NE(refused->reason.find("has TSIs in the VN"), std::string::npos) << refused->reason;
  EXPECT_TRUE(rig.tsi(vsi(1)));
  one.received.clear();
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kDisconnectAll, 70001)), vdp::Code::kSuccess);
  EXPECT_FALSE(rig.tsi(vsi(1)));
  EXPECT_FALSE(vap(rig));
  ASSERT_EQ(one.received.size(), 1u) << "the station hears what became of its TSI";
  EXPECT_EQ(one.received[0].command, vdp::TlvType::kDeAssociate);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST(NnvedConnect, AnothersTsisAndConnectsKeepTheVap) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  Station& two = rig.station(2);
  const auto first = rig.ask_vn(one, Operation::kConnect, 70001);
  const auto second = rig.ask_vn(two, Operation::kConnect, 70001);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->request.vid, second->request.vid) << "one VAP";
  EXPECT_EQ(vap(rig)->connects, 2u);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kDisconnect, 70001)), vdp::Code::kSuccess);
  EXPECT_EQ(vap(rig)->state, VapState::kConnected);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kDisconnect, 70001)), vdp::Code::kSuccess) << "gone is gone";
}

TEST(NnvedConnect, ItAgesLikeAnAssociation) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  for (int i = 0; i < 6; ++i) {
    rig.advance(10s);
    ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  }
  for (int i = 0; i < 3; ++i) {  // it speaks on, but does not renew
    rig.advance(10s);
    rig.ask(one, Tlv{vdp::TlvType::kAssociate, vsi(1), {entry(70002, mac(1))}});
  }
  EXPECT_FALSE(vap(rig)) << "not renewed";
  EXPECT_TRUE(vap(rig, 1, 70002));
  ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  rig.advance(28s);
  EXPECT_TRUE(vap(rig)) << "silence is borne for the dead-peer time";
  rig.advance(10s);
  EXPECT_FALSE(vap(rig));
  EXPECT_TRUE(rig.store.empty());
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST(NnvedConnect, ALostLinkTakesItAfterTheHold) {
  Rig rig(make_config(1));
  ASSERT_EQ(code_of(rig.ask_vn(rig.station(1), Operation::kConnect, 70001)), vdp::Code::kSuccess);
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.advance(2s);
  EXPECT_TRUE(vap(rig));
  rig.advance(2s);
  EXPECT_FALSE(vap(rig));
  EXPECT_TRUE(rig.store.empty());
}

TEST(NnvedConnect, ItSurvivesARestartWithItsVid) {
  Rig rig(make_config(1));
  const auto before = rig.ask_vn(rig.station(1), Operation::kConnect, 70001);
  ASSERT_TRUE(before);
  Rig again(make_config(1), rig.now);
  EXPECT_EQ(again.agent.restore(rig.stored(), again.now), 0u);
  ASSERT_TRUE(vap(again));
  EXPECT_EQ(vap(again)->state, VapState::kConnected);
  EXPECT_EQ(vap(again)->local_tag, before->request.vid);
  again.datapath.apply(again.agent.desired_rows());
  again.store = rig.store;
  EXPECT_EQ(again.ask_vn(again.station(1), Operation::kConnect, 70001)->request.vid, before->request.vid);
  EXPECT_TRUE(again.consistent()) << again.difference();
  const auto wanted = again.agent.desired_records();
  EXPECT_EQ(std::count_if(wanted.begin(), wanted.end(),
                          [](const auto& r) { return agent::record_kind(r.key) == agent::RecordKind::kVn; }),
            1);
  Rig other(make_config(1), rig.now);
  auto records = rig.stored();
  for (auto& record : records)
    if (agent::record_kind(record.key) == agent::RecordKind::kVn) record.value.push_back(0);
  EXPECT_EQ(other.agent.restore(records, other.now), 1u);
  EXPECT_FALSE(vap(other));
}

TEST(NnvedConnect, ARecordIsReadBackAndEveryBrokenOneIsRefused) {
  const ConnectRecord record{GroupId(70001), Vid(101), station_mac(1), "p1"};
  const OctetString octets = encode_connect(record);
  EXPECT_EQ(*decode_connect(octets), record);
  for (std::size_t size = 0; size < octets.size(); ++size)
    EXPECT_FALSE(decode_connect(Octets(octets).first(size))) << size;
  OctetString other = octets;
  other[0] = 9;
  EXPECT_FALSE(decode_connect(other));
}

// --- by name (B9) ---

const vdp::VnName kBlueName{VsiId::from_uuid("0b1ce000-0000-4000-8000-000000000001")->octets};

AgentConfig named_config() {
  AgentConfig config = make_config(1);
  config.vns[0].name = "0B1CE000-0000-4000-8000-000000000001";
  return config;
}

TEST(NnvedConnect, ByNameAndByIdAreTheSameVap) {
  Rig rig(named_config());
  Station& one = rig.station(1);
  const auto named = rig.ask_vn(one, Operation::kConnect, 0, 0, kBlueName);
  ASSERT_EQ(code_of(named), vdp::Code::kSuccess);
  EXPECT_EQ(named->request.group, GroupId(70001)) << "the answer says its ID";
  const auto numbered = rig.ask_vn(one, Operation::kConnect, 70001);
  ASSERT_EQ(code_of(numbered), vdp::Code::kSuccess);
  EXPECT_EQ(numbered->request.vid, named->request.vid);
  EXPECT_EQ(vap(rig)->connects, 1u);
  EXPECT_EQ(rig.agent.vaps().size(), 1u);
  EXPECT_EQ(rig.store.size(), 1u);
  EXPECT_EQ(rig.ask(one, kBlue1)->entries[0].vid, named->request.vid);
}

TEST(NnvedConnect, ANameThatIsUnknownOrContradictsTheIdIsCode5) {
  Rig rig(named_config());
  Station& one = rig.station(1);
  vdp::VnName other = kBlueName;
  other.octets[15] = 9;
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 0, 0, other)), vdp::Code::kInvalidAddress);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70002, 0, kBlueName)), vdp::Code::kInvalidAddress);
  EXPECT_TRUE(rig.agent.vaps().empty());
  one.shows->flags = one.shows->flags.without(vdp::Flags().set(vdp::Flag::kVnName));
  EXPECT_FALSE(rig.ask_vn(one, Operation::kConnect, 0, 0, kBlueName)) << "names go with their flag: no ID is code 5";
  EXPECT_EQ(vdp::ResponseStatus::from_octet(one.vns.back().request.status).code, vdp::Code::kInvalidAddress);
}

// --- the switch's own disconnect ---

TEST(NnvedConnect, TheOperatorsDisconnectIsToldToTheStationsOfThePortAndEndsTheirConnects) {
  Rig rig(make_config(2));
  Station& one = rig.station(1);
  Station& elsewhere = rig.station(4, 2);
  ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  ASSERT_EQ(code_of(rig.ask_vn(elsewhere, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  one.vns.clear();
  elsewhere.vns.clear();
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "moving", rig.now));
  rig.run();
  ASSERT_EQ(told(one, Operation::kDisconnect), 1u);
  EXPECT_NE(one.vns.back().reason.find("moving"), std::string::npos) << one.vns.back().reason;
  EXPECT_TRUE(elsewhere.vns.empty());
  EXPECT_FALSE(vap(rig));
  EXPECT_TRUE(vap(rig, 2));
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kOther);
  ASSERT_TRUE(rig.agent.release_vn(PortId(1), GroupId(70001), rig.now));
  rig.run();
  EXPECT_EQ(told(one, Operation::kConnect), 1u);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST(NnvedConnect, AStationWithoutTheFlagHearsOfTheOperatorsDisconnectByDeAssociateAlone) {
  AgentConfig config = make_config(1);
  config.legacy_hold = LegacyHold::kDeassociate;
  Rig rig(config);
  Station& legacy = rig.station(3);
  legacy.shows.reset();
  ASSERT_TRUE(rig.ask(legacy, Tlv{vdp::TlvType::kAssociate, vsi(3), {entry(70001, mac(3))}})->response().success());
  legacy.received.clear();
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "moving", rig.now));
  rig.advance(10ms);
  EXPECT_TRUE(legacy.vns.empty()) << "it has not shown the flag (E7)";
  ASSERT_EQ(legacy.received.size(), 1u);
  EXPECT_EQ(legacy.received[0].command, vdp::TlvType::kDeAssociate);
}

TEST(NnvedConnect, AStationThatBeginsAnewIsToldWhatIsDisconnected) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  ASSERT_TRUE(rig.agent.latch_vn(PortId(1), GroupId(70001), "moving", rig.now));
  rig.ask(one, Tlv{vdp::TlvType::kAssociate, vsi(2), {entry(70002, mac(2))}});
  EXPECT_EQ(told(one, Operation::kDisconnect), 1u);
  one.vns.clear();
  rig.ask(one, Tlv{vdp::TlvType::kAssociate, vsi(2), {entry(70002, mac(2))}});
  EXPECT_EQ(told(one, Operation::kDisconnect), 0u) << "once";
  for (int n = 1; n <= 20; ++n) {
    one.shows->nonce[0] = static_cast<std::uint8_t>(n);
    rig.ask(one, Tlv{vdp::TlvType::kAssociate, vsi(2), {entry(70002, mac(2))}});
  }
  EXPECT_EQ(told(one, Operation::kDisconnect), 0u) << "at most once a second";
  rig.advance(1s);
  EXPECT_EQ(told(one, Operation::kDisconnect), 1u);
}

TEST(NnvedConnect, ADrainEndsConnectsAndRefusesThemMeanwhile) {
  Rig rig(make_config(1));
  Station& one = rig.station(1);
  ASSERT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
  rig.agent.drain("maintenance", rig.now);
  rig.run();
  EXPECT_TRUE(rig.agent.is_drained());
  EXPECT_FALSE(vap(rig));
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kOther);
  rig.agent.undrain(rig.now);
  EXPECT_EQ(code_of(rig.ask_vn(one, Operation::kConnect, 70001)), vdp::Code::kSuccess);
}

TEST(NnvedConnect, WhatIsNotOfferedIsNotDone) {
  AgentConfig config = make_config(1);
  config.offer = vdp::Flags().set(vdp::Flag::kReasonText);
  Rig rig(config);
  EXPECT_FALSE(rig.ask_vn(rig.station(1), Operation::kConnect, 70001));
  EXPECT_FALSE(vap(rig));
}

}  // namespace
}  // namespace splitnve::nnved::test
