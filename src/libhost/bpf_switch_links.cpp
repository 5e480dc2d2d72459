// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_links.hpp"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <vector>

namespace splitnve::host::bpf {
namespace {

// Ours alone, so that a replacement never meets somebody else's filter.
constexpr std::uint32_t kFilterHandle = 0x534E;
constexpr std::uint32_t kFilterPriority = 0x564E;

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

Error failed(const std::string& what, const std::string& where, int error) {
  return Error{what + ": " + std::strerror(error), where, error == EPERM ? "needs CAP_NET_ADMIN" : ""};
}

using MnlSocket = std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)>;

struct Request {
  std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(MNL_SOCKET_BUFFER_SIZE);
  nlmsghdr* header = nullptr;

  Request(std::uint16_t type, std::uint16_t flags) {
    header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = 1;
  }
  ifinfomsg* link(std::uint32_t ifindex) {
    auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = static_cast<int>(ifindex);
    return info;
  }
};

using Visit = std::function<void(const nlmsghdr*)>;

// Sends one request and visits what comes back until its end; returns 0 or errno.
int exchange(const Request& request, const Visit& visit = [](const nlmsghdr*) {}) {
  const MnlSocket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
  if (mnl_socket_sendto(socket.get(), request.header, request.header->nlmsg_len) < 0) return errno;
  const bool dump = (request.header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  const bool acked = (request.header->nlmsg_flags & NLM_F_ACK) != 0;
  std::vector<std::uint8_t> answer(64 * 1024);
  const mnl_cb_t call = [](const nlmsghdr* message, void* data) {
    (*static_cast<const Visit*>(data))(message);
    return MNL_CB_OK;
  };
  while (true) {
    const auto length = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno;
    const int more = mnl_cb_run(answer.data(), static_cast<std::size_t>(length), 1, mnl_socket_get_portid(socket.get()),
                                call, const_cast<Visit*>(&visit));
    if (more < 0) return errno;
    if (more == MNL_CB_STOP || (!dump && !acked)) return 0;
  }
}

int collect(const nlattr* attribute, void* data) {
  auto& table = *static_cast<std::vector<const nlattr*>*>(data);
  const auto type = mnl_attr_get_type(attribute);
  if (type < table.size()) table[type] = attribute;
  return MNL_CB_OK;
}

struct LinkKind {
  std::uint32_t ifindex = 0;
  std::string kind;
  bool collect_metadata = false;
  std::uint16_t udp_port = 0;
};

LinkKind read_kind(const nlmsghdr* message) {
  LinkKind link;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.ifindex = static_cast<std::uint32_t>(info->ifi_index);
  std::vector<const nlattr*> outer(IFLA_MAX + 1), middle(IFLA_INFO_MAX + 1), inner(IFLA_VXLAN_MAX + 1);
  mnl_attr_parse(message, sizeof(ifinfomsg), collect, &outer);
  if (outer[IFLA_LINKINFO] == nullptr) return link;
  mnl_attr_parse_nested(outer[IFLA_LINKINFO], collect, &middle);
  if (middle[IFLA_INFO_KIND] != nullptr) link.kind = mnl_attr_get_str(middle[IFLA_INFO_KIND]);
  if (link.kind != "vxlan" || middle[IFLA_INFO_DATA] == nullptr) return link;
  mnl_attr_parse_nested(middle[IFLA_INFO_DATA], collect, &inner);
  if (const auto* flag = inner[IFLA_VXLAN_COLLECT_METADATA]) link.collect_metadata = mnl_attr_get_u8(flag) != 0;
  if (const auto* port = inner[IFLA_VXLAN_PORT]) link.udp_port = ntohs(mnl_attr_get_u16(port));
  return link;
}

int make_vxlan(const BpfSwitch::Vxlan& wanted) {
  Request request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto* info = request.link(0);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  mnl_attr_put_strz(request.header, IFLA_IFNAME, wanted.name.c_str());
  auto* link = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
  mnl_attr_put_strz(request.header, IFLA_INFO_KIND, "vxlan");
  auto* data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
  mnl_attr_put_u8(request.header, IFLA_VXLAN_COLLECT_METADATA, 1);
  mnl_attr_put_u8(request.header, IFLA_VXLAN_LEARNING, 0);
  mnl_attr_put_u16(request.header, IFLA_VXLAN_PORT, htons(wanted.udp_port));
  mnl_attr_put_u8(request.header, IFLA_VXLAN_UDP_CSUM, 0);
  if (wanted.local && wanted.local->is_ipv4())
    mnl_attr_put(request.header, IFLA_VXLAN_LOCAL, 4, wanted.local->octets.data() + 12);
  else if (wanted.local)
    mnl_attr_put(request.header, IFLA_VXLAN_LOCAL6, 16, wanted.local->octets.data());
  mnl_attr_nest_end(request.header, data);
  mnl_attr_nest_end(request.header, link);
  return exchange(request);
}

int bring_up(std::uint32_t ifindex) {
  Request request(RTM_NEWLINK, NLM_F_ACK);
  auto* info = request.link(ifindex);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  return exchange(request);
}

bool has_filters(std::uint32_t ifindex) {
  std::size_t filters = 0;
  for (const std::uint32_t direction : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    Request request(RTM_GETTFILTER, NLM_F_DUMP);
    auto* tc = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request.header, sizeof(tcmsg)));
    tc->tcm_family = AF_UNSPEC;
    tc->tcm_ifindex = static_cast<int>(ifindex);
    tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction);
    exchange(request, [&](const nlmsghdr*) { ++filters; });
  }
  return filters > 0;
}

