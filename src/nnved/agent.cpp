// SPDX-License-Identifier: Apache-2.0
// Where a received frame goes: handle_frame -> the peer's ECP session -> its inbox -> handle_work -> take_vdpdu -> the
// peer's VDP bridge -> handle_request (decide.cpp) -> works and batches (pipeline.cpp) -> pump -> Transmit.
#include "nnved/agent.hpp"

#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

namespace {

/// Of the stations that might give way to a new one, so many are looked at for one frame.
constexpr unsigned kUnprovenLooks = 8;

MacAddress answered_at(const ecp::Frame& frame) {
  return is_link_group(frame.destination) ? ecp::kNearestCustomerBridge : frame.source;
}

}  // namespace

Impl::Impl(AgentConfig config_, std::uint64_t seed)
    : config(std::move(config_)), random(seed), nonces(agent::secret_of(config.secret, seed)), greeter(nonces.split()) {
  for (std::uint32_t i = 0; i < config.ports.size(); ++i) ports.emplace_back(config, i);
}

void Impl::handle_frame(PortId port, Octets octets, Instant now) {
  const auto port_index = policy.port_index(port);
  if (!port_index) return drop("unknown port");
  if (evb::is_lldp(octets)) return handle_lldp(*port_index, octets, now);
  auto frame = ecp::decode_frame(octets);
  if (!frame) return drop(frame.error().cause);
  if (!config.wire.is_identity()) {
    received.assign(frame->payload.begin(), frame->payload.end());
    config.wire.from_wire(received);
    frame->payload = received;
  }
  const Index peer = peer_for(*port_index, *frame, now);
  if (peer == kNoIndex) return;
  Peer& from = peers[peer];
  touch(peer);
  const auto counter = authenticate(peer, *frame, now);
  if (!counter) return settle(now);
  if (now - from.heard_or_begun() > timing_of(from).keepalive_interval() / 4) from.back_since = now;
  if (from.session.is_stale(*frame, now) && from.exchange.is_new_session(frame->payload)) from.session.begin_anew();
  const auto verdict = from.session.handle_frame(*frame, now);
  from.authentication.handled(verdict, *counter);
  from.hear(verdict, *counter != 0);
  if (from.proven) segments.handle_station(*port_index, from.station, now);
  // A station that speaks to us alone, or looks for us behind bridges, is answered alone, too.
  if (verdict == ecp::Session::Verdict::kDelivered) from.session.set_destination(answered_at(*frame));
  switch (verdict) {
    case ecp::Session::Verdict::kDelivered: enqueue(peer); break;
    case ecp::Session::Verdict::kInboxFull: drop("inbox full"); break;
    case ecp::Session::Verdict::kDuplicate: drop("duplicate"); break;
    case ecp::Session::Verdict::kStale: drop("stale"); break;
    case ecp::Session::Verdict::kAck: ++frames_taken; break;
    case ecp::Session::Verdict::kUnexpectedAck: drop("unexpected acknowledgement"); break;
  }
  settle(now);
}

/// The peer a frame comes from; kNoIndex, and counted, if the frame is none of ours.
Index Impl::peer_for(std::uint32_t port_index, const ecp::Frame& frame, Instant now) {
  const PortConfig& port = config.ports[port_index];
  const MacAddress& own = port.mac;
  const auto known = peer_index.find(PeerKey{port_index, frame.source});
  if (known == peer_index.end() && is_of_bridge(port_index, frame, now)) return kNoIndex;
  const bool to_group = port.group && frame.destination == *port.group;
  if (frame.destination != own && !is_link_group(frame.destination) && !to_group) return drop("not for us"), kNoIndex;
  if (to_group && !port.sole_nnve && !vdp::is_discovery(frame.payload))
    return drop("to the group, and not capabilities alone"), kNoIndex;
  if (frame.source == own) return drop("our own frame"), kNoIndex;
  if (!policy.admits_station(port_index, frame.source)) return drop("station not admitted"), kNoIndex;
  if (known != peer_index.end()) return known->second;
  if (frame.operation != ecp::Operation::kRequest) return drop("acknowledgement from an unknown peer"), kNoIndex;
  if (!has_key(port_index, frame.source)) return drop("authentication: station without a key"), kNoIndex;
  if (port.authentication.mode == auth::Mode::kRequire) return greet(port_index, frame, now);
  if (ports[port_index].peers >= limits::kPeersPerPortMax && !forget_unproven(port_index))
    return drop("too many peers"), kNoIndex;
  return create_peer(port_index, frame.source, answered_at(frame), now);
}

