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

TEST(AgentExtension, MigrationIsToldAsNoYesOrUnknown) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  EXPECT_FALSE(bench.requests_of(1).back().told) << "the bits say no";
  EXPECT_EQ(bench.view(1)->migration, vdp::Migration::kNone);
  bench.ask(1, Verb::kSuspend);
  EXPECT_TRUE(bench.requests_of(1).back().suspended);
  EXPECT_EQ(bench.requests_of(1).back().told, vdp::Migration::kNone) << "suspended, and not migrating";
  bench.ask(1, Verb::kResume);
  bench.ask(1, Verb::kMigrateOut);
  EXPECT_EQ(bench.view(1)->migration, vdp::Migration::kDeparting);
  LifecycleEvent create = bench.vm(2, Verb::kCreate);
  create.migration_unknown = true;
  EXPECT_TRUE(bench.ask(create)->ok);
  EXPECT_EQ(bench.requests_of(2).back().told, vdp::Migration::kUnknown);
  bench.restart();
  bench.settle();
  EXPECT_EQ(bench.view(2)->migration, vdp::Migration::kUnknown);
}

// --- deactivated by the nNVE (D9) ---

Bench running() {
  Bench bench;
  LifecycleEvent create = bench.vm(1, Verb::kCreate);
  create.macs = {Bench::mac(1), Bench::mac(2)};
  EXPECT_TRUE(bench.ask(create)->ok);
  EXPECT_TRUE(bench.ask(1, Verb::kStart)->ok);
  bench.why = "noisy";
  return bench;
}
void deactivate(Bench& bench, std::vector<MacAddress> macs) {
  Request named = bench.requests_of(1).back();
  named.entries.clear();
  for (const MacAddress& mac : macs) named.entries.push_back({GroupId(70001), mac, Vid(101), false, 0});
  bench.holds = [](const Request& request) { return request.command == TlvType::kPreAssociateRr; };
  bench.nnve_sends(TlvType::kPreAssociateRr, 0, named);
  bench.settle();
}

TEST(AgentDeactivated, AnAddressClosesKeepsItsReservationAndWaitsForAnOperator) {
  Bench bench = running();
  deactivate(bench, {Bench::mac(2)});
  ASSERT_EQ(bench.responses, std::vector{TlvType::kPreAssociateRr});
  EXPECT_TRUE(bench.view(1)->port_open) << "the other address goes on";
  EXPECT_FALSE(bench.view(1)->held);
  EXPECT_TRUE(bench.view(1)->addresses[1].held);
  EXPECT_EQ(bench.view(1)->addresses[1].confirmed, vdp::Level::kReserved);
  EXPECT_FALSE(bench.has_row("fdb 1/70001 " + Bench::mac(2).to_string()));
  EXPECT_TRUE(bench.has_row("fdb 1/70001 " + Bench::mac(1).to_string()));
  EXPECT_NE(bench.view(1)->reason.find("noisy"), std::string::npos);
  EXPECT_TRUE(bench.consistent());
  bench.requests.clear();
  bench.run(seconds(12));
  for (const Request& request : bench.requests)
    for (const auto& entry : request.entries)
      EXPECT_EQ(request.command == TlvType::kAssociate, entry.mac == Bench::mac(1)) << "each is renewed at its level";
  bench.restart();
  bench.settle();
  EXPECT_TRUE(bench.view(1)->addresses[1].held) << "also after a restart";
  EXPECT_TRUE(bench.ask(1, Verb::kStart)->ok);
  EXPECT_EQ(bench.view(1)->addresses[1].confirmed, vdp::Level::kActive);
  EXPECT_TRUE(bench.has_row("fdb 1/70001 " + Bench::mac(2).to_string()));
}

TEST(AgentDeactivated, AllAddressesCloseThePortAndTheTsiStaysAssociated) {
  Bench bench = running();
  deactivate(bench, {Bench::mac(1), Bench::mac(2)});
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_STREQ(bench.view(1)->state, "associated");
  EXPECT_TRUE(bench.view(1)->held);
  EXPECT_EQ(bench.transitions("port", "closed"), 1u);
  bench.verdict = [](const Request& request) {
    return request.command == TlvType::kAssociate ? vdp::ResponseStatus{vdp::Code::kOther, true, false}
                                                  : vdp::ResponseStatus{};
  };
  const auto refused = bench.ask(1, Verb::kStart);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok) << "as long as the nNVE's latch stands";
  EXPECT_STREQ(bench.view(1)->state, "associated");
  bench.verdict = {};
  bench.holds = {};
  EXPECT_TRUE(bench.ask(bench.vm(1, Verb::kStart), seconds(3))->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
}

/// Whoever is told no finds what was there before: the address that was asked for is not there afterwards either.
TEST(AgentDeactivated, AnAdditionUnderWayIsRefusedAndLeavesNothing) {
  Bench bench = running();
  bench.hold_results = true;
  AddressEvent add{AddressVerb::kAdd, Bench::vsi(1), 77, std::nullopt, {}};
  add.macs = {Bench::mac(3)};
  bench.agent->handle_addresses(add, bench.now);
  bench.settle();
  ASSERT_FALSE(bench.answer(77));
  deactivate(bench, {Bench::mac(2)});
  ASSERT_TRUE(bench.answer(77));
  EXPECT_FALSE(bench.answer(77)->ok);
  bench.hold_results = false;
  bench.run(seconds(5));
  EXPECT_EQ(bench.view(1)->addresses.size(), 2u);
  EXPECT_FALSE(bench.has_row("fdb 1/70001 " + Bench::mac(3).to_string()));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentDeactivated, AStartUnderWayIsRefusedAndTheVmIsNotLetRun) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  bench.hold_results = true;
  const auto asker = bench.tell(1, Verb::kStart);
  bench.settle();
  ASSERT_FALSE(bench.answer(asker));
  deactivate(bench, {Bench::mac(1)});
  ASSERT_TRUE(bench.answer(asker));
  EXPECT_FALSE(bench.answer(asker)->ok);
}

TEST(AgentDeactivated, WhatIsNotOfferedIsNotDone) {
  Bench bench([](AgentConfig& config) { config.offer = vdp::Flags().set(vdp::Flag::kIncrementalFilter); });
  bench.ask(1, Verb::kCreate);
  bench.ask(1, Verb::kStart);
  deactivate(bench, {Bench::mac(1)});
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.responses.empty());
}

}  // namespace
}  // namespace splitnve::tnved::test
