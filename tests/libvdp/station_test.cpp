// SPDX-License-Identifier: Apache-2.0
// The station towards a peer with all our capabilities; legacy peers are in station_legacy_test.cpp.
#include "splitnve/vdp/station.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "splitnve/base/limits.hpp"
#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using State = Station::State;

class StationTest : public ::testing::Test {
 protected:
  /// One association with MAC 1 at `level`, answered and with its events drained.
  Station::Handle settled(std::uint32_t n = 4, Level level = Level::kActive, MacAddress address = mac(1)) {
    const auto handle = station_.open(spec(n));
    station_.set_entry(handle, address, level, Vid(), now_);
    exchange();
    EXPECT_EQ(station_.state(handle), State::kSettled);
    events(station_);
    return handle;
  }
  std::vector<std::string> sent() {
    const auto vdpdu = send(station_, now_);
    return vdpdu ? to_text(*vdpdu) : std::vector<std::string>();
  }
  /// Sends one VDPDU and lets the bridge answer all of it; returns what was sent.
  std::vector<std::string> exchange(std::uint8_t status = 0x40) {
    const auto vdpdu = send(station_, now_);
    if (!vdpdu) return {};
    EXPECT_TRUE(station_.handle_vdpdu(answer(*vdpdu, status), now_));
    return to_text(*vdpdu);
  }
  void receive(const OctetString& octets) { EXPECT_TRUE(station_.handle_vdpdu(octets, now_)); }
  void pass(Duration time) {
    now_ += time;
    station_.handle_time(now_);
  }
  Level confirmed(Station::Handle handle, std::size_t i = 0) { return station_.entries(handle).at(i).confirmed; }

  Station station_{kTiming, kAll};
  Instant now_ = at({});
};

TEST_F(StationTest, ComposesTheGoldenOctets) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(4), Level::kActive, Vid(0x67), now_);
  OctetString octets;
  ASSERT_TRUE(station_.compose(octets, now_));
  EXPECT_EQ(octets, from_hex("0a10 6d677231000000000000000000000000"
                             "0625 00 000001 01 05 11111111222233334444555555555504 04 0001 00011174 02aa00000004 0067"
                             "0000"));
}

TEST_F(StationTest, AsksForAPriorityAndTellsWhatTheBridgeMadeOfIt) {
  auto urgent = spec(4);
  urgent.priority = Priority(6);
  const auto handle = station_.open(urgent);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  auto vdpdu = send(station_, now_);
  auto& asked = std::get<CopiedAssociation>(vdpdu->tlvs.at(0)).entries.at(0);
  EXPECT_TRUE(asked.ps);
  EXPECT_EQ(asked.pcp, 6);
  asked.pcp = 3;
  receive(answer(*vdpdu));
  EXPECT_EQ(std::get<Station::Confirmed>(*station_.poll_event()).priority, Priority(3));
  pass(*station_.next_deadline() - now_);
  vdpdu = send(station_, now_);
  auto& again = std::get<CopiedAssociation>(vdpdu->tlvs.at(0)).entries.at(0);
  EXPECT_EQ(again.pcp, 6);  // what is asked for does not follow the answer
  again.ps = false;         // its PCP means nothing now
  receive(answer(*vdpdu));
  EXPECT_TRUE(std::get<Station::Confirmed>(*station_.poll_event()).priority.is_none());
}

TEST_F(StationTest, AdoptsTheAssignedVidAndRepeatsItAsKeepAlive) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:0"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
  EXPECT_FALSE(station_.queued());

  const Instant due = *station_.next_deadline();
  EXPECT_LE(due, now_ + kTiming.keepalive_interval());
  EXPECT_GE(due, now_ + kTiming.keepalive_interval() * 7 / 8);
  now_ = due;
  station_.handle_time(now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101"));
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_EQ(station_.stats().keepalives, 1u);
  EXPECT_EQ(station_.state(handle), State::kSettled);
}

