// SPDX-License-Identifier: Apache-2.0
// Inputs of the agent, the frame path, and the pump that turns changed rows into batches.
#include "tnved/agent.hpp"

#include <algorithm>
#include <set>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {
namespace {

std::vector<VSwitch::Uplink> uplink_ports(const AgentConfig& config) {
  std::vector<VSwitch::Uplink> ports;
  ports.reserve(config.uplinks.size());
  for (const auto& uplink : config.uplinks) ports.push_back({uplink.id, uplink.interface_name});
  return ports;
}

bool addressed_to_us(const ecp::Frame& frame, const UplinkConfig& uplink) {
  if (frame.destination == uplink.mac) return true;
  if (uplink.nnve || uplink.discovery)
    return false;  // what goes to the group may be for another station of the segment
  return is_link_group(frame.destination);
}

}  // namespace

Agent::Impl::Impl(AgentConfig config, std::uint64_t seed)
    : config_(std::move(config)),
      paths_(config_),
      tsis_(config_),
      vswitch_(uplink_ports(config_), config_.storm),
      random_(seed),
      nonces_(agent::secret_of(config_.secret, seed)) {
  std::set<PortId> ids;
  for (const auto& uplink : config_.uplinks) {
    ensure(uplink.id.value() >= 1 && uplink.id.value() <= kUplinkIdMax, "uplink ids are 1..255");
    ensure(ids.insert(uplink.id).second, "uplink ids are unique");
    vdp::Capabilities own;
    own.role = vdp::Role::kStation;
    own.flags = config_.offer;
    own.system = config_.system;
    own.nonce = new_nonce();
    own.timers = agent::local_timers(config_.ecp, config_.vdp);
    uplinks_.emplace_back(config_, uplink, EcpSequence(static_cast<std::uint16_t>(random_())), own,
                          uplink.authentication.mode == auth::Mode::kOff ? auth::Nonce() : new_nonce());
    Uplink& built = uplinks_.back();
    built.exchange.set_nonce(nonce_for(built), Instant{});
    built.station.set_offered(config_.offer);
    built.station.set_vdpdu_octets_max(built.authentication.vdpdu_octets_max());
  }
  for (const Path& path : paths_.all())
    for (const std::uint8_t i : path.uplinks) uplinks_[i].watched = uplinks_[i].watched || path.has_standby();
  configure_vns();
}

void Agent::Impl::count_drop(const char* cause) { ++drops_[cause]; }

void Agent::Impl::handle_frame(PortId port, Octets octets, Instant now) {
  const auto at =
      std::find_if(uplinks_.begin(), uplinks_.end(), [port](const Uplink& u) { return u.config.id == port; });
  if (at == uplinks_.end()) return count_drop("frame from a port that is no uplink");
  Uplink& uplink = *at;
  if (evb::is_lldp(octets)) return handle_lldp(uplink, octets, now);
  auto frame = ecp::decode_frame(octets);
  if (!frame) return count_drop(frame.error().cause);
  if (!config_.wire.is_identity()) {
    received_.assign(frame->payload.begin(), frame->payload.end());
    config_.wire.from_wire(received_);
    frame->payload = received_;
  }
  if (frame->source == uplink.config.mac) return count_drop("our own frame came back");
  if (agent::is_announcement(*frame)) return handle_announcement(uplink, *frame, now);
  if (!addressed_to_us(*frame, uplink.config)) return count_drop("destination is not ours");
  const auto counter = authenticate(uplink, *frame, now);
  if (!counter) return drain_session(uplink, now);
  if (*counter == 0 && is_for_another(uplink, *frame)) {
    uplink.exchange.show_again(now);  // or it has restarted, and takes us for one that has to be spoken to so
    count_drop("to the group, by an nNVE that speaks to us alone");
    return drain_session(uplink, now);
  }
  const bool to_us_alone = frame->operation == ecp::Operation::kRequest && frame->destination == uplink.config.mac;
  if (*counter == 0 && to_us_alone) uplink.speaks_alone = frame->source;
  meet(uplink, frame->source, now);
  const auto verdict = uplink.accept(*frame, *counter, now);
  uplink.authentication.handled(verdict, *counter);
  uplink.reassert_due(now);
  switch (verdict) {
    case ecp::Session::Verdict::kDelivered: break;
    case ecp::Session::Verdict::kDuplicate: count_drop("duplicate"); break;
    case ecp::Session::Verdict::kStale: count_drop("stale"); break;
    case ecp::Session::Verdict::kAck: ++taken_; break;
    case ecp::Session::Verdict::kInboxFull: count_drop("inbox full"); break;
    case ecp::Session::Verdict::kUnexpectedAck: count_drop("unexpected acknowledgement"); break;
  }
  drain_session(uplink, now);
  // What waits goes on its way before the work of this wake-up is done; not if a port is to be closed here first.
  if (verdict == ecp::Session::Verdict::kAck && !flush_wanted_) compose(uplink, now);
}

