// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/underlay.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace splitnve::host {
namespace {

struct Socket {
  explicit Socket(int family) : fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd;
};

/// Our own address structure, which the socket calls want by its common head.
const sockaddr* generic(const void* address) { return static_cast<const sockaddr*>(address); }

int connect_to(int fd, const datapath::UnderlayAddress& remote) {
  constexpr std::uint16_t kDiscard = 9;
  if (remote.is_ipv4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kDiscard);
    std::memcpy(&address.sin_addr, remote.octets.data() + 12, 4);
    return ::connect(fd, generic(&address), sizeof address) == 0 ? 0 : errno;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(kDiscard);
  std::memcpy(&address.sin6_addr, remote.octets.data(), 16);
  return ::connect(fd, generic(&address), sizeof address) == 0 ? 0 : errno;
}

bool is_address(const sockaddr* found, const datapath::UnderlayAddress& wanted) {
  if (found == nullptr) return false;
  const void* raw = found;
  if (found->sa_family == AF_INET && wanted.is_ipv4())
    return std::memcmp(&static_cast<const sockaddr_in*>(raw)->sin_addr, wanted.octets.data() + 12, 4) == 0;
  if (found->sa_family == AF_INET6 && !wanted.is_ipv4())
    return std::memcmp(&static_cast<const sockaddr_in6*>(raw)->sin6_addr, wanted.octets.data(), 16) == 0;
  return false;
}

unsigned mtu_of(const std::string& name) {
  const Socket probe(AF_INET);
  ifreq request{};
  if (probe.fd < 0 || name.empty() || name.size() >= IFNAMSIZ) return 0;
  std::copy(name.begin(), name.end(), request.ifr_name);
  return ::ioctl(probe.fd, SIOCGIFMTU, &request) == 0 ? static_cast<unsigned>(request.ifr_mtu) : 0;
}

void narrow(std::optional<UnderlayRoom>& room, unsigned mtu, unsigned overhead, const std::string& where) {
  const unsigned inner = mtu > overhead ? mtu - overhead : 0;
  if (!room || inner < room->inner_mtu) room = UnderlayRoom{inner, mtu, where};
}

}  // namespace

std::optional<std::string> holder_of(const datapath::UnderlayAddress& local) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next)
    if (is_address(at->ifa_addr, local)) return std::string(at->ifa_name);
  return std::string();
}

unsigned vxlan_overhead(const datapath::UnderlayAddress& nnve) {
  return nnve.is_ipv4() ? kVxlanOverheadIpv4 : kVxlanOverheadIpv6;
}

RouteMtu route_mtu(const datapath::UnderlayAddress& remote) {
  RouteMtu route;
  const Socket probe(remote.is_ipv4() ? AF_INET : AF_INET6);
  if (probe.fd < 0) return {0, errno};
  route.error = connect_to(probe.fd, remote);
  if (route.error != 0) return route;
  int mtu = 0;
  socklen_t length = sizeof mtu;
  const int level = remote.is_ipv4() ? int{IPPROTO_IP} : int{IPPROTO_IPV6};
  if (::getsockopt(probe.fd, level, remote.is_ipv4() ? IP_MTU : IPV6_MTU, &mtu, &length) != 0) return {0, errno};
  route.mtu = static_cast<unsigned>(mtu);
  return route;
}

std::optional<UnderlayRoom> underlay_room(const std::optional<datapath::UnderlayAddress>& local,
                                          const std::vector<datapath::UnderlayAddress>& remotes) {
  std::optional<UnderlayRoom> room;
  const std::string holder = local ? holder_of(*local).value_or("") : std::string();
  if (const unsigned mtu = mtu_of(holder); mtu != 0) narrow(room, mtu, vxlan_overhead(*local), holder);
  for (const auto& remote : remotes)
    if (const auto route = route_mtu(remote); route.error == 0)
      narrow(room, route.mtu, vxlan_overhead(remote), remote.to_string());
  return room;
}

Result<void> check_room(unsigned access_mtu, const std::optional<UnderlayRoom>& room) {
  if (!room || room->inner_mtu >= access_mtu) return {};
  const unsigned needed = access_mtu + room->mtu - room->inner_mtu;
  return unexpected<Error>(Error{"the underlay carries " + std::to_string(room->mtu) + " octets; access MTU " +
                                     std::to_string(access_mtu) + " and VXLAN need " + std::to_string(needed),
                                 room->where, "raise the underlay's MTU or lower that of the access ports"});
}

}  // namespace splitnve::host