TEST_F(StationTest, ReservesThenActivatesThenDeactivates) {
  const auto handle = settled(4, Level::kReserved);
  EXPECT_EQ(confirmed(handle), Level::kReserved);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101"));
  station_.set_entry(handle, mac(1), Level::kReserved, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101", "confirmed 1 reserved 101"));
}

TEST_F(StationTest, CarriesTheMigrationBitsOnceTheyAreSet) {
  const auto handle = station_.open(spec(4));
  station_.set_status(handle, false, Migration::kArriving);
  EXPECT_FALSE(station_.queued());
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 10 1:0"));
  station_.set_status(handle, true, Migration::kNone);
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 20 2:0"));
}

TEST_F(StationTest, SendsRemovalsThenReservationsThenActivations) {
  const auto handle = settled();
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  station_.set_entry(handle, mac(3), Level::kReserved, Vid(), now_);
  station_.set_entry(handle, mac(1), Level::kNone, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:101"));
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 3:0"));
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 2:0"));
  EXPECT_THAT(exchange(), IsEmpty());
  EXPECT_THAT(events(station_),
              ElementsAre("confirmed 1 none 101", "confirmed 3 reserved 103", "confirmed 2 active 102"));
  EXPECT_EQ(station_.entries(handle).size(), 2u);
}

TEST_F(StationTest, PacksThirtySevenAssociationsIntoOneVdpdu) {
  for (std::uint32_t n = 0; n < 40; ++n)
    station_.set_entry(station_.open(spec(n)), mac(n), Level::kActive, Vid(), now_);
  OctetString octets;
  ASSERT_TRUE(station_.compose(octets, now_));
  EXPECT_LE(octets.size(), limits::kVdpduOctetsMax);
  EXPECT_EQ(read_vdpdu(octets)->tlvs.size(), 37u);
  EXPECT_EQ(send(station_, now_)->tlvs.size(), 3u);
  EXPECT_FALSE(station_.queued());
}

TEST_F(StationTest, PutsOneManagerIntoAVdpduAndServesThemInTurn) {
  for (std::uint32_t n = 0; n < 6; ++n)
    station_.set_entry(station_.open(spec(n, kBlue, n % 2 == 0 ? 'a' : 'b')), mac(n), Level::kActive, Vid(), now_);
  const auto first = send(station_, now_);
  EXPECT_EQ(first->manager, manager('a'));
  EXPECT_EQ(first->tlvs.size(), 3u);
  const auto second = send(station_, now_);
  EXPECT_EQ(second->manager, manager('b'));
  EXPECT_EQ(second->tlvs.size(), 3u);
}

TEST_F(StationTest, SplitsManyAddressesIntoRequestsOneAtATime) {
  const auto handle = station_.open(spec(4));
  for (std::uint64_t n = 1; n <= 100; ++n) station_.set_entry(handle, mac(n), Level::kActive, Vid(), now_);
  for (const std::size_t expected : {40u, 40u, 20u}) {
    const auto vdpdu = send(station_, now_);
    ASSERT_EQ(vdpdu->tlvs.size(), 1u);
    EXPECT_EQ(std::get<CopiedAssociation>(vdpdu->tlvs[0]).entries.size(), expected);
    EXPECT_FALSE(station_.queued());
    receive(answer(*vdpdu));
  }
  EXPECT_EQ(station_.state(handle), State::kSettled);
  EXPECT_EQ(events(station_).size(), 100u);
}

TEST_F(StationTest, RenewsEntriesOfBothLevelsInSeparateTlvs) {
  const auto handle = settled();
  station_.set_entry(handle, mac(2), Level::kReserved, Vid(), now_);
  exchange();
  now_ = *station_.next_deadline();
  station_.handle_time(now_);
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 2:102"));
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101"));
  EXPECT_EQ(station_.state(handle), State::kSettled);
  EXPECT_EQ(station_.stats().keepalives, 2u);
}

TEST_F(StationTest, AChangeOfOneEntryDoesNotPostponeTheKeepAliveOfTheOthers) {
  const auto handle = settled();
  const Instant due = *station_.next_deadline();
  pass(kTiming.keepalive_interval() / 2);
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  exchange();
  EXPECT_EQ(*station_.next_deadline(), due);
  // Nor do desires that come and go.
  station_.set_entry(handle, mac(2), Level::kReserved, Vid(), now_);
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  EXPECT_EQ(station_.state(handle), State::kSettled);
  EXPECT_EQ(*station_.next_deadline(), due);
}

TEST_F(StationTest, SpreadsTheKeepAlivesOfAssociationsThatSettledTogether) {
  for (std::uint32_t n = 0; n < 100; ++n)
    station_.set_entry(station_.open(spec(n)), mac(n), Level::kActive, Vid(), now_);
  while (station_.queued()) exchange();
  pass(kTiming.keepalive_interval() * 15 / 16);
  std::size_t early = 0;
  while (const auto vdpdu = send(station_, now_)) early += vdpdu->tlvs.size();
  EXPECT_GT(early, 30u);
  EXPECT_LT(early, 85u);
}

TEST_F(StationTest, AKeepAliveTakesAlongThoseThatFallDueSoonAfterIt) {
  for (std::uint32_t n = 0; n < 100; ++n)
    station_.set_entry(station_.open(spec(n)), mac(n), Level::kActive, Vid(), now_);
  while (station_.queued()) exchange();
  pass(*station_.next_deadline() - now_);
  // They are spread over an eighth of the interval; a thirty-second of it goes out together.
  const std::size_t together = exchange().size();
  EXPECT_GE(together, 16u);
  EXPECT_LE(together, 36u);
  EXPECT_FALSE(station_.queued());
  EXPECT_EQ(station_.stats().keepalives, together);
  // No request of a VM that starts waits behind them.
  pass(*station_.next_deadline() - now_ - Duration(1));
  station_.set_entry(station_.open(spec(200)), mac(200), Level::kActive, Vid(), now_);
  pass(Duration(1));
  EXPECT_LE(exchange().size(), 2u);
}

TEST_F(StationTest, FreshCommandsPassKeepAlivesButDoNotStarveThem) {
  std::uint32_t next = 0;
  const auto add = [&](unsigned count) {
    for (unsigned i = 0; i < count; ++i, ++next)
      station_.set_entry(station_.open(spec(next)), mac(next), Level::kActive, Vid(), now_);
  };
  add(10);
  exchange();
  pass(kTiming.keepalive_interval());
  add(37);
  EXPECT_EQ(exchange().size(), 37u);
  EXPECT_EQ(station_.stats().keepalives, 0u);
  for (int i = 0; i < 3; ++i) {
    add(37);
    exchange();
  }
  EXPECT_GE(station_.stats().keepalives, 10u);
}

// --- silence ---

TEST_F(StationTest, SilenceIsToldOnceAndChangesNoConfirmedLevel) {
  const auto handle = settled(4, Level::kReserved);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  ASSERT_THAT(sent(), ElementsAre("Associate 00 1:101"));
  pass(kTiming.response_wait() - milliseconds(1));
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
  pass(milliseconds(1));
  EXPECT_EQ(station_.state(handle), State::kUnconfirmed);
  EXPECT_THAT(events(station_), ElementsAre("unconfirmed"));

  std::vector<Duration> waits;
  for (int i = 0; i < 7; ++i) {
    const Instant since = now_;
    now_ = *station_.next_deadline();
    waits.push_back(now_ - since);
    station_.handle_time(now_);
    ASSERT_THAT(sent(), ElementsAre("Associate 00 1:101"));
    pass(kTiming.response_wait());
  }
  EXPECT_EQ(waits[0], kTiming.response_wait());
  EXPECT_EQ(waits[1], 2 * kTiming.response_wait());
  EXPECT_EQ(waits[2], 4 * kTiming.response_wait());
  EXPECT_EQ(waits[6], limits::kUnconfirmedBackoffMax);
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_EQ(confirmed(handle), Level::kReserved);
  EXPECT_EQ(station_.stats().timeouts, 8u);
}

TEST_F(StationTest, AKeepAliveWithoutAnswerIsRepeatedBeforeTheLeaseEnds) {
  settled(4, Level::kActive);
  const Instant renewed = now_;
  pass(kTiming.keepalive_interval());
  ASSERT_THAT(sent(), ElementsAre("Associate 00 1:101"));
  pass(kTiming.renewal_wait());
  EXPECT_THAT(events(station_), ElementsAre("unconfirmed"));
  pass(kTiming.renewal_wait());
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("answered"));
  EXPECT_LT(now_ - renewed, kTiming.keepalive_timeout());
}

TEST_F(StationTest, ALateAnswerToTheLastCommandCounts) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  const auto vdpdu = send(station_, now_);
  pass(kTiming.response_wait());
  receive(answer(*vdpdu));
  EXPECT_THAT(events(station_), ElementsAre("unconfirmed", "answered", "confirmed 1 active 101"));
  EXPECT_EQ(station_.state(handle), State::kSettled);
}

