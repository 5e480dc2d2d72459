// SPDX-License-Identifier: Apache-2.0
// The codes of S4, one by one: KEEP only if the VSI is there, HARD with code 5 and policy, never with 2 or 3.
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::FilterFormat;
using vdp::ResponseStatus;
using vdp::TlvType;

Tlv associate(unsigned n, vdp::FilterEntry one, FilterFormat format = FilterFormat::kGroupMacVid) {
  return {TlvType::kAssociate, vsi(n), {one}, 0, format};
}
constexpr ResponseStatus kRefused5{Code::kInvalidAddress, false, true};
constexpr ResponseStatus kPolicy{Code::kOther, false, true};
constexpr ResponseStatus kResources{Code::kInsufficientResources, false, false};

ResponseStatus verdict(Rig& rig, const Tlv& tlv, unsigned station = 1, unsigned port = 1) {
  const auto answer = rig.ask(rig.station(station, port), tlv);
  EXPECT_TRUE(answer);
  return answer ? answer->response() : ResponseStatus{};
}

TEST(Refusal, IdentityIsCode5) {
  AgentConfig config = make_config(1);
  config.ports[0].reserved_vids = {Vid(50)};
  Rig rig(config);
  EXPECT_EQ(verdict(rig, associate(1, entry(12345, mac(1)))), kRefused5) << "unknown VN";
  EXPECT_EQ(verdict(rig, associate(1, entry(0, mac(1)))), kRefused5) << "GroupID 0 without mapping";
  EXPECT_EQ(verdict(rig, associate(1, entry(1u << 24, mac(1)))), kRefused5) << "GroupID of more than 24 bits";
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, mac(1), 1))), kRefused5) << "VID 1";
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, mac(1), 4095))), kRefused5) << "VID 4095";
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, mac(1), 50))), kRefused5) << "reserved VID";
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, MacAddress()))), kRefused5) << "zero MAC";
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, MacAddress(0x01005E000001ull)))), kRefused5) << "group MAC";
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, port_mac(1)))), kRefused5) << "the port's own MAC";
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.programs.empty());
  EXPECT_TRUE(rig.publishes.empty());
  EXPECT_EQ(rig.agent.refusals().size(), 9u);
  EXPECT_EQ(rig.notices.size(), 9u);
  EXPECT_NE(rig.agent.refusals()[0].reason, "");
}

TEST(Refusal, AVidOfAnotherVnIsCode5AndOneOfThisVnIsKept) {
  Rig rig(make_config(1));
  EXPECT_TRUE(verdict(rig, associate(1, entry(70001, mac(1), 100))).success());
  EXPECT_TRUE(verdict(rig, associate(2, entry(70001, mac(2), 100))).success());
  EXPECT_EQ(verdict(rig, associate(3, entry(70002, mac(3), 100))), kRefused5);
  EXPECT_EQ(verdict(rig, associate(3, entry(70001, mac(3), 101))), kRefused5);
  EXPECT_EQ(rig.tsi(vsi(2))->vid, Vid(100));
}

TEST(Refusal, ADuplicateMacInOneVnIsCode5WhetherReservedOrActiveAndTheFirstStays) {
  Rig rig(make_config(2));
  verdict(rig, associate(1, entry(70001, mac(1))));
  EXPECT_EQ(verdict(rig, associate(2, entry(70001, mac(1)))), kRefused5);
  EXPECT_EQ(verdict(rig, associate(2, entry(70001, mac(1))), 2, 2), kRefused5);
  EXPECT_EQ(verdict(rig, {TlvType::kPreAssociate, vsi(2), {entry(70001, mac(1))}}), kRefused5);
  EXPECT_TRUE(verdict(rig, associate(2, entry(70002, mac(1)))).success()) << "the same MAC in another VN works";
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
  const Vid blue = rig.tsi(vsi(1))->vid, red = rig.tsi(vsi(2), 1, 70002)->vid;
  EXPECT_NE(blue, red);
  EXPECT_TRUE(rig.datapath.open(PortId(1), blue, mac(1)));
  EXPECT_TRUE(rig.datapath.open(PortId(1), red, mac(1)));
  // Both sides are told (H3): the switch whose it is, the stranger only that it is somebody's.
  const auto answer = rig.ask(rig.station(2, 2), associate(3, entry(70001, mac(1))));
  EXPECT_NE(answer->reason.find("another VSI has this MAC address"), std::string::npos);
  EXPECT_EQ(answer->reason.find(vsi(1).to_string()), std::string::npos);
  EXPECT_NE(rig.agent.refusals().back().reason.find("another VSI has this MAC address"), std::string::npos);
  ASSERT_FALSE(rig.agent.claims(rig.now).empty());
  EXPECT_NE(rig.agent.claims(rig.now).back().holder.find(vsi(1).to_string()), std::string::npos);
}

