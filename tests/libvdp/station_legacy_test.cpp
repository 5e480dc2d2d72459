// SPDX-License-Identifier: Apache-2.0
// The station towards peers that lack capabilities (S20).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transaction_support.hpp"

namespace splitnve::vdp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using State = Station::State;

class LegacyPeerTest : public ::testing::TestWithParam<Flags> {
 protected:
  std::vector<std::string> exchange(std::uint8_t status = 0x40) {
    const auto vdpdu = send(station_, now_);
    if (!vdpdu) return {};
    EXPECT_TRUE(station_.handle_vdpdu(answer(*vdpdu, status), now_));
    return to_text(*vdpdu);
  }
  void want(std::uint64_t n, Level level) { station_.set_entry(handle_, mac(n), level, Vid(), now_); }
  void keepalive() {
    now_ += kTiming.keepalive_interval();
    station_.handle_time(now_);
  }

  Station station_{kTiming, GetParam()};
  Instant now_ = at({});
  Station::Handle handle_ = station_.open(spec(4));
};

using WithoutDeactivate = LegacyPeerTest;
INSTANTIATE_TEST_SUITE_P(Peers, WithoutDeactivate, ::testing::Values(kIncremental, kLegacy));

TEST_P(WithoutDeactivate, DeactivateIsAnAssociateWithTheSuspendedBit) {
  want(1, Level::kActive);
  exchange();
  want(1, Level::kReserved);
  EXPECT_THAT(exchange(), ElementsAre("Associate 20 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101", "confirmed 1 reserved 101"));
  keepalive();
  EXPECT_THAT(exchange(), ElementsAre("Associate 20 1:101")) << "the bridge refuses to go back to Pre-Associate";
  want(1, Level::kActive);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101"));
}

TEST_P(WithoutDeactivate, AnUnansweredAssociateCountsAsHeldWhenItIsTakenBack) {
  want(1, Level::kActive);
  send(station_, now_);
  want(1, Level::kReserved);
  now_ += kTiming.response_wait();
  station_.handle_time(now_);
  now_ = *station_.next_deadline();
  station_.handle_time(now_);
  EXPECT_THAT(exchange(), ElementsAre("Associate 20 1:0"));
}

TEST_P(WithoutDeactivate, AFirstReservationIsAPreAssociate) {
  want(1, Level::kReserved);
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 1:0"));
  keepalive();
  EXPECT_THAT(exchange(), ElementsAre("Pre-Associate-RR 00 1:101"));
}

TEST(LegacyBridge, ADeAssociateResponseWithoutEntriesOutOfTheBlueTakesTheVsiAway) {
  Station station(kTiming, kLegacy);
  const auto handle = station.open(spec(4));
  station.set_entry(handle, mac(1), Level::kActive, Vid(), at({}));
  const auto vdpdu = send(station, at({}));
  ASSERT_TRUE(vdpdu && station.handle_vdpdu(answer(*vdpdu, 0x40), at({})));
  events(station);
  EXPECT_TRUE(station.handle_vdpdu(one(TlvType::kDeAssociate, 0x40, vsi(4), {}), at({})));
  EXPECT_THAT(events(station), ElementsAre("revoked 1"));
  EXPECT_EQ(station.state(handle), State::kRefused);
}

using WithoutIncrementalFilter = LegacyPeerTest;
INSTANTIATE_TEST_SUITE_P(Peers, WithoutIncrementalFilter, ::testing::Values(kLegacy));

TEST_P(WithoutIncrementalFilter, EveryTlvCarriesTheWholeSet) {
  want(1, Level::kActive);
  want(2, Level::kActive);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:0 2:0"));
  keepalive();
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101 2:102"));
  EXPECT_EQ(station_.stats().set_changes, 0u);
}

TEST_P(WithoutIncrementalFilter, AnAddedAddressTakesTheSetDownAndBuildsItAgain) {
  want(1, Level::kActive);
  exchange();
  want(2, Level::kActive);
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:101"));
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:101 2:0"));
  EXPECT_THAT(exchange(), IsEmpty());
  EXPECT_THAT(events(station_),
              ElementsAre("confirmed 1 active 101", "confirmed 1 active 101", "confirmed 2 active 102"));
  EXPECT_EQ(station_.stats().set_changes, 1u);
}

TEST_P(WithoutIncrementalFilter, ARemovedAddressTakesTheSetDownAndBuildsItAgain) {
  want(1, Level::kActive);
  want(2, Level::kActive);
  exchange();
  events(station_);
  want(1, Level::kNone);
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:101 2:102"));
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 2:102"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 none 101", "confirmed 2 active 102"));
  EXPECT_EQ(station_.stats().set_changes, 1u);
}

TEST_P(WithoutIncrementalFilter, ARefusedRebuildRevokesWhatWasThereBefore) {
  want(1, Level::kActive);
  exchange();
  events(station_);
  want(2, Level::kActive);
  exchange();
  exchange(0x44);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4", "revoked 1"));
  EXPECT_EQ(station_.state(handle_), State::kRefused);
}

TEST_P(WithoutIncrementalFilter, RemovingTheLastAddressIsNoChangeOfTheSet) {
  want(1, Level::kActive);
  want(2, Level::kActive);
  exchange();
  events(station_);
  station_.close(handle_, now_);
  EXPECT_THAT(exchange(), ElementsAre("De-Associate 00 1:101 2:102"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 none 101", "confirmed 2 none 102", "closed"));
  EXPECT_EQ(station_.stats().set_changes, 0u);
}

TEST_P(WithoutIncrementalFilter, TheHighestLevelOfTheSetIsAskedFor) {
  want(1, Level::kActive);
  want(2, Level::kReserved);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:0 2:0"));
  EXPECT_THAT(events(station_), ElementsAre("confirmed 1 active 101", "confirmed 2 reserved 102"));
  want(1, Level::kReserved);
  EXPECT_THAT(exchange(), ElementsAre("Associate 20 1:101 2:102"));
}

TEST_P(WithoutIncrementalFilter, ARefusalWithoutKeepTakesTheWholeAssociation) {
  want(1, Level::kActive);
  want(2, Level::kActive);
  exchange();
  events(station_);
  keepalive();
  exchange(0x44);
  EXPECT_THAT(events(station_), ElementsAre("refused Associate 4", "revoked 1", "revoked 2"));
  want(1, Level::kActive);
  EXPECT_THAT(exchange(), ElementsAre("Associate 00 1:0 2:102")) << "one new desire is a new attempt for the set";
}

TEST_P(WithoutIncrementalFilter, ASetThatNoTlvCanHoldGoesOutInParts) {
  for (std::uint64_t n = 1; n <= 50; ++n) want(n, Level::kActive);
  EXPECT_EQ(send(station_, now_)->tlvs.size(), 1u);
  EXPECT_EQ(station_.state(handle_), State::kAwaitingResponse);
  EXPECT_FALSE(station_.queued());
}

}  // namespace
}  // namespace splitnve::vdp::test
