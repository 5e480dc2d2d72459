// SPDX-License-Identifier: Apache-2.0
// Whole VNs: what a station asks, what a bridge answers and commands (S30).
#include <gtest/gtest.h>

#include <functional>

#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using Operation = VnRequest::Operation;
using What = VnStation::Event::What;
constexpr Flags kTakesVns = Flags().set(Flag::kVnRequests).set(Flag::kReasonText);

/// What a VDPDU says of VNs.
std::vector<VnRequest> vns_of(Octets octets) {
  std::vector<VnRequest> found;
  VdpduReader reader(octets);
  EXPECT_TRUE(reader.manager());
  while (const auto tlv = *reader.next())
    if (extension_type(*tlv) == ExtensionType::kVnRequest)
      found.push_back(std::get<VnRequest>(**decode_extension(*tlv)));
  return found;
}

VnStation station() {
  VnStation made(kTiming);
  made.set_offered(kTakesVns);
  made.set_peer(VnStation::Peer::kCapable, at({}));
  return made;
}
/// What the next VDPDU says; delivered.
std::vector<VnRequest> send(VnStation& from, Instant now) {
  if (!from.queued()) return {};
  OctetString octets(limits::kVdpduOctetsMax);
  VdpduWriter writer(octets, ManagerId{});
  EXPECT_TRUE(from.write(writer, now));
  const auto said = vns_of(writer.finish());
  from.handle_delivered();
  return said;
}
void hear(VnStation& to, Operation operation, std::uint8_t status, std::uint16_t vid = 0, const char* why = "") {
  to.begin_vdpdu();
  to.handle({operation, kBlue, status, Vid(vid)}, std::optional(ReasonText{1, why}), at({}));
}
std::vector<What> events(VnStation& of) {
  std::vector<What> out;
  while (const auto event = of.poll_event()) out.push_back(event->what);
  return out;
}

constexpr std::uint8_t kAccepted = 0x40, kNoResources = 0x42, kPolicy = 0x64, kOtherVid = 0x55;

// --- states x events ---

struct Named {
  const char* name;
  std::function<void(VnStation&)> apply;
};

const std::vector<Named>& states() {
  static const std::vector<Named> kStates = {
      {"none", [](VnStation&) {}},
      {"asking", [](VnStation& s) { s.connect(kBlue, at({})), send(s, at({})); }},
      {"connected",
       [](VnStation& s) { s.connect(kBlue, at({})), send(s, at({})), hear(s, Operation::kConnect, kAccepted, 100); }},
      {"refused",
       [](VnStation& s) { s.connect(kBlue, at({})), send(s, at({})), hear(s, Operation::kConnect, kNoResources); }},
      {"down",
       [](VnStation& s) {
         states()[2].apply(s);
         hear(s, Operation::kDisconnect, 0);
         send(s, at({}));
       }},
      {"leaving", [](VnStation& s) { states()[2].apply(s), s.disconnect(kBlue, false, at({})), send(s, at({})); }},
  };
  return kStates;
}
const std::vector<Named>& inputs() {
  static const std::vector<Named> kInputs = {
      {"connect", [](VnStation& s) { s.connect(kBlue, at({})); }},
      {"disconnect", [](VnStation& s) { s.disconnect(kBlue, false, at({})); }},
      {"accepted", [](VnStation& s) { hear(s, Operation::kConnect, kAccepted, 100); }},
      {"refused", [](VnStation& s) { hear(s, Operation::kConnect, kNoResources); }},
      {"left", [](VnStation& s) { hear(s, Operation::kDisconnect, kAccepted); }},
      {"stays", [](VnStation& s) { hear(s, Operation::kDisconnect, kPolicy); }},
      {"bridge disconnects", [](VnStation& s) { hear(s, Operation::kDisconnect, 0); }},
      {"bridge connects", [](VnStation& s) { hear(s, Operation::kConnect, 0); }},
      {"again", [](VnStation& s) { s.reassert_all(at({})); }},
      {"anew", [](VnStation& s) { s.begin_vdpdu(), s.begin_anew(at({})); }},
      {"unable", [](VnStation& s) { s.set_peer(VnStation::Peer::kIncapable, at({})); }},
      {"late", [](VnStation& s) { s.handle_time(at(seconds(60))); }},
  };
  return kInputs;
}
/// The state, `!` if it is asked for next, `-` if there is no row.
std::string outcome(VnStation& of) {
  const auto view = of.view(kBlue);
  std::string text = view ? to_string(view->state) : "-";
  if (text == to_string(VnStation::State::kDown)) text = "down";
  if (text == to_string(VnStation::State::kLeaving)) text = "leaving";
  for (const VnRequest& said : send(of, at(seconds(60)))) text += said.is_response() ? "" : "!";
  return text;
}

