// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <deque>

#include "support.hpp"

namespace splitnve::auth {
namespace {

using ecp::Operation;
using Verdict = Authenticator::Verdict;

constexpr Instant kStart = Instant{} + std::chrono::hours(1);

/// One end with its wire.
struct End {
  End(vdp::Role role_, const MacAddress& mac_, Mode mode, std::vector<Key> keys_, std::uint8_t life)
      : role(role_), mac(mac_), authenticator(config(role_, mac_, mode, std::move(keys_), life)) {
    own.role = role;
    own.system.fill(static_cast<std::uint8_t>(role));
    own.nonce = authenticator.nonce();
  }
  static Authenticator::Config config(vdp::Role role, const MacAddress& mac, Mode mode, std::vector<Key> keys,
                                      std::uint8_t life) {
    Authenticator::Config out;
    out.mode = mode;
    out.keys = std::make_shared<KeyRing>(std::move(keys));
    out.role = role;
    out.own_mac = mac;
    out.seed.fill(life);
    return out;
  }

  OctetString ecpdu(Octets vdpdu, Operation operation = Operation::kRequest) {
    OctetString payload(vdpdu.begin(), vdpdu.end());
    const EcpSequence number(++sequence);
    authenticator.seal(operation, number, kNearestCustomerBridge, payload);
    OctetString frame;
    ecp::encode_frame(kNearestCustomerBridge, mac, operation, number, payload, frame);
    return frame;
  }
  std::deque<OctetString> said() {
    std::deque<OctetString> out;
    OctetString frame;
    while (authenticator.poll_frame(own, kNearestCustomerBridge, frame)) out.push_back(frame);
    return out;
  }
  Authenticator::Judgement hears(Octets octets) {
    const auto frame = ecp::decode_frame(octets);
    EXPECT_TRUE(frame);
    auto judged = authenticator.check(*frame, own, now);
    if (judged.verdict == Verdict::kPass) {
      if (!authenticator.is_fresh(judged.counter, frame->operation)) {
        judged.verdict = Verdict::kDrop;
        judged.cause = "replayed";
      } else {
        authenticator.spend(judged.counter, frame->operation);
      }
    }
    if (judged.established) own.nonce = authenticator.session()->own_nonce();
    return judged;
  }
  bool has_session() const { return authenticator.session() != nullptr; }

