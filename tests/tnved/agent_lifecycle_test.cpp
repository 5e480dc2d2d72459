// SPDX-License-Identifier: Apache-2.0
// The VM path against an nNVE that answers: create, start, suspend, resume, shutdown, and every way to be refused.
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

TEST(AgentLifecycle, CreateReservesAndIsAnsweredWhenTheNnveConfirmed) {
  Bench bench;
  const auto answer = bench.ask(1, Verb::kCreate);
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok) << answer->reason;
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kPreAssociateRr);
  EXPECT_TRUE(bench.requests[0].entries[0].vid.is_null()) << "the nNVE assigns the VID";
  const auto view = bench.view(1);
  ASSERT_TRUE(view.has_value());
  EXPECT_STREQ(view->state, "associated");
  EXPECT_EQ(view->vid, Vid(101));
  EXPECT_FALSE(view->port_open);
  EXPECT_TRUE(bench.has_row("guard 1/70001 4096 02:aa:00:00:00:01: 1")) << "guarded from the reservation on";
  EXPECT_TRUE(bench.has_row("access 1.101: 1/70001"));
  EXPECT_FALSE(bench.has_row("fdb ")) << "closed until Activated";
  EXPECT_TRUE(bench.consistent());
  EXPECT_EQ(bench.store.size(), 1u);
}

TEST(AgentLifecycle, StartOpensThePortAfterTheNnveTheDatapathAndTheStoreHaveIt) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.hold_results = true;
  const auto asker = bench.tell(1, Verb::kStart);
  bench.settle();
  EXPECT_EQ(bench.requests.back().command, TlvType::kAssociate);
  EXPECT_FALSE(bench.answer(asker).has_value()) << "the datapath has not reported";
  EXPECT_FALSE(bench.view(1)->port_open);
  bench.hold_results = false;
  while (!bench.held.empty()) {
    EXPECT_FALSE(bench.answer(asker).has_value());
    const auto result = bench.held.front();
    bench.held.pop_front();
    bench.agent->handle_result(result, bench.now);
    bench.work();
  }
  ASSERT_TRUE(bench.answer(asker).has_value());
  EXPECT_TRUE(bench.answer(asker)->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.has_row("fdb 1/70001 02:aa:00:00:00:01: 1 at 4096.0"));
  EXPECT_TRUE(bench.has_row("domain 1/70001: uplink 1.101 local 4096.0"));
  EXPECT_TRUE(bench.has_row("port 4096: tap1"));
  EXPECT_TRUE(bench.consistent());
}

LifecycleEvent created_to_run(const Bench& bench, unsigned number) {
  LifecycleEvent event = bench.vm(number, Verb::kCreate);
  event.starts = true;
  return event;
}

TEST(AgentLifecycle, ACreateThatStartsActivatesWithOneRequestAndOneAnswer) {
  Bench bench;
  const auto answer = bench.ask(created_to_run(bench, 1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok) << answer->reason;
  EXPECT_EQ(bench.answers.size(), 1u);
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kAssociate);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.view(1)->vm, VmState::kRunning);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, ACreateThatStartsRaisesWhatIsThere) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  const auto answer = bench.ask(created_to_run(bench, 1));
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentLifecycle, ACreateThatStartsWithoutInterfaceIsRefusedAndLeavesNothing) {
  Bench bench;
  LifecycleEvent event = created_to_run(bench, 1);
  event.interface_name.clear();
  const auto answer = bench.ask(event);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_EQ(answer->reason, "the VM's interface is not known: name it");
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.requests.empty());
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, ACreateThatStartsAndIsRefusedByTheNnveIsForgotten) {
  Bench bench;
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kInsufficientResources, false, false}; };
  const auto answer = bench.ask(created_to_run(bench, 1), seconds(1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_EQ(bench.tsis(), 0u) << "nobody runs a VM that was refused";
}

TEST(AgentLifecycle, AnUnattendedTsiIsAnsweredWhenStoredAndAskedForUntilTheNnveAgrees) {
  Bench bench;
  bench.settle();
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kInsufficientResources, false, false}; };
  LifecycleEvent event = created_to_run(bench, 1);
  event.unattended = true;
  const auto answer = bench.ask(event, seconds(1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok) << answer->reason;
  EXPECT_EQ(bench.store.size(), 1u);
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_EQ(bench.agent->peers().front().settled, 0u);
  bench.verdict = {};
  bench.run(seconds(31));  // the longest pause between two tries
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.agent->peers().front().settled, 1u);
}

