// SPDX-License-Identifier: Apache-2.0
// What a running VM's port survives and what closes it (S8), restarts, links, and frames that are not the nNVE's.
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

struct Running : Bench {
  explicit Running(std::function<void(AgentConfig&)> change = {}) : Bench(std::move(change)) {
    ask(1, Verb::kCreate);
    ask(1, Verb::kStart);
  }
};

std::uint64_t dropped(const Bench& bench, const std::string& cause) {
  for (const auto& [name, count] : bench.agent->frame_drops())
    if (name == cause) return count;
  return 0;
}

TEST(AgentSilence, SilenceKeepsThePortOpenForHoursAndShowsUnconfirmed) {
  Running bench;
  bench.silent = true;
  const auto programs = bench.programs.size();
  bench.run(hours(3));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.view(1)->unconfirmed);
  EXPECT_EQ(bench.agent->peers()[0].unconfirmed, 1u);
  EXPECT_EQ(bench.programs.size(), programs);
  EXPECT_STREQ(bench.notices.back().id, "TNVED_NNVE_SILENT");
  bench.silent = false;
  bench.run(seconds(60));
  EXPECT_FALSE(bench.view(1)->unconfirmed);
  EXPECT_EQ(bench.agent->peers()[0].unconfirmed, 0u);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.transitions("port", "closed"), 0u);
}

TEST(AgentSilence, ANnveThatIsDeadWhenTheAgentStartsIsShownAndToldOf) {
  Running bench;
  bench.silent = true;
  bench.restart();
  bench.run(seconds(10));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.view(1)->unconfirmed);
  ASSERT_FALSE(bench.notices.empty());
  EXPECT_STREQ(bench.notices.back().id, "TNVED_NNVE_SILENT");
  bench.silent = false;
  bench.run(seconds(60));
  EXPECT_FALSE(bench.view(1)->unconfirmed);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.transitions("port", "closed"), 0u);
}

TEST(AgentSilence, ARefusedKeepAliveWithKeepChangesNothing) {
  Running bench;
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kOther, true, false}; };
  bench.run(seconds(30));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_NE(bench.view(1)->reason, "");
}

TEST(AgentSilence, ARefusedKeepAliveWithoutKeepClosesThePortAndIsAskedForAgain) {
  Running bench;
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kInsufficientResources, false, false}; };
  bench.run(seconds(30));
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_STREQ(bench.view(1)->state, "init");
  EXPECT_NE(bench.view(1)->reason.find("code 2"), std::string::npos);
  EXPECT_EQ(bench.transitions("port", "closed"), 1u);
  EXPECT_FALSE(bench.has_row("fdb "));
  EXPECT_TRUE(bench.consistent());
  bench.verdict = {};
  bench.run(seconds(60));
  EXPECT_TRUE(bench.view(1)->port_open) << "a running VM's association is retried for ever";
  EXPECT_EQ(bench.view(1)->vid, Vid(101));
}

TEST(AgentSilence, ABridgeDeassociateClosesThePortAndHoldsUntilAnOperatorAsks) {
  Running bench;
  const Request like = bench.requests.back();
  bench.nnve_sends(TlvType::kDeAssociate, 0, like);
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_STREQ(bench.view(1)->state, "init");
  EXPECT_NE(bench.view(1)->reason.find("de-associated"), std::string::npos);
  EXPECT_EQ(bench.transitions("port", "closed"), 1u);
  EXPECT_EQ(bench.transitions("tsi", "init"), 1u);
  const auto sent = bench.requests.size();
  bench.run(hours(1));
  EXPECT_EQ(bench.requests.size(), sent) << "held by the peer";
  const auto answer = bench.ask(1, Verb::kResume);
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentSilence, ARestartedAgentAssertsItsTsisAgainWithTheirVidsAndWantsWhatWasProgrammed) {
  Running bench;
  bench.ask(2, Verb::kCreate);
  auto trunk = bench.vm(3, Verb::kCreate, 70002);
  trunk.guest_tag = Vid(7);
  bench.ask(trunk);
  bench.ask(3, Verb::kStart);
  const auto before = bench.model.rows();
  bench.requests.clear();
  bench.programs.clear();
  bench.restart();
  EXPECT_EQ(bench.model.rows(), before);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.transitions("port", "closed"), 0u);
  bench.run(seconds(2));
  ASSERT_EQ(bench.requests_of(1).size(), 1u);
  EXPECT_EQ(bench.requests_of(1)[0].command, TlvType::kAssociate);
  EXPECT_EQ(bench.requests_of(1)[0].entries[0].vid, Vid(101));
  EXPECT_EQ(bench.requests_of(2)[0].command, TlvType::kPreAssociateRr);
  EXPECT_EQ(bench.requests_of(3)[0].entries[0].vid, Vid(102));
  EXPECT_EQ(bench.model.rows(), before);
  EXPECT_TRUE(bench.programs.empty()) << "a restart changes no row";
}

