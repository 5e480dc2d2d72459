// SPDX-License-Identifier: Apache-2.0
// Connectivity that is gained and lost is one record each (F5), beside those of TSIs (tsi_machine_test.cpp) and VAPs
// (vap_machine_test.cpp).
#include <gtest/gtest.h>

#include "rig.hpp"

namespace splitnve::nnved::test {
namespace {

using vdp::TlvType;

const Tlv kBlue{TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}};

/// What became of a machine's subjects, as `from>to`, in order; `names` must stand in each subject.
std::vector<std::string> steps(const Rig& rig, const std::string& machine, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const agent::Transition& one : rig.transitions) {
    if (machine != one.machine) continue;
    const std::string subject = to_string(one.subject);
    for (const std::string& name : names) EXPECT_NE(subject.find(name), std::string::npos) << machine << " " << subject;
    EXPECT_FALSE(one.reason.empty()) << machine;
    out.push_back(std::string(one.from) + ">" + one.to);
  }
  return out;
}
using Steps = std::vector<std::string>;

struct Transitions : testing::Test {
  Transitions() : rig(make_config(1)), station(rig.station(1)) {
    EXPECT_TRUE(rig.ask(station, kBlue)->response().success());
  }
  Steps peer() const { return steps(rig, "peer", {"port p1", "station " + station.address.to_string()}); }
  Steps link() const { return steps(rig, "port", {"port p1"}); }
  Steps vap() const { return steps(rig, "vap", {"port p1", "vn 70001"}); }
  Rig rig;
  Station& station;
};

TEST_F(Transitions, AStationIsGainedByItsFirstFrameAndLostWithTheLink) {
  EXPECT_EQ(peer(), (Steps{"Unknown>Known", "Known>Capable"}));
  EXPECT_EQ(vap(), Steps{"Disconnected>Connected"});
  EXPECT_TRUE(link().empty());
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.run();
  EXPECT_EQ(link(), Steps{"Up>Down"});
  EXPECT_EQ(peer().size(), 2u) << "it may come back within the hold time";
  rig.advance(10s);
  EXPECT_EQ(peer(), (Steps{"Unknown>Known", "Known>Capable", "Known>Unknown"}));
  EXPECT_EQ(vap(), (Steps{"Disconnected>Connected", "Connected>Disconnected"}));
  rig.agent.handle_link(PortId(1), true, rig.now);
  rig.run();
  EXPECT_EQ(link(), (Steps{"Up>Down", "Down>Up"}));
  rig.ask(station, kBlue);
  EXPECT_EQ(peer().size(), 5u) << "known and capable again";
  EXPECT_EQ(vap().size(), 3u);
}

TEST_F(Transitions, AStationThatFallsSilentIsLost) {
  station.acks = false;
  rig.advance(5min);
  EXPECT_EQ(peer(), (Steps{"Unknown>Known", "Known>Capable", "Known>Unknown"}));
  EXPECT_EQ(vap(), (Steps{"Disconnected>Connected", "Connected>Disconnected"}));
  EXPECT_TRUE(link().empty());
}

TEST_F(Transitions, WhatChangesNothingIsNoRecord) {
  const std::size_t before = rig.transitions.size();
  rig.ask(station, kBlue);
  rig.agent.handle_link(PortId(1), true, rig.now);
  rig.run();
  EXPECT_EQ(rig.transitions.size(), before);
}

}  // namespace
}  // namespace splitnve::nnved::test
