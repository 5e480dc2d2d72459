// SPDX-License-Identifier: Apache-2.0
// The capability exchange as tnved does it (S15, E7), and a nNVE that loses its state (S9).
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

using vdp::Exchange;

Exchange::Standing standing(const Bench& bench) { return bench.agent->peers()[0].standing; }

TEST(AgentExchange, ACapableNnveIsKnownBeforeTheFirstRequest) {
  Bench bench;
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kCapable);
  EXPECT_EQ(standing(bench).peer->flags, vdp::Flags::all());
  EXPECT_EQ(standing(bench).given_up, vdp::Flags());
  EXPECT_TRUE(bench.requests.empty());
  EXPECT_TRUE(bench.ask(1, Verb::kCreate)->ok);
}

TEST(AgentExchange, NothingButCapabilitiesLeavesBeforeTheVerdict) {
  Bench bench([](AgentConfig&) {});
  bench.silent = true;
  bench.restart();
  bench.tell(1, Verb::kCreate);
  bench.run(milliseconds(99));
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kUnknown);
  bench.silent = false;
  bench.legacy = true;
  bench.run(seconds(2));
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kLegacy);
  ASSERT_EQ(bench.requests_of(1).size(), 1u);
  EXPECT_GE(bench.requests_of(1)[0].at, Instant(seconds(1000)) + milliseconds(100));
  EXPECT_EQ(standing(bench).given_up, vdp::kAble) << "and the operator can see it";
}

TEST(AgentExchange, ALegacyNnveThatShowsItsCapabilitiesLaterIsCapableThen) {
  Bench bench;
  bench.legacy = true;
  bench.restart();
  EXPECT_TRUE(bench.ask(bench.vm(1, Verb::kCreate), milliseconds(500))->ok);
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kLegacy);
  bench.legacy = false;
  EXPECT_TRUE(bench.ask(2, Verb::kCreate)->ok);
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kCapable);
}

TEST(AgentExchange, ALinkFlapMakesTheNnveUnknownUntilItShowsThemAgain) {
  Bench bench;
  bench.agent->handle_link(PortId(1), false, bench.now);
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kUnknown);
  bench.agent->handle_link(PortId(1), true, bench.now);
  bench.settle();
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kCapable);
}

TEST(AgentExchange, ANnveThatLostItsStateIsToldEverythingAgain) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  const std::size_t before = bench.requests_of(1).size();
  ++bench.shows.epoch;
  bench.run(seconds(11));  // it shows them with its next answer
  EXPECT_GT(bench.requests_of(1).size(), before);
  EXPECT_TRUE(bench.view(1)->port_open) << "and forwarding goes on (S8)";
  EXPECT_EQ(std::count_if(bench.notices.begin(), bench.notices.end(),
                          [](const auto& n) { return std::string(n.id) == "TNVED_NNVE_STATE_LOST"; }),
            1);
}

TEST(AgentExchange, TheEpochSurvivesARestartAndIsNewWithANewStore) {
  Bench bench;
  ASSERT_EQ(bench.meta.size(), 1u);
  const auto epoch = bench.meta;
  bench.restart();
  EXPECT_EQ(bench.meta, epoch);
  bench.meta.clear();
  bench.restart();
  EXPECT_NE(bench.meta, epoch);
}

TEST(AgentExchange, WhatIsMarkedLegacyIsShownNothing) {
  Bench bench([](AgentConfig& config) { config.uplinks[0].legacy = true; });
  bench.legacy = true;
  EXPECT_TRUE(bench.ask(1, Verb::kCreate)->ok) << "without waiting";
  EXPECT_EQ(standing(bench).verdict, Exchange::Verdict::kLegacy);
}

}  // namespace
}  // namespace splitnve::tnved::test
