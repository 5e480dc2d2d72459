// SPDX-License-Identifier: Apache-2.0
#include "nnved/projection.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace splitnve::nnved {
namespace {

DomainId domain_id(GroupId vn) { return DomainId(vn.value()); }

}  // namespace

Projection::Projection(const AgentConfig& config, const Policy& policy, const TsiTable& tsis, const VapTable& vaps,
                       const HostTraffic& host_traffic)
    : config_(config),
      policy_(policy),
      tsis_(tsis),
      vaps_(vaps),
      host_traffic_(host_traffic),
      permissions_(config.permissions) {
  for (const RemoteMapping& remote : config.remotes) remotes_.emplace(AddressKey{remote.vn, remote.mac}, remote.nnve);
}

datapath::DomainRow Projection::domain(GroupId vn) const {
  datapath::DomainRow row;
  row.domain = domain_id(vn);
  const DomainState* state = vaps_.domain(vn);
  const auto adopted = adopted_.find(vn);
  row.present = (state != nullptr && state->connected > 0) || adopted != adopted_.end();
  if (!row.present) return row;
  const VnConfig& config = *policy_.vn(vn);
  row.vni = config.vni;
  row.remote = config.remote_nnves;
  std::ranges::copy_if(config.reserved_ips, std::back_inserter(row.reserved), &IpPrefix::is_link_local);
  if (adopted != adopted_.end()) row.local = adopted->second;
  if (state != nullptr)
    for (const Index vap : state->vaps)
      if (vaps_[vap].active > 0) row.local.push_back({vaps_[vap].port, vaps_[vap].vid});
  sort_unique(row.local);
  return row;
}

void Projection::adopt(const std::vector<datapath::DomainRow>& found) {
  adopted_.clear();
  for (const datapath::DomainRow& row : found)
    if (policy_.vn(GroupId(row.domain.value())) != nullptr) adopted_[GroupId(row.domain.value())] = row.local;
}

datapath::AccessRow Projection::access(const TagKey& key) const {
  datapath::AccessRow row;
  row.port = key.port;
  row.tag = key.vid;
  if (const Index vap = vaps_.find_tag(key.port, key.vid); vap != kNoIndex) {
    row.domain = domain_id(vaps_[vap].vn);
    row.unguarded = vaps_[vap].unguarded > 0;
  }
  return row;
}

datapath::GuardRow Projection::guard(const GuardKey& key) const {
  datapath::GuardRow row;
  row.domain = domain_id(key.address.vn);
  row.port = key.port;
  row.mac = key.address.mac;
  // Two stations behind one port may have the address of one VSI: the guard names the active one, else the first.
  Index named = kNoIndex;
  bool active = false;
  tsis_.for_each_holder(key.address, [&](Index instance, const AddressRow& address) {
    if (vaps_[tsis_[instance].vap].port != key.port || address.level == Level::kNone || active) return;
    active = address.level == Level::kActive;
    if (active || named == kNoIndex || instance < named) named = instance;
  });
  if (named == kNoIndex) return row;
  row.instance = instance_id(named);
  row.ip.strict_link_local = policy_.vn(key.address.vn)->strict_link_local;
  permissions_.allow(key.address.vn, key.address.mac, row.ip);
  // Stations that know nothing of IP signal none, and there is nobody to ask which of them is a router (S47).
  if (tsis_.ips().count(named) == 0) {
    if (config_.ports[vaps_[tsis_[named].vap].port_index].legacy) row.ip.may_route = row.ip.may_serve_dhcp = true;
    return row;
  }
  // One that is only reserved closes its family all the same (S21).
  for (const AddressRow& address : tsis_[named].addresses) {
    if (address.mac != key.address.mac || address.ip == 0 || address.level == Level::kNone) continue;
    const IpFamily family = tsis_.name(named, address).ip.family;
    row.ip.ipv4 = row.ip.ipv4 || family == IpFamily::kV4;
    row.ip.ipv6 = row.ip.ipv6 || family == IpFamily::kV6;
  }
  return row;
}

datapath::IpRow Projection::ip(const IpKey& key) const {
  const AddressRow* address =
      tsis_.rows().contains(key.instance) ? tsis_.find_address(key.instance, key.name) : nullptr;
  datapath::IpRow row{instance_id(key.instance), key.name.mac, key.name.ip, false};
  row.present = address != nullptr && address->level == Level::kActive;
  if (row.present) row.domain = domain_id(tsis_[key.instance].vn);
  return row;
}

datapath::FdbRow Projection::fdb(const AddressKey& key) const {
  datapath::FdbRow row;
  row.domain = domain_id(key.vn);
  row.mac = key.mac;
  if (const Owner* owner = tsis_.owner(key); owner != nullptr && owner->active != kNoIndex) {
    const VapRow& vap = vaps_[tsis_[owner->active].vap];
    const Vid own = tsis_.find_address(owner->active, key.mac)->vid;
    row.owner = datapath::LocalOwner{instance_id(owner->active), vap.port, own.is_null() ? vap.vid : own};
    return row;
  }
  const DomainState* domain = vaps_.domain(key.vn);
  if (domain == nullptr || domain->connected == 0) return row;
  if (const auto remote = remotes_.find(key); remote != remotes_.end())
    row.owner = datapath::RemoteOwner{remote->second};
  return row;
}

