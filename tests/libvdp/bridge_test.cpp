// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/bridge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "splitnve/base/limits.hpp"
#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using State = Bridge::RequestState;

constexpr ResponseStatus kSuccess{};

class BridgeTest : public ::testing::Test {
 protected:
  void receive(const OctetString& octets) { EXPECT_TRUE(bridge_.handle_vdpdu(octets, now_)); }
  void associate(std::uint32_t n, std::vector<FilterEntry> entries = {entry(mac(1), 0)}, char manager_name = '1') {
    receive(one(TlvType::kAssociate, 0, vsi(n), std::move(entries), manager_name));
  }
  void deassociate(std::uint32_t n, std::vector<FilterEntry> entries) {
    receive(one(TlvType::kDeAssociate, 0, vsi(n), std::move(entries)));
  }
  Request take() {
    auto request = bridge_.poll_request();
    EXPECT_TRUE(request);
    return request.value_or(Request{});
  }
  /// Success for the request, with VID 103 wherever it has none.
  void accept(const Request& request) {
    Entries entries = request.entries;
    for (FilterEntry& e : entries)
      if (e.vid.is_null()) e.vid = Vid(103);
    bridge_.respond(request.id, kSuccess, entries);
  }
  std::vector<std::string> sent() {
    const auto vdpdu = send(bridge_, now_);
    return vdpdu ? to_text(*vdpdu) : std::vector<std::string>();
  }

  Bridge bridge_{kTiming, limits::kDecisionDeadline};
  Instant now_ = at({});
};

TEST_F(BridgeTest, HandsOutTheRequestAndAnswersWithTheVid) {
  receive(
      from_hex("0a10 6d677231000000000000000000000000"
               "0625 10 000001 01 05 11111111222233334444555555555504 04 0001 00011174 02aa00000004 0000"
               "0000"));
  const Request request = take();
  EXPECT_EQ(request.command, TlvType::kAssociate);
  EXPECT_EQ(request.manager, manager('1'));
  EXPECT_EQ(request.type, kType);
  EXPECT_EQ(request.vsi, vsi(4));
  EXPECT_EQ(request.format, FilterFormat::kGroupMacVid);
  EXPECT_EQ(request.migration, Migration::kArriving);
  EXPECT_FALSE(request.suspended);
  EXPECT_THAT(request.entries, ElementsAre(entry(mac(4), 0)));
  EXPECT_FALSE(bridge_.poll_request());
  accept(request);
  OctetString octets;
  ASSERT_TRUE(bridge_.compose(octets, now_));
  EXPECT_EQ(octets, from_hex("0a10 6d677231000000000000000000000000"
                             "0625 40 000001 01 05 11111111222233334444555555555504 04 0001 00011174 02aa00000004 0067"
                             "0000"));
}

TEST_F(BridgeTest, RepeatsPrioritiesAndOtherFormatsInTheAnswer) {
  const FilterEntry prioritised{kBlue, {}, Vid(7), true, 5};
  receive(one(TlvType::kPreAssociate, 0, vsi(1), {prioritised}, '1', FilterFormat::kGroupVid));
  accept(take());
  const auto vdpdu = send(bridge_, now_);
  const auto& tlv = std::get<CopiedAssociation>(vdpdu->tlvs.at(0));
  EXPECT_EQ(tlv.format, FilterFormat::kGroupVid);
  EXPECT_THAT(tlv.entries, ElementsAre(prioritised));
}

TEST_F(BridgeTest, ARefusalRepeatsTheRequestsEntries) {
  associate(1);
  bridge_.respond(take().id, {Code::kInvalidAddress, true, true}, {});
  EXPECT_THAT(sent(), ElementsAre("Associate 75 1:0"));
  EXPECT_EQ(bridge_.stats().refused, 1u);
}

TEST_F(BridgeTest, PacksAnswersAndCommandsOfOneManager) {
  for (std::uint32_t n = 0; n < 40; ++n) associate(n);
  while (const auto request = bridge_.poll_request()) accept(*request);
  bridge_.deassociate(manager('1'), kType, vsi(99), FilterFormat::kGroupMacVid, std::vector{entry(mac(1), 103)});
  EXPECT_EQ(sent().size(), 37u);
  EXPECT_EQ(sent(), (std::vector<std::string>{"Associate 40 1:103", "Associate 40 1:103", "Associate 40 1:103",
                                              "De-Associate 00 1:103"}));
  EXPECT_FALSE(bridge_.queued());
  EXPECT_EQ(bridge_.stats().commands, 1u);
}

