// SPDX-License-Identifier: Apache-2.0
#include "splitnve/ecp/session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace splitnve::ecp {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Outcome = Transmitter::Outcome;
using Verdict = Session::Verdict;

constexpr MacAddress kOwn{0x020000000002};
constexpr MacAddress kPeer{0x020000000001};
const Instant kStart{seconds(1000)};
const OctetString kVdpdu = {0x0A, 0x10, 0x6D, 0x67, 0x72, 0x31};

Session::Config config_with(Timing timing) {
  return {.own_mac = kOwn, .peer_mac = kPeer, .timing = timing, .first_sequence = EcpSequence(500)};
}
Session::Config config() { return config_with({.retries_max = 3, .retransmission_exponent = 8}); }

Frame frame_from_peer(Operation operation, unsigned sequence, Octets payload) {
  return {.destination = kNearestCustomerBridge,
          .source = kPeer,
          .operation = operation,
          .sequence = EcpSequence(static_cast<std::uint16_t>(sequence)),
          .payload = payload,
          .payload_offset = 18};
}
Frame request(unsigned sequence, Octets payload = kVdpdu) {
  return frame_from_peer(Operation::kRequest, sequence, payload);
}
Frame ack(unsigned sequence) { return frame_from_peer(Operation::kAck, sequence, {}); }

std::vector<OctetString> drain(Session& session) {
  std::vector<OctetString> frames;
  OctetString out;
  while (session.poll_frame(out)) frames.push_back(out);
  EXPECT_TRUE(out.empty());
  return frames;
}

// Sends, lets every retry run out, and returns the instant of the failure.
Instant fail_once(Session& session, Instant now) {
  session.send(kVdpdu, now);
  std::optional<Outcome> outcome;
  while (!outcome) {
    drain(session);
    now = session.next_deadline().value();
    session.handle_time(now);
    outcome = session.poll_outcome();
  }
  EXPECT_EQ(outcome, Outcome::kFailed);
  return now;
}

TEST(EcpSession, AcknowledgesARequestAtOnceWithTheGoldenOctets) {
  Session session(config());
  EXPECT_EQ(session.handle_frame(request(1), kStart), Verdict::kDelivered);
  OctetString golden = {0x01, 0x80, 0xC2, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00,
                        0x00, 0x00, 0x02, 0x89, 0x40, 0x14, 0x01, 0x00, 0x01};
  golden.resize(60);
  const auto frames = drain(session);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], golden);
}

TEST(EcpSession, SendsARequestWithTheGoldenHeader) {
  auto unicast = config();
  unicast.destination = kPeer;
  unicast.first_sequence = EcpSequence(1);
  Session session(unicast);
  session.send(kVdpdu, kStart);
  OctetString golden = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02,
                        0x89, 0x40, 0x10, 0x01, 0x00, 0x01, 0x0A, 0x10, 0x6D, 0x67, 0x72, 0x31};
  golden.resize(60);
  const auto frames = drain(session);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], golden);
}

TEST(EcpSession, DeliversPayloadsInOrderAndOnce) {
  Session session(config());
  EXPECT_FALSE(session.inbox_front().has_value());
  for (unsigned i = 0; i < 40; ++i) {  // round the ring more than twice
    const OctetString payload(i + 1, static_cast<std::uint8_t>(i));
    ASSERT_EQ(session.handle_frame(request(i, payload), kStart), Verdict::kDelivered);
    ASSERT_EQ(session.inbox_size(), 1u);
    ASSERT_TRUE(std::ranges::equal(session.inbox_front().value(), payload));
    session.pop_inbox();
    ASSERT_EQ(session.inbox_size(), 0u);
    ASSERT_EQ(drain(session).size(), 1u);
  }
}

TEST(EcpSession, AcknowledgesADuplicateAgainWithoutDeliveringIt) {
  Session session(config());
  EXPECT_EQ(session.handle_frame(request(1), kStart), Verdict::kDelivered);
  const auto first = drain(session);
  EXPECT_EQ(session.handle_frame(request(1), kStart + milliseconds(3)), Verdict::kDuplicate);
  EXPECT_EQ(drain(session), first);
  EXPECT_EQ(session.inbox_size(), 1u);
  EXPECT_EQ(session.receiver().stats().accepted, 1u);
  EXPECT_EQ(session.receiver().stats().duplicates, 1u);
}