/// Only who has acknowledged something is there for certain: others give way to who comes next.
bool Impl::forget_unproven(std::uint32_t port_index) {
  auto& waiting = ports[port_index].unproven;
  for (unsigned looked = 0; looked < kUnprovenLooks && !waiting.empty(); ++looked) {
    const MacAddress station = waiting.front();
    waiting.pop_front();
    const auto known = peer_index.find(PeerKey{port_index, station});
    if (known == peer_index.end() || peers[known->second].proven) continue;
    if (!is_idle(peers[known->second])) {
      waiting.push_back(station);
      continue;
    }
    forget_peer(known->second);
    return true;
  }
  return false;
}

bool Impl::is_idle(const Peer& peer) const {
  return peer.tsis == 0 && peer.works == 0 && peer.connects == 0 && !peer.queued;
}

Index Impl::create_peer(std::uint32_t port_index, const MacAddress& station, const MacAddress& destination,
                        Instant now) {
  ecp::Session::Config session;
  session.own_mac = config.ports[port_index].mac;
  session.peer_mac = station;
  session.destination = destination;
  session.timing = ports[port_index].ecp;
  session.first_sequence = EcpSequence(static_cast<std::uint16_t>(random()));
  const Index peer =
      peers.emplace(port_index, station, session, ports[port_index].vdp, ports[port_index].decision_deadline(config),
                    new_exchange(port_index), new_authentication(port_index, station), now);
  peers[peer].exchange.set_nonce(nonce_for(peers[peer]), now);
  peers[peer].bridge.set_attributes(&config.vn_attributes);
  peers[peer].bridge.set_vdpdu_octets_max(peers[peer].authentication.vdpdu_octets_max());
  peer_index.emplace(PeerKey{port_index, station}, peer);
  ++ports[port_index].peers;
  ports[port_index].unproven.push_back(station);
  if (ports[port_index].unproven.size() > 2 * limits::kPeersPerPortMax) ports[port_index].unproven.pop_front();
  journal.transition("peer", "port " + config.ports[port_index].interface_name + " station " + station.to_string(),
                     "Unknown", "Known", "first frame");
  tell_bridge(peer);
  touch(peer);
  return peer;
}

void Impl::forget_peer(Index peer) {
  const Peer& gone = peers[peer];
  ensure(gone.tsis == 0 && gone.works == 0 && gone.connects == 0, "forgetting a peer that has TSIs, VNs or requests");
  journal.transition("peer",
                     "port " + config.ports[gone.port_index].interface_name + " station " + gone.station.to_string(),
                     "Known", "Unknown", ports[gone.port_index].up ? "idle" : "link down");
  if (gone.queued) queue.erase(std::find(queue.begin(), queue.end(), peer));
  if (gone.touched) touched.erase(std::find(touched.begin(), touched.end(), peer));
  --ports[gone.port_index].peers;
  if (gone.authentication.authenticator().session() != nullptr) greeter.forget();
  peer_index.erase(PeerKey{gone.port_index, gone.station});
  peer_deadlines.clear(peer);
  peers.erase(peer);
}

bool Impl::handle_work(std::size_t budget, Instant now) {
  for (; budget > 0 && !queue.empty(); --budget) {
    const Index peer = queue.front();
    queue.pop_front();
    take_vdpdu(peer, now);
    peers[peer].queued = false;
    enqueue(peer);  // behind the others: one VDPDU per turn
  }
  settle(now);
  return !queue.empty();
}

/// One whose answers pile up waits: its inbox fills, and then ECP holds it back.
void Impl::enqueue(Index peer) {
  Peer& from = peers[peer];
  if (from.queued || from.session.inbox_size() == 0 || !from.bridge.has_room()) return;
  from.queued = true;
  queue.push_back(peer);
}

