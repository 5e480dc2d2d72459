// SPDX-License-Identifier: Apache-2.0
#include "nnved/vap.hpp"

#include <algorithm>

namespace splitnve::nnved {

const char* to_string(VapState state) {
  switch (state) {
    case VapState::kDisconnected: return "Disconnected";
    case VapState::kConnected: return "Connected";
  }
  return "unknown";
}

VapTable::VapTable(const AgentConfig& config, const Policy& policy, Changes& changes, Journal& journal)
    : config_(config),
      policy_(policy),
      changes_(changes),
      journal_(journal),
      closed_(config.ports.size(), Reason::kNone) {
  boost::unordered_flat_map<std::string, std::size_t> segments;
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    const PortConfig& port = config.ports[i];
    // A port that names no segment is a segment of its own.
    const std::string segment = port.segment.empty() ? "\n" + std::to_string(i) : port.segment;
    const auto [at, added] = segments.emplace(segment, pools_.size());
    if (added) pools_.push_back(std::make_unique<VidPool>(config.vid_quarantine));
    pool_of_port_.push_back(at->second);
    pools_[at->second]->restrict_to(port.vids, port.reserved_vids);
  }
  for (std::size_t i = 0; i < config.ports.size(); ++i)
    for (const StaticVid& fixed : config.ports[i].static_vids) pools_[pool_of_port_[i]]->pin(fixed.vid, fixed.vn);
  std::vector<std::uint32_t> members(pools_.size(), 0);
  for (const std::size_t pool : pool_of_port_) place_in_pool_.push_back(members[pool]++);
  for (std::size_t i = 0; i < pools_.size(); ++i) vid_shares_.emplace_back(pools_[i]->free_count(), 0, members[i]);
  for (const RemoteMapping& remote : config.remotes) static_remotes_[remote.vn].push_back(remote.mac);
}

Index VapTable::find(PortId port, GroupId vn) const {
  const auto found = index_.find(Key{port, vn});
  return found == index_.end() ? kNoIndex : found->second;
}

Index VapTable::find_tag(PortId port, Vid vid) const {
  const auto port_index = policy_.port_index(port);
  if (!port_index) return kNoIndex;
  const auto vn = pool(*port_index).vn_of(vid);
  if (!vn) return kNoIndex;
  const Index vap = find(port, *vn);
  return vap != kNoIndex && rows_[vap].state == VapState::kConnected ? vap : kNoIndex;
}

const DomainState* VapTable::domain(GroupId vn) const {
  const auto found = domains_.find(vn);
  return found == domains_.end() ? nullptr : &found->second;
}

/// What the datapath or another port of the segment has for the VN stands for longer than we listen.
Reason VapTable::closed_to(std::uint32_t port_index, GroupId vn) const {
  const Reason closed = closed_[port_index];
  return closed == Reason::kListening && pool(port_index).knows(vn) ? Reason::kNone : closed;
}

Index VapTable::find_or_create(std::uint32_t port_index, GroupId vn) {
  const PortId port = config_.ports[port_index].id;
  if (const Index found = find(port, vn); found != kNoIndex) return found;
  const Index vap = rows_.emplace();
  VapRow& row = rows_[vap];
  row.port_index = port_index;
  row.port = port;
  row.vn = vn;
  index_.emplace(Key{port, vn}, vap);
  domains_[vn].vaps.push_back(vap);
  return vap;
}

bool VapTable::may_take_vid(std::uint32_t port_index, GroupId vn) const {
  return pool(port_index).vid_of(vn) || may_take_vid(port_index);
}

bool VapTable::may_take_vid(std::uint32_t port_index) const {
  const Shares& shares = vid_shares_[pool_of_port_[port_index]];
  if (shares.reserve() == 0) return true;
  const std::uint32_t place = place_in_pool_[port_index];
  return shares.used(place) < shares.share() && pool(port_index).free_count() > shares.kept_for_others(place);
}

void VapTable::count_vid(std::uint32_t port_index, bool comes) {
  Shares& shares = vid_shares_[pool_of_port_[port_index]];
  if (comes)
    shares.add(place_in_pool_[port_index], 1);
  else
    shares.remove(place_in_pool_[port_index], 1);
}

