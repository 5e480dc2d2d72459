// SPDX-License-Identifier: Apache-2.0
// The capability exchange (S15): when ours are shown, what is known of the peer, and what changes in mid-life.
#include "splitnve/vdp/exchange.hpp"

#include <gtest/gtest.h>

#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using Verdict = Exchange::Verdict;

constexpr Exchange::Timing kExchangeTiming{std::chrono::microseconds(2560), seconds(10)};

Capabilities capabilities(Role role, std::uint8_t nonce = 1) {
  Capabilities out;
  out.role = role;
  out.flags = kAll;
  out.system.fill(role == Role::kBridge ? 0xB0 : 0x57);
  out.epoch = 7;
  out.nonce.fill(nonce);
  return out;
}

Exchange station(bool marked_legacy = false) { return {capabilities(Role::kStation), kExchangeTiming, marked_legacy}; }
Exchange bridge() { return {capabilities(Role::kBridge), kExchangeTiming, false}; }
Heard shown(const Capabilities& of) { return {of, false}; }
constexpr Heard kPlainVdp{std::nullopt, true};

/// Ours went out at the time and were acknowledged.
void show(Exchange& exchange, Instant when) {
  exchange.handle_sent(when);
  exchange.handle_delivered(when);
}

TEST(Exchange, AStationSpeaksFirstAndItsRequestsWait) {
  const Exchange exchange = station();
  EXPECT_EQ(exchange.verdict(), Verdict::kUnknown);
  EXPECT_FALSE(exchange.may_request());
  EXPECT_TRUE(exchange.speaks(at(seconds(0))));
  ASSERT_NE(exchange.to_show(at(seconds(0))), nullptr);
  EXPECT_EQ(exchange.flags(), Flags());
}

TEST(Exchange, ABridgeDoesNotSpeakFirst) {
  const Exchange exchange = bridge();
  EXPECT_FALSE(exchange.speak_at());
  EXPECT_NE(exchange.to_show(at(seconds(0))), nullptr) << "they go with whatever it says";
}

TEST(Exchange, APeerThatShowsItsCapabilitiesIsCapable) {
  Exchange exchange = station();
  show(exchange, at(seconds(0)));
  const auto change = exchange.handle(shown(capabilities(Role::kBridge)), at(milliseconds(1)));
  EXPECT_EQ(change, (Exchange::Change{true, true, false, false}));
  EXPECT_EQ(exchange.verdict(), Verdict::kCapable);
  EXPECT_EQ(exchange.flags(), kAll);
  EXPECT_TRUE(exchange.may_request());
  EXPECT_EQ(exchange.peer()->epoch, 7u);
}

TEST(Exchange, OursGoIntoEveryEcpduUntilBothKnowEachOtherThenOncePerInterval) {
  Exchange exchange = bridge();
  exchange.handle(shown(capabilities(Role::kStation)), at(seconds(0)));
  EXPECT_TRUE(exchange.speaks(at(seconds(0)))) << "it has not been shown ours yet";
  exchange.handle_sent(at(seconds(0)));
  EXPECT_FALSE(exchange.speaks(at(seconds(0)))) << "they are on their way";
  EXPECT_NE(exchange.to_show(at(seconds(0))), nullptr);
  exchange.handle_delivered(at(seconds(1)));
  EXPECT_EQ(exchange.to_show(at(seconds(10))), nullptr);
  EXPECT_NE(exchange.to_show(at(seconds(11))), nullptr);
  EXPECT_EQ(exchange.speak_at(), at(seconds(11)));
}

TEST(Exchange, WhatWasNotAcknowledgedIsShownAgain) {
  Exchange exchange = bridge();
  exchange.handle(shown(capabilities(Role::kStation)), at(seconds(0)));
  exchange.handle_sent(at(seconds(0)));
  exchange.handle_delivery_failed();
  EXPECT_TRUE(exchange.speaks(at(seconds(0))));
  EXPECT_NE(exchange.to_show(at(seconds(0))), nullptr);
}

