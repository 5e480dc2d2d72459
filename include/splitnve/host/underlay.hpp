// SPDX-License-Identifier: Apache-2.0
// What the underlay carries: the MTU of tunnels (S25).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "splitnve/base/result.hpp"
#include "splitnve/datapath/rows.hpp"

namespace splitnve::host {

/// IP-level octets that VXLAN puts around an inner packet: Ethernet 14, VXLAN 8, UDP 8, and IPv4 20 or IPv6 40.
inline constexpr unsigned kVxlanOverheadIpv4 = 50;
inline constexpr unsigned kVxlanOverheadIpv6 = 70;
unsigned vxlan_overhead(const datapath::UnderlayAddress& nnve);

/// The MTU of the route to an address; nothing is sent. Error: an errno.
struct RouteMtu {
  unsigned mtu = 0;
  int error = 0;
};
RouteMtu route_mtu(const datapath::UnderlayAddress& remote);

/// The interface that has an address; empty: none; nullopt: the kernel did not say.
std::optional<std::string> holder_of(const datapath::UnderlayAddress& local);

/// What the narrowest way carries of an inner packet without fragments.
struct UnderlayRoom {
  unsigned inner_mtu = 0;
  unsigned mtu = 0;   ///< of the way itself
  std::string where;  ///< an interface's name or an nNVE's address
};
/// The least of the interface that has `local` and of the routes to `remotes`. nullopt: the address is not here yet
/// and no remote has a route, so that nothing can be said.
std::optional<UnderlayRoom> underlay_room(const std::optional<datapath::UnderlayAddress>& local,
                                          const std::vector<datapath::UnderlayAddress>& remotes);
/// Refuses an access MTU for which there is no room.
Result<void> check_room(unsigned access_mtu, const std::optional<UnderlayRoom>& room);

}  // namespace splitnve::host