TEST_F(BridgeTest, AnswersToDifferentManagersGoOutInTurn) {
  for (std::uint32_t n = 0; n < 6; ++n) associate(n, {entry(mac(1), 0)}, n % 2 == 0 ? 'a' : 'b');
  while (const auto request = bridge_.poll_request()) accept(*request);
  const auto first = send(bridge_, now_);
  EXPECT_EQ(first->manager, manager('a'));
  EXPECT_EQ(first->tlvs.size(), 3u);
  const auto second = send(bridge_, now_);
  EXPECT_EQ(second->manager, manager('b'));
  EXPECT_EQ(second->tlvs.size(), 3u);
}

TEST_F(BridgeTest, SplitsACommandThatNoTlvCanHold) {
  std::vector<FilterEntry> entries;
  for (std::uint64_t n = 0; n < 41; ++n) entries.push_back(entry(mac(n), 0));
  bridge_.deassociate(manager('1'), kType, vsi(1), FilterFormat::kGroupMacVid, entries);
  bridge_.deassociate(manager('1'), kType, vsi(2), FilterFormat::kGroupMacVid, {});
  const auto vdpdu = send(bridge_, now_);
  ASSERT_EQ(vdpdu->tlvs.size(), 3u);
  EXPECT_EQ(std::get<CopiedAssociation>(vdpdu->tlvs[0]).entries.size(), 40u);
  EXPECT_EQ(std::get<CopiedAssociation>(vdpdu->tlvs[1]).entries.size(), 1u);
  EXPECT_THAT(std::get<CopiedAssociation>(vdpdu->tlvs[2]).entries, IsEmpty());
}

// --- order ---

TEST_F(BridgeTest, AnAnswerWaitsForTheEarlierOnesOfItsVsiOnly) {
  associate(1, {entry(mac(1), 0)});
  associate(1, {entry(mac(2), 0)});
  associate(2, {entry(mac(3), 0)});
  const Request slow = take(), fast = take(), other = take();
  accept(fast);
  accept(other);
  EXPECT_THAT(sent(), ElementsAre("Associate 40 3:103"));
  EXPECT_FALSE(bridge_.queued());
  accept(slow);
  EXPECT_THAT(sent(), ElementsAre("Associate 40 1:103", "Associate 40 2:103"));
}

TEST_F(BridgeTest, ADeAssociateOvertakesWhatIsUndecidedAboutItsEntries) {
  associate(1, {entry(mac(1), 0)});
  const Request pending = take();
  associate(1, {entry(mac(1), 0), entry(mac(2), 0)});
  associate(1, {entry(mac(3), 0)});
  deassociate(1, {entry(mac(1), 0)});
  EXPECT_THAT(sent(), ElementsAre("Associate 64 1:0", "Associate 64 1:0 2:0"));
  EXPECT_EQ(bridge_.stats().cancelled, 2u);
  accept(pending);
  EXPECT_FALSE(bridge_.queued()) << "its answer is given";

  const Request untouched = take();
  EXPECT_THAT(untouched.entries, ElementsAre(entry(mac(3), 0)));
  const Request removal = take();
  EXPECT_EQ(removal.command, TlvType::kDeAssociate);
  bridge_.respond(removal.id, kSuccess, removal.entries);
  EXPECT_FALSE(bridge_.queued()) << "request order";
  accept(untouched);
  EXPECT_THAT(sent(), ElementsAre("Associate 40 3:103", "De-Associate 40 1:0"));
}

TEST_F(BridgeTest, ADeAssociateOfTheVsiOrOfAGroupOvertakesAllBelow) {
  associate(1, {entry(mac(1), 0)});
  associate(1, {entry(mac(2), 0, kRed)});
  associate(2);
  receive(one(TlvType::kDeAssociate, 0, vsi(1), {entry({}, 0, kRed)}, '1', FilterFormat::kGroupVid));
  EXPECT_EQ(bridge_.stats().cancelled, 1u);
  deassociate(1, {});
  EXPECT_EQ(bridge_.stats().cancelled, 2u);
  EXPECT_EQ(take().vsi, vsi(2));
  EXPECT_EQ(take().command, TlvType::kDeAssociate);
}

TEST_F(BridgeTest, ADeAssociateWithoutEntriesIsPassedOnAndEchoed) {
  deassociate(1, {});
  const Request request = take();
  EXPECT_THAT(request.entries, IsEmpty());
  bridge_.respond(request.id, kSuccess, {});
  EXPECT_THAT(sent(), ElementsAre("De-Associate 40"));
}

// --- deadlines and limits ---

