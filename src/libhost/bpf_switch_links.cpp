// SPDX-License-Identifier: Apache-2.0
#include "bpf_switch_links.hpp"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
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
#include <string_view>

#include "bpf_switch_netlink.hpp"

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

struct Link {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;
  std::uint32_t master = 0;
  std::uint32_t lower = 0;  ///< of a VLAN device: what it stands on
  std::uint16_t vid = 0;
  bool collect_metadata = false;
  std::uint16_t udp_port = 0;
  std::uint32_t mtu = 0;
};

void read_kind(const nlattr* info, Link& link) {
  const auto middle = netlink::attributes(info, IFLA_INFO_MAX);
  if (middle[IFLA_INFO_KIND] != nullptr) link.kind = mnl_attr_get_str(middle[IFLA_INFO_KIND]);
  if (middle[IFLA_INFO_DATA] == nullptr) return;
  if (link.kind == "vxlan") {
    const auto inner = netlink::attributes(middle[IFLA_INFO_DATA], IFLA_VXLAN_MAX);
    if (const auto* flag = inner[IFLA_VXLAN_COLLECT_METADATA]) link.collect_metadata = mnl_attr_get_u8(flag) != 0;
    if (const auto* port = inner[IFLA_VXLAN_PORT]) link.udp_port = ntohs(mnl_attr_get_u16(port));
  } else if (link.kind == "vlan") {
    const auto inner = netlink::attributes(middle[IFLA_INFO_DATA], IFLA_VLAN_MAX);
    if (const auto* vid = inner[IFLA_VLAN_ID]) link.vid = mnl_attr_get_u16(vid);
  }
}

Link read_link(const nlmsghdr* message) {
  Link link;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.ifindex = static_cast<std::uint32_t>(info->ifi_index);
  const auto outer = netlink::attributes(message, sizeof(ifinfomsg), IFLA_MAX);
  if (outer[IFLA_IFNAME] != nullptr) link.name = mnl_attr_get_str(outer[IFLA_IFNAME]);
  if (outer[IFLA_MASTER] != nullptr) link.master = mnl_attr_get_u32(outer[IFLA_MASTER]);
  if (outer[IFLA_LINK] != nullptr) link.lower = mnl_attr_get_u32(outer[IFLA_LINK]);
  if (outer[IFLA_MTU] != nullptr) link.mtu = mnl_attr_get_u32(outer[IFLA_MTU]);
  if (outer[IFLA_LINKINFO] != nullptr) read_kind(outer[IFLA_LINKINFO], link);
  return link;
}

int find_link(std::uint32_t ifindex, Link& found) {
  netlink::Request request(RTM_GETLINK, 0);
  request.link(ifindex);
  return netlink::exchange(request, [&](const nlmsghdr* message) { found = read_link(message); });
}

int make_vxlan(const BpfSwitch::Vxlan& wanted, std::uint32_t mtu) {
  netlink::Request request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto* info = request.link(0);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  mnl_attr_put_strz(request.header, IFLA_IFNAME, wanted.name.c_str());
  mnl_attr_put_u32(request.header, IFLA_MTU, mtu);
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
  return netlink::exchange(request);
}

int bring_up(std::uint32_t ifindex, std::uint32_t mtu) {
  netlink::Request request(RTM_NEWLINK, NLM_F_ACK);
  auto* info = request.link(ifindex);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  mnl_attr_put_u32(request.header, IFLA_MTU, mtu);
  return netlink::exchange(request);
}

void for_each_filter(std::uint32_t ifindex, std::uint32_t direction, const netlink::Visit& visit) {
  netlink::Request request(RTM_GETTFILTER, NLM_F_DUMP);
  auto* tc = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request.header, sizeof(tcmsg)));
  tc->tcm_family = AF_UNSPEC;
  tc->tcm_ifindex = static_cast<int>(ifindex);
  tc->tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction);
  netlink::exchange(request, visit);
}

bool has_filters(std::uint32_t ifindex) {
  std::size_t filters = 0;
  for (const std::uint32_t direction : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS})
    for_each_filter(ifindex, direction, [&](const nlmsghdr*) { ++filters; });
  return filters > 0;
}

