// SPDX-License-Identifier: Apache-2.0
// Any octets as a frame to an end with a session and to one without: nothing but what the other end has signed passes,
// and no session is made or lost by it. First octet: which end hears it, and whether it is changed in one place
// instead.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "splitnve/auth/authenticator.hpp"
#include "splitnve/auth/greeter.hpp"

namespace {

using namespace splitnve;
using auth::Authenticator;

const MacAddress kStation(0x020000000001), kBridge(0x020000000099);

struct End {
  End(vdp::Role role, const MacAddress& mac, std::uint8_t secret) : authenticator(config(role, mac, secret)) {
    own.role = role;
    own.system.fill(static_cast<std::uint8_t>(role));
  }
  static Authenticator::Config config(vdp::Role role, const MacAddress& mac, std::uint8_t secret) {
    auth::Key key;
    key.id = auth::KeyId(1);
    key.secret.fill(secret);
    auth::Nonce seed;
    seed.fill(static_cast<std::uint8_t>(mac.octets()[5]));
    return {auth::Mode::kRequire, std::make_shared<auth::KeyRing>(std::vector{key}), role, mac, seed};
  }
  OctetString says() {
    OctetString frame;
    authenticator.poll_frame(own, kNearestCustomerBridge, frame);
    return frame;
  }
  Authenticator::Judgement hears(Octets octets) {
    const auto frame = ecp::decode_frame(octets);
    if (!frame) {
      Authenticator::Judgement none;
      none.verdict = Authenticator::Verdict::kDrop;
      return none;
    }
    now += std::chrono::milliseconds(20);
    return authenticator.check(*frame, own, now);
  }
  vdp::Capabilities own;
  Authenticator authenticator;
  Instant now = Instant{} + std::chrono::hours(1);
};

OctetString signed_frame(End& station) {
  OctetString vdpdu;
  vdp::write_capabilities_only(station.own, vdpdu);
  station.authenticator.seal(ecp::Operation::kRequest, EcpSequence(7), kNearestCustomerBridge, vdpdu);
  OctetString frame;
  ecp::encode_frame(kNearestCustomerBridge, kStation, ecp::Operation::kRequest, EcpSequence(7), vdpdu, frame);
  return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  End station(vdp::Role::kStation, kStation, 0x5A), bridge(vdp::Role::kBridge, kBridge, 0x5A);
  End alone(vdp::Role::kBridge, kBridge, 0xA5);
  station.authenticator.handle_time(station.now);
  bridge.hears(station.says());
  station.hears(bridge.says());
  bridge.hears(station.says());
  ensure(bridge.authenticator.session() && station.authenticator.session(), "the handshake is complete");
  const auto id = bridge.authenticator.session()->id();

  OctetString frame(data + 3, data + size);
  const bool change = (data[0] & 1) != 0;
  if (change) {
    frame = signed_frame(station);
    // Behind the tag stand End and padding, and the inline tag of another priority would be ECP's to judge.
    constexpr std::size_t kTail = 2;
    const std::size_t at = 6 + (data[1] | data[2] << 8) % (frame.size() - kTail - 6);
    const OctetString before = frame;
    frame[at] = static_cast<std::uint8_t>(frame[at] ^ (data[0] | 2));
  }
  for (End* end : {&bridge, &station, &alone}) {
    const auto judged = end->hears(frame);
    ensure(judged.verdict != Authenticator::Verdict::kPass && !judged.established, "nobody has signed this");
    OctetString answer;
    int answers = 0;
    while (end->authenticator.poll_frame(end->own, kNearestCustomerBridge, answer)) ++answers;
    ensure(answers <= 1, "at most one answer");
  }
  // An end that remembers nobody makes no session of it either, and answers a hello with one frame of its own.
  const auth::Greeter greeter(auth::Greeter::Secret{1});
  const auto read = ecp::decode_frame(frame);
  const auto outline = read ? auth::outline(read->payload) : Decoded<auth::Outline>(auth::Outline{});
  if (read && outline) {
    const auth::KeyRing ring({auth::Key(auth::KeyId(1), {})});
    const auth::Greeter::Link link{1, kBridge, read->source};
    ensure(!greeter.open(*read, *outline, ring, bridge.own, link, bridge.now), "nobody has signed this");
    OctetString answer;
    if (outline->capabilities)
      greeter.answer(*outline->capabilities, *ring.preferred(), bridge.own, link, read->source, bridge.now, answer);
    ensure(answer.empty() || ecp::decode_frame(answer).has_value(), "an answer is a frame");
  }
  ensure(bridge.authenticator.session()->id() == id && !alone.authenticator.session(), "sessions are as they were");
  ensure(bridge.hears(signed_frame(station)).verdict == Authenticator::Verdict::kPass, "the right frame still passes");
  return 0;
}