TEST(Exchange, VdpWithoutCapabilitiesMakesALegacyPeerForNow) {
  Exchange exchange = bridge();
  EXPECT_TRUE(exchange.handle(kPlainVdp, at(seconds(0))).verdict);
  EXPECT_EQ(exchange.verdict(), Verdict::kLegacy);
  EXPECT_FALSE(exchange.speak_at()) << "nothing is sent to it for this alone";
  EXPECT_NE(exchange.to_show(at(seconds(0))), nullptr);
  EXPECT_TRUE(exchange.handle(shown(capabilities(Role::kStation)), at(seconds(1))).verdict);
  EXPECT_EQ(exchange.verdict(), Verdict::kCapable) << "it was legacy for now only";
  EXPECT_FALSE(exchange.handle(kPlainVdp, at(seconds(2))).verdict) << "not every ECPDU shows them";
  EXPECT_EQ(exchange.verdict(), Verdict::kCapable);
}

TEST(Exchange, SilenceForThreeAckTimersAndAtLeastAHundredMillisecondsMakesALegacyPeer) {
  Exchange fast = station();
  show(fast, at(seconds(0)));
  EXPECT_EQ(fast.next_deadline(), at(milliseconds(100)));
  EXPECT_FALSE(fast.handle_time(at(milliseconds(99))).verdict);
  EXPECT_TRUE(fast.handle_time(at(milliseconds(100))).verdict);
  EXPECT_EQ(fast.verdict(), Verdict::kLegacy);
  EXPECT_TRUE(fast.may_request());
  EXPECT_FALSE(fast.next_deadline());

  Exchange slow(capabilities(Role::kStation), {milliseconds(200), seconds(10)}, false);
  show(slow, at(seconds(0)));
  EXPECT_EQ(slow.next_deadline(), at(milliseconds(600)));
}

TEST(Exchange, WhoeverHasAcknowledgedNothingIsNoLegacyPeerYet) {
  Exchange exchange = station();
  exchange.handle_sent(at(seconds(0)));
  exchange.handle_delivery_failed();
  EXPECT_FALSE(exchange.next_deadline());
  EXPECT_FALSE(exchange.may_request()) << "what it knows may come with its first answer";
}

TEST(Exchange, OnlyTheFirstShowingStartsTheClock) {
  Exchange exchange = station();
  show(exchange, at(seconds(0)));
  show(exchange, at(milliseconds(50)));
  EXPECT_EQ(exchange.next_deadline(), at(milliseconds(100)));
}

TEST(Exchange, APeerThatRunsAnewIsShownOursAgain) {
  Exchange exchange = station();
  show(exchange, at(seconds(0)));
  exchange.handle(shown(capabilities(Role::kBridge, 1)), at(seconds(0)));
  EXPECT_EQ(exchange.to_show(at(seconds(1))), nullptr);
  const auto change = exchange.handle(shown(capabilities(Role::kBridge, 2)), at(seconds(1)));
  EXPECT_EQ(change, (Exchange::Change{false, false, true, false}));
  EXPECT_TRUE(exchange.speaks(at(seconds(1))));
  show(exchange, at(seconds(1)));
  EXPECT_FALSE(exchange.handle(shown(capabilities(Role::kBridge, 2)), at(seconds(2))).session);
}

TEST(Exchange, AnotherEpochOrSystemMeansThatStateWasLost) {
  Exchange exchange = station();
  Capabilities peer = capabilities(Role::kBridge);
  EXPECT_FALSE(exchange.handle(shown(peer), at(seconds(0))).state_lost) << "nothing was known before";
  ++peer.epoch;
  EXPECT_TRUE(exchange.handle(shown(peer), at(seconds(1))).state_lost);
  EXPECT_FALSE(exchange.handle(shown(peer), at(seconds(2))).state_lost);
  peer.system[0] ^= 1;
  EXPECT_TRUE(exchange.handle(shown(peer), at(seconds(3))).state_lost);
}

