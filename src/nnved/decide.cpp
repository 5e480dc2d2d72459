// SPDX-License-Identifier: Apache-2.0
// What a request comes to: a refusal with its code (S4), an answer at once, or a work.
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

namespace {

bool arrives(vdp::Migration migration) { return migration == vdp::Migration::kArriving; }

Level level_of(const vdp::Request& request) {
  return request.command == vdp::TlvType::kAssociate ? Level::kActive : Level::kReserved;
}

bool same_entry(const Step& a, const Step& b) { return a.vn == b.vn && a.name == b.name; }

/// Does a De-Associate entry name this address? What the entry's format lacks matches any, so that a MAC's IPs go with
/// it (S3).
bool names(const vdp::Request& request, const vdp::FilterEntry& entry, GroupId vn, const AddressName& name) {
  const bool group = !vdp::has_group(request.format) || entry.group.is_null() || entry.group == vn;
  const bool mac = !vdp::has_mac(request.format) || entry.mac == name.mac;
  return group && mac && (!vdp::has_ip(request.format) || entry.ip == name.ip);
}

}  // namespace

Index Plan::vap_of(GroupId vn) const {
  for (const Joined& joined : vaps)
    if (joined.vn == vn) return joined.vap;
  return kNoIndex;
}

void Impl::handle_request(Index peer, vdp::Request request, Instant now) {
  const bool deassociates = request.command == vdp::TlvType::kDeAssociate;
  const auto busy = inflight.find(request.vsi);
  const bool overtakes = busy == inflight.end() || busy->second.of(peers[peer].port_index) == nullptr;
  if (!deassociates && overtakes && renew(peer, request, now)) return;
  peers[peer].bridge.set_keep_on_expiry(
      request.id, tsis.has(request.vsi, peer) && !would_raise_legacy(peer, request.vsi, request.command));
  if (deassociates) {
    cancel(peer, request.vsi, Cancel::kOvertaken, Reason::kCancelled, now);
    return deassociate(peer, request, now);
  }
  if (busy != inflight.end()) return await_turn(peer, std::move(request), busy->second, now);
  associate(peer, request, now);
}

/// Behind what is on its way for the same VSI. What only renews is never refused for having waited.
void Impl::await_turn(Index peer, vdp::Request request, Inflight& busy, Instant now) {
  const std::uint32_t port_index = peers[peer].port_index;
  const auto* waiting = busy.of(port_index);
  const bool renews = stands(peer, request);
  const bool full = waiting != nullptr && waiting->size() >= limits::kWaitingPerVsiAndPortMax;
  if (full && renews) return grant(peer, request);
  if (full)
    return refuse(
        peer, request,
        {Reason::kPortShare, GroupId(), about::Most(limits::kWaitingPerVsiAndPortMax, " requests wait for the VSI")},
        now);
  if (renews) peers[peer].bridge.set_success_on_expiry(request.id, request.entries);
  ask(peer, request.id, request.vsi);
  busy.push(port_index, {peer, std::move(request)});
}

/// Does all that the request asks for stand? Its VIDs are filled in then.
bool Impl::stands(Index peer, vdp::Request& request) const {
  boost::container::small_vector<Vid, 4> vids;
  for (const vdp::FilterEntry& entry : request.entries) {
    const auto vn = policy.vn_of_entry(peers[peer].port_index, request.manager, request.type, entry);
    const Index instance = vn ? tsis.find(request.vsi, *vn, peer) : kNoIndex;
    const bool by_mac = vdp::has_mac(request.format) || !vdp::has_ip(request.format);
    if (instance == kNoIndex || !by_mac) return false;
    const AddressName name(entry.mac, vdp::has_ip(request.format) ? entry.ip : IpPrefix());
    const AddressRow* address = tsis.find_address(instance, name);
    const VapRow& vap = vaps[tsis[instance].vap];
    if (address == nullptr || address->level != level_of(request)) return false;
    // An answer about an IP speaks for its MAC, too.
    if (!name.ip.is_none() && tsis.find_address(instance, entry.mac)->level < level_of(request)) return false;
    if (!entry.vid.is_null() && !vap.has(entry.vid)) return false;
    vids.push_back(entry.vid.is_null() ? vap.vid : entry.vid);
  }
  for (std::size_t i = 0; i < vids.size(); ++i) request.entries[i].vid = vids[i];
  return !vids.empty();
}

