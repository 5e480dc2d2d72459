// SPDX-License-Identifier: Apache-2.0
// Every class of bad input, one frame each: what it is counted as, what it is answered, and that a well-behaved station
// notices nothing.
#include <gtest/gtest.h>

#include <algorithm>

#include "hostile/catalogue.hpp"
#include "rig.hpp"
#include "splitnve/base/bytes.hpp"
#include "support/lldp.hpp"

namespace splitnve::nnved::test {
namespace {

using hostile::Case;
using hostile::Scene;
using vdp::TlvType;

constexpr unsigned kAttacker = 66, kGood = 1;

Scene scene() { return {station_mac(kAttacker), port_mac(1), 70001, vsi(1), mac(1)}; }

/// All that nnved holds for the well-behaved station, as octets where it has octets.
struct Belongings {
  std::vector<std::pair<std::uint64_t, OctetString>> records;
  DatapathModel datapath;
  TsiState state;
  Vid vid;
  std::uint64_t requests, refused;
  friend bool operator==(const Belongings&, const Belongings&) = default;
};

/// A station with an active TSI at p2, and an attacker at p1 whom nnved has heard before.
struct HostileRig : Rig {
  HostileRig() : Rig(make_config(2)) {
    Station& good = station(kGood, 2);
    good.shows->flags = vdp::Flags();
    EXPECT_TRUE(ask(good, {TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}})->response().success());
    attacker().shows.reset();
    EXPECT_FALSE(ask(attacker(), {TlvType::kAssociate, vsi(99), {entry(4242, mac(99))}})->response().success());
    before = belongings();
  }
  Station& attacker() { return station(kAttacker, 1); }
  Belongings belongings() const {
    Belongings all;
    for (const auto& record : stored()) all.records.emplace_back(record.key, record.value);
    all.datapath = datapath;
    const auto view = tsi(vsi(1), 2);
    all.state = view ? view->state : TsiState::kInit;
    all.vid = view ? view->vid : Vid();
    const PeerView peer = peer_of(2);
    all.requests = peer.requests;
    all.refused = peer.refused;
    return all;
  }
  PeerView peer_of(unsigned port) const {
    const auto peers = agent.peers();
    const auto at = std::ranges::find(peers, PortId(port), &PeerView::port);
    ensure(at != peers.end(), "both stations are known");
    return *at;
  }
  std::uint64_t all_dropped() const {
    std::uint64_t sum = 0;
    for (const auto& [cause, count] : agent.frame_drops()) sum += count;
    return sum;
  }
  void hear(const OctetString& frame) {
    attacker().received.clear();
    agent.handle_frame(PortId(1), frame, now);
    run();
    for (int n = 0; n < 4 && attacker().received.empty(); ++n) advance(kLegacyPace);
  }
  Belongings before;
};

void expect_outcome(HostileRig& rig, const Case& one) {
  const auto dropped = rig.all_dropped(), of_cause = rig.dropped(one.drop), taken = rig.agent.frames_taken();
  const PeerView was = rig.peer_of(1);
  rig.hear(one.frame);
  const bool drops = !one.drop.empty();
  EXPECT_EQ(rig.all_dropped() - dropped, drops ? 1u : 0u) << "drops of any cause";
  // An answer of nnved is acknowledged, and so is what it shows of itself.
  if (drops) {
    EXPECT_EQ(rig.dropped(one.drop) - of_cause, 1u) << one.drop;
    EXPECT_EQ(rig.agent.frames_taken(), taken);
  } else {
    EXPECT_GE(rig.agent.frames_taken() - taken, 1u);
  }
  const auto& answers = rig.attacker().received;
  EXPECT_EQ(answers.size(), one.answer ? 1u : 0u) << "answers";
  const PeerView is = rig.peer_of(1);
  EXPECT_EQ(is.requests - was.requests, one.answer ? 1u : 0u) << "requests";
  EXPECT_EQ(is.malformed_tlvs - was.malformed_tlvs, one.malformed) << "malformed TLVs";
  EXPECT_EQ(is.skipped_tlvs - was.skipped_tlvs, one.skipped) << "skipped TLVs";
  EXPECT_EQ(is.stray_responses - was.stray_responses, one.stray) << "stray responses";
  EXPECT_EQ(rig.belongings(), rig.before) << "the well-behaved station";
  EXPECT_EQ(rig.tsis(), 1u) << "the attacker has nothing";
}

/// The status octet of the first association TLV that nnved sent, read without judging the rest.
std::optional<std::uint8_t> first_status(const Station& station) {
  for (const OctetString& octets : station.raw) {
    const auto frame = ecp::decode_frame(octets);
    if (frame->operation != ecp::Operation::kRequest) continue;
    vdp::VdpduReader reader(frame->payload);
    if (!reader.manager()) continue;
    while (const auto tlv = *reader.next())
      if (vdp::is_association(static_cast<TlvType>(tlv->type)) && !tlv->value.empty()) return tlv->value[0];
  }
  return std::nullopt;
}

TEST(Hostile, EveryClassOfBadInputHasItsCounterItsAnswerAndHarmsNobody) {
  HostileRig rig;
  for (const Case& one : hostile::catalogue(scene())) {
    SCOPED_TRACE(one.name);
    rig.attacker().raw.clear();
    const bool answered_by_head = one.answer && (*one.answer & vdp::kStatusCodeMask) == 1;
    if (!answered_by_head) {
      expect_outcome(rig, one);
      if (one.answer && !rig.attacker().received.empty()) {
        EXPECT_EQ(rig.attacker().received[0].status, *one.answer);
      }
      continue;
    }
    // A head without entries is no association to the rig's reader.
    const auto taken = rig.agent.frames_taken(), malformed = rig.peer_of(1).malformed_tlvs;
    rig.hear(one.frame);
    EXPECT_GE(rig.agent.frames_taken() - taken, 1u);
    EXPECT_EQ(rig.peer_of(1).malformed_tlvs - malformed, one.malformed);
    EXPECT_EQ(first_status(rig.attacker()), one.answer);
    EXPECT_EQ(rig.belongings(), rig.before) << "the well-behaved station";
    EXPECT_EQ(rig.tsis(), 1u) << "the attacker has nothing";
  }
  EXPECT_TRUE(rig.consistent());
}

TEST(Hostile, AllThatCameInWasTakenOrDroppedByCause) {
  HostileRig rig;
  rig.attacker().acks = false;  // or each ack of it would be a frame as well
  const std::uint64_t begin = rig.all_dropped() + rig.agent.frames_taken();
  std::uint64_t sent = 0;
  for (int round = 0; round < 3; ++round)
    for (const Case& one : hostile::catalogue(scene())) {
      rig.agent.handle_frame(PortId(1), one.frame, rig.now);
      ++sent;
      if (sent % 50 == 0) rig.run();
    }
  rig.run();
  EXPECT_EQ(rig.all_dropped() + rig.agent.frames_taken() - begin, sent);
  EXPECT_GT(rig.dropped("inbox full"), 0u);
  EXPECT_EQ(rig.belongings(), rig.before);
}

TEST(Hostile, AFloodOfSourceAddressesIsBoundedAndAKnownStationOfThePortGoesOn) {
  HostileRig rig;
  Station& victim = rig.station(2, 1);
  ASSERT_TRUE(rig.ask(victim, {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})->response().success());
  for (unsigned n = 0; n < 1000; ++n) {
    Scene of = scene();
    of.attacker = MacAddress(0x02F00D000000ull + n);
    rig.agent.handle_frame(PortId(1), hostile::valid_request(of, vsi(5000), mac(9999), 1), rig.now);
    rig.drain();
  }
  rig.run();
  EXPECT_EQ(rig.agent.ports()[0].peers, limits::kPeersPerPortMax);
  EXPECT_EQ(rig.dropped("too many peers"), 1000 + 2 - limits::kPeersPerPortMax);
  EXPECT_TRUE(rig.ask(victim, {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})->response().success());
  EXPECT_TRUE(rig.ask(victim, {TlvType::kAssociate, vsi(3), {entry(70001, mac(3))}})->response().success());
}

TEST(Hostile, CapabilitiesThatChangeInMidLifeChangeNoTsi) {
  HostileRig rig;
  Station& fickle = rig.station(3, 1);
  ASSERT_TRUE(rig.ask(fickle, {TlvType::kAssociate, vsi(3), {entry(70002, mac(3))}})->response().success());
  const auto active = rig.datapath;
  for (const std::uint32_t flags : {0u, 0xFFFFFFFFu, 1u, vdp::Flags::all().bits()}) {
    fickle.shows->flags = vdp::Flags(flags);
    ++fickle.shows->nonce[0];
    EXPECT_TRUE(rig.ask(fickle, {TlvType::kAssociate, vsi(3), {entry(70002, mac(3))}})->response().success()) << flags;
    ++fickle.shows->epoch;
    EXPECT_TRUE(rig.ask(fickle, {TlvType::kAssociate, vsi(3), {entry(70002, mac(3))}})->response().success()) << flags;
    EXPECT_EQ(rig.tsi(vsi(3), 1, 70002)->state, TsiState::kActivated);
    EXPECT_EQ(rig.datapath, active);
  }
  EXPECT_EQ(rig.tsi(vsi(1), 2)->state, TsiState::kActivated);
}

TEST(Hostile, ExponentsOfAPeerStayWithinOurBounds) {
  AgentConfig config = make_config(2);
  for (auto& port : config.ports) port.evb = true;
  Rig rig(config);
  for (const PortId port : {PortId(1), PortId(2)}) rig.agent.handle_link(port, true, rig.now);
  const auto ours = rig.agent.evb()[0].machine->config().values;
  const auto offer = [&](const evb::Parameters& values) {
    rig.agent.handle_frame(PortId(1), splitnve::test::evb_frame(evb::Role::kStation, station_mac(1), values), rig.now);
    rig.run();
    return rig.agent.evb()[0].machine->operational().values;
  };
  EXPECT_EQ(offer({0, 0, 0, 0}), ours) << "the greater value holds";
  offer({7, 31, 31, 31});
  const auto refused = rig.ask(rig.station(1, 1), {TlvType::kAssociate, vsi(1), {entry(70001, mac(1))}});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->response().code, vdp::Code::kOther) << "refused with a reason, not clamped (S19)";
  EXPECT_TRUE(rig.ask(rig.station(2, 2), {TlvType::kAssociate, vsi(2), {entry(70001, mac(2))}})->response().success())
      << "the other port keeps its own timers";
}

}  // namespace
/// A station that sends as soon as it may, to an authority that takes its time.
TEST(Hostile, AStationThatIsFasterThanTheAuthorityIsHeldBackAndLosesNothing) {
  constexpr unsigned kTsis = limits::kPendingRequestsPerPeerMax + 2000, kPerVdpdu = 30;
  AgentConfig config = make_config(1);
  config.instances_per_station_max = kTsis;
  Rig rig(config);
  Station& station = rig.station(1);
  rig.hold_publish = true;
  unsigned asked = 0, sent = 0;
  const auto send_while_acknowledged = [&] {
    while (asked < kTsis && station.acked == sent) {
      std::vector<Tlv> tlvs;
      for (unsigned n = 0; n < kPerVdpdu && asked < kTsis; ++n, ++asked)
        tlvs.push_back({vdp::TlvType::kAssociate, vsi(asked), {entry(70001, mac(asked))}});
      rig.send(station, tlvs);
      ++sent;
    }
  };
  send_while_acknowledged();
  EXPECT_LT(asked, kTsis);
  EXPECT_LE(rig.tsis(), limits::kPendingRequestsPerPeerMax);
  EXPECT_EQ(rig.dropped("inbox full"), 0u) << "who waits for its acknowledgement meets no full inbox";

  rig.release_publishes();
  send_while_acknowledged();
  EXPECT_EQ(asked, kTsis);
  EXPECT_EQ(rig.tsis(), kTsis);
  EXPECT_EQ(station.received.size(), kTsis);
  EXPECT_TRUE(std::ranges::all_of(station.received, [](const Tlv& tlv) { return tlv.response().success(); }));
  EXPECT_EQ(rig.agent.peers().front().overflow, 0u);
  EXPECT_TRUE(rig.consistent()) << rig.difference();
}

}  // namespace splitnve::nnved::test