datapath::Rows Projection::rows(const RowKeys& keys) const {
  datapath::Rows rows;
  for (const GroupId vn : keys.domains) rows.domains.push_back(domain(vn));
  for (const TagKey& key : keys.access) rows.access.push_back(access(key));
  for (const IpKey& key : keys.ips) rows.ips.push_back(ip(key));
  for (const GuardKey& key : keys.guards) rows.guards.push_back(guard(key));
  for (const AddressKey& key : keys.fdb) rows.fdb.push_back(fdb(key));
  return rows;
}

// `only`: no rows of another port, and none that name no port at all.
datapath::Rows Projection::rows_of(std::optional<PortId> only) const {
  RowKeys keys;
  const auto concerns = [only](PortId port) { return !only || *only == port; };
  vaps_.rows().for_each([&](Index, const VapRow& vap) {
    if (vap.state != VapState::kConnected || !concerns(vap.port)) return;
    keys.domains.push_back(vap.vn);
    keys.access.push_back({vap.port, vap.vid, vap.vn});
    for (const Vid vid : vap.more) keys.access.push_back({vap.port, vid, vap.vn});
  });
  tsis_.rows().for_each([&](Index instance, const TsiRow& tsi) {
    if (!concerns(vaps_[tsi.vap].port)) return;
    for (const AddressRow& address : tsi.addresses) {
      if (address.ip != 0 && address.level == Level::kActive)
        keys.ips.push_back({instance, tsis_.name(instance, address)});
      if (address.level == Level::kNone || !address.owns()) continue;
      keys.guards.push_back({{tsi.vn, address.mac}, vaps_[tsi.vap].port});
      if (address.level == Level::kActive) keys.fdb.push_back({tsi.vn, address.mac});
    }
  });
  if (!only)
    for (const auto& [key, nnve] : remotes_)
      if (const DomainState* domain = vaps_.domain(key.vn); domain != nullptr && domain->connected > 0)
        keys.fdb.push_back(key);
  sort_unique(keys);
  datapath::Rows all = rows(keys);
  for (const PortConfig& port : config_.ports)
    if (concerns(port.id))
      all.ports.push_back(
          {port.id, port.interface_name, datapath::PortRole::kAccess, true, host_traffic_.of(port), port.storm});
  return all;
}

datapath::Rows Projection::all_rows() const { return rows_of(std::nullopt); }
datapath::Rows Projection::rows_of_port(PortId port) const { return rows_of(port); }

agent::AuthorityRow Projection::authority(const AddressKey& key, const Owner& owner) const {
  agent::AuthorityRow row{key.vn, key.mac, tsis_[owner.holder].vsi, owner.generation, false, false};
  tsis_.for_each_holder(key, [&](Index, const AddressRow& address) {
    row.mapped = row.mapped || address.effective() != Level::kNone;
    row.forwarding = row.forwarding || address.effective() == Level::kActive;
  });
  return row;
}

agent::AuthorityTag Projection::tag(const TagKey& key) const {
  const Index vap = vaps_.find(key.port, key.vn);
  return {key.vn, key.port, key.vid, vap != kNoIndex && vaps_[vap].has(key.vid)};
}

agent::StoreRecord Projection::record(Index instance) const {
  agent::StoreRecord stored;
  stored.key = agent::store_key(agent::RecordKind::kTsi, instance_id(instance).value());
  if (!tsis_.rows().contains(instance) || tsis_[instance].state() == TsiState::kInit) return stored;
  const TsiRow& tsi = tsis_[instance];
  const VapRow& vap = vaps_[tsi.vap];
  TsiRecord record;
  record.vsi = tsi.vsi;
  record.manager = tsis_.manager(instance);
  record.type = tsi.type;
  record.vn = tsi.vn;
  record.vid = vap.vid;
  record.further_vids = vap.more;
  record.format = tsi.format;
  record.station = tsi.station;
  record.port = vap.port;
  record.interface_name = config_.ports[vap.port_index].interface_name;
  record.migrating = tsi.migration == vdp::Migration::kArriving;
  record.suspended = tsi.suspended;
  for (const AddressRow& address : tsi.addresses) {
    if (address.level == Level::kNone) continue;
    if (address.ip != 0) {
      record.ips.push_back({address.mac, tsis_.name(instance, address).ip, address.level == Level::kActive});
      continue;
    }
    const Owner* owner = address.mac.is_zero() ? nullptr : tsis_.owner({tsi.vn, address.mac});
    record.addresses.push_back({address.mac, address.level == Level::kActive, address.superseded,
                                owner != nullptr && owner->winner == instance, owner ? owner->generation : 0});
  }
  // The order in which they came to stand in the row says nothing.
  std::ranges::sort(record.ips, {}, [](const IpRecord& one) { return std::pair(one.mac, one.ip); });
  stored.value = encode_record(record);
  return stored;
}

}  // namespace splitnve::nnved