TEST_F(StationTest, AnAnswerAfterTheRetryWasQueuedTakesItOutOfTheQueue) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  const auto vdpdu = send(station_, now_);
  pass(kTiming.response_wait());
  pass(kTiming.response_wait());
  ASSERT_EQ(station_.state(handle), State::kQueued);
  receive(answer(*vdpdu));
  EXPECT_EQ(station_.state(handle), State::kSettled);
  EXPECT_FALSE(station_.queued());
}

TEST_F(StationTest, ANewDesireDoesNotWaitForTheBackOff) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  sent();
  pass(kTiming.response_wait());
  ASSERT_EQ(station_.state(handle), State::kUnconfirmed);
  station_.set_entry(handle, mac(1), Level::kNone, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:0")) << "the bridge may hold what it did not answer";
  EXPECT_THAT(events(station_), ElementsAre("unconfirmed", "answered", "confirmed 1 none 0"));
}

TEST_F(StationTest, WhatWentUnansweredIsAskedAgainEvenIfTheDesireWentBack) {
  const auto handle = settled(4, Level::kReserved);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  sent();
  station_.set_entry(handle, mac(1), Level::kReserved, Vid(), now_);
  pass(kTiming.response_wait());
  pass(kTiming.response_wait());
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 1:101")) << "the bridge may have activated it";
}

