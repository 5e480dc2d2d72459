// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <map>
#include <optional>
#include <vector>

#include "nnved/changes.hpp"
#include "nnved/config.hpp"
#include "nnved/reason.hpp"
#include "splitnve/base/result.hpp"
#include "splitnve/vdp/codec.hpp"
#include "splitnve/vdp/extensions.hpp"

namespace splitnve::nnved {

/// Who may join what (F1), and which VN an entry means (S5). Ports are named by their index in the configuration.
class Policy {
 public:
  /// `config` outlives the policy.
  explicit Policy(const AgentConfig& config);

  std::optional<std::uint32_t> port_index(PortId port) const;
  bool admits_station(std::uint32_t port, const MacAddress& station) const;
  bool admits_vn(std::uint32_t port, GroupId vn) const;
  /// The registered VN, or null.
  const VnConfig* vn(GroupId id) const;
  /// The registered VN of this name, or null.
  const VnConfig* vn(const vdp::VnName& name) const;
  /// The VN of an entry on a port, registered and admitted there: its GroupID, else the VSI type's, else the static
  /// VID's. Errors: kGroupIdTooLarge, kUnknownVn, kNoVnForEntry, kVnNotAdmitted.
  Result<GroupId, Reason> vn_of_entry(std::uint32_t port, const ManagerId& manager, const VsiType& type,
                                      const vdp::FilterEntry& entry) const;
  /// May this MAC be a tenant's on the port? kNone if so; else kBadMac, kReservedMac, kVirtualRouterMac, or for a
  /// format without MAC kMacRequired unless the port is marked `legacy`.
  Reason check_mac(std::uint32_t port, vdp::FilterFormat format, const MacAddress& mac) const;
  /// May any TSI of the VN claim this IP (S6)? kNone if so; else kWidePrefix or kReservedIp.
  Reason check_ip(GroupId vn, const IpPrefix& ip) const;
  /// Does the configuration place the address behind another nNVE?
  bool is_remote(const AddressKey& key) const { return remotes_.contains(key); }
  /// The address of a port of ours has changed.
  void set_port_mac(std::uint32_t port, const MacAddress& mac);
  /// kDefault: by what the segment watch finds.
  Takeover takeover(std::uint32_t port) const { return ports_[port].takeover; }
  bool lists_for_takeover(std::uint32_t port, const MacAddress& station) const {
    return ports_[port].takeover_stations.contains(station);
  }

 private:
  struct TypeKey {
    ManagerId manager;
    VsiType type;
    friend bool operator==(const TypeKey&, const TypeKey&) = default;
    friend std::size_t hash_value(const TypeKey& key) {
      std::size_t seed = hash_value(key.manager);
      boost::hash_combine(seed, key.type.id);
      boost::hash_combine(seed, key.type.version);
      return seed;
    }
  };
  struct PortPolicy {
    boost::unordered_flat_set<MacAddress, boost::hash<MacAddress>> stations;
    boost::unordered_flat_set<GroupId, boost::hash<GroupId>> vns;
    boost::unordered_flat_map<Vid, GroupId, boost::hash<Vid>> static_vids;
    Takeover takeover = Takeover::kListed;
    boost::unordered_flat_set<MacAddress, boost::hash<MacAddress>> takeover_stations;
  };

  const AgentConfig& config_;
  boost::unordered_flat_map<PortId, std::uint32_t, boost::hash<PortId>> port_indexes_;
  std::vector<PortPolicy> ports_;
  std::vector<MacAddress> port_macs_;  ///< our own, by port
  boost::unordered_flat_set<MacAddress, boost::hash<MacAddress>> own_macs_;
  boost::unordered_flat_set<AddressKey> remotes_;
  boost::unordered_flat_map<GroupId, const VnConfig*, boost::hash<GroupId>> vns_;
  std::map<vdp::VnName, const VnConfig*> names_;
  boost::unordered_flat_map<TypeKey, GroupId, boost::hash<TypeKey>> types_;
};

}  // namespace splitnve::nnved
