// SPDX-License-Identifier: Apache-2.0
// The virtual switch's rows: co-resident VMs, trunk ports, several uplinks, limits; and random operation.
#include <gtest/gtest.h>

#include <random>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

TEST(AgentSwitch, CoResidentVmsOfOneVnShareADomain) {
  Bench bench;
  for (unsigned i = 1; i <= 2; ++i) {
    bench.ask(i, Verb::kCreate);
    bench.ask(i, Verb::kStart);
  }
  EXPECT_TRUE(bench.has_row("domain 1/70001: uplink 1.101 local 4096.0 4097.0"));
  bench.ask(1, Verb::kShutdown);
  EXPECT_TRUE(bench.has_row("domain 1/70001: uplink 1.101 local 4097.0"));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentSwitch, TheSameMacInTwoVnsIsTwoAddresses) {
  Bench bench;
  auto blue = bench.vm(1, Verb::kCreate, 70001), red = bench.vm(2, Verb::kCreate, 70002);
  red.macs = blue.macs;
  ASSERT_TRUE(bench.ask(blue)->ok);
  ASSERT_TRUE(bench.ask(red)->ok);
  bench.ask(1, Verb::kStart);
  bench.ask(2, Verb::kStart);
  EXPECT_TRUE(bench.has_row("fdb 1/70001 02:aa:00:00:00:01: 1 at 4096.0"));
  EXPECT_TRUE(bench.has_row("fdb 1/70002 02:aa:00:00:00:01: 2 at 4097.0"));
}

TEST(AgentSwitch, TheSameGuestTagOnTwoVnicsReachesTwoVns) {
  Bench bench;
  auto first = bench.vm(1, Verb::kCreate, 70001), second = bench.vm(2, Verb::kCreate, 70002);
  first.guest_tag = second.guest_tag = Vid(10);
  ASSERT_TRUE(bench.ask(first)->ok);
  ASSERT_TRUE(bench.ask(second)->ok);
  EXPECT_TRUE(bench.has_row("access 4096.10: 1/70001"));
  EXPECT_TRUE(bench.has_row("access 4097.10: 1/70002"));
}

