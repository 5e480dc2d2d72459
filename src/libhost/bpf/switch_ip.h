/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The IP guard of the eBPF switch (S21), included by switch.bpf.c: what a source may say as IPv4, ARP and IPv6. Headers
 * are read where they stand; nothing is changed. A fragment that is not the first shows its addresses and is judged by
 * them; the first one must show what is judged of the headers behind. `judged` grows with what was looked at: no
 * deferred checksum may be written before it (switch_checksum.h).
 *
 *   IPv4 -- source -- UDP -- DHCP server?
 *   ARP --- sender MAC, sender address
 *   IPv6 -- source -- extension headers, at most EXTENSIONS_MAX --+-- UDP -- DHCP server?
 *                                                                 +-- ICMPv6 -- router? target, link-layer options
 */
#ifndef SPLITNVE_SWITCH_IP_H
#define SPLITNVE_SWITCH_IP_H

#define EXTENSIONS_MAX 6
#define ND_OPTIONS_MAX 12

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define IPV4_OFFSET_MASK 0x1FFF
#define IPV6_OFFSET_MASK 0xFFF8
#define IPV4_FRAGMENT_MASK 0x3FFF
#define IPV6_MORE 1

/* What walk_extensions saw on its way. */
#define SEEN_FRAGMENT 1u
#define SEEN_AUTH 2u

/* How `judged` says that a frame may have no deferred checksum at all. */
#define JUDGED_WHOLE 0xFFFFu

/* IP protocols, which are IPv6's next headers too. */
enum { NEXT_HOP_BY_HOP = 0, NEXT_ICMP = 1, NEXT_TCP = 6, NEXT_UDP = 17, NEXT_ROUTING = 43, NEXT_FRAGMENT = 44, NEXT_AUTH = 51, NEXT_ICMPV6 = 58 };
enum { ICMP_REDIRECT = 5, ICMP_ROUTER_ADVERT = 9 };
enum { NEXT_DESTINATION = 60, NEXT_MOBILITY = 135, NEXT_HIP = 139, NEXT_SHIM6 = 140, NEXT_SCTP = 132, NEXT_UDP_LITE = 136 };
/* ICMPv6 types and options of neighbour discovery (RFC 4861). */
enum { ND_ROUTER_SOLICIT = 133, ND_ROUTER_ADVERT, ND_SOLICIT, ND_ADVERT, ND_REDIRECT };
enum { ND_SOURCE_ADDRESS = 1, ND_TARGET_ADDRESS = 2 };
enum { DHCP_SERVER = 67, DHCP_CLIENT = 68, DHCPV6_CLIENT = 546, DHCPV6_SERVER = 547 };

struct ipv4_head {
  __u8 version_ihl, tos;
  __u16 length, id, fragment;
  __u8 ttl, protocol;
  __u16 checksum;
  __u8 from[4], to[4];
};
struct ipv6_head {
  __u32 version;
  __u16 length;
  __u8 next, hops;
  __u8 from[16], to[16];
};
struct arp_head {
  __u16 hardware, protocol;
  __u8 hardware_size, protocol_size;
  __u16 operation;
  __u8 sender_mac[6], sender_ip[4];
};

/* Who speaks, and what is left of its datagram: from `at`, the first octet that was not read, up to `end`. */
struct speaker {
  struct switch_ip_key key; /* instance and mac; the rest belongs to the lookup */
  __u32 flags;
  __u32 domain;
  __u32 at;
  __u32 end;
  __u32 judged;
  __u32 field; /* of the ICMPv6 checksum, where judged octets stand behind it too; else 0 */
};

static __noinline bool is_own_ip(struct speaker* speaker, __u32 family, const __u8* address) {
  struct switch_ip_key* key = &speaker->key;
  key->family = (__u16)family;
  if (family == 4) {
    key->prefixlen = SWITCH_IP_FIXED_BITS + 32;
    __builtin_memcpy(key->address, address, 4);
  } else {
    key->prefixlen = SWITCH_IP_FIXED_BITS + 128;
    __builtin_memcpy(key->address, address, 16);
  }
  return bpf_map_lookup_elem(&ips, key);
}