Result<Index, Reason> VapTable::acquire(std::uint32_t port_index, GroupId vn, Vid requested, Instant now,
                                        bool restores) {
  Index vap = find(config_.ports[port_index].id, vn);
  if (vap != kNoIndex && !rows_[vap].vid.is_null()) {
    if (!requested.is_null() && !rows_[vap].has(requested)) return unexpected(Reason::kOtherVid);
    return vap;
  }
  if (const Reason closed = closed_to(port_index, vn); closed != Reason::kNone) return unexpected(closed);
  if (!restores && !may_take_vid(port_index, vn)) return unexpected(Reason::kPortShare);
  const auto vid = pool(port_index).acquire(vn, requested, now);
  if (!vid) return unexpected(vid.error());
  vap = find_or_create(port_index, vn);
  shown_until_.clear(vap);
  rows_[vap].vid = *vid;
  count_vid(port_index, true);
  rows_[vap].reason = Reason::kNone;
  return vap;
}

Result<VapTable::Granted, Reason> VapTable::acquire_distinct(std::uint32_t port_index, GroupId vn, Vid requested,
                                                             std::span<const Vid> others, bool several, Instant now) {
  const Index known = find(config_.ports[port_index].id, vn);
  if (known == kNoIndex || rows_[known].vid.is_null() || (!several && requested.is_null())) {
    const auto vap = acquire(port_index, vn, requested, now);
    if (!vap) return unexpected(vap.error());
    return Granted{*vap, rows_[*vap].vid};
  }
  VapRow& row = rows_[known];
  const auto is_other = [&](Vid vid) { return std::find(others.begin(), others.end(), vid) != others.end(); };
  if (requested.is_null()) {
    if (!is_other(row.vid)) return Granted{known, row.vid};
    for (const Vid vid : row.more)
      if (!is_other(vid)) return Granted{known, vid};
  } else if (row.has(requested)) {
    return Granted{known, requested};
  } else if (!several) {
    return unexpected(Reason::kOtherVid);
  }
  if (row.more.size() + 1 >= kVidsPerVapMax) return unexpected(Reason::kVidLimit);
  if (const Reason closed = closed_[port_index]; closed != Reason::kNone) return unexpected(closed);
  if (!may_take_vid(port_index)) return unexpected(Reason::kPortShare);
  const auto vid = pool(port_index).acquire_more(vn, requested, now);
  if (!vid) return unexpected(vid.error());
  row.more.push_back(*vid);
  count_vid(port_index, true);
  if (row.uses() > 0) mark_tags(row);
  if (row.state == VapState::kConnected) mark_access(row);
  return Granted{known, *vid};
}

void VapTable::restore_further(Index vap, std::span<const Vid> vids, Instant now) {
  VapRow& row = rows_[vap];
  for (const Vid vid : vids) {
    if (row.has(vid) || row.more.size() + 1 >= kVidsPerVapMax) continue;
    if (!pool(row.port_index).acquire_more(row.vn, vid, now)) continue;
    row.more.push_back(vid);
    count_vid(row.port_index, true);
  }
}

void VapTable::trim(Index vap, std::size_t keep, Instant now) {
  VapRow& row = rows_[vap];
  if (row.more.size() <= keep) return;
  if (row.uses() > 0) mark_tags(row);
  if (row.state == VapState::kConnected) mark_access(row);
  for (; row.more.size() > keep; row.more.pop_back()) {
    pool(row.port_index).release_more(row.more.back(), false, now);
    count_vid(row.port_index, false);
  }
}

void VapTable::mark_access(const VapRow& row) {
  changes_.rows.access.push_back({row.port, row.vid, row.vn});
  for (const Vid vid : row.more) changes_.rows.access.push_back({row.port, vid, row.vn});
}

void VapTable::mark_tags(const VapRow& row) {
  changes_.tags.push_back({row.port, row.vid, row.vn});
  for (const Vid vid : row.more) changes_.tags.push_back({row.port, vid, row.vn});
}

void VapTable::begin_recovery(Instant until) {
  for (std::uint32_t i = 0; i < config_.ports.size(); ++i)
    pool(i).begin_recovery(config_.ports[i].recovery_vids, until);
}

void VapTable::release_unused(Index vap, Reason reason, Instant now) {
  if (rows_[vap].uses() == 0) disconnect(vap, reason, now);
}

void VapTable::note_failure(std::uint32_t port_index, GroupId vn, Reason reason, Instant now) {
  const Index vap = find_or_create(port_index, vn);
  VapRow& row = rows_[vap];
  if (!row.vid.is_null()) return;  // it works for others
  row.reason = reason;
  shown_until_.set(vap, now + kFailedVapShown);
}

void VapTable::instance_added(Index vap) {
  VapRow& row = rows_[vap];
  ++row.instances;
  if (row.uses() == 1) mark_tags(row);
}