  vdp::Role role;
  MacAddress mac;
  Authenticator authenticator;
  vdp::Capabilities own;
  std::uint16_t sequence = 100;
  Instant now = kStart;
};

const MacAddress kStationMac(0x020000000001), kBridgeMac(0x020000000099);

End station(Mode mode = Mode::kRequire, std::vector<Key> keys = {key(1, 0x5A)}, std::uint8_t life = 1) {
  return {vdp::Role::kStation, kStationMac, mode, std::move(keys), life};
}
End bridge(Mode mode = Mode::kRequire, std::vector<Key> keys = {key(1, 0x5A)}, std::uint8_t life = 101) {
  return {vdp::Role::kBridge, kBridgeMac, mode, std::move(keys), life};
}

OctetString association() { return octets(vectors::kCases[0].plain); }
OctetString capabilities(const End& of) {
  OctetString out;
  vdp::write_capabilities_only(of.own, out);
  return out;
}

/// Frames of both wires in turn until nobody says anything more; `lose(n)` says whether the n-th of all is lost.
template <class Lose>
void exchange(End& a, End& b, Lose&& lose, int& frames) {
  for (bool more = true; more;) {
    more = false;
    for (auto [from, to] : {std::pair{&a, &b}, std::pair{&b, &a}})
      for (const OctetString& frame : from->said()) {
        more = true;
        if (!lose(frames++)) to->hears(frame);
      }
  }
}
void exchange(End& a, End& b) {
  int frames = 0;
  exchange(a, b, [](int) { return false; }, frames);
}
void begin(End& station_, End& bridge_) {
  station_.authenticator.handle_time(station_.now);
  exchange(station_, bridge_);
}

TEST(Handshake, GivesBothEndsOneSessionWithThreeFrames) {
  End s = station(), b = bridge();
  s.authenticator.handle_time(s.now);
  int frames = 0;
  exchange(s, b, [](int) { return false; }, frames);
  ASSERT_TRUE(s.has_session() && b.has_session());
  EXPECT_EQ(s.authenticator.session()->id(), b.authenticator.session()->id());
  EXPECT_EQ(frames, 3);
  EXPECT_EQ(s.authenticator.stats().refused + b.authenticator.stats().refused, 0u);
}

TEST(Handshake, SurvivesTheLossOfAnyOfItsFrames) {
  // Every pattern of loss of the first eight frames; then the wire is good.
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    End s = station(), b = bridge();
    int frames = 0;
    for (int round = 0; round < 12; ++round) {
      s.now += std::chrono::seconds(1);
      b.now += std::chrono::seconds(1);
      s.authenticator.handle_time(s.now);
      exchange(s, b, [&](int n) { return n < 8 && (pattern >> n & 1) != 0; }, frames);
      // Whoever may speak does: its capabilities, as the exchange repeats them until they are acknowledged.
      for (auto [from, to] : {std::pair{&s, &b}, std::pair{&b, &s}})
        if (from->authenticator.may_send()) {
          const bool lost = frames < 8 && (pattern >> frames & 1) != 0;
          ++frames;
          if (!lost) to->hears(from->ecpdu(capabilities(*from)));
        }
    }
    ASSERT_TRUE(s.has_session() && b.has_session()) << pattern;
    EXPECT_EQ(s.authenticator.session()->id(), b.authenticator.session()->id()) << pattern;
  }
}

TEST(Require, LetsNothingButTheHandshakeInOrOut) {
  End b = bridge();
  EXPECT_FALSE(b.authenticator.may_send());
  End off = station(Mode::kOff);
  const auto judged = b.hears(off.ecpdu(association()));
  EXPECT_EQ(judged.verdict, Verdict::kDrop);
  EXPECT_STREQ(judged.cause, "authentication: missing");
  EXPECT_EQ(b.hears(off.ecpdu({}, Operation::kAck)).verdict, Verdict::kDrop);
  EXPECT_TRUE(b.said().empty());
  EXPECT_EQ(b.hears(off.ecpdu(capabilities(off))).verdict, Verdict::kHandshake);
  EXPECT_EQ(b.said().size(), 1u);
}

TEST(Require, RefusesWhoHearsOurHellosAndNeverSigns) {
  End b = bridge(), off = station(Mode::kOff);
  unsigned handshakes = 0;
  while (b.hears(off.ecpdu(capabilities(off))).verdict == Verdict::kHandshake) {
    b.now += std::chrono::milliseconds(20);
    EXPECT_FALSE(b.said().empty());
    ASSERT_LT(++handshakes, 20u);
  }
  EXPECT_GE(handshakes, 8u) << "a few get lost";
  EXPECT_EQ(b.authenticator.stats().refused, 1u);
  b.now += std::chrono::milliseconds(20);
  End s = station();
  begin(s, b);  // it was given a key
  EXPECT_TRUE(b.has_session());
}

TEST(Require, PassesWhatIsSignedBothWaysAndAcknowledgements) {
  End s = station(), b = bridge();
  begin(s, b);
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kPass);
  EXPECT_EQ(s.hears(b.ecpdu({}, Operation::kAck)).verdict, Verdict::kPass);
  EXPECT_EQ(s.hears(b.ecpdu(association())).verdict, Verdict::kPass);
}

TEST(Accept, TakesPlainFramesUntilThereIsASessionAndNeverAfter) {
  End s = station(Mode::kAccept), b = bridge(Mode::kAccept), off = station(Mode::kOff);
  EXPECT_EQ(b.hears(off.ecpdu(association())).verdict, Verdict::kPass);
  EXPECT_EQ(b.hears(s.ecpdu(capabilities(s))).verdict, Verdict::kPass);
  exchange(s, b);
  ASSERT_TRUE(s.has_session() && b.has_session());
  EXPECT_EQ(b.hears(off.ecpdu(association())).verdict, Verdict::kDrop);
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kPass);
}

TEST(Off, LooksAtNothingAndSignsNothing) {
  End s = station(Mode::kOff), b = bridge();
  const OctetString plain = association();
  const OctetString frame = s.ecpdu(plain);
  EXPECT_TRUE(std::equal(plain.begin(), plain.end(), frame.begin() + 18));
  EXPECT_EQ(s.hears(b.ecpdu(association())).verdict, Verdict::kPass);
  EXPECT_EQ(s.authenticator.reserve(), 0u);
}

