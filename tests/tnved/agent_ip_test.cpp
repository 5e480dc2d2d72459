// SPDX-License-Identifier: Apache-2.0
// IPs of a TSI's MACs: on the wire where the nNVE knows the formats, in the hypervisor's own guard in any case (A3,
// D10, E4, S20, S21).
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

using vdp::FilterFormat;

IpPrefix ip(const char* text) { return *IpPrefix::from_string(text); }

/// VM 1 runs with one MAC and an IPv4 address.
struct OneIp : Bench {
  explicit OneIp(std::function<void(OneIp&)> before = {}, std::function<void(AgentConfig&)> change = {})
      : Bench(std::move(change)) {
    if (before) {  // the nNVE is another one from the first frame on
      before(*this);
      restart();
    }
    auto create = vm(1, Verb::kCreate);
    create.ips = {{mac(1), ip("192.0.2.7")}};
    created = ask(create, seconds(2));
    started = ask(vm(1, Verb::kStart), seconds(2));
    settle();
  }
  std::optional<agent::Answer> change(AddressVerb verb, std::vector<const char*> texts) {
    AddressEvent event{verb, vsi(1), 1000 + answers.size(), std::nullopt, {mac(1)}, {}};
    for (const char* text : texts) event.ips.push_back({mac(1), ip(text)});
    requests.clear();
    agent->handle_addresses(event, now);
    work();
    run(seconds(1));
    EXPECT_TRUE(consistent());
    return answer(event.asker);
  }
  void release_results() {
    hold_results = false;
    for (const auto& result : std::exchange(held, {})) agent->handle_result(result, now);
    work();
  }
  std::vector<IpPrefix> shown() const { return view(1)->addresses.at(0).ips; }
  std::string row(const char* text) const { return "ip 1 " + mac(1).to_string() + " " + ip(text).to_string() + ":"; }
  std::size_t with_ip() const {
    return static_cast<std::size_t>(
        std::count_if(requests.begin(), requests.end(), [](const Request& r) { return vdp::has_ip(r.format); }));
  }
  std::optional<agent::Answer> created, started;
};

TEST(AgentIps, GoOutInTheirFormatBeforeTheMacOpens) {
  OneIp bench;
  ASSERT_TRUE(bench.created && bench.created->ok);
  ASSERT_TRUE(bench.started && bench.started->ok);
  const auto requests = bench.requests_of(1);
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].format, FilterFormat::kGroupMacIpv4Vid);
  EXPECT_EQ(requests[0].entries.at(0).ip, ip("192.0.2.7"));
  EXPECT_EQ(requests[0].entries.at(0).mac, Bench::mac(1));
  EXPECT_EQ(requests[1].format, FilterFormat::kGroupMacVid) << "it might be active there, from an earlier life of ours";
  EXPECT_EQ(requests[1].command, TlvType::kPreAssociateRr);
  EXPECT_EQ(requests[2].command, TlvType::kAssociate);
  EXPECT_EQ(requests[2].format, FilterFormat::kGroupMacIpv4Vid) << "one TLV names the MAC and its IP (H7)";
  bench.requests.clear();
  bench.run(seconds(60));
  EXPECT_GT(bench.requests.size(), 2u);
  EXPECT_EQ(bench.with_ip(), bench.requests.size()) << "nor has a keep-alive another one for the MAC";
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
  EXPECT_TRUE(bench.has_row(bench.row("192.0.2.7")));
  EXPECT_TRUE(bench.has_row("guard 1/70001 4096 " + Bench::mac(1).to_string() + ": 1 ipv4"));
}

/// Else its frames of the other family would be dropped until that is granted, too.
TEST(AgentIps, TheMacOpensWithTheLastOfThem) {
  OneIp bench;
  ASSERT_TRUE(bench.change(AddressVerb::kAdd, {"2001:db8::7"})->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kSuspend)->ok);
  std::vector<vdp::Level> mac_was;
  bench.verdict = [&](const Request& request) {
    if (request.command == TlvType::kAssociate) mac_was.push_back(bench.view(1)->addresses.at(0).confirmed);
    return vdp::ResponseStatus();
  };
  bench.requests.clear();
  ASSERT_TRUE(bench.ask(1, Verb::kResume)->ok);
  EXPECT_EQ(bench.with_ip(), 2u);
  EXPECT_EQ(bench.requests.size(), 2u);
  EXPECT_EQ(mac_was, (std::vector{vdp::Level::kReserved, vdp::Level::kReserved}));
  EXPECT_TRUE(bench.view(1)->port_open);
}

