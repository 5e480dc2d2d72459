// SPDX-License-Identifier: Apache-2.0
// A station speaks from another port, or with another MAC (RFC 8394 3.2, "port update"; S37). Its TSIs follow one by
// one, each by a request that names it at the new place; the old place forwards until the new rows stand. Whether it is
// the same station a signature proves; without one, that the old place is silent.
#include <algorithm>

#include "agent/announcement.hpp"
#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

namespace {

/// A place that has answered is not asked again for so long.
constexpr Duration kAnsweredHolds = std::chrono::seconds(1);
constexpr Duration kTwiceNoticePause = std::chrono::minutes(1);
constexpr const char* kMovedWords = "its station speaks from another place";

}  // namespace

/// Do both places say that they are one system? Only where the old one has not said who it is does its MAC tell.
bool Impl::is_same_station(Index from, Index to) const {
  if (from == to) return false;
  const auto& new_place = peers[to].exchange.peer();
  const auto& old_place = peers[from].exchange.peer();
  if (old_place) return new_place && old_place->system == new_place->system;
  return peers[from].station == peers[to].station;
}

/// It has said nothing yet at the new place: while the old one is asked it is, too.
bool Impl::may_yet_be_same(Index from, Index to) const {
  return from != to && peers[from].exchange.peer() && !peers[to].exchange.peer() &&
         peers[from].station == peers[to].station && !config.ports[peers[to].port_index].legacy;
}

/// (a) The session at the new place is the younger one, under the station's own key, or a shared one of the same port.
bool Impl::is_proven_by_key(Index from, Index to) const {
  const Peer& old_place = peers[from];
  const Peer& new_place = peers[to];
  if (new_place.session_since <= old_place.session_since) return false;
  const auto key_of = [this](const Peer& peer) {
    const auto* session = peer.authentication.authenticator().session();
    const auto keys = keys_of(peer.port_index, peer.station);
    const auto* key = session == nullptr || !keys ? nullptr : keys->find(session->key());
    return key == nullptr ? std::uint64_t{0} : auth::fingerprint(*key);
  };
  const std::uint64_t key = key_of(new_place);
  if (key == 0 || key != key_of(old_place)) return false;
  const auto has_own_key = [this](const Peer& peer) {
    return std::ranges::any_of(config.ports[peer.port_index].station_keys,
                               [&](const StationKeys& keys) { return keys.station == peer.station; });
  };
  return old_place.port_index == new_place.port_index || (has_own_key(old_place) && has_own_key(new_place));
}

/// (b) Where stations without a signature may move at all.
bool Impl::may_move_unsigned(std::uint32_t from, std::uint32_t to) const {
  const PortConfig& old_port = config.ports[from];
  const PortConfig& new_port = config.ports[to];
  const auto both = [&](StationMoves moves) {
    return old_port.station_moves == moves && new_port.station_moves == moves;
  };
  if (old_port.station_moves == StationMoves::kNone || new_port.station_moves == StationMoves::kNone) return false;
  if (from == to || both(StationMoves::kAny)) return true;
  if (!old_port.segment.empty() && old_port.segment == new_port.segment) return true;
  return segments.is_direct(from) && segments.is_direct(to);
}

/// A place that has signed, or has to: restored ones have no session yet.
bool Impl::has_to_sign(Index peer) const {
  const auto& authenticator = peers[peer].authentication.authenticator();
  return authenticator.session() != nullptr || authenticator.mode() == auth::Mode::kRequire;
}

/// Its link is down, or it was asked just now and has not answered. An old silence proves nothing.
bool Impl::is_silent(Index place, Instant now) const {
  const Peer& one = peers[place];
  return !ports[one.port_index].up || (one.unanswered_at && now < *one.unanswered_at + kAnsweredHolds);
}

