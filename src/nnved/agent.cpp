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
/// Deadlines of stations that have not acknowledged anything yet are kept at multiples of this, or of an eighth of the
/// ack timer.
constexpr Duration kBundled = std::chrono::milliseconds(1);

Instant rounded_up(Instant at, Duration grain) {
  const Duration past = at.time_since_epoch() % grain;
  return past == Duration::zero() ? at : at + grain - past;
}

MacAddress answered_at(const ecp::Frame& frame) {
  return is_link_group(frame.destination) ? ecp::kNearestCustomerBridge : frame.source;
}

}  // namespace

Impl::Tables::Tables(const AgentConfig& config)
    : tsis(config.instances_max, config.instances_per_port_max, config.ports.size()),
      waiting(limits::kWaitingOctetsMax, 0, config.ports.size()),
      works(limits::kWorksMax, 0, config.ports.size()) {}

Impl::Impl(AgentConfig config_, std::uint64_t seed)
    : config(std::move(config_)),
      address_shares{Shares(config.instances_max, 0, config.ports.size()),
                     Shares(std::uint64_t{limits::kIpRowsPerInstance} * config.instances_max, config.ips_per_port_max,
                            config.ports.size())},
      random(seed),
      nonces(agent::secret_of(config.secret, seed)),
      greeter(nonces.split()) {
  all_changes = Pace(config.changes_per_second_max, config.changes_per_second_max);
  for (std::uint32_t i = 0; i < config.ports.size(); ++i) {
    ports.emplace_back(config, i);
    const double all = config.changes_per_second_max;
    const double share = config.changes_per_second_per_port_max != 0 ? config.changes_per_second_per_port_max
                         : config.ports.size() == 1                  ? all
                                                                     : all / 2;
    ports.back().changes = Pace(share, share);
    ports.back().lldp = Pace(limits::kLldpFramesPerSecond, limits::kLldpFramesBurst);
    ports.back().refusal_notices = Pace(limits::kRefusalNoticesPerSecond, limits::kRefusalNoticesBurst);
    ports.back().segment_notices = Pace(limits::kSegmentNoticesPerSecond, limits::kSegmentNoticesBurst);
  }
}

void Impl::handle_frame(PortId port, Octets octets, Instant now) {
  const auto port_index = policy.port_index(port);
  if (!port_index) return drop("unknown port");
  if (!ports[*port_index].lost.empty()) return drop("its port is still being cleared after a lost link");
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
  if (from.authentication.begins_anew(*frame, *counter, from.session, from.exchange, now)) from.session.begin_anew();
  const auto verdict = from.session.handle_frame(*frame, now);
  from.authentication.handled(verdict, *counter);
  from.hear(verdict, *counter != 0);
  if (verdict == ecp::Session::Verdict::kAck || verdict == ecp::Session::Verdict::kDelivered)
    note_place(peer, true, now);  // what is repeated anybody can repeat
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
  if (ports[port_index].members.size() >= limits::kPeersPerPortMax && !forget_unproven(port_index))
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
  ports[port_index].members.push_back(peer);
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
  Port& port = ports[gone.port_index];
  if (gone.queued) port.queue.erase(std::find(port.queue.begin(), port.queue.end(), peer));
  if (gone.held_back) port.held_back.erase(std::find(port.held_back.begin(), port.held_back.end(), peer));
  if (gone.touched) touched.erase(std::find(touched.begin(), touched.end(), peer));
  if (gone.authentication.authenticator().session() != nullptr) greeter.forget();
  std::erase_if(port.cascades, [peer](const Cascade& one) { return one.peer == peer; });
  port.members.erase(std::find(port.members.begin(), port.members.end(), peer));
  tables.waiting.remove(gone.port_index, gone.waiting_octets);
  peer_index.erase(PeerKey{gone.port_index, gone.station});
  peer_deadlines.clear(peer);
  peers.erase(peer);
}

/// Ports take turns, and at a port its peers do, one VDPDU each; what a VDPDU asks for is what it costs.
bool Impl::handle_work(std::size_t budget, Instant now) {
  for (std::size_t cost = 0; budget > 0 && !round.empty(); budget -= std::min(budget, cost)) {
    const std::uint32_t port_index = round.front();
    round.pop_front();
    ports[port_index].scheduled = false;
    cost = work_at(port_index, now);
  }
  settle(now);
  return !round.empty();
}