/// Naming an IP never lowers its MAC at the nNVE.
TEST(AgentIps, TheMacIsReservedByATlvOfItsOwn) {
  OneIp bench;
  bench.requests.clear();
  ASSERT_TRUE(bench.ask(1, Verb::kSuspend)->ok);
  ASSERT_EQ(bench.requests.size(), 2u);
  for (const Request& request : bench.requests) EXPECT_EQ(request.command, TlvType::kPreAssociateRr);
  EXPECT_EQ(bench.with_ip(), 1u);
  EXPECT_EQ(bench.requests.back().format, FilterFormat::kGroupMacVid);
}

TEST(AgentIps, OneIsDeactivatedAloneAndStaysSoUntilItIsActivated) {
  OneIp bench;
  ASSERT_TRUE(bench.change(AddressVerb::kAdd, {"192.0.2.8", "192.0.2.9"})->ok);
  const auto off = bench.change(AddressVerb::kDeactivate, {"192.0.2.8"});
  ASSERT_TRUE(off && off->ok) << (off ? off->reason : "no answer");
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kPreAssociateRr);
  ASSERT_EQ(bench.requests[0].entries.size(), 1u);
  EXPECT_EQ(bench.requests[0].entries[0].ip, ip("192.0.2.8"));
  const auto stands = [&](const char* when) {
    SCOPED_TRACE(when);
    EXPECT_STREQ(bench.view(1)->state, "activated");
    EXPECT_EQ(bench.shown().size(), 3u);
    EXPECT_EQ(bench.view(1)->addresses[0].deactivated_ips, std::vector{ip("192.0.2.8")});
    EXPECT_FALSE(bench.has_row(bench.row("192.0.2.8")));
    EXPECT_TRUE(bench.has_row(bench.row("192.0.2.7")));
    EXPECT_TRUE(bench.has_row(bench.row("192.0.2.9")));
    EXPECT_TRUE(bench.consistent());
  };
  stands("at once");
  ASSERT_TRUE(bench.ask(1, Verb::kSuspend)->ok);
  ASSERT_TRUE(bench.ask(1, Verb::kResume)->ok);
  stands("through suspend and resume");
  bench.requests.clear();
  bench.run(seconds(60));
  for (const Request& request : bench.requests)
    for (const auto& entry : request.entries)
      EXPECT_EQ(request.command == TlvType::kAssociate, entry.ip != ip("192.0.2.8")) << "each is renewed at its level";
  stands("through keep-alives");
  bench.restart();
  bench.settle();
  stands("through a restart");
  const auto on = bench.change(AddressVerb::kActivate, {"192.0.2.8"});
  ASSERT_TRUE(on && on->ok) << (on ? on->reason : "no answer");
  EXPECT_TRUE(bench.has_row(bench.row("192.0.2.8")));
  EXPECT_TRUE(bench.view(1)->addresses[0].deactivated_ips.empty());
}

TEST(AgentIps, AFamilyWhoseOnlyIpIsDeactivatedStaysGuarded) {
  OneIp bench;
  ASSERT_TRUE(bench.change(AddressVerb::kDeactivate, {"192.0.2.7"})->ok);
  EXPECT_FALSE(bench.has_row(bench.row("192.0.2.7")));
  EXPECT_TRUE(bench.has_row("guard 1/70001 4096 " + Bench::mac(1).to_string() + ": 1 ipv4"));
}

