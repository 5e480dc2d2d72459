// SPDX-License-Identifier: Apache-2.0
#include "nnved/agent_impl.hpp"

namespace splitnve::nnved {

using Impl = Agent::Impl;

std::size_t Impl::restore(std::span<const agent::StoreRecord> records, Instant now) {
  std::size_t unreadable = 0;
  std::vector<Index> dropped_connects;
  restore_epoch(records);
  if (host_traffic.restore(records)) changes.epoch = true;
  // Before the stations of TSIs are known again.
  for (const agent::StoreRecord& stored : records)
    if (agent::record_kind(stored.key) == agent::RecordKind::kSigner) signers.restore(stored);
  for (const agent::StoreRecord& stored : records) {
    const std::string cause = restore_one(stored, now);
    if (cause.empty()) continue;
    ++unreadable;
    const std::uint64_t id = agent::record_id(stored.key);
    const auto kind = agent::record_kind(stored.key);
    journal.notice("nnved.record_dropped", agent::Notice::Level::kWarning,
                   "stored " + agent::record_name(stored.key) + ": " + cause);
    // Only a number that no row took is erased with its record.
    const bool in_range = id > 0 && id <= limits::kInstancesMax;
    if (kind == agent::RecordKind::kTsi && in_range) changes.records.push_back(static_cast<Index>(id - 1));
    if (kind == agent::RecordKind::kVn && in_range) dropped_connects.push_back(static_cast<Index>(id - 1));
    if (kind == agent::RecordKind::kHeldTsi || kind == agent::RecordKind::kHeldVn) held.release(stored.key);
  }
  // Datapath and authority are told by the start-up comparison, not by deltas.
  const std::vector<Index> dropped = std::exchange(changes.records, {});
  const bool new_epoch = changes.epoch;
  changes = {};
  changes.epoch = new_epoch;
  for (const Index instance : dropped)
    if (!tsis.rows().contains(instance)) changes.records.push_back(instance);
  for (const Index instance : std::exchange(returned, {})) changes.records.push_back(instance);
  for (const Index number : dropped_connects)
    if (!connects.rows().contains(number)) changes.connects.push_back(number);
  tsis.for_each_owner([&](const AddressKey& key, Owner& owner) { owner.tell(projection.authority(key, owner)); });
  if (!records.empty()) vaps.begin_round_at(random());
  settle(now);
  return unreadable;
}

/// Does a row of ours stand under the key? Else its record may be erased.
bool Impl::is_in_use(std::uint64_t key) const {
  const std::uint64_t id = agent::record_id(key);
  if (id == 0 || id > limits::kInstancesMax) return false;
  const auto index = static_cast<Index>(id - 1);
  return agent::record_kind(key) == agent::RecordKind::kTsi  ? tsis.rows().contains(index)
         : agent::record_kind(key) == agent::RecordKind::kVn ? connects.rows().contains(index)
                                                             : false;
}

/// The configuration has lost its VN or port: it is kept until that is there again.
void Impl::hold(const agent::StoreRecord& stored, const TsiRecord& record, const char* reason) {
  journal.notice("nnved.record_held", agent::Notice::Level::kWarning,
                 "VSI " + record.vsi.to_string() + " vn " + std::to_string(record.vn.value()) + ": " + reason);
  held.hold(stored, agent::RecordKind::kHeldTsi,
            {record.vsi, record.vn, record.interface_name + " station " + record.station.to_string(), reason});
}
void Impl::hold(const agent::StoreRecord& stored, const ConnectRecord& record, const char* reason) {
  journal.notice("nnved.record_held", agent::Notice::Level::kWarning,
                 "connected vn " + std::to_string(record.vn.value()) + ": " + reason);
  held.hold(stored, agent::RecordKind::kHeldVn,
            {{}, record.vn, record.interface_name + " station " + record.station.to_string(), reason});
}

/// A held record takes a free number, unless another has its addresses meanwhile.
std::string Impl::restore_held(const agent::StoreRecord& stored, Instant now) {
  if (agent::record_kind(stored.key) == agent::RecordKind::kHeldVn) {
    const auto record = decode_connect(stored.value);
    if (!record) return std::string(record.error().cause);
    if (const char* refused = may_restore(port_named(record->interface_name), record->vn, record->station))
      return hold(stored, *record, refused), "";
    // The station repeats it within its keep-alive interval (S30); its place is free for it.
    held.release(stored.key);
    return "";
  }
  const auto record = decode_record(stored.value);
  if (!record) return std::string(record.error().cause);
  if (const char* refused = may_restore(port_of(*record), record->vn, record->station))
    return hold(stored, *record, refused), "";
  for (const AddressRecord& address : record->addresses)
    if (!address.mac.is_zero() && tsis.owner({record->vn, address.mac}) != nullptr) return "its address is in use";
  while (tsis.rows().contains(free_number)) ++free_number;
  if (free_number >= config.instances_max) return "the table of TSIs is full";
  if (const char* refused = restore_tsi(free_number, *record, now)) return refused;
  returned.push_back(free_number);
  held.release(stored.key);
  return "";
}

/// A store without our epoch is a new one: whatever was known here before is lost (S9).
void Impl::restore_epoch(std::span<const agent::StoreRecord> records) {
  for (const agent::StoreRecord& stored : records)
    if (const auto read = agent::decode_epoch(stored)) epoch = *read;
  if (epoch != 0) return;
  while (epoch == 0) epoch = random();
  changes.epoch = true;
}

agent::StoreRecord Impl::epoch_record() const { return agent::encode_epoch(epoch); }

/// Why the record cannot be used; empty if it could.
std::string Impl::restore_one(const agent::StoreRecord& stored, Instant now) {
  const auto words = [](const DecodeError& error) {
    return std::string(error.cause) + " at octet " + std::to_string(error.offset);
  };
  const std::uint64_t id = agent::record_id(stored.key);
  const bool in_range = id > 0 && id <= limits::kInstancesMax;
  switch (agent::record_kind(stored.key)) {
    case agent::RecordKind::kMeta: return "";
    case agent::RecordKind::kTsi: {
      const auto record = decode_record(stored.value);
      if (!record) return words(record.error());
      if (!in_range) return "instance number out of range";
      if (const char* no_place = may_restore(port_of(*record), record->vn, record->station))
        return hold(stored, *record, no_place), "";
      const char* refused = restore_tsi(instance_index(InstanceId(static_cast<std::uint32_t>(id))), *record, now);
      return refused == nullptr ? "" : refused;
    }
    case agent::RecordKind::kVn: {
      const auto record = decode_connect(stored.value);
      if (!record) return words(record.error());
      if (!in_range) return "number out of range";
      if (const char* no_place = may_restore(port_named(record->interface_name), record->vn, record->station))
        return hold(stored, *record, no_place), "";
      const char* refused = restore_connect(static_cast<Index>(id - 1), *record, now);
      return refused == nullptr ? "" : refused;
    }
    case agent::RecordKind::kSigner: return signers.restore(stored);
    case agent::RecordKind::kLatch: {
      auto latch = decode_latch(stored.value);
      if (!latch) return words(latch.error());
      return in_range && latches.restore(static_cast<Index>(id - 1), std::move(*latch)) ? "" : "stands twice";
    }
    case agent::RecordKind::kHeldTsi:
    case agent::RecordKind::kHeldVn: return restore_held(stored, now);
  }
  return "";
}

std::optional<std::uint32_t> Impl::port_named(const std::string& interface_name) const {
  for (std::uint32_t i = 0; i < config.ports.size(); ++i)
    if (config.ports[i].interface_name == interface_name) return i;
  return std::nullopt;
}

std::optional<std::uint32_t> Impl::port_of(const TsiRecord& record) const {
  return record.interface_name.empty() ? policy.port_index(record.port) : port_named(record.interface_name);
}

/// The cause if a station's share in a VN does not fit the present configuration.
const char* Impl::may_restore(std::optional<std::uint32_t> port_index, GroupId vn, const MacAddress& station) const {
  if (!port_index) return "its port is not configured";
  if (policy.vn(vn) == nullptr) return "its VN is not registered";
  if (!policy.admits_vn(*port_index, vn)) return "its VN may not be joined on the port";
  if (!policy.admits_station(*port_index, station)) return "its station is not admitted on the port";
  return nullptr;
}

/// Known already or created; kNoIndex if there are too many.
Index Impl::restore_peer(std::uint32_t port_index, const MacAddress& station, Instant now) {
  if (const auto known = peer_index.find(PeerKey{port_index, station}); known != peer_index.end()) return known->second;
  if (ports[port_index].members.size() >= limits::kPeersPerPortMax) return kNoIndex;
  const Index peer = create_peer(port_index, station, ecp::kNearestCustomerBridge, now);
  peers[peer].proven = true;
  return peer;
}

/// The cause if the record does not fit the present configuration.
const char* Impl::restore_tsi(Index instance, const TsiRecord& record, Instant now) {
  const auto port_index = port_of(record);
  if (const char* refused = may_restore(port_index, record.vn, record.station)) return refused;
  if (record.addresses.empty()) return "it has no address";
  if (tsis.rows().contains(instance)) return "its number stands twice";
  for (const AddressRecord& address : record.addresses) {
    const Owner* owner = address.mac.is_zero() ? nullptr : tsis.owner({record.vn, address.mac});
    if (owner != nullptr && tsis[owner->holder].vsi != record.vsi) return "another VSI has its address";
    if (address.mac.is_group()) return "its address is a group address";
  }
  for (const IpRecord& ip : record.ips)
    if (tsis.ip_owners().other(record.vn, ip.ip, {record.vsi, ip.mac, instance}) != nullptr)
      return "another VSI has its IP address";
  const Index peer = restore_peer(*port_index, record.station, now);
  if (peer == kNoIndex) return "too many peers";
  if (tsis.find(record.vsi, record.vn, peer) != kNoIndex) return "the TSI stands twice";
  const auto vap = vaps.acquire(*port_index, record.vn, record.vid, now, true);
  if (!vap) return info(vap.error()).text;
  tsis.create_at(instance, record.vsi, record.vn, peer, *vap);
  vaps.instance_added(*vap);
  vaps.restore_further(*vap, record.further_vids, now);
  ++peers[peer].tsis;
  tables.tsis.add(*port_index, 1);
  tsis.set_manager(instance, record.manager);
  TsiRow& row = tsis[instance];
  row.vids_stored = static_cast<std::uint8_t>(record.further_vids.size());
  row.station = record.station;
  row.type = record.type;
  row.format = record.format;
  row.migration = record.migrating ? vdp::Migration::kArriving : vdp::Migration::kUnknown;
  row.suspended = record.suspended;
  for (const AddressRecord& address : record.addresses) {
    if (tsis.find_address(instance, address.mac) != nullptr) continue;
    machine.restore_address(instance, address.mac, address.active ? Level::kActive : Level::kReserved,
                            address.superseded, address.winner, address.generation, now);
    if (address.superseded) loser_holds.set(instance, now + config.legacy_loser_hold);
  }
  for (const IpRecord& ip : record.ips) {
    const AddressRow* mac = ip.mac.is_zero() ? nullptr : tsis.find_address(instance, ip.mac);
    if (mac == nullptr || tsis.find_address(instance, {ip.mac, ip.ip}) != nullptr) continue;
    machine.restore_address(instance, {ip.mac, ip.ip}, ip.active ? Level::kActive : Level::kReserved, false, false, 0,
                            now);
  }
  ages.set(instance, now + config.vdp.keepalive_timeout());
  return nullptr;
}

}  // namespace splitnve::nnved