void VapTable::instance_removed(Index vap, Reason reason, Instant now) {
  ensure(rows_[vap].instances > 0, "a VAP loses a TSI it does not have");
  VapRow& row = rows_[vap];
  --row.instances;
  if (row.uses() > 0) return;
  mark_tags(row);
  disconnect(vap, reason, now);
}

void VapTable::connect_added(Index vap, const char* reason) {
  VapRow& row = rows_[vap];
  ++row.connects;
  if (row.uses() == 1) mark_tags(row);
  connect(vap, reason);
}

void VapTable::connect_removed(Index vap, Reason reason, Instant now) {
  VapRow& row = rows_[vap];
  ensure(row.connects > 0, "a VAP loses a connect it does not have");
  --row.connects;
  if (row.uses() > 0) return;
  mark_tags(row);
  disconnect(vap, reason, now);
}

void VapTable::instance_associated(Index vap, const char* reason) {
  if (++rows_[vap].associated == 1) connect(vap, reason);
}

void VapTable::connect(Index vap, const char* reason) {
  VapRow& row = rows_[vap];
  if (row.state == VapState::kConnected) return;
  DomainState& domain = domains_[row.vn];
  if (++domain.connected == 1) {
    for (const MacAddress& mac : static_remotes_[row.vn]) changes_.rows.fdb.push_back({row.vn, mac});
    mark_domain(row.vn);
  }
  enter(vap, VapState::kConnected, reason);
  mark_access(row);
}

void VapTable::instance_dissociated(Index vap) {
  ensure(rows_[vap].associated > 0, "a VAP loses an association it does not have");
  --rows_[vap].associated;
}

void VapTable::address_opening(Index vap, bool begins) {
  VapRow& row = rows_[vap];
  if (begins) {
    if (++row.opening == 1) ++domains_[row.vn].opening;
  } else {
    ensure(row.opening > 0, "a VAP closes an address it does not have");
    if (--row.opening == 0) --domains_[row.vn].opening;
  }
}

void VapTable::address_active(Index vap, bool has_mac, bool becomes) {
  VapRow& row = rows_[vap];
  const std::uint32_t before = row.active;
  row.active += becomes ? 1u : ~0u;
  if ((before == 0) != (row.active == 0)) mark_domain(row.vn);
  if (has_mac) return;
  row.unguarded += becomes ? 1u : ~0u;
  mark_access(row);
}

void VapTable::disconnect(Index vap, Reason reason, Instant now) {
  VapRow& row = rows_[vap];
  const bool was_connected = row.state == VapState::kConnected;
  const Vid vid = row.vid;
  if (was_connected) {
    mark_access(row);
    mark_domain(row.vn);
    if (--domains_[row.vn].connected == 0)
      for (const MacAddress& mac : static_remotes_[row.vn]) changes_.rows.fdb.push_back({row.vn, mac});
    enter(vap, VapState::kDisconnected, reason == Reason::kNone ? "last use ended" : info(reason).text);
  }
  if (!vid.is_null()) {
    for (const Vid further : row.more) {
      pool(row.port_index).release_more(further, was_connected, now);
      count_vid(row.port_index, false);
    }
    row.more.clear();
    pool(row.port_index).release(row.vn, was_connected, now);
    count_vid(row.port_index, false);
    row.vid = Vid();
  }
  // A VAP that never connected is shown with its reason; one that did its work is gone (B1).
  if (was_connected || reason == Reason::kNone) return erase(vap);
  row.reason = reason;
  shown_until_.set(vap, now + kFailedVapShown);
}

void VapTable::enter(Index vap, VapState state, const char* reason) {
  VapRow& row = rows_[vap];
  journal_.transition("vap",
                      "port " + config_.ports[row.port_index].interface_name + " vn " + std::to_string(row.vn.value()) +
                          " vid " + std::to_string(row.vid.value()),
                      to_string(row.state), to_string(state), reason);
  row.state = state;
  if (state == VapState::kConnected) row.reason = Reason::kNone;
}

void VapTable::erase(Index vap) {
  const VapRow& row = rows_[vap];
  auto domain = domains_.find(row.vn);
  auto& members = domain->second.vaps;
  members.erase(std::find(members.begin(), members.end(), vap));
  if (members.empty()) domains_.erase(domain);
  index_.erase(Key{row.port, row.vn});
  shown_until_.clear(vap);
  rows_.erase(vap);
}

void VapTable::mark_domain(GroupId vn) { changes_.rows.domains.push_back(vn); }

void VapTable::handle_time(Instant now) {
  while (const auto vap = shown_until_.pop_due(now))
    if (rows_[*vap].vid.is_null()) erase(*vap);
  for (auto& pool : pools_) pool->handle_time(now);
}

}  // namespace splitnve::nnved
