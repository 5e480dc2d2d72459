// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <optional>
#include <utility>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/ip_table.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/vdp/station.hpp"
#include "tnved/agent.hpp"
#include "tnved/lifecycle.hpp"
#include "tnved/vswitch.hpp"

namespace splitnve::tnved {

inline constexpr vdp::Station::Handle kNoHandle = 0xFFFFFFFF;

/// One address of a TSI, a MAC or an IP of one: what the nNVE said of it, and whether it is open here.
struct Address {
  explicit Address(MacAddress address, Vid remembered = Vid(), vdp::Level level = vdp::Level::kNone)
      : mac(address), vid(remembered), confirmed(level) {}

  MacAddress mac;
  Vid vid;  ///< assigned or remembered (S13)
  vdp::Level confirmed;
  /// The most that is wanted of it: kActive follows the VM, kReserved is deactivated by name (D8), kNone is no longer
  /// described and goes when the nNVE has let it go.
  vdp::Level wanted = vdp::Level::kActive;
  bool open = false;        ///< its FDB row is wanted
  bool vid_used = false;    ///< `vid` is counted in the domain
  bool awaited = false;     ///< the station owes its word on what was asked last
  Hold hold = Hold::kFree;  ///< taken away by the nNVE; not asked for before someone wants it again (S7)
  bool entering = false;    ///< added by name and not in place yet: a refusal drops it
  Priority priority;        ///< as the nNVE answered
  IpTable::Number ip = 0;   ///< of the TSI, in the table's `ips`

  bool is_mac() const { return ip == 0; }

  bool removing() const { return wanted == vdp::Level::kNone; }
  /// Of an IP: may frames have it where its MAC is open?
  bool passes() const { return wanted == vdp::Level::kActive; }
};

/// One TSI, compact. What the VM's owner wants, what the nNVE and the datapath said; strings live elsewhere.
struct Tsi {
  VsiId vsi;
  VmState vm = VmState::kDefined;
  Phase phase = Phase::kSteady;
  VmState fall_back = VmState::kDefined;     ///< kResuming: where a refusal leads back to
  vdp::Level announced = vdp::Level::kNone;  ///< the last "tsi" transition
  std::uint8_t uplink = 0;                   ///< index of the uplink
  std::uint8_t retries = 0;                  ///< refusals in a row, for the back-off
  bool arrival = false;                      ///< requests carry M until the nNVE has confirmed
  bool migration_unknown = false;            ///< whoever tells of the VM cannot tell migrations (D13)
  bool unconfirmed = false;                  ///< S8
  bool closing = false;                      ///< the station is de-associating the handle
  bool gone = false;                         ///< the nNVE has let go; the store has to follow
  bool joined = false;                       ///< has its share in the virtual switch
  bool member_open = false;                  ///< its port is in the flood list
  bool port_open = false;                    ///< open, and the datapath said so
  bool counted_settled = false;              ///< in its uplink's count
  bool store_dirty = false;
  bool program_dirty = false;
  bool program_failed = false;
  bool to_check = false;
  std::uint16_t programs_waiting = 0;
  std::uint16_t stores_waiting = 0;
  std::uint32_t failed_before = 0;  ///< a success of this batch or a later one clears `program_failed`
  GroupId vn;
  PortId port;                      ///< 0: no interface yet
  std::uint32_t place_at_port = 0;  ///< among the TSIs of `port`, so that leaving it looks at no other
  Vid guest_tag;
  Priority priority;  ///< asked for
  vdp::Station::Handle handle = kNoHandle;
  ManagerId manager;
  VsiType type;
  boost::container::small_vector<Address, 1> addresses;

  Address* find(MacAddress mac) {
    for (auto& address : addresses)
      if (address.mac == mac && address.is_mac()) return &address;
    return nullptr;
  }
  /// Is everything that is described of it held by the peer (S7)?
  bool held() const {
    bool any = false;
    for (const auto& address : addresses) {
      if (address.removing() || !address.is_mac()) continue;
      if (address.hold == Hold::kFree) return false;
      any = true;
    }
    return any;
  }
  /// The nNVE's word for the TSI as a whole: the highest level of its MACs.
  vdp::Level level() const {
    vdp::Level level = vdp::Level::kNone;
    for (const auto& address : addresses)
      if (address.is_mac()) level = std::max(level, address.confirmed);
    return level;
  }
};
static_assert(sizeof(Tsi) <= 192, "a TSI row stays compact: with its indexes below 400 octets");

/// All TSIs: rows by slot (InstanceId - 1), found by VSI-ID and by (domain, address).
class TsiTable final : public AddressOwners {
 public:
  static InstanceId instance(std::uint32_t slot) { return InstanceId(slot + 1); }

  TsiTable() = default;
  /// With what the configuration says of guards; it outlives the table.
  explicit TsiTable(const AgentConfig& config) : config_(&config), permissions_(config.permissions) {
    for (const auto& vn : config.vns)
      if (vn.strict_link_local) strict_.insert(vn.id);
  }