TEST(AgentSilence, AShutdownThatARestartInterruptedIsFinished) {
  Running bench;
  bench.silent = true;
  bench.tell(1, Verb::kShutdown);
  bench.run(seconds(1));
  bench.restart();
  EXPECT_EQ(bench.view(1)->vm, VmState::kLeaving);
  bench.silent = false;
  bench.run(seconds(60));
  EXPECT_EQ(bench.requests.back().command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.store.empty());
}

TEST(AgentSilence, UnreadableRecordsAreCountedAndNamedAndTheOthersRestored) {
  Running bench;
  bench.store[agent::store_key(agent::RecordKind::kTsi, 9)] = {1, 2, 3};
  bench.store[agent::store_key(agent::RecordKind::kTsi, 0xFFFFFFFF)] = bench.store.begin()->second;
  bench.store[agent::store_key(agent::RecordKind::kTsi, 2)] = bench.store.begin()->second;  // the same VSI twice
  bench.notices.clear();
  bench.restart();
  EXPECT_EQ(bench.notices.size(), 3u);
  EXPECT_EQ(bench.tsis(), 1u);
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentSilence, AfterALinkFlapEverythingIsAssertedAgainWithItsVids) {
  Running bench;
  bench.agent->handle_link(PortId(1), false, bench.now);
  bench.work();
  const auto sent = bench.requests.size();
  bench.run(seconds(100));
  EXPECT_EQ(bench.requests.size(), sent) << "nothing is sent into a dead link";
  EXPECT_TRUE(bench.view(1)->port_open);
  bench.agent->handle_link(PortId(1), true, bench.now);
  bench.run(seconds(1));
  ASSERT_GT(bench.requests.size(), sent);
  EXPECT_EQ(bench.requests.back().entries[0].vid, Vid(101));
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentSilence, ARememberedVidThatIsTakenIsAskedForOnceAsNullAndTheDomainIsRetagged) {
  Running bench;
  bench.vids[70001] = 201;
  bench.verdict = [](const Request& request) {
    const bool old = request.command != TlvType::kDeAssociate && request.entries[0].vid == Vid(101);
    return old ? vdp::ResponseStatus{vdp::Code::kInvalidAddress, false, false} : vdp::ResponseStatus();
  };
  bench.restart();
  bench.run(seconds(5));
  EXPECT_EQ(bench.view(1)->vid, Vid(201));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.has_row("domain 1/70001: uplink 1.201 local 4096.0"));
  EXPECT_TRUE(bench.has_row("access 1.201: 1/70001"));
  EXPECT_FALSE(bench.has_row("access 1.101"));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentSilence, FramesThatAreNotTheNnvesAreCountedByCauseAndDropped) {
  Running bench;
  const Request like = bench.requests.back();
  bench.nnve_mac = MacAddress(0x02DEAD000001u);
  bench.nnve_sends(TlvType::kDeAssociate, 0, like);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(dropped(bench, "source is not the uplink's nNVE"), 1u);
  OctetString frame;
  ecp::encode_frame(ecp::kNearestCustomerBridge, bench.config.uplinks[0].mac, ecp::Operation::kRequest, EcpSequence(1),
                    {}, frame);
  bench.inject(frame);
  EXPECT_EQ(dropped(bench, "our own frame came back"), 1u);
  ecp::encode_frame(MacAddress(0x0200000000FFu), MacAddress(0x020100000001u), ecp::Operation::kRequest, EcpSequence(1),
                    {}, frame = {});
  bench.inject(frame);
  EXPECT_EQ(dropped(bench, "destination is not ours"), 1u);
  bench.inject({1, 2, 3});
  std::uint64_t all = 0;
  for (const auto& [cause, count] : bench.agent->frame_drops()) all += count;
  EXPECT_EQ(all, 4u);
}

TEST(AgentSilence, AnotherNnveTakesOverOnlyAfterTheKnownOneIsDead) {
  Running bench;
  const auto known = bench.nnve_mac;
  bench.nnve_mac = MacAddress(0x02BB00000001u);
  bench.run(seconds(5));
  EXPECT_EQ(bench.agent->peers()[0].nnve, known);
  bench.run(seconds(120));
  EXPECT_EQ(bench.agent->peers()[0].nnve, bench.nnve_mac);
  EXPECT_FALSE(bench.view(1)->unconfirmed);
  EXPECT_TRUE(bench.view(1)->port_open);
}

}  // namespace
}  // namespace splitnve::tnved::test
