// SPDX-License-Identifier: Apache-2.0
// Two nNVEs for one VN, one active (D3): when the active one is dead everything moves, and nothing moves back by
// itself.
#include <gtest/gtest.h>

#include <random>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

constexpr PortId kFirst(1), kSecond(2);

void two_uplinks(AgentConfig& how) {
  UplinkConfig second;
  second.id = kSecond;
  second.interface_name = "up1";
  second.mac = MacAddress(0x020000000002u);
  how.uplinks.push_back(second);
}

/// Two uplinks; VM 1 of VN 70001 and VM 2 of VN 70002 run over the first.
struct Pair : Bench {
  explicit Pair(std::function<void(AgentConfig&)> change = {})
      : Bench([&](AgentConfig& how) {
          two_uplinks(how);
          if (change) change(how);
        }) {
    Nnve second;
    second.shows = shows;
    second.shows.system[15] = 2;
    second.nnve_mac = MacAddress(0x020100000002u);
    second.vids = {{70001, 301}, {70002, 302}};
    if (config.uplinks[0].discovery) {
      speaks_to = config.uplinks[0].mac;
      second.speaks_to = config.uplinks[1].mac;
    }
    others.emplace(kSecond, std::move(second));
    restart();
    settle();
    for (unsigned vm_number : {1u, 2u}) {
      ask(vm(vm_number, Verb::kCreate, 70000 + vm_number));
      ask(vm_number, Verb::kStart);
    }
  }
  Nnve& second() { return others.at(kSecond); }
  void link(PortId port, bool up) {
    agent->handle_link(port, up, now);
    work();
  }
  const char* use(unsigned index) const { return agent->peers()[index].use; }
  /// The last command that each nNVE granted for a VM says whether it holds it active.
  static bool active_at(const Nnve& nnve, unsigned number) {
    bool active = false;
    for (const Request& request : nnve.requests)
      if (request.vsi == vsi(number)) active = request.command == TlvType::kAssociate;
    return active;
  }
  std::size_t count(const std::string& id) const {
    return static_cast<std::size_t>(
        std::count_if(notices.begin(), notices.end(), [&](const auto& n) { return n.id == id; }));
  }
};

TEST(AgentFailover, TheFirstUplinkIsUsedAndTheSecondStandsByAndIsKnown) {
  Pair bench;
  EXPECT_STREQ(bench.use(0), "active");
  EXPECT_STREQ(bench.use(1), "standby");
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.second().requests.empty());
  EXPECT_EQ(bench.agent->peers()[1].nnve, bench.second().nnve_mac);
  bench.run(hours(1));
  EXPECT_TRUE(bench.second().requests.empty());
  EXPECT_STREQ(bench.use(0), "active") << "an idle nNVE is asked for signs of life, and gives them";
}

TEST(AgentFailover, ALostLinkMovesEveryTsiAtOnceAndAsksTheOtherNnveWithVidZero) {
  Pair bench;
  bench.link(kFirst, false);
  bench.settle();
  for (unsigned number : {1u, 2u}) {
    EXPECT_EQ(bench.view(number)->uplink, kSecond);
    EXPECT_TRUE(bench.view(number)->port_open);
    EXPECT_EQ(bench.view(number)->vid, Vid(static_cast<std::uint16_t>(300 + number)));
  }
  ASSERT_FALSE(bench.second().requests.empty());
  const Request& asked = bench.second().requests.front();
  EXPECT_EQ(asked.command, TlvType::kAssociate);
  EXPECT_TRUE(asked.entries[0].vid.is_null()) << "VIDs of one nNVE mean nothing to another (S13)";
  EXPECT_TRUE(asked.migrating);
  EXPECT_TRUE(bench.has_row("domain 2/70001: uplink 2.301 local 4096.0"));
  EXPECT_TRUE(bench.has_row("access 2.301: 2/70001"));
  EXPECT_FALSE(bench.has_row("access 1."));
  EXPECT_FALSE(bench.has_row("domain 1/"));
  EXPECT_TRUE(bench.consistent());
  EXPECT_STREQ(bench.use(0), "standby");
  EXPECT_STREQ(bench.use(1), "active");
  EXPECT_EQ(bench.transitions("path", "active"), 1u);
  EXPECT_EQ(bench.count("TNVED_FAILOVER"), 1u);
}