/// A keep-alive of one MAC, as nearly every request is: what it asks for stands already, so that plan() would judge
/// much to decide nothing. False, with nothing changed: that is for plan() to say.
bool Impl::renew(Index peer, vdp::Request& request, Instant now) {
  const std::uint32_t port_index = peers[peer].port_index;
  if (request.entries.size() != 1 || vdp::has_ip(request.format) || draining) return false;
  vdp::FilterEntry& entry = request.entries.front();
  const auto vn = policy.vn_of_entry(port_index, request.manager, request.type, entry);
  if (!vn || policy.check_mac(port_index, request.format, entry.mac) != Reason::kNone) return false;
  const Level level = level_of(request);
  if (latches.find(*vn, config.ports[port_index].interface_name, request.vsi, entry.mac, level == Level::kActive))
    return false;
  const Index instance = tsis.find(request.vsi, *vn, peer);
  AddressRow* address = instance == kNoIndex ? nullptr : tsis.find_address(instance, entry.mac);
  if (address == nullptr || address->level != level || address->work != kNoIndex) return false;
  // With a takeover of the address on its way the answer waits for what becomes of it.
  if (address->owns() && tsis.owner({*vn, entry.mac})->holders > 1 && inflight.contains(request.vsi)) return false;
  const Index vap = tsis[instance].vap;
  if (!entry.vid.is_null() && !vaps[vap].has(entry.vid)) return false;
  if (entry.vid.is_null()) entry.vid = vaps[vap].vid;
  keep(*address, {0, *vn, entry.mac, instance, level, entry.vid}, vap, now);
  if (update_attributes(instance, request)) {
    commit(open_work(peer, request), now);
  } else {
    grant(peer, request);
  }
  return true;
}

void Impl::associate(Index peer, vdp::Request& request, Instant now) {
  Plan granted;
  if (const auto refused = plan(peer, request, granted, now)) {
    for (const Plan::Joined& joined : granted.vaps) {
      vaps.trim(joined.vap, joined.vids_before, now);
      vaps.release_unused(joined.vap, Reason::kNone, now);
    }
    if (refused->reason == Reason::kStationMoving) return park(peer, std::move(request));
    if (info(refused->reason).code == vdp::Code::kInsufficientResources && !refused->vn.is_null())
      vaps.note_failure(peers[peer].port_index, refused->vn, refused->reason, now);
    return refuse(peer, request, *refused, now);
  }
  apply(peer, request, granted, now);
}

/// Judges all entries before anything is changed (S4). Only VAPs are acquired, which the caller gives back on refusal.
std::optional<Refused> Impl::plan(Index peer, const vdp::Request& request, Plan& plan, Instant now) {
  const std::uint32_t port_index = peers[peer].port_index;
  for (std::size_t i = 0; i < request.entries.size(); ++i) {
    const vdp::FilterEntry& entry = request.entries[i];
    const auto vn = policy.vn_of_entry(port_index, request.manager, request.type, entry);
    if (!vn) return Refused{vn.error(), entry.group, ""};
    const auto mac = mac_of_entry(peer, request, *vn, entry);
    if (auto refused = check_in_service(peer, request, *vn, mac ? *mac : entry.mac)) return refused;
    if (!mac) return Refused{mac.error(), *vn, ""};
    if (auto refused = plan_entry(peer, request, *vn, *mac, i, plan, now)) return refused;
  }
  // What runs is renewed whatever anybody says about timers.
  if (refuses_timers(peers[peer]) && grows(plan))
    return Refused{Reason::kTimersRefused, GroupId(), about::TimersOfStation{}};
  if (const auto refused = check_limits(peer, request, plan)) return refused;
  return connect_vaps(peer, request, plan, now);
}

