// SPDX-License-Identifier: Apache-2.0
// nNVEs behind bridges, found by a group address and spoken to by their own (S17, E2).
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

constexpr MacAddress kGroup(0x03534E000001u);

struct Segment : Bench {
  explicit Segment(bool quiet = false) : Bench([](AgentConfig& how) { how.uplinks[0].discovery = kGroup; }) {
    speaks_to = config.uplinks[0].mac;
    silent = quiet;
    asked_at.clear();
    restart();
  }
  std::size_t asked(MacAddress where) const {
    return static_cast<std::size_t>(std::count(asked_at.begin(), asked_at.end(), where));
  }
  std::size_t seen(const char* drop) const {
    for (const auto& [name, count] : agent->frame_drops())
      if (name == drop) return count;
    return 0;
  }
};

TEST(AgentDiscovery, CapabilitiesGoToTheGroupAndRequestsToTheNnveThatAnswered) {
  Segment bench;
  EXPECT_EQ(bench.asked(kGroup), 1u);
  EXPECT_EQ(bench.agent->peers()[0].nnve, bench.nnve_mac);
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  bench.run(hours(1));
  EXPECT_EQ(bench.asked(kGroup), 1u);
  EXPECT_EQ(bench.asked(bench.nnve_mac), bench.asked_at.size() - 1);
}

TEST(AgentDiscovery, NoRequestIsSentBeforeAnNnveAnsweredHoweverLongThatTakes) {
  Segment bench(true);
  bench.tell(1, Verb::kCreate);
  bench.run(seconds(4));
  EXPECT_GE(bench.asked(kGroup), 3u) << "it is looked for again and again";
  EXPECT_EQ(bench.asked(kGroup), bench.asked_at.size());
  EXPECT_TRUE(bench.requests.empty());
  bench.silent = false;
  bench.run(milliseconds(1000));
  EXPECT_EQ(bench.agent->peers()[0].standing.verdict, vdp::Exchange::Verdict::kCapable);
  EXPECT_STREQ(bench.view(1)->state, "associated");
}

TEST(AgentDiscovery, WhatIsSentToAGroupIsNotForAStation) {
  Segment bench;
  bench.speaks_to = ecp::kNearestCustomerBridge;
  bench.nnve_frame(ecp::Operation::kRequest, EcpSequence(9000), {});
  bench.work();
  bench.speaks_to = kGroup;
  bench.nnve_frame(ecp::Operation::kRequest, EcpSequence(9001), {});
  bench.work();
  EXPECT_EQ(bench.seen("destination is not ours"), 2u);
}

TEST(AgentDiscovery, ASecondNnveIsLeftAloneUntilTheFirstIsDead) {
  Segment bench;
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  const MacAddress first = bench.nnve_mac;
  bench.silent = true;
  bench.run(milliseconds(2500));
  EXPECT_EQ(bench.agent->peers()[0].nnve, first);
  bench.run(milliseconds(3000));
  EXPECT_FALSE(bench.agent->peers()[0].nnve) << "it is looked for anew";
  EXPECT_TRUE(bench.view(1)->port_open) << "silence closes nothing (S8)";
  bench.silent = false;
  bench.nnve_mac = MacAddress(0x020100000002u);
  bench.asked_at.clear();
  bench.requests.clear();
  bench.run(seconds(2));
  EXPECT_EQ(bench.agent->peers()[0].nnve, bench.nnve_mac);
  ASSERT_FALSE(bench.requests_of(1).empty()) << "the second is told everything";
  EXPECT_EQ(bench.asked_at.front(), kGroup);
  EXPECT_EQ(bench.asked_at.back(), bench.nnve_mac);
}

TEST(AgentDiscovery, AnIdleNnveIsAskedForASignOfLifeAndStaysTheOne) {
  Segment bench;
  const MacAddress first = bench.nnve_mac;
  bench.run(hours(1));
  EXPECT_EQ(bench.agent->peers()[0].nnve, first);
  EXPECT_EQ(bench.asked(kGroup), 1u);
  EXPECT_EQ(bench.transitions("peer", "unknown"), 0u);
}

TEST(AgentDiscovery, ALostLinkMeansThatSomebodyElseMayBeThere) {
  Segment bench;
  bench.agent->handle_link(PortId(1), false, bench.now);
  bench.work();
  EXPECT_FALSE(bench.agent->peers()[0].nnve);
  bench.asked_at.clear();
  bench.agent->handle_link(PortId(1), true, bench.now);
  bench.settle();
  ASSERT_FALSE(bench.asked_at.empty());
  EXPECT_EQ(bench.asked_at.front(), kGroup);
  EXPECT_EQ(bench.agent->peers()[0].nnve, bench.nnve_mac);
}

}  // namespace
}  // namespace splitnve::tnved::test