TEST(AgentSwitch, FramesHaveThePriorityThatTheNnveAnsweredIfItIsSignificant) {
  Bench bench;
  auto create = bench.vm(1, Verb::kCreate);
  create.priority = Priority(5);
  ASSERT_TRUE(bench.ask(create)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  const auto asked = bench.requests_of(1).back().entries.at(0);
  EXPECT_TRUE(asked.ps);
  EXPECT_EQ(asked.pcp, 5);
  const std::string guard = "guard 1/70001 4096 02:aa:00:00:00:01: 1";
  EXPECT_TRUE(bench.has_row(guard + " pcp 5"));
  EXPECT_EQ(bench.view(1)->addresses.at(0).priority, Priority(5));

  bench.restart();  // nothing of it is forgotten, nor asked anew
  EXPECT_TRUE(bench.has_row(guard + " pcp 5"));
  bench.settle();
  EXPECT_TRUE(bench.consistent());
  EXPECT_EQ(bench.requests_of(1).back().entries.at(0).pcp, 5);

  bench.amend = [](vdp::FilterEntry& entry) { entry.pcp = 2; };  // the nNVE has the last word
  bench.run(seconds(30));
  EXPECT_TRUE(bench.has_row(guard + " pcp 2"));
  bench.amend = [](vdp::FilterEntry& entry) { entry.ps = false; };
  bench.run(seconds(30));
  EXPECT_FALSE(bench.has_row(guard + " pcp"));
  EXPECT_TRUE(bench.has_row(guard));
  EXPECT_TRUE(bench.consistent());

  create.priority = Priority(6);
  EXPECT_FALSE(bench.ask(create)->ok);  // a live one's stays
}

TEST(AgentSwitch, WithoutPriorityNoneIsAskedForAndNoPcpIsWritten) {
  Bench bench;
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  const auto asked = bench.requests_of(1).back().entries.at(0);
  EXPECT_FALSE(asked.ps);
  EXPECT_EQ(asked.pcp, 0);
  EXPECT_FALSE(bench.has_row("pcp"));
}

TEST(AgentSwitch, TwoTagsOfOneVnicMayReachOneVnButOneTagNeverTwo) {
  Bench bench;
  auto first = bench.vm(1, Verb::kCreate), second = bench.vm(2, Verb::kCreate);
  first.guest_tag = Vid(10);
  second.guest_tag = Vid(20);
  second.interface_name = first.interface_name;
  ASSERT_TRUE(bench.ask(first)->ok);
  ASSERT_TRUE(bench.ask(second)->ok);
  bench.ask(1, Verb::kStart);
  bench.ask(2, Verb::kStart);
  EXPECT_TRUE(bench.has_row("domain 1/70001: uplink 1.101 local 4096.10 4096.20"));
  auto third = bench.vm(3, Verb::kCreate, 70002);
  third.guest_tag = Vid(10);
  third.interface_name = first.interface_name;
  const auto answer = bench.ask(third);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_NE(answer->reason.find("belongs to VN 70001"), std::string::npos) << answer->reason;
  EXPECT_EQ(bench.tsis(), 2u);
  bench.ask(1, Verb::kShutdown);
  EXPECT_TRUE(bench.has_row("port 4096: tap1")) << "the second TSI still uses it";
  bench.ask(2, Verb::kShutdown);
  EXPECT_FALSE(bench.has_row("port 4096"));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentSwitch, APortBeyondTheFloodListIsRefused) {
  Bench bench;
  for (unsigned i = 1; i <= limits::kFloodLocalMax; ++i) ASSERT_TRUE(bench.ask(i, Verb::kCreate)->ok);
  const auto answer = bench.ask(65, Verb::kCreate);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_NE(answer->reason.find("64 ports"), std::string::npos) << answer->reason;
}

TEST(AgentSwitch, EachVnUsesItsUplink) {
  Bench bench([](AgentConfig& config) {
    auto second = config.uplinks[0];
    second.id = PortId(2);
    second.interface_name = "up1";
    second.mac = MacAddress(0x020000000002u);
    second.vns = {GroupId(70002)};
    config.uplinks.push_back(second);
  });
  bench.ask(1, Verb::kCreate);
  auto event = bench.vm(2, Verb::kCreate, 70002);
  bench.tell(event);
  EXPECT_EQ(bench.view(1)->uplink, PortId(1));
  EXPECT_EQ(bench.view(2)->uplink, PortId(2));
  EXPECT_TRUE(bench.has_row("port 1: up0 role 2"));
  EXPECT_TRUE(bench.has_row("port 2: up1 role 2"));
  EXPECT_TRUE(bench.has_row("domain 2/70002"));
}

/// Random verbs, an nNVE that refuses, forgets and falls silent, restarts: the datapath is what the agent wants
/// whenever it is at rest, every asker gets one answer, and nothing is left at the end.
TEST(AgentSwitch, RandomOperationKeepsDatapathAndIntentEqual) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const bool legacy = seed % 3 == 0;
    Bench bench([&](AgentConfig& config) {
      if (legacy) config.uplinks[0].legacy = true;
    });
    bench.verdict = [&](const Request& request) {
      if (request.command == TlvType::kDeAssociate || random() % 10 != 0) return vdp::ResponseStatus();
      return vdp::ResponseStatus{static_cast<vdp::Code>(2 + random() % 4), random() % 2 == 0, random() % 4 == 0};
    };
    std::set<std::uint64_t> askers;
    for (int step = 0; step < 250; ++step) {
      const unsigned number = static_cast<unsigned>(1 + random() % 6);
      const auto verb = static_cast<Verb>(random() % 9);
      auto event = bench.vm(number, verb, 70001 + static_cast<unsigned>(random() % 2));
      if (!event.macs.empty() && random() % 4 == 0) event.macs.push_back(bench.mac(100 + number));
      askers.insert(bench.tell(event));
      const auto dice = random() % 40;
      if (dice == 0) bench.silent = !bench.silent;
      if (dice == 1) bench.mute = !bench.mute;
      if (dice == 2 && !bench.requests.empty())
        bench.nnve_sends(TlvType::kDeAssociate, 0, bench.requests[random() % bench.requests.size()]);
      if (dice == 3) {
        bench.agent->handle_link(PortId(1), false, bench.now);
        bench.run(milliseconds(500));
        bench.agent->handle_link(PortId(1), true, bench.now);
      }
      if (dice == 4) {
        for (const auto& answer : bench.answers) askers.erase(answer.asker);
        askers.clear();
        bench.restart();
        bench.answers.clear();
      }
      bench.run(milliseconds(random() % 3000));
      ASSERT_TRUE(bench.consistent()) << "step " << step;
    }
    bench.silent = bench.mute = false;
    bench.verdict = {};
    bench.run(seconds(10));
    for (auto asker : askers) {
      ASSERT_TRUE(bench.answer(asker).has_value()) << "asker " << asker;
      EXPECT_NE(bench.answer(asker)->reason, "answered twice");
    }
    for (unsigned i = 1; i <= 6; ++i) bench.tell(i, Verb::kShutdown);
    bench.run(seconds(120));
    EXPECT_EQ(bench.tsis(), 0u);
    EXPECT_TRUE(bench.store.empty());
    EXPECT_EQ(bench.model.rows(), (std::set<std::string>{"port 1: up0 role 2"}));
    EXPECT_EQ(bench.agent->peers()[0].tsis, 0u);
    EXPECT_EQ(bench.agent->peers()[0].unconfirmed, 0u);
  }
}

}  // namespace
}  // namespace splitnve::tnved::test