std::size_t Impl::work_at(std::uint32_t port_index, Instant now) {
  Port& port = ports[port_index];
  if (!port.lost.empty()) {
    if (remove_lost(port_index, now) || !port.queue.empty()) schedule_port(port_index);
    return limits::kRemovalsPerTurn;
  }
  if (!port.cascades.empty()) {
    remove_cascade(port_index, now);
    schedule_port(port_index);
    return limits::kRemovalsPerTurn;
  }
  if (port.queue.empty()) return 1;
  const Index peer = port.queue.front();
  const bool waits_for_time = !port.changes.has(now) || !all_changes.has(now);
  if (waits_for_time) {
    port_deadlines.set(port_index, std::max(port.changes.next(now), all_changes.next(now)));
    return 1;
  }
  port.queue.pop_front();
  const std::size_t cost = 1 + take_vdpdu(peer, now);
  peers[peer].queued = false;
  account(peer);
  enqueue(peer);  // behind the others
  if (!port.queue.empty()) schedule_port(port_index);
  return cost;
}

void Impl::schedule_port(std::uint32_t port_index) {
  if (!std::exchange(ports[port_index].scheduled, true)) round.push_back(port_index);
}

/// Whose answers pile up waits: its inbox fills, and then ECP holds it back. So does whose port's share is used up,
/// but for one VDPDU of each station.
bool Impl::has_room(Index peer) const {
  const Peer& from = peers[peer];
  if (!from.bridge.has_room()) return false;
  if (from.waiting_octets == 0 && from.works == 0) return true;
  return tables.waiting.admits(from.port_index, vdp::Bridge::kVdpduOctetsHeldMax) &&
         tables.works.admits(from.port_index, vdp::Bridge::kVdpduRequestsMax);
}

void Impl::enqueue(Index peer) {
  Peer& from = peers[peer];
  if (from.queued || from.session.inbox_size() == 0) return;
  Port& port = ports[from.port_index];
  if (!has_room(peer)) {
    if (from.bridge.has_room() && !std::exchange(from.held_back, true)) port.held_back.push_back(peer);
    return;
  }
  from.queued = true;
  port.queue.push_back(peer);
  schedule_port(from.port_index);
}

void Impl::account(Index peer) {
  Peer& of = peers[peer];
  const std::size_t before = std::exchange(of.waiting_octets, of.bridge.held_octets());
  if (before == of.waiting_octets) return;
  tables.waiting.set(of.port_index, tables.waiting.used(of.port_index) - before + of.waiting_octets);
  if (before > of.waiting_octets) resume_held_back(of.port_index);
}

/// Room came back to the port: as many go on as it is for.
void Impl::resume_held_back(std::uint32_t port_index) {
  Port& port = ports[port_index];
  while (!port.held_back.empty() && has_room(port.held_back.front())) {
    const Index next = port.held_back.front();
    port.held_back.pop_front();
    peers[next].held_back = false;
    const bool was_queued = peers[next].queued;
    enqueue(next);
    if (!was_queued && peers[next].queued) return;  // what it brings is counted first
  }
}

std::size_t Impl::take_vdpdu(Index peer, Instant now) {
  Peer& from = peers[peer];
  touch(peer);
  const auto vdpdu = from.session.inbox_front();
  if (!vdpdu) return 0;
  const auto read = from.bridge.handle_vdpdu(*vdpdu, now);
  from.session.pop_inbox();
  if (!read) return drop(read.error().cause), 0;
  ++frames_taken;
  exchanged(peer, from.exchange.handle(*read, now), now);
  take_let_go(peer);
  if (read->capabilities) adopt_signed_timers(peer, now);
  std::size_t brought = 0;
  from.bridge.for_each_received([&](const vdp::Request& request) {
    brought += 1 + request.entries.size();
    tsis.prefetch(request.vsi, peer);
  });
  // A keep-alive does not ask who has its addresses.
  from.bridge.for_each_received([&](const vdp::Request& request) {
    if (tsis.has(request.vsi, peer)) return;
    for (const vdp::FilterEntry& entry : request.entries) tsis.prefetch(AddressKey{entry.group, entry.mac});
  });
  while (auto request = from.bridge.poll_request()) handle_request(peer, std::move(*request), now);
  while (const auto request = from.bridge.vns().poll_request()) {
    handle_vn_request(peer, *request, now);
    ++brought;
  }
  return brought;
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
  const std::string who = change.verdict || change.state_lost ? "port " + config.ports[of.port_index].interface_name +
                                                                    " station " + of.station.to_string()
                                                              : std::string();
  if (change.verdict)
    journal.transition("peer", who, "Known", capable ? "Capable" : "Legacy",
                       capable ? "has shown its capabilities" : "speaks without capabilities");
  if (capable && (change.verdict || change.session || change.state_lost)) tell_latches_paced(peer, now);
  if (!change.state_lost) return;
  if (ports[of.port_index].state_notices.take(now))
    journal.notice("nnved.station_state_lost", agent::Notice::Level::kWarning, who);
  of.renewed_since = now;
}