TEST(Refusal, PolicyIsCode4AndHard) {
  AgentConfig config = make_config(2);
  config.ports[0].vns = {GroupId(70002)};
  Rig rig(config);
  EXPECT_EQ(verdict(rig, associate(1, entry(70001, mac(1)))), kPolicy);
  EXPECT_TRUE(verdict(rig, associate(1, entry(70002, mac(1)))).success());
  EXPECT_TRUE(verdict(rig, associate(2, entry(70001, mac(2))), 2, 2).success());
  EXPECT_EQ(verdict(rig, associate(3, entry(70002, MacAddress()), FilterFormat::kGroupVid)), kPolicy)
      << "no MAC on a port that is not legacy";
}

TEST(Refusal, ResourcesAreCode2AndNeverHard) {
  AgentConfig config = make_config(1);
  config.ports[0].vids = {Vid(100), Vid(100)};
  config.instances_max = 3;
  config.instances_per_station_max = 2;
  Rig rig(config);
  EXPECT_TRUE(verdict(rig, associate(1, entry(70001, mac(1)))).success());
  EXPECT_EQ(verdict(rig, associate(2, entry(70002, mac(2)))), kResources) << "VID pool";
  EXPECT_EQ(rig.agent.vaps().size(), 2u);
  EXPECT_FALSE(rig.agent.vaps()[1].reason.empty()) << "the VAP stays Disconnected with the reason";
  EXPECT_EQ(rig.agent.vaps()[1].state, VapState::kDisconnected);
  EXPECT_TRUE(verdict(rig, associate(2, entry(70001, mac(2)))).success());
  EXPECT_EQ(verdict(rig, associate(3, entry(70001, mac(3)))), kResources) << "per station";
  EXPECT_TRUE(verdict(rig, associate(3, entry(70001, mac(3))), 2).success());
  EXPECT_EQ(verdict(rig, associate(4, entry(70001, mac(4))), 3), kResources) << "table";
  rig.advance(10min);
  EXPECT_TRUE(rig.agent.vaps().empty()) << "a failure is shown for a while only";
}

TEST(Refusal, MoreFloodMembersThanTheListHoldsIsCode2) {
  Rig rig(make_config(limits::kFloodLocalMax + 1));
  for (unsigned i = 1; i <= limits::kFloodLocalMax; ++i)
    ASSERT_TRUE(verdict(rig, associate(i, entry(70001, mac(i))), i, i).success()) << i;
  const unsigned last = limits::kFloodLocalMax + 1;
  EXPECT_EQ(verdict(rig, associate(last, entry(70001, mac(last))), last, last), kResources);
  EXPECT_TRUE(verdict(rig, {TlvType::kPreAssociate, vsi(last), {entry(70001, mac(last))}}, last, last).success())
      << "a reservation takes no place";
  EXPECT_TRUE(verdict(rig, associate(500, entry(70001, mac(500))), 1, 1).success()) << "a port that has its place";
  EXPECT_EQ(rig.datapath.domains.at(DomainId(70001)).local.size(), limits::kFloodLocalMax);
}

