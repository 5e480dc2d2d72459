// SPDX-License-Identifier: Apache-2.0
// IPs of a TSI's MACs: formats 05 to 88, the guard that follows from them, store and ages (A3, D10, E4, S2, S3, S21).
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::FilterFormat;
using vdp::TlvType;

IpPrefix ip(const char* text) { return *IpPrefix::from_string(text); }

struct Ips : testing::Test {
  Ips() : rig(make_config(1)), station(rig.station(1, 1)) {}

  Tlv command(TlvType type, unsigned number, std::vector<const char*> texts, unsigned id = 1) {
    Tlv tlv{type, vsi(id), {}};
    for (const char* text : texts) {
      tlv.entries.push_back(entry(70001, mac(number)));
      tlv.entries.back().ip = ip(text);
      tlv.format = vdp::group_mac_format(ip(text));
    }
    return tlv;
  }
  Tlv of_mac(TlvType type, unsigned number) { return {type, vsi(1), {entry(70001, mac(number))}}; }
  /// Code of the answer; 255 if none came.
  unsigned ask(const Tlv& tlv) {
    const auto answer = rig.ask(station, tlv);
    if (!answer) return 255;
    EXPECT_EQ(answer->format, tlv.format);
    for (std::size_t i = 0; i < answer->entries.size(); ++i) EXPECT_EQ(answer->entries[i].ip, tlv.entries[i].ip);
    EXPECT_TRUE(rig.consistent()) << rig.difference();
    return static_cast<unsigned>(answer->response().code);
  }
  bool passes(unsigned number, const char* text) {
    const auto tsi = rig.tsi(vsi(1));
    return tsi && rig.datapath.open(PortId(1), tsi->vid, mac(number), ip(text));
  }
  std::vector<IpPrefix> shown(std::size_t address = 0) { return rig.tsi(vsi(1))->addresses.at(address).ips; }

  Rig rig;
  Station& station;
};

TEST_F(Ips, AnAssociateWithAnIpOpensTheMacForThatIpAlone) {
  EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {"192.0.2.7"})), 0u);
  EXPECT_EQ(shown(), std::vector{ip("192.0.2.7")});
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
  EXPECT_TRUE(passes(1, "192.0.2.7"));
  EXPECT_FALSE(passes(1, "192.0.2.8"));
  EXPECT_TRUE(passes(1, "2001:db8::1")) << "no address of the family was told";
}

TEST_F(Ips, EveryFormatIsTakenAndAnsweredInItself) {
  for (const char* text : {"192.0.2.7", "2001:db8::7", "198.51.100.0/24", "2001:db8:1::/64"})
    EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {text})), 0u) << text;
  EXPECT_EQ(shown().size(), 4u);
  EXPECT_TRUE(passes(1, "198.51.100.0/24"));
  EXPECT_FALSE(passes(1, "2001:db8::8"));
}

TEST_F(Ips, AnIpWithoutMacIsOfTheOnlyMacAndElseCode5) {
  Tlv alone = command(TlvType::kAssociate, 1, {"192.0.2.7"});
  alone.format = FilterFormat::kGroupIpv4Vid;
  alone.entries[0].mac = MacAddress();
  EXPECT_EQ(ask(alone), 5u) << "no MAC yet";
  EXPECT_EQ(ask(of_mac(TlvType::kAssociate, 1)), 0u);
  EXPECT_EQ(ask(alone), 0u);
  EXPECT_EQ(shown(), std::vector{ip("192.0.2.7")});
  EXPECT_EQ(ask(of_mac(TlvType::kAssociate, 2)), 0u);
  EXPECT_EQ(ask(alone), 5u) << "two MACs";
  EXPECT_EQ(rig.agent.refusals().back().reason.substr(0, 21), "an IP without MAC nee");
}

TEST_F(Ips, IpsComeAndGoWithoutTouchingTheOthers) {
  ask(command(TlvType::kAssociate, 1, {"192.0.2.7", "192.0.2.8"}));
  rig.programs.clear();
  rig.publishes.clear();
  EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {"192.0.2.9"})), 0u);
  EXPECT_TRUE(rig.publishes.empty()) << "the authority knows MACs";
  ASSERT_EQ(rig.programs.size(), 1u);
  EXPECT_EQ(rig.programs[0].rows.ips.size(), 1u);
  EXPECT_TRUE(rig.programs[0].rows.fdb.empty());
  EXPECT_EQ(ask(command(TlvType::kDeAssociate, 1, {"192.0.2.7"})), 0u);
  EXPECT_EQ(shown(), (std::vector{ip("192.0.2.9"), ip("192.0.2.8")}));
  EXPECT_FALSE(passes(1, "192.0.2.7"));
  EXPECT_TRUE(passes(1, "192.0.2.8"));
  EXPECT_EQ(ask(command(TlvType::kDeAssociate, 1, {"192.0.2.7"})), 0u) << "gone already";
}