/// Has the station left the old place, as far as we know without asking?
bool Impl::is_left(Index from, Index to) const {
  if (!is_same_station(from, to)) return false;
  if (is_authenticated(to)) return is_authenticated(from) && is_proven_by_key(from, to);
  if (has_to_sign(from)) return false;  // (c)
  return may_move_unsigned(peers[from].port_index, peers[to].port_index) &&
         (peers[from].unanswered_at || !ports[peers[from].port_index].up);
}

/// May what is at the old place follow to the new one? Where only silence can tell, the old place is asked first.
Impl::StationMove Impl::judge_move(Index from, Index to, Instant now) {
  const bool same = is_same_station(from, to);
  if (!same && (!may_yet_be_same(from, to) || is_silent(from, now))) return StationMove::kNone;
  if (is_left(from, to) && (is_authenticated(to) || is_silent(from, now)))
    return admits_move(from, to, now) ? StationMove::kAdmitted : StationMove::kNone;
  const bool unsigned_move = !is_authenticated(to) && !has_to_sign(from);
  if (!unsigned_move || !may_move_unsigned(peers[from].port_index, peers[to].port_index)) return StationMove::kNone;
  if (peers[from].answered_at && now < *peers[from].answered_at + kAnsweredHolds) {
    note_twice(from, to, now);
    return StationMove::kNone;
  }
  peers[from].asked = true;
  asked_place = from;
  touch(from);
  return StationMove::kAsks;
}

/// The move of a station counts once, not each of its TSIs.
bool Impl::admits_move(Index from, Index to, Instant now) {
  Peer& mover = peers[to];
  if (mover.moved_from == peers[from].key()) return true;
  if (!ports[mover.port_index].station_moves.take(now)) return false;
  mover.moved_from = peers[from].key();
  peers[from].moved_from.reset();
  journal.notice("nnved.station_moved", agent::Notice::Level::kInfo,
                 "station " + mover.station.to_string() + " speaks at port " +
                     config.ports[mover.port_index].interface_name + " instead of " + peers[from].station.to_string() +
                     " at port " + config.ports[peers[from].port_index].interface_name);
  return true;
}

void Impl::note_twice(Index from, Index to, Instant now) {
  Port& port = ports[peers[to].port_index];
  if (port.twice_noticed_at && now < *port.twice_noticed_at + kTwiceNoticePause) return;
  port.twice_noticed_at = now;
  journal.notice("STATION_TWICE", agent::Notice::Level::kError,
                 "station " + peers[to].station.to_string() + " at port " +
                     config.ports[peers[to].port_index].interface_name + " says that it is station " +
                     peers[from].station.to_string() + ", which answers at port " +
                     config.ports[peers[from].port_index].interface_name + ": nothing moves");
}

// --- requests that wait for what the old place says ---

void Impl::park(Index peer, vdp::Request request) {
  ask(peer, request.id, request.vsi);
  parked.push_back({asked_place, peer, std::move(request)});
}

/// The bridge has answered it, or nobody is there any longer. False: it is not one of these.
bool Impl::unpark(Index peer, vdp::RequestId request) {
  const auto is_it = [&](const Parked& one) { return one.to == peer && one.request.id == request; };
  if (std::erase_if(parked, is_it) == 0) return false;
  asked(peer, request);
  return true;
}

/// Something new came from there, or what was sent there was not acknowledged. Only an answer to a question counts: an
/// old silence proves nothing now.
void Impl::note_place(Index peer, bool answers, Instant now) {
  Peer& place = peers[peer];
  if (answers) place.unanswered_at.reset();
  if (!std::exchange(place.asked, false)) return;
  const bool awaited = std::ranges::any_of(parked, [peer](const Parked& one) { return one.from == peer; });
  if (!answers) place.unanswered_at = now;
  if (answers && awaited) place.answered_at = now;
  places_heard.push_back(peer);
}

