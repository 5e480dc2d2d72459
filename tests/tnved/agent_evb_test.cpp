// SPDX-License-Identifier: Apache-2.0
// EVB at the hypervisor: what the nNVE announces decides the timers of its uplink.
#include <gtest/gtest.h>

#include "bench.hpp"
#include "support/lldp.hpp"

namespace splitnve::tnved::test {
namespace {

using splitnve::test::evb_frame;

struct EvbBench : Bench {
  explicit EvbBench(std::function<void(AgentConfig&)> change = {})
      : Bench([&](AgentConfig& how) {
          how.uplinks[0].evb = true;
          if (change) change(how);
        }) {
    agent->handle_link(PortId(1), true, now);
    run(seconds(5));
    lldp.clear();
  }
  void hear(const evb::Parameters& values, bool group_ids = true, std::uint16_t ttl = 120,
            std::uint8_t our_status = 0) {
    inject(evb_frame(evb::Role::kBridge, nnve_mac, values, group_ids, ttl, our_status));
  }
  evb::Operational operational() const { return agent->evb().at(0).machine->operational(); }
  /// How often VM 1 is asked for in that time.
  std::size_t requests_within(Duration duration) {
    const std::size_t before = requests_of(1).size();
    run(duration);
    return requests_of(1).size() - before;
  }
};

TEST(HypervisorEvb, KeepAlivesFollowTheNegotiatedInterval) {
  EvbBench bench([](AgentConfig& how) { how.vdp.keepalive_exponent = 17; });  // 1.3 s
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  EXPECT_GE(bench.requests_within(seconds(60)), 40u);
  bench.hear({3, 8, 20, 20});  // 10.5 s
  EXPECT_EQ(bench.operational().values.rka, 20u);
  bench.run(seconds(10));
  EXPECT_LE(bench.requests_within(seconds(60)), 6u);
}

TEST(HypervisorEvb, AShorterIntervalBeginsWithARenewal) {
  EvbBench bench([](AgentConfig& how) { how.vdp.keepalive_exponent = 17; });
  bench.hear({3, 8, 20, 24});  // 168 s
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  EXPECT_EQ(bench.requests_within(seconds(20)), 0u);
  const std::size_t before = bench.requests_of(1).size();
  bench.hear({3, 8, 20, 24}, true, 0);
  EXPECT_FALSE(bench.operational().negotiated);
  EXPECT_EQ(bench.requests_of(1).size(), before + 1);
}

TEST(HypervisorEvb, ValuesAgeBackToTheConfiguredOnesWhenTheNeighbourIsSilent) {
  EvbBench bench;
  bench.hear({5, 12, 22, 21}, true, 30);
  EXPECT_EQ(bench.operational().values, (evb::Parameters{5, 12, 22, 21}));
  bench.run(seconds(31));
  EXPECT_EQ(bench.operational(), evb::Operational());
  EXPECT_EQ(bench.transitions("evb", "negotiated"), 1u);
  EXPECT_EQ(bench.transitions("evb", "alone"), 1u);
}

TEST(HypervisorEvb, TheAckTimerFollows) {
  EvbBench bench;
  bench.hear({0, 20, 20, 20});  // one ack timer is 10.5 s
  bench.silent = true;
  const auto before = bench.agent->peers().at(0).sent;
  bench.tell(1, Verb::kCreate);
  bench.run(seconds(9));
  EXPECT_EQ(bench.agent->peers().at(0).retransmitted, 0u);
  EXPECT_EQ(bench.agent->peers().at(0).sent, before + 1);
}

TEST(HypervisorEvb, ANeighbourWithoutGroupIdsIsNotAskedInAFormatThatNeedsThem) {
  EvbBench bench;
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  bench.hear({3, 8, 20, 20}, false);
  const auto refused = bench.ask(2, Verb::kCreate);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->reason.find("takes no GroupIDs"), std::string::npos) << refused->reason;
  EXPECT_EQ(bench.notices.back().id, std::string("EVB_REFUSED"));
  bench.run(seconds(60));
  EXPECT_TRUE(bench.view(1)->port_open) << "a running VM goes on";
  EXPECT_GT(bench.requests_within(seconds(30)), 0u) << "and is renewed: anybody can send LLDP";
  bench.hear({3, 8, 20, 20}, true);
  EXPECT_TRUE(bench.ask(2, Verb::kCreate)->ok);
}

TEST(HypervisorEvb, AFormatWithoutGroupIdsNeedsNone) {
  EvbBench bench([](AgentConfig& how) { how.uplinks[0].format = vdp::FilterFormat::kMacVid; });
  bench.vids[0] = 101;
  bench.hear({3, 8, 20, 20}, false);
  const auto answer = bench.ask(1, Verb::kCreate);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ok) << answer->reason;
}

TEST(HypervisorEvb, TimersBeyondOurBoundAreRefusedWithAReason) {
  EvbBench bench;
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  bench.hear({3, 8, 25, 20});
  const auto refused = bench.ask(2, Verb::kCreate);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->reason.find("RWD 25"), std::string::npos) << refused->reason;
  const auto start = bench.ask(bench.vm(1, Verb::kStart), seconds(6));
  ASSERT_TRUE(start);
  EXPECT_FALSE(start->ok);
  EXPECT_NE(start->reason.find("RWD 25"), std::string::npos) << start->reason;
}

TEST(HypervisorEvb, ANeighbourThatForgotUsIsToldEverythingAgain) {
  EvbBench bench;
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  bench.hear({3, 8, 20, 20}, true, 120, 0x0B);
  const std::size_t before = bench.requests_of(1).size();
  bench.hear({3, 8, 20, 20}, true, 120, 0x0B);
  EXPECT_EQ(bench.requests_of(1).size(), before);
  bench.hear({3, 8, 20, 20}, true, 120, 0);
  EXPECT_EQ(bench.requests_of(1).size(), before + 1);
}

TEST(HypervisorEvb, OnlyTheConfiguredNnveIsHeard) {
  EvbBench bench([](AgentConfig& how) { how.uplinks[0].nnve = MacAddress(0x020100000001u); });
  bench.inject(evb_frame(evb::Role::kBridge, MacAddress(0x0201000000FFu), {5, 12, 22, 21}));
  EXPECT_FALSE(bench.operational().negotiated);
  bench.hear({5, 12, 22, 21});
  EXPECT_TRUE(bench.operational().negotiated);
}

}  // namespace
}  // namespace splitnve::tnved::test