/// Several stations may share a segment, and an answer to one of them that goes to the group would be taken for ours.
bool Agent::Impl::is_for_another(const Uplink& uplink, const ecp::Frame& frame) {
  return frame.operation == ecp::Operation::kRequest && frame.destination != uplink.config.mac &&
         uplink.speaks_alone == frame.source;
}

/// Whoever it is from: what matters is who else is there.
void Agent::Impl::handle_announcement(Uplink& uplink, const ecp::Frame& frame, Instant now) {
  ++taken_;
  const auto shown = agent::bridge_capabilities(frame);
  if (!shown) return;
  uplink.nnves_heard.handle(frame.source, *shown, uplink.timing.keepalive_interval(), now);
  note_other_port(uplink, frame, now);
  const std::string conflict = uplink.nnves_heard.conflict(now);
  if (!conflict.empty() && !std::exchange(uplink.conflict_noted, true) && now >= uplink.conflict_quiet_until) {
    uplink.conflict_quiet_until = now + kConflictNoticePause;
    notice("UPLINK_VID_CONFLICT", agent::Notice::Level::kError, uplink.config.interface_name + ": " + conflict);
  }
  if (conflict.empty()) uplink.conflict_noted = false;
}

/// The uplink's nNVE is this one from now on.
void Agent::Impl::meet(Uplink& uplink, const MacAddress& nnve, Instant now) {
  if (uplink.nnve == nnve) return;
  const bool another = uplink.nnve.has_value();
  uplink.nnve = nnve;
  if (uplink.config.discovery) {
    uplink.session.set_destination(nnve);
    uplink.exchange.handle_met(now);
    uplink.station.reassert_all(now);
  }
  emit(agent::Transition{"peer", uplink.config.interface_name, another ? "known" : "unknown", "known",
                         "nNVE " + nnve.to_string() + " answers"});
  if (!another) return;
  reset_exchange(uplink, now);
  uplink.station.reassert_all(now);
}

/// The nNVE that discovery had found is gone: whoever answers next to the group address may be another one.
void Agent::Impl::seek(Uplink& uplink, const char* why, Instant now) {
  emit(agent::Transition{"peer", uplink.config.interface_name, "known", "unknown",
                         "nNVE " + uplink.nnve->to_string() + " " + why});
  uplink.nnve.reset();
  uplink.session.abandon();
  drain_session(uplink, now);
  uplink.session.set_destination(*uplink.config.discovery);
  reset_exchange(uplink, now);
}

void Agent::Impl::reset_exchange(Uplink& uplink, Instant now) {
  uplink.exchange.reset(new_nonce());
  uplink.exchange.set_nonce(nonce_for(uplink), now);
  exchanged(uplink, {}, now);
}