TEST(AgentLifecycle, SettledCountsTheTsisOfWhichEverythingIsAsWanted) {
  Bench bench;
  const auto settled = [&] { return bench.agent->peers().front().settled; };
  for (unsigned i = 1; i <= 3; ++i) bench.ask(i, Verb::kCreate);
  EXPECT_EQ(settled(), 3u);
  bench.mute = true;
  bench.tell(1, Verb::kStart);
  EXPECT_EQ(settled(), 2u) << "the nNVE has not answered";
  bench.mute = false;
  bench.hold_results = true;
  bench.tell(2, Verb::kStart);
  bench.settle();
  EXPECT_EQ(settled(), 1u) << "neither datapath nor store have reported";
  bench.hold_results = false;
  while (!bench.held.empty()) {
    const auto result = bench.held.front();
    bench.held.pop_front();
    bench.agent->handle_result(result, bench.now);
    bench.work();
  }
  EXPECT_EQ(settled(), 2u);
  bench.ask(3, Verb::kShutdown);
  EXPECT_EQ(settled(), 1u);
}

TEST(AgentLifecycle, WhatWaitsLeavesWithTheAcknowledgementButNotBeforeAPortIsClosed) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.silent = true;  // its acknowledgements are written here
  bench.tell(2, Verb::kCreate);
  bench.tell(3, Verb::kCreate);
  auto acknowledge = [&, sequence = bench.last_sequence]() mutable {
    OctetString frame;
    ecp::encode_frame(bench.speaks_to, bench.nnve_mac, ecp::Operation::kAck, sequence, {}, frame);
    bench.agent->handle_frame(PortId(1), frame, bench.now);
    sequence = EcpSequence(static_cast<std::uint16_t>(sequence.value() + 1));
    const auto effect = bench.agent->poll_effect();
    return effect && std::holds_alternative<agent::Transmit>(*effect);
  };
  EXPECT_TRUE(acknowledge()) << "before any work is done";
  LifecycleEvent event = bench.vm(1, Verb::kSuspend);
  bench.agent->handle_event(event, bench.now);
  while (bench.agent->poll_effect()) {  // transitions
  }
  EXPECT_FALSE(acknowledge()) << "the port is closed first";
}

/// A running VM would be cut off without anybody being told.
TEST(AgentLifecycle, ARunningVmIsNotMovedToAnotherInterface) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  auto again = bench.vm(1, Verb::kStart);
  again.interface_name = "tap-other";
  const auto refused = bench.ask(again);
  ASSERT_TRUE(refused && !refused->ok);
  EXPECT_NE(refused->reason.find("runs on tap1"), std::string::npos) << refused->reason;
  EXPECT_EQ(bench.view(1)->interface_name, "tap1");
  EXPECT_TRUE(bench.view(1)->port_open);
  ASSERT_TRUE(bench.ask(1, Verb::kSuspend)->ok);
  again.verb = Verb::kResume;
  EXPECT_TRUE(bench.ask(again)->ok);
  EXPECT_EQ(bench.view(1)->interface_name, "tap-other");
}

TEST(AgentLifecycle, APauseChangesNothing) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  const auto requests = bench.requests.size(), programs = bench.programs.size();
  const auto transitions = bench.transition_log.size();
  const auto answer = bench.ask(1, Verb::kPause);
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok);
  EXPECT_EQ(bench.requests.size(), requests);
  EXPECT_EQ(bench.programs.size(), programs);
  EXPECT_EQ(bench.transition_log.size(), transitions);
  bench.run(seconds(15));
  EXPECT_GT(bench.requests.size(), requests) << "keep-alives go on";
  EXPECT_EQ(bench.requests.back().command, TlvType::kAssociate);
  EXPECT_TRUE(bench.view(1)->port_open);
}