static __always_inline bool is_zero(const __u8* octets, __u32 size) {
  __u32 i, any = 0;
  for (i = 0; i < size; ++i) any |= octets[i];
  return !any;
}

static __always_inline bool is_link_local(const __u8* ipv6) { return ipv6[0] == 0xFE && (ipv6[1] & 0xC0) == 0x80; }

/* RFC 4291: fe80::/64 and the MAC as an EUI-64. */
static __always_inline bool is_eui64_of(const __u8* address, const __u8* mac) {
  return address[1] == 0x80 && is_zero(address + 2, 6) && address[8] == (mac[0] ^ 2) && address[9] == mac[1] && address[10] == mac[2] &&
         address[11] == 0xFF && address[12] == 0xFE && address[13] == mac[3] && address[14] == mac[4] &&
         address[15] == mac[5];
}

static __always_inline bool is_reserved(const struct switch_domain* domain, const __u8* address) {
  __u32 i;
  for (i = 0; i < SWITCH_RESERVED_LINK_LOCALS_MAX; ++i) {
    if (i >= domain->n_reserved) return false;
    if (!__builtin_memcmp(domain->reserved[i], address, 16)) return true;
  }
  return false;
}

/* S47: a link-local address is free to use unless another one signalled it, or the VN reserves it. */
static __noinline bool may_use_link_local(struct speaker* speaker, const __u8* address) {
  struct switch_link_local key = {.domain = speaker->domain};
  const struct switch_domain* domain;
  if (is_own_ip(speaker, 6, address)) return true;
  if (speaker->flags & SWITCH_STRICT_LINK_LOCAL && !is_eui64_of(address, speaker->key.mac)) return false;
  __builtin_memcpy(key.address, address, sizeof key.address);
  if (bpf_map_lookup_elem(&link_locals, &key)) return false;
  domain = bpf_map_lookup_elem(&domains, &speaker->domain);
  return domain && !is_reserved(domain, address);
}

static __always_inline bool may_use_ipv6(struct speaker* speaker, const __u8* address) {
  return is_link_local(address) ? may_use_link_local(speaker, address) : is_own_ip(speaker, 6, address);
}

static __always_inline bool read_at(struct __sk_buff* skb, __u32 at, void* to, __u32 size) {
  return !bpf_skb_load_bytes(skb, at, to, size);
}

/* Reads of the datagram only: octets of the frame behind it are no part of what its receiver will see. */
static __always_inline bool read_next(struct __sk_buff* skb, const struct speaker* speaker, void* to, __u32 size) {
  return speaker->at + size <= speaker->end && read_at(skb, speaker->at, to, size);
}

/* Sets `end`; false if the header's length is a lie. What is yet to be cut into segments ends with the skb. */
static __always_inline bool find_end(const struct __sk_buff* skb, struct speaker* speaker, __u32 start, __u32 length,
                                     __u32 least) {
  speaker->end = skb->len;
  if (skb->gso_size) return true;
  speaker->end = start + length;
  return length >= least && speaker->end <= skb->len;
}

/* --- what stands behind the IP header --- */

/* Where a protocol's header has its checksum, the one place that a deferred one may be written to; what is no such
 * protocol is not looked at behind the IP header (0): a tunnel's inner frame may leave its own checksum to others. */
static __always_inline __u32 checksum_of(__u32 protocol) {
  switch (protocol) {
    case NEXT_TCP: return 16;
    case NEXT_UDP:
    case NEXT_UDP_LITE: return 6;
    case NEXT_SCTP: return 8;
    case NEXT_ICMPV6: return 2;
    default: return 0;
  }
}