TEST(AgentFailover, AConnectedVnMovesToTheOtherNnveAndTheFirstIsToldToLetGoWhenItIsBack) {
  Pair bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.link(kFirst, false);
  bench.settle();
  ASSERT_EQ(bench.second().vn_requests.size(), 1u);
  EXPECT_TRUE(bench.second().vn_requests[0].request.connects());
  EXPECT_TRUE(bench.second().vn_requests[0].request.vid.is_null());
  bench.vn_requests.clear();
  bench.link(kFirst, true);
  bench.run(seconds(2));
  ASSERT_EQ(bench.vn_requests.size(), 1u);
  EXPECT_EQ(bench.vn_requests[0].request.operation, vdp::VnRequest::Operation::kDisconnect);
  const auto views = bench.agent->vns();
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].uplink, kSecond);
  EXPECT_EQ(views[0].vid, Vid(301));
}

TEST(AgentFailover, ASilentNnveIsLeftAfterTheFailoverTimeAndNotBefore) {
  Pair bench;
  bench.silent = true;
  bench.run(milliseconds(2500));
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.view(1)->port_open);
  bench.run(milliseconds(700));
  EXPECT_EQ(bench.view(1)->uplink, kSecond);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentFailover, WhenNobodyAnswersNothingMovesAndForwardingGoesOn) {
  Pair bench;
  bench.silent = bench.second().silent = true;
  bench.run(hours(1));
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.view(1)->port_open) << "silence is not an answer (S8)";
  EXPECT_EQ(bench.transitions("path", "active"), 0u);
  bench.second().silent = false;
  bench.run(seconds(5));
  EXPECT_EQ(bench.view(1)->uplink, kSecond);
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentFailover, ThePreferredOneThatReturnsIsToldToLetGoAndStaysTheStandby) {
  Pair bench;
  bench.link(kFirst, false);
  bench.settle();
  ASSERT_TRUE(Pair::active_at(bench, 1)) << "it could not be told yet";
  bench.requests.clear();
  bench.link(kFirst, true);
  bench.run(hours(1));
  ASSERT_EQ(bench.requests_of(1).size(), 1u);
  EXPECT_EQ(bench.requests_of(1)[0].command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.requests_of(2)[0].command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.view(1)->uplink, kSecond);
  EXPECT_EQ(bench.transitions("path", "active"), 1u) << "no flapping";
}

TEST(AgentFailover, BackAtTheFirstNnveItsRememberedVidIsAskedFor) {
  Pair bench;
  bench.link(kFirst, false);
  bench.settle();
  bench.link(kFirst, true);
  bench.run(seconds(5));
  bench.requests.clear();
  bench.link(kSecond, false);
  bench.settle();
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.requests_of(1).back().entries[0].vid, Vid(101));
  EXPECT_EQ(bench.view(1)->vid, Vid(101));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentFailover, AnotherSwitchBehindTheSameUplinkIsAskedWithVidZero) {
  Pair bench;
  bench.link(kFirst, false);
  bench.settle();
  bench.shows.system[15] = 9;
  bench.link(kFirst, true);
  bench.run(seconds(5));
  bench.requests.clear();
  bench.link(kSecond, false);
  bench.settle();
  EXPECT_TRUE(bench.requests_of(1).back().entries[0].vid.is_null());
}

TEST(AgentFailover, AnOperatorSwitchesAndTheOldNnveLetsGoBeforeTheNewOneIsAsked) {
  Pair bench;
  std::vector<std::string> order;
  bench.verdict = [&](const Request& request) {
    if (request.command == TlvType::kDeAssociate) order.emplace_back("left");
    return vdp::ResponseStatus();
  };
  bench.second().verdict = [&](const Request&) {
    order.emplace_back("asked");
    return vdp::ResponseStatus();
  };
  EXPECT_EQ(bench.agent->use_uplink(kSecond, bench.now), "");
  bench.settle();
  EXPECT_EQ(order, (std::vector<std::string>{"left", "left", "asked", "asked"}));
  EXPECT_EQ(bench.view(1)->uplink, kSecond);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.agent->use_uplink(kFirst, bench.now), "");
  bench.settle();
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentFailover, AnOldNnveThatAcknowledgesButNeverLetsGoHoldsTheSwitchForTheFailoverTimeOnly) {
  Pair bench;
  bench.mute = true;
  EXPECT_EQ(bench.agent->use_uplink(kSecond, bench.now), "");
  bench.run(seconds(2));
  EXPECT_TRUE(bench.second().requests.empty());
  EXPECT_NE(bench.agent->use_uplink(kFirst, bench.now).find("being switched"), std::string::npos);
  bench.run(seconds(2));
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentFailover, AnUplinkThatDoesNotAnswerIsNoChoice) {
  Pair bench;
  bench.link(kSecond, false);
  EXPECT_NE(bench.agent->use_uplink(kSecond, bench.now), "");
  bench.settle();
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
}