/// Has an operator taken out of service what the entry asks for?
std::optional<Refused> Impl::check_in_service(Index peer, const vdp::Request& request, GroupId vn,
                                              const MacAddress& mac) {
  const Latch* latch = latches.find(vn, config.ports[peers[peer].port_index].interface_name, request.vsi, mac,
                                    request.command == vdp::TlvType::kAssociate);
  if (latch == nullptr && !draining) return std::nullopt;
  if (is_held_silently(peer, tsis.find(request.vsi, vn, peer), request.vsi, vn, mac)) return std::nullopt;
  if (latch != nullptr && latch->vsi) note_told(peer, request.vsi, vn);
  if (draining) return Refused{Reason::kDraining, vn, ""};
  return Refused{Reason::kAdminDown, vn, latch->reason};
}

/// An entry with an IP and no MAC means the only MAC that the VSI has in the VN (S5).
Result<MacAddress, Reason> Impl::mac_of_entry(Index peer, const vdp::Request& request, GroupId vn,
                                              const vdp::FilterEntry& entry) const {
  if (vdp::has_ip(request.format)) {
    if (!entry.ip.is_usable_source()) return unexpected(Reason::kBadIp);
    if (!vdp::has_mac(request.format)) {
      const Index instance = tsis.find(request.vsi, vn, peer);
      const auto only = instance == kNoIndex ? std::nullopt : tsis.only_mac(instance);
      if (!only) return unexpected(Reason::kIpWithoutMac);
      return *only;
    }
  }
  const Reason bad = policy.check_mac(peers[peer].port_index, request.format, entry.mac);
  if (bad != Reason::kNone) return unexpected(bad);
  return entry.mac;
}

std::optional<Refused> Impl::plan_entry(Index peer, const vdp::Request& request, GroupId vn, const MacAddress& mac,
                                        std::size_t entry, Plan& plan, Instant now) {
  const auto add = [&](const AddressName& name) {
    plan.steps.push_back({entry, vn, name});
    return plan_address(peer, request, plan.steps.back(), now);
  };
  auto refused = add(mac);
  if (refused || !vdp::has_ip(request.format)) return refused;
  Step& beside = plan.steps.back();
  beside.beside = true;
  beside.level = level_beside(beside.instance, mac, beside.level);
  return add({mac, request.entries[entry].ip});
}

/// Naming an IP renews its MAC and raises it, but never lowers it.
Level Impl::level_beside(Index instance, const MacAddress& mac, Level level) const {
  const AddressRow* address = instance == kNoIndex ? nullptr : tsis.find_address(instance, mac);
  return address == nullptr ? level : std::max(address->level, level);
}

/// What stands already is the request's to renew, whoever else would like to have it.
std::optional<Refused> Impl::plan_address(Index peer, const vdp::Request& request, Step& step, Instant now) {
  const AddressName& name = step.name;
  step.instance = tsis.find(request.vsi, step.vn, peer);
  step.level = level_of(request);
  const AddressRow* address = step.instance == kNoIndex ? nullptr : tsis.find_address(step.instance, name);
  const bool of_ip = name.ip.is_none() && vdp::has_ip(request.format);  // its MAC is not what the entry is about
  if (!of_ip && address != nullptr && address->level == Level::kActive && step.level == Level::kReserved &&
      !peers[peer].exchange.flags().has(vdp::Flag::kDeactivate))
    return Refused{Reason::kPreAssociateOnActive, step.vn, ""};
  if (address != nullptr && address->superseded && is_held_loser(step.instance)) step.level = Level::kReserved;
  if (is_held_silently(peer, step.instance, request.vsi, step.vn, name.mac)) step.level = Level::kReserved;
  if (name.mac.is_zero() || (address != nullptr && address->level >= step.level)) return std::nullopt;
  return name.ip.is_none() ? check_owner(peer, request, step, now) : check_ip_owner(request.vsi, step);
}