/// VM 1 with one IP, which another one is to replace.
struct IpChange : OneIp {
  std::uint64_t last_asker = 700;
  std::uint64_t begin(const char* to) {
    AddressEvent event{AddressVerb::kChangeIp,      vsi(1), ++last_asker, std::nullopt, {mac(1)},
                       {{mac(1), ip("192.0.2.7")}}, ip(to)};
    requests.clear();
    agent->handle_addresses(event, now);
    work();
    return event.asker;
  }
};

TEST(AgentIps, AnotherTakesItsPlaceWithoutAMomentInWhichNeitherMayBeUsed) {
  IpChange bench;
  unsigned seen = 0;
  bench.verdict = [&](const Request& request) {
    const bool old_one = bench.has_row(bench.row("192.0.2.7")), new_one = bench.has_row(bench.row("192.0.2.8"));
    EXPECT_TRUE(request.command == TlvType::kDeAssociate ? new_one : old_one);
    ++seen;
    return vdp::ResponseStatus();
  };
  const auto asker = bench.begin("192.0.2.8");
  bench.run(seconds(1));
  EXPECT_EQ(seen, 2u);
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_TRUE(bench.answer(asker)->ok) << bench.answer(asker)->reason;
  ASSERT_EQ(bench.requests.size(), 2u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kAssociate);
  EXPECT_EQ(bench.requests[0].entries.at(0).ip, ip("192.0.2.8"));
  EXPECT_EQ(bench.requests[1].command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.requests[1].entries.at(0).ip, ip("192.0.2.7"));
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.8")});
  EXPECT_FALSE(bench.has_row(bench.row("192.0.2.7")));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentIps, ARefusedChangeLeavesTheOldOne) {
  IpChange bench;
  bench.verdict = [](const Request& request) {
    return request.entries.at(0).ip == ip("192.0.2.8")
               ? vdp::ResponseStatus{vdp::Code::kInsufficientResources, true, false}
               : vdp::ResponseStatus();
  };
  const auto asker = bench.begin("192.0.2.8");
  bench.run(seconds(2));
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_FALSE(bench.answer(asker)->ok);
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
  bench.verdict = {};
  ASSERT_TRUE(bench.change(AddressVerb::kAdd, {"192.0.2.8"})->ok);
  EXPECT_EQ(bench.shown().size(), 2u) << "the change that was refused is over";
}

TEST(AgentIps, AChangeThatARestartCutsOffIsSaidAgain) {
  IpChange bench;
  bench.mute = true;
  bench.begin("192.0.2.8");
  bench.settle();
  bench.mute = false;
  bench.restart();
  bench.run(seconds(2));
  EXPECT_EQ(bench.shown().size(), 2u) << "neither is lost";
  const auto asker = bench.begin("192.0.2.8");
  bench.run(seconds(1));
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_TRUE(bench.answer(asker)->ok) << bench.answer(asker)->reason;
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.8")});
}

TEST(AgentIps, AChangeToOneThatIsThereIsRefusedWithoutHarmToEither) {
  IpChange bench;
  ASSERT_TRUE(bench.change(AddressVerb::kAdd, {"192.0.2.8"})->ok);
  ASSERT_TRUE(bench.change(AddressVerb::kDeactivate, {"192.0.2.8"})->ok);
  bench.verdict = [](const Request& request) {
    const bool refused = request.command == TlvType::kAssociate && request.entries.at(0).ip == ip("192.0.2.8");
    return refused ? vdp::ResponseStatus{vdp::Code::kInsufficientResources, true, false} : vdp::ResponseStatus();
  };
  const auto asker = bench.begin("192.0.2.8");
  bench.run(seconds(2));
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_FALSE(bench.answer(asker)->ok);
  bench.verdict = {};
  bench.run(seconds(30));
  EXPECT_EQ(bench.shown().size(), 2u) << "a change that was refused is not carried out later";
  EXPECT_TRUE(bench.has_row(bench.row("192.0.2.7")));
}

TEST(AgentIps, AChangeGoesOnWhileTheVmIsSuspended) {
  IpChange bench;
  bench.hold_results = true;
  const auto asker = bench.begin("192.0.2.8");
  bench.settle();
  bench.tell(1, Verb::kSuspend);
  bench.settle();
  EXPECT_FALSE(bench.answer(asker));
  bench.release_results();
  bench.run(seconds(4));
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_TRUE(bench.answer(asker)->ok) << bench.answer(asker)->reason;
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.8")});
}