TEST(EcpSession, DeliversThePayloadOfARestartedPeerThatReusesASequence) {
  Session session(config());
  session.handle_frame(request(1), kStart);
  const OctetString other = {1, 2, 3};
  EXPECT_EQ(session.handle_frame(request(1, other), kStart), Verdict::kDelivered);
  EXPECT_EQ(session.handle_frame(request(1), kStart + seconds(2)), Verdict::kDelivered) << "the window is over";
  EXPECT_EQ(session.inbox_size(), 3u);
}

TEST(EcpSession, DeliversAnOlderSequenceOfALegacyPeer) {
  Session session(config());
  session.handle_frame(request(10), kStart);
  EXPECT_EQ(session.handle_frame(request(9), kStart), Verdict::kDelivered);
}

TEST(EcpSession, LeavesARequestUnacknowledgedWhileTheInboxIsFullAndAcceptsItsRepeatLater) {
  Session session(config());
  for (unsigned i = 0; i < limits::kInboxEcpdusMax; ++i) {
    ASSERT_EQ(session.handle_frame(request(i), kStart), Verdict::kDelivered);
    ASSERT_EQ(drain(session).size(), i + 1 < limits::kInboxEcpdusMax ? 1u : 0u);
  }
  EXPECT_EQ(session.handle_frame(request(99), kStart), Verdict::kInboxFull);
  EXPECT_TRUE(drain(session).empty());
  EXPECT_EQ(session.inbox_size(), limits::kInboxEcpdusMax);
  EXPECT_EQ(session.handle_frame(request(14), kStart), Verdict::kDuplicate) << "a repeat needs no room";
  EXPECT_EQ(drain(session).size(), 1u);

  session.pop_inbox();
  EXPECT_EQ(drain(session).size(), 1u) << "of the ECPDU that filled the inbox";
  EXPECT_EQ(session.handle_frame(request(99), kStart + milliseconds(3)), Verdict::kDelivered);
  EXPECT_EQ(session.inbox_size(), limits::kInboxEcpdusMax);
  EXPECT_TRUE(drain(session).empty()) << "it fills the inbox in its turn";
}

TEST(EcpSession, AcknowledgesTheEcpduThatFillsTheInboxWhenTheNextOneFits) {
  Session session(config());
  for (unsigned i = 0; i < limits::kInboxEcpdusMax; ++i) session.handle_frame(request(i), kStart);
  EXPECT_EQ(drain(session).size(), limits::kInboxEcpdusMax - 1);
  EXPECT_EQ(session.handle_frame(request(15), kStart + milliseconds(9)), Verdict::kDuplicate);
  EXPECT_TRUE(drain(session).empty()) << "its repeat waits like it";
  session.pop_inbox();
  const auto acks = drain(session);
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(decode_frame(acks.front())->sequence, EcpSequence(15));
  session.pop_inbox();
  EXPECT_TRUE(drain(session).empty()) << "once";
}

TEST(EcpSession, QueuesABoundedNumberOfAcksAndAcceptsTheRestAfterTheDrain) {
  Session session(config());
  unsigned refused = 0;
  for (unsigned i = 0; i < 1000; ++i)
    refused += session.handle_frame(request(1), kStart) == Verdict::kInboxFull ? 1 : 0;
  const auto acks = drain(session);
  EXPECT_EQ(acks.size(), limits::kInboxEcpdusMax);
  EXPECT_EQ(refused, 1000 - acks.size());
  EXPECT_EQ(session.handle_frame(request(1), kStart), Verdict::kDuplicate);
  EXPECT_EQ(drain(session).size(), 1u);
}

TEST(EcpSession, SendsAcksBeforeItsOwnEcpdu) {
  Session session(config());
  session.send(kVdpdu, kStart);
  session.handle_frame(request(7), kStart);
  session.handle_frame(request(8), kStart);
  const auto frames = drain(session);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(decode_frame(frames[0])->operation, Operation::kAck);
  EXPECT_EQ(decode_frame(frames[0])->sequence, EcpSequence(7));
  EXPECT_EQ(decode_frame(frames[1])->sequence, EcpSequence(8));
  EXPECT_EQ(decode_frame(frames[2])->operation, Operation::kRequest);
}