TEST(AgentLifecycle, SuspendClosesThePortBeforeTheNnveIsToldAndResumeOpensItAgain) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  LifecycleEvent event = bench.vm(1, Verb::kSuspend);
  event.asker = 77;
  bench.agent->handle_event(event, bench.now);
  bench.agent->handle_work(8, bench.now);
  std::vector<std::size_t> order;
  bool closes = false;
  while (auto effect = bench.agent->poll_effect()) {
    order.push_back(effect->index());
    if (const auto* program = std::get_if<agent::Program>(&*effect)) {
      closes = program->rows.fdb.size() == 1 && !program->rows.fdb[0].owner;
      bench.model.apply(program->rows);
      bench.agent->handle_result({program->batch, {}, {}}, bench.now);
    } else if (const auto* persist = std::get_if<agent::Persist>(&*effect)) {
      bench.agent->handle_result({persist->batch, {}, {}}, bench.now);
    }
  }
  EXPECT_TRUE(closes);
  const auto first_program = std::find(order.begin(), order.end(), 1u),
             first_frame = std::find(order.begin(), order.end(), 0u);
  EXPECT_LT(first_program - order.begin(), first_frame - order.begin());
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.has_row("guard ")) << "still reserved, still guarded";
  EXPECT_FALSE(bench.has_row("fdb "));
  bench.run(seconds(2));  // the frame above was lost; ECP repeats it
  EXPECT_EQ(bench.requests.back().command, TlvType::kPreAssociateRr);
  EXPECT_TRUE(bench.requests.back().suspended);
  EXPECT_STREQ(bench.view(1)->state, "associated");
  ASSERT_TRUE(bench.answer(77).has_value());
  EXPECT_TRUE(bench.answer(77)->ok);

  const auto answer = bench.ask(1, Verb::kResume);
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_EQ(bench.requests.back().command, TlvType::kAssociate);
  EXPECT_FALSE(bench.requests.back().suspended);
  EXPECT_EQ(bench.requests.back().entries[0].vid, Vid(101)) << "the VID is kept";
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, TowardsALegacyNnveSuspendClosesTheLocalPortAndTheVsiStaysAssociatedWithS) {
  Bench bench([](AgentConfig& config) { config.uplinks[0].legacy = true; });
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  const auto answer = bench.ask(1, Verb::kSuspend);
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_EQ(bench.requests.back().command, TlvType::kAssociate) << "a legacy bridge knows no Deactivate";
  EXPECT_TRUE(bench.requests.back().suspended);
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.has_row("fdb "));
  const auto resumed = bench.ask(1, Verb::kResume);
  ASSERT_TRUE(resumed && resumed->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
  for (const auto& request : bench.requests_of(1)) EXPECT_NE(request.command, TlvType::kDeAssociate);
}

TEST(AgentLifecycle, ShutdownLeavesNoRowNoRecordAndNoDatapathRow) {
  Bench bench;
  const auto idle = bench.model.rows();
  for (unsigned i = 1; i <= 5; ++i) {
    bench.ask(i, Verb::kCreate);
    bench.ask(i, Verb::kStart);
  }
  EXPECT_EQ(bench.tsis(), 5u);
  for (unsigned i = 1; i <= 5; ++i) {
    const auto answer = bench.ask(i, Verb::kShutdown);
    ASSERT_TRUE(answer && answer->ok);
  }
  EXPECT_EQ(bench.requests.back().command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.store.empty());
  EXPECT_EQ(bench.model.rows(), idle);
  EXPECT_EQ(bench.agent->peers()[0].tsis, 0u);
}

TEST(AgentLifecycle, AShutdownThatNobodyAnswersIsOkAtTheDeadlineAndIsRepeatedUntilAnswered) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.silent = true;
  const auto asker = bench.tell(1, Verb::kShutdown);
  bench.run(seconds(4));
  EXPECT_FALSE(bench.answer(asker).has_value());
  EXPECT_FALSE(bench.has_row("fdb ")) << "closed at once";
  bench.run(seconds(2));
  ASSERT_TRUE(bench.answer(asker).has_value());
  EXPECT_TRUE(bench.answer(asker)->ok);
  EXPECT_NE(bench.answer(asker)->reason, "") << "says that the nNVE is still to answer";
  ASSERT_TRUE(bench.view(1).has_value());
  EXPECT_EQ(bench.view(1)->vm, VmState::kLeaving);
  bench.run(hours(1));
  EXPECT_TRUE(bench.view(1).has_value());
  bench.silent = false;
  bench.run(seconds(60));
  EXPECT_FALSE(bench.view(1).has_value());
  EXPECT_TRUE(bench.store.empty());
}

TEST(AgentLifecycle, AVmIsCreatedAnewWhileItsOldAssociationIsStillLeaving) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.mute = true;
  bench.tell(1, Verb::kShutdown);
  bench.run(milliseconds(50));
  const auto asker = bench.tell(bench.vm(1, Verb::kCreate, 70002));
  bench.mute = false;
  bench.run(seconds(120));
  ASSERT_TRUE(bench.answer(asker).has_value());
  // The old association was let go for another VN; whether in time or not, exactly one outcome holds.
  if (bench.answer(asker)->ok) {
    EXPECT_EQ(bench.view(1)->vn, GroupId(70002));
    EXPECT_EQ(bench.view(1)->vid, Vid(102));
  } else {
    EXPECT_EQ(bench.tsis(), 0u);
  }
  EXPECT_TRUE(bench.consistent());
  const auto again = bench.ask(bench.vm(1, Verb::kCreate, 70002));
  ASSERT_TRUE(again && again->ok) << again->reason;
  EXPECT_EQ(bench.view(1)->vn, GroupId(70002));
}