/// Does it add an address, or open one? Else it is a keep-alive, or takes something away.
bool Impl::grows(const Plan& plan) const {
  return std::ranges::any_of(plan.steps, [&](const Step& step) {
    const AddressRow* address = step.instance == kNoIndex ? nullptr : tsis.find_address(step.instance, step.name);
    return address == nullptr || address->level < step.level;
  });
}

/// What is new has to fit the tables, the station's part of them and its port's share. What stands is never refused.
std::optional<Refused> Impl::check_limits(Index peer, const vdp::Request& request, const Plan& plan) const {
  if (!grows(plan)) return std::nullopt;  // a keep-alive
  const std::uint32_t port_index = peers[peer].port_index;
  boost::container::small_vector<GroupId, 2> new_instances, opened;
  boost::container::small_vector<std::pair<GroupId, AddressName>, 2> new_addresses;
  for (const Step& step : plan.steps) {
    if (step.instance == kNoIndex) new_instances.push_back(step.vn);
    if (step.level == Level::kActive) opened.push_back(step.vn);
    if (step.instance == kNoIndex || tsis.find_address(step.instance, step.name) == nullptr)
      new_addresses.emplace_back(step.vn, step.name);
  }
  sort_unique(new_instances);
  sort_unique(opened);
  sort_unique(new_addresses);
  const GroupId first = plan.steps.front().vn;
  const std::size_t made = new_instances.size();
  if (tsis.rows().size() + made > config.instances_max) return Refused{Reason::kTableFull, first, ""};
  if (peers[peer].tsis + made > config.instances_per_station_max) return Refused{Reason::kStationLimit, first, ""};
  if (made > 0) {
    std::size_t vns = made;
    for (Index i = tsis.first_of_vsi(request.vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) ++vns;
    if (vns > limits::kVnsPerVsiMax) return Refused{Reason::kVsiVnLimit, first, about::Most(limits::kVnsPerVsiMax)};
  }
  if (auto refused = check_share(tables.tsis, "TSIs", port_index, made, first)) return refused;
  std::size_t new_macs = 0, new_ips = 0;
  for (const auto& [vn, name] : new_addresses) ++(name.ip.is_none() ? new_macs : new_ips);
  if (auto refused = check_share(address_shares.macs, "MAC addresses", port_index, new_macs, first)) return refused;
  if (auto refused = check_share(address_shares.ips, "IP addresses", port_index, new_ips, first)) return refused;
  for (const Step& step : plan.steps) {
    const std::size_t has_ips = step.instance == kNoIndex ? 0 : tsis.ips().count(step.instance);
    const std::size_t has_macs = step.instance == kNoIndex ? 0 : tsis[step.instance].addresses.size() - has_ips;
    std::size_t macs = 0, ips = 0;
    for (const auto& [vn, name] : new_addresses)
      if (vn == step.vn) ++(name.ip.is_none() ? macs : ips);
    if (has_macs + macs > limits::kAddressesPerInstanceMax) return Refused{Reason::kAddressLimit, step.vn, ""};
    if (has_ips + ips > limits::kIpsPerInstanceMax)
      return Refused{Reason::kIpLimit, step.vn, about::Most(limits::kIpsPerInstanceMax, " of one TSI")};
  }
  for (const GroupId vn : opened) {
    const Index vap = vaps.find(config.ports[port_index].id, vn);
    if (vap != kNoIndex && vaps[vap].opening > 0) continue;
    const DomainState* domain = vaps.domain(vn);
    if (domain != nullptr && domain->opening >= limits::kFloodLocalMax) return Refused{Reason::kFloodLimit, vn, ""};
  }
  return std::nullopt;
}

std::optional<Refused> Impl::check_share(const Shares& shares, const char* what, std::uint32_t port_index,
                                         std::size_t more, GroupId vn) const {
  if (more == 0 || shares.admits(port_index, more)) return std::nullopt;
  return Refused{Reason::kPortShare, vn, about::Share(shares, what)};
}

std::optional<Refused> Impl::connect_vaps(Index peer, const vdp::Request& request, Plan& plan, Instant now) {
  // What is named is taken first, so that null VIDs come to differ from it.
  for (const bool named : {true, false}) {
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
      const Vid requested = request.entries[plan.steps[i].entry].vid;
      if (plan.steps[i].beside || requested.is_null() == named) continue;
      if (auto refused = connect_vap(peer, requested, plan, i, now)) return refused;
    }
  }
  return std::nullopt;
}