/// One that begins anew again and again is told once a second.
void Impl::tell_latches_paced(Index peer, Instant now) {
  Peer& of = peers[peer];
  of.owes_latches = now < of.told_latches + kLatchesToldInterval;
  if (of.owes_latches) return;
  of.told_latches = now;
  tell_latches(peer);
  tell_held(peer);
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
    resume_moves(now);
    let_back();
    do {
      take_turns(now);
      flush_claims(now);
      flush_commits();
    } while (!turns.empty() || !claims.empty() || !commits.empty() || !connect_commits.empty());
    for (const Index peer : std::exchange(touched, {})) {
      peers[peer].touched = false;
      pump(peer, now);
    }
  } while (!places_heard.empty() || !left_places.empty());
}

/// The next VDPDU into `scratch`: what the bridge has to say, or our capabilities alone.
bool Impl::compose(Index peer, Instant now) {
  Peer& to = peers[peer];
  const vdp::Capabilities* show = to.exchange.to_show(now);
  if (!to.bridge.compose(scratch, now, show)) {
    if (!ports[to.port_index].up) return false;
    if (show != nullptr && to.exchange.speaks(now)) {
      vdp::write_capabilities_only(*show, scratch);
    } else if (to.asked) {
      show = nullptr;
      vdp::write_question(scratch);
    } else {
      return false;
    }
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
        note_place(peer, false, now);
        break;
    }
  }
  account(peer);
  enqueue(peer);  // what was delivered made room
  // Other stations of the segment would take for theirs what goes to the group; a legacy station looks there only.
  if (!is_legacy(peer) && !is_authenticated(peer)) to.session.set_destination(to.station);
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
  // Deadlines of unproven stations are bundled, so that a flood of them costs few wake-ups.
  auto at = to.session.next_deadline();
  if (to.tsis == 0)
    at = earliest(at, std::max(to.heard_or_begun() + kIdlePeerForgotten, now + std::chrono::seconds(1)));
  if (at && !to.proven) *at = rounded_up(*at, std::max(ports[to.port_index].ecp.ack_timer() / 8, kBundled));
  at = earliest(at, to.bridge.next_deadline());
  if (to.owes_latches) at = earliest(at, to.told_latches + kLatchesToldInterval);
  at = earliest(at, to.exchange.next_deadline());
  if (to.session.idle() && ports[to.port_index].up && to.authentication.may_send())
    if (const auto speak = to.exchange.speak_at()) at = earliest(at, std::max(*speak, to.next_send));
  if ((to.bridge.queued() || to.asked) && to.next_send > now) at = earliest(at, to.next_send);
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
void Agent::handle_stall(Duration gap, Instant now) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(gap).count();
  impl_->journal.notice("nnved.stalled", agent::Notice::Level::kWarning, "for_ms=" + std::to_string(ms));
  impl_->settle(now);
}
void Agent::handle_link(PortId port, bool up, Instant now) { impl_->handle_link(port, up, now); }
void Agent::set_mac(PortId port, const MacAddress& mac, Instant now) { impl_->set_mac(port, mac, now); }
void Agent::shut_down(Instant now) { impl_->shut_down(now); }
void Agent::handle_result(const agent::BatchResult& result, Instant now) { impl_->handle_result(result, now); }
std::optional<agent::Effect> Agent::poll_effect() { return impl_->journal.effects.poll(); }
std::optional<Instant> Agent::next_deadline() const { return impl_->next_deadline(); }
const AgentConfig& Agent::config() const { return impl_->config; }

}  // namespace splitnve::nnved