TEST_F(StationTest, AnEcpFailureRequeuesUnderTheSameResponseTimer) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  OctetString octets;
  ASSERT_TRUE(station_.compose(octets, now_));
  const Instant timer = *station_.next_deadline();
  pass(seconds(1));
  station_.handle_delivery_failed(now_);
  EXPECT_EQ(station_.state(handle), State::kQueued);
  EXPECT_EQ(*station_.next_deadline(), timer);
  OctetString again;
  ASSERT_TRUE(station_.compose(again, now_));
  EXPECT_EQ(again, octets);
  EXPECT_EQ(*station_.next_deadline(), timer);
  station_.handle_delivery_failed(now_);
  now_ = timer;
  station_.handle_time(now_);
  EXPECT_EQ(station_.state(handle), State::kUnconfirmed);
  EXPECT_FALSE(station_.queued());
}

TEST_F(StationTest, AnEcpFailureRequeuesOnlyWhatIsStillCurrent) {
  const auto a = station_.open(spec(1));
  const auto b = station_.open(spec(2));
  station_.set_entry(a, mac(1), Level::kActive, Vid(), now_);
  station_.set_entry(b, mac(2), Level::kActive, Vid(), now_);
  OctetString octets;
  ASSERT_TRUE(station_.compose(octets, now_));
  station_.close(a, now_, true);
  station_.set_entry(b, mac(2), Level::kReserved, Vid(), now_);
  station_.handle_delivery_failed(now_);
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 2:0"));
}

// --- matching ---

TEST_F(StationTest, AnswersWithOtherEntriesOrderCountOrCommandAreUnmatched) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  sent();
  const auto e1 = entry(mac(1), 101), e2 = entry(mac(2), 102);
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {e2, e1}));
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {e1}));
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {e1, e2, e2}));
  receive(one(TlvType::kPreAssociateRr, 0x40, vsi(4), {e1, e2}));
  receive(one(TlvType::kAssociate, 0x40, vsi(5), {e1, e2}));
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {entry(mac(1), 101, kRed), entry(mac(2), 102, kRed)}));
  EXPECT_EQ(station_.stats().unmatched, 6u);
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {e1, e2}));
  EXPECT_EQ(station_.state(handle), State::kSettled);
}

TEST_F(StationTest, ARefusalCountsWhateverItMakesOfTheVid) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(77), now_);
  sent();
  receive(one(TlvType::kAssociate, 0x44, vsi(4), {entry(mac(1), 0)}));
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4"));
  EXPECT_EQ(station_.stats().unmatched, 0u);
}

TEST_F(StationTest, AnAnswerUnderAnotherManagerIsTakenAndCounted) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  auto vdpdu = send(station_, now_);
  vdpdu->manager = manager('9');
  receive(answer(*vdpdu));
  EXPECT_EQ(confirmed(handle), Level::kActive);
  EXPECT_EQ(station_.stats().other_manager, 1u);
}

TEST_F(StationTest, WhatAnUnmatchedAnswerSaysIsTold) {
  settled();
  receive(one(TlvType::kAssociate, 0x63, vsi(9), {entry(mac(1), 101)}));
  const auto told = station_.poll_unmatched();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->vsi, vsi(9));
  EXPECT_EQ(told->command, TlvType::kAssociate);
  EXPECT_EQ(told->status.code, Code::kManagerUnreachable);
  EXPECT_FALSE(station_.poll_unmatched());
}