TEST(AgentIps, WhatIsBeingChangedIsLeftAlone) {
  IpChange bench;
  bench.hold_results = true;
  const auto asker = bench.begin("192.0.2.8");
  bench.settle();
  const auto second = bench.begin("192.0.2.9");
  bench.settle();
  ASSERT_TRUE(bench.answer(second));
  EXPECT_NE(bench.answer(second)->reason.find("just being changed"), std::string::npos);
  const auto removed = bench.change(AddressVerb::kRemove, {"192.0.2.8"});
  EXPECT_TRUE(removed && !removed->ok);
  bench.release_results();
  bench.run(seconds(4));
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_TRUE(bench.answer(asker)->ok) << bench.answer(asker)->reason;
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.8")});
}

/// The newest word counts: a description ends what was begun before it.
TEST(AgentIps, ANewDescriptionEndsAChange) {
  IpChange bench;
  bench.mute = true;
  bench.begin("192.0.2.8");
  bench.settle();
  auto create = bench.vm(1, Verb::kCreate);
  create.ips = {{Bench::mac(1), ip("192.0.2.7")}, {Bench::mac(1), ip("192.0.2.8")}};
  create.replace = true;
  bench.tell(create);
  bench.settle();
  bench.mute = false;
  bench.run(seconds(30));
  EXPECT_EQ(bench.shown().size(), 2u);
}

/// Its patience has ended, theirs has not.
TEST(AgentIps, AnAdditionThatTakesTooLongEndsNothingElse) {
  OneIp bench;
  ASSERT_TRUE(bench.ask(1, Verb::kSuspend)->ok);
  bench.hold_results = true;
  AddressEvent add{AddressVerb::kAdd, Bench::vsi(1),   801,
                   std::nullopt,      {Bench::mac(1)}, {{Bench::mac(1), ip("192.0.2.8")}}};
  bench.agent->handle_addresses(add, bench.now);
  bench.work();
  bench.run(bench.config.start_deadline - milliseconds(500));
  const auto resume = bench.tell(1, Verb::kResume);
  bench.run(milliseconds(700));
  ASSERT_TRUE(bench.answer(801));
  EXPECT_FALSE(bench.answer(801)->ok);
  EXPECT_FALSE(bench.answer(resume)) << "still within its time";
  bench.release_results();
  bench.run(seconds(4));
  ASSERT_TRUE(bench.answer(resume));
  EXPECT_TRUE(bench.answer(resume)->ok) << bench.answer(resume)->reason;
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
}

TEST(AgentIps, ABadChangeIsRefusedInWords) {
  IpChange bench;
  const auto refusal = [&](const char* to) {
    const auto asker = bench.begin(to);
    bench.settle();
    const auto answer = bench.answer(asker);
    return answer && !answer->ok ? answer->reason : "";
  };
  EXPECT_NE(refusal("192.0.2.7").find("already"), std::string::npos);
  EXPECT_NE(refusal("2001:db8::1").find("another family"), std::string::npos);
  EXPECT_NE(refusal("224.0.0.1").find("no IP address that a VM may send from"), std::string::npos);
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
}

TEST(AgentIps, ComeAndGoOnALiveTsi) {
  OneIp bench;
  const auto added = bench.change(AddressVerb::kAdd, {"2001:db8::7", "198.51.100.0/24"});
  ASSERT_TRUE(added && added->ok) << (added ? added->reason : "no answer");
  EXPECT_EQ(bench.with_ip(), 2u) << "one request per format";
  EXPECT_EQ(bench.shown().size(), 3u);
  EXPECT_TRUE(bench.has_row("4096 " + Bench::mac(1).to_string() + ": 1 ipv4 ipv6"));
  const auto removed = bench.change(AddressVerb::kRemove, {"192.0.2.7", "2001:db8::7"});
  ASSERT_TRUE(removed && removed->ok) << (removed ? removed->reason : "no answer");
  EXPECT_EQ(bench.requests.size(), 2u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.shown(), std::vector{ip("198.51.100.0/24")});
  EXPECT_FALSE(bench.has_row(bench.row("192.0.2.7")));
  EXPECT_STREQ(bench.view(1)->state, "activated");
}