void Impl::take_vdpdu(Index peer, Instant now) {
  Peer& from = peers[peer];
  touch(peer);
  const auto vdpdu = from.session.inbox_front();
  if (!vdpdu) return;
  const auto read = from.bridge.handle_vdpdu(*vdpdu, now);
  from.session.pop_inbox();
  if (!read) return drop(read.error().cause);
  ++frames_taken;
  exchanged(peer, from.exchange.handle(*read, now), now);
  if (read->capabilities) adopt_signed_timers(peer, now);
  from.bridge.for_each_received([this](const vdp::Request& request) { tsis.prefetch(request.vsi); });
  // A keep-alive does not ask who has its addresses.
  from.bridge.for_each_received([this](const vdp::Request& request) {
    if (tsis.first_of_vsi(request.vsi) != kNoIndex) return;
    for (const vdp::FilterEntry& entry : request.entries) tsis.prefetch(AddressKey{entry.group, entry.mac});
  });
  while (auto request = from.bridge.poll_request()) handle_request(peer, std::move(*request), now);
  while (const auto request = from.bridge.vns().poll_request()) handle_vn_request(peer, *request, now);
}

vdp::Capabilities Impl::own_capabilities(std::uint32_t port_index) const {
  vdp::Capabilities own;
  own.role = vdp::Role::kBridge;
  own.flags = config.offer;
  own.system = config.system;
  own.epoch = epoch;
  own.timers = agent::local_timers(config.ecp, config.vdp);
  own.segment = config.ports[port_index].segment_id;
  own.vids.push_back({config.ports[port_index].vids.first, config.ports[port_index].vids.last});
  return own;
}

vdp::Exchange Impl::new_exchange(std::uint32_t port_index) {
  vdp::Capabilities own = own_capabilities(port_index);
  own.nonce = new_nonce();
  const Port& port = ports[port_index];
  return {own, {port.ecp.ack_timer(), port.vdp.keepalive_interval()}, config.ports[port_index].legacy};
}

std::array<std::uint8_t, 16> Impl::nonce_for(const Peer& peer) {
  const bool off = peer.authentication.authenticator().mode() == auth::Mode::kOff;
  return off ? peer.exchange.own().nonce : peer.authentication.nonce();
}

/// What the peer has shown, and what it may count on of us.
void Impl::tell_bridge(Index peer) {
  Peer& of = peers[peer];
  of.bridge.set_peer(of.exchange.flags());
  // Formats with IPs are code 1 from one who says that it does not know them; one that has said nothing yet may have
  // heard of us before we restarted.
  const bool told = of.exchange.verdict() == vdp::Exchange::Verdict::kCapable || config.ports[of.port_index].legacy;
  of.bridge.set_offered(told ? config.offer.without(vdp::Flags::all().without(of.exchange.flags())) : config.offer);
}

void Impl::exchanged(Index peer, const vdp::Exchange::Change& change, Instant now) {
  if (change == vdp::Exchange::Change()) return;
  tell_bridge(peer);
  Peer& of = peers[peer];
  const bool capable = of.exchange.verdict() == vdp::Exchange::Verdict::kCapable;
  of.session.set_in_order(capable);
  const std::string who = "port " + config.ports[of.port_index].interface_name + " station " + of.station.to_string();
  if (change.verdict)
    journal.transition("peer", who, "Known", capable ? "Capable" : "Legacy",
                       capable ? "has shown its capabilities" : "speaks without capabilities");
  if (capable && (change.verdict || change.session || change.state_lost)) tell_latches(peer);
  if (!change.state_lost) return;
  journal.notice("nnved.station_state_lost", agent::Notice::Level::kWarning, who);
  begin_ages_anew(peer, now);
}

/// The station's TSIs are stale: what it does not tell again within the usual time goes, nothing at once (S9).
void Impl::begin_ages_anew(Index peer, Instant now) {
  for (Index instance = 0; instance < tsis.rows().slots(); ++instance) {
    if (!tsis.rows().contains(instance) || tsis[instance].peer != peer) continue;
    for (AddressRow& address : tsis[instance].addresses) address.renewed = now;
    ages.set(instance, now + timing_of(peers[peer]).keepalive_timeout());
  }
  for (Index number = 0; number < connects.rows().slots(); ++number)
    if (connects.rows().contains(number) && connects[number].peer == peer) connects[number].renewed = now;
}

void Impl::drop(const char* cause) {
  auto at = drops.find(std::string_view(cause));
  if (at == drops.end()) at = drops.emplace(drops.size() < kDropCausesMax ? cause : "other", 0).first;
  ++at->second;
}

void Impl::touch(Index peer) {
  if (!std::exchange(peers[peer].touched, true)) touched.push_back(peer);
}