/// Several entries of one address get as many VIDs (S14).
std::optional<Refused> Impl::connect_vap(Index peer, Vid requested, Plan& plan, std::size_t i, Instant now) {
  const std::uint32_t port_index = peers[peer].port_index;
  Step& step = plan.steps[i];
  boost::container::small_vector<Vid, 8> others;
  bool several = false;
  for (const Step& other : plan.steps) {
    if (&other == &step || !same_entry(other, step)) continue;
    several = true;
    if (!other.vid.is_null()) others.push_back(other.vid);
  }
  const Index known = vaps.find(config.ports[port_index].id, step.vn);
  const std::size_t before = known == kNoIndex ? 0 : vaps[known].more.size();
  const auto granted =
      vaps.acquire_distinct(port_index, step.vn, requested, {others.data(), others.size()}, several, now);
  if (!granted) {
    if (granted.error() == Reason::kPortShare) return Refused{granted.error(), step.vn, about::VidsOfPort{}};
    return Refused{granted.error(), step.vn, segments.why(port_index, granted.error())};
  }
  step.vid = granted->vid;
  if (i > 0 && plan.steps[i - 1].beside) plan.steps[i - 1].vid = granted->vid;
  if (plan.vap_of(step.vn) == kNoIndex) plan.vaps.push_back({step.vn, granted->vap, before});
  return std::nullopt;
}

void Impl::apply(Index peer, vdp::Request& request, const Plan& plan, Instant now) {
  for (const Step& step : plan.steps) request.entries[step.entry].vid = step.vid;
  Index work = kNoIndex;  // a keep-alive needs none
  // A VID that came to a VAP is told to the datapath and to the store before the answer.
  bool raises = false, attributes = std::ranges::any_of(plan.vaps, [&](const Plan::Joined& joined) {
                         return vaps[joined.vap].more.size() > joined.vids_before;
                       });
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    const Index vap = plan.vap_of(step.vn);
    const bool repeated = std::any_of(plan.steps.begin(), plan.steps.begin() + static_cast<std::ptrdiff_t>(i),
                                      [&](const Step& earlier) { return same_entry(earlier, step); });
    if (repeated) {
      attributes = store_vids(tsis.find(request.vsi, step.vn, peer), step, vap) || attributes;
      continue;
    }
    const Index instance = instance_for(peer, request, step, vap, now);
    attributes = update_attributes(instance, request) || attributes;
    AddressRow* address = tsis.find_address(instance, step.name);
    const Level level = address == nullptr ? Level::kNone : address->level;
    if (level == step.level) {
      keep(*address, step, vap, now);
      continue;
    }
    if (work == kNoIndex) work = open_work(peer, request);
    machine.want(instance, step.name, step.level, work, now);
    use_vid(*tsis.find_address(instance, step.name), step, vap);
    works[work].touches.push_back({instance, step.vn, step.name, level, kNoIndex});
    raises = raises || step.level > level;
  }
  if (work == kNoIndex && !attributes) return grant(peer, request);
  if (work == kNoIndex) work = open_work(peer, request);
  if (raises) {
    claims.push_back(work);
  } else {
    commit(work, now);
  }
}

/// True if the instance uses a further VID of the VN that its record does not have yet.
bool Impl::store_vids(Index instance, const Step& step, Index vap) {
  const std::size_t count = vaps[vap].more.size();
  if (step.vid == vaps[vap].vid || tsis[instance].vids_stored >= count) return false;
  tsis[instance].vids_stored = static_cast<std::uint8_t>(count);
  changes.records.push_back(instance);
  return true;
}

