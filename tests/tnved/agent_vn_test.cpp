// SPDX-License-Identifier: Apache-2.0
// VNs that are connected without TSIs (D5, S30), and VNs that the nNVE disconnects (D6).
#include <gtest/gtest.h>

#include "bench.hpp"

namespace splitnve::tnved::test {
namespace {

using Operation = vdp::VnRequest::Operation;
constexpr vdp::ResponseStatus kPolicy{vdp::Code::kOther, false, false};

std::vector<Operation> asked(const Nnve& nnve) {
  std::vector<Operation> out;
  for (const VnAsked& one : nnve.vn_requests)
    if (!one.request.is_response()) out.push_back(one.request.operation);
  return out;
}

TEST(AgentVn, AnOperatorConnectsAVnBeforeAnyTsiAndDisconnectsItAgain) {
  Bench bench;
  const auto connected = bench.ask_vn(70001, true);
  ASSERT_TRUE(connected);
  EXPECT_TRUE(connected->ok) << connected->reason;
  ASSERT_TRUE(bench.vn_view());
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  EXPECT_TRUE(bench.vn_view()->wanted);
  EXPECT_EQ(bench.vn_view()->vid, Vid(101));
  EXPECT_EQ(bench.store.size(), 1u) << "the wish is stored";
  bench.ask(1, Verb::kCreate);
  EXPECT_TRUE(bench.ask(1, Verb::kStart)->ok);
  EXPECT_EQ(bench.view(1)->vid, Vid(101));
  EXPECT_TRUE(bench.ask(1, Verb::kShutdown)->ok);
  EXPECT_STREQ(bench.vn_view()->state, "connected") << "whatever TSIs come and go";
  const auto left = bench.ask_vn(70001, false);
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->ok) << left->reason;
  EXPECT_FALSE(bench.vn_view());
  EXPECT_TRUE(bench.store.empty());
  EXPECT_EQ(asked(bench), (std::vector{Operation::kConnect, Operation::kDisconnect}));
  EXPECT_EQ(bench.transitions("vn", "connected"), 1u);
  EXPECT_EQ(bench.transitions("vn", "disconnected"), 1u);
}

TEST(AgentVn, TheConfigurationsVnIsConnectedByItselfAndRepeated) {
  Bench bench([](AgentConfig& config) { config.vns = {{GroupId(70001), "blue", {}, true}}; });
  bench.settle();
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  EXPECT_TRUE(bench.store.empty()) << "what the file says is not stored";
  bench.run(seconds(25));
  ASSERT_EQ(asked(bench).size(), 3u) << "each keep-alive interval";
  EXPECT_EQ(bench.vn_requests.back().request.vid, Vid(101));
  EXPECT_TRUE(bench.ask_vn(70001, false)->ok);
  bench.restart();
  bench.settle();
  EXPECT_FALSE(bench.vn_view()) << "an operator's word outlives a restart";
  EXPECT_TRUE(bench.ask_vn(70001, true)->ok);
  EXPECT_TRUE(bench.store.empty()) << "the file's word again";
}

TEST(AgentVn, AWishSurvivesARestart) {
  Bench bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.restart();
  bench.settle();
  ASSERT_TRUE(bench.vn_view());
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  EXPECT_EQ(asked(bench), (std::vector{Operation::kConnect, Operation::kConnect}));
}

TEST(AgentVn, ARefusedConnectIsShownAndRepeated) {
  Bench bench;
  bench.vn_verdict = [](const vdp::VnRequest&) { return kPolicy; };
  bench.why = "not yours";
  const auto refused = bench.ask_vn(70001, true);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->reason.find("code 4"), std::string::npos) << refused->reason;
  EXPECT_NE(refused->reason.find("not yours"), std::string::npos) << refused->reason;
  EXPECT_STREQ(bench.vn_view()->state, "refused");
  bench.run(seconds(30));
  EXPECT_EQ(bench.transitions("vn", "refused"), 1u) << "once";
  EXPECT_GT(asked(bench).size(), 2u);
  bench.vn_verdict = {};
  bench.run(seconds(11));
  EXPECT_STREQ(bench.vn_view()->state, "connected");
}

TEST(AgentVn, ADisconnectThatIsRefusedLeavesTheVnConnected) {
  Bench bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.vn_verdict = [](const vdp::VnRequest& request) {
    return request.operation == Operation::kDisconnect ? kPolicy : vdp::ResponseStatus{};
  };
  const auto refused = bench.ask_vn(70001, false);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  EXPECT_TRUE(bench.vn_view()->wanted);
  bench.restart();
  bench.settle();
  EXPECT_TRUE(bench.vn_view()->wanted) << "and stored so";
  EXPECT_TRUE(bench.ask_vn(70001, false, true)->ok);
  EXPECT_EQ(asked(bench).back(), Operation::kDisconnectAll);
}