TEST(EcpSession, ReportsADeliveryOnTheAckOfItsEcpduOnly) {
  Session session(config());
  EXPECT_EQ(session.handle_frame(ack(500), kStart), Verdict::kUnexpectedAck);
  session.send(kVdpdu, kStart);
  EXPECT_FALSE(session.ready(kStart));
  drain(session);
  EXPECT_EQ(session.handle_frame(ack(501), kStart), Verdict::kUnexpectedAck);
  EXPECT_FALSE(session.poll_outcome().has_value());
  EXPECT_EQ(session.handle_frame(ack(500), kStart), Verdict::kAck);
  EXPECT_EQ(session.poll_outcome(), Outcome::kDelivered);
  EXPECT_TRUE(session.ready(kStart));
  EXPECT_FALSE(session.next_deadline().has_value());
}

TEST(EcpSession, RetransmitsIdenticalOctets) {
  Session session(config());
  session.send(kVdpdu, kStart);
  const auto first = drain(session);
  ASSERT_EQ(first.size(), 1u);
  Instant now = kStart;
  for (unsigned i = 0; i < 3; ++i) {
    now = session.next_deadline().value();
    session.handle_time(now);
    EXPECT_EQ(drain(session), first);
  }
  EXPECT_EQ(now, kStart + 3 * config().timing.ack_timer());
}

TEST(EcpSession, DoublesItsBackOffWithEachFailureUpToOneSecond) {
  Session session(config());
  const Duration timer = config().timing.ack_timer();
  Instant now = kStart;
  for (unsigned failures = 1; failures <= 40; ++failures) {
    const Instant failed_at = fail_once(session, now);
    ASSERT_EQ(failed_at, now + 4 * timer);
    const Duration pause = failures < 20 ? std::min<Duration>(timer * (1 << failures), seconds(1)) : seconds(1);
    ASSERT_EQ(session.next_deadline(), failed_at + pause) << "after failure " << failures;
    ASSERT_FALSE(session.ready(failed_at + pause - nanoseconds(1)));
    ASSERT_TRUE(session.ready(failed_at + pause));
    now = failed_at + pause;
    session.handle_time(now);
    ASSERT_FALSE(session.next_deadline().has_value()) << "a past back-off is no deadline";
  }
  EXPECT_EQ(session.transmitter().stats().failed, 40u);
}

TEST(EcpSession, NeverBacksOffLongerThanOneSecondHoweverLongTheAckTimer) {
  Session session(config_with({.retries_max = 0, .retransmission_exponent = 31}));
  const Instant failed_at = fail_once(session, kStart);
  EXPECT_EQ(session.next_deadline(), failed_at + limits::kEcpBackoffMax);
}

TEST(EcpSession, EndsItsBackOffWithADelivery) {
  Session session(config());
  const Duration timer = config().timing.ack_timer();
  Instant now = fail_once(session, kStart) + 2 * timer;
  session.send(kVdpdu, now);
  EXPECT_EQ(session.next_deadline(), now + timer) << "the back-off that ended is no deadline any more";
  drain(session);
  EXPECT_EQ(session.handle_frame(ack(501), now), Verdict::kAck);
  EXPECT_EQ(session.poll_outcome(), Outcome::kDelivered);
  EXPECT_TRUE(session.ready(now));
  const Instant failed_at = fail_once(session, now);
  EXPECT_EQ(session.next_deadline(), failed_at + 2 * timer) << "the count began anew";
}

TEST(EcpSession, AcknowledgesWhileItBacksOffAndTriesAgainWhenThePeerSpeaks) {
  Session session(config());
  const Duration timer = config().timing.ack_timer();
  Instant now = fail_once(session, kStart);
  ASSERT_FALSE(session.ready(now));
  EXPECT_EQ(session.handle_frame(request(1), now), Verdict::kDelivered);
  EXPECT_EQ(drain(session).size(), 1u);
  EXPECT_TRUE(session.ready(now)) << "it is there again";
  EXPECT_TRUE(session.idle());
  const Instant failed_at = fail_once(session, now);
  EXPECT_EQ(session.next_deadline(), failed_at + 4 * timer) << "in vain: the pause is the longer one";
  EXPECT_EQ(session.handle_frame(request(1), failed_at), Verdict::kDuplicate);
  EXPECT_FALSE(session.ready(failed_at)) << "a repeat says nothing new";
}

