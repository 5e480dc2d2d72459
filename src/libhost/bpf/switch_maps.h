/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The maps of the eBPF switch, as its programs and the daemon both see them. A change of any key, value or size here is
 * a new layout: raise SWITCH_LAYOUT, under which the maps are pinned (<pin root>/v<SWITCH_LAYOUT>/<map>), and add the
 * step that carries rows of the layout before to it (bpf_switch_migrate.cpp).
 *
 *   ports     ifindex                -> port, role, name     which interfaces are ours, and what they let in
 *   access    ifindex, vid           -> domain, flags        vid 0 is untagged
 *   guard     domain, ifindex, mac   -> instance, flags      who may send this source here, and what IP is looked at
 *   ips       instance, mac, prefix  -> 1                    (a trie) the IP sources of a guard with flags
 *   fdb       domain, mac            -> owner                the one switch: opens, closes and moves an address
 *   domains   domain                 -> vni, uplink, flood members
 *   vnis      vni                    -> domain
 *   settings  0                      -> the VXLAN device, and whose pins these are
 *   drops     SWITCH_DROP_*          -> frames, per CPU
 *   floods    SWITCH_FLOODED_*       -> frames and copies, per CPU
 *   link_locals  domain, address     -> instance             IPv6 link-local addresses that were signalled: nobody else's
 *   storms    port and tag, instance -> a bucket of group frames; made by its first one
 *   own_addresses      mac           -> 1; of our access ports and uplinks: no tenant's
 *   instance_counters  instance      -> frames and octets; made by its first frame
 *   scratch   0                      -> the end of a message while it is looked at, per CPU
 *
 * No value has padding, so that keys and values compare by their octets. Ethernet and IP addresses are in wire order.
 */
#ifndef SPLITNVE_SWITCH_MAPS_H
#define SPLITNVE_SWITCH_MAPS_H
#include <linux/types.h>

