// SPDX-License-Identifier: Apache-2.0
// Several nNVEs for one VN, one active (D3): when it is dead and another one of the VN's path answers, all TSIs of the
// path move there. Nothing moves back by itself.
#include <algorithm>
#include <map>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

std::optional<std::size_t> Agent::Impl::uplink_for(GroupId vn) const {
  const Path* path = paths_.of(vn);
  return path == nullptr ? std::nullopt : std::optional<std::size_t>(path->active);
}

void Agent::Impl::look_at_paths(Instant now) {
  for (Path& path : paths_.all()) {
    if (!path.has_standby()) continue;
    if (path.opens_at) finish_switch(path, now);
    const Uplink& active = uplinks_[path.active];
    if (!active.dead(now)) continue;
    const auto next = std::ranges::find_if(path.uplinks, [&](std::uint8_t i) { return uplinks_[i].usable(now); });
    if (next == path.uplinks.end()) continue;
    const std::string why = active.link_up ? "the nNVE is silent" : "link down";
    notice("TNVED_FAILOVER", agent::Notice::Level::kWarning,
           "from=" + active.config.interface_name + " to=" + uplinks_[*next].config.interface_name + " " + why);
    switch_path(path, *next, why, now);
  }
}

/// All TSIs of the path leave the active uplink's nNVE for another one's. The old one is told to let go; where it can
/// be reached, the new one is asked only when it has, or has had the time for it.
void Agent::Impl::switch_path(Path& path, std::uint8_t to, const std::string& why, Instant now) {
  const std::uint8_t from = std::exchange(path.active, to);
  emit(agent::Transition{"path", uplinks_[from].config.interface_name, "active", "standby", why});
  emit(agent::Transition{"path", uplinks_[to].config.interface_name, "standby", "active", why});
  std::map<GroupId, std::vector<std::pair<PortId, Vid>>> bindings;
  std::vector<Slot> moving;
  tsis_.for_each([&](Slot slot, const Tsi& tsi) {
    if (tsi.uplink == from && tsi.vm != VmState::kLeaving && paths_.of(tsi.vn) == &path) moving.push_back(slot);
  });
  for (const Slot slot : moving) {
    leave_uplink(slot, why, now);
    auto& of_vn = bindings[tsis_[slot].vn];
    if (tsis_[slot].port.value() != 0) of_vn.emplace_back(tsis_[slot].port, tsis_[slot].guest_tag);
  }
  for (const auto& [vn, ports] : bindings)
    vswitch_.move(domain_of(uplinks_[from].config.id, vn), domain_of(uplinks_[to].config.id, vn), ports);
  for (const Slot slot : moving) enter_uplink(slot, to);
  path.left = from;
  path.opens_at = uplinks_[from].dead(now) ? now : now + uplinks_[from].dead_peer_time();
  finish_switch(path, now);
}

void Agent::Impl::finish_switch(Path& path, Instant now) {
  const Uplink& left = uplinks_[path.left];
  if (left.orphans > 0 && !left.dead(now) && now < *path.opens_at) return;
  path.opens_at.reset();
  tsis_.for_each([&](Slot slot, const Tsi& tsi) {
    if (tsi.handle == kNoHandle && tsi.vm != VmState::kLeaving && paths_.of(tsi.vn) == &path) to_open_.push_back(slot);
  });
}

/// The TSI has nothing of the uplink's nNVE any longer, and its association goes on taking leave without it.
void Agent::Impl::leave_uplink(Slot slot, const std::string& why, Instant now) {
  Tsi& tsi = tsis_[slot];
  Uplink& old = uplink(tsi);
  give_back(slot, why);
  // The next nNVE may see it as a VSI that arrives from elsewhere (S6).
  const bool stays = !intent(tsi.vm).suspended && tsi.vm != VmState::kDeparting;
  tsi.arrival = tsi.arrival || (tsi.level() == vdp::Level::kActive && stays);
  for (Address& address : tsi.addresses) {
    old.remember_vid(tsi.vn, address.vid);
    address.hold = Hold::kFree;
    address.confirmed = vdp::Level::kNone;
  }
  attributes_before_.erase(slot);
  retries_.clear(slot);
  tsi.retries = 0;
  if (tsi.handle != kNoHandle) {
    const auto handle = tsi.handle;
    const bool closes_already = tsi.closing;
    abandon_association(slot);
    if (!closes_already) old.station.close(handle, now);
  }
  announce_level(slot, why);
  count_settled(tsi, false);
  --old.tsis;
}

void Agent::Impl::enter_uplink(Slot slot, std::uint8_t to) {
  Tsi& tsi = tsis_[slot];
  tsi.uplink = to;
  ++uplinks_[to].tsis;
  const Vid remembered = uplinks_[to].remembered_vid(tsi.vn);
  for (Address& address : tsi.addresses) {
    address.vid = remembered;
    if (address.is_mac()) tsis_.hold(domain(tsi), address.mac, slot);
  }
  touch_addresses(slot);
  to_store(slot);
  to_check(slot);
}

/// The first TSI of a path that is restored tells which of its uplinks was the active one.
void Agent::Impl::restore_path(const TsiRecord& stored) {
  Path* path = paths_.of(stored.vn);
  if (path == nullptr || std::exchange(path->restored, true)) return;
  for (const std::uint8_t i : path->uplinks)
    if (uplinks_[i].config.id == stored.uplink) path->active = i;
}

/// What another nNVE than the active one of the path holds of a restored TSI is given back.
void Agent::Impl::release_elsewhere(const TsiRecord& stored, Instant now) {
  for (Uplink& old : uplinks_) {
    if (old.config.id != stored.uplink || old.station.find(stored.vsi, stored.vn)) continue;
    const auto handle = old.station.open({stored.vsi, stored.manager, stored.type, stored.vn, old.config.format});
    old.own(handle, Uplink::kOrphan);
    ++old.orphans;
    for (const auto& address : stored.addresses)
      old.station.restore_entry(handle, address.mac, address.confirmed, address.vid, now);
    old.station.close(handle, now);
  }
}

std::string Agent::Impl::path_name(const Path& path) const {
  std::string name;
  for (const std::uint8_t i : path.uplinks) name += (name.empty() ? "" : ",") + uplinks_[i].config.interface_name;
  return name;
}

/// Active for some path that has a standby, standby for some, or the only one there is.
const char* Agent::Impl::use_of(std::size_t uplink) const {
  const char* use = "only";
  for (const Path& path : paths_.all()) {
    if (!path.has_standby() || std::ranges::count(path.uplinks, uplink) == 0) continue;
    if (path.active == uplink) return "active";
    use = "standby";
  }
  return use;
}

std::string Agent::Impl::use_uplink(PortId id, Instant now) {
  const auto at = std::ranges::find(uplinks_, id, [](const Uplink& u) { return u.config.id; });
  ensure(at != uplinks_.end(), "the edge knows the uplinks");
  const auto to = static_cast<std::uint8_t>(at - uplinks_.begin());
  if (!at->usable(now)) return "the nNVE behind " + at->config.interface_name + " does not answer, or is no standby";
  for (Path& path : paths_.all()) {
    if (path.active == to || std::ranges::count(path.uplinks, to) == 0) continue;
    if (path.opens_at) return "the path " + path_name(path) + " is being switched";
    switch_path(path, to, "asked for by the operator", now);
  }
  pump(now);
  return "";
}

}  // namespace splitnve::tnved
