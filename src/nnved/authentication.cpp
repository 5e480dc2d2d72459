// SPDX-License-Identifier: Apache-2.0
// Who may speak as a station (S16): between the decoded frame and ECP.
#include "agent/authentication.hpp"

#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

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
  return {own, "port " + port.interface_name + " station " + station.to_string()};
}

std::optional<std::uint64_t> Impl::authenticate(Index peer, const ecp::Frame& frame, Instant now) {
  Peer& from = peers[peer];
  const auto heard = from.authentication.handle_frame(frame, from.session, from.exchange.own(), now, journal.effects);
  if (heard.established) from.exchange.set_nonce(from.authentication.nonce(), now);
  if (heard.shown) exchanged(peer, from.exchange.handle({heard.shown, false}, now), now);
  if (heard.dropped != nullptr) drop(heard.dropped);
  return heard.pass ? std::optional(heard.counter) : std::nullopt;
}

}  // namespace splitnve::nnved
