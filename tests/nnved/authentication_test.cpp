// SPDX-License-Identifier: Apache-2.0
// A signed conversation with nnved (S16), frame by frame, and what an unsigned or forged one cannot do.
#include <gtest/gtest.h>

#include "rig.hpp"
#include "support/lldp.hpp"

namespace splitnve::nnved::test {
namespace {

std::shared_ptr<const auth::KeyRing> keys(std::uint8_t secret) {
  auth::Key key;
  key.id = auth::KeyId(1);
  key.secret.fill(secret);
  return std::make_shared<const auth::KeyRing>(std::vector{key});
}

AgentConfig config(auth::Mode mode) {
  AgentConfig config = make_config(1);
  config.ports[0].authentication = {mode, keys(0x5A)};
  return config;
}

/// A station that signs, beside the rig's own, which does not.
struct Signer {
  explicit Signer(Rig& rig_, std::uint8_t secret = 0x5A, std::uint8_t life = 1, unsigned port = 1)
      : rig(rig_), station(rig_.station(1, port)), authenticator(own_config(station.address, secret, life)) {
    station.acks = false;
    own = *station.shows;
    own.nonce = authenticator.nonce();
  }
  static auth::Authenticator::Config own_config(const MacAddress& mac, std::uint8_t secret, std::uint8_t life) {
    auth::Nonce seed{};
    seed[0] = life;
    return {auth::Mode::kRequire, keys(secret), vdp::Role::kStation, mac, seed};
  }
  OctetString request(const Tlv& tlv) {
    OctetString payload = vdpdu({tlv}, own);
    const EcpSequence number(station.sequence++);
    authenticator.seal(ecp::Operation::kRequest, number, kNearestCustomerBridge, payload);
    OctetString frame;
    ecp::encode_frame(kNearestCustomerBridge, station.address, ecp::Operation::kRequest, number, payload, frame);
    return frame;
  }
  void send(const OctetString& frame) {
    rig.agent.handle_frame(station.port, frame, rig.now);
    rig.run();
    listen();
  }
  /// Takes what nnved has said, and acknowledges what is signed.
  void listen() {
    for (bool more = true; more;) {
      more = false;
      for (; heard < station.raw.size(); ++heard) {
        const auto frame = ecp::decode_frame(station.raw[heard]);
        const auto judged = authenticator.check(*frame, own, rig.now);
        passed += judged.verdict == auth::Authenticator::Verdict::kPass ? 1 : 0;
        if (judged.verdict != auth::Authenticator::Verdict::kPass || frame->operation == ecp::Operation::kAck) continue;
        OctetString payload, ack;
        authenticator.seal(ecp::Operation::kAck, frame->sequence, kNearestCustomerBridge, payload);
        ecp::encode_frame(kNearestCustomerBridge, station.address, ecp::Operation::kAck, frame->sequence, payload, ack);
        rig.agent.handle_frame(station.port, ack, rig.now);
        more = true;
      }
      OctetString out;
      while (authenticator.poll_frame(own, kNearestCustomerBridge, out)) {
        rig.agent.handle_frame(station.port, out, rig.now);
        more = true;
      }
      rig.run();
    }
  }
  void begin() {
    authenticator.handle_time(rig.now);
    listen();
  }
  const char* state() const { return rig.agent.peers().at(0).authentication.state; }