TEST(EcpSession, ForgetsWhatIsOutstandingWhenTheLinkGoesDownButKeepsWhatItAcknowledged) {
  Session session(config());
  session.handle_frame(request(1), kStart);
  drain(session);
  session.handle_frame(request(2), kStart);
  session.send(kVdpdu, kStart);
  session.link_down();
  EXPECT_TRUE(drain(session).empty());
  EXPECT_FALSE(session.poll_outcome().has_value());
  EXPECT_FALSE(session.next_deadline().has_value());
  EXPECT_TRUE(session.ready(kStart));
  EXPECT_EQ(session.inbox_size(), 2u);
  EXPECT_EQ(session.handle_frame(request(1), kStart), Verdict::kDelivered) << "the peer may have restarted";
}

TEST(EcpSession, ForgetsItsBackOffWhenTheLinkGoesDown) {
  Session session(config());
  const Instant now = fail_once(session, kStart);
  session.link_down();
  EXPECT_TRUE(session.ready(now));
}

TEST(EcpSession, RemembersWhenThePeerWasLastHeard) {
  Session session(config());
  session.handle_frame(request(1), kStart);
  EXPECT_EQ(session.last_heard(), kStart);
  session.handle_frame(ack(9), kStart + seconds(1));
  EXPECT_EQ(session.last_heard(), kStart + seconds(1));
  session.handle_time(kStart + seconds(5));
  EXPECT_EQ(session.last_heard(), kStart + seconds(1));
}

TEST(EcpSession, WidensItsDuplicateWindowWithTheLinksTiming) {
  Session session(config());
  session.set_timing({.retries_max = 3, .retransmission_exponent = 14});
  session.handle_frame(request(1), kStart);
  EXPECT_EQ(session.handle_frame(request(1), kStart + milliseconds(1300)), Verdict::kDuplicate);
  EXPECT_EQ(session.handle_frame(request(1), kStart + milliseconds(1311)), Verdict::kDelivered);
}

TEST(EcpSession, ReusesItsBuffersOnceWarm) {
  Session session(config());
  OctetString out;
  out.reserve(limits::kFrameOctetsMax);
  const std::uint8_t* const buffer = out.data();
  const OctetString longest(limits::kVdpduOctetsMax, 1);
  const std::uint8_t* slot = nullptr;
  for (unsigned i = 0; i < 4 * limits::kInboxEcpdusMax; ++i) {
    ASSERT_EQ(session.handle_frame(request(i, longest), kStart), Verdict::kDelivered);
    const std::uint8_t* const here = session.inbox_front()->data();
    if (i % limits::kInboxEcpdusMax == 0) {
      EXPECT_TRUE(slot == nullptr || here == slot) << "the slot was allocated again";
      slot = here;
    }
    session.pop_inbox();
    while (session.poll_frame(out)) ASSERT_EQ(out.data(), buffer);
  }
}

TEST(EcpSessionDeathTest, RefusesWhatNoCallerMayDo) {
  Session session(config());
  EXPECT_DEATH(session.pop_inbox(), "popping an empty inbox");
  Frame stranger = request(1);
  stranger.source = kOwn;
  EXPECT_DEATH(session.handle_frame(stranger, kStart), "another peer's session");
  session.send(kVdpdu, kStart);
  EXPECT_DEATH(session.send(kVdpdu, kStart), "not ready");
}

TEST(EcpSession, AnAbandonedEcpduFailsAtOnceWithoutBackOff) {
  Session session(config());
  session.abandon();
  EXPECT_EQ(session.poll_outcome(), std::nullopt);
  EXPECT_EQ(session.next_sequence(), EcpSequence(500));
  session.send(kVdpdu, kStart);
  EXPECT_EQ(session.next_sequence(), EcpSequence(501));
  session.abandon();
  EXPECT_TRUE(drain(session).empty());
  EXPECT_EQ(session.poll_outcome(), Outcome::kFailed);
  EXPECT_TRUE(session.ready(kStart));
  EXPECT_EQ(session.handle_frame(ack(500), kStart), Verdict::kUnexpectedAck);
}