TEST(AgentFailover, AVnNamesItsOwnOrder) {
  Pair bench([](AgentConfig& how) { how.vns.push_back({GroupId(70002), "red", {kSecond, kFirst}}); });
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_EQ(bench.view(2)->uplink, kSecond);
  bench.link(kSecond, false);
  bench.settle();
  EXPECT_EQ(bench.view(2)->uplink, kFirst);
  EXPECT_EQ(bench.view(2)->vid, Vid(102));
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentFailover, ARestartGoesOnWhereTheTsisWere) {
  Pair bench;
  bench.link(kFirst, false);
  bench.settle();
  const auto rows = bench.model.rows();
  bench.second().requests.clear();
  bench.restart();
  bench.settle();
  EXPECT_EQ(bench.view(1)->uplink, kSecond);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.model.rows(), rows);
  EXPECT_EQ(bench.second().requests.front().entries[0].vid, Vid(301));
}

TEST(AgentFailover, ARefusalOfTheStandbyIsShownAndRetried) {
  Pair bench;
  bench.second().verdict = [](const Request&) {
    return vdp::ResponseStatus{vdp::Code::kInsufficientResources, false, false};
  };
  bench.link(kFirst, false);
  bench.settle();
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_NE(bench.view(1)->reason.find("code 2"), std::string::npos);
  bench.second().verdict = {};
  bench.run(seconds(5));
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentFailover, SuspendedReservedAndLeavingTsisKeepWhatTheyAre) {
  Pair bench;
  bench.ask(bench.vm(3, Verb::kCreate));
  bench.ask(2, Verb::kSuspend);
  bench.silent = true;
  bench.tell(1, Verb::kShutdown);
  bench.link(kFirst, false);
  bench.settle();
  EXPECT_STREQ(bench.view(2)->state, "associated");
  EXPECT_FALSE(bench.view(2)->port_open);
  EXPECT_STREQ(bench.view(3)->state, "associated");
  for (const Request& request : bench.second().requests) {
    EXPECT_NE(request.vsi, Bench::vsi(1));
    EXPECT_EQ(request.command, TlvType::kPreAssociateRr);
  }
  bench.silent = false;
  bench.link(kFirst, true);
  bench.run(seconds(60));
  EXPECT_FALSE(bench.view(1)) << "its farewell has reached the first";
  ASSERT_TRUE(bench.ask(2, Verb::kResume)->ok);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentFailover, AnNnveThatDiscoveryFoundIsLeftWhenItIsSilentAndFoundAgainAsTheStandby) {
  Pair bench([](AgentConfig& how) {
    for (auto& uplink : how.uplinks) uplink.discovery = MacAddress(0x03534E000001u);
  });
  ASSERT_EQ(bench.view(1)->uplink, kFirst);
  ASSERT_TRUE(bench.view(1)->port_open);
  bench.silent = true;
  bench.run(milliseconds(3200));
  EXPECT_EQ(bench.view(1)->uplink, kSecond);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.agent->peers()[0].nnve);
  bench.silent = false;
  bench.run(seconds(5));
  EXPECT_EQ(bench.agent->peers()[0].nnve, bench.nnve_mac);
  EXPECT_STREQ(bench.use(0), "standby");
  EXPECT_FALSE(Pair::active_at(bench, 1)) << "it has been told to let go";
  bench.second().silent = true;
  bench.run(milliseconds(3200));
  EXPECT_EQ(bench.view(1)->uplink, kFirst);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

/// Random cuts, silences and returns: whenever both nNVEs are there again one holds all, the other nothing.
TEST(AgentFailover, AfterAnyCutsAndReturnsOneNnveHasAllAndTheOtherNothing) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    Pair bench;
    std::mt19937 random(seed);
    bool up[2] = {true, true};
    for (int step = 0; step < 60; ++step) {
      const unsigned which = random() % 2;
      if (random() % 2 == 0) {
        up[which] = !up[which];
        bench.link(PortId(which + 1), up[which]);
      } else {
        Nnve& nnve = bench.nnve(PortId(which + 1));
        nnve.silent = !nnve.silent;
      }
      bench.run(milliseconds(random() % 6000));
      ASSERT_EQ(bench.view(1)->uplink, bench.view(2)->uplink);
      ASSERT_TRUE(bench.consistent());
      if (step % 10 != 9) continue;
      for (const PortId port : {kFirst, kSecond}) {
        if (!std::exchange(up[port.value() - 1], true)) bench.link(port, true);
        bench.nnve(port).silent = false;
      }
      bench.run(seconds(40));
      const bool first = bench.view(1)->uplink == kFirst;
      for (unsigned number : {1u, 2u}) {
        ASSERT_TRUE(bench.view(number)->port_open) << "seed " << seed;
        ASSERT_EQ(Pair::active_at(bench, number), first) << "seed " << seed;
        ASSERT_EQ(Pair::active_at(bench.second(), number), !first) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace splitnve::tnved::test
