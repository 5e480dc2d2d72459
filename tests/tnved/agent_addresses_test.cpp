// SPDX-License-Identifier: Apache-2.0
// A live TSI whose addresses and attributes change (C7, C8, D8, D10, S1), and what the nNVE holds (S7).
#include <gtest/gtest.h>

#include <algorithm>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

/// VM 1 runs with addresses 1, 11 and 12.
struct Three : Bench {
  explicit Three(std::function<void(AgentConfig&)> change = {}) : Bench(std::move(change)) {
    auto create = vm(1, Verb::kCreate);
    create.macs = {mac(1), mac(11), mac(12)};
    ask(create);
    ask(1, Verb::kStart);
    settle();
    requests.clear();
    programs.clear();
    transition_log.clear();
  }
  std::optional<agent::Answer> change(AddressVerb verb, std::vector<unsigned> numbers,
                                      Duration patience = milliseconds(100)) {
    AddressEvent event{verb, vsi(1), 1000 + answers.size(), std::nullopt, {}};
    for (unsigned number : numbers) event.macs.push_back(mac(number));
    agent->handle_addresses(event, now);
    work();
    run(patience);
    return answer(event.asker);
  }
  std::string row(unsigned number) const { return "fdb 1/70001 " + mac(number).to_string(); }
  /// What all batches since then touched.
  std::string touched() const {
    std::size_t ports = 0, domains = 0, access = 0;
    std::string text;
    for (const auto& batch : programs) {
      ports += batch.rows.ports.size();
      domains += batch.rows.domains.size();
      access += batch.rows.access.size();
      for (const auto& guard : batch.rows.guards) text += " guard " + guard.mac.to_string();
      for (const auto& fdb : batch.rows.fdb) text += " fdb " + fdb.mac.to_string();
    }
    return std::to_string(ports + domains + access) + " shared," + text;
  }
};

std::vector<MacAddress> macs_of(const Request& request) {
  std::vector<MacAddress> macs;
  for (const auto& entry : request.entries) macs.push_back(entry.mac);
  return macs;
}

TEST(AgentAddresses, AnAddedAddressIsTheOnlyOneSentAndTheOnlyOneProgrammed) {
  Three bench;
  const auto answer = bench.change(AddressVerb::kAdd, {13});
  ASSERT_TRUE(answer && answer->ok) << (answer ? answer->reason : "no answer");
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kAssociate);
  EXPECT_EQ(macs_of(bench.requests[0]), std::vector{Bench::mac(13)});
  EXPECT_EQ(bench.touched(), "0 shared, guard 02:aa:00:00:00:0d fdb 02:aa:00:00:00:0d");
  EXPECT_TRUE(bench.has_row(bench.row(13)));
  EXPECT_TRUE(bench.transition_log.empty()) << "the TSI keeps its state";
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, ARemovedAddressIsClosedAtOnceDeassociatedAloneAndForgotten) {
  Three bench;
  const auto answer = bench.change(AddressVerb::kRemove, {11});
  ASSERT_TRUE(answer && answer->ok);
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kDeAssociate);
  EXPECT_EQ(macs_of(bench.requests[0]), std::vector{Bench::mac(11)});
  EXPECT_EQ(bench.touched(), "0 shared, fdb 02:aa:00:00:00:0b guard 02:aa:00:00:00:0b");
  EXPECT_EQ(bench.view(1)->addresses.size(), 2u);
  EXPECT_TRUE(bench.has_row(bench.row(1)) && bench.has_row(bench.row(12)));
  EXPECT_TRUE(bench.transition_log.empty());
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, ADeactivatedAddressStaysReservedThroughSuspendResumeKeepAlivesAndARestart) {
  Three bench;
  const auto answer = bench.change(AddressVerb::kDeactivate, {12});
  ASSERT_TRUE(answer && answer->ok);
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kPreAssociateRr);
  EXPECT_FALSE(bench.requests[0].suspended) << "the VM is not";
  EXPECT_EQ(macs_of(bench.requests[0]), std::vector{Bench::mac(12)});
  EXPECT_EQ(bench.touched(), "0 shared, fdb 02:aa:00:00:00:0c");
  EXPECT_TRUE(bench.has_row("guard 1/70001 4096 02:aa:00:00:00:0c")) << "still guarded";
  EXPECT_STREQ(bench.view(1)->state, "activated");
  EXPECT_TRUE(bench.transition_log.empty());
  const auto still_closed = [&] {
    return !bench.has_row(bench.row(12)) && bench.has_row(bench.row(1)) && bench.has_row(bench.row(11));
  };
  EXPECT_TRUE(still_closed());
  bench.run(seconds(40));
  EXPECT_TRUE(still_closed()) << "keep-alives";
  bench.ask(1, Verb::kSuspend);
  ASSERT_TRUE(bench.ask(1, Verb::kResume)->ok);
  EXPECT_TRUE(still_closed()) << "suspend and resume";
  bench.restart();
  bench.settle();
  EXPECT_TRUE(still_closed()) << "a restart";
  ASSERT_TRUE(bench.change(AddressVerb::kActivate, {12})->ok);
  EXPECT_TRUE(bench.has_row(bench.row(12)));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, AllAddressesMayBeDeactivatedAndTheTsiIsAssociatedThen) {
  Three bench;
  const auto answer = bench.change(AddressVerb::kDeactivate, {1, 11, 12});
  ASSERT_TRUE(answer && answer->ok);
  EXPECT_STREQ(bench.view(1)->state, "associated");
  EXPECT_FALSE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.has_row("fdb "));
  ASSERT_TRUE(bench.change(AddressVerb::kActivate, {1, 11, 12})->ok);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, ADeactivatedAddressIsClosedAtOnceThoughTheNnveIsSilent) {
  Three bench;
  bench.silent = true;
  const auto answer = bench.change(AddressVerb::kDeactivate, {11}, seconds(6));
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->ok);
  EXPECT_NE(answer->reason.find("has not answered"), std::string::npos);
  EXPECT_FALSE(bench.has_row(bench.row(11)));
  EXPECT_TRUE(bench.has_row(bench.row(1)));
}

