// SPDX-License-Identifier: Apache-2.0
// The handshake of a bridge that remembers nobody before a signature (S40).
#include "splitnve/auth/greeter.hpp"

#include <gtest/gtest.h>

#include "splitnve/auth/authenticator.hpp"

namespace splitnve::auth::test {
namespace {

using namespace std::chrono_literals;

const MacAddress kStation(0x020000000001), kBridge(0x020000000099);
constexpr Greeter::Secret kSecret{7};

KeyRing ring(std::uint8_t secret) {
  std::array<std::uint8_t, kKeyOctets> octets{};
  octets.fill(secret);
  return KeyRing({Key(KeyId(1), octets)});
}

struct Begin {
  Begin() {
    bridge.role = vdp::Role::kBridge;
    bridge.system.fill(2);
    station.system.fill(1);
    Authenticator::Config config;
    config.mode = Mode::kRequire;
    config.keys = std::make_shared<KeyRing>(ring(0x5A));
    config.own_mac = kStation;
    ours.emplace(config);
    station.nonce = ours->nonce();
  }
  /// The station has heard the bridge's answer, and signs.
  OctetString signed_frame(const Greeter& greeter) {
    OctetString answer, out;
    greeter.answer(station, *keys.preferred(), bridge, link, kStation, now, answer);
    EXPECT_TRUE(ours->check(*ecp::decode_frame(answer), station, now).established);
    OctetString vdpdu;
    vdp::write_capabilities_only(station, vdpdu);
    ours->seal(ecp::Operation::kRequest, EcpSequence(1), kBridge, vdpdu);
    ecp::encode_frame(kBridge, kStation, ecp::Operation::kRequest, EcpSequence(1), vdpdu, out);
    return out;
  }
  bool opens(const Greeter& greeter, const OctetString& frame, const KeyRing& with, const Greeter::Link& at,
             Instant when) {
    const auto read = ecp::decode_frame(frame);
    return greeter.open(*read, *outline(read->payload), with, bridge, at, when).has_value();
  }

  vdp::Capabilities station, bridge;
  std::optional<Authenticator> ours;
  KeyRing keys = ring(0x5A);
  Greeter::Link link{3, kBridge, kStation};
  Instant now{3600s};
};

TEST(Greeter, KnowsItsNonceAgainForTwoSlots) {
  Begin begin;
  const Greeter greeter(kSecret);
  const OctetString frame = begin.signed_frame(greeter);
  EXPECT_TRUE(begin.opens(greeter, frame, begin.keys, begin.link, begin.now));
  EXPECT_TRUE(begin.opens(greeter, frame, begin.keys, begin.link, begin.now + 19s));
  EXPECT_FALSE(begin.opens(greeter, frame, begin.keys, begin.link, begin.now + 20s));
}

TEST(Greeter, TakesNothingSaidElsewhereOrUnderAnotherKey) {
  Begin begin;
  const Greeter greeter(kSecret), another(Greeter::Secret{8});
  const OctetString frame = begin.signed_frame(greeter);
  EXPECT_FALSE(begin.opens(another, frame, begin.keys, begin.link, begin.now)) << "another process";
  EXPECT_FALSE(begin.opens(greeter, frame, ring(0x77), begin.link, begin.now));
  EXPECT_FALSE(begin.opens(greeter, frame, begin.keys, {4, kBridge, kStation}, begin.now)) << "another port";
  EXPECT_FALSE(begin.opens(greeter, frame, begin.keys, {3, kBridge, MacAddress(0x020000000002)}, begin.now));
  for (std::size_t i = 18; i + 2 < frame.size(); ++i) {
    OctetString changed = frame;
    changed[i] ^= 0x10;
    const auto read = ecp::decode_frame(changed);
    const auto out = outline(read->payload);
    EXPECT_TRUE(!out || !greeter.open(*read, *out, begin.keys, begin.bridge, begin.link, begin.now)) << i;
  }
}

TEST(Greeter, ForgetsWhatItSaidWhenASessionHasEnded) {
  Begin begin;
  Greeter greeter(kSecret);
  const OctetString frame = begin.signed_frame(greeter);
  greeter.forget();
  EXPECT_FALSE(begin.opens(greeter, frame, begin.keys, begin.link, begin.now));
}

}  // namespace
}  // namespace splitnve::auth::test