TEST_F(StationTest, OfRenewalsAloneNothingNewIsAskedFor) {
  const auto handle = settled();
  const auto fresh = station_.open(spec(5));
  station_.set_entry(fresh, mac(2), Level::kActive, Vid(), now_);
  OctetString octets;
  EXPECT_FALSE(station_.compose(octets, now_, nullptr, Station::Which::kRenewals));
  pass(kTiming.keepalive_interval());
  ASSERT_TRUE(station_.compose(octets, now_, nullptr, Station::Which::kRenewals));
  EXPECT_THAT(to_text(*read_vdpdu(octets)), ElementsAre("Associate 00 1:101"));
  station_.handle_delivered(now_);
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
  EXPECT_EQ(station_.state(fresh), State::kQueued);
}

TEST_F(StationTest, ASuccessWithoutUsableVidsIsUnmatched) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  sent();
  for (const std::uint16_t vid : std::vector<std::uint16_t>{0, 1, 4095})
    receive(one(TlvType::kAssociate, 0x40, vsi(4), {entry(mac(1), vid)}));
  EXPECT_EQ(station_.stats().unmatched, 3u);
  EXPECT_EQ(confirmed(handle), Level::kNone);
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
}

TEST_F(StationTest, KeepAndHardWithCodeZeroAreSuccess) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(7), now_);
  exchange(0x70);
  EXPECT_EQ(confirmed(handle), Level::kActive);
}

TEST_F(StationTest, TellsTheAssociationsOfOneVsiApartByGroup) {
  const auto blue = station_.open(spec(4, kBlue));
  const auto red = station_.open(spec(4, kRed));
  EXPECT_EQ(station_.find(vsi(4), kBlue), blue);
  EXPECT_EQ(station_.find(vsi(4), kRed), red);
  station_.set_entry(blue, mac(1), Level::kActive, Vid(), now_);
  station_.set_entry(red, mac(1), Level::kActive, Vid(), now_);
  sent();
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {entry(mac(1), 300, kRed)}));
  EXPECT_EQ(station_.state(red), State::kSettled);
  EXPECT_EQ(station_.state(blue), State::kAwaitingResponse);
  station_.close(blue, now_, true);
  EXPECT_EQ(station_.find(vsi(4), kBlue), std::nullopt);
  EXPECT_EQ(station_.find(vsi(4), kRed), red);
}

TEST_F(StationTest, NothingOfABrokenVdpduIsProcessed) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  OctetString octets = answer(*send(station_, now_));
  octets.resize(octets.size() - 2);  // without End
  octets.insert(octets.end(), {0x06, 0x25, 0x40});
  const auto refused = station_.handle_vdpdu(octets, now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().offset, octets.size());
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
}

TEST_F(StationTest, SkipsUnknownTlvsAndPadding) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(7), now_);
  CopiedVdpdu vdpdu = *send(station_, now_);
  std::get<CopiedAssociation>(vdpdu.tlvs[0]).status = 0x40;
  vdpdu.tlvs.insert(vdpdu.tlvs.begin(), RawTlv{127, {0, 0, 12, 0xF1}});
  vdpdu.tlvs.push_back(RawTlv{99, {1}});
  OctetString octets = write_vdpdu(vdpdu);
  octets.resize(octets.size() + 10);
  receive(octets);
  EXPECT_EQ(station_.stats().skipped_tlvs, 2u);
  EXPECT_EQ(station_.state(handle), State::kSettled);
}

// --- refusals ---

TEST_F(StationTest, ARefusedRequestIsNotTriedAgainByItself) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  exchange(0x43);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 3"));
  EXPECT_EQ(station_.state(handle), State::kRefused);
  EXPECT_EQ(confirmed(handle), Level::kNone);
  pass(seconds(3600));
  EXPECT_FALSE(station_.queued());
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:0"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
}

TEST_F(StationTest, ARefusalWithKeepKeepsTheLevelAndItsKeepAlives) {
  const auto handle = settled(4, Level::kReserved);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  exchange(0x64);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4 keep"));
  EXPECT_EQ(station_.state(handle), State::kRefused);
  EXPECT_EQ(confirmed(handle), Level::kReserved);
  now_ = *station_.next_deadline();
  station_.handle_time(now_);
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 1:101")) << "renews what is confirmed, not what was refused";
  EXPECT_EQ(station_.state(handle), State::kRefused);
}