TEST(VnStationTable, EveryStateMeetsEveryEvent) {
  const std::vector<std::vector<std::string>> expected = {
      // connect, disconnect, accepted, refused, left, stays, bridge -, bridge +, again, anew, unable, late
      {"asking!", "leaving!", "-", "-", "-", "-", "down", "-", "-", "-", "-", "-"},
      {"asking!", "leaving!", "connected", "refused", "asking", "asking", "down", "asking", "asking!", "asking!",
       "asking", "asking!"},
      {"connected", "leaving!", "connected", "connected", "connected", "connected", "down", "connected", "connected!",
       "connected!", "asking", "connected!"},
      {"asking!", "leaving!", "refused", "refused", "refused", "refused", "down", "asking!", "refused!", "refused!",
       "asking", "refused!"},
      {"down", "down", "down", "down", "down", "down", "down", "asking!", "down", "asking!", "asking", "down"},
      {"asking!", "leaving!", "leaving", "leaving", "-", "connected!", "down", "leaving", "leaving!", "leaving!", "-",
       "leaving!"},
  };
  for (std::size_t s = 0; s < states().size(); ++s)
    for (std::size_t i = 0; i < inputs().size(); ++i) {
      VnStation made = station();
      states()[s].apply(made);
      inputs()[i].apply(made);
      EXPECT_EQ(outcome(made), expected[s][i]) << states()[s].name << " x " << inputs()[i].name;
    }
}

// --- the station ---

TEST(VnStation, AConnectIsRepeatedEachKeepAliveIntervalWithTheAssignedVid) {
  VnStation s = station();
  s.connect(kBlue, at({}));
  EXPECT_EQ(send(s, at({})), (std::vector{VnRequest{Operation::kConnect, kBlue, 0, Vid()}}));
  hear(s, Operation::kConnect, kAccepted, 100);
  EXPECT_EQ(s.next_deadline(), at(kTiming.keepalive_interval()));
  s.handle_time(*s.next_deadline());
  EXPECT_EQ(send(s, at(seconds(11))), (std::vector{VnRequest{Operation::kConnect, kBlue, 0, Vid(100)}}));
  hear(s, Operation::kConnect, kAccepted, 100);
  EXPECT_EQ(events(s), std::vector{What::kConnected}) << "a keep-alive is no news";
}

TEST(VnStation, NothingIsSentBeforeTheBridgeHasShownTheFlag) {
  VnStation s(kTiming);
  s.set_offered(kTakesVns);
  s.connect(kBlue, at({}));
  EXPECT_FALSE(s.queued());
  s.set_peer(VnStation::Peer::kIncapable, at({}));
  EXPECT_FALSE(s.queued());
  EXPECT_FALSE(s.next_deadline()) << "and nobody is waited for";
  s.set_peer(VnStation::Peer::kCapable, at({}));
  EXPECT_EQ(send(s, at({})).size(), 1u);
}

TEST(VnStation, ARequestWhoseEcpduFailedIsSentAgain) {
  VnStation s = station();
  s.connect(kBlue, at({}));
  OctetString octets(limits::kVdpduOctetsMax);
  VdpduWriter writer(octets, ManagerId{});
  ASSERT_TRUE(s.write(writer, at({})));
  EXPECT_FALSE(s.queued());
  s.handle_delivery_failed();
  EXPECT_EQ(send(s, at({})).size(), 1u);
}

TEST(VnStation, CodeFiveForARememberedVidIsAskedOnceMoreForAny) {
  VnStation s = station();
  states()[2].apply(s);
  s.reassert_all(at({}));
  EXPECT_EQ(send(s, at({})).at(0).vid, Vid(100));
  hear(s, Operation::kConnect, kOtherVid);
  EXPECT_EQ(send(s, at({})).at(0).vid, Vid());
  hear(s, Operation::kConnect, kOtherVid);
  EXPECT_EQ(s.view(kBlue)->state, VnStation::State::kRefused);
  EXPECT_FALSE(s.queued());
}

TEST(VnStation, ARefusedDisconnectLeavesWhatWas) {
  VnStation s = station();
  s.disconnect(kBlue, false, at({}));
  EXPECT_EQ(send(s, at({})).at(0).operation, Operation::kDisconnect);
  hear(s, Operation::kDisconnect, kPolicy, 0, "TSIs are there");
  const auto event = s.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, What::kStays);
  EXPECT_EQ(event->why, "TSIs are there");
  EXPECT_FALSE(s.view(kBlue)) << "it never was wanted";
  s.disconnect(kBlue, true, at({}));
  EXPECT_EQ(send(s, at({})).at(0).operation, Operation::kDisconnectAll);
}

TEST(VnStation, ACommandOfTheBridgeIsAnsweredAndWhatItToldBeforeItBeganAnewIsVoid) {
  VnStation s = station();
  hear(s, Operation::kDisconnect, 0, 0, "rack 4");
  EXPECT_EQ(s.view(kBlue)->why, "rack 4");
  s.begin_anew(at({}));
  EXPECT_TRUE(s.view(kBlue)) << "told in the VDPDU in which the bridge began anew";
  EXPECT_EQ(send(s, at({})), (std::vector{VnRequest{Operation::kDisconnect, kBlue, kAccepted, Vid()}}));
  s.begin_vdpdu();
  s.begin_anew(at({}));
  EXPECT_FALSE(s.view(kBlue));
}

