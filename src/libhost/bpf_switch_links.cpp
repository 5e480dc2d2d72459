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
#include "bpf_switch_tc.hpp"

namespace splitnve::host::bpf {
namespace {

constexpr std::size_t kNameOctetsMax = 128;  // ALTIFNAMSIZ, with the zero

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

Error failed(const std::string& what, const std::string& where, int error) {
  return Error{what + ": " + std::strerror(error), where, error == EPERM ? "needs CAP_NET_ADMIN" : ""};
}

void read_vxlan(const nlattr* data, Link& link) {
  const auto inner = netlink::attributes(data, IFLA_VXLAN_MAX);
  if (const auto* flag = inner[IFLA_VXLAN_COLLECT_METADATA]) link.collect_metadata = mnl_attr_get_u8(flag) != 0;
  if (const auto* flag = inner[IFLA_VXLAN_LEARNING]) link.learning = mnl_attr_get_u8(flag) != 0;
  if (const auto* port = inner[IFLA_VXLAN_PORT]) link.udp_port = ntohs(mnl_attr_get_u16(port));
  link.other_header = inner[IFLA_VXLAN_GPE] != nullptr || inner[IFLA_VXLAN_GBP] != nullptr;
  datapath::UnderlayAddress local;
  if (const auto* address = inner[IFLA_VXLAN_LOCAL]) {
    local.octets[10] = local.octets[11] = 0xFF;
    std::memcpy(local.octets.data() + 12, mnl_attr_get_payload(address), 4);
    link.local = local;
  } else if (const auto* address6 = inner[IFLA_VXLAN_LOCAL6]) {
    std::memcpy(local.octets.data(), mnl_attr_get_payload(address6), local.octets.size());
    link.local = local;
  }
}

void read_kind(const nlattr* info, Link& link) {
  const auto middle = netlink::attributes(info, IFLA_INFO_MAX);
  if (middle[IFLA_INFO_KIND] != nullptr) link.kind = mnl_attr_get_str(middle[IFLA_INFO_KIND]);
  if (middle[IFLA_INFO_DATA] == nullptr) return;
  if (link.kind == "vxlan") {
    read_vxlan(middle[IFLA_INFO_DATA], link);
  } else if (link.kind == "vlan") {
    const auto inner = netlink::attributes(middle[IFLA_INFO_DATA], IFLA_VLAN_MAX);
    if (const auto* vid = inner[IFLA_VLAN_ID]) link.vid = mnl_attr_get_u16(vid);
  }
}

int on_property(const nlattr* attribute, void* names) {
  if (mnl_attr_get_type(attribute) == IFLA_ALT_IFNAME)
    static_cast<std::vector<std::string>*>(names)->emplace_back(mnl_attr_get_str(attribute));
  return MNL_CB_OK;
}

Link read_link(const nlmsghdr* message) {
  Link link;
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.ifindex = static_cast<std::uint32_t>(info->ifi_index);
  link.up = (info->ifi_flags & IFF_UP) != 0;
  const auto outer = netlink::attributes(message, sizeof(ifinfomsg), IFLA_MAX);
  if (outer[IFLA_IFNAME] != nullptr) link.name = mnl_attr_get_str(outer[IFLA_IFNAME]);
  if (outer[IFLA_PROP_LIST] != nullptr)
    mnl_attr_parse_nested(outer[IFLA_PROP_LIST], on_property, &link.alternative_names);
  if (outer[IFLA_MASTER] != nullptr) link.master = mnl_attr_get_u32(outer[IFLA_MASTER]);
  if (outer[IFLA_LINK] != nullptr) link.lower = mnl_attr_get_u32(outer[IFLA_LINK]);
  if (outer[IFLA_MTU] != nullptr) link.mtu = mnl_attr_get_u32(outer[IFLA_MTU]);
  if (const auto* mac = outer[IFLA_ADDRESS]; mac != nullptr && mnl_attr_get_payload_len(mac) == link.mac.size())
    std::memcpy(link.mac.data(), mnl_attr_get_payload(mac), link.mac.size());
  if (outer[IFLA_XDP] != nullptr) {
    const auto inner = netlink::attributes(outer[IFLA_XDP], IFLA_XDP_MAX);
    if (const auto* attached = inner[IFLA_XDP_ATTACHED]) link.xdp = mnl_attr_get_u8(attached) != XDP_ATTACHED_NONE;
  }
  if (outer[IFLA_LINKINFO] != nullptr) read_kind(outer[IFLA_LINKINFO], link);
  return link;
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

int ask(netlink::Request& request, Link& found) {
  return netlink::exchange(request, [&](const nlmsghdr* message) { found = read_link(message); });
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

bool Link::has_name(const std::string& wanted) const {
  return name == wanted ||
         std::find(alternative_names.begin(), alternative_names.end(), wanted) != alternative_names.end();
}

int find_link(std::uint32_t ifindex, Link& found) {
  netlink::Request request(RTM_GETLINK, 0);
  request.link(ifindex);
  return ask(request, found);
}

int find_link(const std::string& name, Link& found) {
  if (name.empty() || name.size() >= kNameOctetsMax) return ENODEV;
  netlink::Request request(RTM_GETLINK, 0);
  request.link(0);
  const std::uint16_t attribute = name.size() < IFNAMSIZ ? std::uint16_t{IFLA_IFNAME} : std::uint16_t{IFLA_ALT_IFNAME};
  mnl_attr_put_strz(request.header, attribute, name.c_str());
  return ask(request, found);
}

bool detach_xdp(std::uint32_t ifindex) {
  // Without a mode the kernel takes the driver's, and says yes where that has none.
  for (const std::uint32_t mode : {XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE})
    bpf_xdp_detach(static_cast<int>(ifindex), mode, nullptr);
  Link left;
  return find_link(ifindex, left) == 0 && !left.xdp;
}

int set_up(std::uint32_t ifindex, bool up) {
  netlink::Request request(RTM_NEWLINK, NLM_F_ACK);
  auto* info = request.link(ifindex);
  if (up) info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  return netlink::exchange(request);
}

std::string vxlan_difference(const Link& found, const BpfSwitch::Vxlan& wanted, std::uint32_t mtu) {
  if (found.kind != "vxlan") return "it is no VXLAN device";
  if (!found.collect_metadata) return "it is not external (collect metadata)";
  if (found.other_header) return "it has GPE or GBP headers";
  if (found.udp_port != wanted.udp_port)
    return "it has UDP port " + std::to_string(found.udp_port) + ", not " + std::to_string(wanted.udp_port);
  if (found.local != wanted.local && (found.local || wanted.local))
    return "its local address is " + (found.local ? found.local->to_string() : std::string("not set")) + ", not " +
           (wanted.local ? wanted.local->to_string() : std::string("left to routing"));
  if (found.learning) return "it learns addresses";
  if (found.mtu < mtu) return "its MTU is " + std::to_string(found.mtu) + ", below " + std::to_string(mtu);
  if (!found.up) return "it is down";
  return {};
}

/// The kernel says EEXIST of another external device on the port, EADDRINUSE of a socket.
Error vxlan_failed(const std::string& what, const BpfSwitch::Vxlan& wanted, int error) {
  if (error != EEXIST && error != EADDRINUSE) return failed(what, wanted.name, error);
  const std::string port = std::to_string(wanted.udp_port);
  return Error{what + ": UDP port " + port + " is taken by another tunnel or program", wanted.name,
               "find it (ip -d link show type vxlan; ss -lunp sport = :" + port +
                   "), or set vxlan.udp_port here and at the other nNVEs"};
}

Result<std::uint32_t> ensure_vxlan(const BpfSwitch::Vxlan& wanted, std::uint32_t mtu, bool replace) {
  if (wanted.name.empty() || wanted.name.size() >= IFNAMSIZ)
    return unexpected<Error>(Error{"a VXLAN device's name has 1 to 15 characters", wanted.name, ""});
  Link found;
  int error = find_link(wanted.name, found);
  if (error != 0 && error != ENODEV) return unexpected<Error>(failed("cannot read the interface", wanted.name, error));
  if (error == 0) {
    const bool is_one = found.kind == "vxlan" && found.collect_metadata && !found.other_header &&
                        found.udp_port == wanted.udp_port &&
                        (!replace || (found.local == wanted.local && !found.learning));
    if (is_one) {
      const int up = bring_up(found.ifindex, mtu);
      if (up != 0) return unexpected<Error>(vxlan_failed("cannot bring the VXLAN device up", wanted, up));
      return found.ifindex;
    }
    if (found.kind != "vxlan" || !replace)
      return unexpected<Error>(
          Error{"exists, but is no external VXLAN device on UDP port " + std::to_string(wanted.udp_port), wanted.name,
                "remove it or configure another name"});
    if (auto deleted = delete_link(found.ifindex); !deleted) return unexpected<Error>(deleted.error());
  }
  error = make_vxlan(wanted, mtu);
  if (error != 0) return unexpected<Error>(vxlan_failed("cannot make the VXLAN device", wanted, error));
  error = find_link(wanted.name, found);
  if (error != 0) return unexpected<Error>(failed("cannot read the interface", wanted.name, error));
  return found.ifindex;
}

HostUse host_use_of(const Link& link) {
  HostUse use;
  Link master;
  if (link.master != 0 && find_link(link.master, master) == 0 && master.kind != "vrf") use.master = master.name;
  netlink::Request request(RTM_GETLINK, NLM_F_DUMP);
  request.link(0);
  netlink::exchange(request, [&](const nlmsghdr* message) {
    const Link other = read_link(message);
    if (other.kind == "vlan" && other.lower == link.ifindex) use.vlans.push_back({other.name, other.vid});
  });
  return use;
}

// A VM port is the switch's alone, and nothing of it reaches a bridge or VLAN device any more.
std::string refusal_of(const HostUse& use, datapath::PortRole role) {
  if (!use.instance.empty())
    return "another instance serves it, " + use.instance +
           "; take it out of that one's configuration and restart it, or out of this one's";
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
    return unexpected<Error>(failed("cannot delete the interface", "index " + std::to_string(ifindex), error));
  return {};
}

}  // namespace splitnve::host::bpf
