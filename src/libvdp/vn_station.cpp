// SPDX-License-Identifier: Apache-2.0
#include "splitnve/vdp/vn_station.hpp"

#include <algorithm>
#include <utility>

#include "splitnve/base/limits.hpp"

namespace splitnve::vdp {
namespace {

using What = VnStation::Event::What;

std::string text_of(const std::optional<ReasonText>& why) { return why ? std::string(why->text) : std::string(); }

}  // namespace

const char* to_string(VnStation::State state) {
  switch (state) {
    case VnStation::State::kAsking: return "asking";
    case VnStation::State::kConnected: return "connected";
    case VnStation::State::kRefused: return "refused";
    case VnStation::State::kDown: return "disconnected by the nNVE";
    case VnStation::State::kLeaving: return "disconnecting";
  }
  return "?";
}

// --- rows ---

VnStation::Row* VnStation::find(GroupId vn) {
  const auto at = index_.find(vn);
  return at == index_.end() ? nullptr : &rows_[at->second];
}

VnStation::Row* VnStation::make(GroupId vn) {
  if (Row* known = find(vn)) return known;
  if (rows_.size() >= limits::kVnConnectsPerStationMax) return nullptr;
  const std::uint32_t index = rows_.emplace();
  index_.emplace(vn, index);
  rows_[index].vn = vn;
  return &rows_[index];
}

void VnStation::enqueue(Row& row) {
  deadlines_.clear(index_.at(row.vn));
  row.awaiting = false;
  if (!std::exchange(row.queued, true)) queue_.push_back(row.vn);
}

void VnStation::rest(Row& row) {
  deadlines_.clear(index_.at(row.vn));
  row.awaiting = false;
  if (std::exchange(row.queued, false)) std::erase(queue_, row.vn);
}

void VnStation::erase(GroupId vn) {
  const auto at = index_.find(vn);
  rest(rows_[at->second]);
  rows_.erase(at->second);
  index_.erase(at);
}

void VnStation::tell(const Row& row, What what, ResponseStatus status) {
  events_.push_back({row.vn, what, status, row.vid, row.why});
}

// --- intent ---

void VnStation::connect(GroupId vn, Instant) {
  Row* row = make(vn);
  if (row == nullptr) {
    events_.push_back({vn, What::kRefused, {Code::kInsufficientResources, false, false}, Vid(), "too many VNs"});
    return;
  }
  row->wanted = true;
  switch (row->state) {
    case State::kConnected:
    case State::kDown: return;
    case State::kAsking:
    case State::kRefused:
    case State::kLeaving: row->state = State::kAsking; break;
  }
  enqueue(*row);
}

void VnStation::disconnect(GroupId vn, bool all, Instant) {
  Row* row = make(vn);
  if (row == nullptr || peer_ == Peer::kIncapable || row->state == State::kDown) {
    if (row == nullptr) {
      events_.push_back({vn, What::kLeft});
      return;
    }
    row->wanted = false;
    tell(*row, What::kLeft);
    if (row->state != State::kDown) erase(vn);
    return;
  }
  if (row->state != State::kLeaving) row->wanted_before = row->wanted;
  row->wanted = false;
  row->all = all;
  row->state = State::kLeaving;
  enqueue(*row);
}

void VnStation::leave(GroupId vn, Instant now) {
  Row* row = find(vn);
  if (row == nullptr) return;
  if (row->state == State::kDown) return erase(vn);
  disconnect(vn, false, now);
  if (Row* left = find(vn)) left->wanted_before = false;
}

void VnStation::resolve(const VnName& name) {
  names_.insert(name);
  if (std::ranges::find(names_queue_, name) == names_queue_.end()) names_queue_.push_back(name);
}

void VnStation::forget(const VnName& name) {
  names_.erase(name);
  std::erase(names_queue_, name);
}

// --- the bridge ---

void VnStation::ask_again(Row& row) {
  if (row.state == State::kDown) return;
  enqueue(row);
}

void VnStation::set_peer(Peer peer, Instant now) {
  if (std::exchange(peer_, peer) == peer) return;
  if (peer == Peer::kCapable) reassert_all(now);
  if (peer != Peer::kIncapable) return;
  replies_.clear();
  std::vector<GroupId> gone;
  rows_.for_each([&](std::uint32_t, Row& row) {
    rest(row);
    row.why.clear();
    if (row.state == State::kLeaving) tell(row, What::kLeft);
    if (!row.wanted) gone.push_back(row.vn);
    row.state = State::kAsking;
  });
  for (const GroupId vn : gone) erase(vn);
}

void VnStation::reassert_all(Instant) {
  names_queue_.assign(names_.begin(), names_.end());
  rows_.for_each([&](std::uint32_t, Row& row) { ask_again(row); });
}

void VnStation::begin_anew(Instant) {
  std::vector<GroupId> gone;
  rows_.for_each([&](std::uint32_t, Row& row) {
    if (row.state == State::kDown && row.told_in != vdpdu_) {
      row.state = State::kAsking;
      if (!row.wanted) gone.push_back(row.vn);
    }
    ask_again(row);
  });
  for (const GroupId vn : gone) erase(vn);
}

// --- wire ---

bool VnStation::write(VdpduWriter& writer, Instant now) {
  handle_delivery_failed();
  bool wrote = write_names(writer);
  for (; replies_sent_ < replies_.size(); ++replies_sent_) {
    if (!write_extension(writer, replies_[replies_sent_])) return wrote;
    wrote = true;
  }
  for (; !queue_.empty(); queue_.pop_front()) {
    Row* row = find(queue_.front());
    ensure(row != nullptr && row->queued, "what waits for its turn is there");
    VnRequest request;
    if (row->state == State::kLeaving)
      request.operation = row->all ? VnRequest::Operation::kDisconnectAll : VnRequest::Operation::kDisconnect;
    request.group = row->vn;
    if (!row->null_vid) request.vid = row->vid;
    if (!write_extension(writer, request)) return wrote;
    wrote = true;
    const bool renewal = row->state == State::kConnected;
    row->queued = false;
    row->awaiting = true;
    row->asked = request.operation;
    deadlines_.set(index_.at(row->vn), now + (renewal ? timing_.renewal_wait() : timing_.response_wait()));
    sent_.push_back(row->vn);
    ++stats_.requests;
  }
  return wrote;
}

bool VnStation::write_names(VdpduWriter& writer) {
  bool wrote = false;
  for (; !names_queue_.empty(); names_queue_.pop_front()) {
    const VnName name = names_queue_.front();
    if (!writer.has_room(extension_octets(VnRequest{}) + extension_octets(name))) return wrote;
    write_extension(writer, VnRequest{});
    write_extension(writer, name);
    names_sent_.push_back(name);
    wrote = true;
    ++stats_.requests;
  }
  return wrote;
}

void VnStation::handle_delivered() {
  names_sent_.clear();
  sent_.clear();
  const std::size_t sent = std::min(std::exchange(replies_sent_, 0), replies_.size());
  replies_.erase(replies_.begin(), replies_.begin() + static_cast<std::ptrdiff_t>(sent));
}

void VnStation::handle_delivery_failed() {
  for (const GroupId vn : std::exchange(sent_, {}))
    if (Row* row = find(vn); row != nullptr && row->awaiting) enqueue(*row);
  for (const VnName& name : std::exchange(names_sent_, {}))
    if (names_.contains(name)) resolve(name);
  replies_sent_ = 0;
}

void VnStation::handle_time(Instant now) {
  while (const auto due = deadlines_.pop_due(now)) {
    Row& row = rows_[*due];
    if (row.awaiting) ++stats_.timeouts;
    enqueue(row);
  }
}

std::optional<VnStation::Event> VnStation::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void VnStation::handle(const VnRequest& request, const std::optional<ReasonText>& why, Instant now,
                       const std::optional<VnName>& name) {
  if (request.is_response() && name && names_.contains(*name) && request.connects()) {
    handle_named(*name, request, why);
    // One answer may stand for a request by ID as well.
    if (find(request.group) != nullptr) handle_response(request, why, now);
  } else if (request.is_response()) {
    handle_response(request, why, now);
  } else if (offered_.has(Flag::kVnRequests) && request.operation != VnRequest::Operation::kDisconnectAll) {
    handle_command(request, why);
  } else {
    ++stats_.unused;
  }
}

void VnStation::handle_named(const VnName& name, const VnRequest& response, const std::optional<ReasonText>& why) {
  const ResponseStatus status = ResponseStatus::from_octet(response.status);
  if (status.success() && !(response.group.is_vn_id() && response.vid.is_assignable())) {
    ++stats_.unused;
    return;
  }
  ++stats_.responses;
  if (!status.success()) ++stats_.refused;
  forget(name);
  events_.push_back({response.group, What::kNamed, status, response.vid, text_of(why), name});
}

void VnStation::handle_response(const VnRequest& response, const std::optional<ReasonText>& why, Instant now) {
  Row* row = find(response.group);
  const ResponseStatus status = ResponseStatus::from_octet(response.status);
  const bool leaving = row != nullptr && row->state == State::kLeaving;
  // What was asked before the wish changed is answered no more.
  if (row == nullptr || !row->awaiting || row->asked != response.operation || response.connects() == leaving ||
      (response.connects() && status.success() && !response.vid.is_assignable())) {
    ++stats_.unused;
    return;
  }
  ++stats_.responses;
  rest(*row);
  if (!status.success()) {
    row->why = text_of(why);
    return refused(*row, status, now);
  }
  row->why.clear();
  if (response.connects()) return connected(*row, response, now);
  tell(*row, What::kLeft);
  erase(response.group);
}

void VnStation::connected(Row& row, const VnRequest& response, Instant now) {
  const bool news = row.state != State::kConnected || row.vid != response.vid;
  row.state = State::kConnected;
  row.vid = response.vid;
  row.null_vid = false;
  deadlines_.set(index_.at(row.vn), now + timing_.keepalive_interval());
  if (news) tell(row, What::kConnected);
}

void VnStation::refused(Row& row, ResponseStatus status, Instant now) {
  ++stats_.refused;
  if (row.state == State::kLeaving) {
    row.wanted = row.wanted_before;
    tell(row, What::kStays, status);
    if (!row.wanted) return erase(row.vn);
    row.state = row.vid.is_null() ? State::kAsking : State::kConnected;
    return enqueue(row);
  }
  if (status.code == Code::kInvalidAddress && !row.vid.is_null() && !row.null_vid) {
    row.null_vid = true;
    return enqueue(row);
  }
  row.null_vid = false;
  deadlines_.set(index_.at(row.vn), now + timing_.keepalive_interval());
  if (status.keep && row.state == State::kConnected) return;
  if (std::exchange(row.state, State::kRefused) != State::kRefused) tell(row, What::kRefused, status);
}

void VnStation::handle_command(const VnRequest& command, const std::optional<ReasonText>& why) {
  if (replies_.size() < limits::kRepliesMax) {
    VnRequest& reply = replies_.emplace_back(command);
    reply.status = ResponseStatus().octet();
  }
  if (command.connects()) {
    events_.push_back({command.group, What::kReleased});
    Row* row = find(command.group);
    if (row == nullptr || (row->state != State::kDown && row->state != State::kRefused)) return;
    row->state = State::kAsking;
    row->why.clear();
    return row->wanted ? enqueue(*row) : erase(row->vn);
  }
  Row* row = make(command.group);
  if (row == nullptr) {
    ++stats_.unused;
    return;
  }
  if (row->state == State::kLeaving) tell(*row, What::kLeft);
  const bool news = row->state != State::kDown;
  rest(*row);
  row->state = State::kDown;
  row->told_in = vdpdu_;
  row->why = text_of(why);
  if (news) tell(*row, What::kDown);
}

// --- views ---

VnStation::View VnStation::view_of(const Row& row) { return {row.vn, row.state, row.wanted, row.vid, row.why}; }

std::optional<VnStation::View> VnStation::view(GroupId vn) const {
  const auto at = index_.find(vn);
  return at == index_.end() ? std::nullopt : std::optional(view_of(rows_[at->second]));
}

std::vector<VnStation::View> VnStation::views() const {
  std::vector<View> out;
  rows_.for_each([&](std::uint32_t, const Row& row) { out.push_back(view_of(row)); });
  return out;
}

}  // namespace splitnve::vdp