#ifdef __cplusplus
namespace splitnve::host::bpf {
#endif

#define SWITCH_LAYOUT 5

/* Guards and FDB have their entries from the start, about 270 octets for each of INSTANCES: a new row then takes 0.4
 * instead of 0.9 us, and never fails for want of memory. The other hash maps allocate on demand; their size costs 16
 * octets per entry when empty. INSTANCES is a default that the daemon may lower before the maps are made; FDB holds the
 * remote addresses too. */
#define SWITCH_INSTANCES_MAX 262144
#define SWITCH_FDB_PER_INSTANCE 2
#define SWITCH_IPS_PER_INSTANCE 4
#define SWITCH_DOMAINS_MAX 65536
#define SWITCH_ACCESS_MAX 65536
#define SWITCH_PORTS_MAX 16384
#define SWITCH_FLOOD_LOCAL_MAX 64
#define SWITCH_FLOOD_REMOTE_MAX 64
#define SWITCH_RESERVED_LINK_LOCALS_MAX 4

/* The order of splitnve::datapath::PortRole. */
enum switch_role { SWITCH_ROLE_ACCESS, SWITCH_ROLE_VM, SWITCH_ROLE_UPLINK };

/* The order of splitnve::datapath::Drop. */
enum switch_drop {
  SWITCH_DROP_UNKNOWN_TAG,
  SWITCH_DROP_UNTAGGED,
  SWITCH_DROP_SPOOFED_SOURCE,
  SWITCH_DROP_CLOSED,
  SWITCH_DROP_NESTED_TAG,
  SWITCH_DROP_LLC,
  SWITCH_DROP_CONTROL_FRAME,
  SWITCH_DROP_GROUP_SOURCE,
  SWITCH_DROP_UNKNOWN_UNICAST,
  SWITCH_DROP_HAIRPIN,
  SWITCH_DROP_UNKNOWN_VNI,
  SWITCH_DROP_RETURNED,
  SWITCH_DROP_TOO_SHORT,
  SWITCH_DROP_REDIRECT,
  SWITCH_DROP_UNKNOWN_NNVE,
  SWITCH_DROP_SPOOFED_IP,
  SWITCH_DROP_SPOOFED_ARP,
  SWITCH_DROP_SPOOFED_NEIGHBOUR,
  SWITCH_DROP_ROUTER,
  SWITCH_DROP_DHCP_SERVER,
  SWITCH_DROP_UNPARSABLE_IP,
  SWITCH_DROP_HOST_TRAFFIC,
  SWITCH_DROP_UNDERLAY,
  SWITCH_DROP_DEFERRED_CHECKSUM,
  SWITCH_DROP_STORM,
  SWITCH_DROP_COUNT,
};

/* S24: frames that were flooded, and the copies made of them. */
enum switch_flooded { SWITCH_FLOODED_FRAMES, SWITCH_FLOODED_COPIES, SWITCH_FLOODED_COUNT };

struct switch_mac {
  __u8 mac[6];
  __u16 zero;
};

/* S41: what an access port lets through to the host besides control frames. Neither: nothing. */
#define SWITCH_HOST_TRAFFIC 1u   /* the configuration says so */
#define SWITCH_HOST_INHERITED 2u /* a version before the key let it through, and the configuration has not decided yet */
struct switch_port {
  __u32 port; /* the agent's PortId */
  __u32 role; /* enum switch_role */
  __u8 mac[6];
  __u16 owns_clsact; /* we made the qdisc, so we may remove it */
  char name[16];
  __u32 flags;
  __u32 bum_rate; /* group frames a second of one instance (VM port) or one tag (access port); 0: any number */
  __u32 bum_burst;
  __u32 zero;
};

struct switch_access_key {
  __u32 ifindex;
  __u32 vid;
};
/* Of switch_stray.h: not pinned, told once. */
struct switch_stray {
  __u32 ifindex;
  __u32 vid;
  __u8 mac[6];
  __u16 zero;
};

#define SWITCH_UNGUARDED 1u
struct switch_access {
  __u32 domain;
  __u32 flags;
};

struct switch_guard_key {
  __u32 domain;
  __u32 ifindex;
  __u8 mac[6];
  __u16 zero;
};
/* No family guarded and both permissions: IP is not looked at at all. */
#define SWITCH_GUARD_IPV4 1u
#define SWITCH_GUARD_IPV6 2u
#define SWITCH_MAY_ROUTE 4u
#define SWITCH_MAY_SERVE_DHCP 8u
#define SWITCH_GUARD_MASK 15u
#define SWITCH_ANY_IP (SWITCH_MAY_ROUTE | SWITCH_MAY_SERVE_DHCP)
#define SWITCH_PRIORITIZED 0x10u    /* the PCP counts */
#define SWITCH_STRICT_LINK_LOCAL 0x20u /* only its own EUI-64, or what it signalled */
#define SWITCH_PRIORITY_SHIFT 13   /* the PCP, where a TCI has it */
#define SWITCH_PRIORITY_MASK 0xE000u
struct switch_guard {
  __u32 instance;
  __u32 flags;
};

/* The key of a trie: `prefixlen` bits of what follows it, SWITCH_IP_FIXED_BITS and the prefix's own. */
#define SWITCH_IP_FIXED_BITS 96
struct switch_ip_key {
  __u32 prefixlen;
  __u32 instance;
  __u8 mac[6];
  __u16 family;     /* 4, 6 */
  __u8 address[16]; /* IPv4 in the first four */
};

struct switch_link_local {
  __u32 domain;
  __u8 address[16];
};

/* A bucket of group frames: of an instance at its VM port (ifindex 0), or of a tag at an access port. `due` is when it
 * is empty again; on all CPUs together it is exact. */
struct switch_storm_key {
  __u32 ifindex;
  __u32 id;
};
#ifdef __cplusplus
struct switch_storm {
  __u32 lock;
  __u32 zero;
  __u64 due;
};
#endif

struct switch_fdb_key {
  __u32 domain;
  __u8 mac[6];
  __u16 zero;
};
enum switch_owner { SWITCH_OWNER_LOCAL = 1, SWITCH_OWNER_REMOTE = 2 };
struct switch_fdb {
  __u16 kind; /* enum switch_owner */
  __u16 vid;  /* local; 0 is untagged */
  __u32 ifindex;
  __u32 instance;
  __u8 nnve[16]; /* remote; IPv4 as ::ffff:a.b.c.d */
};

struct switch_member {
  __u32 ifindex; /* 0: none */
  __u32 vid;
};
struct switch_domain {
  __u32 id; /* its own key: a copy in progress notices that the row was replaced under it */
  __u32 vni;
  struct switch_member uplink;
  __u32 n_local;
  __u32 n_remote;
  struct switch_member local[SWITCH_FLOOD_LOCAL_MAX];
  __u8 remote[SWITCH_FLOOD_REMOTE_MAX][16];
  __u32 n_reserved;
  __u8 reserved[SWITCH_RESERVED_LINK_LOCALS_MAX][16]; /* nobody's source but who signalled it */
};

struct switch_settings {
  __u64 netns; /* of the ifindexes: pins outlive a network namespace, and another one counts from 1 again */
  __u8 boot[16];
  __u32 vxlan_ifindex; /* 0: no tunnels */
  __u16 vxlan_port;    /* UDP, in host order */
  __u16 tunnel_mtu;    /* what an inner packet may have; 0: not judged */
  __u8 local[16]; /* source of the tunnels where the kernel lets us name it; zero: by routing */
};

struct switch_counters {
  __u64 rx_frames;
  __u64 rx_octets;
  __u64 tx_frames;
  __u64 tx_octets;
  __u64 dropped_closed;
  __u64 dropped_storm;
};

#ifdef __cplusplus
} /* namespace splitnve::host::bpf */
#endif
#endif
