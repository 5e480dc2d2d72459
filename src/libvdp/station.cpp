// SPDX-License-Identifier: Apache-2.0
// Station transactions: intent, queues and timers. Requests are written in station_requests.cpp, what the peer says is
// in station_answers.cpp.
#include "splitnve/vdp/station.hpp"

#include <algorithm>
#include <utility>

#include "splitnve/base/limits.hpp"

namespace splitnve::vdp {
namespace {

/// Doubling further would pass any cap.
constexpr std::uint8_t kBackoffDoublingsMax = 20;

/// How many keep-alives are sent together where there are as many, a few full VDPDUs, and by which part of the interval
/// one may be early for that.
constexpr std::size_t kRenewalsTogether = 64 * 37;
constexpr int kSoonOfInterval = 32;
/// Rows that are asked of the memory before the first of them is looked at.
constexpr std::size_t kRowsAhead = 64;

/// Spreads neighbouring numbers over 0..1023.
std::uint32_t spread(std::uint32_t handle) { return (handle * 2654435761u) >> 22; }

}  // namespace

const char* to_string(Level level) {
  switch (level) {
    case Level::kNone: return "none";
    case Level::kReserved: return "reserved";
    case Level::kActive: return "active";
  }
  return "?";
}

// --- intent ---

Station::Handle Station::open(const Spec& spec) {
  static_assert(sizeof(Row) <= 128, "hundreds of thousands of associations: watch their octets");
  ensure(!find(spec.vsi, spec.group), "one association per VSI and group");
  const Handle handle = associations_.emplace();
  Row& row = associations_[handle];
  row.vsi = spec.vsi;
  row.format = spec.format;
  row.priority = spec.priority;
  row.type = spec.type;
  row.group = spec.group;
  row.manager = spec.manager;
  const auto [place, added] = by_vsi_.try_emplace(spec.vsi, handle);
  if (!added) row.next_of_vsi = std::exchange(place->second, handle);
  return handle;
}

Station::Handle Station::first_of(const VsiId& vsi) const {
  const auto place = by_vsi_.find(vsi);
  return place == by_vsi_.end() ? kNoHandle : place->second;
}

std::optional<Station::Handle> Station::find(const VsiId& vsi, GroupId group) const {
  for (Handle h = first_of(vsi); h != kNoHandle; h = associations_[h].next_of_vsi)
    if (associations_[h].group == group) return h;
  return std::nullopt;
}

Station::Entry* Station::find_entry(Handle handle, MacAddress mac, const IpPrefix& ip) {
  for (Entry& entry : associations_[handle].entries)
    if (entry.mac == mac && (entry.ip == 0 ? ip.is_none() : ips_.get(handle, entry.ip) == ip)) return &entry;
  return nullptr;
}

/// The entry, made if it is not there.
Station::Entry& Station::entry_for(Handle handle, MacAddress mac, const IpPrefix& ip) {
  if (Entry* known = find_entry(handle, mac, ip)) return *known;
  if (!ip.is_none() && ips_.count(handle) == IpTable::kRowMax) make_room(handle);
  Row& row = associations_[handle];
  Entry& entry = row.entries.emplace_back();
  entry.mac = mac;
  entry.ip = ips_.add(handle, ip);
  entry.mute = !understands(row, ip);
  return entry;
}

/// IPs on their way out that a silent peer has not let go give way to new ones: unrenewed they age out there.
void Station::make_room(Handle handle) {
  Row& row = associations_[handle];
  for (auto entry = row.entries.begin(); entry != row.entries.end();) {
    const bool goes = entry->ip != 0 && !entry->wanted() && !entry->in_flight;
    if (goes) {
      events_.push_back(Confirmed{handle, entry->mac, Level::kNone, Vid(), ips_.get(handle, entry->ip)});
      ips_.remove(handle, entry->ip);
    }
    entry = goes ? row.entries.erase(entry) : entry + 1;
  }
}

/// An entry with IP is a part of a VSI's set, so that a peer has to know parts as well.
bool Station::understands(const Row& row, const IpPrefix& ip) const {
  if (ip.is_none()) return true;
  return row.format == FilterFormat::kGroupMacVid && peer_.has(Flag::kIncrementalFilter) &&
         peer_.has(Flag::kIpFormats) && (ip.is_single() || peer_.has(Flag::kPrefixFormats));
}

/// What the peer does not understand any longer is forgotten here; what it understands now is told anew.
void Station::set_peer(Flags peer, Instant now) {
  if (peer_ == peer) return;
  peer_ = peer;
  std::vector<Handle> changed;
  ips_.for_each_row([&](Handle handle) { changed.push_back(handle); });
  for (const Handle handle : changed) {
    Row& row = associations_[handle];
    bool any = false;
    for (Entry& entry : row.entries) {
      const bool mute = !understands(row, ips_.get(handle, entry.ip));
      if (mute == entry.mute) continue;
      any = true;
      const Entry before = entry;
      entry = Entry();
      entry.mac = before.mac;
      entry.vid = before.vid;
      entry.ip = before.ip;
      entry.desired = before.desired;
      entry.mute = mute;
      entry.owed = true;
    }
    if (any) touch(handle, true, now);
  }
}

void Station::set_entry(Handle handle, MacAddress mac, Level desired, Vid vid, Instant now, const IpPrefix& ip) {
  if (desired == Level::kNone && find_entry(handle, mac, ip) == nullptr) {
    events_.push_back(Confirmed{handle, mac, Level::kNone, Vid(), ip});
    return;
  }
  Entry* entry = &entry_for(handle, mac, ip);
  Row& row = associations_[handle];
  if (desired != Level::kNone) row.closing = false;
  const bool changed = entry->desired != desired || entry->refused;
  entry->desired = desired;
  entry->owed = true;
  entry->refused = false;
  if (desired != Level::kReserved) entry->held = false;
  if (!entry->at_peer()) {
    entry->vid = vid;
    entry->null_vid = false;
  }
  // A full set is sent and refused as one, so that one new desire is a new attempt for all of it.
  if (changed && full_set(row))
    for (Entry& other : row.entries) other.refused = false;
  touch(handle, changed, now);
}

void Station::set_status(Handle handle, bool suspended, Migration migration) {
  const bool arriving = migration == Migration::kArriving;
  ensure(!(suspended && arriving), "S and M exclude each other (S20)");
  const bool s = suspended || migration == Migration::kDeparting;
  Row& row = associations_[handle];
  row.status = static_cast<std::uint8_t>((s ? kStatusSuspended : 0) | (arriving ? kStatusMigrating : 0));
  row.migration = migration;
}

void Station::tell_status(Handle handle, Instant now) {
  for (Entry& entry : associations_[handle].entries)
    if (entry.renewable()) entry.renew = true;
  ask_again(handle, now);
}

void Station::close(Handle handle, Instant now, bool forget) {
  if (forget) {
    finish(handle);
    return;
  }
  Row& row = associations_[handle];
  row.closing = true;
  for (Entry& entry : row.entries) {
    entry.desired = Level::kNone;
    entry.owed = true;
    entry.refused = false;
  }
  touch(handle, true, now);
}

void Station::restore_entry(Handle handle, MacAddress mac, Level level, Vid vid, Instant now, const IpPrefix& ip,
                            Priority priority) {
  Row& row = associations_[handle];
  if (level == Level::kNone) return;
  Entry* entry = &entry_for(handle, mac, ip);
  row.closing = false;
  entry->desired = entry->confirmed = level;
  entry->vid = vid;
  entry->priority = priority;
  entry->held_active = level == Level::kActive;
  entry->refused = false;
  entry->renew = !entry->mute;
  entry->owed = true;
  touch(handle, true, now);
}

void Station::note_held(Handle handle, MacAddress mac, const IpPrefix& ip) {
  if (Entry* entry = find_entry(handle, mac, ip)) entry->held = true;
}

void Station::reassert_all(Instant now) {
  vns_.reassert_all(now);
  for (Handle h = 0; h < associations_.slots(); ++h) {
    if (!associations_.contains(h)) continue;
    Row& row = associations_[h];
    for (Entry& entry : row.entries) {
      entry.refused = entry.level_answered = false;
      if (entry.renewable()) entry.renew = true;
    }
    ask_again(h, now);
  }
}

void Station::forget_vids() {
  for (Handle h = 0; h < associations_.slots(); ++h) {
    if (!associations_.contains(h)) continue;
    for (Entry& entry : associations_[h].entries) {
      entry.null_vid = true;
      entry.level_answered = false;
    }
  }
}

/// A request under way may be lost or out of date: it is sent again, and an answer to the first sending still counts.
void Station::ask_again(Handle handle, Instant now) {
  Row& row = associations_[handle];
  if (row.state == State::kAwaitingResponse || row.state == State::kUnconfirmed) row.state = State::kSettled;
  if (row.response_timer) deadlines_.clear(handle);
  row.response_timer = false;
  row.timeouts = 0;
  advance(handle, now);
}

void Station::describe(Handle handle, const ManagerId& manager, VsiType type, Priority priority, Instant now) {
  Row& row = associations_[handle];
  if (row.manager == manager && row.type == type && row.priority == priority) return;
  row.manager = manager;
  row.type = type;
  row.priority = priority;
  tell_status(handle, now);
}

/// The owner has changed something of the association: what follows depends on what is under way.
void Station::touch(Handle handle, bool changed, Instant now) {
  settle_entries(handle);
  Row& row = associations_[handle];
  if (row.state == State::kAwaitingResponse) return;
  if (row.state == State::kUnconfirmed) {
    if (!changed) return;
    row.state = State::kSettled;  // a new desire does not wait for the back-off of the old one
  }
  advance(handle, now);
}

/// Tells the owner what has reached its desire, and drops what is neither wanted nor at the peer.
void Station::settle_entries(Handle handle) {
  Row& row = associations_[handle];
  for (auto entry = row.entries.begin(); entry != row.entries.end();) {
    const bool open = entry->in_flight || entry->uncertain || entry->renew;
    if (entry->owed && !open && (entry->mute || entry->desired == entry->confirmed)) {
      entry->owed = false;
      events_.push_back(
          Confirmed{handle, entry->mac, entry->desired, entry->vid, ips_.get(handle, entry->ip), entry->priority});
    }
    const bool gone = !entry->wanted() && !entry->at_peer() && !entry->in_flight;
    if (gone) ips_.remove(handle, entry->ip);
    entry = gone ? row.entries.erase(entry) : entry + 1;
  }
}

// --- queues and timers ---

Station::Need Station::Entry::need() const {
  if (mute) return Need::kNothing;
  if (refused) return renew ? Need::kRenewal : Need::kNothing;
  if (desired != confirmed) return Need::kChange;
  if (renew) return Need::kRenewal;
  return uncertain ? Need::kChange : Need::kNothing;
}

Station::Need Station::work(const Row& row) {
  Need most = Need::kNothing;
  for (const Entry& entry : row.entries) most = std::max(most, entry.need());
  return most;
}

/// Queues the association if it needs anything of the peer, and lets it rest otherwise. Not while a request is awaited.
void Station::advance(Handle handle, Instant now) {
  Row& row = associations_[handle];
  if (row.state == State::kAwaitingResponse || row.state == State::kUnconfirmed) return;
  const Need need = work(row);
  if (need == Need::kNothing) {
    rest(handle, now);
    return;
  }
  row.state = State::kQueued;
  enqueue(handle, need);
  if (row.response_timer) return;
  if (row.keepalive_at == Instant{}) {
    deadlines_.clear(handle);
  } else {
    deadlines_.set(handle, std::max(row.keepalive_at, now));
  }
}

void Station::rest(Handle handle, Instant now) {
  dequeue(handle);
  Row& row = associations_[handle];
  row.response_timer = false;
  if (row.closing && row.entries.empty()) {
    finish(handle);
    return;
  }
  answered_again(handle);
  row.state =
      std::ranges::any_of(row.entries, [](const Entry& e) { return e.refused; }) ? State::kRefused : State::kSettled;
  if (std::ranges::none_of(row.entries, &Entry::renewable)) {
    row.keepalive_at = Instant{};
    deadlines_.clear(handle);
    return;
  }
  if (row.keepalive_at == Instant{}) row.keepalive_at = next_keepalive(handle, now);
  deadlines_.set(handle, row.keepalive_at);
}

void Station::enqueue(Handle handle, Need need, bool front) {
  Row& row = associations_[handle];
  const Queue wanted = need == Need::kChange ? Queue::kFresh : Queue::kRenewals;
  if (row.queue == wanted) return;
  dequeue(handle);
  IndexList& list = wanted == Queue::kFresh ? fresh_ : renewals_;
  front ? list.push_front(associations_, handle) : list.push_back(associations_, handle);
  row.queue = wanted;
}

void Station::dequeue(Handle handle) {
  Row& row = associations_[handle];
  switch (row.queue) {
    case Queue::kNone: return;
    case Queue::kFresh: fresh_.remove(associations_, handle); break;
    case Queue::kRenewals: renewals_.remove(associations_, handle); break;
  }
  row.queue = Queue::kNone;
}

/// A little early, by the handle: associations that settled together are not repeated in one burst for ever.
Instant Station::next_keepalive(Handle handle, Instant now) const {
  const Duration interval = timing_.keepalive_interval();
  return now + interval - interval / 8 * spread(handle) / 1024;
}

void Station::renew(Handle handle, Instant now) {
  Row& row = associations_[handle];
  for (Entry& entry : row.entries)
    if (entry.renewable()) entry.renew = true;
  row.keepalive_at = next_keepalive(handle, now);
}

void Station::time_out(Handle handle, Instant now) {
  Row& row = associations_[handle];
  ++stats_.timeouts;
  dequeue(handle);
  row.response_timer = row.removal_unanswered = false;
  row.state = State::kUnconfirmed;
  if (!row.unconfirmed) events_.push_back(Unconfirmed{handle, true});
  row.unconfirmed = true;
  Duration backoff = std::min(answer_wait(work(row) == Need::kRenewal), limits::kUnconfirmedBackoffMax);
  for (std::uint8_t i = 0; i < row.timeouts && backoff < limits::kUnconfirmedBackoffMax; ++i) backoff *= 2;
  row.timeouts = std::min<std::uint8_t>(static_cast<std::uint8_t>(row.timeouts + 1), kBackoffDoublingsMax);
  deadlines_.set(handle, now + std::min(backoff, limits::kUnconfirmedBackoffMax));
}

void Station::handle_silence() {
  for (Handle handle = 0; handle < associations_.slots(); ++handle) {
    if (!associations_.contains(handle)) continue;
    Row& row = associations_[handle];
    if (row.queue == Queue::kNone || row.unconfirmed) continue;
    row.unconfirmed = true;
    events_.push_back(Unconfirmed{handle, true});
  }
}

void Station::answered_again(Handle handle) {
  Row& row = associations_[handle];
  row.timeouts = 0;
  if (row.unconfirmed) events_.push_back(Unconfirmed{handle, false});
  row.unconfirmed = false;
}

/// A keep-alive that goes out takes along those that would follow it soon: so the cost of keep-alives is that of full
/// ECPDUs, however their deadlines are spread.
void Station::handle_time(Instant now) {
  vns_.handle_time(now);
  auto next = deadlines_.next();
  if (!next || *next > now) return;
  Instant until = fresh_.empty() ? now + timing_.keepalive_interval() / kSoonOfInterval : now;
  for (std::size_t together = 0; next && *next <= until; next = deadlines_.next()) {
    due_.clear();
    for (; next && *next <= until && due_.size() < kRowsAhead; next = deadlines_.next()) {
      due_.emplace_back(deadlines_.first(), *next);
      deadlines_.clear(due_.back().first);
      associations_.prefetch(due_.back().first);
    }
    together += due_.size();
    if (together >= kRenewalsTogether) until = now;
    for (const auto& [handle, at] : due_) {
      if (at <= now || rests(associations_[handle])) {
        overdue(handle, now);
      } else {  // an answer is awaited until then: it stands before all later ones, which are left alone
        deadlines_.set(handle, at);
        until = now;
      }
    }
  }
}

bool Station::rests(const Row& row) { return row.state == State::kSettled || row.state == State::kRefused; }

void Station::overdue(Handle handle, Instant now) {
  Row& row = associations_[handle];
  switch (row.state) {
    case State::kAwaitingResponse: return time_out(handle, now);
    case State::kQueued:
      if (row.response_timer) return time_out(handle, now);
      renew(handle, now);
      break;
    case State::kUnconfirmed:
      row.state = State::kSettled;
      if (row.keepalive_at != Instant{} && row.keepalive_at <= now) renew(handle, now);
      break;
    case State::kSettled:
    case State::kRefused: renew(handle, now); break;
  }
  advance(handle, now);
}

std::optional<Instant> Station::next_deadline() const { return earliest(deadlines_.next(), vns_.next_deadline()); }

void Station::finish(Handle handle) {
  dequeue(handle);
  deadlines_.clear(handle);
  const Row& row = associations_[handle];
  const auto place = by_vsi_.find(row.vsi);
  if (place->second == handle) {
    if (row.next_of_vsi == kNoHandle) {
      by_vsi_.erase(place);
    } else {
      place->second = row.next_of_vsi;
    }
  } else {
    Handle before = place->second;
    while (associations_[before].next_of_vsi != handle) before = associations_[before].next_of_vsi;
    associations_[before].next_of_vsi = row.next_of_vsi;
  }
  ips_.erase(handle);
  associations_.erase(handle);
  events_.push_back(Closed{handle});
}

// --- views ---

std::optional<Station::Event> Station::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Station::State Station::state(Handle handle) const { return associations_[handle].state; }

std::vector<Station::EntryView> Station::entries(Handle handle) const {
  std::vector<EntryView> views;
  for (const Entry& entry : associations_[handle].entries)
    views.push_back({entry.mac, entry.desired, entry.mute ? entry.desired : entry.confirmed, entry.vid,
                     ips_.get(handle, entry.ip), entry.priority});
  return views;
}

}  // namespace splitnve::vdp
