// SPDX-License-Identifier: Apache-2.0
// What the operator does: removals, latches (S7), drain (S34).
#include <algorithm>

#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

/// Tells the station by a bridge-initiated De-Associate and removes the TSI here, without waiting for it.
void Impl::withdraw(Index instance, const std::string& reason, Instant now) {
  const TsiRow& row = tsis[instance];
  const Index peer = row.peer;
  cancel(peer, row.vsi, Cancel::kAll, Reason::kRemovedByOperator, now);
  if (!tsis.rows().contains(instance)) return;  // it was only on its way
  const std::string text = reason.empty() ? info(Reason::kRemovedByOperator).text : reason;
  std::vector<vdp::FilterEntry> entries;
  for (const AddressRow& address : row.addresses) {
    vdp::FilterEntry entry;
    entry.group = row.vn;
    entry.mac = address.mac;
    entry.vid = vaps[row.vap].vid;
    entries.push_back(entry);
  }
  const std::size_t most = vdp::entries_per_tlv_max(row.format);
  for (std::size_t i = 0; i < entries.size(); i += most)
    peers[peer].bridge.deassociate(tsis.manager(instance), row.type, row.vsi, row.format,
                                   std::span(entries).subspan(i, std::min(most, entries.size() - i)),
                                   said(Reason::kRemovedByOperator, text));
  journal.notice("nnved.tsi_removed", agent::Notice::Level::kInfo, row.vsi.to_string() + ": " + reason);
  remove_instance(instance, Reason::kNone, text.c_str(), now);
}

template <class Which>
std::size_t Impl::withdraw_all(Which&& which, const std::string& reason, Instant now) {
  std::size_t count = 0;
  for (Index instance = 0; instance < tsis.rows().slots(); ++instance) {
    if (!tsis.rows().contains(instance) || !which(tsis[instance])) continue;
    withdraw(instance, reason, now);
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
  if (!latches.set({vn, "", vsi, std::string(vdp::cut_reason_text(reason))})) return false;
  journal.notice("nnved.latched", agent::Notice::Level::kInfo,
                 "vsi " + vsi.to_string() + " vn " + std::to_string(vn.value()) + ": " + reason);
  withdraw_all([&](const TsiRow& row) { return row.vsi == vsi && row.vn == vn; }, reason, now);
  settle(now);
  return true;
}

bool Impl::latch_vn(std::uint32_t port_index, GroupId vn, const std::string& reason, Instant now) {
  const std::string& interface_name = config.ports[port_index].interface_name;
  if (!latches.set({vn, interface_name, std::nullopt, std::string(vdp::cut_reason_text(reason))})) return false;
  journal.notice("nnved.latched", agent::Notice::Level::kInfo,
                 "port " + interface_name + " vn " + std::to_string(vn.value()) + ": " + reason);
  withdraw_all([&](const TsiRow& row) { return row.vn == vn && peers[row.peer].port_index == port_index; }, reason,
               now);
  settle(now);
  return true;
}

bool Impl::release(GroupId vn, const std::string& interface_name, const std::optional<VsiId>& vsi, Instant now) {
  if (!latches.release(vn, interface_name, vsi)) return false;
  journal.notice("nnved.released", agent::Notice::Level::kInfo,
                 (vsi ? "vsi " + vsi->to_string() : "port " + interface_name) + " vn " + std::to_string(vn.value()));
  settle(now);
  return true;
}

std::size_t Impl::drain(const std::string& reason, Instant now) {
  if (!std::exchange(draining, true)) journal.notice("nnved.draining", agent::Notice::Level::kWarning, reason);
  const std::size_t count = withdraw_all([](const TsiRow&) { return true; }, reason, now);
  settle(now);
  return count;
}

bool Impl::is_drained() const {
  bool quiet = draining && tsis.rows().empty() && works.empty();
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
bool Agent::latch_vn(PortId port, GroupId vn, const std::string& reason, Instant now) {
  const auto port_index = impl_->policy.port_index(port);
  return port_index && impl_->latch_vn(*port_index, vn, reason, now);
}
bool Agent::release_tsi(const VsiId& vsi, GroupId vn, Instant now) { return impl_->release(vn, "", vsi, now); }
bool Agent::release_vn(PortId port, GroupId vn, Instant now) {
  const auto port_index = impl_->policy.port_index(port);
  return port_index && impl_->release(vn, impl_->config.ports[*port_index].interface_name, std::nullopt, now);
}
std::size_t Agent::drain(const std::string& reason, Instant now) { return impl_->drain(reason, now); }
void Agent::undrain() { impl_->draining = false; }
bool Agent::draining() const { return impl_->draining; }
bool Agent::is_drained() const { return impl_->is_drained(); }
std::vector<LatchView> Agent::latches() const {
  std::vector<LatchView> views;
  impl_->latches.rows().for_each(
      [&](Index, const Latch& latch) { views.push_back({latch.vn, latch.interface_name, latch.vsi, latch.reason}); });
  return views;
}

}  // namespace splitnve::nnved
