/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What an access port lets through to the host (S41), included by switch.bpf.c. Nothing of it may reach a tunnel: what
 * the host would take out of one comes from an nNVE, or out of a VN that the station was never admitted to.
 *
 *   UDP -- to the VXLAN port, of whatever address: the host may forward
 *   IP in IP, GRE, ESP, AH, and fragments but the first -- to an address of the host's own
 */
#ifndef SPLITNVE_SWITCH_HOST_H
#define SPLITNVE_SWITCH_HOST_H

#define SLOW_PROTOCOLS 0x8809
#define PRECISION_TIME 0x88F7
#define FAMILY_IPV4 2   /* AF_INET */
#define FAMILY_IPV6 10  /* AF_INET6 */

enum { NEXT_IPV4 = 4, NEXT_IPV6 = 41, NEXT_GRE = 47, NEXT_ESP = 50 };

/* What stations say to the host as neighbours on a link: never IP, whatever its destination. */
static __always_inline bool is_link_protocol(const struct frame* frame) {
  if (is_control_type(frame->type)) return true;
  return is_link_group(frame->eth.h_dest) &&
         (frame->type < ETH_TYPE_MIN || frame->type == SLOW_PROTOCOLS || frame->type == PRECISION_TIME);
}

static __always_inline bool is_tunnel(__u32 protocol) {
  return protocol == NEXT_IPV4 || protocol == NEXT_IPV6 || protocol == NEXT_GRE || protocol == NEXT_ESP ||
         protocol == NEXT_AUTH;
}

/* Whether the host takes it for itself. One that does not forward from this port takes or drops everything. */
static __always_inline bool is_for_host(struct __sk_buff* skb, struct bpf_fib_lookup* route) {
  long answer;
  route->ifindex = skb->ifindex;
  answer = bpf_fib_lookup(skb, route, sizeof *route, 0);
  return answer < 0 || answer == BPF_FIB_LKUP_RET_NOT_FWDED || answer == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

static __always_inline bool is_for_host_ipv4(struct __sk_buff* skb, const struct ipv4_head* ip) {
  struct bpf_fib_lookup route = {.family = FAMILY_IPV4};
  if (ip->to[0] >= 224) return true; /* multicast, broadcast */
  __builtin_memcpy(&route.ipv4_src, ip->from, 4);
  __builtin_memcpy(&route.ipv4_dst, ip->to, 4);
  return is_for_host(skb, &route);
}

static __always_inline bool is_for_host_ipv6(struct __sk_buff* skb, const struct ipv6_head* ip) {
  struct bpf_fib_lookup route = {.family = FAMILY_IPV6};
  if (ip->to[0] == 0xFF) return true;
  __builtin_memcpy(route.ipv6_src, ip->from, 16);
  __builtin_memcpy(route.ipv6_dst, ip->to, 16);
  return is_for_host(skb, &route);
}

static __always_inline enum switch_drop to_vxlan(struct __sk_buff* skb, __u32 at) {
  const struct switch_settings* tunnels = find_settings();
  __u16 port[2]; /* source, destination */
  if (!read_at(skb, at, port, sizeof port)) return SWITCH_DROP_UNPARSABLE_IP;
  if (!tunnels || bpf_ntohs(port[1]) == tunnels->vxlan_port) return SWITCH_DROP_UNDERLAY;
  return SWITCH_DROP_COUNT;
}

static __noinline enum switch_drop underlay_ipv4(struct __sk_buff* skb, __u32 at) {
  struct ipv4_head ip;
  __u32 size;
  bool later;
  if (!read_at(skb, at, &ip, sizeof ip)) return SWITCH_DROP_UNPARSABLE_IP;
  size = (ip.version_ihl & 0x0F) * 4u;
  if (ip.version_ihl >> 4 != 4 || size < IPV4_HEADER) return SWITCH_DROP_UNPARSABLE_IP;
  later = bpf_ntohs(ip.fragment) & IPV4_OFFSET_MASK;
  if ((later || is_tunnel(ip.protocol)) && is_for_host_ipv4(skb, &ip)) return SWITCH_DROP_UNDERLAY;
  if (later || (ip.protocol != NEXT_UDP && ip.protocol != NEXT_UDP_LITE)) return SWITCH_DROP_COUNT;
  return to_vxlan(skb, at + size);
}

static __noinline enum switch_drop underlay_ipv6(struct __sk_buff* skb, __u32 at) {
  struct speaker walk = {.at = at + IPV6_HEADER, .end = skb->len};
  struct ipv6_head ip;
  __u32 seen = 0;
  int next;
  if (!read_at(skb, at, &ip, sizeof ip) || bpf_ntohl(ip.version) >> 28 != 6) return SWITCH_DROP_UNPARSABLE_IP;
  next = walk_extensions(skb, &walk, ip.next, &seen);
  if (next < 0) return SWITCH_DROP_UNPARSABLE_IP;
  if ((next == NEXT_FRAGMENT || is_tunnel(next) || (seen & SEEN_AUTH)) && is_for_host_ipv6(skb, &ip))
    return SWITCH_DROP_UNDERLAY;
  if (next != NEXT_UDP && next != NEXT_UDP_LITE) return SWITCH_DROP_COUNT;
  return to_vxlan(skb, walk.at);
}

/* Why a frame may not go to the host although the port lets such through, or SWITCH_DROP_COUNT. Global, as foreign_ip. */
__noinline int aimed_at_underlay(struct __sk_buff* skb) {
  struct frame frame;
  __u32 at;
  if (!parse(skb, &frame)) return SWITCH_DROP_TOO_SHORT;
  at = network_header(skb, &frame);
  if (frame.type == ETH_P_IP) return underlay_ipv4(skb, at);
  if (frame.type == ETH_P_IPV6) return underlay_ipv6(skb, at);
  return SWITCH_DROP_COUNT;
}

#endif