TEST(AgentAddresses, ARefusedAddressLeavesNothingAndTheOthersGoOn) {
  Three bench;
  bench.verdict = [](const Request& request) {
    const bool bad = request.entries.front().mac == Bench::mac(13) && request.command == TlvType::kAssociate;
    return bad ? vdp::ResponseStatus{vdp::Code::kInvalidAddress, true, true} : vdp::ResponseStatus();
  };
  const auto answer = bench.change(AddressVerb::kAdd, {13});
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  EXPECT_NE(answer->reason.find("code 5"), std::string::npos);
  EXPECT_EQ(bench.view(1)->addresses.size(), 3u);
  EXPECT_STREQ(bench.view(1)->state, "activated");
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_FALSE(bench.has_row("02:aa:00:00:00:0d"));
  const auto sent = bench.requests.size();
  bench.run(seconds(8));
  EXPECT_EQ(bench.requests.size(), sent) << "it is not tried again by itself";
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, BadChangesAreRefusedWithAReasonAndChangeNothing) {
  Three bench;
  bench.ask(2, Verb::kCreate);
  bench.requests.clear();
  const auto refused = [&](AddressVerb verb, std::vector<unsigned> numbers) {
    const auto answer = bench.change(verb, std::move(numbers));
    return answer && !answer->ok ? answer->reason : "accepted";
  };
  EXPECT_NE(refused(AddressVerb::kAdd, {13, 2}).find("belongs to VSI"), std::string::npos);
  EXPECT_NE(refused(AddressVerb::kAdd, {13, 13}).find("named twice"), std::string::npos);
  EXPECT_NE(refused(AddressVerb::kRemove, {13}).find("no address of this TSI"), std::string::npos);
  EXPECT_NE(refused(AddressVerb::kDeactivate, {1, 13}).find("no address of this TSI"), std::string::npos);
  EXPECT_NE(refused(AddressVerb::kRemove, {1, 11, 12}).find("keeps at least one"), std::string::npos);
  EXPECT_EQ(refused(AddressVerb::kAdd, {}), "no address named");
  AddressEvent stranger{AddressVerb::kAdd, Bench::vsi(9), 5000, std::nullopt, {Bench::mac(9)}};
  bench.agent->handle_addresses(stranger, bench.now);
  bench.work();
  EXPECT_FALSE(bench.answer(5000)->ok);
  EXPECT_TRUE(bench.requests.empty());
  EXPECT_EQ(bench.view(1)->addresses.size(), 3u);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, ARestartDuringARemovalGoesOnWithIt) {
  Three bench;
  bench.silent = true;
  bench.change(AddressVerb::kRemove, {11});
  bench.silent = false;
  bench.requests.clear();
  bench.restart();
  bench.run(seconds(1));
  const auto removal = std::find_if(bench.requests.begin(), bench.requests.end(),
                                    [](const Request& r) { return r.command == TlvType::kDeAssociate; });
  ASSERT_NE(removal, bench.requests.end());
  EXPECT_EQ(macs_of(*removal), std::vector{Bench::mac(11)});
  EXPECT_EQ(bench.view(1)->addresses.size(), 2u);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, OtherAddressesOfAVmInUseAreRefusedUnlessTheyShallReplaceItsOwn) {
  Three bench;
  auto create = bench.vm(1, Verb::kCreate);
  create.replace = false;
  create.macs = {bench.mac(12), bench.mac(1), bench.mac(11)};  // the same ones
  EXPECT_TRUE(bench.ask(create)->ok);
  for (const auto& macs :
       {std::vector{bench.mac(1)}, std::vector{bench.mac(1), bench.mac(11), bench.mac(12), bench.mac(13)},
        std::vector{bench.mac(1), bench.mac(11), bench.mac(13)}}) {
    create.macs = macs;
    const auto refused = bench.ask(create);
    ASSERT_TRUE(refused);
    EXPECT_FALSE(refused->ok);
    EXPECT_NE(refused->reason.find("in use with other addresses"), std::string::npos) << refused->reason;
    EXPECT_NE(refused->reason.find("--replace"), std::string::npos) << refused->reason;
    EXPECT_EQ(bench.view(1)->addresses.size(), 3u) << "nothing was changed";
    EXPECT_TRUE(bench.view(1)->port_open);
  }
  create.macs = {bench.mac(1), bench.mac(11), bench.mac(12)};
  create.ips = {{bench.mac(1), *IpPrefix::from_string("10.0.0.9")}};
  EXPECT_FALSE(bench.ask(create)->ok) << "a guard is an address as well";
  create.ips.clear();
  create.interface_name = "other";
  EXPECT_FALSE(bench.ask(create)->ok) << "so is its interface";
  create.interface_name = "tap1";
  create.macs = {bench.mac(1)};
  create.replace = true;
  EXPECT_TRUE(bench.ask(create)->ok);
  bench.settle();
  EXPECT_EQ(bench.view(1)->addresses.size(), 1u);
}

