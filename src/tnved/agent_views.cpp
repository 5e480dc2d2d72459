// SPDX-License-Identifier: Apache-2.0
// Restore from the store, the rows that the datapath shall hold, and what is shown.
#include <algorithm>

#include "tnved/agent_impl.hpp"

namespace splitnve::tnved {

TsiRecord Agent::Impl::record(Slot slot) const {
  const Tsi& tsi = tsis_[slot];
  TsiRecord record;
  record.vm = tsi.vm;
  record.arrival = tsi.arrival;
  record.migration_unknown = tsi.migration_unknown;
  record.uplink = uplinks_[tsi.uplink].config.id;
  record.vn = tsi.vn;
  record.guest_tag = tsi.guest_tag;
  record.priority = tsi.priority;
  record.vsi = tsi.vsi;
  record.manager = tsi.manager;
  record.type = tsi.type;
  record.port = tsi.port;
  if (tsi.port.value() != 0) record.interface_name = vswitch_.interface_name(tsi.port);
  for (const Address& address : tsi.addresses)
    record.addresses.push_back({address.mac, address.confirmed, address.vid, address.wanted, address.hold,
                                tsis_.ip(slot, address), address.priority});
  return record;
}

std::size_t Agent::Impl::restore(std::span<const agent::StoreRecord> records, Instant now) {
  ensure(tsis_.size() == 0, "restore comes before anything else");
  restore_epoch(records);
  restore_signers(records);
  std::size_t unreadable = 0;
  for (const auto& record : records) {
    const auto kind = agent::record_kind(record.key);
    std::string refusal;
    switch (kind) {
      case agent::RecordKind::kTsi: refusal = restore_one(record, now); break;
      case agent::RecordKind::kVn: refusal = restore_vn(record); break;
      case agent::RecordKind::kHeldTsi: refusal = restore_held(record, now); break;
      case agent::RecordKind::kMeta:
      case agent::RecordKind::kLatch:
      case agent::RecordKind::kSigner:
      case agent::RecordKind::kHeldVn: break;
    }
    drain_stations(now);
    if (refusal.empty()) continue;
    ++unreadable;
    if (kind == agent::RecordKind::kHeldTsi) held_.release(record.key);
    notice("TNVED_RECORD_REFUSED", agent::Notice::Level::kError, "key=" + std::to_string(record.key) + " " + refusal);
  }
  // The start-up reconcile brings the datapath to desired_rows(); nothing of it is a change.
  vswitch_.forget_changes();
  flush_wanted_ = false;
  for (Slot slot : std::exchange(program_list_, {})) tsis_[slot].program_dirty = false;
  return unreadable;
}

/// A store without our epoch is a new one: whatever was known here before is lost (S9).
void Agent::Impl::restore_epoch(std::span<const agent::StoreRecord> records) {
  for (const auto& record : records)
    if (const auto read = agent::decode_epoch(record)) epoch_ = *read;
  if (epoch_ == 0) {
    while (epoch_ == 0) epoch_ = random_();
    epoch_dirty_ = true;
  }
  for (Uplink& uplink : uplinks_) uplink.exchange.set_epoch(epoch_);
}

std::string Agent::Impl::restore_one(const agent::StoreRecord& stored, Instant now) {
  const std::uint64_t id = stored.key & 0xFFFFFFFFFFFFFF;
  if (id == 0 || id > limits::kInstancesMax) return "instance id out of range";
  const Slot slot = static_cast<Slot>(id - 1);
  const auto read = decode_record(stored.value);
  if (!read) return std::string(read.error().cause) + " at octet " + std::to_string(read.error().offset);
  if (!uplink_for(read->vn)) return hold(stored, *read), "";
  return restore_at(slot, *read, now);
}

/// No uplink serves its VN in this configuration: it is kept until one does.
void Agent::Impl::hold(const agent::StoreRecord& stored, const TsiRecord& record) {
  const std::string why = "no uplink serves VN " + std::to_string(record.vn.value());
  notice("TNVED_RECORD_HELD", agent::Notice::Level::kWarning, "vsi=" + record.vsi.to_string() + " " + why);
  held_.hold(stored, agent::RecordKind::kHeldTsi, {record.vsi, record.vn, record.interface_name, why});
}

/// A held record takes a free slot once its VN is served again.
std::string Agent::Impl::restore_held(const agent::StoreRecord& stored, Instant now) {
  const auto read = decode_record(stored.value);
  if (!read) return std::string(read.error().cause) + " at octet " + std::to_string(read.error().offset);
  if (!uplink_for(read->vn)) return hold(stored, *read), "";
  Slot slot = 0;
  while (tsis_.contains(slot)) ++slot;
  if (slot >= config_.instances_max) return "the table of TSIs is full";
  if (std::string refusal = restore_at(slot, *read, now); !refusal.empty()) return refusal;
  to_store(slot);
  held_.release(stored.key);
  return "";
}

std::string Agent::Impl::restore_at(Slot slot, const TsiRecord& record, Instant now) {
  const TsiRecord* read = &record;
  if (tsis_.contains(slot) || tsis_.find(read->vsi)) return "a second record of VSI " + read->vsi.to_string();
  restore_path(*read);
  const auto via = uplink_for(read->vn);
  if (!via) return "no uplink serves VN " + std::to_string(read->vn.value());
  const DomainId in = domain_of(uplinks_[*via].config.id, read->vn);
  for (const auto& address : read->addresses)
    if (address.ip.is_none() && tsis_.holder(in, address.mac)) return address.mac.to_string() + " belongs to two VSIs";

  // Another uplink's nNVE gave neither these levels nor these VIDs (S13).
  const bool same_uplink = uplinks_[*via].config.id == read->uplink;
  if (!same_uplink) release_elsewhere(*read, now);
  Tsi& tsi = tsis_.add_at(slot, read->vsi);
  ++uplinks_[*via].tsis;
  tsi.uplink = static_cast<std::uint8_t>(*via);
  tsi.vm = read->vm;
  tsi.vn = read->vn;
  tsi.guest_tag = read->guest_tag;
  tsi.priority = read->priority;
  tsi.manager = read->manager;
  tsi.type = read->type;
  tsi.arrival = read->arrival;
  tsi.migration_unknown = read->migration_unknown;
  for (const auto& stored_one : read->addresses) {
    Address address =
        same_uplink ? Address(stored_one.mac, stored_one.vid, stored_one.confirmed) : Address(stored_one.mac);
    address.wanted = stored_one.wanted;
    if (same_uplink) {
      address.hold = stored_one.hold;
      address.priority = stored_one.priority;
    }
    tsis_.add_address(slot, address, stored_one.ip);
  }
  tsi.announced = tsi.level();
  if (tsi.vm != VmState::kLeaving) {
    join(slot);
    if (read->port.value() != 0) {
      const auto port = vswitch_.bind_stored(in, read->interface_name, tsi.guest_tag, read->port);
      if (!port) notice("TNVED_RECORD_PORT", agent::Notice::Level::kWarning, tsi.vsi.to_string() + ": " + port.error());
      if (port) set_port(slot, *port);
    }
  }
  open_association(slot, now);
  for (const Address& address : tsi.addresses)
    uplink(tsi).station.restore_entry(tsi.handle, address.mac, address.confirmed, address.vid, now,
                                      tsis_.ip(slot, address), address.priority);
  for (const Address& address : tsi.addresses)
    if (address.hold == Hold::kReserved)
      uplink(tsi).station.note_held(tsi.handle, address.mac, tsis_.ip(slot, address));
  if (tsi.vm == VmState::kLeaving) {
    tsi.closing = true;
    uplink(tsi).station.close(tsi.handle, now);
    return "";
  }
  refresh_ports(slot, "restored");
  tsi.port_open = tsi.member_open;
  pursue(slot, now);
  return "";
}

void Agent::Impl::set_port(Slot slot, PortId port) {
  Tsi& tsi = tsis_[slot];
  if (const auto left = slots_of_port_.find(tsi.port); left != slots_of_port_.end()) {
    auto& slots = left->second;
    slots[tsi.place_at_port] = slots.back();
    tsis_[slots.back()].place_at_port = tsi.place_at_port;
    slots.pop_back();
    if (slots.empty()) slots_of_port_.erase(left);
  }
  tsi.port = port;
  if (port.value() == 0) return;
  auto& slots = slots_of_port_[port];
  tsi.place_at_port = static_cast<std::uint32_t>(slots.size());
  slots.push_back(slot);
}

void Agent::Impl::add_rows(Slot slot, datapath::Rows& rows) const {
  const Tsi& tsi = tsis_[slot];
  if (!tsi.joined || tsi.port.value() == 0) return;
  const InstanceId instance = TsiTable::instance(slot);
  for (const Address& address : tsi.addresses) {
    if (!address.is_mac()) {
      if (address.passes()) rows.ips.push_back({instance, address.mac, tsis_.ip(slot, address), true, domain(tsi)});
      continue;
    }
    rows.guards.push_back(
        {domain(tsi), tsi.port, address.mac, instance, tsis_.guard(slot, address.mac), address.priority});
    if (address.open)
      rows.fdb.push_back({domain(tsi), address.mac, datapath::LocalOwner{instance, tsi.port, tsi.guest_tag}});
  }
}

datapath::Rows Agent::Impl::desired_rows() const {
  datapath::Rows rows = vswitch_.shared_rows();
  tsis_.for_each([&](Slot slot, const Tsi&) { add_rows(slot, rows); });
  return rows;
}

datapath::Rows Agent::Impl::rows_of_port(PortId port) const {
  if (port.value() < kVmPortFirst) return vswitch_.rows_of_uplink(port);
  RowKeys keys;
  datapath::Rows rows;
  const auto found = slots_of_port_.find(port);
  if (found == slots_of_port_.end()) return rows;
  for (const Slot slot : found->second) {
    const Tsi& tsi = tsis_[slot];
    keys.access.emplace_back(port, tsi.guest_tag);
    keys.domains.push_back(domain(tsi));
    add_rows(slot, rows);
  }
  keys.ports.push_back(port);
  vswitch_.add_rows(std::move(keys), rows);
  return rows;
}

std::optional<TsiView> Agent::Impl::view(Slot slot) const {
  if (!tsis_.contains(slot)) return std::nullopt;
  const Tsi& tsi = tsis_[slot];
  TsiView view;
  view.instance = TsiTable::instance(slot);
  view.vsi = tsi.vsi;
  view.vn = tsi.vn;
  if (tsi.port.value() != 0) view.interface_name = vswitch_.interface_name(tsi.port);
  view.guest_tag = tsi.guest_tag;
  view.uplink = uplinks_[tsi.uplink].config.id;
  view.vm = tsi.vm;
  view.migration = migration(tsi);
  switch (tsi.level()) {
    case vdp::Level::kNone: view.state = "init"; break;
    case vdp::Level::kReserved: view.state = "associated"; break;
    case vdp::Level::kActive: view.state = "activated"; break;
  }
  view.port_open = tsi.port_open;
  view.unconfirmed = tsi.unconfirmed;
  view.reason = reason(slot);
  view.held = tsi.held();
  if (view.held)
    view.reason += tsi.vm == VmState::kDeparting
                       ? " (shut it down here, unless the migration is aborted)"
                       : " (held by the nNVE: it comes back when it is released there; start or resume asks again)";
  for (const Address& address : tsi.addresses) {
    if (!address.is_mac()) continue;
    view.addresses.push_back({address.mac,
                              wanted(tsi, address),
                              address.confirmed,
                              address.vid,
                              address.hold != Hold::kFree,
                              {},
                              address.priority,
                              {}});
    for (const Address& ip : tsi.addresses) {
      if (ip.mac != address.mac || ip.is_mac() || ip.removing()) continue;
      view.addresses.back().ips.push_back(tsis_.ip(slot, ip));
      if (!ip.passes()) view.addresses.back().deactivated_ips.push_back(tsis_.ip(slot, ip));
    }
    if (view.vid.is_null() && address.confirmed != vdp::Level::kNone) view.vid = address.vid;
  }
  return view;
}

std::vector<PeerView> Agent::Impl::peers() const {
  std::vector<PeerView> views;
  for (std::size_t i = 0; i < uplinks_.size(); ++i) {
    const Uplink& uplink = uplinks_[i];
    const auto& station = uplink.station.stats();
    PeerView view{{uplink.session, uplink.exchange, uplink.authentication},
                  uplink.config.id,
                  use_of(i),
                  uplink.link_up,
                  uplink.nnve};
    view.tsis = uplink.tsis;
    view.unconfirmed = uplink.unconfirmed;
    view.settled = uplink.settled;
    view.ecpdus_received = uplink.ecpdus_received;
    view.set_changes = station.set_changes;
    view.requests = station.requests;
    view.keepalives = station.keepalives;
    view.refused = station.refused;
    view.timeouts = station.timeouts;
    view.reasserted = uplink.reasserted;
    view.unmatched = uplink.station.stats().unmatched;
    view.other_manager = uplink.station.stats().other_manager;
    views.push_back(view);
  }
  return views;
}

}  // namespace splitnve::tnved