static __noinline enum switch_drop foreign_udp(struct __sk_buff* skb, struct speaker* speaker, __u32 server,
                                               __u32 client) {
  __u16 port[2]; /* source, destination */
  if (!read_next(skb, speaker, port, sizeof port)) return SWITCH_DROP_UNPARSABLE_IP;
  if (speaker->flags & SWITCH_MAY_SERVE_DHCP) return SWITCH_DROP_COUNT;
  if (bpf_ntohs(port[0]) == server || bpf_ntohs(port[1]) == client) return SWITCH_DROP_DHCP_SERVER;
  return SWITCH_DROP_COUNT;
}

/* Every link-layer address from `at` up to the end is the speaker's own. */
static __noinline enum switch_drop foreign_options(struct __sk_buff* skb, struct speaker* speaker) {
  struct {
    __u8 type, units, mac[6];
  } option;
  __u32 i;
  for (i = 0; i < ND_OPTIONS_MAX && speaker->at < speaker->end; ++i) {
    if (!read_next(skb, speaker, &option, sizeof option) || !option.units) return SWITCH_DROP_UNPARSABLE_IP;
    if ((option.type == ND_SOURCE_ADDRESS || option.type == ND_TARGET_ADDRESS) &&
        (option.units != 1 || !same_mac(option.mac, speaker->key.mac)))
      return SWITCH_DROP_SPOOFED_NEIGHBOUR;
    speaker->at += option.units * 8u;
  }
  return speaker->at == speaker->end ? SWITCH_DROP_COUNT : SWITCH_DROP_UNPARSABLE_IP;
}

/* RFC 4861: what neighbour discovery says of the speaker. `unspecified`: its source is ::, as in duplicate detection;
 * the address that it asks for is then one that it wants itself. */
static __always_inline enum switch_drop foreign_neighbour(struct __sk_buff* skb, struct speaker* speaker, __u8 type,
                                                          bool unspecified) {
  struct {
    __u8 head[8], target[16]; /* the target is of NS and NA only */
  } message;
  switch (type) {
    case ND_ROUTER_SOLICIT: speaker->at += 8; break;
    case ND_ROUTER_ADVERT: speaker->at += 16; break;
    case ND_REDIRECT: return SWITCH_DROP_COUNT; /* of another's address by its nature; SWITCH_MAY_ROUTE was asked */
    default:
      if (!read_next(skb, speaker, &message, sizeof message)) return SWITCH_DROP_UNPARSABLE_IP;
      if ((type == ND_ADVERT || unspecified) && !may_use_ipv6(speaker, message.target))
        return SWITCH_DROP_SPOOFED_NEIGHBOUR;
      speaker->at += sizeof message;
  }
  return foreign_options(skb, speaker);
}

static __always_inline enum switch_drop foreign_icmpv6(struct __sk_buff* skb, struct speaker* speaker, bool fragmented,
                                                       bool unspecified) {
  const __u32 checksum = speaker->at + checksum_of(NEXT_ICMPV6);
  __u8 type;
  if (!read_next(skb, speaker, &type, sizeof type)) return SWITCH_DROP_UNPARSABLE_IP;
  if (type < ND_ROUTER_SOLICIT || type > ND_REDIRECT) return SWITCH_DROP_COUNT;
  if ((type == ND_ROUTER_ADVERT || type == ND_REDIRECT) && !(speaker->flags & SWITCH_MAY_ROUTE))
    return SWITCH_DROP_ROUTER;
  if (!(speaker->flags & SWITCH_GUARD_IPV6)) return SWITCH_DROP_COUNT;
  if (fragmented) return SWITCH_DROP_SPOOFED_NEIGHBOUR;
  speaker->field = checksum;
  return foreign_neighbour(skb, speaker, type, unspecified);
}