TEST(AgentAddresses, AVmThatDoesNotRunYetMayBeDescribedAnew) {
  Bench bench;
  bench.ask(1, Verb::kCreate);
  auto create = bench.vm(1, Verb::kCreate);
  create.replace = false;
  create.macs = {bench.mac(7)};
  EXPECT_TRUE(bench.ask(create)->ok);
  EXPECT_EQ(bench.view(1)->addresses.at(0).mac, bench.mac(7));
}

TEST(AgentAddresses, ANewTypeOfALiveTsiIsToldInPlaceWithoutAGap) {
  Three bench;
  auto create = bench.vm(1, Verb::kCreate);
  create.macs = {Bench::mac(1), Bench::mac(11), Bench::mac(12)};
  create.type = VsiType{7, 3};
  const auto answer = bench.ask(create);
  ASSERT_TRUE(answer && answer->ok) << (answer ? answer->reason : "no answer");
  ASSERT_EQ(bench.requests.size(), 1u);
  EXPECT_EQ(bench.requests[0].command, TlvType::kAssociate);
  EXPECT_EQ(bench.requests[0].type, (VsiType{7, 3}));
  EXPECT_EQ(bench.requests[0].entries.size(), 3u);
  EXPECT_TRUE(bench.programs.empty() || bench.touched() == "0 shared,");
  EXPECT_TRUE(bench.transition_log.empty());
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentAddresses, ARefusedTypeIsTakenBackSoThatKeepAlivesGoOn) {
  Three bench;
  bench.verdict = [](const Request& request) {
    return request.type == VsiType{7, 3} ? vdp::ResponseStatus{vdp::Code::kOther, true, true} : vdp::ResponseStatus();
  };
  auto create = bench.vm(1, Verb::kCreate);
  create.macs = {Bench::mac(1), Bench::mac(11), Bench::mac(12)};
  create.type = VsiType{7, 3};
  const auto answer = bench.ask(create);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok);
  bench.run(seconds(30));
  EXPECT_EQ(bench.requests.back().type, (VsiType{1, 1}));
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_EQ(bench.transitions("tsi", "init"), 0u);
}