  Rig& rig;
  Station& station;
  auth::Authenticator authenticator;
  vdp::Capabilities own;
  std::size_t heard = 0;
  unsigned passed = 0;
};

Tlv associate(unsigned n) { return {vdp::TlvType::kAssociate, vsi(n), {entry(70001, mac(n))}}; }
Tlv deassociate(unsigned n) { return {vdp::TlvType::kDeAssociate, vsi(n), {entry(70001, mac(n))}}; }

TEST(NnvedAuthentication, WhereItIsRequiredAPlainStationIsNeitherServedNorAcknowledged) {
  Rig rig(config(auth::Mode::kRequire));
  Station& plain = rig.station(1);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(rig.ask(plain, associate(1)));
  EXPECT_EQ(rig.tsis(), 0u);
  EXPECT_EQ(plain.acked, 0u);
  EXPECT_EQ(rig.dropped("authentication: missing"), 3u);
  EXPECT_EQ(plain.raw.size(), 3u) << "what it shows is answered once, and not repeated";
  EXPECT_TRUE(rig.agent.peers().empty()) << "nobody is remembered who has not signed";
  ASSERT_EQ(rig.notices.size(), 1u) << "one a minute";
  EXPECT_STREQ(rig.notices[0].id, "PEER_UNAUTHENTICATED");
  rig.advance(30s);
  EXPECT_EQ(plain.raw.size(), 3u);
}

TEST(NnvedAuthentication, AStationWithTheKeyIsServedAndAnsweredSigned) {
  Rig rig(config(auth::Mode::kRequire));
  Signer signer(rig);
  signer.begin();
  EXPECT_TRUE(rig.agent.peers().empty());
  signer.send(signer.request(associate(1)));
  EXPECT_STREQ(signer.state(), "authenticated");
  ASSERT_TRUE(rig.tsi(vsi(1)));
  EXPECT_GE(signer.passed, 2u) << "an acknowledgement and the answer";
  EXPECT_EQ(signer.authenticator.stats().refused, 0u);
  EXPECT_EQ(rig.agent.peers().at(0).failed, 0u);
}

TEST(NnvedAuthentication, ForgedAndReplayedFramesChangeNothing) {
  Rig rig(config(auth::Mode::kRequire));
  Signer signer(rig);
  signer.begin();
  signer.send(signer.request(associate(1)));
  const OctetString gone = signer.request(deassociate(1));
  signer.send(gone);
  ASSERT_FALSE(rig.tsi(vsi(1)));
  signer.send(signer.request(associate(1)));
  const Instant heard = rig.agent.peers().at(0).last_heard;
  rig.now += 2s;  // the duplicates that ECP remembers are over
  signer.send(gone);
  EXPECT_EQ(rig.dropped("authentication: replayed"), 1u);
  rig.send(signer.station, {deassociate(1)});
  EXPECT_EQ(rig.dropped("authentication: missing"), 1u);
  OctetString changed = signer.request(deassociate(1));
  changed[60] ^= 1;
  signer.send(changed);
  EXPECT_EQ(rig.dropped("authentication: wrong tag"), 1u);
  EXPECT_TRUE(rig.tsi(vsi(1)));
  EXPECT_EQ(rig.agent.peers().at(0).last_heard, heard) << "nor is the station heard";
}

TEST(NnvedAuthentication, ARetransmissionIsAcknowledgedAgainAndNotDelivered) {
  Rig rig(config(auth::Mode::kRequire));
  Signer signer(rig);
  signer.begin();
  const OctetString frame = signer.request(associate(1));
  signer.send(frame);
  const unsigned acked = signer.station.acked;
  signer.send(frame);
  EXPECT_EQ(signer.station.acked, acked + 1);
  EXPECT_EQ(rig.dropped("duplicate"), 1u);
  EXPECT_EQ(rig.dropped("authentication: replayed"), 0u);
}

TEST(NnvedAuthentication, AnOldFrameUnderOtherCapabilitiesBeginsNothing) {
  Rig rig(config(auth::Mode::kRequire));
  Signer signer(rig);
  signer.begin();
  const OctetString first = signer.request(associate(1));
  signer.send(first);
  signer.own.nonce[0] ^= 1;  // as after a restart, in the same session of signatures
  signer.send(signer.request(associate(2)));
  signer.send(first);
  EXPECT_EQ(rig.dropped("duplicate"), 1u) << "its counter is spent";
  EXPECT_EQ(rig.tsis(), 2u);
}

TEST(NnvedAuthentication, ARestartedStationIsServedAgainAndItsTsisStay) {
  Rig rig(config(auth::Mode::kRequire));
  Signer signer(rig);
  signer.begin();
  signer.send(signer.request(associate(1)));
  Signer again(rig, 0x5A, 2);
  again.heard = signer.station.raw.size();
  rig.now += 1s;
  again.begin();
  again.send(again.request(associate(2)));
  EXPECT_TRUE(rig.tsi(vsi(1)));
  EXPECT_TRUE(rig.tsi(vsi(2)));
  EXPECT_EQ(rig.agent.peers().at(0).authentication.sessions, 2u);
}

TEST(NnvedAuthentication, HellosOfManyStationsAreAnsweredOnceEachAndForgotten) {
  Rig rig(config(auth::Mode::kRequire));
  std::size_t answers = 0;
  for (unsigned n = 1001; n <= 2000; ++n) {
    Station& spoofed = rig.station(n);
    spoofed.acks = false;
    OctetString payload;
    vdp::write_capabilities_only(*spoofed.shows, payload);
    rig.send_octets(spoofed, payload);
    answers += spoofed.raw.size();
  }
  rig.advance(60s);
  EXPECT_EQ(answers, 1000u);
  EXPECT_TRUE(rig.agent.peers().empty());
  Signer signer(rig);
  signer.heard = signer.station.raw.size();
  signer.begin();
  signer.send(signer.request(associate(1)));
  EXPECT_TRUE(rig.tsi(vsi(1))) << "who has the key gets in";
}

TEST(NnvedAuthentication, ANonceOfOursIsGoodForTwentySeconds) {
  Rig rig(config(auth::Mode::kRequire), Instant(3600s));
  Signer early(rig), late(rig, 0x5A, 2);
  early.begin();
  rig.now += 9s;
  early.send(early.request(associate(1)));
  EXPECT_TRUE(rig.tsi(vsi(1)));
  Rig other(config(auth::Mode::kRequire), Instant(3600s));
  Signer slow(other);
  slow.begin();
  other.now += 20s;
  slow.send(slow.request(associate(1)));
  EXPECT_FALSE(other.tsi(vsi(1)));
  EXPECT_EQ(other.dropped("authentication: unknown session"), 1u);
}

TEST(NnvedAuthentication, ARecordedBeginningMakesNoSecondSession) {
  AgentConfig own = config(auth::Mode::kRequire);
  own.ports[0].link_down_hold = 1s;
  Rig rig(own);
  Signer signer(rig);
  signer.begin();
  const OctetString recorded = signer.request(associate(1));
  signer.send(recorded);
  ASSERT_TRUE(rig.tsi(vsi(1)));
  rig.agent.handle_link(PortId(1), false, rig.now);
  rig.advance(2s);
  rig.agent.handle_link(PortId(1), true, rig.now);
  ASSERT_TRUE(rig.agent.peers().empty());
  rig.agent.handle_frame(PortId(1), recorded, rig.now);
  rig.run();
  EXPECT_TRUE(rig.agent.peers().empty());
  EXPECT_FALSE(rig.tsi(vsi(1)));
}

MacAddress last_destination(const Station& station) { return ecp::decode_frame(station.raw.back())->destination; }

TEST(NnvedAuthentication, AForgedFrameDoesNotChangeWhereAnswersGo) {
  Rig rig(config(auth::Mode::kRequire));
  Signer signer(rig);
  signer.begin();
  signer.send(signer.request(associate(1)));
  const auto alone = [&](const Tlv& tlv) {
    OctetString payload = vdpdu({tlv}, signer.own);
    const EcpSequence number(signer.station.sequence++);
    signer.authenticator.seal(ecp::Operation::kRequest, number, port_mac(1), payload);
    OctetString frame;
    ecp::encode_frame(port_mac(1), signer.station.address, ecp::Operation::kRequest, number, payload, frame);
    return frame;
  };
  signer.send(alone(associate(2)));
  EXPECT_EQ(last_destination(signer.station), signer.station.address);
  rig.send(signer.station, {deassociate(1)});  // in its name, to the group
  signer.send(alone(associate(3)));
  const std::size_t before = signer.station.raw.size();
  rig.send(signer.station, {deassociate(1)});
  rig.advance(11s);  // we speak by ourselves
  ASSERT_GT(signer.station.raw.size(), before);
  EXPECT_EQ(last_destination(signer.station), signer.station.address);
}

TEST(NnvedAuthentication, TheSignedTimersHoldAndLldpDoesNot) {
  AgentConfig own = config(auth::Mode::kRequire);
  own.ports[0].evb = true;
  own.vdp.keepalive_exponent = 17;  // 1.3 s
  Rig rig(own);
  Signer signer(rig);
  signer.own.timers = {3, 8, 20, 19, false};  // 5.2 s
  signer.begin();
  signer.send(signer.request(associate(1)));
  rig.agent.handle_frame(
      PortId(1), splitnve::test::evb_frame(evb::Role::kStation, station_mac(9), {7, 31, 31, 31}, true, 3600), rig.now);
  rig.advance(6s);
  signer.send(signer.request(associate(2)));
  EXPECT_TRUE(rig.tsi(vsi(1))) << "its own interval is longer than ours";
  EXPECT_TRUE(rig.tsi(vsi(2))) << "nobody without a key makes us refuse";
  rig.advance(5s);
  signer.send(signer.request(associate(2)));
  rig.advance(3s);
  EXPECT_FALSE(rig.tsi(vsi(1))) << "not renewed";
  signer.own.timers.rka = 31;
  signer.own.nonce = signer.authenticator.nonce();
  signer.own.nonce = signer.authenticator.session()->own_nonce();
  signer.send(signer.request(associate(2)));
  signer.send(signer.request(associate(3)));
  EXPECT_TRUE(rig.tsi(vsi(2))) << "what runs is renewed";
  EXPECT_FALSE(rig.tsi(vsi(3)));
  EXPECT_NE(rig.agent.refusals().back().reason.find("RKA 31"), std::string::npos);
}

TEST(NnvedAuthentication, WhoHasSignedOnceIsNotHeardPlainlyAfterARestart) {
  Rig rig(config(auth::Mode::kAccept));
  Signer signer(rig);
  signer.begin();
  signer.send(signer.request(associate(1)));
  ASSERT_STREQ(signer.state(), "authenticated");
  const auto records = rig.agent.desired_records();

  Rig again(config(auth::Mode::kAccept));
  EXPECT_EQ(again.agent.restore(records, again.now), 0u);
  EXPECT_FALSE(again.ask(again.station(1), deassociate(1)));
  EXPECT_TRUE(again.tsi(vsi(1)));
  Station& elsewhere = again.station(2);  // its system, behind another address
  elsewhere.shows->system = signer.own.system;
  EXPECT_FALSE(again.ask(elsewhere, associate(3)));
  EXPECT_TRUE(again.ask(again.station(3), associate(3))->response().success()) << "others are served as ever";

  AgentConfig other_key = config(auth::Mode::kAccept);
  other_key.ports[0].authentication.keys = keys(0x66);
  Rig without(other_key);
  without.agent.restore(records, without.now);
  EXPECT_TRUE(without.ask(without.station(1), deassociate(1))->response().success()) << "its key was taken away";
}

TEST(NnvedAuthentication, AStationsOwnKeyStandsInsteadOfThePorts) {
  AgentConfig own = config(auth::Mode::kRequire);
  own.ports[0].station_keys.push_back({station_mac(1), keys(0x77)});
  Rig rig(own);
  Signer ports(rig, 0x5A), stations(rig, 0x77, 2);
  ports.begin();
  EXPECT_FALSE(ports.authenticator.session());
  stations.heard = ports.station.raw.size();
  rig.now += 1s;
  stations.begin();
  EXPECT_TRUE(stations.authenticator.session());
}

TEST(NnvedAuthentication, WhereOnlyStationsHaveKeysOthersAreNotRemembered) {
  AgentConfig own = config(auth::Mode::kRequire);
  own.ports[0].authentication.keys.reset();
  Rig rig(own);
  EXPECT_FALSE(rig.ask(rig.station(1), associate(1)));
  EXPECT_EQ(rig.dropped("authentication: station without a key"), 1u);
  EXPECT_TRUE(rig.agent.peers().empty());
}

TEST(NnvedAuthentication, WhereItIsAcceptedAPlainStationIsServedUntilItSigns) {
  Rig rig(config(auth::Mode::kAccept));
  EXPECT_TRUE(rig.ask(rig.station(1), associate(1))->response().success());
  Signer signer(rig);
  rig.now += 1s;
  signer.begin();
  EXPECT_STREQ(signer.state(), "authenticated");
  rig.send(signer.station, {deassociate(1)});
  EXPECT_TRUE(rig.tsi(vsi(1))) << "never plain again";
}

// --- a signed station at another port (S37) ---

/// Two ports, where station 1 has a key of its own or the ports' shared one, and VSI 1 Activated on port 1.
struct SignedMove : testing::Test {
  void begin(bool own_key, auth::Mode mode_there = auth::Mode::kRequire) {
    AgentConfig config = make_config(2);
    for (PortConfig& port : config.ports) {
      port.segment = "rack";
      port.authentication = {auth::Mode::kRequire, keys(0x5A)};
      if (own_key) port.station_keys.push_back({station_mac(1), keys(0x5A)});
    }
    config.ports[1].authentication.mode = mode_there;
    rig.emplace(config);
    old_place.emplace(*rig);
    old_place->begin();
    old_place->send(old_place->request(associate(1)));
    ASSERT_TRUE(rig->tsi(vsi(1), 1));
    rig->now += 1s;
  }
  void sign_there() {
    new_place.emplace(*rig, std::uint8_t{0x5A}, std::uint8_t{2}, 2u);
    new_place->begin();
    new_place->send(new_place->request(associate(1)));
  }
  std::optional<Rig> rig;
  std::optional<Signer> old_place, new_place;
};

TEST_F(SignedMove, UnderItsOwnKeyItsTsisFollowAtOnceAlthoughTheOldPlaceAnswers) {
  begin(true);
  sign_there();
  ASSERT_TRUE(rig->tsi(vsi(1), 2));
  EXPECT_EQ(rig->tsi(vsi(1), 2)->state, TsiState::kActivated);
  EXPECT_FALSE(rig->tsi(vsi(1), 1));
  EXPECT_TRUE(rig->consistent()) << rig->difference();
}

TEST_F(SignedMove, AFrameOfTheOldSessionMovesNothingBack) {
  begin(true);
  sign_there();
  old_place->send(old_place->request(associate(1)));
  EXPECT_EQ(rig->tsi(vsi(1), 2)->state, TsiState::kActivated);
  EXPECT_FALSE(rig->tsi(vsi(1), 1) && rig->tsi(vsi(1), 1)->state == TsiState::kActivated);
}

TEST_F(SignedMove, AKeyThatStationsShareProvesNoneOfThem) {
  begin(false);
  sign_there();
  EXPECT_EQ(rig->tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_FALSE(rig->tsi(vsi(1), 2));
}

TEST_F(SignedMove, NothingMovesFromASignedPlaceToOneThatIsNot) {
  begin(true, auth::Mode::kOff);
  Station& plain = rig->station(1, 2);
  old_place->station.acks = false;
  rig->send(plain, {associate(1)});
  rig->advance(1s);
  EXPECT_EQ(rig->tsi(vsi(1), 1)->state, TsiState::kActivated);
  EXPECT_FALSE(rig->tsi(vsi(1), 2));
}

}  // namespace
}  // namespace splitnve::nnved::test
