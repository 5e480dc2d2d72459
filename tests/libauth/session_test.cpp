// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "support.hpp"

namespace splitnve::auth {
namespace {

using ecp::Operation;

/// A sealed VDPDU as its receiver takes it apart.
bool accepts(Session& session, const Envelope& envelope, Octets vdpdu) {
  const auto read = outline(vdpdu);
  return read && read->seal && session.verify(envelope, read->covered, read->seal->tag);
}

struct Ends {
  explicit Ends(const Parties& both = parties(), std::uint8_t bridge_secret = 0x5A)
      : station(key(1, 0x5A), both, vdp::Role::kStation), bridge(key(1, bridge_secret), both, vdp::Role::kBridge) {}
  Session station, bridge;
  Envelope up{kNearestCustomerBridge, parties().station_mac, Operation::kRequest, EcpSequence(5)};
};

OctetString plain() { return octets(vectors::kCases[0].plain); }

TEST(Seal, IsWhatTheVectorsComputedElsewhereSay) {
  for (const auto& c : vectors::kCases) {
    const auto role = c.from_station ? vdp::Role::kStation : vdp::Role::kBridge;
    Session session(Key(KeyId(c.key), array<32>(c.secret)), parties(), role);
    const Envelope envelope{MacAddress(array<6>(c.destination)),
                            c.from_station ? parties().station_mac : parties().bridge_mac,
                            c.ack ? Operation::kAck : Operation::kRequest, EcpSequence(c.sequence)};
    OctetString vdpdu = octets(c.plain);
    if (c.counter == 0)
      session.seal_handshake(envelope, vdpdu);
    else
      session.seal(envelope, vdpdu);
    EXPECT_EQ(vdpdu, octets(c.sealed)) << "key " << c.key << " sequence " << c.sequence;
  }
}

TEST(Seal, IsAcceptedByTheOtherEndAndCountsFromOne) {
  Ends ends;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    OctetString vdpdu = plain();
    ends.station.seal(ends.up, vdpdu);
    EXPECT_TRUE(accepts(ends.bridge, ends.up, vdpdu));
    EXPECT_EQ(outline(vdpdu)->seal->counter, i);
  }
}

TEST(Seal, LeavesPaddingBehindEndOutOfAccount) {
  Ends ends;
  OctetString ack;
  ends.station.seal({kNearestCustomerBridge, parties().station_mac, Operation::kAck, EcpSequence(5)}, ack);
  ack.resize(ack.size() + 30);
  EXPECT_TRUE(
      accepts(ends.bridge, {kNearestCustomerBridge, parties().station_mac, Operation::kAck, EcpSequence(5)}, ack));
}

TEST(Seal, BreaksWithAnyBitOfAnyOctetUpToEnd) {
  Ends ends;
  OctetString vdpdu = plain();
  ends.station.seal(ends.up, vdpdu);
  for (std::size_t at = 0; at + 2 < vdpdu.size(); ++at)
    for (unsigned bit = 0; bit < 8; ++bit) {
      OctetString forged = vdpdu;
      forged[at] = static_cast<std::uint8_t>(forged[at] ^ (1u << bit));
      const auto read = outline(forged);
      const bool named = read && read->seal && read->seal->session == ends.bridge.id() && read->seal->key == 1;
      EXPECT_FALSE(named && accepts(ends.bridge, ends.up, forged)) << "octet " << at << " bit " << bit;
    }
}

TEST(Seal, IsNoneInAnyTruncation) {
  Ends ends;
  OctetString vdpdu = plain();
  ends.station.seal(ends.up, vdpdu);
  for (std::size_t octets = 0; octets + 2 < vdpdu.size(); ++octets)
    EXPECT_FALSE(accepts(ends.bridge, ends.up, Octets(vdpdu).first(octets))) << octets;
}

TEST(Seal, BindsTheEnvelope) {
  Ends ends;
  OctetString vdpdu = plain();
  ends.station.seal(ends.up, vdpdu);
  Envelope other = ends.up;
  other.destination = parties().bridge_mac;
  EXPECT_FALSE(accepts(ends.bridge, other, vdpdu)) << "unicast is not group";
  other = ends.up;
  other.destination = MacAddress(0x03534E000001);
  EXPECT_FALSE(accepts(ends.bridge, other, vdpdu)) << "another group is not the link's";
  other = ends.up;
  other.destination = kNearestBridge;
  EXPECT_TRUE(accepts(ends.bridge, other, vdpdu)) << "the link's groups are one class";
  other = ends.up;
  other.source = MacAddress(0x020000000002);
  EXPECT_FALSE(accepts(ends.bridge, other, vdpdu));
  other = ends.up;
  other.operation = Operation::kAck;
  EXPECT_FALSE(accepts(ends.bridge, other, vdpdu));
  other = ends.up;
  other.sequence = EcpSequence(6);
  EXPECT_FALSE(accepts(ends.bridge, other, vdpdu));
}

TEST(Seal, ReflectedToItsSenderIsRefused) {
  Ends ends;
  OctetString vdpdu = plain();
  ends.station.seal(ends.up, vdpdu);
  EXPECT_FALSE(accepts(ends.station, ends.up, vdpdu));
}

TEST(Seal, OfAnotherSecretOrAnotherContextIsRefused) {
  OctetString vdpdu = plain();
  Ends ends(parties(), 0x5B);
  ends.station.seal(ends.up, vdpdu);
  EXPECT_FALSE(accepts(ends.bridge, ends.up, vdpdu)) << "another PSK";
  EXPECT_EQ(ends.station.id(), ends.bridge.id()) << "the name tells nothing of the secret";
  const auto changed = [](auto&& change) {
    Parties other = parties();
    change(other);
    return Session(key(1, 0x5A), other, vdp::Role::kBridge);
  };
  Session contexts[] = {changed([](Parties& p) { p.station_nonce[0] ^= 1; }),
                        changed([](Parties& p) { p.bridge_nonce[15] ^= 1; }),
                        changed([](Parties& p) { p.station_system[0] ^= 1; }),
                        changed([](Parties& p) { p.bridge_system[0] ^= 1; }),
                        changed([](Parties& p) { p.station_mac = MacAddress(0x020000000002); }),
                        changed([](Parties& p) { p.bridge_mac = MacAddress(0x020000000002); })};
  for (Session& other : contexts) {
    EXPECT_NE(other.id(), ends.station.id());
    EXPECT_FALSE(accepts(other, ends.up, vdpdu));
  }
  Session same_secret(key(2, 0x5A), parties(), vdp::Role::kBridge);
  EXPECT_FALSE(accepts(same_secret, ends.up, vdpdu)) << "another key id";
}

TEST(Outline, RefusesWhatStandsBehindAuthenticationAndTheWrongLength) {
  Ends ends;
  OctetString vdpdu = plain();
  ends.station.seal(ends.up, vdpdu);
  OctetString twice(vdpdu.begin(), vdpdu.end() - 2);
  const OctetString tlv(vdpdu.end() - 42, vdpdu.end());
  twice.insert(twice.end(), tlv.begin(), tlv.end());
  EXPECT_FALSE(outline(twice));
  OctetString longer = octets("fe2702534e06");
  longer.resize(2 + 0x27);
  EXPECT_FALSE(outline(longer));
  EXPECT_TRUE(outline({})) << "an acknowledgement without payload";
}

TEST(Window, TakesEachCounterOnceInAnyOrderWithin64) {
  ReplayWindow window;
  EXPECT_FALSE(window.is_fresh(0, ecp::Operation::kAck));
  for (const std::uint64_t counter : {3u, 1u, 2u, 100u, 37u, 99u}) {
    EXPECT_TRUE(window.is_fresh(counter, ecp::Operation::kAck)) << counter;
    window.spend(counter, ecp::Operation::kAck);
    EXPECT_FALSE(window.is_fresh(counter, ecp::Operation::kAck)) << counter;
  }
  EXPECT_FALSE(window.is_fresh(36, ecp::Operation::kAck)) << "64 behind";
  EXPECT_TRUE(window.is_fresh(38, ecp::Operation::kAck));
  window.spend(~std::uint64_t{0}, ecp::Operation::kAck);
  EXPECT_FALSE(window.is_fresh(100, ecp::Operation::kAck));
  EXPECT_TRUE(window.is_fresh(~std::uint64_t{0} - 63, ecp::Operation::kAck));
}

TEST(Cost, OfOneFrameIsPrinted) {
  Ends ends;
  OctetString large = octets("0a10000000000000000000000000000000000000");
  large.resize(1496 - 40);
  large[20 - 2] = 0xFE;
  large[19] = 0;
  constexpr int kFrames = 20000;
  for (OctetString vdpdu : {plain(), large}) {
    const std::size_t octets = vdpdu.size() + kTlvOctets;
    const auto start = std::chrono::steady_clock::now();
    int valid = 0;
    for (int i = 0; i < kFrames; ++i) {
      OctetString sealed = vdpdu;
      ends.station.seal(ends.up, sealed);
      const Octets covered = Octets(sealed).first(sealed.size() - 18);
      std::array<std::uint8_t, 16> tag;
      std::copy_n(sealed.end() - 18, 16, tag.begin());
      valid += ends.bridge.verify(ends.up, covered, tag);
    }
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
    std::printf("[ cost     ] %zu octets: %lld ns to seal and to check\n", octets,
                static_cast<long long>(took.count() / kFrames));
    EXPECT_EQ(valid, kFrames);
  }
}

}  // namespace
}  // namespace splitnve::auth
