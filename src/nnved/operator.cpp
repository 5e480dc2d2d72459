// SPDX-License-Identifier: Apache-2.0
// What the operator does: removals, latches (S7), drain (S34).
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

/// A command of ours to the TSI's station, about these of its addresses.
void Impl::command(Index instance, std::span<const MacAddress> macs, bool deactivate, vdp::ReasonText why) {
  const TsiRow& row = tsis[instance];
  vdp::Bridge& bridge = peers[row.peer].bridge;
  std::vector<vdp::FilterEntry> entries;
  for (const MacAddress& mac : macs) {
    vdp::FilterEntry entry;
    entry.group = row.vn;
    entry.mac = mac;
    entry.vid = vaps[row.vap].vid;
    entries.push_back(entry);
  }
  if (deactivate) {
    bridge.deactivate(tsis.manager(instance), row.type, row.vsi, row.format, entries, why);
  } else {
    bridge.deassociate(tsis.manager(instance), row.type, row.vsi, row.format, entries, why);
  }
  touch(row.peer);
}

/// Tells the station by a bridge-initiated De-Associate and removes the TSI here, without waiting for it.
void Impl::withdraw(Index instance, const std::string& reason, Instant now) {
  const TsiRow& row = tsis[instance];
  cancel(row.peer, row.vsi, Cancel::kAll, Reason::kRemovedByOperator, now);
  if (!tsis.rows().contains(instance)) return;  // it was only on its way
  const std::string text = reason.empty() ? info(Reason::kRemovedByOperator).text : reason;
  std::vector<MacAddress> macs;
  for (const AddressRow& address : row.addresses)
    if (address.ip == 0) macs.push_back(address.mac);  // an IP goes with its MAC
  command(instance, macs, false, said(Reason::kRemovedByOperator, text));
  journal.notice("nnved.tsi_removed", agent::Notice::Level::kInfo, row.vsi.to_string() + ": " + reason);
  remove_instance(instance, Reason::kNone, text.c_str(), now);
}

/// Closes what is open of these addresses and tells the station; a legacy one hears nothing (S7), or loses them (S20).
void Impl::deactivate(Index instance, std::span<const MacAddress> macs, const std::string& reason, Instant now) {
  const Index peer = tsis[instance].peer;
  cancel(peer, tsis[instance].vsi, Cancel::kAll, Reason::kAdminDown, now);
  if (!tsis.rows().contains(instance)) return;  // it was only on its way
  std::vector<MacAddress> open;
  std::vector<AddressName> names;  // the same with their IPs
  for (const AddressRow& address : tsis[instance].addresses) {
    const bool named = macs.empty() || std::ranges::count(macs, address.mac) != 0;
    if (address.level != Level::kActive || !named) continue;
    names.push_back(tsis.name(instance, address));
    if (address.ip == 0) open.push_back(address.mac);
  }
  if (open.empty()) return;
  const bool understands = peers[peer].exchange.flags().has(vdp::Flag::kBridgeDeactivate);
  const bool silently = !understands && holds_silently(peer);
  const std::string text = words(Reason::kAdminDown, reason);
  if (!silently) command(instance, open, understands, said(Reason::kAdminDown, text));
  tsis[instance].last_refusal = Reason::kAdminDown;
  const char* down = info(Reason::kAdminDown).text;
  if (understands || silently) {
    for (const AddressName& name : names) machine.lower(instance, name, down);
    return;
  }
  for (const MacAddress& mac : open)
    if (remove_address(instance, mac, Reason::kNone, down, now)) return;
}

/// Visits those that `which` chooses; they may go meanwhile. Returns how many there were.
template <class Which, class Visit>
std::size_t Impl::for_each_tsi(Which&& which, Visit&& visit) {
  std::size_t count = 0;
  for (Index instance = 0; instance < tsis.rows().slots(); ++instance) {
    if (!tsis.rows().contains(instance) || !which(tsis[instance])) continue;
    visit(instance);
    ++count;
  }
  return count;
}

bool Impl::remove_tsi(InstanceId id, const std::string& reason, Instant now) {
  if (id.value() == 0 || !tsis.rows().contains(instance_index(id))) return false;
  withdraw(instance_index(id), reason, now);
  settle(now);
  return true;
}

bool Impl::latch_tsi(const VsiId& vsi, GroupId vn, const std::string& reason, Instant now) {
  if (!latches.set({vn, "", vsi, vdp::cut_reason_text(reason), false, {}})) return false;
  journal.notice("nnved.latched", agent::Notice::Level::kInfo,
                 "vsi " + vsi.to_string() + " vn " + std::to_string(vn.value()) + ": " + reason);
  for_each_tsi([&](const TsiRow& row) { return row.vsi == vsi && row.vn == vn; },
               [&](Index instance) {
                 note_told(tsis[instance].peer, vsi, vn);
                 withdraw(instance, reason, now);
               });
  settle(now);
  return true;
}

