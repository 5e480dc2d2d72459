// SPDX-License-Identifier: Apache-2.0
// Migration, both ends: arriving, departing, abort, a source that lingers.
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

TEST(AgentMigration, AnArrivingVmIsReservedWithMAndForwardsOnlyAfterResume) {
  Bench bench;
  const auto arrived = bench.ask(1, Verb::kMigrateIn);
  ASSERT_TRUE(arrived && arrived->ok);
  EXPECT_EQ(bench.requests.back().command, TlvType::kPreAssociateRr);
  EXPECT_TRUE(bench.requests.back().migrating);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok) << "a hypervisor's start comes before memory is copied";
  EXPECT_EQ(bench.view(1)->vm, VmState::kArriving);
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.has_row("fdb "));

  const auto resumed = bench.ask(1, Verb::kResume);
  ASSERT_TRUE(resumed && resumed->ok);
  EXPECT_EQ(bench.requests.back().command, TlvType::kAssociate);
  EXPECT_TRUE(bench.requests.back().migrating);
  EXPECT_TRUE(bench.view(1)->port_open);
  const auto sent = bench.requests.size();
  bench.run(seconds(25));
  ASSERT_GT(bench.requests.size(), sent);
  EXPECT_FALSE(bench.requests.back().migrating) << "M is cleared after the confirmation";
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentMigration, AnAbortAtTheDestinationDeassociates) {
  Bench bench;
  bench.ask(1, Verb::kMigrateIn);
  const auto answer = bench.ask(1, Verb::kAbort);
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_EQ(bench.requests.back().command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.store.empty());
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentMigration, AnArrivalThatIsNotConfirmedStaysPausedAndCanBeAborted) {
  Bench bench;
  bench.ask(1, Verb::kMigrateIn);
  bench.mute = true;
  const auto resumed = bench.ask(bench.vm(1, Verb::kResume), seconds(6));
  ASSERT_TRUE(resumed.has_value());
  EXPECT_FALSE(resumed->ok);
  EXPECT_EQ(bench.view(1)->vm, VmState::kArriving);
  EXPECT_FALSE(bench.view(1)->port_open);
  bench.mute = false;
  bench.tell(1, Verb::kAbort);
  bench.run(seconds(90));
  EXPECT_EQ(bench.tsis(), 0u);
}

TEST(AgentMigration, ADepartingVmForwardsWithSUntilItIsShutDown) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  const auto sent = bench.requests.size();
  const auto answer = bench.ask(1, Verb::kMigrateOut);
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
  bench.run(seconds(25));
  ASSERT_GT(bench.requests.size(), sent);
  EXPECT_EQ(bench.requests.back().command, TlvType::kAssociate);
  EXPECT_TRUE(bench.requests.back().suspended) << "requests say that it is leaving";
  EXPECT_TRUE(bench.view(1)->port_open);
  ASSERT_TRUE(bench.ask(1, Verb::kShutdown)->ok);
  EXPECT_EQ(bench.tsis(), 0u);
}

TEST(AgentMigration, AnAbortAtTheSourceLeavesItAsItWas) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  const auto programs = bench.programs.size();
  bench.ask(1, Verb::kMigrateOut);
  const auto answer = bench.ask(1, Verb::kAbort);
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_EQ(bench.view(1)->vm, VmState::kRunning);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.transitions("port", "closed"), 0u);
  EXPECT_EQ(bench.programs.size(), programs) << "no datapath row was touched";
  bench.run(seconds(25));
  EXPECT_FALSE(bench.requests.back().suspended);
}

TEST(AgentMigration, ASupersededSourceStaysAsItIsAndShowsWhy) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.ask(1, Verb::kMigrateOut);
  bench.verdict = [](const Request& request) {
    if (request.command == TlvType::kDeAssociate) return vdp::ResponseStatus();
    return vdp::ResponseStatus{vdp::Code::kOther, true, false};
  };
  bench.run(seconds(60));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_NE(bench.view(1)->reason.find("code 4"), std::string::npos) << bench.view(1)->reason;
  EXPECT_EQ(bench.view(1)->vm, VmState::kDeparting);
  bench.verdict = {};
  bench.run(seconds(30));
  EXPECT_EQ(bench.view(1)->reason, "") << "accepted again: nothing to show";
  ASSERT_TRUE(bench.ask(1, Verb::kShutdown)->ok);
  EXPECT_EQ(bench.tsis(), 0u);
}

}  // namespace
}  // namespace splitnve::tnved::test