TEST(AgentAddresses, SeveralVidsOfOneVnAllReachItAndFramesLeaveWithTheFirst) {
  Three bench;
  bench.vids[70001] = 111;  // the nNVE gives the fourth address a tag of its own (S14)
  ASSERT_TRUE(bench.change(AddressVerb::kAdd, {13})->ok);
  EXPECT_TRUE(bench.has_row("access 1.101: 1/70001"));
  EXPECT_TRUE(bench.has_row("access 1.111: 1/70001"));
  EXPECT_TRUE(bench.has_row("domain 1/70001: uplink 1.101"));
  ASSERT_TRUE(bench.change(AddressVerb::kRemove, {13})->ok);
  EXPECT_FALSE(bench.has_row("access 1.111"));
  EXPECT_TRUE(bench.consistent());
}

// --- held by the peer (S7) ---

TEST(AgentHeld, AHardRefusalIsHeldThroughLinkFlapsAndRestartsUntilSomeoneAsks) {
  Three bench;
  bench.verdict = [](const Request& request) {
    return request.command == TlvType::kDeAssociate ? vdp::ResponseStatus()
                                                    : vdp::ResponseStatus{vdp::Code::kOther, false, true};
  };
  bench.run(seconds(12));  // the keep-alive is refused
  ASSERT_TRUE(bench.view(1)->held);
  EXPECT_NE(bench.view(1)->reason.find("held by the nNVE"), std::string::npos);
  EXPECT_FALSE(bench.view(1)->port_open);
  const auto sent = bench.requests.size();
  bench.run(hours(1));
  bench.agent->handle_link(PortId(1), false, bench.now);
  bench.agent->handle_link(PortId(1), true, bench.now);
  bench.run(seconds(60));
  EXPECT_EQ(bench.requests.size(), sent) << "neither time nor a link flap asks again";
  bench.restart();
  bench.run(seconds(60));
  EXPECT_TRUE(bench.view(1)->held);
  EXPECT_EQ(bench.requests.size(), sent) << "nor does a restart";
  bench.ask(1, Verb::kSuspend);
  EXPECT_EQ(bench.requests.size(), sent) << "nor does a VM that stops";
  bench.verdict = nullptr;
  const auto answer = bench.ask(1, Verb::kStart);
  ASSERT_TRUE(answer && answer->ok) << (answer ? answer->reason : "no answer");
  EXPECT_FALSE(bench.view(1)->held);
  EXPECT_TRUE(bench.view(1)->port_open);
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentHeld, OneRevokedAddressIsHeldAloneAndTheOthersGoOn) {
  Three bench;
  bench.run(seconds(12));
  Request like = bench.requests.back();
  std::erase_if(like.entries, [](const auto& entry) { return entry.mac != Bench::mac(11); });
  ASSERT_EQ(like.entries.size(), 1u);
  bench.nnve_sends(TlvType::kDeAssociate, 0, like);
  bench.settle();
  EXPECT_FALSE(bench.has_row(bench.row(11)));
  EXPECT_TRUE(bench.has_row(bench.row(1)));
  EXPECT_FALSE(bench.view(1)->held);
  EXPECT_TRUE(bench.view(1)->addresses[1].held);
  bench.requests.clear();
  bench.agent->handle_link(PortId(1), false, bench.now);
  bench.agent->handle_link(PortId(1), true, bench.now);
  bench.run(seconds(30));
  for (const auto& request : bench.requests)
    for (MacAddress mac : macs_of(request)) EXPECT_NE(mac, Bench::mac(11));
  ASSERT_TRUE(bench.change(AddressVerb::kActivate, {11})->ok);
  EXPECT_TRUE(bench.has_row(bench.row(11)));
  EXPECT_TRUE(bench.consistent());
}

// --- another uplink, other formats, a restarted nNVE ---