/// What stands goes on standing.
void Impl::keep(AddressRow& address, const Step& step, Index vap, Instant now) {
  address.renewed = now;
  use_vid(address, step, vap);
}

/// At once, for nothing has to be told to anybody first.
void Impl::grant(Index peer, const vdp::Request& request) {
  peers[peer].bridge.respond(request.id, {vdp::Code::kSuccess, false, false}, request.entries,
                             held_words(peer, request.vsi, request.command, request.entries));
  touch(peer);
}

/// Frames to the address leave with the VID of its first entry; one that names an IP leaves a known MAC its VID.
void Impl::use_vid(AddressRow& address, const Step& step, Index vap) {
  if (address.ip != 0 || (step.beside && address.level != Level::kNone)) return;
  const Vid vid = step.vid == vaps[vap].vid ? Vid() : step.vid;
  if (std::exchange(address.vid, vid) != vid && address.owns()) changes.rows.fdb.push_back({step.vn, address.mac});
}

Index Impl::instance_for(Index peer, const vdp::Request& request, const Step& step, Index vap, Instant now) {
  if (step.instance != kNoIndex) return step.instance;
  if (const Index made = tsis.find(request.vsi, step.vn, peer); made != kNoIndex) return made;  // by an earlier entry
  const Index instance = new_instance(request.vsi, step.vn, peer, vap, step.name.mac);
  ++peers[peer].tsis;
  tables.tsis.add(peers[peer].port_index, 1);
  ages.set(instance, now + timing_of(peers[peer]).keepalive_timeout());
  return instance;
}

/// Manager, type and flags are attributes of the instance: a change updates them in place (S1). True if a stored TSI
/// has to be written again.
bool Impl::update_attributes(Index instance, const vdp::Request& request) {
  TsiRow& row = tsis[instance];
  // A De-Associate of ours names MACs, so that what is kept is a format of those.
  const vdp::FilterFormat format = vdp::has_ip(request.format) ? vdp::FilterFormat::kGroupMacVid : request.format;
  const bool named = row.manager != kNoIndex && tsis.manager(instance) == request.manager;
  const bool same = named && row.type == request.type && row.format == format &&
                    arrives(row.migration) == arrives(request.migration) && row.suspended == request.suspended;
  if (!named) tsis.set_manager(instance, request.manager);
  row.type = request.type;
  row.format = format;
  row.migration = request.migration;
  row.suspended = request.suspended;
  row.last_refusal = Reason::kNone;
  if (same || row.state() == TsiState::kInit) return false;
  changes.records.push_back(instance);
  return true;
}

void Impl::deassociate(Index peer, vdp::Request& request, Instant now) {
  bool other_vid = false;
  auto named = named_addresses(peer, request, other_vid);
  if (other_vid) return refuse(peer, request, {Reason::kOtherVid, request.entries.front().group, ""}, now);
  // A work on such an address would stand in the way: it is overtaken too.
  bool overtook = false;
  for (const auto& [instance, name] : named) {
    if (!tsis.rows().contains(instance)) continue;
    const AddressRow* address = tsis.find_address(instance, name);
    if (address == nullptr || address->work == kNoIndex) continue;
    fail(address->work, Reason::kCancelled, "", now);
    overtook = true;
  }
  if (overtook) named = named_addresses(peer, request, other_vid);
  const Index work = open_work(peer, request);
  if (named.empty()) return finish(work);  // unknown is gone already: success (S3)
  for (const auto& [instance, name] : named)
    if (tsis.rows().contains(instance) && tsis.find_address(instance, name) != nullptr)  // an IP goes with its MAC
      remove_address(instance, name, Reason::kNone, "De-Associate", now);
  commit(work, now);
}