void Impl::resume_moves(Instant now) {
  for (const Index place : std::exchange(places_heard, {})) {
    std::vector<Parked> ready;
    std::erase_if(parked, [&](Parked& one) {
      if (one.from != place) return false;
      ready.push_back(std::move(one));
      return true;
    });
    for (Parked& one : ready) {
      asked(one.to, one.request.id);
      if (peers[one.to].bridge.state(one.request.id) != vdp::Bridge::RequestState::kDeciding) continue;
      if (const auto busy = inflight.find(one.request.vsi); busy != inflight.end())
        await_turn(one.to, std::move(one.request), busy->second, now);
      else
        associate(one.to, one.request, now);
    }
  }
  for (const Left& left : std::exchange(left_places, {})) {
    if (!tsis.rows().contains(left.instance) || tsis[left.instance].vsi != left.vsi) continue;
    if (tsis[left.instance].vn != left.key.vn) continue;
    const AddressRow* address = tsis.find_address(left.instance, left.key.mac);
    if (address == nullptr || tsis.busy(left.instance, *address)) continue;
    remove_address(left.instance, left.key.mac, Reason::kNone, kMovedWords, now);
  }
}

/// The new rows stand: what the station has left behind goes, without a word to a place where it is not.
void Impl::leave_old_places(const Work& work) {
  for (const Touch& touch : work.touches) {
    if (!touch.name.ip.is_none() || touch.name.mac.is_zero()) continue;
    if (told_latched.contains({work.vsi, touch.vn})) note_told(work.peer, work.vsi, touch.vn);
    const AddressKey key{touch.vn, touch.name.mac};
    const AddressRow* here = tsis.find_address(touch.instance, touch.name.mac);
    tsis.for_each_holder(key, [&](Index holder, const AddressRow& there) {
      // What is active there does not end by a reservation here.
      if (holder == touch.instance || here == nullptr || there.level > here->level) return;
      if (is_left(tsis[holder].peer, work.peer)) left_places.push_back({holder, work.vsi, key});
    });
  }
}

// --- frames of a TSI at a port that is not its own ---

/// The station whose TSI it is. The tag tells the VN, as it is on the TSI's own port.
Index Impl::place_of_stray(std::uint32_t port_index, Vid vid, const MacAddress& mac) const {
  for (std::uint32_t i = 0; i < config.ports.size(); ++i) {
    const Index vap = i == port_index ? kNoIndex : vaps.find_tag(config.ports[i].id, vid);
    const Owner* owner = vap == kNoIndex ? nullptr : tsis.owner({vaps[vap].vn, mac});
    if (owner == nullptr || owner->active == kNoIndex) continue;
    const Index place = tsis[owner->active].peer;
    if (peers[place].port_index == i) return place;
  }
  return kNoIndex;
}

/// Is the station there? It is asked at both ports, and moves what it moves by its own word.
void Impl::handle_stray(std::uint32_t port_index, Vid vid, const MacAddress& mac, Instant now) {
  if (!ports[port_index].up || !ports[port_index].strays.take(now)) return;
  const Index place = place_of_stray(port_index, vid, mac);
  if (place == kNoIndex) return;
  const bool by_key = config.ports[port_index].authentication.mode != auth::Mode::kOff;
  if (!by_key && !may_move_unsigned(peers[place].port_index, port_index)) return;
  vdp::Capabilities own = own_capabilities(port_index);
  own.nonce = announced_nonce;
  OctetString question = agent::announcement(own, config.ports[port_index].mac, peers[place].station);
  config.wire.to_wire(ecp::payload_of(question));
  journal.effects.push_back(agent::Transmit{config.ports[port_index].id, std::move(question)});
  peers[place].asked = ports[peers[place].port_index].up;
  touch(place);
  settle(now);
}

void Agent::handle_stray(PortId port, Vid vid, const MacAddress& mac, Instant now) {
  if (const auto port_index = impl_->policy.port_index(port)) impl_->handle_stray(*port_index, vid, mac, now);
}

}  // namespace splitnve::nnved
