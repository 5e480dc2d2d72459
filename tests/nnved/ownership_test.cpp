// SPDX-License-Identifier: Apache-2.0
// S6: an address belongs to the VSI that holds it, and moves only if that is signalled and both places let it.
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::Code;
using vdp::ResponseStatus;
using vdp::TlvType;

constexpr std::uint32_t kBlue = 70001, kRed = 70002;
constexpr ResponseStatus kTaken{Code::kInvalidAddress, false, true};
constexpr ResponseStatus kNotLet{Code::kOther, false, false};

Tlv claim(TlvType type, unsigned vsi_number, unsigned mac_number, std::uint8_t status = 0) {
  return {type, vsi(vsi_number), {entry(kBlue, mac(mac_number))}, status};
}
Tlv claim_ip(TlvType type, unsigned n, const char* text, std::uint32_t vn = kBlue) {
  vdp::FilterEntry one = entry(vn, mac(n));
  one.ip = *IpPrefix::from_string(text);
  Tlv tlv{type, vsi(n), {one}};
  tlv.format = vdp::group_mac_format(one.ip);
  return tlv;
}
AgentConfig plain(unsigned ports) {
  AgentConfig config = make_config(ports);
  for (auto& port : config.ports) port.direct = false;
  return config;
}

struct OwnedIps : testing::Test {
  Rig rig{make_config(2)};
  Station& first = rig.station(1, 1);
  Station& second = rig.station(2, 2);
  ResponseStatus claims(Station& who, const Tlv& tlv) { return rig.ask(who, tlv)->response(); }
};

TEST_F(OwnedIps, ASecondVsiGetsNoIpThatIsReservedOrActiveAndIsNamed) {
  ASSERT_TRUE(claims(first, claim_ip(TlvType::kPreAssociateRr, 1, "10.0.0.7")).success());
  EXPECT_EQ(claims(second, claim_ip(TlvType::kPreAssociateRr, 2, "10.0.0.7")), kTaken);
  ASSERT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, "10.0.0.7")).success());
  EXPECT_EQ(claims(second, claim_ip(TlvType::kAssociate, 2, "10.0.0.7")), kTaken);
  EXPECT_TRUE(claims(second, claim_ip(TlvType::kAssociate, 3, "10.0.0.7", kRed)).success()) << "another VN";
  ASSERT_FALSE(rig.agent.refusals().empty());
  EXPECT_NE(rig.agent.refusals().back().reason.find("10.0.0.7 is held by VSI " + vsi(1).to_string()),
            std::string::npos);
  ASSERT_EQ(rig.agent.claims(rig.now).size(), 1u);
  EXPECT_EQ(rig.agent.claims(rig.now)[0].address, "10.0.0.7");
  EXPECT_EQ(rig.agent.claims(rig.now + 11min).size(), 0u);
  EXPECT_EQ(second.received.back().reason.find("held by"), std::string::npos) << "not the stranger's to know";
}

TEST_F(OwnedIps, OverlappingPrefixesOfTwoVsisAreRefusedEitherWay) {
  ASSERT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, "10.0.0.16/28")).success());
  for (const char* text : {"10.0.0.16", "10.0.0.31", "10.0.0.16/30", "10.0.0.0/24"})
    EXPECT_EQ(claims(second, claim_ip(TlvType::kAssociate, 2, text)), kTaken) << text;
  for (const char* text : {"10.0.0.15", "10.0.0.32", "10.0.0.32/28"})
    EXPECT_TRUE(claims(second, claim_ip(TlvType::kAssociate, 2, text)).success()) << text;
  EXPECT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, "10.0.0.17")).success()) << "its own";
  EXPECT_TRUE(rig.consistent());
}

TEST_F(OwnedIps, TheNameOfTheVsiAloneTakesNoIpToAnotherPlace) {
  ASSERT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, "10.0.0.7")).success());
  Tlv under_another_mac = claim_ip(TlvType::kAssociate, 1, "10.0.0.7");
  under_another_mac.entries.front().mac = mac(9);
  for (const std::uint8_t status : {std::uint8_t{0}, vdp::kStatusMigrating}) {
    under_another_mac.status = status;
    EXPECT_EQ(claims(second, under_another_mac), kTaken) << unsigned{status};
  }
  Tlv around = under_another_mac;
  around.entries.front().ip = *IpPrefix::from_string("10.0.0.0/24");
  around.format = vdp::group_mac_format(around.entries.front().ip);
  EXPECT_EQ(claims(second, around), kTaken);
  Tlv here = under_another_mac;
  here.status = 0;
  EXPECT_TRUE(claims(first, here).success()) << "where it is, a VM may have an IP under two of its MACs";
}

