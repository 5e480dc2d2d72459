// SPDX-License-Identifier: Apache-2.0
// Our extensions as tnved speaks them: only to a nNVE that has shown the flag (E7), degraded to others (S20).
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

TEST(AgentExtension, TheNnvesReasonIsShownWithTheRefusalAndCannotDisturbATerminal) {
  Bench bench;
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kOther, true, false}; };
  bench.why = "the rack\x1b[2J moves";
  const auto refused = bench.ask(1, Verb::kStart);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->reason.find(": the rack?[2J moves"), std::string::npos) << refused->reason;
}

TEST(AgentExtension, TheNnvesReasonForADeAssociateIsShownWhileItHoldsTheTsi) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.why = "maintenance until noon";
  bench.nnve_sends(TlvType::kDeAssociate, 0, bench.requests_of(1).back());
  bench.settle();
  EXPECT_TRUE(bench.view(1)->held);
  EXPECT_NE(bench.view(1)->reason.find("maintenance until noon"), std::string::npos) << bench.view(1)->reason;
}

TEST(AgentExtension, ANnveThatBeginsANewSessionIsToldEverythingAgain) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  const std::size_t requests = bench.requests_of(1).size();
  bench.run(seconds(2));
  ASSERT_EQ(bench.requests_of(1).size(), requests) << "settled";
  bench.shows.nonce[0] ^= 1;
  bench.nnve_shows();
  bench.settle();
  EXPECT_EQ(bench.requests_of(1).size(), requests + 1);
  EXPECT_TRUE(bench.view(1)->port_open) << "forwarding goes on meanwhile";
  EXPECT_EQ(bench.agent->peers()[0].standing.verdict, vdp::Exchange::Verdict::kCapable);
}

}  // namespace
}  // namespace splitnve::tnved::test
