// SPDX-License-Identifier: Apache-2.0
// What time, links and the operator do.
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

std::optional<Instant> Impl::next_deadline() const {
  auto next = earliest(earliest(peer_deadlines.next(), ages.next()), connect_ages.next());
  next = earliest(next, earliest(link_deadlines.next(), evb_deadlines.next()));
  next = earliest(earliest(next, segments.next_deadline()), loser_holds.next());
  next = earliest(next, earliest(vaps.next_deadline(), port_deadlines.next()));
  return earliest(earliest(next, host_traffic.next_deadline()), retry_at);
}

void Impl::handle_time(Instant now) {
  segments.handle_time(now);
  settle_segments(now);
  while (const auto port_index = link_deadlines.pop_due(now)) link_lost(*port_index, now);
  while (const auto port_index = evb_deadlines.pop_due(now)) {
    ports[*port_index].evb->machine().handle_time(now);
    settle_evb(*port_index, now);
  }
  while (const auto port_index = port_deadlines.pop_due(now))
    if (!ports[*port_index].queue.empty()) schedule_port(*port_index);
  // The rest stays due.
  const auto take_due = [now](DeadlineHeap& heap, auto&& handle) {
    for (std::size_t n = 0; n < limits::kDeadlinesPerTurn; ++n) {
      const auto key = heap.pop_due(now);
      if (!key) return;
      handle(*key);
    }
  };
  take_due(peer_deadlines, [&](Index peer) { wake_peer(peer, now); });
  take_due(ages, [&](Index instance) { age(instance, now); });
  take_due(loser_holds, [&](Index instance) { end_loser_hold(instance, now); });
  take_due(connect_ages, [&](Index number) { age_connect(number, now); });
  vaps.handle_time(now);
  if (const auto words = host_traffic.due(now); !words.empty())
    journal.notice("nnved.host_traffic_undecided", agent::Notice::Level::kWarning, words);
  if (retry_at && *retry_at <= now) {
    retry_at.reset();
    append(changes.rows, retry.rows);
    append(changes.records, retry.records);
    append(changes.latches, retry.latches);
    append(changes.signers, retry.signers);
    append(changes.connects, retry.connects);
    changes.epoch |= retry.epoch;
    append(changes.authority, retry.authority);
    append(changes.departed, retry.departed);
    append(changes.tags, retry.tags);
    retry = {};
  }
  settle(now);
}

void Impl::wake_peer(Index peer, Instant now) {
  Peer& woken = peers[peer];
  woken.session.handle_time(now);
  exchanged(peer, woken.exchange.handle_time(now), now);
  while (const auto request = woken.bridge.poll_expired(now)) expire(peer, *request, now);
  if (woken.owes_latches && now >= woken.told_latches + kLatchesToldInterval) tell_latches_paced(peer, now);
  // Answers that nobody acknowledges hold nobody here for ever.
  const Duration patience = woken.bridge.queued() && woken.proven ? 2 * kIdlePeerForgotten : kIdlePeerForgotten;
  if (is_idle(woken) && ports[woken.port_index].lost.empty() && now >= woken.heard_or_begun() + patience)
    return forget_peer(peer);
  touch(peer);
}

/// A link that comes back within the hold time loses nothing (S9); the stations' silence counts from then.
void Impl::handle_link(PortId port, bool up, Instant now) {
  const auto port_index = policy.port_index(port);
  if (!port_index) return;
  if (auto& evb = ports[*port_index].evb) {
    evb->machine().handle_link(up, now);
    settle_evb(*port_index, now);
  }
  if (ports[*port_index].up == up) return;
  Port& state = ports[*port_index];
  state.up = up;
  segments.handle_link(*port_index, up, now);
  settle_segments(now);
  journal.transition("port", "port " + config.ports[*port_index].interface_name, up ? "Down" : "Up", up ? "Up" : "Down",
                     "link");
  if (up) {
    link_deadlines.clear(*port_index);
  } else {
    state.down_since = now;
    link_deadlines.set(*port_index, now + config.ports[*port_index].link_down_hold);
  }
  for (const Index peer : state.members) {
    Peer& one = peers[peer];
    one.silent_since = now;
    if (up) {
      one.unanswered_at.reset();
    } else {
      note_place(peer, false, now);
      one.session.link_down();
      one.exchange.reset(new_nonce());
      one.exchange.set_nonce(nonce_for(one), now);
      tell_bridge(peer);
    }
    touch(peer);
  }
  settle(now);
}

