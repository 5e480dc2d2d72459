// SPDX-License-Identifier: Apache-2.0
// Who may speak as a station (S16): between the decoded frame and ECP.
#include "agent/authentication.hpp"

#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

namespace {

/// Plain hellos on a port, since a session was made there, after which somebody probably has no key.
constexpr unsigned kHellosWithoutSession = 8;
constexpr const char* kDowngrade = "authentication: missing";

}  // namespace

std::shared_ptr<const auth::KeyRing> Impl::keys_of(std::uint32_t port_index, const MacAddress& station) const {
  const PortConfig& port = config.ports[port_index];
  const auto own = std::find_if(port.station_keys.begin(), port.station_keys.end(),
                                [&](const StationKeys& keys) { return keys.station == station; });
  return own == port.station_keys.end() ? port.authentication.keys : own->keys;
}

/// Where a signature is required, a station without a key is not even remembered.
bool Impl::has_key(std::uint32_t port_index, const MacAddress& station) const {
  return config.ports[port_index].authentication.mode != auth::Mode::kRequire ||
         keys_of(port_index, station) != nullptr;
}

agent::Authentication Impl::new_authentication(std::uint32_t port_index, const MacAddress& station) {
  const PortConfig& port = config.ports[port_index];
  auth::Authenticator::Config own;
  own.role = vdp::Role::kBridge;
  own.own_mac = port.mac;
  if (auto keys = keys_of(port_index, station)) {
    own.mode = port.authentication.mode;
    own.keys = std::move(keys);
  }
  if (own.mode != auth::Mode::kOff) own.seed = new_nonce();
  agent::Authentication made(own, "port " + port.interface_name + " station " + station.to_string());
  if (own.mode == auth::Mode::kAccept && signers.has_mac(station, port.interface_name, *own.keys)) made.require();
  return made;
}

Index Impl::greet(std::uint32_t port_index, const ecp::Frame& frame, Instant now) {
  const PortConfig& port = config.ports[port_index];
  const auto refuse = [&](const char* cause) {
    return refuse_unsigned(port_index, frame.source, cause, now), kNoIndex;
  };
  const auto read = auth::outline(frame.payload);
  if (!read) return refuse("authentication: malformed");
  const auto keys = keys_of(port_index, frame.source);
  const vdp::Capabilities own = own_capabilities(port_index);
  const auth::Greeter::Link link{port.id.value(), port.mac, frame.source};
  if (!read->seal) {
    if (!read->capabilities || read->capabilities->role == vdp::Role::kBridge) return refuse("authentication: missing");
    OctetString answer;
    const MacAddress to = is_link_group(frame.destination) ? ecp::kNearestCustomerBridge : frame.source;
    greeter.answer(*read->capabilities, *keys->preferred(), own, link, to, now, answer);
    config.wire.to_wire(ecp::payload_of(answer));
    journal.effects.push_back(agent::Transmit{port.id, std::move(answer)});
    // A station that has the key signs its next frame: nothing is wrong with a few of these.
    if (++ports[port_index].hellos > kHellosWithoutSession || read->others) return refuse("authentication: missing");
    ++frames_taken;
    return kNoIndex;
  }
  if (keys->find(auth::KeyId(read->seal->key)) == nullptr) return refuse("authentication: unknown key");
  auto session = greeter.open(frame, *read, *keys, own, link, now);
  if (!session) return refuse("authentication: unknown session");
  if (ports[port_index].members.size() >= limits::kPeersPerPortMax && !forget_unproven(port_index))
    return drop("too many peers"), kNoIndex;
  ports[port_index].hellos = 0;
  const Index peer = create_peer(port_index, frame.source, ecp::kNearestCustomerBridge, now);
  peers[peer].authentication.adopt(std::move(*session));
  return peer;
}

/// Anybody can make us refuse: one notice a minute and port.
void Impl::refuse_unsigned(std::uint32_t port_index, const MacAddress& station, const char* cause, Instant now) {
  drop(cause);
  Port& port = ports[port_index];
  if (port.unsigned_noticed_at && now < *port.unsigned_noticed_at + std::chrono::minutes(1)) return;
  if (std::string_view(cause) == "authentication: unknown session") return;  // how a restart of ours begins
  port.unsigned_noticed_at = now;
  journal.effects.push_back(agent::unauthenticated(
      "port " + config.ports[port_index].interface_name + " station " + station.to_string(), cause));
}

void Impl::note_signer(Index peer) {
  const Peer& from = peers[peer];
  const auth::Session& session = *from.authentication.authenticator().session();
  const auth::Key* key = keys_of(from.port_index, from.station)->find(session.key());
  ensure(key != nullptr, "a session is under a key of its peer");
  const auto number = signers.note({session.parties().station_system, auth::fingerprint(*key), from.station,
                                    config.ports[from.port_index].interface_name});
  if (number) changes.signers.push_back(*number);
}

bool Impl::is_downgrade(const Peer& peer, const ecp::Frame& frame) const {
  if (peer.authentication.authenticator().mode() != auth::Mode::kAccept) return false;
  const auto read = auth::outline(frame.payload);
  const auto keys = keys_of(peer.port_index, peer.station);
  return read && read->capabilities && keys && signers.has_system(read->capabilities->system, *keys);
}

std::optional<std::uint64_t> Impl::authenticate(Index peer, const ecp::Frame& frame, Instant now) {
  Peer& from = peers[peer];
  const auto heard = from.authentication.handle_frame(frame, from.session, from.exchange.own(), now, journal.effects);
  if (heard.established) {
    note_signer(peer);
    from.session_since = now;
    from.exchange.set_nonce(from.authentication.nonce(), now);
    from.session.set_destination(is_link_group(frame.destination) ? ecp::kNearestCustomerBridge : frame.source);
  }
  if (heard.is_valid) from.proven = true;
  if (!heard.pass) from.hear(ecp::Session::Verdict::kDuplicate, false);
  if (heard.shown) {
    exchanged(peer, from.exchange.handle({heard.shown, false}, now), now);
    adopt_signed_timers(peer, now);
  }
  if (heard.dropped != nullptr) drop(heard.dropped);
  if (heard.pass && heard.counter == 0 && is_downgrade(from, frame)) {
    from.authentication.require();  // from now on its plain frames make a session, and nothing else
    return drop(kDowngrade), std::nullopt;
  }
  return heard.pass ? std::optional(heard.counter) : std::nullopt;
}

}  // namespace splitnve::nnved