void Agent::Impl::drain_session(Uplink& uplink, Instant now) {
  while (const auto outcome = uplink.session.poll_outcome()) {
    switch (*outcome) {
      case ecp::Transmitter::Outcome::kDelivered:
        uplink.station.handle_delivered(now);
        uplink.exchange.handle_delivered(now);
        break;
      case ecp::Transmitter::Outcome::kFailed:
        uplink.station.handle_delivery_failed(now);
        uplink.exchange.handle_delivery_failed();
        // Requests wait for what it can do, so that none of them ever times out.
        if (uplink.exchange.verdict() == vdp::Exchange::Verdict::kUnknown) uplink.station.handle_silence();
        uplink.authentication.handle_delivery_failed();
        break;
    }
  }
  while (uplink.authentication.poll_frame(uplink.session, uplink.exchange.own(), scratch_)) {
    config_.wire.to_wire(ecp::payload_of(scratch_));
    emit(agent::Transmit{uplink.config.id, std::exchange(scratch_, {})});
  }
}

bool Agent::Impl::handle_work(std::size_t budget, Instant now) {
  // Uplinks in turn, one VDPDU each, beginning after the one that was served last.
  for (std::size_t idle = 0; budget > 0 && idle < uplinks_.size();) {
    Uplink& uplink = uplinks_[next_uplink_];
    next_uplink_ = (next_uplink_ + 1) % uplinks_.size();
    const auto vdpdu = uplink.session.inbox_front();
    if (!vdpdu) {
      ++idle;
      continue;
    }
    idle = 0;
    --budget;
    const auto heard = uplink.station.handle_vdpdu(*vdpdu, now);
    uplink.session.pop_inbox();
    if (!heard) {
      count_drop(heard.error().cause);
      continue;
    }
    ++taken_;
    exchanged(uplink, uplink.exchange.handle(*heard, now), now);
    if (heard->capabilities) uplink.adopt_signed_timers(config_.ecp, config_.vdp, now);
  }
  pump(now);
  return std::any_of(uplinks_.begin(), uplinks_.end(), [](const Uplink& u) { return u.session.inbox_size() > 0; });
}

/// Hands out what the inputs left behind: first what the stations say, then one Persist and one Program for all of it,
/// then the next ECPDU of each uplink. A port is thus closed here before the nNVE is told.
void Agent::Impl::pump(Instant now) {
  do {
    drain_stations(now);
    look_at_paths(now);
    place_vns(now);
    drain_stations(now);
    drain_vns(now);
    checking_.swap(check_list_);
    for (Slot slot : checking_)
      if (tsis_.contains(slot) && std::exchange(tsis_[slot].to_check, false)) check(slot, now);
    checking_.clear();
  } while (!check_list_.empty());
  flush_store();
  flush_program();
  for (Uplink& uplink : uplinks_) {
    if (!uplink.watched_since) uplink.watched_since = now;
    compose(uplink, now);
  }
}

void Agent::Impl::drain_stations(Instant now) {
  bool opened = false;
  do {
    for (std::size_t i = 0; i < uplinks_.size(); ++i) {
      while (const auto event = uplinks_[i].station.poll_event()) handle_station(i, *event, now);
      while (const auto standing = uplinks_[i].station.poll_standing()) handle_standing(i, *standing, now);
      if (auto answer = uplinks_[i].station.poll_unmatched()) note_unmatched(uplinks_[i], std::move(*answer), now);
    }
    opened = !to_open_.empty();
    // A new association may get the handle of one whose Closed is still queued: it waits until none is.
    opening_.swap(to_open_);
    for (Slot slot : opening_) {
      if (!tsis_.contains(slot) || tsis_[slot].handle != kNoHandle || tsis_[slot].vm == VmState::kLeaving) continue;
      if (paths_.of(tsis_[slot].vn)->opens_at) continue;  // finish_switch() asks again
      open_association(slot, now);
      pursue(slot, now);
    }
    opening_.clear();
  } while (opened);
}

