// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/link_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace splitnve::host {
namespace {

/// One netlink datagram; rtnetlink's link messages with all attributes stay below it.
constexpr std::size_t kNetlinkOctetsMax = 32768;

Error interface_error(const std::string& name, int cause) {
  if (cause == ENODEV)
    return Error{"no such network interface", name, "create it or correct its name in the configuration"};
  return Error{std::string("cannot read the network interface: ") + std::strerror(cause), name, ""};
}

/// Closes at the end of scope.
struct Descriptor {
  explicit Descriptor(int number) : fd(number) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

/// The kernel puts off what follows from a carrier, by up to a second: asked for the carrier, it does it now. Until
/// then IFF_RUNNING is of yesterday, and what is sent is lost. A driver or kernel that does not know it is as it was.
void catch_up(int fd, ifreq request) {
  ethtool_value carrier{};
  carrier.cmd = ETHTOOL_GLINK;
  request.ifr_data = reinterpret_cast<char*>(&carrier);
  ioctl(fd, SIOCETHTOOL, &request);
}

struct Hint {
  std::string name;
  unsigned index = 0;
};

int on_attribute(const nlattr* attribute, void* hint) {
  if (mnl_attr_get_type(attribute) == IFLA_IFNAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    static_cast<Hint*>(hint)->name = mnl_attr_get_str(attribute);
  return MNL_CB_OK;
}

int on_message(const nlmsghdr* message, void* changed) {
  if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return MNL_CB_OK;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  Hint hint;
  hint.index = static_cast<unsigned>(info->ifi_index);
  mnl_attr_parse(message, sizeof(*info), on_attribute, &hint);
  (*static_cast<const LinkMonitor::Changed*>(changed))(hint.name, hint.index);
  return MNL_CB_OK;
}

}  // namespace

Result<LinkInfo> link_of(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return unexpected<Error>(interface_error(name, ENODEV));
  const Descriptor socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket_fd.fd < 0) return unexpected<Error>(interface_error(name, errno));
  ifreq request{};
  std::copy(name.begin(), name.end(), request.ifr_name);
  LinkInfo info;
  info.name = name;
  if (ioctl(socket_fd.fd, SIOCGIFINDEX, &request) != 0) return unexpected<Error>(interface_error(name, errno));
  info.index = static_cast<unsigned>(request.ifr_ifindex);
  catch_up(socket_fd.fd, request);
  if (ioctl(socket_fd.fd, SIOCGIFFLAGS, &request) != 0) return unexpected<Error>(interface_error(name, errno));
  // IFF_RUNNING follows the operational state: up, or unknown as drivers without carrier report it.
  info.up = (request.ifr_flags & IFF_UP) != 0 && (request.ifr_flags & IFF_RUNNING) != 0;
  if (ioctl(socket_fd.fd, SIOCGIFMTU, &request) != 0) return unexpected<Error>(interface_error(name, errno));
  info.mtu = static_cast<unsigned>(request.ifr_mtu);
  if (ioctl(socket_fd.fd, SIOCGIFHWADDR, &request) != 0) return unexpected<Error>(interface_error(name, errno));
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return unexpected<Error>(Error{"not an Ethernet interface", name, "VDP runs on Ethernet interfaces only"});
  MacAddress::Bytes octets{};
  std::memcpy(octets.data(), request.ifr_hwaddr.sa_data, octets.size());
  info.mac = MacAddress(octets);
  return info;
}

Result<std::unique_ptr<LinkMonitor>> LinkMonitor::open() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return unexpected<Error>(Error{std::strerror(errno), "rtnetlink socket", ""});
  std::unique_ptr<LinkMonitor> monitor(new LinkMonitor(fd));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return unexpected<Error>(Error{std::strerror(errno), "rtnetlink socket", ""});
  return monitor;
}

LinkMonitor::~LinkMonitor() { close(fd_); }

bool LinkMonitor::drain(const Changed& changed) {
  alignas(nlmsghdr) std::array<char, kNetlinkOctetsMax> buffer;
  bool complete = true;
  while (true) {
    const ssize_t length = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == ENOBUFS) {
      complete = false;
      continue;
    }
    if (length <= 0) return complete;
    if (static_cast<std::size_t>(length) > buffer.size()) {
      complete = false;
      continue;
    }
    mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 0, 0, on_message, const_cast<Changed*>(&changed));
  }
}

}  // namespace splitnve::host
