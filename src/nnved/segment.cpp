// SPDX-License-Identifier: Apache-2.0
#include "nnved/segment.hpp"

#include <algorithm>

namespace splitnve::nnved {
namespace {

/// Announcements at the start or after a change: one that is lost costs less than an interval.
constexpr unsigned kHurriedAnnouncements = 3;
constexpr Duration kHurriedInterval = std::chrono::milliseconds(300);
/// The longest interval that a neighbour's word is taken for (docs/limits.md, RKA).
constexpr unsigned kRkaMax = 24;

std::string range_text(const VidRange& range) {
  return std::to_string(range.first.value()) + "-" + std::to_string(range.last.value());
}

}  // namespace

SegmentWatch::SegmentWatch(const AgentConfig& config) : config_(config), ports_(config.ports.size()) {}

void SegmentWatch::begin(Instant now) {
  begun_ = true;
  if (!config_.announces) return;
  for (std::uint32_t port = 0; port < ports_.size(); ++port) {
    ports_[port].hurried = kHurriedAnnouncements;
    announce_at_.set(port, now);
    if (!is_shared(port)) continue;
    ports_[port].listens_until = now + interval();
    judge(port, now);
  }
}

bool SegmentWatch::is_shared(std::uint32_t port) const {
  const PortConfig& config = config_.ports[port];
  return !config.direct && (config.group || config.segment != config.interface_name);
}

std::optional<std::uint32_t> SegmentWatch::own_port(const MacAddress& source) const {
  for (std::uint32_t port = 0; port < ports_.size(); ++port)
    if (config_.ports[port].mac == source) return port;
  return std::nullopt;
}

void SegmentWatch::handle_bridge(std::uint32_t port, const MacAddress& source, const vdp::Capabilities& shown,
                                 Instant now) {
  if (!config_.announces) return;
  Neighbour heard{source, shown, std::nullopt, Instant{}};
  if (shown.system == config_.system) {
    heard.own = own_port(source);
    if (!heard.own || *heard.own == port) return;  // our own frame came back, which says nothing of others
  }
  const Duration theirs =
      shown.version >= 2 ? vdp::Timing::units(std::min<unsigned>(shown.timers.rka, kRkaMax)) : Duration{};
  heard.until = now + kAnnouncementIntervals * std::max(interval(), theirs);
  note(port, std::move(heard), now);
}

void SegmentWatch::handle_lldp(std::uint32_t port, const MacAddress& source, Duration lifetime, Instant now) {
  if (!config_.announces || source == config_.ports[port].mac) return;
  const auto& known = ports_[port].neighbours;
  if (std::any_of(known.begin(), known.end(), [&](const Neighbour& n) { return n.source == source && n.shown; }))
    return;  // it has told more
  note(port, {source, std::nullopt, own_port(source), now + lifetime}, now);
}

void SegmentWatch::note(std::uint32_t port, Neighbour neighbour, Instant now) {
  auto& known = ports_[port].neighbours;
  const auto at =
      std::find_if(known.begin(), known.end(), [&](const Neighbour& n) { return n.source == neighbour.source; });
  const bool same_run = at != known.end() && at->shown && neighbour.shown && at->shown->nonce == neighbour.shown->nonce;
  if (at != known.end()) {
    *at = std::move(neighbour);
  } else if (known.size() < kNeighboursPerPortMax) {
    known.push_back(std::move(neighbour));
  } else {
    return;
  }
  if (!same_run) announce_soon(port, now);  // it has not heard us yet
  judge(port, now);
}

void SegmentWatch::announce_soon(std::uint32_t port, Instant now) {
  announce_at_.set(port, std::max(now, ports_[port].announced + kAnnouncementPause));
}

void SegmentWatch::handle_station(std::uint32_t port, const MacAddress& station, Instant now) {
  if (!config_.announces || !config_.ports[port].direct) return;
  Port& state = ports_[port];
  if (station != state.last.mac) {
    state.before = std::exchange(state.last, Station{station, now});
    judge(port, now);
  }
  state.last.heard = now;
}

void SegmentWatch::handle_link(std::uint32_t port, bool up, Instant now) {
  if (!begun_ || !config_.announces) return;
  Port& state = ports_[port];
  if (!up) {
    // Whoever is at the other end when it comes back is told and heard anew.
    state.neighbours.clear();
    state.last = state.before = {};
    announce_at_.clear(port);
  } else {
    state.hurried = kHurriedAnnouncements;
    announce_soon(port, now);
    // Nobody was heard while it was down.
    if (is_shared(port)) state.listens_until = now + interval();
  }
  judge(port, now);
}

void SegmentWatch::handle_time(Instant now) {
  while (const auto port = look_at_.pop_due(now)) {
    auto& known = ports_[*port].neighbours;
    known.erase(std::remove_if(known.begin(), known.end(), [now](const Neighbour& n) { return n.until <= now; }),
                known.end());
    if (ports_[*port].listens_until && *ports_[*port].listens_until <= now) ports_[*port].listens_until.reset();
    judge(*port, now);
  }
}

std::optional<std::uint32_t> SegmentWatch::poll_announcement(Instant now) {
  const auto port = announce_at_.pop_due(now);
  if (!port) return std::nullopt;
  Port& state = ports_[*port];
  state.announced = now;
  if (state.hurried > 0) --state.hurried;
  const bool hurried = state.hurried > 0;
  announce_at_.set(*port, now + (hurried ? std::min(kHurriedInterval, interval()) : interval()));
  return port;
}

std::optional<Instant> SegmentWatch::next_deadline() const {
  if (config_.announces && !begun_) return Instant{};  // at once: others have to hear of us before a VN is admitted
  return earliest(announce_at_.next(), look_at_.next());
}

std::optional<std::uint32_t> SegmentWatch::poll_change() {
  if (changed_.empty()) return std::nullopt;
  const std::uint32_t port = changed_.back();
  changed_.pop_back();
  return port;
}

bool SegmentWatch::is_direct(std::uint32_t port) const {
  const PortConfig& config = config_.ports[port];
  return config.direct && ports_[port].verdict.seen != Reason::kNotDirect &&
         ports_[port].verdict.seen != Reason::kVidOverlap;
}

std::string_view SegmentWatch::why(std::uint32_t port, Reason reason) const {
  const bool ours = reason != Reason::kNone && reason == ports_[port].verdict.closed;
  return ours ? std::string_view(ports_[port].verdict.text) : std::string_view();
}

void SegmentWatch::judge(std::uint32_t port, Instant now) {
  Port& state = ports_[port];
  Verdict verdict = verdict_of(port, now);
  if (verdict.closed != state.verdict.closed || verdict.seen != state.verdict.seen) changed_.push_back(port);
  state.verdict = std::move(verdict);
  auto look = state.listens_until;
  for (const Neighbour& neighbour : state.neighbours) look = earliest(look, neighbour.until);
  if (!state.before.mac.is_zero()) {
    const Instant quiet = state.before.heard + config_.vdp.keepalive_timeout();
    if (quiet > now) look = earliest(look, quiet);
  }
  if (look) {
    look_at_.set(port, *look);
  } else {
    look_at_.clear(port);
  }
}

/// Those of the port's VIDs that the neighbour may give out, too: the first piece.
std::optional<VidRange> SegmentWatch::overlap(std::uint32_t port, const Neighbour& neighbour) const {
  const PortConfig& ours = config_.ports[port];
  if (!neighbour.shown) return std::nullopt;
  if (neighbour.own && config_.ports[*neighbour.own].segment == ours.segment) return std::nullopt;  // one pool
  if (neighbour.shown->version < 2) return ours.vids;  // it does not tell, so it may be any
  for (const auto& theirs : neighbour.shown->vids) {
    const Vid first = std::max(ours.vids.first, theirs.first), last = std::min(ours.vids.last, theirs.last);
    if (first <= last) return VidRange{first, last};
  }
  return std::nullopt;
}

std::string SegmentWatch::name(const Neighbour& neighbour) const {
  if (neighbour.own) return "port " + config_.ports[*neighbour.own].interface_name + " of this switch";
  return (neighbour.shown ? "the nNVE with " : "a bridge (LLDP) with ") + neighbour.source.to_string();
}

SegmentWatch::Verdict SegmentWatch::verdict_of(std::uint32_t port, Instant now) const {
  const PortConfig& config = config_.ports[port];
  const Port& state = ports_[port];
  Verdict verdict;
  for (const Neighbour& neighbour : state.neighbours) {
    const auto vids = overlap(port, neighbour);
    if (!vids || verdict.seen == Reason::kVidOverlap) continue;
    verdict.seen = Reason::kVidOverlap;
    verdict.text = name(neighbour) + " is on this segment and may give out VIDs " + range_text(*vids) +
                   ", too: give each its own \"vids\"";
  }
  if (verdict.seen == Reason::kNone && config.direct && !state.neighbours.empty()) {
    verdict.seen = Reason::kNotDirect;
    verdict.text = name(state.neighbours.front()) + " is heard here: take \"direct\" away and configure \"vids\"";
  }
  if (verdict.seen == Reason::kNone && !state.before.mac.is_zero() &&
      now < state.before.heard + config_.vdp.keepalive_timeout()) {
    verdict.seen = Reason::kNotDirect;
    verdict.text = "stations " + state.before.mac.to_string() + " and " + state.last.mac.to_string() +
                   " are heard here: take \"direct\" away and configure \"vids\"";
  }
  const bool believed = config.authentication.mode != auth::Mode::kRequire;
  if (believed && (verdict.seen == Reason::kVidOverlap || !config.vids_given)) verdict.closed = verdict.seen;
  if (!believed && verdict.seen != Reason::kNone) verdict.text += " (unsigned, so nothing is refused for it)";
  // What is not believed does not end the listening either.
  if (verdict.closed == Reason::kNone && state.listens_until) {
    verdict.closed = Reason::kListening;
    if (verdict.seen == Reason::kNone) {
      verdict.seen = Reason::kListening;
      verdict.text = "for one keep-alive interval";
    }
  }
  return verdict;
}

}  // namespace splitnve::nnved
