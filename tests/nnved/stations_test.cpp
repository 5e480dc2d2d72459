// SPDX-License-Identifier: Apache-2.0
// Several stations behind one port (D1, D2), and the forms in which they name and ask (G2, G5).
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::TlvType;

Tlv command(TlvType type, unsigned n, std::uint32_t vn = 70001) { return {type, vsi(n), {entry(vn, mac(n))}}; }
Tlv associate(unsigned n) { return command(TlvType::kAssociate, n); }

TEST(Stations, OfOnePortHaveConversationsOfTheirOwn) {
  Rig rig(make_config(1));
  for (unsigned n : {1u, 2u, 3u}) {
    ASSERT_EQ(rig.station(n).sequence, 100u) << "all begin with the same ECP sequence";
    ASSERT_TRUE(rig.ask(rig.station(n), associate(n)));
    EXPECT_EQ(rig.tsi(vsi(n))->station, station_mac(n));
  }
  ASSERT_EQ(rig.agent.peers().size(), 3u);
  for (const PeerView& peer : rig.agent.peers()) EXPECT_EQ(peer.requests, 1u);
  EXPECT_EQ(rig.dropped("duplicate"), 0u);
}

TEST(Stations, OneThatBeginsAnewLeavesTheOthersAlone) {
  Rig rig(make_config(1));
  for (unsigned n : {1u, 2u, 3u}) rig.ask(rig.station(n), associate(n));
  const auto before = rig.programs.size();
  Station& restarted = rig.station(2);
  restarted.shows->nonce[0] ^= 0xFF;
  restarted.shows->epoch = 77;
  restarted.sequence = 100;
  EXPECT_TRUE(rig.ask(restarted, command(TlvType::kDeAssociate, 2))->response().success());
  for (unsigned n : {1u, 3u}) {
    EXPECT_EQ(rig.tsi(vsi(n))->state, TsiState::kActivated);
    EXPECT_TRUE(rig.ask(rig.station(n), associate(n))->response().success());
    EXPECT_TRUE(rig.datapath.open(PortId(1), rig.tsi(vsi(n))->vid, mac(n)));
  }
  for (std::size_t i = before; i < rig.programs.size(); ++i)
    for (const auto& row : rig.programs[i].rows.fdb) EXPECT_EQ(row.mac, mac(2));
  EXPECT_FALSE(rig.tsi(vsi(2)));
  for (const PeerView& peer : rig.agent.peers()) {
    EXPECT_EQ(peer.stray_responses, 0u);
    EXPECT_EQ(peer.requests, 2u);
  }
}

// S2: both kinds of Pre-Associate reserve, as RFC 8394's Associate asks for (docs/protocol.md, deviations).
class PreAssociate : public testing::TestWithParam<TlvType> {};

TEST_P(PreAssociate, ReservesTagAndAddressAndOpensNothing) {
  AgentConfig config = make_config(1);
  config.ports[0].vids = {Vid(100), Vid(100)};
  Rig rig(config);
  Station& station = rig.station(1);
  const auto answer = rig.ask(station, command(GetParam(), 1));
  ASSERT_TRUE(answer && answer->response().success());
  EXPECT_EQ(answer->command, GetParam());
  EXPECT_EQ(answer->entries.at(0).vid, Vid(100));
  ASSERT_TRUE(rig.tsi(vsi(1)));
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated);
  EXPECT_FALSE(rig.datapath.open(PortId(1), Vid(100), mac(1)));
  EXPECT_EQ(rig.ask(station, command(TlvType::kAssociate, 2, 70002))->response().code, Code::kInsufficientResources)
      << "the last tag is reserved";
  EXPECT_EQ(rig.ask(rig.station(2), {TlvType::kAssociate, vsi(3), {entry(70001, mac(1))}})->response().code,
            Code::kInvalidAddress)
      << "so is the address";
  for (int i = 0; i < 6; ++i) {
    rig.advance(10s);
    EXPECT_TRUE(rig.ask(station, command(GetParam(), 1))->response().success()) << "repeated, it renews";
  }
  EXPECT_TRUE(rig.ask(station, associate(1))->response().success());
  EXPECT_TRUE(rig.datapath.open(PortId(1), Vid(100), mac(1)));
  EXPECT_TRUE(rig.ask(station, command(GetParam(), 1))->response().success()) << "then it deactivates";
  EXPECT_FALSE(rig.datapath.open(PortId(1), Vid(100), mac(1)));
}

INSTANTIATE_TEST_SUITE_P(BothKinds, PreAssociate, testing::Values(TlvType::kPreAssociate, TlvType::kPreAssociateRr));

TEST(VsiIds, OfEachFormatNameATsiOfTheirOwn) {
  Rig rig(make_config(1));
  Station& station = rig.station(1);
  const auto id_of = [](std::uint8_t format) {
    VsiId id = vsi(7);  // the same octets: IPv4 0.0.0.7, IPv6 ::7, MAC 00:00:00:00:00:07, local, UUID
    id.format = format;
    return id;
  };
  for (std::uint8_t format = 1; format <= 5; ++format) {
    const auto answer = rig.ask(station, {TlvType::kAssociate, id_of(format), {entry(70001, mac(format))}});
    ASSERT_TRUE(answer && answer->response().success()) << int{format};
    EXPECT_EQ(answer->id.format, format);
  }
  Rig after(make_config(1), rig.now);
  after.agent.restore(rig.stored(), after.now);
  std::set<std::string> texts;
  for (std::uint8_t format = 1; format <= 5; ++format) {
    ASSERT_TRUE(after.tsi(id_of(format))) << "restored";
    EXPECT_EQ(after.tsi(id_of(format))->addresses.at(0).mac, mac(format));
    texts.insert(id_of(format).to_string());
  }
  EXPECT_EQ(texts.size(), 5u);
  EXPECT_TRUE(rig.ask(station, {TlvType::kDeAssociate, id_of(3), {}})->response().success());
  for (std::uint8_t format = 1; format <= 5; ++format)
    EXPECT_EQ(rig.tsi(id_of(format)).has_value(), format != 3) << int{format};
}

}  // namespace
}  // namespace splitnve::nnved::test
