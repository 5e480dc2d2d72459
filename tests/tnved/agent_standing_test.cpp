// SPDX-License-Identifier: Apache-2.0
// What the nNVE holds of a TSI and lets back (S6, S7): a running VM comes back by itself.
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

using vdp::Standing;
using What = Standing::What;
using Scope = Standing::Scope;

const Standing kEnd{What::kEndOfList, Scope::kAll, {}, {}};
Standing of_vsi(What what, unsigned number, unsigned vn = 70001) {
  return {what, Scope::kVsi, Bench::vsi(number), GroupId(vn)};
}

void start(Bench& bench, unsigned number) {
  ASSERT_TRUE(bench.ask(number, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(number, Verb::kStart)->ok);
}
/// The nNVE takes the VSI away.
void remove(Bench& bench, unsigned number) {
  bench.nnve_sends(TlvType::kDeAssociate, 0, bench.requests_of(number).back());
  bench.settle();
  ASSERT_TRUE(bench.view(number)->held);
  ASSERT_FALSE(bench.view(number)->port_open);
}
/// The nNVE lets the VSI be reserved only, and calls it held from now on.
void deactivate(Bench& bench, unsigned number) {
  bench.why = "the VSI has moved";
  bench.holds = [](const Request& request) { return request.command == TlvType::kPreAssociateRr; };
  bench.nnve_sends(TlvType::kPreAssociateRr, 0, bench.requests_of(number).back());
  bench.settle();
  ASSERT_TRUE(bench.view(number)->held);
  ASSERT_FALSE(bench.view(number)->port_open);
}

TEST(AgentStanding, AReleasedVsiForwardsAgainByItself) {
  Bench bench;
  start(bench, 1);
  start(bench, 2);
  remove(bench, 1);
  remove(bench, 2);
  bench.nnve_tells({of_vsi(What::kReleased, 1)});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.view(1)->held);
  EXPECT_EQ(bench.view(1)->reason, "");
  EXPECT_TRUE(bench.view(2)->held) << "nothing was said of it";
  bench.nnve_tells({of_vsi(What::kReleased, 2, 70002)});
  bench.settle();
  EXPECT_TRUE(bench.view(2)->held) << "another VN";
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentStanding, ASuspendedVmIsReservedAgainAndNotMore) {
  Bench bench;
  start(bench, 1);
  bench.ask(1, Verb::kSuspend);
  bench.nnve_sends(TlvType::kDeAssociate, 0, bench.requests_of(1).back());
  bench.settle();
  bench.nnve_tells({of_vsi(What::kReleased, 1)});
  bench.settle();
  EXPECT_STREQ(bench.view(1)->state, "associated");
  EXPECT_FALSE(bench.view(1)->port_open);
}

TEST(AgentStanding, AllOrAVnAreLetBackButWhatIsReservedIsNot) {
  Bench bench;
  start(bench, 1);
  start(bench, 2);
  remove(bench, 1);
  deactivate(bench, 2);
  bench.nnve_tells({{What::kReleased, Scope::kVn, {}, GroupId(70002)}});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->held) << "another VN";
  bench.nnve_tells({{What::kReleased, Scope::kAll, {}, {}}});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.view(2)->held) << "its latch is another one";
}

TEST(AgentStanding, WhatAListDoesNotNameIsFree) {
  Bench bench;
  for (unsigned n = 1; n <= 3; ++n) {
    start(bench, n);
    remove(bench, n);
  }
  bench.nnve_tells({of_vsi(What::kHeld, 1), {What::kHeld, Scope::kVn, {}, GroupId(70002)}});
  bench.settle();
  EXPECT_TRUE(bench.view(2)->held) << "the list is not complete yet";
  bench.nnve_tells({kEnd});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->held);
  EXPECT_TRUE(bench.view(2)->port_open && bench.view(3)->port_open);
  bench.nnve_tells({{What::kHeld, Scope::kAll, {}, {}}, kEnd});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->held) << "the nNVE is being drained";
  bench.nnve_tells({kEnd});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->port_open) << "each list stands for itself";
}

