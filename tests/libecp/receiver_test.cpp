// SPDX-License-Identifier: Apache-2.0
// Rule S11: what counts as a duplicate.
#include <gtest/gtest.h>

#include <stdexcept>

#include "splitnve/ecp/session.hpp"
#include "support/coverage.hpp"

namespace splitnve::ecp {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Verdict = Receiver::Verdict;

const Instant kStart{seconds(1000)};
const Duration kWindow = seconds(1);
constexpr EcpSequence kSequence{100};
const OctetString kPayload = {0x0A, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9};
const OctetString kOther = {0x0A, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 8};

EcpSequence sequence_at(unsigned number) { return EcpSequence(static_cast<std::uint16_t>(number)); }

// --- every state x every event ---

/// What the memory holds of (kSequence, kPayload) when the event comes.
enum class StateRow : std::uint8_t { kUnknown, kRefused, kFresh, kWindowEnd, kExpired, kEvicted, kReset, kCount };
enum class EventColumn : std::uint8_t {
  kSamePayload,
  kOtherPayload,
  kLongerPayload,
  kOlderSequence,
  kNextSequence,
  kHalfWayRound,
  kCount
};

struct Prepared {
  Receiver receiver;
  Instant now = kStart;
};

Prepared prepare(StateRow state) {
  Prepared prepared;
  switch (state) {
    case StateRow::kUnknown: return prepared;
    case StateRow::kRefused:  // classified, but there was no room to deliver it
      prepared.receiver.classify(kSequence, kPayload, kStart, kWindow);
      return prepared;
    case StateRow::kFresh:
    case StateRow::kWindowEnd:
    case StateRow::kExpired:
    case StateRow::kEvicted:
    case StateRow::kReset: break;
    case StateRow::kCount: throw std::logic_error("no such state");
  }
  prepared.receiver.accept(kSequence, kPayload, kStart);
  if (state == StateRow::kWindowEnd) prepared.now += kWindow;
  if (state == StateRow::kExpired) prepared.now += kWindow + nanoseconds(1);
  if (state == StateRow::kReset) prepared.receiver.reset();
  if (state == StateRow::kEvicted)
    for (unsigned i = 0; i < limits::kDuplicateMemoryEcpdus; ++i)
      prepared.receiver.accept(sequence_at(200 + i), kPayload, kStart);
  return prepared;
}

Verdict apply(EventColumn event, Prepared& prepared) {
  OctetString longer = kPayload;
  longer.push_back(0);
  const auto verdict = [&](EcpSequence sequence, Octets payload) {
    return prepared.receiver.classify(sequence, payload, prepared.now, kWindow);
  };
  switch (event) {
    case EventColumn::kSamePayload: return verdict(kSequence, kPayload);
    case EventColumn::kOtherPayload: return verdict(kSequence, kOther);
    case EventColumn::kLongerPayload: return verdict(kSequence, longer);
    case EventColumn::kOlderSequence: return verdict(sequence_at(kSequence.value() - 1u), kPayload);
    case EventColumn::kNextSequence: return verdict(sequence_at(kSequence.value() + 1u), kPayload);
    case EventColumn::kHalfWayRound: return verdict(sequence_at(kSequence.value() + 0x8000u), kPayload);
    case EventColumn::kCount: break;
  }
  throw std::logic_error("no such event");
}

struct Row {
  StateRow state;
  Verdict verdicts[static_cast<std::size_t>(EventColumn::kCount)];
};
constexpr Verdict N = Verdict::kNew;
constexpr Verdict D = Verdict::kDuplicate;
constexpr Row kTable[] = {
    // same payload, other, longer, older sequence, next, half way round
    {StateRow::kUnknown, {N, N, N, N, N, N}}, {StateRow::kRefused, {N, N, N, N, N, N}},
    {StateRow::kFresh, {D, N, N, N, N, N}},   {StateRow::kWindowEnd, {D, N, N, N, N, N}},
    {StateRow::kExpired, {N, N, N, N, N, N}}, {StateRow::kEvicted, {N, N, N, N, N, N}},
    {StateRow::kReset, {N, N, N, N, N, N}},
};

TEST(EcpReceiver, JudgesEveryEcpduInEveryStateAsTheTableSays) {
  constexpr auto kEvents = static_cast<std::size_t>(EventColumn::kCount);
  test::TableCoverage coverage("receiver", static_cast<std::size_t>(StateRow::kCount), kEvents);
  for (const Row& row : kTable) {
    for (std::size_t event = 0; event < kEvents; ++event) {
      SCOPED_TRACE(testing::Message() << "state " << int(row.state) << ", event " << event);
      EXPECT_TRUE(coverage.visit(row.state, event)) << "the cell stands twice in the table";
      auto prepared = prepare(row.state);
      const auto duplicates = prepared.receiver.stats().duplicates;
      const Verdict verdict = apply(static_cast<EventColumn>(event), prepared);
      EXPECT_EQ(verdict, row.verdicts[event]);
      EXPECT_EQ(prepared.receiver.stats().duplicates, duplicates + (verdict == Verdict::kDuplicate ? 1 : 0));
    }
  }
  EXPECT_TRUE(coverage.report());
}

// --- the rules one by one ---

TEST(EcpReceiver, RemembersExactlyTheLast16Accepted) {
  Receiver receiver;
  for (unsigned i = 0; i < 17; ++i) receiver.accept(sequence_at(i), kPayload, kStart);
  EXPECT_EQ(receiver.classify(sequence_at(0), kPayload, kStart, kWindow), Verdict::kNew);
  for (unsigned i = 1; i < 17; ++i)
    EXPECT_EQ(receiver.classify(sequence_at(i), kPayload, kStart, kWindow), Verdict::kDuplicate) << i;
  EXPECT_EQ(receiver.stats().accepted, 17u);
  EXPECT_EQ(receiver.stats().duplicates, 16u);
}

TEST(EcpReceiver, DoesNotExtendTheWindowByRepeats) {
  Receiver receiver;
  receiver.accept(kSequence, kPayload, kStart);
  EXPECT_EQ(receiver.classify(kSequence, kPayload, kStart + kWindow, kWindow), Verdict::kDuplicate);
  EXPECT_EQ(receiver.classify(kSequence, kPayload, kStart + kWindow + nanoseconds(1), kWindow), Verdict::kNew);
}

TEST(EcpReceiver, KeepsSeveralPayloadsOfOneSequenceApart) {
  Receiver receiver;
  receiver.accept(kSequence, kPayload, kStart);
  EXPECT_EQ(receiver.classify(kSequence, kOther, kStart, kWindow), Verdict::kNew);
  receiver.accept(kSequence, kOther, kStart);
  EXPECT_EQ(receiver.classify(kSequence, kOther, kStart, kWindow), Verdict::kDuplicate);
  EXPECT_EQ(receiver.classify(kSequence, kPayload, kStart, kWindow), Verdict::kDuplicate);
}

TEST(EcpReceiver, TellsPayloadsApartThatDifferInAnySingleBit) {
  OctetString payload(83);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 37);
  Receiver receiver;
  receiver.accept(kSequence, payload, kStart);
  for (std::size_t bit = 0; bit < 8 * payload.size(); ++bit) {
    payload[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    ASSERT_EQ(receiver.classify(kSequence, payload, kStart, kWindow), Verdict::kNew) << "bit " << bit;
    payload[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
  }
  EXPECT_EQ(receiver.classify(kSequence, payload, kStart, kWindow), Verdict::kDuplicate);
}

TEST(EcpReceiver, TellsZeroPayloadsOfDifferentLengthApart) {
  const OctetString zeros(64);
  for (std::size_t size = 0; size <= zeros.size(); ++size) {
    Receiver receiver;
    receiver.accept(kSequence, Octets(zeros).first(size), kStart);
    for (std::size_t other = 0; other <= zeros.size(); ++other)
      ASSERT_EQ(receiver.classify(kSequence, Octets(zeros).first(other), kStart, kWindow),
                other == size ? Verdict::kDuplicate : Verdict::kNew)
          << size << " and " << other;
  }
}

TEST(EcpReceiver, TellsPayloadsApartWhoseWordsAreSwapped) {
  OctetString payload(32);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i / 8 + 1);
  Receiver receiver;
  receiver.accept(kSequence, payload, kStart);
  std::swap_ranges(payload.begin(), payload.begin() + 8, payload.begin() + 16);
  EXPECT_EQ(receiver.classify(kSequence, payload, kStart, kWindow), Verdict::kNew);
}

// --- in order (S11, second half) ---

TEST(EcpReceiver, APeerInOrderHasNothingNewOneToFifteenBehind) {
  Receiver receiver;
  receiver.set_in_order(true);
  receiver.accept(sequence_at(5), kPayload, kStart);
  for (unsigned behind = 1; behind <= 15; ++behind)
    EXPECT_EQ(receiver.classify(sequence_at(5 - behind), kOther, kStart, kWindow), Verdict::kStale) << behind;
  EXPECT_EQ(receiver.classify(sequence_at(5u - 16u), kOther, kStart, kWindow), Verdict::kNew) << "it began anew";
  EXPECT_EQ(receiver.classify(sequence_at(5), kOther, kStart, kWindow), Verdict::kNew);
  EXPECT_EQ(receiver.classify(sequence_at(6), kOther, kStart, kWindow), Verdict::kNew);
  EXPECT_EQ(receiver.stats().stale, 15u);
}

TEST(EcpReceiver, NothingIsStaleAfterTheWindowOrInANewConversationOrWithoutOrder) {
  Receiver receiver;
  receiver.accept(sequence_at(5), kPayload, kStart);
  EXPECT_FALSE(receiver.is_stale(sequence_at(4), kStart, kWindow)) << "a legacy peer may begin anew anywhere";
  receiver.set_in_order(true);
  EXPECT_TRUE(receiver.is_stale(sequence_at(4), kStart + kWindow, kWindow));
  EXPECT_FALSE(receiver.is_stale(sequence_at(4), kStart + kWindow + nanoseconds(1), kWindow));
  receiver.reset();
  EXPECT_FALSE(receiver.is_stale(sequence_at(4), kStart, kWindow));
}

TEST(EcpReceiver, ARepeatOfAnOlderEcpduIsADuplicateBeforeItIsStale) {
  Receiver receiver;
  receiver.set_in_order(true);
  receiver.accept(sequence_at(4), kPayload, kStart);
  receiver.accept(sequence_at(5), kOther, kStart);
  EXPECT_EQ(receiver.classify(sequence_at(4), kPayload, kStart, kWindow), Verdict::kDuplicate);
}

TEST(EcpTiming, WindowIsOneSecondOrTwiceAllAckTimersWhicheverIsLonger) {
  EXPECT_EQ((Timing{.retries_max = 3, .retransmission_exponent = 8}).duplicate_window(), seconds(1));
  EXPECT_EQ((Timing{.retries_max = 3, .retransmission_exponent = 14}).duplicate_window(), 8 * microseconds(163840));
  EXPECT_EQ((Timing{.retries_max = 0, .retransmission_exponent = 20}).duplicate_window(), 2 * microseconds(10485760));
  EXPECT_EQ((Timing{.retries_max = 7, .retransmission_exponent = 31}).duplicate_window(),
            16 * 10 * microseconds(2147483648));
}

}  // namespace
}  // namespace splitnve::ecp
