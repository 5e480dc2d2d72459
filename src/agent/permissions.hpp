// SPDX-License-Identifier: Apache-2.0
// What single TSIs are allowed that tenants are not (S47), as the configuration of this host says; the word of the
// other side widens nothing.
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <span>
#include <vector>

#include "splitnve/base/ids.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::agent {

struct Permission {
  GroupId vn;
  MacAddress mac;
  bool may_route = false;       ///< router advertisements and redirects
  bool may_serve_dhcp = false;  ///< what DHCP servers say
};

class Permissions {
 public:
  explicit Permissions(std::span<const Permission> permissions) {
    for (const auto& one : permissions) by_address_[{one.vn, one.mac}] = one;
  }
  /// Adds to the guard what its source is allowed.
  void allow(GroupId vn, const MacAddress& mac, datapath::IpGuard& guard) const {
    if (by_address_.empty()) return;
    const auto found = by_address_.find({vn, mac});
    if (found == by_address_.end()) return;
    guard.may_route = guard.may_route || found->second.may_route;
    guard.may_serve_dhcp = guard.may_serve_dhcp || found->second.may_serve_dhcp;
  }

 private:
  struct Hash {
    std::size_t operator()(const std::pair<GroupId, MacAddress>& key) const {
      return boost::hash<std::uint64_t>()(key.second.value() ^ (std::uint64_t{key.first.value()} << 40));
    }
  };
  boost::unordered_flat_map<std::pair<GroupId, MacAddress>, Permission, Hash> by_address_;
};

}  // namespace splitnve::agent
