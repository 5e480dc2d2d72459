// SPDX-License-Identifier: Apache-2.0
#include "tnved/vswitch.hpp"

#include <algorithm>

#include "splitnve/base/limits.hpp"
#include "tnved/record.hpp"

namespace splitnve::tnved {
namespace {

template <class T>
void append_to(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class T>
void sort_unique_of(std::vector<T>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

std::uint32_t slot_of(PortId port) { return port.value() - kVmPortFirst; }

}  // namespace

void RowKeys::append(const RowKeys& more) {
  append_to(ports, more.ports);
  append_to(domains, more.domains);
  append_to(access, more.access);
  append_to(ips, more.ips);
  append_to(guards, more.guards);
  append_to(fdb, more.fdb);
}

void RowKeys::sort_unique() {
  sort_unique_of(ports);
  sort_unique_of(domains);
  sort_unique_of(access);
  sort_unique_of(ips);
  sort_unique_of(guards);
  sort_unique_of(fdb);
}

bool RowKeys::empty() const { return size() == 0; }

VSwitch::Domain& VSwitch::domain(DomainId id) {
  const auto at = domains_.find(id);
  ensure(at != domains_.end(), "a domain is used before it was joined");
  return at->second;
}

void VSwitch::join(DomainId id) {
  if (domains_[id].tsis++ == 0) dirty_.domains.push_back(id);
}

void VSwitch::leave(DomainId id) {
  Domain& d = domain(id);
  ensure(d.tsis > 0, "a domain is left more often than joined");
  if (--d.tsis > 0) return;
  ensure(d.bindings == 0 && d.vids.empty() && d.open.empty(), "the last TSI of a domain takes all it brought");
  domains_.erase(id);
  dirty_.domains.push_back(id);
}

Result<void, std::string> VSwitch::may_bind(DomainId id, std::string_view name, Vid guest_tag) const {
  if (name.empty() || name.size() > kInterfaceNameOctetsMax)
    return unexpected<std::string>("'" + std::string(name) + "' is no interface name");
  for (const auto& uplink : uplinks_)
    if (uplink.interface_name == name)
      return unexpected<std::string>(std::string(name) + " is an uplink, not a VM's port");
  const auto known = port_by_name_.find(std::string(name));
  if (known != port_by_name_.end()) {
    const auto binding = bindings_.find(access_key(known->second, guest_tag));
    if (binding != bindings_.end()) {
      if (binding->second.domain == id) return {};
      return unexpected<std::string>("tag " + std::to_string(guest_tag.value()) + " of " + std::string(name) +
                                     " belongs to VN " + std::to_string(binding->second.domain.value() & 0xFFFFFF));
    }
  }
  const auto at = domains_.find(id);
  if (at != domains_.end() && at->second.bindings >= limits::kFloodLocalMax)
    return unexpected<std::string>("the VN has " + std::to_string(limits::kFloodLocalMax) + " ports here already");
  return {};
}

PortId VSwitch::take(DomainId id, PortId port, Vid guest_tag) {
  ++ports_[slot_of(port)].uses;
  Binding& binding = bindings_[access_key(port, guest_tag)];
  if (binding.uses++ == 0) {
    binding.domain = id;
    ++domain(id).bindings;
    dirty_.access.emplace_back(port, guest_tag);
  }
  return port;
}

Result<PortId, std::string> VSwitch::bind(DomainId id, std::string_view name, Vid guest_tag) {
  if (auto allowed = may_bind(id, name, guest_tag); !allowed) return unexpected<std::string>(allowed.error());
  const auto known = port_by_name_.find(std::string(name));
  if (known != port_by_name_.end()) return take(id, known->second, guest_tag);
  const PortId port(kVmPortFirst + ports_.emplace(VmPort{std::string(name), 0}));
  port_by_name_.emplace(std::string(name), port);
  dirty_.ports.push_back(port);
  return take(id, port, guest_tag);
}

Result<PortId, std::string> VSwitch::bind_stored(DomainId id, std::string_view name, Vid guest_tag, PortId port) {
  if (port.value() < kVmPortFirst || slot_of(port) >= limits::kInstancesMax)
    return unexpected<std::string>("a stored VM port has an id out of range");
  if (auto allowed = may_bind(id, name, guest_tag); !allowed) return unexpected<std::string>(allowed.error());
  const auto known = port_by_name_.find(std::string(name));
  if (known == port_by_name_.end()) {
    if (ports_.contains(slot_of(port))) return unexpected<std::string>("two stored interfaces have one port id");
    ports_.emplace_at(slot_of(port), VmPort{std::string(name), 0});
    port_by_name_.emplace(std::string(name), port);
    dirty_.ports.push_back(port);
  } else if (known->second != port) {
    return unexpected<std::string>("a stored interface has two port ids");
  }
  return take(id, port, guest_tag);
}

void VSwitch::unbind(PortId port, Vid guest_tag) {
  const auto at = bindings_.find(access_key(port, guest_tag));
  ensure(at != bindings_.end() && at->second.uses > 0, "a binding is undone once");
  if (--at->second.uses == 0) {
    ensure(at->second.open == 0, "a binding is closed before it is undone");
    --domain(at->second.domain).bindings;
    bindings_.erase(at);
    dirty_.access.emplace_back(port, guest_tag);
  }
  VmPort& vm_port = ports_[slot_of(port)];
  if (--vm_port.uses > 0) return;
  port_by_name_.erase(vm_port.interface_name);
  ports_.erase(slot_of(port));
  dirty_.ports.push_back(port);
}

void VSwitch::open_member(PortId port, Vid guest_tag) {
  const auto at = bindings_.find(access_key(port, guest_tag));
  ensure(at != bindings_.end(), "only a bound port opens");
  if (at->second.open++ > 0) return;
  domain(at->second.domain).open.push_back({port, guest_tag});
  dirty_.domains.push_back(at->second.domain);
}

void VSwitch::close_member(PortId port, Vid guest_tag) {
  const auto at = bindings_.find(access_key(port, guest_tag));
  ensure(at != bindings_.end() && at->second.open > 0, "only an open port closes");
  if (--at->second.open > 0) return;
  std::erase(domain(at->second.domain).open, datapath::FloodMember{port, guest_tag});
  dirty_.domains.push_back(at->second.domain);
}

void VSwitch::use_vid(DomainId id, Vid vid, bool preferred) {
  if (vid.is_null()) return;
  auto& vids = domain(id).vids;
  const Vid first_before = vids.empty() ? Vid() : vids.front().vid;
  auto at = std::find_if(vids.begin(), vids.end(), [vid](const VidUse& use) { return use.vid == vid; });
  if (at == vids.end()) {
    vids.push_back({vid, 0});
    at = std::prev(vids.end());
    uplink_tags_[access_key(uplink_of(id), vid)] = id;
    dirty_.access.emplace_back(uplink_of(id), vid);
  }
  ++at->uses;
  if (preferred) std::rotate(vids.begin(), at, std::next(at));
  if (vids.front().vid != first_before) dirty_.domains.push_back(id);
}

void VSwitch::drop_vid(DomainId id, Vid vid) {
  if (vid.is_null()) return;
  auto& vids = domain(id).vids;
  const auto at = std::find_if(vids.begin(), vids.end(), [vid](const VidUse& use) { return use.vid == vid; });
  ensure(at != vids.end() && at->uses > 0, "a VID is dropped as often as used");
  if (--at->uses > 0) return;
  if (at == vids.begin()) dirty_.domains.push_back(id);
  vids.erase(at);
  // The nNVE may have given the VID to another VN meanwhile; that one's row stays.
  const auto tag = uplink_tags_.find(access_key(uplink_of(id), vid));
  if (tag != uplink_tags_.end() && tag->second == id) uplink_tags_.erase(tag);
  dirty_.access.emplace_back(uplink_of(id), vid);
}

void VSwitch::move(DomainId from, DomainId to, std::span<const std::pair<PortId, Vid>> ports) {
  const Domain& old = domain(from);
  ensure(old.vids.empty() && old.open.empty(), "a domain moves closed and without its VIDs");
  const auto tsis = old.tsis, bound = old.bindings;
  domains_.erase(from);
  Domain& now = domains_[to];
  now.tsis += tsis;
  now.bindings += bound;
  dirty_.domains.push_back(from);
  dirty_.domains.push_back(to);
  for (const auto& [port, tag] : ports) {
    bindings_.at(access_key(port, tag)).domain = to;
    dirty_.access.emplace_back(port, tag);
  }
}

bool VSwitch::forwards(PortId port, Vid guest_tag) const {
  const auto at = bindings_.find(access_key(port, guest_tag));
  return at != bindings_.end() && at->second.open > 0;
}

void VSwitch::touch_binding(DomainId domain, PortId port, Vid guest_tag) {
  dirty_.ports.push_back(port);
  dirty_.domains.push_back(domain);
  dirty_.access.emplace_back(port, guest_tag);
}

datapath::PortRow VSwitch::port_row(PortId port) const {
  for (const auto& uplink : uplinks_)
    if (uplink.port == port) return {port, uplink.interface_name, datapath::PortRole::kUplink, true};
  if (port.value() >= kVmPortFirst && ports_.contains(slot_of(port)))
    return {port, ports_[slot_of(port)].interface_name, datapath::PortRole::kVm,
            true, datapath::HostTraffic::kClosed,       storm_};
  return {port, "", datapath::PortRole::kVm, false};
}

datapath::DomainRow VSwitch::domain_row(DomainId id) const {
  datapath::DomainRow row;
  row.domain = id;
  const auto at = domains_.find(id);
  row.present = at != domains_.end();
  if (!row.present) return row;
  if (!at->second.vids.empty()) row.uplink = datapath::FloodMember{uplink_of(id), at->second.vids.front().vid};
  row.local = at->second.open;
  std::sort(row.local.begin(), row.local.end());
  return row;
}

datapath::AccessRow VSwitch::access_row(PortId port, Vid tag) const {
  datapath::AccessRow row{port, tag, std::nullopt, false};
  if (port.value() <= kUplinkIdMax) {
    const auto at = uplink_tags_.find(access_key(port, tag));
    if (at != uplink_tags_.end()) row.domain = at->second;
  } else {
    const auto at = bindings_.find(access_key(port, tag));
    if (at != bindings_.end()) row.domain = at->second.domain;
  }
  return row;
}

std::pair<datapath::Rows, RowKeys> VSwitch::flush(const AddressOwners& owners) {
  RowKeys keys = std::exchange(dirty_, RowKeys());
  keys.sort_unique();
  datapath::Rows rows;
  for (PortId port : keys.ports) rows.ports.push_back(port_row(port));
  for (DomainId id : keys.domains) rows.domains.push_back(domain_row(id));
  for (const auto& [port, tag] : keys.access) rows.access.push_back(access_row(port, tag));
  for (const auto& [instance, mac, ip] : keys.ips) {
    const bool present = owners.has_ip(instance, mac, ip);
    rows.ips.push_back({instance, mac, ip, present, present ? owners.domain_of(instance) : DomainId()});
  }
  for (const auto& [id, port, mac] : keys.guards) {
    const auto owner = owners.owner(id, mac);
    const bool held = owner && owner->port == port;
    datapath::GuardRow row{id, port, mac, std::nullopt};
    if (held) {
      row.instance = owner->instance;
      row.ip = owner->ip;
      row.priority = owner->priority;
    }
    rows.guards.push_back(row);
  }
  for (const auto& [id, mac] : keys.fdb) {
    datapath::FdbRow row{id, mac, std::nullopt};
    if (const auto owner = owners.owner(id, mac); owner && owner->open)
      row.owner = datapath::LocalOwner{owner->instance, owner->port, owner->guest_tag};
    rows.fdb.push_back(row);
  }
  return {std::move(rows), std::move(keys)};
}

datapath::Rows VSwitch::shared_rows() const {
  RowKeys keys;
  for (const auto& uplink : uplinks_) keys.ports.push_back(uplink.port);
  ports_.for_each([&](std::uint32_t slot, const VmPort&) { keys.ports.emplace_back(kVmPortFirst + slot); });
  for (const auto& [id, unused] : domains_) keys.domains.push_back(id);
  const auto add_access = [&](AccessKey key) {
    keys.access.emplace_back(PortId(static_cast<std::uint32_t>(key >> 16)), Vid(static_cast<std::uint16_t>(key)));
  };
  for (const auto& [key, unused] : bindings_) add_access(key);
  for (const auto& [key, unused] : uplink_tags_) add_access(key);
  datapath::Rows rows;
  add_rows(std::move(keys), rows);
  return rows;
}

void VSwitch::add_rows(RowKeys keys, datapath::Rows& rows) const {
  keys.sort_unique();
  for (PortId port : keys.ports) rows.ports.push_back(port_row(port));
  for (DomainId id : keys.domains) rows.domains.push_back(domain_row(id));
  for (const auto& [port, tag] : keys.access) rows.access.push_back(access_row(port, tag));
}

datapath::Rows VSwitch::rows_of_uplink(PortId uplink) const {
  RowKeys keys;
  keys.ports.push_back(uplink);
  for (const auto& [id, unused] : domains_)
    if (uplink_of(id) == uplink) keys.domains.push_back(id);
  for (const auto& [key, unused] : uplink_tags_)
    if (key >> 16 == uplink.value()) keys.access.emplace_back(uplink, Vid(static_cast<std::uint16_t>(key)));
  datapath::Rows rows;
  add_rows(std::move(keys), rows);
  return rows;
}

const std::string& VSwitch::interface_name(PortId port) const { return ports_[slot_of(port)].interface_name; }

Vid VSwitch::vid(DomainId id) const {
  const auto at = domains_.find(id);
  return at == domains_.end() || at->second.vids.empty() ? Vid() : at->second.vids.front().vid;
}

}  // namespace splitnve::tnved