TEST(AgentVn, AnNnveWithoutTheFlagIsAskedNothingAndTheVnWaits) {
  Bench bench;
  bench.shows.flags = bench.shows.flags.without(vdp::Flags().set(vdp::Flag::kVnRequests));
  bench.restart();
  bench.settle();
  const auto refused = bench.ask_vn(70001, true, false, seconds(1));
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->reason.find("has not shown that it takes VN requests"), std::string::npos) << refused->reason;
  EXPECT_STREQ(bench.vn_view()->state, "waiting");
  EXPECT_TRUE(bench.agent->peers()[0].standing.given_up.has(vdp::Flag::kVnRequests));
  bench.run(seconds(30));
  EXPECT_TRUE(bench.vn_requests.empty());
  bench.shows.flags.set(vdp::Flag::kVnRequests);
  bench.shows.nonce[0] ^= 1;
  bench.nnve_shows();
  bench.settle();
  EXPECT_STREQ(bench.vn_view()->state, "connected");
}

TEST(AgentVn, ALegacyNnveLeavesItWaiting) {
  Bench bench;
  bench.legacy = true;
  bench.restart();
  EXPECT_FALSE(bench.ask_vn(70001, true, false, seconds(1))->ok);
  EXPECT_TRUE(bench.vn_requests.empty());
  EXPECT_STREQ(bench.vn_view()->state, "waiting");
}

TEST(AgentVn, SilenceIsNoAnswer) {
  Bench bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.mute = true;
  bench.run(seconds(60));
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  const auto late = bench.ask_vn(70001, false, false, seconds(6));
  ASSERT_TRUE(late) << "at the deadline";
  EXPECT_FALSE(late->ok);
  bench.mute = false;
  bench.run(seconds(20));
  EXPECT_FALSE(bench.vn_view()) << "it was asked again";
}

TEST(AgentVn, NonsenseIsRefused) {
  Bench bench;
  EXPECT_FALSE(bench.ask_vn(0, true)->ok);
  EXPECT_FALSE(bench.ask_vn(1u << 24, true)->ok);
  bench.restart();
  EXPECT_TRUE(bench.agent->vns().empty());
}

TEST(AgentVn, ABrokenWishIsReportedAndLeftOut) {
  Bench bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.store.begin()->second = {7, 7};
  bench.notices.clear();
  bench.restart();
  bench.settle();
  EXPECT_TRUE(bench.agent->vns().empty());
  EXPECT_EQ(std::string(bench.notices.at(0).id), "TNVED_RECORD_REFUSED");
}

// --- by name (B9) ---

const vdp::VnName kName{VsiId::from_uuid("0b1ce000-0000-4000-8000-000000000001")->octets};

std::optional<agent::Answer> connect_named(Bench& bench, std::uint64_t asker, Duration patience = milliseconds(100)) {
  bench.agent->handle_vn({GroupId(), kName, true, false, asker}, bench.now);
  bench.work();
  bench.run(patience);
  return bench.answer(asker);
}
std::optional<agent::Answer> create_named(Bench& bench) {
  LifecycleEvent create = bench.vm(1, Verb::kCreate);
  create.vn = GroupId();
  create.vn_name = kName;
  return bench.ask(create);
}

TEST(AgentVn, AVnIsConnectedByItsNameAndItsTsisUseTheIdThatTheNnveTold) {
  Bench bench;
  bench.vn_named = kName;
  EXPECT_FALSE(create_named(bench)->ok) << "not known yet";
  const auto connected = connect_named(bench, 900);
  ASSERT_TRUE(connected);
  EXPECT_TRUE(connected->ok) << connected->reason;
  ASSERT_TRUE(bench.vn_view());
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  EXPECT_EQ(bench.vn_view()->name, kName);
  EXPECT_TRUE(create_named(bench)->ok);
  EXPECT_EQ(bench.view(1)->vn, GroupId(70001));
  EXPECT_EQ(bench.view(1)->vid, bench.vn_view()->vid);
  bench.restart();
  bench.settle();
  EXPECT_EQ(bench.vn_view()->name, kName) << "the name is stored";
  const std::size_t asked_before = bench.vn_requests.size();
  EXPECT_TRUE(connect_named(bench, 901)->ok);
  for (std::size_t i = asked_before; i < bench.vn_requests.size(); ++i)
    EXPECT_EQ(bench.vn_requests[i].request.group, GroupId(70001)) << "what is known is not asked";
}