void Impl::settle(Instant now) {
  settle_segments(now);
  do {
    while (!rework.empty()) {
      Inflight::Waiting next = std::move(rework.front());
      rework.pop_front();
      asked(next.peer, next.request.id);
      handle_request(next.peer, std::move(next.request), now);
    }
    flush_claims(now);
    flush_commits();
  } while (!rework.empty() || !claims.empty() || !commits.empty() || !connect_commits.empty());
  for (const Index peer : std::exchange(touched, {})) {
    peers[peer].touched = false;
    pump(peer, now);
  }
}

/// The next VDPDU into `scratch`: what the bridge has to say, or our capabilities alone.
bool Impl::compose(Index peer, Instant now) {
  Peer& to = peers[peer];
  const vdp::Capabilities* show = to.exchange.to_show(now);
  if (!to.bridge.compose(scratch, now, show)) {
    if (show == nullptr || !ports[to.port_index].up || !to.exchange.speaks(now)) return false;
    vdp::write_capabilities_only(*show, scratch);
  }
  if (show != nullptr) to.exchange.handle_sent(now);
  return true;
}

void Impl::pump(Index peer, Instant now) {
  Peer& to = peers[peer];
  while (const auto outcome = to.session.poll_outcome()) {
    // Counted from the acknowledgement: until then the station may not even have read it.
    if (to.exchange.verdict() != vdp::Exchange::Verdict::kCapable) to.next_send = now + kLegacyPace;
    switch (*outcome) {
      case ecp::Transmitter::Outcome::kDelivered:
        to.bridge.handle_delivered(now);
        to.exchange.handle_delivered(now);
        break;
      case ecp::Transmitter::Outcome::kFailed:
        to.bridge.handle_delivery_failed(now);
        to.exchange.handle_delivery_failed();
        to.authentication.handle_delivery_failed();
        break;
    }
  }
  enqueue(peer);  // what was delivered made room
  if (to.authentication.may_send() && to.session.ready(now) && now >= to.next_send && compose(peer, now)) {
    to.authentication.send(to.session, scratch, now);
  }
  OctetString frame;
  while (to.authentication.poll_frame(to.session, to.exchange.own(), frame)) {
    if (!to.may_transmit()) continue;
    config.wire.to_wire(ecp::payload_of(frame));
    journal.effects.push_back(agent::Transmit{config.ports[to.port_index].id, std::exchange(frame, {})});
  }
  schedule(peer, now);
}

void Impl::schedule(Index peer, Instant now) {
  const Peer& to = peers[peer];
  auto at = earliest(to.session.next_deadline(), to.bridge.next_deadline());
  at = earliest(at, to.exchange.next_deadline());
  if (to.session.idle() && ports[to.port_index].up && to.authentication.may_send())
    if (const auto speak = to.exchange.speak_at()) at = earliest(at, std::max(*speak, to.next_send));
  if (to.bridge.queued() && to.next_send > now) at = earliest(at, to.next_send);
  if (to.tsis == 0)
    at = earliest(at, std::max(to.heard_or_begun() + kIdlePeerForgotten, now + std::chrono::seconds(1)));
  if (at) {
    peer_deadlines.set(peer, *at);
  } else {
    peer_deadlines.clear(peer);
  }
}

// --- the public face ---

Agent::Agent(AgentConfig config, std::uint64_t seed) : impl_(std::make_unique<Impl>(std::move(config), seed)) {}
Agent::~Agent() = default;

std::size_t Agent::restore(std::span<const agent::StoreRecord> records, Instant now) {
  return impl_->restore(records, now);
}
void Agent::handle_frame(PortId port, Octets frame, Instant now) { impl_->handle_frame(port, frame, now); }
bool Agent::handle_work(std::size_t budget, Instant now) { return impl_->handle_work(budget, now); }
void Agent::handle_time(Instant now) { impl_->handle_time(now); }
void Agent::handle_link(PortId port, bool up, Instant now) { impl_->handle_link(port, up, now); }
void Agent::shut_down(Instant now) { impl_->shut_down(now); }
void Agent::handle_result(const agent::BatchResult& result, Instant now) { impl_->handle_result(result, now); }
std::optional<agent::Effect> Agent::poll_effect() { return impl_->journal.effects.poll(); }
std::optional<Instant> Agent::next_deadline() const { return impl_->next_deadline(); }
const AgentConfig& Agent::config() const { return impl_->config; }

}  // namespace splitnve::nnved