TEST(EcpSession, WhatIsToBeAcknowledgedIsGivenOutOnce) {
  Session session(config());
  session.handle_frame(request(7), kStart);
  session.handle_frame(request(8, OctetString{1}), kStart);
  EXPECT_EQ(session.poll_ack(), EcpSequence(7));
  EXPECT_EQ(drain(session).size(), 1u);
  EXPECT_EQ(session.poll_ack(), std::nullopt);
}

TEST(EcpSession, TellsARepeatBeforeItIsHandledAndCountsNothing) {
  Session session(config());
  EXPECT_FALSE(session.repeats(request(7), kStart));
  session.handle_frame(request(7), kStart);
  EXPECT_TRUE(session.repeats(request(7), kStart));
  EXPECT_FALSE(session.repeats(request(7, OctetString{1}), kStart));
  EXPECT_FALSE(session.repeats(ack(7), kStart));
  EXPECT_EQ(session.receiver().stats().duplicates, 0u);
  session.set_in_order(true);
  EXPECT_TRUE(session.repeats(request(6, OctetString{1}), kStart)) << "stale";
}

// Two sessions over a link that loses, repeats and delays frames: each payload arrives, in order, once while its
// duplicates fall in the window; a sender that was told "failed" sends the same payload again, as an agent does (S10).
class LossyLink {
 public:
  explicit LossyLink(unsigned seed) : random_(seed) {}

  void exchange(Session& from, std::vector<std::pair<Instant, OctetString>>& wire, Instant now) {
    OctetString out;
    while (from.poll_frame(out)) {
      if (chance(20)) continue;
      const int copies = chance(10) ? 2 : 1;
      for (int i = 0; i < copies; ++i) wire.emplace_back(now + milliseconds(random_() % 3), out);
    }
  }
  static void deliver(Session& to, std::vector<std::pair<Instant, OctetString>>& wire, Instant now) {
    for (std::size_t i = 0; i < wire.size();) {
      if (wire[i].first > now) {
        ++i;
        continue;
      }
      const auto octets = std::move(wire[i].second);
      wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(i));
      to.handle_frame(decode_frame(octets).value(), now);
    }
  }
  bool chance(unsigned percent) { return random_() % 100 < percent; }

 private:
  std::mt19937 random_;
};

TEST(EcpSession, DeliversEveryPayloadInOrderOverALinkThatLosesRepeatsAndReorders) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    LossyLink link(seed);
    Session sender(config());
    Session receiver({.own_mac = kPeer, .peer_mac = kOwn, .timing = config().timing, .first_sequence = EcpSequence(9)});
    std::vector<std::pair<Instant, OctetString>> there, back;
    std::vector<std::uint8_t> received;
    std::uint8_t next = 0;
    for (Instant now = kStart; next < 50 && now < kStart + seconds(120); now += milliseconds(1)) {
      sender.handle_time(now);
      LossyLink::deliver(receiver, there, now);
      LossyLink::deliver(sender, back, now);
      if (sender.poll_outcome() == Outcome::kDelivered) ++next;
      if (next < 50 && sender.ready(now)) sender.send(OctetString{next, 0x55}, now);
      link.exchange(sender, there, now);
      link.exchange(receiver, back, now);
      if (receiver.inbox_size() > 0 && link.chance(50)) {
        const std::uint8_t payload = receiver.inbox_front()->front();
        if (received.empty() || received.back() != payload) received.push_back(payload);  // S10 repeats are idempotent
        receiver.pop_inbox();
      }
    }
    while (auto rest = receiver.inbox_front()) {
      if (received.back() != rest->front()) received.push_back(rest->front());
      receiver.pop_inbox();
    }
    ASSERT_EQ(received.size(), 50u) << "seed " << seed;
    EXPECT_TRUE(std::ranges::is_sorted(received)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace splitnve::ecp
