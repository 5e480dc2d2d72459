// SPDX-License-Identifier: Apache-2.0
// Connectivity to the nNVE that is gained and lost is one record each (F5).
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

TEST(AgentTransitions, TheNnveIsGainedWhenItAnswersAndTheLinkIsLostAndGained) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  EXPECT_EQ(bench.transitions("peer", "known"), 1u);
  EXPECT_EQ(bench.transitions("peer", "capable"), 1u);
  EXPECT_EQ(bench.transitions("port", "down"), 0u);
  bench.agent->handle_link(PortId(1), false, bench.now);
  bench.run(seconds(1));
  EXPECT_EQ(bench.transitions("port", "down"), 1u);
  bench.agent->handle_link(PortId(1), true, bench.now);
  bench.run(seconds(1));
  EXPECT_EQ(bench.transitions("port", "up"), 1u);
  EXPECT_EQ(bench.transitions("peer", "capable"), 2u) << "it has shown itself again";
  bench.run(seconds(60));
  EXPECT_EQ(bench.transitions("peer", "known"), 1u) << "keep-alives are no news";
  for (const agent::Transition& one : bench.transition_log) EXPECT_FALSE(one.reason.empty());
}

}  // namespace
}  // namespace splitnve::tnved::test