/* Steps over extension headers: the protocol behind them, NEXT_FRAGMENT for what only a first fragment shows, or -1. */
static __noinline int walk_extensions(struct __sk_buff* skb, struct speaker* speaker, __u32 next, __u32* seen) {
  __u8 head[4]; /* next header, length, and a fragment's offset */
  __u32 i, size;
  for (i = 0; i < EXTENSIONS_MAX; ++i) {
    switch (next) {
      case NEXT_HOP_BY_HOP:
      case NEXT_ROUTING:
      case NEXT_DESTINATION:
      case NEXT_MOBILITY:
      case NEXT_HIP:
      case NEXT_SHIM6:
      case NEXT_AUTH:
      case NEXT_FRAGMENT: break;
      default: return (int)next;
    }
    if (!read_next(skb, speaker, head, sizeof head)) return -1;
    size = head[1] * 8u + 8;
    if (next == NEXT_AUTH) {
      size = head[1] * 4u + 8;
      *seen |= SEEN_AUTH;
    }
    if (next == NEXT_FRAGMENT) {
      const __u32 field = (__u32)head[2] << 8 | head[3];
      if (field & IPV6_OFFSET_MASK) return NEXT_FRAGMENT;
      if (field & IPV6_MORE) *seen |= SEEN_FRAGMENT;
      size = 8;
    }
    next = head[0];
    speaker->at += size;
  }
  return -1;
}

/* --- the three protocols --- */

/* Redirects, and the router advertisements of IPv4 (RFC 1256). */
static __always_inline enum switch_drop foreign_icmp(struct __sk_buff* skb, const struct speaker* speaker) {
  __u8 type;
  if (!read_at(skb, speaker->at, &type, sizeof type)) return SWITCH_DROP_UNPARSABLE_IP;
  if ((type == ICMP_REDIRECT || type == ICMP_ROUTER_ADVERT) && !(speaker->flags & SWITCH_MAY_ROUTE))
    return SWITCH_DROP_ROUTER;
  return SWITCH_DROP_COUNT;
}

static __noinline enum switch_drop foreign_ipv4(struct __sk_buff* skb, struct speaker* speaker) {
  struct ipv4_head ip;
  __u32 size;
  if (!read_at(skb, speaker->at, &ip, sizeof ip)) return SWITCH_DROP_UNPARSABLE_IP;
  size = (ip.version_ihl & 0x0F) * 4u;
  if (ip.version_ihl >> 4 != 4 || size < IPV4_HEADER) return SWITCH_DROP_UNPARSABLE_IP;
  if (!find_end(skb, speaker, speaker->at, bpf_ntohs(ip.length), size)) return SWITCH_DROP_UNPARSABLE_IP;
  if ((speaker->flags & SWITCH_GUARD_IPV4) && !is_zero(ip.from, 4) && !is_own_ip(speaker, 4, ip.from))
    return SWITCH_DROP_SPOOFED_IP;
  speaker->at += size;
  if (!(bpf_ntohs(ip.fragment) & IPV4_FRAGMENT_MASK)) speaker->judged = speaker->at + checksum_of(ip.protocol);
  if (bpf_ntohs(ip.fragment) & IPV4_OFFSET_MASK) return SWITCH_DROP_COUNT;
  if (ip.protocol == NEXT_ICMP) return foreign_icmp(skb, speaker);
  if (ip.protocol != NEXT_UDP) return SWITCH_DROP_COUNT;
  return foreign_udp(skb, speaker, DHCP_SERVER, DHCP_CLIENT);
}

static __noinline enum switch_drop foreign_arp(struct __sk_buff* skb, struct speaker* speaker) {
  struct arp_head arp;
  if (!(speaker->flags & SWITCH_GUARD_IPV4)) return SWITCH_DROP_COUNT;
  if (!read_at(skb, speaker->at, &arp, sizeof arp)) return SWITCH_DROP_UNPARSABLE_IP;
  if (arp.hardware != bpf_htons(1) || arp.protocol != bpf_htons(ETH_P_IP) || arp.hardware_size != ETH_ALEN ||
      arp.protocol_size != 4)
    return SWITCH_DROP_UNPARSABLE_IP;
  if (!same_mac(arp.sender_mac, speaker->key.mac)) return SWITCH_DROP_SPOOFED_ARP;
  if (!is_zero(arp.sender_ip, 4) && !is_own_ip(speaker, 4, arp.sender_ip)) return SWITCH_DROP_SPOOFED_ARP;
  return SWITCH_DROP_COUNT;
}