TEST(WrongKey, IsToldFromAMissingOneAndAnsweredByNobody) {
  End s = station(Mode::kRequire, {key(1, 0x11)}), b = bridge();
  s.authenticator.handle_time(s.now);
  const OctetString hello = s.said().front();
  b.hears(hello);
  const auto judged = s.hears(b.said().front());
  EXPECT_STREQ(judged.cause, "authentication: wrong tag");
  EXPECT_TRUE(s.said().empty());
  EXPECT_FALSE(s.has_session());

  End stranger = station(Mode::kRequire, {key(7, 0x5A)});
  stranger.authenticator.handle_time(stranger.now);
  b.now += std::chrono::seconds(1);
  b.hears(stranger.said().front());
  EXPECT_STREQ(stranger.hears(b.said().front()).cause, "authentication: unknown key");
}

TEST(RollOver, WorksAtEveryStepWithoutAMomentOfTwoKeys) {
  const Key old = key(1, 0x5A), fresh = key(2, 0xA5);
  const std::vector<std::vector<Key>> steps{{old}, {old, fresh}, {fresh, old}, {fresh}};
  for (std::size_t at = 0; at + 1 < steps.size(); ++at)
    for (const auto& [s_step, b_step] : {std::pair{at, at}, {at + 1, at}, {at, at + 1}, {at + 1, at + 1}}) {
      End s = station(Mode::kRequire, steps[s_step]), b = bridge(Mode::kRequire, steps[b_step]);
      begin(s, b);
      EXPECT_TRUE(s.has_session() && b.has_session()) << s_step << " " << b_step;
    }
}

TEST(Restart, OfTheStationMakesANewSessionAndTheOldLivesUntilThen) {
  End s = station(), b = bridge();
  begin(s, b);
  const auto old = b.authenticator.session()->id();
  End again = station(Mode::kRequire, {key(1, 0x5A)}, 2);
  b.now += std::chrono::seconds(1);
  again.authenticator.handle_time(again.now);
  b.hears(again.said().front());
  EXPECT_EQ(b.authenticator.session()->id(), old);
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kPass) << "a hello alone changes nothing";
  exchange(again, b);
  ASSERT_TRUE(again.has_session());
  EXPECT_NE(b.authenticator.session()->id(), old);
  EXPECT_EQ(b.authenticator.session()->id(), again.authenticator.session()->id());
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kDrop);
}

TEST(Restart, OfTheBridgeIsFoundByTheFirstSignedFrame) {
  End s = station(), b = bridge();
  begin(s, b);
  End again = bridge(Mode::kRequire, {key(1, 0x5A)}, 102);
  const auto judged = again.hears(s.ecpdu(association()));
  EXPECT_STREQ(judged.cause, "authentication: unknown session");
  exchange(again, s);
  ASSERT_TRUE(again.has_session());
  EXPECT_EQ(again.authenticator.session()->id(), s.authenticator.session()->id());
  EXPECT_EQ(again.hears(s.ecpdu(association())).verdict, Verdict::kPass);
}

TEST(Restart, OfBothIsAFirstHandshake) {
  End s = station(), b = bridge();
  begin(s, b);
  End s2 = station(Mode::kRequire, {key(1, 0x5A)}, 2), b2 = bridge(Mode::kRequire, {key(1, 0x5A)}, 102);
  begin(s2, b2);
  EXPECT_TRUE(s2.has_session() && b2.has_session());
}

TEST(Disagreement, IsHealedAfterThreeFailedEcpdus) {
  End s = station(), b = bridge(), other = station(Mode::kRequire, {key(1, 0x5A)}, 3);
  begin(s, b);
  b.now += std::chrono::seconds(1);
  begin(other, b);  // the bridge's session is now with another life of the same station
  b.now += std::chrono::seconds(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kDrop);
    EXPECT_TRUE(s.said().empty() && b.said().empty());
    s.authenticator.handle_delivery_failed();
  }
  exchange(s, b);
  EXPECT_EQ(s.authenticator.session()->id(), b.authenticator.session()->id());
}