TEST(AgentIps, ARefusedOneIsGivenUpAndTheMacStays) {
  OneIp bench;
  bench.verdict = [](const Request& request) {
    return vdp::has_ip(request.format) ? vdp::ResponseStatus{vdp::Code::kInsufficientResources, true, false}
                                       : vdp::ResponseStatus();
  };
  const auto added = bench.change(AddressVerb::kAdd, {"192.0.2.8"});
  ASSERT_TRUE(added);
  EXPECT_FALSE(added->ok);
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentIps, TowardsALegacyNnveTheMacAloneIsToldAndTheGuardHereStands) {
  OneIp bench([](OneIp& b) { b.legacy = true; });
  ASSERT_TRUE(bench.started && bench.started->ok) << bench.view(1)->reason;
  EXPECT_EQ(bench.with_ip(), 0u);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.has_row(bench.row("192.0.2.7")));
  EXPECT_TRUE(bench.agent->peers()[0].standing.given_up.has(vdp::Flag::kIpFormats));
  const auto added = bench.change(AddressVerb::kAdd, {"192.0.2.8"});
  EXPECT_TRUE(added && added->ok);
  const auto removed = bench.change(AddressVerb::kRemove, {"192.0.2.7"});
  EXPECT_TRUE(removed && removed->ok);
  EXPECT_TRUE(bench.requests.empty());
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.8")});
}

TEST(AgentIps, APeerThatLearnsTheFormatsIsToldThem) {
  OneIp bench([](OneIp& b) { b.shows.flags = vdp::Flags().set(vdp::Flag::kIncrementalFilter); });
  EXPECT_EQ(bench.with_ip(), 0u);
  bench.shows.flags = vdp::Flags::all();
  bench.shows.nonce[0] = 9;
  bench.nnve_restarts();
  bench.run(seconds(30));
  EXPECT_GT(bench.with_ip(), 0u);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentIps, OutliveARestart) {
  OneIp bench;
  bench.change(AddressVerb::kAdd, {"2001:db8::/64"});
  const auto rows = SwitchModel::rows_of(bench.agent->desired_rows());
  bench.requests.clear();
  bench.restart();
  EXPECT_EQ(SwitchModel::rows_of(bench.agent->desired_rows()), rows);
  bench.run(seconds(2));
  EXPECT_EQ(bench.shown().size(), 2u);
  EXPECT_EQ(bench.with_ip(), 2u);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentIps, FollowAMacThatTheNnveDeactivates) {
  OneIp bench;
  Request named = bench.requests_of(1).back();
  named.entries.clear();
  named.entries.push_back({GroupId(70001), Bench::mac(1), Vid(101), false, 0});
  bench.requests.clear();
  bench.why = "noisy";
  bench.holds = [](const Request& request) { return request.command == TlvType::kPreAssociateRr; };
  bench.nnve_sends(TlvType::kPreAssociateRr, 0, named);
  bench.settle();
  EXPECT_STREQ(bench.view(1)->state, "associated");
  EXPECT_TRUE(bench.view(1)->held);
  bench.run(seconds(30));
  EXPECT_GT(bench.with_ip(), 0u);
  for (const Request& request : bench.requests) EXPECT_EQ(request.command, TlvType::kPreAssociateRr);
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
  bench.restart();
  bench.settle();
  EXPECT_TRUE(bench.view(1)->held) << "also after a restart";
  const auto again = bench.ask(bench.vm(1, Verb::kStart), seconds(2));
  EXPECT_TRUE(again && again->ok) << (again ? again->reason : "no answer");
  EXPECT_STREQ(bench.view(1)->state, "activated");
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentIps, AMacTakesItsIpsWithItAndSoDoesTheVm) {
  OneIp bench;
  AddressEvent more{AddressVerb::kAdd, Bench::vsi(1),    0,
                    std::nullopt,      {Bench::mac(11)}, {{Bench::mac(11), ip("192.0.2.9")}}};
  bench.agent->handle_addresses(more, bench.now);
  bench.settle();
  EXPECT_EQ(bench.view(1)->addresses.size(), 2u);
  more.verb = AddressVerb::kRemove;
  more.ips.clear();
  bench.agent->handle_addresses(more, bench.now);
  bench.settle();
  EXPECT_EQ(bench.view(1)->addresses.size(), 1u);
  EXPECT_FALSE(bench.has_row("192.0.2.9"));
  EXPECT_TRUE(bench.ask(1, Verb::kShutdown)->ok);
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_FALSE(bench.has_row("192.0.2.7"));
  EXPECT_TRUE(bench.store.empty());
}