/// Requests wait for the verdict on the peer; our capabilities alone do not.
void Agent::Impl::compose(Uplink& uplink, Instant now) {
  if (!uplink.link_up || !uplink.session.ready(now) || !uplink.authentication.may_send()) return;
  vdp::Exchange& exchange = uplink.exchange;
  const vdp::Capabilities* show = exchange.to_show(now);
  const bool may_request = exchange.may_request() && !uplink.seeking();
  // What runs is renewed whatever anybody says about timers.
  const auto what = uplink.refusal().empty() ? vdp::Station::Which::kAll : vdp::Station::Which::kRenewals;
  if (!may_request || !uplink.station.compose(scratch_, now, show, what)) {
    if (show != nullptr && exchange.speaks(now)) {
      vdp::write_capabilities_only(*show, scratch_);
    } else {
      const auto due = uplink.probe_at();
      if (!uplink.questions_path && (!due || *due > now)) return;
      uplink.probed_at = now;
      show = nullptr;
      vdp::write_question(scratch_);
    }
  }
  OctetString vdpdu = std::exchange(scratch_, {});
  uplink.authentication.send(uplink.session, vdpdu, now);
  if (show != nullptr) exchange.handle_sent(now);
  drain_session(uplink, now);
}

void Agent::Impl::exchanged(Uplink& uplink, const vdp::Exchange::Change& change, Instant now) {
  const bool capable = uplink.exchange.verdict() == vdp::Exchange::Verdict::kCapable;
  uplink.station.set_peer(uplink.exchange.flags(), now);
  const bool unknown = uplink.exchange.verdict() == vdp::Exchange::Verdict::kUnknown;
  const bool takes_vns =
      uplink.exchange.flags().has(vdp::Flag::kVnRequests) && config_.offer.has(vdp::Flag::kVnRequests);
  using VnPeer = vdp::VnStation::Peer;
  uplink.station.vns().set_peer(unknown ? VnPeer::kUnknown : takes_vns ? VnPeer::kCapable : VnPeer::kIncapable, now);
  if (change.verdict || change.session || change.state_lost) {
    uplink.station.vns().begin_anew(now);
    uplink.listed = {};
  }
  uplink.session.set_in_order(capable);
  if (change.verdict)
    emit(agent::Transition{"peer", uplink.config.interface_name, "known", capable ? "capable" : "legacy",
                           capable ? "has shown its capabilities" : "none were shown"});
  if (change.another) {  // what that one calls a VN nobody here knows (S13)
    uplink.station.forget_vids();
    uplink.vids.clear();
  }
  if (change.state_lost) notice("TNVED_NNVE_STATE_LOST", agent::Notice::Level::kWarning, uplink.config.interface_name);
  // What a nNVE acknowledged before it began anew may be lost.
  if (change.session || change.state_lost) uplink.station.reassert_all(now);
}

void Agent::Impl::flush_store() {
  const bool epoch = epoch_dirty_ && !store_retry_at_;
  const bool signers = !signers_dirty_.empty() && !store_retry_at_;
  const bool held = held_.dirty() && !store_retry_at_;
  if (store_list_.empty() && !epoch && !signers && !held && !vns_dirty()) return;
  agent::Persist persist{next_batch(), {}};
  Batch batch;
  batch.epoch = epoch;
  batch.held = held;
  if (held)
    persist.records = held_.take([this](std::uint64_t key) {
      const std::uint64_t id = agent::record_id(key);
      return agent::record_kind(key) == agent::RecordKind::kTsi && id > 0 && id <= limits::kInstancesMax &&
             tsis_.contains(static_cast<Slot>(id - 1));
    });
  if (epoch) {
    persist.records.push_back(agent::encode_epoch(epoch_));
    epoch_dirty_ = false;
  }
  if (signers) batch.signers = std::exchange(signers_dirty_, {});
  for (const std::uint32_t number : batch.signers) persist.records.push_back(signers_.record(number));
  for (Slot slot : std::exchange(store_list_, {})) {
    Tsi& tsi = tsis_[slot];
    tsi.store_dirty = false;
    ++tsi.stores_waiting;
    const auto key = agent::store_key(agent::RecordKind::kTsi, TsiTable::instance(slot).value());
    persist.records.push_back({key, tsi.gone ? OctetString() : encode_record(record(slot))});
    batch.slots.push_back(slot);
  }
  if (!store_retry_at_) gather_vns(persist, batch);
  batches_.emplace(persist.batch.value(), std::move(batch));
  emit(std::move(persist));
}