bool Impl::deactivate_tsi(InstanceId id, std::span<const MacAddress> macs, const std::string& reason, Instant now) {
  if (id.value() == 0 || !tsis.rows().contains(instance_index(id))) return false;
  const TsiRow& row = tsis[instance_index(id)];
  const VsiId vsi = row.vsi;
  const GroupId vn = row.vn;
  for (const MacAddress& mac : macs)
    if (tsis.find_address(instance_index(id), mac) == nullptr) return false;
  if (latches.rows().size() + std::max<std::size_t>(macs.size(), 1) > limits::kLatchesMax) return false;
  Latch latch{vn, "", vsi, vdp::cut_reason_text(reason), true, MacAddress()};
  if (macs.empty()) latches.set(latch);
  for (const MacAddress& mac : macs) {
    latch.mac = mac;
    latches.set(latch);
  }
  journal.notice("nnved.latched", agent::Notice::Level::kInfo,
                 "vsi " + vsi.to_string() + " vn " + std::to_string(vn.value()) + " reserved only: " + reason);
  for_each_tsi([&](const TsiRow& one) { return one.vsi == vsi && one.vn == vn; },
               [&](Index instance) {
                 note_told(tsis[instance].peer, vsi, vn);
                 deactivate(instance, macs, reason, now);
               });
  settle(now);
  return true;
}

bool Impl::latch_vn(std::uint32_t port_index, GroupId vn, const std::string& reason, Instant now) {
  const std::string& interface_name = config.ports[port_index].interface_name;
  if (!latches.set({vn, interface_name, std::nullopt, vdp::cut_reason_text(reason), false, {}})) return false;
  journal.notice("nnved.latched", agent::Notice::Level::kInfo,
                 "port " + interface_name + " vn " + std::to_string(vn.value()) + ": " + reason);
  for_each_tsi([&](const TsiRow& row) { return row.vn == vn && peers[row.peer].port_index == port_index; },
               [&](Index instance) { take_out(instance, reason, now); });
  remove_connects_of_port(port_index, vn, Reason::kAdminDown, now);
  tell_stations(port_index, vn, vdp::VnRequest::Operation::kDisconnect,
                said(Reason::kAdminDown, words(Reason::kAdminDown, reason)));
  settle(now);
  return true;
}

bool Impl::release(GroupId vn, const std::string& interface_name, const std::optional<VsiId>& vsi, Instant now) {
  if (!latches.release(vn, interface_name, vsi)) return false;
  if (vsi) tell_released(*vsi, vn);
  for (std::uint32_t i = 0; !vsi && i < config.ports.size(); ++i)
    if (config.ports[i].interface_name == interface_name) tell_stations(i, vn, vdp::VnRequest::Operation::kConnect, {});
  journal.notice("nnved.released", agent::Notice::Level::kInfo,
                 (vsi ? "vsi " + vsi->to_string() : "port " + interface_name) + " vn " + std::to_string(vn.value()));
  settle(now);
  return true;
}

std::size_t Impl::drain(const std::string& reason, Instant now, bool removes) {
  removing = removing || removes;
  if (!std::exchange(draining, true)) journal.notice("nnved.draining", agent::Notice::Level::kWarning, reason);
  const std::size_t count =
      for_each_tsi([](const TsiRow&) { return true; }, [&](Index instance) { take_out(instance, reason, now); });
  for (std::uint32_t i = 0; i < config.ports.size(); ++i) remove_connects_of_port(i, std::nullopt, Reason::kNone, now);
  settle(now);
  return count;
}

bool Impl::is_drained() const {
  if (!draining || !works.empty() || !connects.rows().empty()) return false;
  bool quiet = true;
  // One that is held silently has nothing open, and nothing to answer.
  tsis.rows().for_each([&](Index, const TsiRow& row) {
    quiet = quiet && holds_silently(row.peer) && row.state() != TsiState::kActivated;
  });
  peers.for_each(
      [&](Index, const Peer& peer) { quiet = quiet && !peer.bridge.queued() && peer.session.transmitter().ready(); });
  return quiet;
}

// --- the public face ---

bool Agent::remove_tsi(InstanceId instance, const std::string& reason, Instant now) {
  return impl_->remove_tsi(instance, reason, now);
}
bool Agent::latch_tsi(const VsiId& vsi, GroupId vn, const std::string& reason, Instant now) {
  return impl_->latch_tsi(vsi, vn, reason, now);
}
bool Agent::deactivate_tsi(InstanceId instance, std::span<const MacAddress> macs, const std::string& reason,
                           Instant now) {
  return impl_->deactivate_tsi(instance, macs, reason, now);
}
bool Agent::latch_vn(PortId port, GroupId vn, const std::string& reason, Instant now) {
  const auto port_index = impl_->policy.port_index(port);
  return port_index && impl_->latch_vn(*port_index, vn, reason, now);
}
bool Agent::release_tsi(const VsiId& vsi, GroupId vn, Instant now) { return impl_->release(vn, "", vsi, now); }
bool Agent::release_vn(PortId port, GroupId vn, Instant now) {
  const auto port_index = impl_->policy.port_index(port);
  return port_index && impl_->release(vn, impl_->config.ports[*port_index].interface_name, std::nullopt, now);
}
std::size_t Agent::drain(const std::string& reason, Instant now, bool removes) {
  return impl_->drain(reason, now, removes);
}
void Agent::undrain(Instant now) { impl_->undrain(now); }
bool Agent::draining() const { return impl_->draining; }
bool Agent::is_drained() const { return impl_->is_drained(); }
std::vector<LatchView> Agent::latches() const {
  std::vector<LatchView> views;
  impl_->latches.rows().for_each([&](Index, const Latch& latch) {
    views.push_back({latch.vn, latch.interface_name, latch.vsi, latch.reason, latch.activation_only, latch.mac});
  });
  return views;
}

}  // namespace splitnve::nnved