TEST(AgentLifecycle, ACreateWithoutAnAnswerIsRefusedAtTheDeadlineAndForgotten) {
  Bench bench;
  bench.silent = true;
  const auto asker = bench.tell(1, Verb::kCreate);
  bench.run(milliseconds(4900));
  EXPECT_FALSE(bench.answer(asker).has_value());
  bench.run(milliseconds(200));
  ASSERT_TRUE(bench.answer(asker).has_value());
  EXPECT_FALSE(bench.answer(asker)->ok);
  EXPECT_NE(bench.answer(asker)->reason.find("up0"), std::string::npos) << bench.answer(asker)->reason;
  EXPECT_EQ(bench.view(1)->vm, VmState::kLeaving);
  bench.silent = false;
  bench.run(seconds(60));
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_EQ(bench.requests.back().command, TlvType::kDeAssociate);
  EXPECT_TRUE(bench.store.empty());
}

TEST(AgentLifecycle, ARefusedCreateSaysTheCodeAndLeavesNothing) {
  Bench bench;
  bench.verdict = [](const Request&) { return vdp::ResponseStatus{vdp::Code::kInsufficientResources, false, false}; };
  const auto answer = bench.ask(1, Verb::kCreate);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_NE(answer->reason.find("code 2"), std::string::npos) << answer->reason;
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.store.empty());
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, AStartThatIsRefusedWithKeepIsDeassociatedBecauseTheVmMustNotRun) {
  Bench bench;
  bench.verdict = [](const Request& request) {
    if (request.command != TlvType::kAssociate) return vdp::ResponseStatus();
    return vdp::ResponseStatus{vdp::Code::kOther, true, false};
  };
  ASSERT_TRUE(bench.ask(1, Verb::kCreate)->ok);
  const auto answer = bench.ask(1, Verb::kStart);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_NE(answer->reason.find("code 4"), std::string::npos) << answer->reason;
  EXPECT_EQ(bench.requests.back().command, TlvType::kDeAssociate);
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, ARefusedResumeLeavesTheVmSuspended) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.ask(1, Verb::kSuspend);
  bench.verdict = [](const Request& request) {
    if (request.command != TlvType::kAssociate) return vdp::ResponseStatus();
    return vdp::ResponseStatus{vdp::Code::kOther, true, false};
  };
  const auto answer = bench.ask(1, Verb::kResume);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_EQ(bench.view(1)->vm, VmState::kSuspended);
  EXPECT_STREQ(bench.view(1)->state, "associated");
  EXPECT_FALSE(bench.view(1)->port_open);
}

TEST(AgentLifecycle, AFailedProgramRefusesTheStartWithItsCause) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.program = [](const agent::Program& program) {
    agent::BatchResult result{program.batch, {}, {}};
    if (!program.rows.fdb.empty() && program.rows.fdb[0].owner)
      result.failures.push_back({datapath::Table::kFdb, 0, "map full"});
    return result;
  };
  const auto answer = bench.ask(1, Verb::kStart);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_NE(answer->reason.find("map full"), std::string::npos) << answer->reason;
  bench.run(seconds(60));
  EXPECT_EQ(bench.tsis(), 0u) << "a VM that must not run is de-associated";
}