TEST(AgentVn, ANameThatTheNnveDoesNotKnowOrDoesNotAnswerIsRefused) {
  Bench bench;
  bench.vn_named = kName;
  bench.vn_verdict = [](const vdp::VnRequest&) { return vdp::ResponseStatus{vdp::Code::kInvalidAddress, false, true}; };
  const auto refused = connect_named(bench, 900);
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->reason.find("code 5"), std::string::npos) << refused->reason;
  bench.mute = true;
  const auto late = connect_named(bench, 901, seconds(6));
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->ok);
  EXPECT_TRUE(bench.agent->vns().empty());
  EXPECT_TRUE(bench.store.empty());
}

TEST(AgentVn, AnNnveThatHasNotShownThatItKnowsNamesIsNotAskedByName) {
  Bench bench;
  bench.shows.flags = bench.shows.flags.without(vdp::Flags().set(vdp::Flag::kVnName));
  bench.restart();
  bench.settle();
  const auto refused = connect_named(bench, 900);
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->reason.find("VNs by name"), std::string::npos) << refused->reason;
  EXPECT_TRUE(bench.vn_requests.empty());
}

TEST(AgentVn, TheConfigurationsNameNeedsNoAsking) {
  Bench bench([](AgentConfig& config) { config.vns = {{GroupId(70001), "blue", {}, false, kName}}; });
  EXPECT_TRUE(create_named(bench)->ok);
  EXPECT_TRUE(connect_named(bench, 900)->ok);
  EXPECT_EQ(bench.vn_requests.at(0).request.group, GroupId(70001));
}

// --- by the nNVE ---

TEST(AgentVn, TheNnvesDisconnectIsShownLoggedAndNotAskedAgainUntilItIsReleased) {
  Bench bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.ask(1, Verb::kCreate);
  ASSERT_TRUE(bench.ask(1, Verb::kStart)->ok);
  bench.why = "moving\x1b";
  bench.vn_verdict = [](const vdp::VnRequest&) { return kPolicy; };
  bench.verdict = [](const Request&) { return kPolicy; };
  bench.nnve_sends(TlvType::kDeAssociate, 0, bench.requests_of(1).back());
  bench.nnve_says(Operation::kDisconnect);
  bench.settle();
  EXPECT_STREQ(bench.vn_view()->state, "disconnected by the nNVE");
  EXPECT_NE(bench.vn_view()->reason.find("moving?"), std::string::npos) << bench.vn_view()->reason;
  EXPECT_TRUE(bench.view(1)->held);
  EXPECT_TRUE(bench.vn_requests.back().request.is_response()) << "the nNVE's command is answered";
  const bool noticed = std::any_of(bench.notices.begin(), bench.notices.end(),
                                   [](const auto& n) { return std::string(n.id) == "TNVED_VN_DISCONNECTED"; });
  EXPECT_TRUE(noticed);
  bench.vn_requests.clear();
  bench.run(seconds(60));
  EXPECT_TRUE(bench.vn_requests.empty()) << "it is left alone";
  const auto refused = bench.ask_vn(70001, true);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->ok);
  EXPECT_NE(refused->reason.find("moving?"), std::string::npos) << refused->reason;
  bench.vn_verdict = {};
  bench.verdict = {};
  bench.nnve_says(Operation::kConnect);
  bench.settle();
  EXPECT_STREQ(bench.vn_view()->state, "connected");
  EXPECT_FALSE(bench.view(1)->held);
  EXPECT_TRUE(bench.view(1)->port_open) << "its TSIs ask again too";
  EXPECT_TRUE(bench.consistent());
}

TEST(AgentVn, ADisconnectOfAVnThatOnlyHasTsisIsShownToo) {
  Bench bench;
  bench.settle();
  bench.nnve_says(Operation::kDisconnect);
  bench.settle();
  ASSERT_TRUE(bench.vn_view());
  EXPECT_FALSE(bench.vn_view()->wanted);
  bench.nnve_says(Operation::kConnect);
  bench.settle();
  EXPECT_FALSE(bench.vn_view());
}

TEST(AgentVn, AfterTheNnveBeganAnewItIsAskedOnceMore) {
  Bench bench;
  ASSERT_TRUE(bench.ask_vn(70001, true)->ok);
  bench.nnve_says(Operation::kDisconnect);
  bench.settle();
  bench.shows.nonce[0] ^= 1;
  bench.nnve_shows();
  bench.settle();
  EXPECT_STREQ(bench.vn_view()->state, "connected") << "it tells anew what it has disconnected, and did not";
}

}  // namespace
}  // namespace splitnve::tnved::test
