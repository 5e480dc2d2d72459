// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/base/slab.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::tnved {

/// One VN as one uplink forwards it: uplink id in the top octet, VN ID below.
constexpr DomainId domain_of(PortId uplink, GroupId vn) { return DomainId((uplink.value() << 24) | vn.value()); }
/// VM ports are numbered from here; uplinks take 1..255 (the top octet of a DomainId).
inline constexpr std::uint32_t kVmPortFirst = 4096;
inline constexpr std::uint32_t kUplinkIdMax = 255;

/// Names of datapath rows, aligned with `datapath::Rows`: a list of what may differ, and what a batch in flight holds.
struct RowKeys {
  std::vector<PortId> ports;
  std::vector<DomainId> domains;
  std::vector<std::pair<PortId, Vid>> access;
  std::vector<std::tuple<InstanceId, MacAddress, IpPrefix>> ips;
  std::vector<std::tuple<DomainId, PortId, MacAddress>> guards;
  std::vector<std::pair<DomainId, MacAddress>> fdb;
  void append(const RowKeys& more);
  void sort_unique();
  bool empty() const;
  std::size_t size() const {
    return ports.size() + domains.size() + access.size() + ips.size() + guards.size() + fdb.size();
  }
};

/// Who holds an address of a domain here, and whether the address is open.
struct AddressOwner {
  InstanceId instance;
  PortId port;
  Vid guest_tag;
  bool open = false;
  datapath::IpGuard ip{};
  Priority priority{};
};
/// The TSI table, as the virtual switch sees it.
class AddressOwners {
 public:
  virtual std::optional<AddressOwner> owner(DomainId domain, MacAddress mac) const = 0;
  /// May the instance's MAC send from the IP?
  virtual bool has_ip(InstanceId instance, MacAddress mac, const IpPrefix& ip) const = 0;
  /// Of an instance that has an IP.
  virtual DomainId domain_of(InstanceId instance) const = 0;

 protected:
  ~AddressOwners() = default;
};

/// The virtual switch's wanted rows: VM ports by interface name, domains with their tags and members, and which rows
/// changed since they were last handed out. A row's value is always computed from the present state, so handing a key
/// out again after a failure can never bring back something old.
class VSwitch {
 public:
  struct Uplink {
    PortId port;
    std::string interface_name;
  };
  /// `storm`: the limit of each VM port's sources.
  explicit VSwitch(std::vector<Uplink> uplinks, datapath::StormLimit storm = {})
      : uplinks_(std::move(uplinks)), storm_(storm) {}

  // --- one TSI's share; each join, bind, use and open is undone once ---
  void join(DomainId domain);
  void leave(DomainId domain);
  /// Binds (interface, guest tag) to the domain. Refused, with the reason: a name that is an uplink or no interface
  /// name, a tag of that interface that belongs to another VN, a full flood list.
  Result<PortId, std::string> bind(DomainId domain, std::string_view interface_name, Vid guest_tag);
  /// The same under a port id that a store remembered; refused as well if the two do not match what is known.
  Result<PortId, std::string> bind_stored(DomainId domain, std::string_view interface_name, Vid guest_tag, PortId port);
  void unbind(PortId port, Vid guest_tag);
  void open_member(PortId port, Vid guest_tag);
  void close_member(PortId port, Vid guest_tag);
  /// An entry of the domain has this VID. The first VID is where frames go out; `preferred` makes this one the first.
  void use_vid(DomainId domain, Vid vid, bool preferred);
  void drop_vid(DomainId domain, Vid vid);

  /// All that is bound in the domain is bound in another one from now on: its VN goes by another uplink. Its VIDs are
  /// dropped and its members closed before.
  void move(DomainId from, DomainId to, std::span<const std::pair<PortId, Vid>> bindings);

  // --- what may differ in the datapath ---
  void touch_guard(DomainId domain, PortId port, MacAddress mac) { dirty_.guards.emplace_back(domain, port, mac); }
  void touch_ip(InstanceId instance, MacAddress mac, const IpPrefix& ip) { dirty_.ips.emplace_back(instance, mac, ip); }
  void touch_fdb(DomainId domain, MacAddress mac) { dirty_.fdb.emplace_back(domain, mac); }
  /// Does the port forward with this tag already, for some TSI?
  bool forwards(PortId port, Vid guest_tag) const;
  /// Names the shared rows behind a bound TSI again: the interface may have been made anew.
  void touch_binding(DomainId domain, PortId port, Vid guest_tag);
  void touch(const RowKeys& keys) { dirty_.append(keys); }
  void forget_changes() { dirty_ = RowKeys(); }
  bool dirty() const { return !dirty_.empty(); }
  /// All rows named since the last call, each once, and their keys in the same places.
  std::pair<datapath::Rows, RowKeys> flush(const AddressOwners& owners);
  /// Every port, domain and access row; guards and addresses are the owner's to add.
  datapath::Rows shared_rows() const;
  /// Those of them that name an uplink.
  datapath::Rows rows_of_uplink(PortId uplink) const;
  /// The rows of these ports, domains and tags.
  void add_rows(RowKeys keys, datapath::Rows& rows) const;

  const std::string& interface_name(PortId port) const;
  /// The VID that frames of the domain leave with; null if none is assigned yet.
  Vid vid(DomainId domain) const;
  std::size_t ports() const { return ports_.size(); }
  std::size_t domains() const { return domains_.size(); }

 private:
  struct VmPort {
    std::string interface_name;
    std::uint32_t uses = 0;
  };
  struct VidUse {
    Vid vid;
    std::uint32_t uses = 0;
  };
  struct Domain {
    std::uint32_t tsis = 0;
    std::uint32_t bindings = 0;
    boost::container::small_vector<VidUse, 1> vids;
    std::vector<datapath::FloodMember> open;
  };
  struct Binding {
    DomainId domain;
    std::uint32_t uses = 0;
    std::uint32_t open = 0;
  };
  using AccessKey = std::uint64_t;
  static AccessKey access_key(PortId port, Vid tag) {
    return (static_cast<AccessKey>(port.value()) << 16) | tag.value();
  }
  static PortId uplink_of(DomainId domain) { return PortId(domain.value() >> 24); }

  bool bound(PortId port, Vid tag) const { return bindings_.contains(access_key(port, tag)); }
  Domain& domain(DomainId id);
  Result<void, std::string> may_bind(DomainId domain, std::string_view interface_name, Vid guest_tag) const;
  PortId take(DomainId domain, PortId port, Vid guest_tag);
  datapath::PortRow port_row(PortId port) const;
  datapath::DomainRow domain_row(DomainId id) const;
  datapath::AccessRow access_row(PortId port, Vid tag) const;

  std::vector<Uplink> uplinks_;
  datapath::StormLimit storm_;
  Slab<VmPort> ports_;
  boost::unordered_flat_map<std::string, PortId> port_by_name_;
  boost::unordered_flat_map<DomainId, Domain> domains_;
  boost::unordered_flat_map<AccessKey, Binding> bindings_;      ///< (VM port, guest tag)
  boost::unordered_flat_map<AccessKey, DomainId> uplink_tags_;  ///< (uplink, VID)
  RowKeys dirty_;
};

}  // namespace splitnve::tnved
