// SPDX-License-Identifier: Apache-2.0
// EVB at the switch: what a station announces decides the timers of its port.
#include <gtest/gtest.h>

#include <algorithm>

#include "rig.hpp"
#include "support/lldp.hpp"

namespace splitnve::nnved::test {
namespace {

using splitnve::test::evb_frame;

AgentConfig with_evb(unsigned ports) {
  auto config = make_config(ports);
  for (auto& port : config.ports) port.evb = true;
  config.vdp.keepalive_exponent = 16;  // 655 ms; an entry lives for about a second
  return config;
}
struct EvbRig : Rig {
  explicit EvbRig(AgentConfig config = with_evb(2)) : Rig(std::move(config)) {
    for (unsigned i = 1; i <= 2; ++i) agent.handle_link(PortId(i), true, now);
    advance(5s);
    lldp.clear();
  }
  void hear(const OctetString& frame, unsigned port = 1) {
    agent.handle_frame(PortId(port), frame, now);
    run();
  }
  const evb::Machine& machine(unsigned port = 1) const { return *agent.evb().at(port - 1).machine; }
  static OctetString frame_of_station(const evb::Parameters& values, std::uint16_t ttl = 120) {
    return evb_frame(evb::Role::kStation, station_mac(1), values, true, ttl);
  }
};
const Tlv kActivate{vdp::TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}};

TEST(SwitchEvb, EachPortAnnouncesItself) {
  Rig rig(with_evb(2));
  rig.agent.handle_link(PortId(1), true, rig.now);
  rig.agent.handle_link(PortId(2), true, rig.now);
  rig.advance(100ms);
  ASSERT_EQ(rig.lldp.size(), 2u);
  const auto first = evb::decode_lldp(rig.lldp[0]), second = evb::decode_lldp(rig.lldp[1]);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->source, port_mac(1));
  EXPECT_EQ(second->source, port_mac(2));
  EXPECT_EQ(first->chassis, second->chassis);
  EXPECT_EQ(second->port.to_string(evb::LldpId::kPortMac), "p2");
  EXPECT_EQ(first->evb->mode, 1);
  EXPECT_EQ(first->evb->bridge_status, evb::bridge_status::kGroupIds);
}

TEST(SwitchEvb, AStationsLongerKeepAliveKeepsItsEntriesAlive) {
  EvbRig rig;
  auto& station = rig.station(1);
  rig.hear(EvbRig::frame_of_station({3, 8, 20, 19}));  // 5.2 s
  ASSERT_TRUE(rig.ask(station, kActivate));
  const auto renews_something_else = [&] {
    rig.ask(station, {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
  };
  rig.advance(5s);
  renews_something_else();
  rig.advance(2s);
  EXPECT_TRUE(rig.tsi(vsi(1)));
  renews_something_else();
  rig.advance(6s);
  renews_something_else();
  rig.advance(3s);
  EXPECT_FALSE(rig.tsi(vsi(1))) << "the negotiated timeout of 7.9 s is over";
}

TEST(SwitchEvb, WithoutANeighbourTheConfiguredTimersHold) {
  EvbRig rig;
  auto& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, kActivate));
  rig.advance(2s);
  rig.ask(station, {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
  rig.advance(500ms);
  rig.ask(station, {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
  rig.advance(500ms);
  EXPECT_FALSE(rig.tsi(vsi(1)));
  EXPECT_TRUE(rig.tsi(vsi(2)));
}

TEST(SwitchEvb, WhenTheNeighbourIsGoneAgesBeginAnewWithTheShorterTimer) {
  EvbRig rig;
  auto& station = rig.station(1);
  rig.hear(EvbRig::frame_of_station({3, 8, 20, 22}));  // 42 s
  ASSERT_TRUE(rig.ask(station, kActivate));
  rig.advance(20s);
  rig.hear(EvbRig::frame_of_station({3, 8, 20, 22}, 0));
  EXPECT_FALSE(rig.machine().operational().negotiated);
  rig.advance(500ms);
  EXPECT_TRUE(rig.tsi(vsi(1)));
  ASSERT_TRUE(rig.ask(station, kActivate));
  EXPECT_TRUE(rig.tsi(vsi(1)));
}

TEST(SwitchEvb, OnlyThePortOfTheNeighbourChanges) {
  EvbRig rig;
  rig.hear(EvbRig::frame_of_station({5, 10, 22, 20}));
  EXPECT_EQ(rig.machine(1).operational().values, (evb::Parameters{5, 10, 22, 20}));
  EXPECT_EQ(rig.machine(2).operational().values, (evb::Parameters{3, 8, 20, 16}));
}

TEST(SwitchEvb, TimersBeyondOurBoundRefuseAssociationsWithAReason) {
  EvbRig rig;
  auto& station = rig.station(1);
  ASSERT_TRUE(rig.ask(station, kActivate));
  rig.hear(EvbRig::frame_of_station({3, 8, 20, 31}));
  const auto refused = rig.ask(station, {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->response().code, vdp::Code::kOther);
  EXPECT_NE(rig.agent.refusals().back().reason.find("R 3, RTE 8, RWD 20, RKA 31"), std::string::npos);
  const auto again = rig.ask(station, kActivate);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->response().success()) << "what runs is renewed";
  EXPECT_EQ(rig.tsi(vsi(1))->state, TsiState::kActivated) << "what forwards goes on";
  EXPECT_TRUE(std::any_of(rig.notices.begin(), rig.notices.end(),
                          [](const agent::Notice& notice) { return notice.id == std::string("EVB_REFUSED"); }));
  rig.hear(EvbRig::frame_of_station({3, 8, 20, 20}));
  EXPECT_TRUE(rig.ask(station, {vdp::TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})->response().success());
}

TEST(SwitchEvb, LldpOfAStrangerIsDroppedAndCounted) {
  auto config = with_evb(2);
  config.ports[0].stations = {station_mac(1)};
  EvbRig rig(config);
  rig.hear(evb_frame(evb::Role::kStation, station_mac(9), {5, 10, 22, 20}));
  EXPECT_FALSE(rig.machine().operational().negotiated);
  EXPECT_EQ(rig.dropped("station not admitted"), 1u);
  rig.hear({0x01, 0x80, 0xC2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 0x88, 0xCC, 0x02});
  EXPECT_EQ(rig.dropped("truncated LLDP TLV"), 1u);
}

TEST(SwitchEvb, APortWithEvbOffSaysNothingAndHearsNothing) {
  auto config = with_evb(2);
  config.ports[0].evb = false;
  Rig rig(config);
  rig.agent.handle_link(PortId(1), true, rig.now);
  rig.advance(60s);
  EXPECT_TRUE(rig.lldp.empty());
  rig.agent.handle_frame(PortId(1), EvbRig::frame_of_station({5, 10, 22, 20}), rig.now);
  EXPECT_EQ(rig.dropped("LLDP while EVB is off"), 1u);
}

TEST(SwitchEvb, TheEndOfTheProcessIsToldToNeighbours) {
  EvbRig rig;
  rig.agent.shut_down(rig.now);
  rig.run();
  ASSERT_EQ(rig.lldp.size(), 2u);
  for (const auto& frame : rig.lldp) EXPECT_EQ(evb::decode_lldp(frame)->ttl_seconds, 0);
}

}  // namespace
}  // namespace splitnve::nnved::test
