// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "splitnve/ecp/session.hpp"
#include "support/coverage.hpp"

namespace splitnve::ecp {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Outcome = Transmitter::Outcome;

constexpr Timing kTiming{.retries_max = 3, .retransmission_exponent = 8};
constexpr EcpSequence kFirst{100};
const Instant kStart{seconds(1000)};
const OctetString kPayload = {1, 2, 3, 4};

Transmitter sending(Instant now = kStart, Timing timing = kTiming) {
  Transmitter transmitter(timing, kFirst);
  transmitter.send(kPayload, now);
  EXPECT_TRUE(transmitter.poll_transmit().has_value());
  return transmitter;
}

// --- every state x every event ---

enum class StateRow : std::uint8_t { kIdle, kRetriesLeft, kLastTry, kOutcomePending, kCount };
enum class EventColumn : std::uint8_t {
  kSend,
  kOwnAck,
  kForeignAck,
  kTimerBefore,
  kTimerAt,
  kPollOutcome,
  kReset,
  kCount
};

/// What a cell shall show after its event. `resend_in` counts from the event's instant.
struct Expected {
  bool dies = false;
  bool awaiting = false;
  unsigned retries_left = 0;
  bool transmits = false;
  std::optional<Outcome> outcome = std::nullopt;
  std::optional<Duration> resend_in = std::nullopt;
};
struct Cell {
  StateRow state;
  EventColumn event;
  Expected expected;
};

const Duration kTimer = kTiming.ack_timer();
const Duration kTick = nanoseconds(1);
const Expected kStaysIdle{};
const Expected kDies{.dies = true};
const Expected kDelivers{.outcome = Outcome::kDelivered};
const Expected kStartsSending{.awaiting = true, .retries_left = 3, .transmits = true, .resend_in = kTimer};
const Expected kWaitsOn3{.awaiting = true, .retries_left = 3, .resend_in = kTick};
const Expected kWaitsOn0{.awaiting = true, .retries_left = 0, .resend_in = kTick};
const Expected kRetransmits{.awaiting = true, .retries_left = 2, .transmits = true, .resend_in = kTimer};

// Events come one nanosecond before the deadline, except kTimerAt, which comes at it.
const Cell kTable[] = {
    {StateRow::kIdle, EventColumn::kSend, kStartsSending},
    {StateRow::kIdle, EventColumn::kOwnAck, kStaysIdle},  // of the last ECPDU, again
    {StateRow::kIdle, EventColumn::kForeignAck, kStaysIdle},
    {StateRow::kIdle, EventColumn::kTimerBefore, kStaysIdle},
    {StateRow::kIdle, EventColumn::kTimerAt, kStaysIdle},
    {StateRow::kIdle, EventColumn::kPollOutcome, kStaysIdle},
    {StateRow::kIdle, EventColumn::kReset, kStaysIdle},
    {StateRow::kRetriesLeft, EventColumn::kSend, kDies},
    {StateRow::kRetriesLeft, EventColumn::kOwnAck, kDelivers},
    {StateRow::kRetriesLeft, EventColumn::kForeignAck, kWaitsOn3},
    {StateRow::kRetriesLeft, EventColumn::kTimerBefore, kWaitsOn3},
    {StateRow::kRetriesLeft, EventColumn::kTimerAt, kRetransmits},
    {StateRow::kRetriesLeft, EventColumn::kPollOutcome, kWaitsOn3},
    {StateRow::kRetriesLeft, EventColumn::kReset, kStaysIdle},
    {StateRow::kLastTry, EventColumn::kSend, kDies},
    {StateRow::kLastTry, EventColumn::kOwnAck, kDelivers},
    {StateRow::kLastTry, EventColumn::kForeignAck, kWaitsOn0},
    {StateRow::kLastTry, EventColumn::kTimerBefore, kWaitsOn0},
    {StateRow::kLastTry, EventColumn::kTimerAt, {.outcome = Outcome::kFailed}},
    {StateRow::kLastTry, EventColumn::kPollOutcome, kWaitsOn0},
    {StateRow::kLastTry, EventColumn::kReset, kStaysIdle},
    {StateRow::kOutcomePending, EventColumn::kSend, kDies},
    {StateRow::kOutcomePending, EventColumn::kOwnAck, kDelivers},
    {StateRow::kOutcomePending, EventColumn::kForeignAck, kDelivers},
    {StateRow::kOutcomePending, EventColumn::kTimerBefore, kDelivers},
    {StateRow::kOutcomePending, EventColumn::kTimerAt, kDelivers},
    {StateRow::kOutcomePending, EventColumn::kPollOutcome, kStaysIdle},
    {StateRow::kOutcomePending, EventColumn::kReset, kStaysIdle},
};

struct Prepared {
  Transmitter transmitter;
  Instant deadline;
};

Prepared prepare(StateRow state) {
  const Instant deadline = kStart + kTimer;
  switch (state) {
    case StateRow::kIdle: {
      Prepared prepared{sending(), deadline};
      prepared.transmitter.handle_ack(kFirst, kStart);
      prepared.transmitter.poll_outcome();
      return prepared;
    }
    case StateRow::kRetriesLeft: return {sending(), deadline};
    case StateRow::kLastTry: {
      Prepared prepared{sending(), deadline};
      for (unsigned i = 0; i < kTiming.retries_max; ++i, prepared.deadline += kTimer) {
        prepared.transmitter.handle_time(prepared.deadline);
        prepared.transmitter.poll_transmit();
      }
      return prepared;
    }
    case StateRow::kOutcomePending: {
      Prepared prepared{sending(), deadline};
      prepared.transmitter.handle_ack(kFirst, kStart);
      return prepared;
    }
    case StateRow::kCount: break;
  }
  throw std::logic_error("no such state");
}

void apply(EventColumn event, Transmitter& transmitter, Instant now) {
  switch (event) {
    case EventColumn::kSend: return transmitter.send(kPayload, now);
    case EventColumn::kOwnAck: {
      const bool awaiting = std::holds_alternative<Transmitter::AwaitingAck>(transmitter.state());
      EXPECT_EQ(transmitter.handle_ack(kFirst, now), awaiting);
      return;
    }
    case EventColumn::kForeignAck: EXPECT_FALSE(transmitter.handle_ack(EcpSequence(kFirst.value() + 1), now)); return;
    case EventColumn::kTimerBefore: EXPECT_FALSE(transmitter.handle_time(now)); return;
    case EventColumn::kTimerAt: {
      const auto failed = transmitter.stats().failed;
      const bool fails_now = transmitter.handle_time(now);
      EXPECT_EQ(transmitter.stats().failed, failed + (fails_now ? 1 : 0));
      return;
    }
    case EventColumn::kPollOutcome: transmitter.poll_outcome(); return;
    case EventColumn::kReset: return transmitter.reset();
    case EventColumn::kCount: break;
  }
  throw std::logic_error("no such event");
}

void check_cell(const Cell& cell) {
  auto [transmitter, deadline] = prepare(cell.state);
  const Instant now = cell.event == EventColumn::kTimerAt ? deadline : deadline - kTick;
  if (cell.expected.dies) {
    EXPECT_FALSE(transmitter.ready());
    EXPECT_DEATH(apply(cell.event, transmitter, now), "outstanding or its outcome not polled");
    return;
  }
  apply(cell.event, transmitter, now);
  const auto* waiting = std::get_if<Transmitter::AwaitingAck>(&transmitter.state());
  EXPECT_EQ(waiting != nullptr, cell.expected.awaiting);
  EXPECT_EQ(transmitter.ready(), !cell.expected.awaiting && !cell.expected.outcome);
  EXPECT_EQ(waiting == nullptr ? 0u : waiting->retries_left, cell.expected.retries_left);
  const auto resend_at = cell.expected.resend_in ? std::optional(now + *cell.expected.resend_in) : std::nullopt;
  EXPECT_EQ(transmitter.next_deadline(), resend_at);
  const auto pdu = transmitter.poll_transmit();
  EXPECT_EQ(pdu.has_value(), cell.expected.transmits);
  EXPECT_TRUE(!pdu || std::ranges::equal(pdu->payload, kPayload));
  EXPECT_EQ(transmitter.poll_outcome(), cell.expected.outcome);
  EXPECT_FALSE(transmitter.poll_outcome().has_value());
  EXPECT_FALSE(transmitter.poll_transmit().has_value());
}

TEST(EcpTransmitterDeathTest, DoesWhatTheTableSaysInEveryStateForEveryEvent) {
  test::TableCoverage coverage("transmitter", static_cast<std::size_t>(StateRow::kCount),
                               static_cast<std::size_t>(EventColumn::kCount));
  for (const Cell& cell : kTable) {
    SCOPED_TRACE(testing::Message() << "state " << int(cell.state) << ", event " << int(cell.event));
    EXPECT_TRUE(coverage.visit(cell.state, cell.event)) << "the cell stands twice in the table";
    check_cell(cell);
  }
  EXPECT_TRUE(coverage.report());
}

// --- whole conversations ---

TEST(EcpTransmitter, TimesItsRetransmissionsByTheAckTimer) {
  struct {
    unsigned exponent;
    Duration timer;
  } const cases[] = {{4, microseconds(160)},
                     {8, microseconds(2560)},
                     {14, microseconds(163840)},
                     {20, microseconds(10485760)},
                     {31, 10 * microseconds(2147483648)}};
  for (const auto& [exponent, timer] : cases) {
    const auto transmitter = sending(kStart, {.retries_max = 3, .retransmission_exponent = exponent});
    EXPECT_EQ(transmitter.next_deadline(), kStart + timer) << exponent;
  }
}

TEST(EcpTransmitter, SendsOnceAndRetransmitsRTimesIdenticallyThenWaitsOneTimerAndFails) {
  for (unsigned retries = 0; retries <= 7; ++retries) {
    auto transmitter = sending(kStart, {.retries_max = retries, .retransmission_exponent = 8});
    Instant now = kStart;
    for (unsigned i = 0; i < retries; ++i) {
      now += kTimer;
      EXPECT_FALSE(transmitter.handle_time(now));
      const auto pdu = transmitter.poll_transmit();
      ASSERT_TRUE(pdu.has_value()) << i;
      EXPECT_EQ(pdu->sequence, kFirst);
      EXPECT_TRUE(std::ranges::equal(pdu->payload, kPayload));
      EXPECT_FALSE(transmitter.poll_outcome().has_value());
    }
    EXPECT_FALSE(transmitter.handle_time(now + kTimer - kTick));
    EXPECT_TRUE(transmitter.handle_time(now + kTimer));
    EXPECT_FALSE(transmitter.poll_transmit().has_value());
    EXPECT_EQ(transmitter.poll_outcome(), Outcome::kFailed);
    EXPECT_TRUE(transmitter.ready());
    EXPECT_EQ(transmitter.stats().sent, 1u);
    EXPECT_EQ(transmitter.stats().retransmitted, retries);
    EXPECT_EQ(transmitter.stats().failed, 1u);
  }
}

TEST(EcpTransmitter, CountsTheAckTimerFromALateCallSoThatRetriesDoNotBunch) {
  auto transmitter = sending();
  const Instant late = kStart + 10 * kTimer;
  transmitter.handle_time(late);
  EXPECT_TRUE(transmitter.poll_transmit().has_value());
  EXPECT_EQ(transmitter.next_deadline(), late + kTimer);
  transmitter.handle_time(late);
  EXPECT_FALSE(transmitter.poll_transmit().has_value());
}

TEST(EcpTransmitter, NumbersEachEcpduOneFurtherAndZeroFollows65535) {
  Transmitter transmitter(kTiming, EcpSequence(65534));
  for (const unsigned sequence : {65534u, 65535u, 0u, 1u}) {
    transmitter.send(kPayload, kStart);
    const auto pdu = transmitter.poll_transmit();
    ASSERT_TRUE(pdu.has_value());
    EXPECT_EQ(pdu->sequence.value(), sequence);
    EXPECT_TRUE(transmitter.handle_ack(pdu->sequence, kStart));
    EXPECT_EQ(transmitter.poll_outcome(), Outcome::kDelivered);
  }
  EXPECT_EQ(transmitter.stats().delivered, 4u);
}

TEST(EcpTransmitter, DropsARetransmissionThatTheAckOvertook) {
  auto transmitter = sending();
  transmitter.handle_time(kStart + kTimer);
  EXPECT_TRUE(transmitter.handle_ack(kFirst, kStart + kTimer));
  EXPECT_FALSE(transmitter.poll_transmit().has_value());
}

TEST(EcpTransmitter, IgnoresTheLateAckOfAFailedEcpduAndNeverReusesItsSequence) {
  auto transmitter = sending(kStart, {.retries_max = 0, .retransmission_exponent = 8});
  ASSERT_TRUE(transmitter.handle_time(kStart + kTimer));
  transmitter.poll_outcome();
  transmitter.send(kPayload, kStart + kTimer);
  EXPECT_FALSE(transmitter.handle_ack(kFirst, kStart + kTimer));
  EXPECT_EQ(transmitter.stats().unexpected_acks, 1u);
  const auto pdu = transmitter.poll_transmit();
  ASSERT_TRUE(pdu.has_value());
  EXPECT_EQ(pdu->sequence, EcpSequence(101));
}

TEST(EcpTransmitter, GoesOnWithTheNextSequenceAfterAReset) {
  auto transmitter = sending();
  transmitter.reset();
  transmitter.send(kPayload, kStart);
  const auto pdu = transmitter.poll_transmit();
  ASSERT_TRUE(pdu.has_value());
  EXPECT_EQ(pdu->sequence, EcpSequence(101));
}

TEST(EcpTransmitter, KeepsItsOwnCopyOfThePayload) {
  OctetString payload = kPayload;
  Transmitter transmitter(kTiming, kFirst);
  transmitter.send(payload, kStart);
  std::ranges::fill(payload, std::uint8_t{0xFF});
  const auto pdu = transmitter.poll_transmit();
  ASSERT_TRUE(pdu.has_value());
  EXPECT_TRUE(std::ranges::equal(pdu->payload, kPayload));
}

TEST(EcpTransmitter, UsesNewTimingFromTheNextAckTimerOn) {
  auto transmitter = sending();
  transmitter.set_timing({.retries_max = 1, .retransmission_exponent = 10});
  EXPECT_EQ(transmitter.next_deadline(), kStart + kTimer);
  transmitter.handle_time(kStart + kTimer);
  EXPECT_EQ(transmitter.next_deadline(), kStart + kTimer + 4 * kTimer);
}

TEST(EcpTransmitterDeathTest, RefusesWhatNoCallerMaySend) {
  Transmitter transmitter(kTiming, kFirst);
  const OctetString too_long(limits::kVdpduOctetsMax + 1);
  EXPECT_DEATH(transmitter.send(too_long, kStart), "longer than an ECPDU may be");
  EXPECT_DEATH(transmitter.set_timing({.retries_max = 8, .retransmission_exponent = 8}), "R is at most 7");
  EXPECT_DEATH(Transmitter({.retries_max = 3, .retransmission_exponent = 32}, kFirst), "RTE is at most 31");
}

}  // namespace
}  // namespace splitnve::ecp