  std::uint32_t add(const VsiId& vsi) {
    const std::uint32_t slot = rows_.emplace();
    rows_[slot].vsi = vsi;
    by_vsi_.emplace(vsi, slot);
    return slot;
  }
  Tsi& add_at(std::uint32_t slot, const VsiId& vsi) {
    Tsi& tsi = rows_.emplace_at(slot);
    tsi.vsi = vsi;
    by_vsi_.emplace(vsi, slot);
    return tsi;
  }
  void remove(std::uint32_t slot) {
    by_vsi_.erase(rows_[slot].vsi);
    ips_.erase(slot);
    rows_.erase(slot);
  }
  std::optional<std::uint32_t> find(const VsiId& vsi) const {
    const auto at = by_vsi_.find(vsi);
    return at == by_vsi_.end() ? std::nullopt : std::optional(at->second);
  }
  std::optional<std::uint32_t> holder(DomainId domain, MacAddress mac) const {
    const auto at = by_address_.find({domain, mac});
    return at == by_address_.end() ? std::nullopt : std::optional(at->second);
  }
  void hold(DomainId domain, MacAddress mac, std::uint32_t slot) { by_address_.emplace(std::pair(domain, mac), slot); }
  void release(DomainId domain, MacAddress mac) { by_address_.erase({domain, mac}); }

  std::optional<AddressOwner> owner(DomainId domain, MacAddress mac) const override {
    const auto slot = holder(domain, mac);
    if (!slot) return std::nullopt;
    const Tsi& tsi = rows_[*slot];
    for (const auto& address : tsi.addresses)
      if (address.mac == mac && address.is_mac())
        return AddressOwner{instance(*slot), tsi.port,          tsi.guest_tag,
                            address.open,    guard(*slot, mac), address.priority};
    return std::nullopt;
  }
  bool has_ip(InstanceId instance, MacAddress mac, const IpPrefix& ip) const override {
    const std::uint32_t slot = instance.value() - 1;
    if (!rows_.contains(slot) || rows_[slot].port.value() == 0) return false;
    const Address* address = find(slot, mac, ip);
    return address != nullptr && address->passes();
  }
  DomainId domain_of(InstanceId instance) const override {
    const Tsi& tsi = rows_[instance.value() - 1];
    return config_ == nullptr ? DomainId() : tnved::domain_of(config_->uplinks[tsi.uplink].id, tsi.vn);
  }
  datapath::IpGuard guard(std::uint32_t slot, MacAddress mac) const {
    datapath::IpGuard guard;
    guard.strict_link_local = strict_.contains(rows_[slot].vn);
    permissions_.allow(rows_[slot].vn, mac, guard);
    if (ips_.count(slot) == 0) return guard;
    for (const auto& address : rows_[slot].addresses) {
      if (address.mac != mac || address.is_mac() || address.removing()) continue;
      const IpFamily family = ip(slot, address).family;
      guard.ipv4 = guard.ipv4 || family == IpFamily::kV4;
      guard.ipv6 = guard.ipv6 || family == IpFamily::kV6;
    }
    return guard;
  }

  // --- addresses with IP ---
  Address* find(std::uint32_t slot, MacAddress mac, const IpPrefix& wanted) {
    for (auto& address : rows_[slot].addresses)
      if (address.mac == mac && ip(slot, address) == wanted) return &address;
    return nullptr;
  }
  const Address* find(std::uint32_t slot, MacAddress mac, const IpPrefix& wanted) const {
    return const_cast<TsiTable*>(this)->find(slot, mac, wanted);
  }
  IpPrefix ip(std::uint32_t slot, const Address& address) const { return ips_.get(slot, address.ip); }
  const IpTable& ips() const { return ips_; }
  /// Requires room in the IP table if it has an IP.
  void add_address(std::uint32_t slot, Address address, const IpPrefix& ip) {
    address.ip = ips_.add(slot, ip);
    rows_[slot].addresses.push_back(address);
  }
  void erase_address(std::uint32_t slot, const Address& address) {
    auto& addresses = rows_[slot].addresses;
    ips_.remove(slot, address.ip);
    addresses.erase(addresses.begin() + (&address - addresses.data()));
  }
  void clear_addresses(std::uint32_t slot) {
    ips_.erase(slot);
    rows_[slot].addresses.clear();
  }

  bool contains(std::uint32_t slot) const { return rows_.contains(slot); }
  Tsi& operator[](std::uint32_t slot) { return rows_[slot]; }
  const Tsi& operator[](std::uint32_t slot) const { return rows_[slot]; }
  std::size_t size() const { return rows_.size(); }
  std::uint32_t slots() const { return rows_.slots(); }
  template <class F>
  void for_each(F&& visit) const {
    rows_.for_each(std::forward<F>(visit));
  }

 private:
  const AgentConfig* config_ = nullptr;
  agent::Permissions permissions_{{}};
  boost::unordered_flat_set<GroupId, boost::hash<GroupId>> strict_;
  Slab<Tsi> rows_;
  IpTable ips_;
  boost::unordered_flat_map<VsiId, std::uint32_t> by_vsi_;
  boost::unordered_flat_map<std::pair<DomainId, MacAddress>, std::uint32_t> by_address_;
};

}  // namespace splitnve::tnved
