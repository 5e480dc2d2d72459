// SPDX-License-Identifier: Apache-2.0
#include "splitnve/host/link_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
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
/// Of rtnetlink's events: some hundred interfaces may come at once.
constexpr int kMonitorBufferOctets = 1 << 20;
#ifndef ALTIFNAMSIZ
#define ALTIFNAMSIZ 128  // linux/if.h has it, which net/if.h keeps out
#endif

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

using Hint = LinkMonitor::Hint;

int on_alternative_name(const nlattr* attribute, void* hint) {
  if (mnl_attr_get_type(attribute) == IFLA_ALT_IFNAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    static_cast<Hint*>(hint)->names.emplace_back(mnl_attr_get_str(attribute));
  return MNL_CB_OK;
}

int on_attribute(const nlattr* attribute, void* hint) {
  const auto type = mnl_attr_get_type(attribute);
  if (type == IFLA_IFNAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    static_cast<Hint*>(hint)->names.emplace_back(mnl_attr_get_str(attribute));
  if (type == IFLA_PROP_LIST) mnl_attr_parse_nested(attribute, on_alternative_name, hint);
  return MNL_CB_OK;
}

std::optional<Hint> hint_of(const nlmsghdr* message) {
  Hint hint;
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
      // A bridge tells of a port that leaves it in the same words, but of its own family.
      const bool gone = message->nlmsg_type == RTM_DELLINK && info->ifi_family == AF_UNSPEC;
      hint.kind = gone ? Hint::Kind::kLinkGone : Hint::Kind::kLink;
      hint.index = static_cast<unsigned>(info->ifi_index);
      mnl_attr_parse(message, sizeof(*info), on_attribute, &hint);
      return hint;
    }
    case RTM_NEWQDISC:
    case RTM_DELQDISC:
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
      hint.kind = Hint::Kind::kTraffic;
      hint.index = static_cast<unsigned>(static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message))->tcm_ifindex);
      return hint;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      hint.kind = Hint::Kind::kAddress;
      hint.index = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message))->ifa_index;
      return hint;
    default: return std::nullopt;
  }
}

int on_message(const nlmsghdr* message, void* changed) {
  if (const auto hint = hint_of(message)) (*static_cast<const LinkMonitor::Changed*>(changed))(*hint);
  return MNL_CB_OK;
}

/// The name that an ioctl takes; only rtnetlink knows alternative names of more than 15 characters. Empty: none.
Result<std::string> short_name_of(const std::string& name) {
  if (name.size() < IFNAMSIZ) return name;
  std::array<char, kNetlinkOctetsMax> buffer{};
  auto* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETLINK;
  header->nlmsg_flags = NLM_F_REQUEST;
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  mnl_attr_put_strz(header, IFLA_ALT_IFNAME, name.c_str());
  const Descriptor asked(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (asked.fd < 0 || send(asked.fd, header, header->nlmsg_len, 0) < 0)
    return unexpected<Error>(interface_error(name, errno));
  const ssize_t length = recv(asked.fd, buffer.data(), buffer.size(), 0);
  if (length < 0) return unexpected<Error>(interface_error(name, errno));
  Hint hint;
  const LinkMonitor::Changed keep = [&hint](const Hint& found) { hint = found; };
  mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 0, 0, on_message,
             const_cast<LinkMonitor::Changed*>(&keep));
  return hint.names.empty() ? std::string() : hint.names.front();
}

/// Between two questions the interface may go: then it is gone, whatever the second one failed with.
Result<std::optional<LinkInfo>> no_news(const std::string& name) {
  if (errno == ENODEV || errno == ENXIO) return std::optional<LinkInfo>();
  return unexpected<Error>(interface_error(name, errno));
}

}  // namespace

Result<std::optional<LinkInfo>> find_link(const std::string& name) {
  if (name.empty() || name.size() >= ALTIFNAMSIZ) return std::optional<LinkInfo>();
  const auto short_name = short_name_of(name);
  if (!short_name) return unexpected<Error>(short_name.error());
  if (short_name->empty()) return std::optional<LinkInfo>();
  const Descriptor socket_fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket_fd.fd < 0) return unexpected<Error>(interface_error(name, errno));
  ifreq request{};
  std::copy(short_name->begin(), short_name->end(), request.ifr_name);
  LinkInfo info;
  info.name = name;
  if (ioctl(socket_fd.fd, SIOCGIFINDEX, &request) != 0) return no_news(name);
  info.index = static_cast<unsigned>(request.ifr_ifindex);
  catch_up(socket_fd.fd, request);
  if (ioctl(socket_fd.fd, SIOCGIFFLAGS, &request) != 0) return no_news(name);
  // IFF_RUNNING follows the operational state: up, or unknown as drivers without carrier report it.
  info.up = (request.ifr_flags & IFF_UP) != 0 && (request.ifr_flags & IFF_RUNNING) != 0;
  if (ioctl(socket_fd.fd, SIOCGIFMTU, &request) != 0) return no_news(name);
  info.mtu = static_cast<unsigned>(request.ifr_mtu);
  if (ioctl(socket_fd.fd, SIOCGIFHWADDR, &request) != 0) return no_news(name);
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return unexpected<Error>(Error{"not an Ethernet interface", name, "VDP runs on Ethernet interfaces only"});
  MacAddress::Bytes octets{};
  std::memcpy(octets.data(), request.ifr_hwaddr.sa_data, octets.size());
  info.mac = MacAddress(octets);
  return std::optional(info);
}

Result<LinkInfo> link_of(const std::string& name) {
  const auto found = find_link(name);
  if (!found) return unexpected<Error>(found.error());
  if (!*found) return unexpected<Error>(interface_error(name, ENODEV));
  return **found;
}

Result<std::unique_ptr<LinkMonitor>> LinkMonitor::open() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return unexpected<Error>(Error{std::strerror(errno), "rtnetlink socket", ""});
  std::unique_ptr<LinkMonitor> monitor(new LinkMonitor(fd));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_TC | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  // What does not fit is told as lost; more room only saves looking at everything.
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kMonitorBufferOctets, sizeof(kMonitorBufferOctets));
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