TEST_F(BridgeTest, AnUndecidedRequestIsAnsweredCodeThreeAtItsDeadline) {
  associate(1);
  associate(2);
  const Request first = take(), second = take();
  bridge_.set_keep_on_expiry(second.id, true);
  EXPECT_EQ(bridge_.deciding(), 2u);
  EXPECT_EQ(*bridge_.next_deadline(), now_ + limits::kDecisionDeadline);
  now_ += limits::kDecisionDeadline - milliseconds(1);
  EXPECT_FALSE(bridge_.poll_expired(now_));
  now_ += milliseconds(1);
  EXPECT_EQ(bridge_.poll_expired(now_), first.id);
  EXPECT_EQ(bridge_.poll_expired(now_), second.id);
  EXPECT_FALSE(bridge_.poll_expired(now_));
  EXPECT_FALSE(bridge_.next_deadline());
  accept(first);
  EXPECT_THAT(sent(), ElementsAre("Associate 43 1:0", "Associate 63 1:0"));
  EXPECT_EQ(bridge_.deciding(), 0u);
}

TEST_F(BridgeTest, WhatExpiresBeforeItWasHandedOutIsAnsweredAndNeverHandedOut) {
  associate(1);
  now_ += limits::kDecisionDeadline;
  EXPECT_FALSE(bridge_.poll_expired(now_));
  EXPECT_FALSE(bridge_.poll_request());
  EXPECT_THAT(sent(), ElementsAre("Associate 43 1:0"));
}

TEST_F(BridgeTest, TooManyRequestsAreRefusedWithKeepAndThenDropped) {
  for (std::uint32_t n = 0; n < 2 * limits::kPendingRequestsPerPeerMax + 10; ++n) associate(n);
  EXPECT_EQ(bridge_.stats().overflow, limits::kPendingRequestsPerPeerMax + 10);
  std::size_t handed_out = 0;
  while (bridge_.poll_request()) ++handed_out;
  EXPECT_EQ(handed_out, limits::kPendingRequestsPerPeerMax);
  std::size_t refused = 0;
  while (bridge_.queued())
    for (const std::string& tlv : sent()) refused += tlv == "Associate 62 1:0";
  EXPECT_EQ(refused, limits::kPendingRequestsPerPeerMax);
}

TEST_F(BridgeTest, SaysBeforehandWhetherThereIsRoomForAnyVdpdu) {
  std::uint32_t n = 0;
  while (bridge_.has_room()) associate(n++);
  EXPECT_EQ(bridge_.stats().overflow, 0u);
  EXPECT_GE(n + limits::kVdpduOctetsMax / 25, limits::kPendingRequestsPerPeerMax);
  while (const auto asked = bridge_.poll_request()) bridge_.respond(asked->id, {Code::kOther, false, false}, {});
  EXPECT_FALSE(bridge_.has_room()) << "an answer takes its room until it is delivered";
  sent();
  bridge_.handle_delivered(now_);
  EXPECT_TRUE(bridge_.has_room());
}

TEST_F(BridgeTest, EntriesOfAnswersThatAreNeverAcknowledgedAreBounded) {
  const std::vector<FilterEntry> full(243, entry(mac(1), 7));
  for (std::uint32_t n = 0; n < 1000; ++n)
    receive(one(TlvType::kAssociate, 0x30, vsi(n), full, '1', FilterFormat::kVid));  // refused at once
  EXPECT_EQ(bridge_.stats().requests, limits::kPendingEntriesPerPeerMax / 243);
  EXPECT_EQ(bridge_.stats().overflow, 1000 - limits::kPendingEntriesPerPeerMax / 243);
  while (bridge_.queued()) sent();
  bridge_.handle_delivered(now_);
  associate(5000);
  EXPECT_TRUE(bridge_.poll_request()) << "what is delivered makes room";
}

// --- what a peer may send ---

TEST_F(BridgeTest, SuspendedAndMigratingTogetherIsMalformed) {
  receive(one(TlvType::kAssociate, 0x30, vsi(1), {entry(mac(1), 7)}));
  EXPECT_FALSE(bridge_.poll_request());
  EXPECT_THAT(sent(), ElementsAre("Associate 61 1:7"));
}

TEST_F(BridgeTest, AMalformedAssociationIsAnsweredByItsHeadInOrder) {
  associate(1, {entry(mac(1), 0)});
  OctetString octets = one(TlvType::kAssociate, 0, vsi(1), {entry(mac(2), 0)});
  octets[18 + 2 + 22] = 0x77;  // the filter format
  receive(octets);
  EXPECT_EQ(bridge_.stats().malformed_tlvs, 1u);
  EXPECT_FALSE(bridge_.queued()) << "an earlier request of the VSI is undecided";
  accept(take());
  OctetString out;
  ASSERT_TRUE(bridge_.compose(out, now_));
  VdpduReader reader(out);
  ASSERT_TRUE(reader.manager());
  ASSERT_TRUE(*reader.next());
  const auto head = decode_association_head(**reader.next());
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 0x61);
  EXPECT_EQ(head->vsi, vsi(1));
}