TEST_F(Ips, AMacTakesItsIpsWithIt) {
  ask(command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  ask(command(TlvType::kAssociate, 2, {"192.0.2.7"}));
  EXPECT_EQ(ask(of_mac(TlvType::kDeAssociate, 1)), 0u);
  EXPECT_EQ(rig.datapath.ips.size(), 1u);
  EXPECT_EQ(ask({TlvType::kDeAssociate, vsi(1), {}}), 0u);
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_TRUE(rig.datapath.ips.empty());
  EXPECT_TRUE(rig.datapath.guarded.empty());
  EXPECT_TRUE(rig.store.empty());
}

TEST_F(Ips, OneIpDeactivatedStopsAlone) {
  ask(command(TlvType::kAssociate, 1, {"192.0.2.7", "192.0.2.8"}));
  EXPECT_EQ(ask(command(TlvType::kPreAssociateRr, 1, {"192.0.2.8"})), 0u);
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated);
  EXPECT_TRUE(passes(1, "192.0.2.7"));
  EXPECT_FALSE(passes(1, "192.0.2.8"));
  EXPECT_EQ(ask(command(TlvType::kPreAssociateRr, 1, {"192.0.2.7"})), 0u);
  EXPECT_FALSE(passes(1, "192.0.2.7")) << "a reserved one still closes its family";
}

TEST_F(Ips, OnesThatNoVmMayHaveAreRefusedWithCode5) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "::", "::1", "ff02::1"}) {
    EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {text})), 5u) << text;
    EXPECT_FALSE(rig.tsi(vsi(1)));
  }
}

TEST_F(Ips, APeerThatHasNotShownTheFlagIsToldCode1) {
  station.shows->flags = vdp::Flags::all().without(vdp::Flags().set(vdp::Flag::kIpFormats));
  ask(of_mac(TlvType::kAssociate, 1));
  const auto answer = rig.ask(station, command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  EXPECT_FALSE(answer) << "the answer has no entries";
  EXPECT_TRUE(rig.tsi(vsi(1))->addresses[0].ips.empty());
  EXPECT_EQ(rig.agent.peers()[0].malformed_tlvs, 1u);
}

TEST_F(Ips, AStationThatHasNotSaidAnythingYetMayHaveHeardOfUsBefore) {
  station.shows.reset();
  EXPECT_EQ(ask(of_mac(TlvType::kAssociate, 1)), 0u);  // taken for a legacy one
  EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {"192.0.2.7"})), 0u);
  EXPECT_EQ(shown().size(), 1u);
}

TEST_F(Ips, BeyondTheLimitOfATsiIsCode2AndNothingChanges) {
  for (unsigned n = 0; n < limits::kIpsPerInstanceMax; n += 16) {
    Tlv tlv = command(TlvType::kAssociate, 1, {});
    tlv.format = FilterFormat::kGroupMacIpv4Vid;
    for (unsigned i = n; i < n + 16; ++i) {
      tlv.entries.push_back(entry(70001, mac(1)));
      tlv.entries.back().ip = ip(("192.0.2." + std::to_string(i + 1)).c_str());
    }
    EXPECT_EQ(ask(tlv), 0u);
  }
  EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {"198.51.100.1"})), 2u);
  EXPECT_EQ(shown().size(), limits::kIpsPerInstanceMax);
  EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {"192.0.2.1"})), 0u) << "known ones are renewed";
}