// libbpf names a filter after its program: `switch_port:[17]`.
std::string filter_name(const nlmsghdr* message) {
  const auto outer = netlink::attributes(message, sizeof(tcmsg), TCA_MAX);
  if (outer[TCA_KIND] == nullptr) return {};
  std::string kind = mnl_attr_get_str(outer[TCA_KIND]);
  if (kind != "bpf" || outer[TCA_OPTIONS] == nullptr) return kind;
  const auto inner = netlink::attributes(outer[TCA_OPTIONS], TCA_BPF_MAX);
  return inner[TCA_BPF_NAME] == nullptr ? kind : mnl_attr_get_str(inner[TCA_BPF_NAME]);
}

bool is_our_name(const std::string& filter) {
  for (const std::string_view program : {"switch_port:", "switch_uplink:", "switch_tunnel:"})
    if (filter.starts_with(program)) return true;
  return false;
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

Result<std::uint32_t> ensure_vxlan(const BpfSwitch::Vxlan& wanted, std::uint32_t mtu) {
  if (wanted.name.empty() || wanted.name.size() >= IFNAMSIZ)
    return unexpected<Error>(Error{"a VXLAN device's name has 1 to 15 characters", wanted.name, ""});
  std::uint32_t ifindex = ifindex_of(wanted.name);
  if (ifindex == 0) {
    const int error = make_vxlan(wanted, mtu);
    if (error != 0) return unexpected<Error>(failed("cannot make the VXLAN device", wanted.name, error));
    return ifindex_of(wanted.name);
  }
  Link found;
  const int error = find_link(ifindex, found);
  if (error != 0) return unexpected<Error>(failed("cannot read the interface", wanted.name, error));
  if (found.kind != "vxlan" || !found.collect_metadata || found.udp_port != wanted.udp_port)
    return unexpected<Error>(
        Error{"exists, but is no external VXLAN device on UDP port " + std::to_string(wanted.udp_port), wanted.name,
              "remove it or configure another name"});
  const int up = bring_up(ifindex, mtu);
  if (up != 0) return unexpected<Error>(failed("cannot bring the VXLAN device up", wanted.name, up));
  return ifindex;
}

HostUse host_use_of(std::uint32_t ifindex) {
  HostUse use;
  Link link, master;
  find_link(ifindex, link);
  if (link.master != 0 && find_link(link.master, master) == 0 && master.kind != "vrf") use.master = master.name;
  netlink::Request request(RTM_GETLINK, NLM_F_DUMP);
  request.link(0);
  netlink::exchange(request, [&](const nlmsghdr* message) {
    const Link other = read_link(message);
    if (other.kind == "vlan" && other.lower == ifindex) use.vlans.push_back({other.name, other.vid});
  });
  use.filter = foreign_filter_at(ifindex);
  return use;
}

std::string foreign_filter_at(std::uint32_t ifindex) {
  std::string foreign;
  for_each_filter(ifindex, TC_H_MIN_INGRESS, [&](const nlmsghdr* message) {
    const auto* tc = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
    if (TC_H_MAJ(tc->tcm_info) >> 16 != kFilterPriority) return;
    if (tc->tcm_handle == 0) return;  // a dump names the priority first, then its filters
    if (const auto name = filter_name(message); !is_our_name(name)) foreign = name;
  });
  return foreign;
}

// A VM port is the switch's alone, and nothing of it reaches a bridge or VLAN device any more.
std::string refusal_of(const HostUse& use, datapath::PortRole role) {
  if (!use.filter.empty())
    return "somebody else's tc filter, " + use.filter + ", stands at priority " + std::to_string(kFilterPriority) +
           ", which is ours";
  if (role == datapath::PortRole::kVm) return {};
  if (!use.master.empty())
    return "it belongs to " + use.master + ", whose frames would be cut off; take it out, or configure " + use.master;
  if (role == datapath::PortRole::kAccess && !use.vlans.empty())
    return "the host has " + use.vlans.front().name + " with VID " + std::to_string(use.vlans.front().vid) +
           " on it, which would be cut off; an access port's tags are the stations'";
  return {};
}

unsigned mtu_of_interface(std::uint32_t ifindex) {
  Link link;
  find_link(ifindex, link);
  return link.mtu;
}

Result<void> delete_link(std::uint32_t ifindex) {
  netlink::Request request(RTM_DELLINK, NLM_F_ACK);
  request.link(ifindex);
  const int error = netlink::exchange(request);
  if (error != 0 && error != ENODEV)
    return unexpected<Error>(failed("cannot delete the interface", name_of(ifindex), error));
  return {};
}

}  // namespace splitnve::host::bpf