TEST_F(BridgeTest, AnUnreadableAssociationIsOnlyCounted) {
  receive(write_vdpdu({manager('1'), {RawTlv{3, {0, 1, 2}}}}));
  EXPECT_EQ(bridge_.stats().malformed_tlvs, 1u);
  EXPECT_FALSE(bridge_.queued());
  EXPECT_FALSE(bridge_.poll_request());
}

TEST_F(BridgeTest, ResponsesAndUnknownTlvsAreCountedAndNothingMore) {
  receive(
      write_vdpdu({manager('1'),
                   {RawTlv{127, {0, 0, 12}}, RawTlv{77, {}},
                    CopiedAssociation{TlvType::kDeAssociate, 0x40, kType, vsi(1), FilterFormat::kGroupMacVid, {}}}}));
  EXPECT_EQ(bridge_.stats().skipped_tlvs, 2u);
  EXPECT_EQ(bridge_.stats().stray_responses, 1u);
  EXPECT_EQ(bridge_.stats().requests, 0u);
  EXPECT_FALSE(bridge_.queued());
}

TEST_F(BridgeTest, NothingOfABrokenVdpduIsProcessed) {
  OctetString octets = one(TlvType::kAssociate, 0, vsi(1), {entry(mac(1), 0)});
  octets.resize(octets.size() - 2);
  octets.insert(octets.end(), {0x0A, 0x10});  // a second manager ID
  const auto refused = bridge_.handle_vdpdu(octets, now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().offset, octets.size() - 2);
  EXPECT_FALSE(bridge_.poll_request());
  EXPECT_EQ(bridge_.stats().requests, 0u);
}

// --- delivery ---

TEST_F(BridgeTest, ALostVdpduGoesOutAgainInFront) {
  associate(1);
  associate(2, {entry(mac(2), 0)});
  accept(take());
  accept(take());
  bridge_.deassociate(manager('1'), kType, vsi(9), FilterFormat::kGroupMacVid, std::vector{entry(mac(9), 0)});
  OctetString lost;
  ASSERT_TRUE(bridge_.compose(lost, now_));
  associate(3, {entry(mac(3), 0)});
  accept(take());
  bridge_.handle_delivery_failed(now_);
  EXPECT_THAT(sent(),
              ElementsAre("Associate 40 1:103", "Associate 40 2:103", "De-Associate 00 9:0", "Associate 40 3:103"));
  EXPECT_FALSE(bridge_.queued());
}

TEST_F(BridgeTest, ALostAnswerIsDroppedOnceItsEntriesWereAskedForAgain) {
  associate(1, {entry(mac(1), 0)});
  associate(1, {entry(mac(2), 0)});
  accept(take());
  accept(take());
  OctetString lost;
  ASSERT_TRUE(bridge_.compose(lost, now_));
  associate(1, {entry(mac(1), 0)});
  bridge_.handle_delivery_failed(now_);
  EXPECT_THAT(sent(), ElementsAre("Associate 40 2:103"));
  accept(take());
  EXPECT_THAT(sent(), ElementsAre("Associate 40 1:103"));
}

TEST_F(BridgeTest, AVdpduWithoutOutcomeCountsAsLost) {
  associate(1);
  accept(take());
  OctetString first, second;
  ASSERT_TRUE(bridge_.compose(first, now_));
  ASSERT_TRUE(bridge_.compose(second, now_));
  EXPECT_EQ(first, second);
  bridge_.handle_delivered(now_);
  EXPECT_FALSE(bridge_.compose(second, now_));
}

TEST_F(BridgeTest, ADeliveredRequestIsGoneAndItsIdIsNotReused) {
  associate(1);
  const Request request = take();
  EXPECT_EQ(bridge_.state(request.id), State::kDeciding);
  accept(request);
  EXPECT_EQ(bridge_.state(request.id), State::kAnswered);
  sent();
  EXPECT_EQ(bridge_.state(request.id), std::nullopt);
  associate(1);
  const Request next = take();
  EXPECT_NE(next.id, request.id);
  accept(request);
  EXPECT_FALSE(bridge_.queued());
}

}  // namespace
}  // namespace splitnve::vdp::test