TEST_F(StationTest, ARefusalWithoutKeepRevokesWhatWasConfirmed) {
  const auto handle = settled(4, Level::kReserved);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  exchange(0x44);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4", "revoked 1"));
  EXPECT_EQ(confirmed(handle), Level::kNone);
}

TEST_F(StationTest, ARefusedKeepAliveWithoutKeepRevokesAndWithKeepDoesNot) {
  const auto handle = settled();
  pass(kTiming.keepalive_interval());
  exchange(0x63);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 3 keep"));
  EXPECT_EQ(station_.state(handle), State::kSettled);
  EXPECT_EQ(confirmed(handle), Level::kActive);
  pass(kTiming.keepalive_interval());
  exchange(0x44);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4", "revoked 1"));
  EXPECT_EQ(station_.state(handle), State::kRefused);
}

TEST_F(StationTest, ARefusalOfSomeEntriesLeavesTheOthers) {
  const auto handle = settled();
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  exchange(0x42);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 2"));
  EXPECT_EQ(confirmed(handle, 0), Level::kActive);
  EXPECT_EQ(confirmed(handle, 1), Level::kNone);
  station_.set_entry(handle, mac(3), Level::kActive, Vid(), now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 3:0")) << "the refused one is not tried again";
  station_.set_entry(handle, mac(2), Level::kNone, Vid(), now_);
  EXPECT_EQ(station_.state(handle), State::kSettled);
}

TEST_F(StationTest, ADesireThatChangedMeanwhileIsNotTheOneRefused) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  const auto vdpdu = send(station_, now_);
  station_.set_entry(handle, mac(1), Level::kReserved, Vid(), now_);
  receive(answer(*vdpdu, 0x44));
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 1:0"));
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4", "confirmed 1 reserved 101"));
}

TEST_F(StationTest, EveryDesireIsAnsweredEvenIfItCameBackDuringARequest) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  const auto vdpdu = send(station_, now_);
  station_.set_entry(handle, mac(1), Level::kReserved, Vid(), now_);
  receive(answer(*vdpdu));
  EXPECT_THAT(events(station_), IsEmpty());
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
  EXPECT_FALSE(station_.queued());
}

TEST_F(StationTest, ADeAssociateMayRefuseAnAssociate) {
  for (const std::uint8_t status : std::vector<std::uint8_t>{0x40, 0x42}) {
    const auto handle = station_.open(spec(status));
    station_.set_entry(handle, mac(1), Level::kActive, Vid(137), now_);
    sent();
    receive(one(TlvType::kDeAssociate, status, vsi(status), {entry(mac(1), 137)}));
    EXPECT_EQ(station_.state(handle), State::kRefused);
    EXPECT_THAT(events(station_), ElementsAre(status == 0x40 ? "refused Associate 4" : "refused Associate 2"));
  }
}

TEST_F(StationTest, TheLateAnswerToAnEarlierDeAssociateRefusesNothing) {
  const auto handle = settled();
  station_.set_entry(handle, mac(1), Level::kNone, Vid(), now_);
  OctetString removal, again;
  ASSERT_TRUE(station_.compose(removal, now_));
  station_.handle_delivery_failed(now_);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  ASSERT_TRUE(station_.compose(again, now_));
  receive(answer(*read_vdpdu(removal)));
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
  receive(answer(*read_vdpdu(again)));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
}

TEST_F(StationTest, ARefusalThatRepeatsOnlyTheHeadCounts) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  sent();
  OctetString octets(64);
  VdpduWriter writer(octets, manager('1'));
  ASSERT_TRUE(writer.association_head({TlvType::kAssociate, 0, kType, vsi(4)}, 0x41));
  octets.resize(writer.finish().size());
  receive(octets);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 1"));
  EXPECT_EQ(station_.state(handle), State::kRefused);
  receive(octets);
  EXPECT_EQ(station_.stats().unmatched, 1u);
}

TEST_F(StationTest, RetriesOnceWithVidZeroWhenARememberedVidIsRefused) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(77), now_);
  EXPECT_THAT(exchange(0x45), ElementsAre("Associate 00 1:77"));
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:0"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
  EXPECT_EQ(station_.stats().null_vid_retries, 1u);
}