TEST(Exchange, StateLostWhileTheLinkWasDownIsSeenToo) {
  Exchange exchange = station();
  Capabilities peer = capabilities(Role::kBridge);
  exchange.handle(shown(peer), at(seconds(0)));
  exchange.reset(capabilities(Role::kStation, 9).nonce);
  EXPECT_EQ(exchange.verdict(), Verdict::kUnknown);
  EXPECT_EQ(exchange.flags(), Flags()) << "somebody else may be there now";
  EXPECT_EQ(exchange.own().nonce[0], 9);
  EXPECT_TRUE(exchange.speaks(at(seconds(1))));
  ++peer.epoch;
  EXPECT_TRUE(exchange.handle(shown(peer), at(seconds(1))).state_lost);
}

TEST(Exchange, FlagsMayChangeInMidLife) {
  Exchange exchange = station();
  Capabilities peer = capabilities(Role::kBridge);
  exchange.handle(shown(peer), at(seconds(0)));
  peer.flags = Flags();
  const auto change = exchange.handle(shown(peer), at(seconds(1)));
  EXPECT_EQ(change, (Exchange::Change{false, true, false, false}));
  EXPECT_EQ(exchange.flags(), Flags());
}

TEST(Exchange, APeerMarkedAsLegacyIsShownNothingAndTakenAtNoWord) {
  Exchange exchange = station(true);
  EXPECT_EQ(exchange.verdict(), Verdict::kLegacy);
  EXPECT_TRUE(exchange.may_request());
  EXPECT_EQ(exchange.to_show(at(seconds(0))), nullptr);
  EXPECT_FALSE(exchange.speak_at());
  EXPECT_EQ(exchange.handle(shown(capabilities(Role::kBridge)), at(seconds(0))), Exchange::Change{});
  EXPECT_EQ(exchange.flags(), Flags());
  exchange.reset({});
  EXPECT_EQ(exchange.verdict(), Verdict::kLegacy);
}

TEST(Exchange, CapabilitiesOfOurOwnRoleAreNobodysWeTalkTo) {
  Exchange exchange = station();
  EXPECT_EQ(exchange.handle(shown(capabilities(Role::kStation)), at(seconds(0))), Exchange::Change{});
  EXPECT_EQ(exchange.verdict(), Verdict::kUnknown);
}

TEST(Exchange, ASurveyRefusesABrokenVdpduAndTakesItsFirstCapabilities) {
  OctetString octets;
  write_capabilities_only(capabilities(Role::kBridge), octets);
  const auto heard = survey(octets);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->capabilities, capabilities(Role::kBridge));
  EXPECT_FALSE(heard->associations);
  EXPECT_TRUE(station().is_new_session(octets));

  EXPECT_FALSE(survey(Octets(octets).first(30)));
  octets[18 + 2 + 4] = 0;  // version 0
  EXPECT_FALSE(survey(octets)->capabilities) << "what cannot be read counts as absent";
}

TEST(Exchange, AStationsCapabilitiesStandBehindItsRequestsInTheRoomKeptForThem) {
  Station requests(kTiming, kAll);
  for (unsigned n = 1; n <= 40; ++n)
    requests.set_entry(requests.open(spec(n)), mac(n), Level::kActive, Vid(), at(seconds(0)));
  const Capabilities own = capabilities(Role::kStation);
  OctetString octets;
  ASSERT_TRUE(requests.compose(octets, at(seconds(0)), &own));
  EXPECT_LE(octets.size(), limits::kVdpduOctetsMax);
  EXPECT_EQ(survey(octets)->capabilities, own);
  EXPECT_EQ(read_vdpdu(octets)->tlvs.size(), 36u + 1u);
  EXPECT_TRUE(std::holds_alternative<RawTlv>(read_vdpdu(octets)->tlvs.back()));
}

}  // namespace
}  // namespace splitnve::vdp::test
