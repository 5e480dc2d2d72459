// SPDX-License-Identifier: Apache-2.0
// Two nNVEs on one segment, frame by frame.
#include <gtest/gtest.h>

#include "agent/announcement.hpp"
#include "nnved/agent.hpp"

namespace splitnve::nnved {
namespace {

using namespace std::chrono_literals;
constexpr Instant kStart{1h};

AgentConfig config(std::uint8_t system, std::uint16_t first, std::uint16_t last) {
  AgentConfig out;
  out.system[0] = system;
  out.announces = true;
  PortConfig port;
  port.id = PortId(1);
  port.interface_name = port.segment = "p1";
  port.mac = MacAddress(0x020000000200ull + system);
  port.vids = {Vid(first), Vid(last)};
  out.ports.push_back(port);
  return out;
}

struct Said {
  std::vector<OctetString> frames;
  std::vector<std::string> notices;
};
Said drain(Agent& agent) {
  Said said;
  while (auto effect = agent.poll_effect()) {
    if (const auto* transmit = std::get_if<agent::Transmit>(&*effect)) said.frames.push_back(transmit->frame);
    if (const auto* notice = std::get_if<agent::Notice>(&*effect)) said.notices.emplace_back(notice->id);
  }
  return said;
}
Said hear(Agent& agent, const std::vector<OctetString>& frames, Instant now) {
  for (const OctetString& frame : frames) agent.handle_frame(PortId(1), frame, now);
  agent.handle_time(now);
  return drain(agent);
}

TEST(Announce, GoesToTheLinksGroupAndToOneThatBridgesPass) {
  Agent agent(config(1, 100, 199), 1);
  ASSERT_TRUE(agent.next_deadline());
  EXPECT_LT(*agent.next_deadline(), kStart) << "not when something else happens";
  agent.handle_time(kStart);
  const Said said = drain(agent);
  ASSERT_EQ(said.frames.size(), 2u);
  for (const OctetString& octets : said.frames) {
    const auto frame = ecp::decode_frame(octets);
    ASSERT_TRUE(frame);
    EXPECT_TRUE(agent::is_announcement(*frame)) << "whoever does not know it must not answer";
    const auto shown = agent::bridge_capabilities(*frame);
    ASSERT_TRUE(shown);
    EXPECT_EQ(shown->vids.front().first, Vid(100));
    EXPECT_EQ(shown->vids.front().last, Vid(199));
  }
  EXPECT_EQ(ecp::decode_frame(said.frames[0])->destination, ecp::kNearestCustomerBridge);
  EXPECT_EQ(ecp::decode_frame(said.frames[1])->destination, agent::kDefaultGroup);
}

TEST(Announce, BothOfTwoWithTheSameVidsFindOutAndNoPeerIsMade) {
  Agent one(config(1, 100, 199), 1), two(config(2, 150, 250), 2);
  one.handle_time(kStart);
  drain(one);  // nobody is there yet
  two.handle_time(kStart + 10s);
  const Said answer = hear(one, drain(two).frames, kStart + 10s);
  EXPECT_EQ(answer.frames.size(), 2u) << "whoever is new is told at once";
  EXPECT_EQ(answer.notices, std::vector<std::string>{"SEGMENT_CONFLICT"});
  const Said reply = hear(two, answer.frames, kStart + 10s);
  EXPECT_EQ(reply.notices, std::vector<std::string>{"SEGMENT_CONFLICT"});
  for (const Agent* agent : {&one, &two}) {
    EXPECT_EQ(agent->ports().front().segment_state, "vid_overlap");
    EXPECT_EQ(agent->ports().front().other_bridges, 1u);
    EXPECT_TRUE(agent->peers().empty());
  }
}

TEST(Announce, DisjointVidsAreNoNews) {
  Agent one(config(1, 100, 199), 1), two(config(2, 200, 299), 2);
  two.handle_time(kStart);
  const Said said = hear(one, drain(two).frames, kStart);
  EXPECT_TRUE(said.notices.empty());
  EXPECT_EQ(one.ports().front().segment_state, "open");
}

}  // namespace
}  // namespace splitnve::nnved
