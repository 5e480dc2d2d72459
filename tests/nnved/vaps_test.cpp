// SPDX-License-Identifier: Apache-2.0
// VAPs as stations, ports and segments make them: how many there are, what a failure leaves, whose tags they share (B1,
// B4, B7).
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::TlvType;
using Vns = std::multiset<std::uint32_t>;

Tlv command(TlvType type, unsigned n, std::uint32_t vn) { return {type, vsi(n), {entry(vn, mac(n))}}; }
Tlv associate(unsigned n, std::uint32_t vn) { return command(TlvType::kAssociate, n, vn); }

Vns connected_at(const Rig& rig, unsigned port) {
  Vns vns;
  for (const VapView& vap : rig.agent.vaps())
    if (vap.port == PortId(port) && vap.state == VapState::kConnected) vns.insert(vap.vn.value());
  return vns;
}

TEST(Vaps, AreAsManyAsTheVnsOfThePortAndGoneAfterTheDisconnect) {
  AgentConfig config = make_config(2);
  config.vns.push_back({GroupId(70003), "green", "", 1003, {}});
  config.vns.push_back({GroupId(70004), "grey", "", 1004, {}});
  Rig rig(config);
  Station &here = rig.station(1, 1), &there = rig.station(2, 2);
  rig.ask(here, associate(1, 70001));
  rig.ask(here, associate(2, 70001));
  rig.ask(here, associate(3, 70002));
  rig.ask(here, associate(4, 70003));
  rig.ask(there, associate(5, 70001));
  ASSERT_TRUE(rig.ask_vn(here, vdp::VnRequest::Operation::kConnect, 70004));
  EXPECT_EQ(connected_at(rig, 1), (Vns{70001, 70002, 70003, 70004}));
  EXPECT_EQ(connected_at(rig, 2), Vns{70001});
  EXPECT_EQ(rig.agent.vaps().size(), 5u);

  rig.ask(here, command(TlvType::kDeAssociate, 3, 70002));
  rig.ask(here, command(TlvType::kDeAssociate, 1, 70001));
  ASSERT_TRUE(rig.ask_vn(here, vdp::VnRequest::Operation::kDisconnect, 70004));
  EXPECT_EQ(connected_at(rig, 1), (Vns{70001, 70003})) << "one of two TSIs is left in 70001";
  rig.ask(here, command(TlvType::kDeAssociate, 2, 70001));
  rig.ask(here, command(TlvType::kDeAssociate, 4, 70003));
  EXPECT_EQ(connected_at(rig, 2), Vns{70001});
  EXPECT_EQ(rig.agent.vaps().size(), 1u) << "none is left at the first port, disconnected ones included";
}

/// The VN's VAP at the only port is Disconnected and says why, the station is told code and cause, and nothing is left.
void expect_failed(Rig& rig, const std::optional<Tlv>& answer, std::uint32_t vn, Code code, const std::string& cause) {
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response().code, code);
  EXPECT_NE(answer->reason.find(cause), std::string::npos) << answer->reason;
  EXPECT_NE(rig.agent.refusals().back().reason.find(cause), std::string::npos);
  unsigned found = 0;
  for (const VapView& vap : rig.agent.vaps()) {
    if (vap.vn != GroupId(vn)) continue;
    ++found;
    EXPECT_EQ(vap.state, VapState::kDisconnected);
    EXPECT_TRUE(vap.local_tag.is_null());
    EXPECT_NE(vap.reason.find(cause), std::string::npos) << vap.reason;
  }
  EXPECT_EQ(found, 1u);
  EXPECT_FALSE(rig.tsi(answer->id, 1, vn));
}

TEST(Vaps, OneWithoutATagStaysDisconnectedWithTheReason) {
  AgentConfig config = make_config(1);
  config.ports[0].vids = {Vid(100), Vid(100)};
  Rig rig(config);
  rig.ask(rig.station(1), associate(1, 70001));
  expect_failed(rig, rig.ask(rig.station(1), associate(2, 70002)), 70002, Code::kInsufficientResources,
                "no VID is free");
}

TEST(Vaps, OneThatTheAuthorityDoesNotTakeStaysDisconnectedWithTheReason) {
  Rig rig(make_config(1));
  rig.publish_error = "connection refused";
  expect_failed(rig, rig.ask(rig.station(1), associate(1, 70001)), 70001, Code::kManagerUnreachable,
                "the authority did not take the address");
}

TEST(Vaps, PortsOfOneSegmentNeverGiveOneTagToTwoVns) {
  AgentConfig config = make_config(3);
  for (PortConfig& port : config.ports) port.vids = {Vid(100), Vid(109)};
  config.ports[0].segment = config.ports[1].segment = "joined";
  Rig rig(config);
  const auto tag = [&rig](unsigned station, unsigned port, unsigned n, std::uint32_t vn) {
    const auto answer = rig.ask(rig.station(station, port), associate(n, vn));
    EXPECT_TRUE(answer && answer->response().success());
    return answer ? answer->entries.at(0).vid : Vid();
  };
  const Vid blue = tag(1, 1, 1, 70001);
  const Vid red = tag(2, 2, 2, 70002);
  EXPECT_NE(red, blue) << "another VN at another port of the segment";
  EXPECT_EQ(tag(3, 1, 3, 70001), blue) << "another host at the same port";
  EXPECT_EQ(tag(2, 2, 4, 70001), blue) << "the same VN at the other port";
  EXPECT_EQ(tag(1, 1, 5, 70002), red);
  EXPECT_EQ(tag(4, 3, 6, 70002), blue) << "a port of its own begins with the same VID, for another VN";
}

}  // namespace
}  // namespace splitnve::nnved::test