TEST_F(StationTest, ALateRefusalOfTheRememberedVidIsNotOneOfVidZero) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(77), now_);
  const auto request = send(station_, now_);
  ASSERT_TRUE(request);
  receive(answer(*request, 0x45));
  EXPECT_THAT(sent(), ElementsAre("Associate 00 1:0"));
  receive(answer(*request, 0x45));  // the bridge got the first request twice
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_EQ(station_.stats().unmatched, 1u);
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
}

TEST_F(StationTest, RefusesWhenVidZeroIsRefusedToo) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(77), now_);
  exchange(0x45);
  exchange(0x45);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 5"));
  EXPECT_FALSE(station_.queued());
  EXPECT_EQ(station_.state(handle), State::kRefused);
}

TEST_F(StationTest, ARefusedRetagOfALiveEntryRevokesItInTheEnd) {
  const auto handle = settled();
  pass(kTiming.keepalive_interval());
  EXPECT_THAT(exchange(0x45), ElementsAre("Associate 00 1:101"));
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_THAT(exchange(0x45), ElementsAre("Associate 00 1:0"));
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 5", "revoked 1"));
  EXPECT_EQ(confirmed(handle), Level::kNone);
}

TEST_F(StationTest, ARetaggedEntryIsConfirmedAgainWithItsNewVid) {
  settled();
  pass(kTiming.keepalive_interval());
  exchange(0x45);
  const auto vdpdu = send(station_, now_);
  receive(one(TlvType::kAssociate, 0x40, vsi(4), {entry(mac(1), 555)}));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 555"));
}

// --- the bridge takes away ---

TEST_F(StationTest, ABridgeDeAssociateRevokesTheNamedEntry) {
  const auto handle = settled();
  station_.set_entry(handle, mac(2), Level::kActive, Vid(), now_);
  exchange();
  events(station_);
  receive(one(TlvType::kDeAssociate, 0, vsi(4), {entry(mac(2), 0)}));
  EXPECT_THAT(events(station_), ElementsAre("revoked 2"));
  EXPECT_EQ(confirmed(handle, 0), Level::kActive);
  EXPECT_EQ(confirmed(handle, 1), Level::kNone);
  EXPECT_FALSE(station_.queued()) << "the owner decides whether to ask again";
  EXPECT_EQ(station_.state(handle), State::kRefused);
}

TEST_F(StationTest, ABridgeDeAssociateByGroupOrByVsiRevokesAllBelow) {
  const auto blue = settled();
  const auto red = station_.open(spec(4, kRed));
  station_.set_entry(red, mac(1), Level::kActive, Vid(), now_);
  exchange();
  events(station_);
  receive(one(TlvType::kDeAssociate, 0, vsi(4), {entry({}, 0)}, '1', FilterFormat::kGroupVid));
  EXPECT_EQ(confirmed(blue), Level::kNone);
  EXPECT_EQ(confirmed(red), Level::kActive);
  receive(one(TlvType::kDeAssociate, 0, vsi(4), {}));
  EXPECT_EQ(confirmed(red), Level::kNone);
  EXPECT_THAT(events(station_), ElementsAre("revoked 1", "revoked 1"));
  EXPECT_EQ(station_.stats().revoked, 2u);
}

TEST_F(StationTest, WhatANnveAnswersToTheDeAssociateOfAnotherStationTakesNothingAway) {
  const auto handle = settled();
  receive(one(TlvType::kDeAssociate, 0x40, vsi(4), {}));
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_EQ(station_.state(handle), State::kSettled);
  EXPECT_EQ(station_.stats().unmatched, 1u);
}

TEST_F(StationTest, ADeAssociateResponseWithoutEntriesAnswersOurOwn) {
  const auto handle = settled();
  station_.close(handle, now_);
  sent();
  receive(one(TlvType::kDeAssociate, 0x40, vsi(4), {}));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 none 101", "closed"));
  EXPECT_EQ(station_.size(), 0u);
}

TEST_F(StationTest, ABridgeDeAssociateDuringARequestLeavesItsAnswerToCome) {
  const auto handle = settled();
  pass(kTiming.keepalive_interval());
  const auto vdpdu = send(station_, now_);
  receive(one(TlvType::kDeAssociate, 0, vsi(4), {entry(mac(1), 101)}));
  EXPECT_THAT(events(station_), ElementsAre("revoked 1"));
  EXPECT_EQ(station_.state(handle), State::kAwaitingResponse);
  receive(answer(*vdpdu, 0x44));
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4"));
  EXPECT_EQ(station_.state(handle), State::kRefused);
}