bpf_tc_hook ingress_of(std::uint32_t ifindex) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts our_filter() {
  bpf_tc_opts filter{};
  filter.sz = sizeof filter;
  filter.handle = kFilterHandle;
  filter.priority = kFilterPriority;
  return filter;
}

}  // namespace

Epoch current_epoch() {
  Epoch epoch;
  const int probe = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  socklen_t length = sizeof epoch.netns;
  if (probe < 0 || ::getsockopt(probe, SOL_SOCKET, SO_NETNS_COOKIE, &epoch.netns, &length) != 0) {
    struct stat status{};  // before Linux 5.14: the inode, which a later namespace may get again
    if (::stat("/proc/thread-self/ns/net", &status) == 0) epoch.netns = status.st_ino;
  }
  if (probe >= 0) ::close(probe);
  std::string text, digits;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return c != '-'; });
  for (std::size_t i = 0; i < epoch.boot.size() && 2 * i + 1 < digits.size(); ++i)
    epoch.boot[i] = static_cast<std::uint8_t>(std::strtoul(digits.substr(2 * i, 2).c_str(), nullptr, 16));
  return epoch;
}

std::uint32_t ifindex_of(const std::string& name) { return ::if_nametoindex(name.c_str()); }

std::string name_of(std::uint32_t ifindex) {
  char name[IF_NAMESIZE] = {};
  return ::if_indextoname(ifindex, name) == nullptr ? std::string() : std::string(name);
}

std::optional<std::array<std::uint8_t, 6>> mac_of_interface(const std::string& name) {
  const int probe = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0 || name.size() >= IFNAMSIZ) return std::nullopt;
  ifreq request{};
  std::copy(name.begin(), name.end(), request.ifr_name);
  const bool read = ::ioctl(probe, SIOCGIFHWADDR, &request) == 0;
  ::close(probe);
  if (!read) return std::nullopt;
  std::array<std::uint8_t, 6> mac{};
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

Result<bool> attach_ingress(std::uint32_t ifindex, const std::string& name, int program_fd) {
  auto hook = ingress_of(ifindex);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) return unexpected<Error>(failed("cannot add the clsact qdisc", name, -made));
  auto filter = our_filter();
  filter.prog_fd = program_fd;
  filter.flags = BPF_TC_F_REPLACE;
  const int attached = bpf_tc_attach(&hook, &filter);
  if (attached != 0) return unexpected<Error>(failed("cannot attach the switch program", name, -attached));
  return made == 0;
}

void detach_ingress(std::uint32_t ifindex, bool with_clsact) {
  auto hook = ingress_of(ifindex);
  const auto filter = our_filter();
  bpf_tc_detach(&hook, &filter);
  if (!with_clsact || has_filters(ifindex)) return;
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&hook);
}

Result<std::uint32_t> ensure_vxlan(const BpfSwitch::Vxlan& wanted) {
  if (wanted.name.empty() || wanted.name.size() >= IFNAMSIZ)
    return unexpected<Error>(Error{"a VXLAN device's name has 1 to 15 characters", wanted.name, ""});
  std::uint32_t ifindex = ifindex_of(wanted.name);
  if (ifindex == 0) {
    const int error = make_vxlan(wanted);
    if (error != 0) return unexpected<Error>(failed("cannot make the VXLAN device", wanted.name, error));
    return ifindex_of(wanted.name);
  }
  Request request(RTM_GETLINK, 0);
  request.link(ifindex);
  LinkKind found;
  const int error = exchange(request, [&](const nlmsghdr* message) { found = read_kind(message); });
  if (error != 0) return unexpected<Error>(failed("cannot read the interface", wanted.name, error));
  if (found.kind != "vxlan" || !found.collect_metadata || found.udp_port != wanted.udp_port)
    return unexpected<Error>(
        Error{"exists, but is no external VXLAN device on UDP port " + std::to_string(wanted.udp_port), wanted.name,
              "remove it or configure another name"});
  const int up = bring_up(ifindex);
  if (up != 0) return unexpected<Error>(failed("cannot bring the VXLAN device up", wanted.name, up));
  return ifindex;
}

Result<void> delete_link(std::uint32_t ifindex) {
  Request request(RTM_DELLINK, NLM_F_ACK);
  request.link(ifindex);
  const int error = exchange(request);
  if (error != 0 && error != ENODEV)
    return unexpected<Error>(failed("cannot delete the interface", name_of(ifindex), error));
  return {};
}

}  // namespace splitnve::host::bpf