TEST(Refusal, KeepIsSaidWhenTheVsiIsThere) {
  Rig rig(make_config(1));
  rig.station(1).shows->flags = vdp::Flags();
  verdict(rig, associate(1, entry(70001, mac(1))));
  EXPECT_EQ(verdict(rig, associate(1, entry(99, mac(1)))), (ResponseStatus{Code::kInvalidAddress, true, true}));
  EXPECT_EQ(verdict(rig, {TlvType::kDeAssociate, vsi(1), {entry(70001, mac(1), 4000)}}),
            (ResponseStatus{Code::kInvalidAddress, true, true}))
      << "a De-Associate with another VID";
  EXPECT_EQ(verdict(rig, {TlvType::kPreAssociateRr, vsi(1), {entry(70001, mac(1))}}),
            (ResponseStatus{Code::kOther, true, false}))
      << "Pre-Associate on an active entry";
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
  EXPECT_FALSE(rig.tsi(vsi(1))->last_refusal.empty());
}

TEST(Refusal, AMalformedTlvIsCode1) {
  Rig rig(make_config(1));
  Station& host = rig.station(1);
  OctetString octets = vdpdu({associate(1, entry(70001, mac(1)))});
  octets[18 + 2 + 22] = 9;  // the filter format
  rig.send_octets(host, octets);
  rig.run();
  EXPECT_EQ(host.acked, 1u);
  ASSERT_EQ(rig.agent.peers().size(), 1u);
  EXPECT_EQ(rig.agent.peers()[0].refused, 1u);
  EXPECT_EQ(host.raw.size(), 2u);
  EXPECT_EQ(host.raw[1].at(14 + 4 + 18 + 2) & 0x4F, 0x41);
  EXPECT_EQ(rig.tsis(), 0u);
}

TEST(Legacy, EntriesWithoutMacOpenThePortAndVnAsAWhole) {
  AgentConfig config = make_config(1);
  config.ports[0].legacy = true;
  config.ports[0].static_vids = {{Vid(300), GroupId(70002)}};
  config.types.push_back({ManagerId{}, VsiType{7, 1}, GroupId(70001)});
  Rig rig(config);
  Tlv by_group = associate(1, entry(70001, MacAddress()), FilterFormat::kGroupVid);
  ASSERT_TRUE(verdict(rig, by_group).success());
  const Vid vid = rig.tsi(vsi(1))->vid;
  EXPECT_FALSE(rig.tsi(vsi(1))->guarded);
  EXPECT_TRUE(rig.datapath.open(PortId(1), vid, mac(77)));
  Tlv by_type = associate(2, entry(0, MacAddress()), FilterFormat::kVid);
  by_type.type = {7, 1};
  ASSERT_TRUE(verdict(rig, by_type).success());
  EXPECT_EQ(rig.tsi(vsi(2))->vid, vid);
  Tlv by_vid = associate(3, entry(0, MacAddress(), 300), FilterFormat::kVid);
  ASSERT_TRUE(verdict(rig, by_vid).success());
  EXPECT_TRUE(rig.tsi(vsi(3), 1, 70002));
  Tlv mac_by_vid = associate(4, entry(0, mac(4), 300), FilterFormat::kMacVid);
  ASSERT_TRUE(verdict(rig, mac_by_vid).success());
  EXPECT_EQ(rig.authority.rows().size(), 1u) << "only a MAC is an address";
  EXPECT_TRUE(rig.consistent());
  verdict(rig, {TlvType::kDeAssociate, vsi(1), {}});
  EXPECT_TRUE(rig.datapath.open(PortId(1), vid, mac(77))) << "the second still holds it open";
  verdict(rig, {TlvType::kDeAssociate, vsi(2), {}});
  EXPECT_FALSE(rig.datapath.open(PortId(1), vid, mac(77)));
  EXPECT_TRUE(rig.consistent());
}

}  // namespace
}  // namespace splitnve::nnved::test