TEST(AgentLifecycle, ADatapathThatRecoversIsProgrammedByTheRetry) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  bench.ask(2, Verb::kCreate);
  bool broken = true;
  bench.program = [&](const agent::Program& program) {
    return agent::BatchResult{program.batch, {}, broken ? "no bpffs" : ""};
  };
  LifecycleEvent start = bench.vm(2, Verb::kStart);
  bench.agent->handle_event(start, bench.now);  // nobody waits: the intent stands
  bench.run(seconds(10));
  EXPECT_FALSE(bench.view(2)->port_open);
  EXPECT_NE(bench.view(2)->reason.find("no bpffs"), std::string::npos);
  EXPECT_FALSE(bench.consistent());
  broken = false;
  bench.run(seconds(31));
  EXPECT_TRUE(bench.view(2)->port_open);
  EXPECT_EQ(bench.view(2)->reason, "");
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, BadDescriptionsAreRefusedWithAReasonAndLeaveNothing) {
  Bench bench([](AgentConfig& config) { config.uplinks[0].vns = {GroupId(70001)}; });
  const auto refused = [&](LifecycleEvent event) {
    const auto answer = bench.ask(event);
    return answer && !answer->ok ? answer->reason : std::string("accepted");
  };
  auto event = bench.vm(1, Verb::kCreate);
  event.macs.clear();
  EXPECT_NE(refused(event).find("at least one MAC"), std::string::npos);
  event.macs = {MacAddress(0x010000000001u)};
  EXPECT_NE(refused(event).find("no address that a VM may have"), std::string::npos);
  event.macs = {bench.mac(1), bench.mac(1)};
  EXPECT_NE(refused(event).find("twice"), std::string::npos);
  event = bench.vm(1, Verb::kCreate, 70002);
  EXPECT_NE(refused(event).find("no uplink serves VN 70002"), std::string::npos);
  event = bench.vm(1, Verb::kCreate, 1u << 24);
  EXPECT_NE(refused(event), "accepted");
  event = bench.vm(1, Verb::kCreate);
  event.interface_name = "an-interface-name-too-long";
  EXPECT_NE(refused(event).find("no interface name"), std::string::npos);
  event.interface_name = "up0";
  EXPECT_NE(refused(event).find("uplink"), std::string::npos);
  EXPECT_NE(refused(bench.vm(1, Verb::kStart)).find("not known"), std::string::npos);
  EXPECT_EQ(bench.tsis(), 0u);
  EXPECT_TRUE(bench.store.empty());

  event = bench.vm(1, Verb::kCreate);
  event.interface_name.clear();
  ASSERT_TRUE(bench.ask(event)->ok);
  EXPECT_NE(refused(bench.vm(1, Verb::kStart)).find("name it"), std::string::npos);
  auto twin = bench.vm(2, Verb::kCreate);
  twin.macs = {bench.mac(1)};
  EXPECT_NE(refused(twin).find("belongs to VSI"), std::string::npos);
  auto start = bench.vm(1, Verb::kStart);
  start.interface_name = "tap-late";
  ASSERT_TRUE(bench.ask(start)->ok) << "the interface may come with start";
  EXPECT_EQ(bench.view(1)->interface_name, "tap-late");
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, AddressesAreAddedAndRemovedWhileTheVmRuns) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  auto event = bench.vm(1, Verb::kCreate);
  event.macs = {bench.mac(1), bench.mac(11)};
  ASSERT_TRUE(bench.ask(event)->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.has_row("fdb 1/70001 02:aa:00:00:00:0b"));
  event.macs = {bench.mac(11)};
  ASSERT_TRUE(bench.ask(event)->ok);
  EXPECT_FALSE(bench.has_row("02:aa:00:00:00:01"));
  EXPECT_TRUE(bench.has_row("fdb 1/70001 02:aa:00:00:00:0b"));
  EXPECT_EQ(bench.view(1)->addresses.size(), 1u);
  EXPECT_EQ(bench.transitions("port", "closed"), 0u) << "the TSI kept its state";
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentLifecycle, AThousandCreatesLeaveThirtySevenPerEcpduInOneBatchEach) {
  Bench bench;
  std::vector<agent::Answer> before;
  for (unsigned i = 1; i <= 1000; ++i) {
    auto event = bench.vm(i, Verb::kCreate);
    event.interface_name.clear();
    event.asker = 100000 + i;
    bench.agent->handle_event(event, bench.now);
  }
  EXPECT_EQ(bench.requests.size(), 0u) << "events only queue";
  bench.run(seconds(1));
  EXPECT_EQ(bench.requests.size(), 1000u);
  ASSERT_GE(bench.tlvs_per_ecpdu.size(), 28u);
  EXPECT_EQ(bench.tlvs_per_ecpdu.size(), 28u);
  for (std::size_t i = 0; i < 27; ++i) EXPECT_EQ(bench.tlvs_per_ecpdu[i], 37u);
  EXPECT_EQ(bench.answers.size(), 1000u);
  for (const auto& answer : bench.answers) EXPECT_TRUE(answer.ok) << answer.reason;
  EXPECT_LE(bench.persists, 1u + 28u + 1u) << "one Persist per turn of work";
  EXPECT_LE(bench.programs.size(), 1u + 28u);
}

}  // namespace
}  // namespace splitnve::tnved::test