UplinkConfig second_uplink() {
  UplinkConfig uplink;
  uplink.id = PortId(2);
  uplink.interface_name = "up1";
  uplink.mac = MacAddress(0x020000000002u);
  uplink.vns = {GroupId(70002)};
  return uplink;
}

TEST(AgentUplinks, AVsiIsCreatedOnAnotherUplinkWhileItStillLeavesTheFirst) {
  Three bench([](AgentConfig& config) { config.uplinks.push_back(second_uplink()); });
  bench.silent = true;
  bench.tell(1, Verb::kShutdown);
  auto elsewhere = bench.vm(1, Verb::kCreate, 70002);
  elsewhere.asker = 0;
  bench.agent->handle_event(elsewhere, bench.now);
  bench.work();
  ASSERT_TRUE(bench.view(1).has_value());
  EXPECT_EQ(bench.view(1)->uplink, PortId(2));
  EXPECT_EQ(bench.view(1)->vm, VmState::kDefined);
  // Back on the first uplink before that has let go: the same conversation goes on.
  bench.tell(1, Verb::kShutdown);
  auto back = bench.vm(1, Verb::kCreate);
  const auto asker = bench.tell(back);
  bench.silent = false;
  bench.run(seconds(3));
  ASSERT_TRUE(bench.answer(asker).has_value());
  EXPECT_TRUE(bench.answer(asker)->ok) << bench.answer(asker)->reason;
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  EXPECT_STREQ(bench.view(1)->state, "activated");
  EXPECT_EQ(bench.view(1)->uplink, PortId(1));
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentFormats, WithoutMacALegacyNnveOpensTheVnAndTheAddressIsGuardedHere) {
  for (const auto format : {vdp::FilterFormat::kVid, vdp::FilterFormat::kGroupVid}) {
    Bench bench([format](AgentConfig& config) {
      config.uplinks[0].format = format;
      config.uplinks[0].legacy = true;
    });
    bench.vids[0] = 101;  // format 1 names no VN
    const auto created = bench.ask(1, Verb::kCreate);
    ASSERT_TRUE(created && created->ok) << (created ? created->reason : "no answer");
    ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
    EXPECT_TRUE(bench.requests.back().entries.front().mac.is_zero());
    EXPECT_TRUE(bench.has_row("guard 1/70001 4096 02:aa:00:00:00:01")) << "the hypervisor knows the address";
    EXPECT_TRUE(bench.has_row("access 1.101: 1/70001"));
    EXPECT_TRUE(bench.view(1)->port_open);
    EXPECT_TRUE(bench.ask(1, Verb::kShutdown)->ok);
    EXPECT_EQ(bench.tsis(), 0u);
  }
}

TEST(AgentRestartedNnve, ASkippedSequenceMakesTheStationSayEverythingAgainAtMostOnceASecond) {
  Three bench;
  bench.ask(2, Verb::kCreate);
  bench.settle();
  const Request like = bench.requests.back();
  // The nNVE acknowledges a start, dies before it answers, and comes back with another sequence.
  bench.mute = true;
  const auto asker = bench.tell(2, Verb::kStart);
  bench.mute = false;
  bench.requests.clear();
  bench.nnve_restarts();
  bench.ask(3, Verb::kCreate);  // anything makes the new one speak
  bench.run(milliseconds(200));
  ASSERT_TRUE(bench.answer(asker).has_value()) << "long before the response timer";
  EXPECT_TRUE(bench.answer(asker)->ok);
  EXPECT_FALSE(bench.requests_of(1).empty()) << "whatever else it knew may be lost too";
  EXPECT_EQ(bench.agent->peers()[0].reasserted, 1u);
  // Five more jumps within a second: one more repetition, a second after the first.
  for (int i = 0; i < 5; ++i) {
    bench.nnve_restarts();
    bench.nnve_sends(TlvType::kAssociate, 0x40, like);
  }
  EXPECT_EQ(bench.agent->peers()[0].reasserted, 1u);
  bench.run(seconds(1));
  EXPECT_EQ(bench.agent->peers()[0].reasserted, 2u);
  bench.run(seconds(5));
  EXPECT_EQ(bench.agent->peers()[0].reasserted, 2u) << "a sequence that goes on is no restart";
}

}  // namespace
}  // namespace splitnve::tnved::test