void Agent::Impl::flush_program() {
  if (!std::exchange(flush_wanted_, false)) return;
  if (!vswitch_.dirty()) {
    for (Slot slot : std::exchange(program_list_, {})) tsis_[slot].program_dirty = false;
    return;
  }
  auto [rows, keys] = vswitch_.flush(tsis_);
  const BatchId id = next_batch();
  Batch batch{std::exchange(program_list_, {}), std::move(keys), true};
  for (Slot slot : batch.slots) {
    tsis_[slot].program_dirty = false;
    ++tsis_[slot].programs_waiting;
  }
  batches_.emplace(id.value(), std::move(batch));
  emit(agent::Program{id, std::move(rows)});
}

void Agent::Impl::handle_time(Instant now) {
  for (Uplink& uplink : uplinks_) {
    if (uplink.evb) uplink.evb->machine().handle_time(now);
    settle_evb(uplink, now);
    if (uplink.link_up) uplink.session.handle_time(now);
    if (uplink.link_up) uplink.authentication.handle_time(now);
    drain_session(uplink, now);
    uplink.reassert_due(now);
    if (!uplink.seeking())
      if (const auto change = uplink.exchange.handle_time(now); change.verdict) exchanged(uplink, change, now);
    if (uplink.watched && !uplink.death_noted && uplink.dead(now)) {
      uplink.death_noted = true;
      if (uplink.config.discovery && uplink.nnve) seek(uplink, "is silent", now);
    }
    uplink.station.handle_time(now);
  }
  drain_stations(now);
  while (const auto slot = deadlines_.pop_due(now)) overdue(*slot, now);
  while (const auto slot = retries_.pop_due(now)) retry(*slot, now);
  if (program_retry_at_ && *program_retry_at_ <= now) {
    program_retry_at_.reset();
    flush_wanted_ = true;
    tsis_.for_each([this](Slot slot, const Tsi& tsi) {
      if (tsi.program_failed) to_program(slot);
    });
  }
  if (store_retry_at_ && *store_retry_at_ <= now) {
    store_retry_at_.reset();
    for (Slot slot : std::exchange(store_failed_, {})) store_list_.push_back(slot);
  }
  pump(now);
}

/// The conversation with the nNVE is bound to our address: it begins anew, and the state stays.
void Agent::Impl::set_mac(PortId port, const MacAddress& mac, Instant now) {
  for (Uplink& uplink : uplinks_) {
    if (uplink.config.id != port || mac.is_zero() || uplink.config.mac == mac) continue;
    uplink.set_mac(mac);
    if (uplink.evb) uplink.evb->machine().set_own_mac(mac);
    uplink.session.link_down();
    uplink.last_request.reset();
    reset_exchange(uplink, now);
    uplink.station.reassert_all(now);
  }
  pump(now);
}

void Agent::Impl::handle_link(PortId port, bool up, Instant now) {
  for (Uplink& uplink : uplinks_) {
    if (uplink.config.id != port) continue;
    if (uplink.evb) uplink.evb->machine().handle_link(up, now);
    settle_evb(uplink, now);
    if (uplink.link_up == up) continue;
    uplink.link_up = up;
    emit(agent::Transition{"port", uplink.config.interface_name, up ? "down" : "up", up ? "up" : "down", "link"});
    uplink.watched_since = now;
    uplink.death_noted = false;
    if (up) {
      uplink.station.reassert_all(now);
    } else {
      uplink.session.link_down();
      uplink.last_request.reset();
      if (uplink.config.discovery && uplink.nnve) {
        seek(uplink, "is out of reach", now);
      } else {
        reset_exchange(uplink, now);
      }
    }
  }
  pump(now);
}

void Agent::Impl::handle_stall(Duration gap, Instant now) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(gap).count();
  notice("TNVED_STALLED", agent::Notice::Level::kWarning, "for_ms=" + std::to_string(ms));
  for (Uplink& uplink : uplinks_)
    if (uplink.link_up) uplink.station.reassert_all(now);
  pump(now);
}