TEST(Replay, OfOneFrameIsRefusedAndOfAnotherSessionToo) {
  End s = station(), b = bridge();
  begin(s, b);
  const OctetString first = s.ecpdu(association());
  EXPECT_EQ(b.hears(first).verdict, Verdict::kPass);
  EXPECT_STREQ(b.hears(first).cause, "replayed");
  End again = station(Mode::kRequire, {key(1, 0x5A)}, 2);
  b.now += std::chrono::seconds(1);
  begin(again, b);
  EXPECT_STREQ(b.hears(first).cause, "authentication: unknown session");
}

TEST(Replay, OfARequestThatWasHeldBackUntilALaterOneWasTakenIsRefused) {
  End s = station(), b = bridge();
  begin(s, b);
  const OctetString held_back = s.ecpdu(association());
  const OctetString ack = s.ecpdu({}, Operation::kAck);
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kPass);
  EXPECT_STREQ(b.hears(held_back).cause, "replayed");
  EXPECT_EQ(b.hears(ack).verdict, Verdict::kPass) << "acknowledgements may come in any order";
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kPass);
}

TEST(Replay, OfAWholeRecordedHandshakeMakesNoSession) {
  End s = station(), b = bridge();
  std::vector<OctetString> recorded;
  s.authenticator.handle_time(s.now);
  for (bool more = true; more;) {
    more = false;
    for (const auto& frame : s.said()) recorded.push_back(frame), b.hears(frame), more = true;
    for (const auto& frame : b.said()) s.hears(frame), more = true;
  }
  recorded.push_back(s.ecpdu(capabilities(s)));
  b.hears(recorded.back());
  recorded.push_back(s.ecpdu(association()));
  b.hears(recorded.back());
  End again = station(Mode::kRequire, {key(1, 0x5A)}, 2);
  b.now += std::chrono::seconds(1);
  begin(again, b);
  const auto id = b.authenticator.session()->id();
  for (int round = 0; round < 3; ++round)
    for (const auto& frame : recorded) {
      b.now += std::chrono::seconds(1);
      EXPECT_NE(b.hears(frame).verdict, Verdict::kPass);
      b.said();
      EXPECT_EQ(b.authenticator.session()->id(), id);
    }
}

TEST(Forgery, OfHellosChangesNothingAndIsAnsweredAtAPace) {
  End s = station(), b = bridge();
  begin(s, b);
  const auto id = b.authenticator.session()->id();
  std::size_t answers = 0;
  for (std::uint8_t life = 10; life < 60; ++life) {
    b.now += std::chrono::milliseconds(1);
    End forger = station(Mode::kAccept, {key(1, 0x00)}, life);
    b.hears(forger.ecpdu(capabilities(forger)));
    for (const auto& answer : b.said()) {
      ++answers;
      EXPECT_EQ(s.hears(answer).verdict, Verdict::kDrop);
      EXPECT_TRUE(s.said().empty()) << "a signed hello for somebody else is not answered";
    }
  }
  EXPECT_LE(answers, 6u);
  EXPECT_EQ(b.authenticator.session()->id(), id);
  EXPECT_EQ(b.hears(s.ecpdu(association())).verdict, Verdict::kPass);
}

TEST(Forgery, FromAnotherAddressIsRefused) {
  End s = station(), b = bridge();
  begin(s, b);
  OctetString frame = s.ecpdu(association());
  frame[11] ^= 1;
  EXPECT_STREQ(b.hears(frame).cause, "authentication: wrong tag");
  EXPECT_EQ(s.hears(s.ecpdu(association())).verdict, Verdict::kDrop) << "reflected";
}

TEST(Station, SaysHelloEverLessOftenUntilItIsHeard) {
  End s = station();
  Instant last{};
  for (int i = 0; i < 8; ++i) {
    const auto due = s.authenticator.next_deadline();
    ASSERT_TRUE(due);
    EXPECT_TRUE(i == 0 || *due - last <= std::chrono::seconds(1));
    last = s.now = std::max(*due, s.now);
    s.authenticator.handle_time(s.now);
    EXPECT_EQ(s.said().size(), 1u);
  }
  End b = bridge();
  s.authenticator.handle_time(*s.authenticator.next_deadline());
  exchange(s, b);
  EXPECT_FALSE(s.authenticator.next_deadline());
}

}  // namespace
}  // namespace splitnve::auth