/// The conversation with a station is bound to our address: it begins anew, and the state stays.
void Impl::set_mac(PortId port, const MacAddress& mac, Instant now) {
  const auto port_index = policy.port_index(port);
  if (!port_index || mac.is_zero() || config.ports[*port_index].mac == mac) return;
  config.ports[*port_index].mac = mac;
  if (auto& evb = ports[*port_index].evb) evb->machine().set_own_mac(mac);
  for (const Index peer : ports[*port_index].members) {
    Peer& one = peers[peer];
    one.session.link_down();
    one.session.set_own_mac(mac);
    one.authentication = new_authentication(*port_index, one.station);
    one.exchange.reset(new_nonce());
    one.exchange.set_nonce(nonce_for(one), now);
    tell_bridge(peer);
    touch(peer);
  }
  handle_port_mac(*port_index, mac, now);
}

/// Everything behind the port goes, and the stations: piece by piece, so that others are served meanwhile. Until all is
/// gone nobody is heard there.
void Impl::link_lost(std::uint32_t port_index, Instant now) {
  cancel_requests_of(port_index, now);
  remove_connects_of_port(port_index, std::nullopt, Reason::kNone, now);
  ports[port_index].lost = ports[port_index].members;
  ports[port_index].cascades.clear();
  schedule_port(port_index);
}

/// Nobody is there to answer.
void Impl::cancel_requests_of(std::uint32_t port_index, Instant now) {
  for (const Index peer : std::vector<Index>(ports[port_index].members)) {
    std::vector<VsiId> busy;
    peers[peer].bridge.for_each_deciding([&](const vdp::Request& request) { busy.push_back(request.vsi); });
    sort_unique(busy);
    for (const VsiId& vsi : busy) cancel(peer, vsi, Cancel::kAll, Reason::kLinkDown, now);
  }
  // What is left of them are De-Associates, and what its bridge has answered at a deadline.
  std::vector<Index> left;
  works.for_each([&](Index index, const Work& work) {
    if (!work.dead && work.port_index == port_index) left.push_back(index);
  });
  for (const Index index : left)
    if (works.contains(index)) close_work(index);
}

bool Impl::remove_lost(std::uint32_t port_index, Instant now) {
  Port& port = ports[port_index];
  std::size_t budget = limits::kRemovalsPerTurn;
  while (!port.lost.empty()) {
    const Index peer = port.lost.back();
    for (Index instance = tsis.any_of(peer); instance != kNoIndex; instance = tsis.any_of(peer)) {
      if (budget-- == 0) return true;
      remove_instance(instance, Reason::kNone, info(Reason::kLinkDown).text, now);
    }
    port.lost.pop_back();
    if (peers[peer].works == 0 && peers[peer].connects == 0) forget_peer(peer);
  }
  return false;
}

Ageing::Ageing(const Agent::Impl& impl, const Peer& peer, Instant now_)
    : now(now_),
      timeout(impl.timing_of(peer).keepalive_timeout()),
      interval_(impl.timing_of(peer).keepalive_interval()),
      silence_(now - peer.heard_or_begun()),
      bearable_(std::max(timeout, impl.config.ports[peer.port_index].dead_peer_time)),
      heard_(peer.session.last_heard()),
      back_since_(peer.back_since),
      never_(impl.config.ports[peer.port_index].dead_peer_time == Duration::max()) {
  // During the hold of a lost link nothing ages; whoever is heard after it ages as ever.
  const Port& port = impl.ports[peer.port_index];
  link_up_ = port.up || now >= port.down_since + impl.config.ports[peer.port_index].link_down_hold;
  dead = link_up_ && !never_ && silence_ >= bearable_;
}

bool Ageing::is_over(Instant expires) const {
  return dead || (link_up_ && heard_ >= expires && now >= back_since_ + interval_ / 4);
}

Instant Ageing::next_look() const {
  const Instant soon = now + interval_ / 4;
  return never_ || !link_up_ ? soon : std::min(soon, now + (bearable_ - silence_));
}

/// An address that was not renewed ages alone if its station speaks on after the timeout; a silent station's addresses
/// age together after the dead-peer time (S9). One that was away, perhaps for a restart, gets time to renew what it has
/// before anything of it ages alone.
void Impl::age(Index instance, Instant now) {
  if (!tsis.rows().contains(instance)) return;
  const TsiRow& row = tsis[instance];
  const Peer& peer = peers[row.peer];
  const Ageing ageing(*this, peer, now);
  Instant again = now + ageing.timeout;
  boost::container::small_vector<AddressName, 4> aged;
  for (const AddressRow& address : row.addresses) {
    const Instant expires = std::max(address.renewed, peer.renewed_since) + ageing.timeout;
    if (expires > now) {
      again = std::min(again, expires);
    } else if (tsis.busy(instance, address)) {
      continue;
    } else if (ageing.is_over(expires)) {
      aged.push_back(tsis.name(instance, address));
    } else {
      again = std::min(again, ageing.next_look());
    }
  }
  for (auto name = aged.rbegin(); name != aged.rend(); ++name)
    if (remove_address(instance, *name, Reason::kNone, ageing.words(), now)) return;
  ages.set(instance, again);
}

}  // namespace splitnve::nnved