TEST_F(StationTest, ABridgeDeAssociateWhileUnconfirmedEndsTheRetries) {
  const auto handle = settled();
  pass(kTiming.keepalive_interval());
  sent();
  pass(kTiming.response_wait());
  ASSERT_EQ(station_.state(handle), State::kUnconfirmed);
  receive(one(TlvType::kDeAssociate, 0, vsi(4), {}));
  EXPECT_THAT(events(station_), ElementsAre("unconfirmed", "revoked 1", "answered"));
  EXPECT_EQ(station_.state(handle), State::kRefused);
  EXPECT_FALSE(station_.next_deadline());
}

// --- opening and closing ---

TEST_F(StationTest, ClosingDeAssociatesAndEndsWithTheAnswer) {
  const auto handle = settled();
  station_.close(handle, now_);
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 none 101", "closed"));
  EXPECT_EQ(station_.size(), 0u);
  EXPECT_FALSE(station_.find(vsi(4), kBlue));
  EXPECT_FALSE(station_.next_deadline());
}

TEST_F(StationTest, ClosingWhatWasNeverSentNeedsNoBridge) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  station_.close(handle, now_);
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 none 0", "closed"));
  EXPECT_FALSE(station_.queued());
}

TEST_F(StationTest, ForgettingSendsNothing) {
  settled();
  const auto handle = *station_.find(vsi(4), kBlue);
  pass(kTiming.keepalive_interval());
  const auto vdpdu = send(station_, now_);
  station_.close(handle, now_, true);
  EXPECT_THAT(events(station_), ElementsAre("closed"));
  receive(answer(*vdpdu));
  EXPECT_EQ(station_.stats().unmatched, 1u);
}

TEST_F(StationTest, ClosingWaitsForTheRequestUnderWay) {
  const auto handle = station_.open(spec(4));
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  const auto vdpdu = send(station_, now_);
  station_.close(handle, now_);
  EXPECT_FALSE(station_.queued());
  receive(answer(*vdpdu));
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 none 101", "closed"));
}

TEST_F(StationTest, ARefusedClosingClosesNevertheless) {
  const auto handle = settled();
  station_.close(handle, now_);
  exchange(0x64);
  EXPECT_THAT(events(station_), ElementsAre("refused De-Associate 4 keep", "closed"));
  EXPECT_EQ(station_.size(), 0u);
}

TEST_F(StationTest, WantingSomethingEndsTheClosing) {
  const auto handle = settled();
  station_.close(handle, now_);
  const auto vdpdu = send(station_, now_);
  station_.set_entry(handle, mac(1), Level::kActive, Vid(), now_);
  receive(answer(*vdpdu));
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
  EXPECT_EQ(station_.state(handle), State::kSettled);
}

TEST_F(StationTest, RestoredEntriesAreAssertedWithTheirVids) {
  const auto handle = station_.open(spec(4));
  station_.restore_entry(handle, mac(1), Level::kActive, Vid(200), now_);
  station_.restore_entry(handle, mac(2), Level::kReserved, Vid(200), now_);
  EXPECT_EQ(confirmed(handle), Level::kActive);
  EXPECT_THAT(events(station_), IsEmpty());
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 2:200"));
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:200"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 2 reserved 200", "confirmed 1 active 200"));
}

TEST_F(StationTest, ReassertsEverythingAfterALinkFlap) {
  const auto a = settled(1);
  const auto refused = station_.open(spec(2));
  station_.set_entry(refused, mac(2), Level::kActive, Vid(), now_);
  exchange(0x44);
  const auto waiting = station_.open(spec(3));
  station_.set_entry(waiting, mac(3), Level::kActive, Vid(), now_);
  sent();
  events(station_);
  station_.reassert_all(now_);
  EXPECT_EQ(station_.state(a), State::kQueued);
  EXPECT_EQ(confirmed(a), Level::kActive) << "a flap is no answer";
  EXPECT_THAT(exchange(),
              ::testing::UnorderedElementsAre("Associate 00 1:101", "Associate 00 2:0", "Associate 00 3:0"));
  EXPECT_THAT(events(station_), ::testing::UnorderedElementsAre("confirmed 2 active 102", "confirmed 3 active 103"));
}

}  // namespace
}  // namespace splitnve::vdp::test