TEST_F(OwnedIps, ALinkLocalAddressByEui64GoesWithItsMac) {
  const char* of_mac_1 = "fe80::aa:ff:fe00:1";  // of mac(1)
  EXPECT_EQ(claims(second, claim_ip(TlvType::kAssociate, 2, of_mac_1)), kTaken);
  EXPECT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, of_mac_1)).success());
  EXPECT_TRUE(claims(second, claim_ip(TlvType::kAssociate, 2, "fe80::2")).success()) << "of no MAC";
  EXPECT_FALSE(claims(second, claim_ip(TlvType::kAssociate, 2, "fe80::/64")).success()) << "everybody's";
}

TEST_F(OwnedIps, WhatIsGivenBackIsFree) {
  ASSERT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, "2001:db8::/64")).success());
  EXPECT_EQ(claims(second, claim_ip(TlvType::kAssociate, 2, "2001:db8::5")), kTaken);
  ASSERT_TRUE(claims(first, claim(TlvType::kDeAssociate, 1, 1)).success());
  EXPECT_TRUE(claims(second, claim_ip(TlvType::kAssociate, 2, "2001:db8::5")).success());
}

TEST_F(OwnedIps, TheVsiKeepsItsIpsWhenItMoves) {
  ASSERT_TRUE(claims(first, claim_ip(TlvType::kAssociate, 1, "10.0.0.7")).success());
  Tlv moved = claim_ip(TlvType::kAssociate, 1, "10.0.0.7");
  moved.status = vdp::kStatusMigrating;
  EXPECT_TRUE(claims(second, moved).success());
  EXPECT_TRUE(rig.consistent());
}

TEST(ReservedAddresses, AreNobodysToClaim) {
  AgentConfig config = make_config(2);
  config.vns[0].reserved_ips = {*IpPrefix::from_string("10.0.0.1"), *IpPrefix::from_string("2001:db8::1")};
  config.remotes.push_back({GroupId(kBlue), mac(40), *datapath::UnderlayAddress::from_string("192.0.2.2")});
  Rig rig(std::move(config));
  Station& station = rig.station(1, 1);
  const auto asks = [&](const Tlv& tlv) { return rig.ask(station, tlv)->response(); };
  for (const char* text : {"10.0.0.1", "10.0.0.0/24", "2001:db8::1", "10.0.0.0/23", "2001:db8::/63"})
    EXPECT_EQ(asks(claim_ip(TlvType::kAssociate, 1, text)), kTaken) << text;
  EXPECT_EQ(asks(claim(TlvType::kPreAssociateRr, 4, 40)), kTaken) << "the configuration places it elsewhere";
  for (const MacAddress& address : {port_mac(1), port_mac(2), MacAddress(0x00005E000101), MacAddress(0x00005E000207),
                                    MacAddress(0x00000C07AC01), MacAddress(0x0007B4000102)})
    EXPECT_EQ(asks({TlvType::kAssociate, vsi(5), {entry(kBlue, address)}}), kTaken) << address.to_string();
}

TEST(ReservedAddresses, WhatBecomesThePortsOwnIsTakenFromTheTsi) {
  Rig rig(make_config(2));
  Station& station = rig.station(1, 1);
  ASSERT_TRUE(rig.ask(station, claim(TlvType::kAssociate, 1, 1))->response().success());
  rig.agent.handle_port_mac(PortId(2), mac(1), rig.now);
  rig.run();
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_EQ(rig.ask(station, claim(TlvType::kAssociate, 1, 1))->response(), kTaken);
  EXPECT_TRUE(rig.consistent());
}

/// The VSI runs at station 1 of port 1; another place says that it arrives there.
struct Takeovers : testing::Test {
  void build(AgentConfig config) {
    rig.emplace(std::move(config));
    ASSERT_TRUE(rig->ask(rig->station(1, 1), claim(TlvType::kAssociate, 1, 1))->response().success());
  }
  ResponseStatus taken_by(unsigned station, unsigned port) {
    return rig->ask(rig->station(station, port), claim(TlvType::kAssociate, 1, 1, vdp::kStatusMigrating))->response();
  }
  std::optional<Rig> rig;
};

TEST_F(Takeovers, FromAPlainPortGoToTheSamePortOnly) {
  build(plain(2));
  EXPECT_EQ(taken_by(2, 2), kNotLet);
  EXPECT_EQ(rig->ask(rig->station(2, 2), claim(TlvType::kPreAssociateRr, 1, 1))->response(), kNotLet);
  EXPECT_TRUE(taken_by(3, 1).success());
  EXPECT_EQ(rig->agent.claims(rig->now).size(), 1u);
}