static __noinline enum switch_drop foreign_ipv6(struct __sk_buff* skb, struct speaker* speaker) {
  struct ipv6_head ip;
  __u32 seen = 0;
  bool unspecified;
  int next;
  if (!read_at(skb, speaker->at, &ip, sizeof ip)) return SWITCH_DROP_UNPARSABLE_IP;
  if ((bpf_ntohl(ip.version) >> 28) != 6) return SWITCH_DROP_UNPARSABLE_IP;
  unspecified = is_zero(ip.from, 16);
  if ((speaker->flags & SWITCH_GUARD_IPV6) && !unspecified && !may_use_ipv6(speaker, ip.from))
    return SWITCH_DROP_SPOOFED_IP;
  speaker->at += IPV6_HEADER;
  if (!find_end(skb, speaker, speaker->at, bpf_ntohs(ip.length), 0)) return SWITCH_DROP_UNPARSABLE_IP;
  next = walk_extensions(skb, speaker, ip.next, &seen);
  if (next < 0) return SWITCH_DROP_UNPARSABLE_IP;
  if (next != NEXT_FRAGMENT && !(seen & SEEN_FRAGMENT)) speaker->judged = speaker->at + checksum_of((__u32)next);
  if (next == NEXT_UDP) return foreign_udp(skb, speaker, DHCPV6_SERVER, DHCPV6_CLIENT);
  if (next == NEXT_ICMPV6) return foreign_icmpv6(skb, speaker, seen & SEEN_FRAGMENT, unspecified);
  return SWITCH_DROP_COUNT;
}

static __always_inline enum switch_drop foreign_protocol(struct __sk_buff* skb, struct speaker* speaker, __u16 type) {
  switch (type) {
    case ETH_P_IP: return foreign_ipv4(skb, speaker);
    case ETH_P_ARP: return foreign_arp(skb, speaker);
    case ETH_P_IPV6: return foreign_ipv6(skb, speaker);
    default: return SWITCH_DROP_COUNT;
  }
}

/* S47: what would be written into the frame after this. Nothing but IP has a checksum to leave to others. */
static __always_inline enum switch_drop judged_in_vain(struct __sk_buff* skb, const struct speaker* speaker) {
  if (!is_deferred(skb)) return SWITCH_DROP_COUNT;
  if (speaker->judged == JUDGED_WHOLE) return SWITCH_DROP_DEFERRED_CHECKSUM;
  if (speaker->field ? is_written_at(skb, speaker->field) : is_written_behind(skb, speaker->judged))
    return SWITCH_DROP_COUNT;
  return SWITCH_DROP_DEFERRED_CHECKSUM;
}

/* S21, S47: why a source may not say this, or SWITCH_DROP_COUNT. Global, so that kernels verify it once and not with
 * every way that a frame may take behind it: 6.1 gives up there. Hence it has no pointers but the context. */
__noinline int foreign_ip(struct __sk_buff* skb, __u32 instance, __u32 flags, __u32 domain) {
  struct speaker speaker = {.flags = flags, .domain = domain, .judged = JUDGED_WHOLE, .key = {.instance = instance}};
  struct frame frame;
  if (!parse(skb, &frame)) return SWITCH_DROP_UNPARSABLE_IP;
  __builtin_memcpy(speaker.key.mac, frame.eth.h_source, ETH_ALEN);
  speaker.at = network_header(skb, &frame);
  if ((flags & SWITCH_GUARD_MASK) == SWITCH_ANY_IP) {
    speaker.judged = speaker.at;
  } else {
    const enum switch_drop reason = foreign_protocol(skb, &speaker, frame.type);
    if (reason != SWITCH_DROP_COUNT) return reason;
  }
  return judged_in_vain(skb, &speaker);
}

#endif