TEST(VnStation, AHostileBridgeTakesNoMemoryWithoutBound) {
  VnStation s = station();
  for (std::uint32_t vn = 1; vn < 5000; ++vn) s.handle({Operation::kDisconnect, GroupId(vn), 0, Vid()}, {}, at({}));
  EXPECT_EQ(s.size(), limits::kVnConnectsPerStationMax);
  EXPECT_GT(s.stats().unused, 0u);
  std::size_t answered = 0;
  while (s.queued()) answered += send(s, at({})).size();
  EXPECT_EQ(answered, limits::kRepliesMax);
  s.handle({Operation::kConnect, GroupId(9999), kAccepted, Vid(5)}, {}, at({}));
  EXPECT_FALSE(s.view(GroupId(9999))) << "an answer to nothing";
}

TEST(VnStation, ManyVnsGoInAsManyVdpdusAsTheyNeed) {
  VnStation s = station();
  for (std::uint32_t vn = 1; vn <= 300; ++vn) s.connect(GroupId(vn), at({}));
  std::size_t asked = 0, vdpdus = 0;
  for (; s.queued(); ++vdpdus) asked += send(s, at({})).size();
  EXPECT_EQ(asked, 300u);
  EXPECT_EQ(vdpdus, 3u);
}

// --- the bridge ---

VnBridge bridge() {
  VnBridge made;
  made.set_offered(kTakesVns);
  made.set_peer(kTakesVns);
  return made;
}
std::vector<VnRequest> send(VnBridge& from, bool delivered = true) {
  OctetString octets(limits::kVdpduOctetsMax);
  VdpduWriter writer(octets, ManagerId{});
  from.write(writer);
  const auto said = vns_of(writer.finish());
  delivered ? from.handle_delivered() : from.handle_delivery_failed();
  return said;
}

TEST(VnBridge, OfSeveralCommandsAboutOneVnTheLastIsSentAndOneThatFailedAgain) {
  VnBridge b = bridge();
  b.command(kBlue, Operation::kDisconnect, {1, "moving"});
  EXPECT_EQ(send(b, false), (std::vector{VnRequest{Operation::kDisconnect, kBlue, 0, Vid()}}));
  EXPECT_TRUE(b.queued());
  b.command(kBlue, Operation::kConnect);
  EXPECT_EQ(send(b), (std::vector{VnRequest{Operation::kConnect, kBlue, 0, Vid()}}));
  EXPECT_FALSE(b.queued());
}

TEST(VnBridge, AStationThatHasNotShownTheFlagIsNeitherAnsweredNorTold) {
  VnBridge b = bridge();
  b.set_peer(Flags().set(Flag::kReasonText));
  b.handle({Operation::kConnect, kBlue, 0, Vid()});
  EXPECT_FALSE(b.poll_request());
  b.command(kBlue, Operation::kDisconnect);
  b.respond({Operation::kConnect, kBlue, kAccepted, Vid(100)});
  EXPECT_FALSE(b.queued());
  EXPECT_EQ(b.stats().unused, 1u);
}

TEST(VnBridge, WhatAStationAsksBeyondTheLimitIsDroppedAndCounted) {
  VnBridge b = bridge();
  for (std::uint32_t vn = 1; vn <= 2000; ++vn) b.handle({Operation::kConnect, GroupId(vn), 0, Vid()});
  EXPECT_EQ(b.stats().overflow, 2000 - limits::kVnConnectsPerStationMax);
}

// --- both ---

TEST(VnLoopback, AStationAndABridgeConnectAVnBesideAssociations) {
  Station s(kTiming, kAll);
  s.set_offered(kTakesVns);
  s.vns().set_peer(VnStation::Peer::kCapable, at({}));
  Bridge b(kTiming, seconds(4));
  b.set_offered(kTakesVns);
  b.set_peer(kTakesVns);
  s.vns().connect(kBlue, at({}));
  s.set_entry(s.open(spec(1)), mac(1), Level::kActive, Vid(), at({}));
  OctetString octets;
  ASSERT_TRUE(s.compose(octets, at({})));
  s.handle_delivered(at({}));
  ASSERT_TRUE(b.handle_vdpdu(octets, at({})));
  const auto association = b.poll_request();
  const auto asked = b.vns().poll_request();
  ASSERT_TRUE(association && asked);
  b.vns().respond(
      {asked->request.operation, asked->request.group, ResponseStatus{Code::kOther, false, false}.octet(), Vid()},
      {7, "full"});
  auto entries = association->entries;
  entries[0].vid = Vid(100);
  b.respond(association->id, {}, entries);
  ASSERT_TRUE(b.compose(octets, at({})));
  b.handle_delivered(at({}));
  EXPECT_FALSE(b.queued());
  ASSERT_TRUE(s.handle_vdpdu(octets, at({})));
  EXPECT_EQ(test::events(s), std::vector<std::string>{"confirmed 1 active 100"});
  const auto event = s.vns().poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->what, What::kRefused);
  EXPECT_EQ(event->why, "full") << "the reason stands behind its VN request";
}

}  // namespace
}  // namespace splitnve::vdp::test