std::optional<Instant> Agent::Impl::next_deadline() const {
  std::optional<Instant> next = earliest(deadlines_.next(), retries_.next());
  next = earliest(next, earliest(program_retry_at_, store_retry_at_));
  next = earliest(next, next_vn_deadline());
  for (const Path& path : paths_.all()) next = earliest(next, path.opens_at);
  for (const Uplink& uplink : uplinks_) {
    if (uplink.evb) next = earliest(next, uplink.evb->machine().next_deadline());
    if (uplink.link_up) next = earliest(next, uplink.session.next_deadline());
    if (uplink.link_up) next = earliest(next, uplink.authentication.next_deadline());
    if (uplink.link_up && uplink.session.idle() && uplink.authentication.may_send())
      next = earliest(next, uplink.exchange.speak_at());
    if (!uplink.seeking()) next = earliest(next, uplink.exchange.next_deadline());
    next = earliest(next, uplink.next_look());
    next = earliest(next, earliest(uplink.station.next_deadline(), uplink.reassert_at));
  }
  return next;
}

// --- the public face ---

Agent::Agent(AgentConfig config, std::uint64_t seed) : impl_(std::make_unique<Impl>(std::move(config), seed)) {}
Agent::~Agent() = default;

std::size_t Agent::restore(std::span<const agent::StoreRecord> records, Instant now) {
  return impl_->restore(records, now);
}
datapath::Rows Agent::desired_rows() const { return impl_->desired_rows(); }
datapath::Rows Agent::rows_of_port(PortId port) const { return impl_->rows_of_port(port); }
void Agent::handle_event(const LifecycleEvent& event, Instant now) {
  if (!event.vn_name) return impl_->handle_event(event, now);
  const auto vn = impl_->vn_named(*event.vn_name);
  if (!vn) return impl_->answer(event.asker, false, "the VN of this name is not known: connect it by name first");
  LifecycleEvent by_id = event;
  by_id.vn = *vn;
  impl_->handle_event(by_id, now);
}
void Agent::handle_addresses(const AddressEvent& event, Instant now) { impl_->handle_addresses(event, now); }
void Agent::handle_vn(const VnEvent& event, Instant now) {
  impl_->handle_vn(event, now);
  impl_->pump(now);
}
std::vector<VnView> Agent::vns() const { return impl_->vn_views(); }
void Agent::handle_frame(PortId port, Octets frame, Instant now) { impl_->handle_frame(port, frame, now); }
bool Agent::handle_work(std::size_t budget, Instant now) { return impl_->handle_work(budget, now); }
void Agent::shut_down(Instant now) { impl_->shut_down(now); }
void Agent::handle_time(Instant now) { impl_->handle_time(now); }
void Agent::handle_stall(Duration gap, Instant now) { impl_->handle_stall(gap, now); }
void Agent::handle_link(PortId port, bool up, Instant now) { impl_->handle_link(port, up, now); }
void Agent::set_mac(PortId port, const MacAddress& mac, Instant now) { impl_->set_mac(port, mac, now); }
void Agent::handle_result(const agent::BatchResult& result, Instant now) { impl_->handle_result(result, now); }
std::optional<agent::Effect> Agent::poll_effect() { return impl_->effects_.poll(); }
std::optional<Instant> Agent::next_deadline() const { return impl_->next_deadline(); }
std::vector<agent::HeldRecords::Held> Agent::held() const { return impl_->held_.views(); }
std::uint32_t Agent::tsi_slots() const { return impl_->tsis_.slots(); }
std::optional<TsiView> Agent::tsi(std::uint32_t slot) const { return impl_->view(slot); }
std::optional<std::uint32_t> Agent::find(const VsiId& vsi) const { return impl_->tsis_.find(vsi); }
std::string Agent::use_uplink(PortId uplink, Instant now) { return impl_->use_uplink(uplink, now); }
std::vector<PeerView> Agent::peers() const { return impl_->peers(); }
std::vector<std::pair<std::string, std::uint64_t>> Agent::frame_drops() const {
  return {impl_->drops_.begin(), impl_->drops_.end()};
}
std::uint64_t Agent::frames_taken() const { return impl_->taken_; }
const AgentConfig& Agent::config() const { return impl_->config_; }

}  // namespace splitnve::tnved