TEST_F(Ips, ARowThatFailsRefusesTheIpAndIsTakenBack) {
  ask(of_mac(TlvType::kAssociate, 1));
  rig.ip_fails = [](const datapath::IpRow& row) { return row.present ? "table full" : ""; };
  const auto answer = rig.ask(station, command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response().code, vdp::Code::kInsufficientResources);
  EXPECT_TRUE(answer->response().keep);
  rig.ip_fails = nullptr;
  rig.advance(2s);
  EXPECT_TRUE(shown().empty());
  EXPECT_TRUE(passes(1, "192.0.2.7"));
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST_F(Ips, TheyOutliveARestart) {
  ask(command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  ask(command(TlvType::kPreAssociateRr, 2, {"2001:db8::/64"}));
  const auto rows = rig.agent.desired_rows();
  Rig again(make_config(1));
  EXPECT_EQ(again.agent.restore(rig.stored(), again.now), 0u);
  EXPECT_EQ(again.agent.desired_rows().ips, rows.ips);
  EXPECT_EQ(again.agent.desired_rows().guards, rows.guards);
  EXPECT_EQ(again.tsi(vsi(1))->addresses.at(1).ips, std::vector{ip("2001:db8::/64")});
}

TEST_F(Ips, OneThatIsNotRenewedAgesAlone) {
  ask(command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  ask(command(TlvType::kAssociate, 1, {"2001:db8::7"}));
  for (unsigned n = 0; n < 10; ++n) {
    rig.advance(5s);
    ask(command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  }
  EXPECT_EQ(shown(), std::vector{ip("192.0.2.7")}) << "its MAC is renewed with it";
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST_F(Ips, ADeactivatedMacKeepsThemReservedAndNoFormatOpensItBeforeTheRelease) {
  ask(command(TlvType::kAssociate, 1, {"192.0.2.7"}));
  station.received.clear();
  ASSERT_TRUE(rig.agent.deactivate_tsi(rig.tsi(vsi(1))->instance, std::vector{mac(1)}, "noisy", rig.now));
  rig.run();
  ASSERT_EQ(station.received.size(), 1u);
  EXPECT_EQ(station.received[0].format, FilterFormat::kGroupMacVid) << "its IPs go with it";
  EXPECT_EQ(station.received[0].entries.size(), 1u);
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kAssociated);
  EXPECT_EQ(shown(), std::vector{ip("192.0.2.7")});
  EXPECT_TRUE(rig.datapath.ips.empty());
  Tlv alone = command(TlvType::kAssociate, 1, {"192.0.2.7"});
  alone.format = FilterFormat::kGroupIpv4Vid;
  alone.entries[0].mac = MacAddress();
  EXPECT_EQ(ask(alone), 4u);
  EXPECT_EQ(ask(command(TlvType::kAssociate, 1, {"192.0.2.7"})), 4u);
  EXPECT_EQ(ask(command(TlvType::kPreAssociateRr, 1, {"192.0.2.7"})), 0u);
  ASSERT_TRUE(rig.agent.release_tsi(vsi(1), GroupId(70001), rig.now));
  EXPECT_EQ(ask(alone), 0u);
  EXPECT_TRUE(passes(1, "192.0.2.7"));
}

TEST_F(Ips, IpsOfOneMacShareItsVidAndOnlyRepeatedOnesGetSeveral) {
  const auto two = rig.ask(station, command(TlvType::kAssociate, 1, {"192.0.2.7", "192.0.2.8"}));
  ASSERT_TRUE(two && two->entries.size() == 2);
  EXPECT_EQ(two->entries[0].vid, two->entries[1].vid);
  const auto repeated = rig.ask(station, command(TlvType::kAssociate, 1, {"192.0.2.7", "192.0.2.7"}));
  ASSERT_TRUE(repeated && repeated->entries.size() == 2);
  EXPECT_NE(repeated->entries[0].vid, repeated->entries[1].vid);
  for (const auto& entry : repeated->entries)
    EXPECT_TRUE(rig.datapath.open(PortId(1), entry.vid, mac(1), ip("192.0.2.7")));
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

TEST_F(Ips, ADeAssociateCancelsThePendingAssociateOfTheSameIpOnly) {
  ask(of_mac(TlvType::kAssociate, 1));
  rig.hold_program = true;
  rig.send(station, {command(TlvType::kAssociate, 1, {"192.0.2.7"})});
  station.received.clear();
  rig.send(station, {command(TlvType::kDeAssociate, 1, {"192.0.2.7"})});
  ASSERT_GE(station.received.size(), 1u);
  EXPECT_EQ(station.received[0].response().code, vdp::Code::kOther);
  EXPECT_TRUE(shown().empty());
}

}  // namespace
}  // namespace splitnve::nnved::test