/// The addresses of the VSI at this station that a De-Associate names; no entries name all. `other_vid` becomes true if
/// an entry names an address but for its VID. Each instance is looked through once, however often it is named.
std::vector<std::pair<Index, AddressName>> Impl::named_addresses(Index peer, const vdp::Request& request,
                                                                 bool& other_vid) {
  std::vector<std::pair<Index, AddressName>> named;
  boost::container::small_vector<Index, 4> whole;
  const auto take_all = [&](Index instance) {
    if (std::ranges::find(whole, instance) != whole.end()) return;
    whole.push_back(instance);
    for (const AddressRow& address : tsis[instance].addresses)
      named.emplace_back(instance, tsis.name(instance, address));
  };
  const auto take_mac = [&](Index instance, const vdp::FilterEntry& entry) {
    const auto& all = tsis[instance].addresses;
    const AddressRow* at = tsis.find_address(instance, entry.mac);
    const bool there = at != nullptr;
    for (; at != nullptr && at != all.data() + all.size() && at->mac == entry.mac; ++at)
      if (const AddressName name = tsis.name(instance, *at); names(request, entry, tsis[instance].vn, name))
        named.emplace_back(instance, name);
    return there;
  };
  const auto take_ip = [&](Index instance, const vdp::FilterEntry& entry) {
    bool there = false;
    for (const AddressRow& address : tsis[instance].addresses) {
      if (address.ip == 0) continue;
      const AddressName name = tsis.name(instance, address);
      if (!names(request, entry, tsis[instance].vn, name)) continue;
      named.emplace_back(instance, name);
      there = true;
    }
    return there;
  };
  if (request.entries.empty())
    for (Index i = tsis.first_of_vsi(request.vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) take_all(i);
  for (const vdp::FilterEntry& entry : request.entries) {
    bool fits = false, misfits = false;
    for (Index i = tsis.first_of_vsi(request.vsi, peer); i != kNoIndex; i = tsis[i].next_of_vsi) {
      if (vdp::has_group(request.format) && !entry.group.is_null() && entry.group != tsis[i].vn) continue;
      const std::size_t before = named.size();
      bool there = true;
      if (vdp::has_mac(request.format))
        there = take_mac(i, entry);
      else if (vdp::has_ip(request.format))
        there = take_ip(i, entry);
      else if (entry.vid.is_null() || vaps[tsis[i].vap].has(entry.vid))
        take_all(i);
      if (!there) continue;
      const bool vid_fits = entry.vid.is_null() || vaps[tsis[i].vap].has(entry.vid);
      (vid_fits ? fits : misfits) = true;
      if (!vid_fits) named.resize(before);
    }
    other_vid = other_vid || (misfits && !fits);
  }
  sort_unique(named);
  return named;
}

/// Takes back what this station asked for the VSI: all of it, or what its bridge has answered because a De-Associate of
/// the same entries overtook it (S3).
void Impl::cancel(Index peer, const VsiId& vsi, Cancel which, Reason reason, Instant now) {
  const auto affected = [&](vdp::RequestId request) {
    return which == Cancel::kAll || peers[peer].bridge.state(request) != vdp::Bridge::RequestState::kDeciding;
  };
  const auto take_back = [&](const Inflight::Waiting& waiting) {
    if (waiting.peer != peer || !affected(waiting.request.id)) return false;
    peers[peer].bridge.respond(waiting.request.id, {info(reason).code, tsis.has(vsi, peer), false}, {},
                               said(reason, info(reason).text));
    touch(peer);
    asked(peer, waiting.request.id);
    return true;
  };
  std::erase_if(parked, [&](const Parked& one) {
    return one.to == peer && one.request.vsi == vsi && take_back({one.to, one.request});
  });
  const auto busy = inflight.find(vsi);
  if (busy == inflight.end()) return;
  busy->second.erase_if(peers[peer].port_index, take_back);
  for (const Index work : boost::container::small_vector<Index, 1>(busy->second.works))
    if (works[work].peer == peer && works[work].command != vdp::TlvType::kDeAssociate &&
        (which == Cancel::kAll || !works[work].answered) && affected(works[work].request))
      fail(work, reason, "", now);
}

}  // namespace splitnve::nnved