TEST(AgentIps, ThoseOfEarlierLivesThatNobodyLetGoGiveWayToNewOnes) {
  OneIp bench;
  bench.mute = true;
  for (unsigned life = 0; life < 20; ++life) {
    bench.tell(1, Verb::kShutdown);
    bench.settle();
    auto create = bench.vm(1, Verb::kCreate);
    for (unsigned n = 0; n < limits::kIpsPerInstanceMax; ++n)
      create.ips.push_back({Bench::mac(1), ip(("10.0." + std::to_string(life) + "." + std::to_string(n + 1)).c_str())});
    bench.tell(create);
    bench.run(seconds(1));
    ASSERT_EQ(bench.shown().size(), limits::kIpsPerInstanceMax);
  }
  bench.mute = false;
  bench.tell(1, Verb::kShutdown);
  bench.run(seconds(120));
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentIps, WhatIsNoIpOfTheTsiIsRefusedInWords) {
  OneIp bench;
  const auto no_ip = bench.change(AddressVerb::kRemove, {"192.0.2.99"});
  EXPECT_TRUE(no_ip && !no_ip->ok && no_ip->reason.find("no IP of") != std::string::npos);
  const auto multicast = bench.change(AddressVerb::kAdd, {"224.0.0.1"});
  EXPECT_TRUE(multicast && !multicast->ok);
  const auto deactivate = bench.change(AddressVerb::kDeactivate, {"192.0.2.99"});
  EXPECT_TRUE(deactivate && !deactivate->ok);
  std::vector<std::string> texts;
  for (unsigned n = 0; n <= limits::kIpsPerInstanceMax; ++n) texts.push_back("198.51.100." + std::to_string(n + 1));
  std::vector<const char*> many;
  for (const auto& text : texts) many.push_back(text.c_str());
  const auto too_many = bench.change(AddressVerb::kAdd, many);
  EXPECT_TRUE(too_many && !too_many->ok && too_many->reason.find("at most 64") != std::string::npos);
  EXPECT_EQ(bench.shown(), std::vector{ip("192.0.2.7")});
}

TEST(AgentIps, AMacThatCameWithARefusedIpGoesAgain) {
  for (const bool answered_entries : {false, true}) {
    OneIp bench;
    bench.verdict = [](const Request& request) {
      const bool refused = vdp::has_ip(request.format) && request.entries.at(0).mac == Bench::mac(2);
      return refused ? vdp::ResponseStatus{vdp::Code::kInvalidFormat, true, false} : vdp::ResponseStatus();
    };
    bench.bare_refusals = !answered_entries;
    AddressEvent event{AddressVerb::kAdd, Bench::vsi(1), 900, std::nullopt, {Bench::mac(2)}, {}};
    event.ips.push_back({Bench::mac(2), ip("192.0.2.8")});
    bench.agent->handle_addresses(event, bench.now);
    bench.work();
    bench.run(seconds(30));
    ASSERT_TRUE(bench.answer(900));
    EXPECT_FALSE(bench.answer(900)->ok);
    EXPECT_EQ(bench.view(1)->addresses.size(), 1u);
    EXPECT_TRUE(bench.consistent());
  }
}

}  // namespace
}  // namespace splitnve::tnved::test