TEST(AgentStanding, TheFirstRenewalThatIsNotCalledHeldIsTheRelease) {
  Bench bench;
  start(bench, 1);
  deactivate(bench, 1);
  bench.run(seconds(60));
  EXPECT_FALSE(bench.view(1)->port_open) << "each renewal says that it is held";
  bench.holds = {};
  bench.run(seconds(30));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.view(1)->held);
}

TEST(AgentStanding, SoItIsAfterARestart) {
  Bench bench;
  start(bench, 1);
  deactivate(bench, 1);
  bench.restart();
  bench.run(seconds(30));
  EXPECT_TRUE(bench.view(1)->held);
  bench.holds = {};
  bench.run(seconds(30));
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentStanding, AReleaseThatIsNotTrueEndsInARefusalAndTheVsiWaits) {
  Bench bench;
  start(bench, 1);
  remove(bench, 1);
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kOther, false, false}; };
  bench.why = "taken out of service";
  bench.cause = vdp::Cause::kAdminDown;
  bench.nnve_tells({of_vsi(What::kReleased, 1)});
  bench.settle();
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.view(1)->held);
  const std::size_t asked = bench.requests_of(1).size();
  bench.run(seconds(60));
  EXPECT_EQ(bench.requests_of(1).size(), asked) << "nothing is asked for that is held";
  bench.verdict = {};
  bench.nnve_tells({of_vsi(What::kReleased, 1)});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentStanding, ALateAssociateOfAVsiThatHasMovedIsKeptReserved) {
  Bench bench;
  start(bench, 1);
  bench.why = "the VSI has moved";
  bench.cause = vdp::Cause::kSuperseded;
  bench.holds = [](const Request& request) { return request.command == TlvType::kPreAssociateRr; };
  bench.verdict = [](const Request& request) {
    return request.command == TlvType::kAssociate ? vdp::ResponseStatus{vdp::Code::kOther, true, false}
                                                  : vdp::ResponseStatus{};
  };
  bench.nnve_sends(TlvType::kPreAssociateRr, 0, bench.requests_of(1).back());
  bench.settle();
  bench.ask(1, Verb::kStart);  // somebody insists
  bench.run(seconds(30));
  EXPECT_TRUE(bench.view(1)->held);
  EXPECT_STREQ(bench.view(1)->state, "associated");
  EXPECT_EQ(bench.requests_of(1).back().command, TlvType::kPreAssociateRr);
  bench.verdict = {};
  bench.holds = {};
  bench.run(seconds(30));
  EXPECT_TRUE(bench.view(1)->port_open) << "the first renewal that is not called held";
}

TEST(AgentStanding, AVsiThatMovedAwayComesBackAsAMigrationWhenThatIsAborted) {
  Bench bench;
  start(bench, 1);
  bench.ask(1, Verb::kMigrateOut);
  deactivate(bench, 1);
  bench.holds = {};
  EXPECT_FALSE(bench.requests_of(1).back().migrating);
  ASSERT_TRUE(bench.ask(1, Verb::kAbort)->ok);
  bench.settle();
  EXPECT_EQ(bench.requests_of(1).back().command, TlvType::kAssociate);
  EXPECT_TRUE(bench.requests_of(1).back().migrating) << "the other place has it (S6)";
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentStanding, AnAbortOfAMigrationThatTookNothingSaysNothingOfOne) {
  Bench bench;
  start(bench, 1);
  bench.ask(1, Verb::kMigrateOut);
  ASSERT_TRUE(bench.ask(1, Verb::kAbort)->ok);
  bench.run(seconds(30));
  EXPECT_FALSE(bench.requests_of(1).back().migrating);
}

TEST(AgentStanding, WithoutTheFlagNothingIsLetBack) {
  Bench bench([](AgentConfig& config) { config.offer = vdp::kAble.without(vdp::Flags().set(vdp::Flag::kStanding)); });
  start(bench, 1);
  remove(bench, 1);
  bench.nnve_tells({of_vsi(What::kReleased, 1)});
  bench.settle();
  EXPECT_TRUE(bench.view(1)->held);
}

}  // namespace
}  // namespace splitnve::tnved::test