TEST_F(Takeovers, OfDirectPortsEndWhereAnotherStationIsHeard) {
  AgentConfig config = make_config(2);
  config.announces = true;
  for (PortConfig& port : config.ports) port.direct = port.vids_given = true;
  build(std::move(config));
  for (unsigned n = 0; n < 2; ++n) rig->ask(rig->station(3, 2), claim(TlvType::kAssociate, 5, 5));
  EXPECT_TRUE(rig->agent.ports()[1].direct);
  for (unsigned n = 0; n < 2; ++n) rig->ask(rig->station(2, 2), claim(TlvType::kAssociate, 6, 6));
  EXPECT_FALSE(rig->agent.ports()[1].direct) << "two stations";
  EXPECT_EQ(taken_by(2, 2), kNotLet);
  EXPECT_EQ(rig->tsi(vsi(1), 1)->state, TsiState::kActivated);
}

TEST_F(Takeovers, NeedTheConsentOfBothPorts) {
  AgentConfig config = plain(2);
  config.ports[1].direct = true;
  build(std::move(config));
  EXPECT_EQ(taken_by(2, 2), kNotLet) << "the place that it is taken from lists nobody";
  config = plain(2);
  config.ports[0].takeover = Takeover::kAny;
  build(std::move(config));
  EXPECT_EQ(taken_by(2, 2), kNotLet) << "the place that it is taken to lists nobody";
  config = plain(2);
  for (auto& port : config.ports) port.takeover_stations = {station_mac(2)};
  build(std::move(config));
  EXPECT_EQ(taken_by(3, 2), kNotLet);
  EXPECT_TRUE(taken_by(2, 2).success());
  config = plain(2);
  for (auto& port : config.ports) port.direct = true;
  config.ports[0].takeover = Takeover::kAuthenticated;
  build(std::move(config));
  EXPECT_EQ(taken_by(2, 2), kNotLet);
  EXPECT_EQ(taken_by(3, 1), kNotLet);
}

TEST_F(Takeovers, AreSignalledByPreAssociateOnlyFromStationsThatKnowNothingElse) {
  build(make_config(2));
  Station& capable = rig->station(2, 2);
  ASSERT_TRUE(rig->ask(capable, claim(TlvType::kPreAssociateRr, 1, 1))->response().success());
  EXPECT_EQ(rig->ask(capable, claim(TlvType::kAssociate, 1, 1))->response(),
            (ResponseStatus{Code::kOther, true, false}));
  Station& legacy = rig->station(3, 2);
  legacy.shows.reset();
  EXPECT_EQ(rig->ask(legacy, claim(TlvType::kAssociate, 1, 1))->response(), kNotLet) << "a bare Associate says nothing";
  ASSERT_TRUE(rig->ask(legacy, claim(TlvType::kPreAssociateRr, 1, 1))->response().success());
  EXPECT_TRUE(rig->ask(legacy, claim(TlvType::kAssociate, 1, 1))->response().success());
}

TEST_F(Takeovers, ToAndFroEndWithTheAddressWhereItIs) {
  build(make_config(2));
  unsigned moves = 0;
  ResponseStatus last;
  for (unsigned n = 0; n < 12; ++n) {
    const unsigned to = n % 2 == 0 ? 2 : 1;
    rig->ask(rig->station(to, to), claim(TlvType::kDeAssociate, 1, 1));  // or it would be superseded for good
    last = taken_by(to, to);
    if (!last.success()) break;
    ++moves;
  }
  EXPECT_EQ(moves, limits::kContestedTakeoversMax);
  EXPECT_EQ(last, kNotLet);
  unsigned alarms = 0;
  for (const auto& notice : rig->notices) alarms += notice.id == std::string("nnved.takeover_contested") ? 1 : 0;
  EXPECT_EQ(alarms, 1u);
  rig->now += limits::kContestWindow;
  EXPECT_TRUE(taken_by(1, 1).success() || taken_by(2, 2).success()) << "a new minute";
}

TEST(LegacyStation, ARefusedAssociateEndsTheVsiThatItWouldRaise) {
  Rig rig(make_config(2));
  ASSERT_TRUE(rig.ask(rig.station(1, 1), claim(TlvType::kAssociate, 1, 1))->response().success());
  Station& legacy = rig.station(2, 2);
  legacy.shows.reset();
  ASSERT_TRUE(rig.ask(legacy, claim(TlvType::kPreAssociateRr, 2, 2))->response().success());
  Tlv raise = claim(TlvType::kAssociate, 2, 2);
  raise.entries.push_back(entry(kBlue, mac(1)));  // somebody else's
  const auto answer = rig.ask(legacy, raise)->response();
  EXPECT_EQ(answer, kTaken) << "it would take KEEP for success";
  EXPECT_FALSE(rig.tsi(vsi(2), 2));
  ASSERT_TRUE(rig.ask(legacy, claim(TlvType::kAssociate, 2, 2))->response().success());
  EXPECT_EQ(rig.ask(legacy, raise)->response(), (ResponseStatus{Code::kInvalidAddress, true, true}));
  EXPECT_TRUE(rig.tsi(vsi(2), 2)) << "one that runs is kept";
  EXPECT_TRUE(rig.consistent());
}

}  // namespace
}  // namespace splitnve::nnved::test
