// SPDX-License-Identifier: Apache-2.0
#include "splitnve/auth/greeter.hpp"

#include <algorithm>

namespace splitnve::auth {
namespace {

/// The sequence of hellos: ECP never sees it.
constexpr EcpSequence kHelloSequence{0};

std::int64_t slot_of(Instant now) { return now.time_since_epoch() / Greeter::kSlot; }

}  // namespace

Parties Greeter::parties(const vdp::Capabilities& shown, const vdp::Capabilities& own, const Link& link,
                         std::int64_t slot) const {
  std::array<std::uint8_t, 8 + 8 + 4 + 6 + 6 + 16 + 16> room;
  BoundedWriter writer(room);
  writer.u64(generation_);
  writer.u64(static_cast<std::uint64_t>(slot));
  writer.u32(link.port);
  writer.octets(link.own_mac.octets());
  writer.octets(link.station.octets());
  writer.octets(shown.system);
  writer.octets(shown.nonce);
  const auto digest = mac_(Octets(room).first(writer.size()));
  Parties out{shown.nonce, {}, shown.system, own.system, link.station, link.own_mac};
  std::copy_n(digest.begin(), out.bridge_nonce.size(), out.bridge_nonce.begin());
  return out;
}

void Greeter::answer(const vdp::Capabilities& shown, const Key& key, const vdp::Capabilities& own, const Link& link,
                     const MacAddress& destination, Instant now, OctetString& out) const {
  const Parties between = parties(shown, own, link, slot_of(now));
  vdp::Capabilities ours = own;
  ours.nonce = between.bridge_nonce;
  OctetString payload;
  vdp::write_capabilities_only(ours, payload);
  Session session(key, between, vdp::Role::kBridge);
  session.seal_handshake({destination, link.own_mac, ecp::Operation::kRequest, kHelloSequence}, payload);
  ecp::encode_frame(destination, link.own_mac, ecp::Operation::kRequest, kHelloSequence, payload, out);
}

std::optional<Session> Greeter::open(const ecp::Frame& frame, const Outline& read, const KeyRing& keys,
                                     const vdp::Capabilities& own, const Link& link, Instant now) const {
  if (!read.seal || !read.capabilities || frame.operation != ecp::Operation::kRequest) return std::nullopt;
  const Key* key = keys.find(KeyId(read.seal->key));
  if (key == nullptr) return std::nullopt;
  for (const std::int64_t back : {0, 1}) {
    const Parties between = parties(*read.capabilities, own, link, slot_of(now) - back);
    if (session_id(key->id, between) != read.seal->session) continue;
    Session session(*key, between, vdp::Role::kBridge);
    const Envelope envelope{frame.destination, frame.source, frame.operation, frame.sequence};
    if (session.verify(envelope, read.covered, read.seal->tag)) return session;
  }
  return std::nullopt;
}

}  // namespace splitnve::auth
