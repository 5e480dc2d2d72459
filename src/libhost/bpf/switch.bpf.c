// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The eBPF switch of both daemons: three tc ingress programs over the maps of switch_maps.h.
 *
 *  access or VM port ------> switch_port: parse, tag -> access -> domain, clean?, guard + fdb(source) open? --+
 *    | untagged, no VN's: the host's      its IP (switch_ip.h), its checksum (switch_checksum.h), a group     |
 *    +--> (switch_host.h)                 frame within the limit? (switch_storm.h)                            |
 *  tnved's uplink ---------> switch_uplink: tag -> access -> domain (else the host's), clean?, not our own? --+
 *  VXLAN device -----------> switch_tunnel: vni -> domain, known nNVE?, clean?, not our own? -----------------+
 *                                                                                                             |
 *            +---------------------------------------- strip the tag <---------------------------------------+
 *            |
 *            +-- group --> flood: local members but the ingress; from a port also the remote nNVEs and the uplink
 *            +-- fdb(destination) local  --> push its tag --> its interface
 *            +-- fdb(destination) remote --> tunnel key --> VXLAN device        } from a port only: what came from
 *            +-- unknown --> the uplink, if the domain has one, else dropped    } the far side never returns there
 *
 * Every drop is counted by reason. A frame is checked wholly before it is changed. The tag may stand in the skb
 * (received) or inline (BPF_PROG_TEST_RUN); both forms are read. Nothing here needs a kernel newer than 5.10.
 */
#include "switch_maps.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <stddef.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SWITCH_MAP(map, map_type, key_type, value_type, entries, flags) \
  struct {                                                              \
    __uint(type, map_type);                                             \
    __type(key, key_type);                                              \
    __type(value, value_type);                                          \
    __uint(max_entries, entries);                                       \
    __uint(map_flags, flags);                                           \
    __uint(pinning, LIBBPF_PIN_BY_NAME);                                \
  } map SEC(".maps")
#define SWITCH_HASH(map, key_type, value_type, entries) \
  SWITCH_MAP(map, BPF_MAP_TYPE_HASH, key_type, value_type, entries, BPF_F_NO_PREALLOC)
#define SWITCH_HASH_AT_HAND(map, key_type, value_type, entries) \
  SWITCH_MAP(map, BPF_MAP_TYPE_HASH, key_type, value_type, entries, 0)

SWITCH_HASH(link_locals, struct switch_link_local, __u32, SWITCH_INSTANCES_MAX);
SWITCH_HASH(ports, __u32, struct switch_port, SWITCH_PORTS_MAX);
SWITCH_HASH(access, struct switch_access_key, struct switch_access, SWITCH_ACCESS_MAX);
SWITCH_HASH_AT_HAND(guard, struct switch_guard_key, struct switch_guard, SWITCH_INSTANCES_MAX);
SWITCH_MAP(ips, BPF_MAP_TYPE_LPM_TRIE, struct switch_ip_key, __u32, SWITCH_INSTANCES_MAX* SWITCH_IPS_PER_INSTANCE,
           BPF_F_NO_PREALLOC);
SWITCH_HASH_AT_HAND(fdb, struct switch_fdb_key, struct switch_fdb, SWITCH_INSTANCES_MAX* SWITCH_FDB_PER_INSTANCE);
SWITCH_HASH(domains, __u32, struct switch_domain, SWITCH_DOMAINS_MAX);
SWITCH_HASH(vnis, __u32, __u32, SWITCH_DOMAINS_MAX);
SWITCH_HASH(instance_counters, __u32, struct switch_counters, SWITCH_INSTANCES_MAX);
SWITCH_MAP(settings, BPF_MAP_TYPE_ARRAY, __u32, struct switch_settings, 1, 0);
/* By sizes, not types: bpftool then shows the addresses in hexadecimal. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(key_size, sizeof(struct switch_mac));
  __uint(value_size, sizeof(__u32));
  __uint(max_entries, SWITCH_PORTS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} own_addresses SEC(".maps");
SWITCH_MAP(floods, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, SWITCH_FLOODED_COUNT, 0);
SWITCH_MAP(drops, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, SWITCH_DROP_COUNT, 0);

/* VLAN 802.1ad and older stacks are no access tags: such a frame gets a VID that no row can have. */
#define VID_FOREIGN 0x1000u
#define VID_MASK 0x1FFFu
#define ETH_P_QINQ1_OLD 0x9100
#define ETH_P_QINQ2_OLD 0x9200
#define ETH_P_QINQ3_OLD 0x9300
#define ETH_P_ECP_EVB 0x8940
#define ETH_TYPE_MIN 0x0600

/* What the headers say; `type` stands behind the first tag, in host order. */
struct frame {
  struct ethhdr eth;
  __u32 vid;
  __u16 type;
  bool tagged;
};

/* Where a frame came in, for flooding and hairpins. */
struct source {
  __u32 ifindex;
  __u32 vid;
  __u32 instance; /* 0: none known */
  __u32 priority; /* PCP of its frames on the uplink, where a TCI has it */
  bool from_port; /* may leave by tunnel and uplink */
};

static __always_inline int drop(enum switch_drop reason) {
  __u32 key = reason;
  __u64* frames = bpf_map_lookup_elem(&drops, &key);
  if (frames) ++*frames;
  return TC_ACT_SHOT;
}

/* The counters of an instance, made on first use; NULL without an instance or without memory. */
static __always_inline struct switch_counters* counters_of(__u32 instance) {
  static const struct switch_counters zero = {};
  struct switch_counters* counters;
  if (!instance) return NULL;
  counters = bpf_map_lookup_elem(&instance_counters, &instance);
  if (counters) return counters;
  bpf_map_update_elem(&instance_counters, &instance, &zero, BPF_NOEXIST);
  return bpf_map_lookup_elem(&instance_counters, &instance);
}

/* A segmentation-offloaded skb is as many frames as it will be cut into: a TAP device names only their size, and a TCP
 * header over IPv4 is the usual one. Octets are counted without the tag. */
#define GSO_HEADERS 54
static __always_inline __u64 frames_in(const struct __sk_buff* skb) {
  if (skb->gso_segs) return skb->gso_segs;
  if (!skb->gso_size || skb->len <= GSO_HEADERS) return 1;
  return (skb->len - GSO_HEADERS + skb->gso_size - 1) / skb->gso_size;
}

static __always_inline void count_rx(const struct __sk_buff* skb, __u32 instance) {
  struct switch_counters* counters = counters_of(instance);
  if (!counters) return;
  __sync_fetch_and_add(&counters->rx_frames, frames_in(skb));
  __sync_fetch_and_add(&counters->rx_octets, skb->len);
}

static __always_inline void count_tx(const struct __sk_buff* skb, __u32 instance) {
  struct switch_counters* counters = counters_of(instance);
  if (!counters) return;
  __sync_fetch_and_add(&counters->tx_frames, frames_in(skb));
  __sync_fetch_and_add(&counters->tx_octets, skb->len);
}

static __always_inline int drop_closed(const struct __sk_buff* skb, __u32 instance) {
  struct switch_counters* counters = counters_of(instance);
  if (counters) __sync_fetch_and_add(&counters->dropped_closed, frames_in(skb));
  return drop(SWITCH_DROP_CLOSED);
}

static __always_inline bool is_tag(__u16 type) {
  return type == ETH_P_8021Q || type == ETH_P_8021AD || type == ETH_P_QINQ1_OLD || type == ETH_P_QINQ2_OLD ||
         type == ETH_P_QINQ3_OLD;
}

/* Reads the headers of a frame; false if they are incomplete. */
static __always_inline bool parse(struct __sk_buff* skb, struct frame* frame) {
  __u16 tag[2]; /* TCI, EtherType */
  if (bpf_skb_load_bytes(skb, 0, &frame->eth, sizeof frame->eth)) return false;
  frame->type = bpf_ntohs(frame->eth.h_proto);
  frame->vid = 0;
  frame->tagged = false;
  if (skb->vlan_present) {
    frame->tagged = true;
    frame->vid = skb->vlan_proto == bpf_htons(ETH_P_8021Q) ? skb->vlan_tci & 0x0FFF : VID_FOREIGN;
  } else if (is_tag(frame->type)) {
    if (bpf_skb_load_bytes(skb, sizeof frame->eth, tag, sizeof tag)) return false;
    frame->tagged = true;
    frame->vid = frame->type == ETH_P_8021Q ? bpf_ntohs(tag[0]) & 0x0FFF : VID_FOREIGN;
    frame->type = bpf_ntohs(tag[1]);
  }
  return true;
}

/* Where the header behind Ethernet's begins: the tag may stand inline. */
static __always_inline __u32 network_header(const struct __sk_buff* skb, const struct frame* frame) {
  return sizeof frame->eth + (frame->tagged && !skb->vlan_present ? 4 : 0);
}

static __always_inline bool is_link_group(const __u8* to) {
  return to[0] == 0x01 && to[1] == 0x80 && to[2] == 0xC2 && to[3] == 0 && to[4] == 0 && to[5] < 0x10;
}

static __always_inline bool is_control_type(__u16 type) {
  return type == ETH_P_ECP_EVB || type == ETH_P_LLDP || type == ETH_P_PAE || type == ETH_P_MACSEC;
}

/* S18: what a tenant must never say: bridge-group destinations, ECP, LLDP, EAPOL, MACsec. */
static __always_inline bool is_control(const struct frame* frame) {
  return is_link_group(frame->eth.h_dest) || is_control_type(frame->type);
}

static __always_inline bool same_mac(const __u8* a, const __u8* b) { return __builtin_memcmp(a, b, ETH_ALEN) == 0; }

static __always_inline bool is_group_or_zero(const __u8* mac) {
  return (mac[0] & 1) || !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* S21: the reason why a tenant's frame is not clean, or SWITCH_DROP_COUNT. */
static __always_inline enum switch_drop unclean(const struct frame* frame) {
  if (is_control(frame)) return SWITCH_DROP_CONTROL_FRAME;
  if (is_tag(frame->type)) return SWITCH_DROP_NESTED_TAG;
  if (frame->type < ETH_TYPE_MIN) return SWITCH_DROP_LLC;
  if (is_group_or_zero(frame->eth.h_source)) return SWITCH_DROP_GROUP_SOURCE;
  return SWITCH_DROP_COUNT;
}

static __always_inline struct switch_access* find_access(__u32 ifindex, __u32 vid) {
  struct switch_access_key key = {.ifindex = ifindex, .vid = vid};
  return bpf_map_lookup_elem(&access, &key);
}

static __always_inline struct switch_guard* find_guard(__u32 domain, __u32 ifindex, const __u8* mac) {
  struct switch_guard_key key = {.domain = domain, .ifindex = ifindex};
  __builtin_memcpy(key.mac, mac, ETH_ALEN);
  return bpf_map_lookup_elem(&guard, &key);
}

static __always_inline struct switch_fdb* find_owner(__u32 domain, const __u8* mac) {
  struct switch_fdb_key key = {.domain = domain};
  __builtin_memcpy(key.mac, mac, ETH_ALEN);
  return bpf_map_lookup_elem(&fdb, &key);
}

static __always_inline bool is_local(const struct switch_fdb* owner) {
  return owner && owner->kind == SWITCH_OWNER_LOCAL;
}

static __always_inline const struct switch_settings* find_settings(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&settings, &zero);
}

/* Aims the frame at an nNVE. Kernels before 6.0 refuse a key with a source address: there routing chooses it. */
static __always_inline bool aim(struct __sk_buff* skb, const struct switch_settings* tunnels, __u32 vni,
                                const __u8* nnve) {
  const __u32 *to = (const __u32*)nnve, *from = (const __u32*)tunnels->local;
  const bool ipv4 = !to[0] && !to[1] && to[2] == bpf_htonl(0xFFFF);
  const __u64 flags = ipv4 ? BPF_F_ZERO_CSUM_TX : BPF_F_TUNINFO_IPV6;
  struct bpf_tunnel_key key = {.tunnel_id = vni, .tunnel_ttl = 64};
  if (ipv4) {
    key.remote_ipv4 = bpf_ntohl(to[3]);
    if (from[2] == bpf_htonl(0xFFFF)) key.local_ipv4 = bpf_ntohl(from[3]);
  } else {
    __builtin_memcpy(key.remote_ipv6, to, sizeof key.remote_ipv6);
    if (from[2] != bpf_htonl(0xFFFF)) __builtin_memcpy(key.local_ipv6, from, sizeof key.local_ipv6);
  }
  if (!bpf_skb_set_tunnel_key(skb, &key, sizeof key, flags)) return true;
  return !bpf_skb_set_tunnel_key(skb, &key, offsetof(struct bpf_tunnel_key, local_ipv6), flags);
}

/* Unicast to a local interface with its tag. */
static __always_inline int send_tagged(struct __sk_buff* skb, __u32 ifindex, __u32 tci) {
  if (tci && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), tci)) return drop(SWITCH_DROP_REDIRECT);
  return bpf_redirect(ifindex, 0);
}

/* One flood copy. `*pushed` is the tag that the skb bears; neighbours of one tag share the push. Copies are counted where
 * the verifier does not follow: a count in a register would make every iteration's states differ. */
static __always_inline void copy_tagged(struct __sk_buff* skb, __u32 ifindex, __u32 tci, __u32* pushed,
                                        __u64* copies) {
  if (*pushed != tci) {
    if (*pushed) bpf_skb_vlan_pop(skb);
    *pushed = 0;
    if (tci && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), tci)) {
      drop(SWITCH_DROP_REDIRECT);
      return;
    }
    *pushed = tci;
  }
  if (bpf_clone_redirect(skb, ifindex, 0))
    drop(SWITCH_DROP_REDIRECT);
  else
    ++*copies;
}

/* S25: a VXLAN packet is never fragmented (RFC 7348), so what the underlay does not carry ends here and is counted. Of a
 * frame that the kernel cuts up later, what one piece has at least counts. */
static __always_inline bool is_too_large(const struct __sk_buff* skb, const struct switch_settings* tunnels) {
  const __u32 headers = 40; /* IPv4 and TCP without options */
  const __u32 packet = skb->gso_size ? skb->gso_size + headers : skb->len - ETH_HLEN;
  return tunnels->tunnel_mtu && packet > tunnels->tunnel_mtu;
}

static __always_inline void flood_remote(struct __sk_buff* skb, const struct switch_domain* domain, __u32 id,
                                         __u64* copies) {
  const struct switch_settings* tunnels = find_settings();
  __u32 i;
  if (!tunnels || !tunnels->vxlan_ifindex || !domain->n_remote) return;
  if (is_too_large(skb, tunnels)) {
    drop(SWITCH_DROP_REDIRECT);
    return;
  }
  for (i = 0; i < SWITCH_FLOOD_REMOTE_MAX; ++i) {
    if (i >= domain->n_remote || domain->id != id) break;
    if (!aim(skb, tunnels, domain->vni, domain->remote[i]) || bpf_clone_redirect(skb, tunnels->vxlan_ifindex, 0))
      drop(SWITCH_DROP_REDIRECT);
    else
      ++*copies;
  }
}

/* S24: copies to everyone who shall have it; the frame itself ends here. `tci`: the tag that it came with, and the
 * priority that it leaves the uplink with. A global function, so that the verifier walks
 * its loops once and not for every path that leads here: Linux 6.1 refuses the program otherwise. */
__noinline int flood(struct __sk_buff* skb, __u32 id, __u32 ifindex, __u32 tci, __u32 from_port) {
  const struct switch_domain* domain = bpf_map_lookup_elem(&domains, &id);
  const __u32 frames_key = SWITCH_FLOODED_FRAMES, copies_key = SWITCH_FLOODED_COPIES;
  __u64* frames = bpf_map_lookup_elem(&floods, &frames_key);
  __u64* copies = bpf_map_lookup_elem(&floods, &copies_key);
  __u32 i, pushed = 0;
  if (!domain || !frames || !copies) return drop(SWITCH_DROP_UNKNOWN_UNICAST);
  ++*frames;
  for (i = 0; i < SWITCH_FLOOD_LOCAL_MAX; ++i) {
    const struct switch_member* to = &domain->local[i];
    if (i >= domain->n_local || domain->id != id) break;
    if (to->ifindex == ifindex && to->vid == (tci & VID_MASK)) continue;
    copy_tagged(skb, to->ifindex, to->vid, &pushed, copies);
  }
  if (from_port) {
    if (domain->uplink.ifindex)
      copy_tagged(skb, domain->uplink.ifindex, domain->uplink.vid | (tci & SWITCH_PRIORITY_MASK), &pushed, copies);
    if (pushed) bpf_skb_vlan_pop(skb);
    flood_remote(skb, domain, id, copies);
  }
  return TC_ACT_STOLEN;
}

static __always_inline int send_local(struct __sk_buff* skb, const struct switch_fdb* owner,
                                      const struct source* source) {
  const __u32 ifindex = owner->ifindex, vid = owner->vid;
  if (ifindex == source->ifindex && vid == source->vid) return drop(SWITCH_DROP_HAIRPIN);
  count_tx(skb, owner->instance);
  return send_tagged(skb, ifindex, vid);
}

static __always_inline int send_remote(struct __sk_buff* skb, const struct switch_domain* domain, const __u8* nnve) {
  const struct switch_settings* tunnels = find_settings();
  if (!tunnels || !tunnels->vxlan_ifindex || is_too_large(skb, tunnels)) return drop(SWITCH_DROP_REDIRECT);
  if (!aim(skb, tunnels, domain->vni, nnve)) return drop(SWITCH_DROP_REDIRECT);
  return bpf_redirect(tunnels->vxlan_ifindex, 0);
}

/* A clean frame of a domain, without tag, to where its destination is. */
static __always_inline int forward(struct __sk_buff* skb, const struct frame* frame, __u32 id,
                                   const struct source* source) {
  const struct switch_domain* domain;
  const struct switch_fdb* owner;
  if (frame->eth.h_dest[0] & 1) return flood(skb, id, source->ifindex, source->vid | source->priority, source->from_port);
  owner = find_owner(id, frame->eth.h_dest);
  if (is_local(owner)) return send_local(skb, owner, source);
  if (!source->from_port) return drop(SWITCH_DROP_UNKNOWN_UNICAST);
  domain = bpf_map_lookup_elem(&domains, &id);
  if (!domain) return drop(SWITCH_DROP_UNKNOWN_UNICAST);
  if (owner) return send_remote(skb, domain, owner->nnve);
  if (domain->uplink.ifindex) return send_tagged(skb, domain->uplink.ifindex, domain->uplink.vid | source->priority);
  return drop(SWITCH_DROP_UNKNOWN_UNICAST);
}

static __always_inline bool strip_tag(struct __sk_buff* skb, const struct frame* frame) {
  return !frame->tagged || !bpf_skb_vlan_pop(skb);
}

static __always_inline bool is_ours(const __u8* mac) {
  struct switch_mac key = {};
  __builtin_memcpy(key.mac, mac, ETH_ALEN);
  return bpf_map_lookup_elem(&own_addresses, &key);
}

/* S18: no tenant speaks with an address of our own ports, whether it came by a port or by a tunnel. */
static __always_inline bool is_to_or_from_us(const struct frame* frame) {
  return is_ours(frame->eth.h_source) || (!(frame->eth.h_dest[0] & 1) && is_ours(frame->eth.h_dest));
}

/* The VNI and the outer source, as rows write it; false for a frame that came through no tunnel. */
static __always_inline bool read_tunnel(struct __sk_buff* skb, __u32* vni, __u32* nnve) {
  const __u32 size = offsetof(struct bpf_tunnel_key, local_ipv6);
  struct bpf_tunnel_key key = {};
  /* Try both families: the helper insists that the flag matches the packet's. */
  if (!bpf_skb_get_tunnel_key(skb, &key, size, 0)) {
    nnve[0] = nnve[1] = 0;
    nnve[2] = bpf_htonl(0xFFFF);
    nnve[3] = bpf_htonl(key.remote_ipv4);
  } else if (!bpf_skb_get_tunnel_key(skb, &key, size, BPF_F_TUNINFO_IPV6)) {
    __builtin_memcpy(nnve, key.remote_ipv6, sizeof key.remote_ipv6);
  } else {
    return false;
  }
  *vni = key.tunnel_id;
  return true;
}

static __always_inline bool same_nnve(const __u8* row, const __u32* nnve) {
  const __u32* a = (const __u32*)row;
  return a[3] == nnve[3] && a[2] == nnve[2] && a[1] == nnve[1] && a[0] == nnve[0];
}

/* Whether an nNVE takes part in a domain: it owns the source address, or the domain floods to it. */
static __always_inline bool takes_part(__u32 id, const struct switch_fdb* owner, const __u32* nnve) {
  const struct switch_domain* domain;
  __u32 i;
  if (owner && owner->kind == SWITCH_OWNER_REMOTE && same_nnve(owner->nnve, nnve)) return true;
  domain = bpf_map_lookup_elem(&domains, &id);
  if (!domain) return false;
  for (i = 0; i < SWITCH_FLOOD_REMOTE_MAX; ++i) {
    if (i >= domain->n_remote) return false;
    if (same_nnve(domain->remote[i], nnve)) return true;
  }
  return false;
}

#include "switch_checksum.h"
#include "switch_ip.h"
#include "switch_host.h"
#include "switch_storm.h"
#include "switch_stray.h"

/* S6: a frame passes if the guard names an instance here and the fdb names the same one as the owner. */
static __always_inline int check_source(struct __sk_buff* skb, const struct frame* frame,
                                        const struct switch_access* row, struct source* source) {
  const struct switch_fdb* owner = find_owner(row->domain, frame->eth.h_source);
  const struct switch_guard* guarded;
  int reason;
  if (row->flags & SWITCH_UNGUARDED) {
    reason = foreign_ip(skb, 0, SWITCH_ANY_IP, row->domain);
    if (reason != SWITCH_DROP_COUNT) return drop(reason);
    if (is_local(owner) && owner->ifindex == source->ifindex && owner->vid == source->vid)
      source->instance = owner->instance;
    return TC_ACT_OK;
  }
  guarded = find_guard(row->domain, source->ifindex, frame->eth.h_source);
  if (!guarded) return drop(SWITCH_DROP_SPOOFED_SOURCE);
  if (!is_local(owner) || owner->instance != guarded->instance) return drop_closed(skb, guarded->instance);
  reason = foreign_ip(skb, guarded->instance, guarded->flags, row->domain);
  if (reason != SWITCH_DROP_COUNT) return drop(reason);
  source->instance = guarded->instance;
  source->priority = guarded->flags & SWITCH_PRIORITY_MASK;
  return TC_ACT_OK;
}

/* S26, S41: an untagged frame on an access port whose untagged traffic is no VN's. */
static __always_inline int to_host(struct __sk_buff* skb, const struct frame* frame, const struct switch_port* port) {
  int reason;
  if (frame->tagged && is_tag(frame->type)) return drop(SWITCH_DROP_NESTED_TAG);
  if (is_link_protocol(frame)) return TC_ACT_OK;
  if (!(port->flags & (SWITCH_HOST_TRAFFIC | SWITCH_HOST_INHERITED))) return drop(SWITCH_DROP_HOST_TRAFFIC);
  reason = aimed_at_underlay(skb);
  return reason == SWITCH_DROP_COUNT ? TC_ACT_OK : drop(reason);
}

/* Storm control of what came from a port: each instance of a VM port by itself, a station's each tag. */
static __always_inline bool is_storm(struct __sk_buff* skb, const struct switch_port* port,
                                     const struct source* source) {
  const bool station = port->role == SWITCH_ROLE_ACCESS;
  if (!port->bum_rate) return false;
  return !within_limit(skb, station ? source->ifindex : 0, station ? source->vid : source->instance, port->bum_rate,
                       port->bum_burst);
}

static __always_inline int drop_storm(const struct __sk_buff* skb, __u32 instance) {
  struct switch_counters* counters = counters_of(instance);
  if (counters) __sync_fetch_and_add(&counters->dropped_storm, frames_in(skb));
  return drop(SWITCH_DROP_STORM);
}

SEC("tc")
int switch_port(struct __sk_buff* skb) {
  struct source source = {.ifindex = skb->ifindex, .from_port = true};
  const struct switch_access* row;
  const struct switch_port* port;
  enum switch_drop reason;
  struct frame frame;
  __u32 domain;

  port = bpf_map_lookup_elem(&ports, &source.ifindex);
  if (!port) return TC_ACT_OK;
  if (!parse(skb, &frame)) return drop(SWITCH_DROP_TOO_SHORT);
  source.vid = frame.vid;
  row = find_access(source.ifindex, frame.vid);
  if (port->role == SWITCH_ROLE_ACCESS && frame.vid == 0 && (!row || is_link_protocol(&frame)))
    return to_host(skb, &frame, port);
  if (is_control(&frame) || is_to_or_from_us(&frame)) return drop(SWITCH_DROP_CONTROL_FRAME);
  if (!row && port->role == SWITCH_ROLE_ACCESS && !is_group_or_zero(frame.eth.h_source)) note_stray(&frame, source.ifindex);
  if (!row) return drop(frame.vid == 0 ? SWITCH_DROP_UNTAGGED : SWITCH_DROP_UNKNOWN_TAG);
  reason = unclean(&frame);
  if (reason != SWITCH_DROP_COUNT) return drop(reason);
  domain = row->domain;
  if (check_source(skb, &frame, row, &source) != TC_ACT_OK) {
    if (port->role == SWITCH_ROLE_ACCESS && frame.vid != 0) note_stray(&frame, source.ifindex);
    return TC_ACT_SHOT;
  }
  if ((frame.eth.h_dest[0] & 1) && is_storm(skb, port, &source)) return drop_storm(skb, source.instance);
  if (!strip_tag(skb, &frame)) return drop(SWITCH_DROP_REDIRECT);
  count_rx(skb, source.instance);
  return forward(skb, &frame, domain, &source);
}

SEC("tc")
int switch_uplink(struct __sk_buff* skb) {
  struct source source = {.ifindex = skb->ifindex};
  const struct switch_access* row;
  enum switch_drop reason;
  struct frame frame;
  __u32 domain;

  if (!parse(skb, &frame)) return drop(SWITCH_DROP_TOO_SHORT);
  source.vid = frame.vid;
  row = find_access(source.ifindex, frame.vid);
  if (!row) return TC_ACT_OK;
  domain = row->domain;
  reason = unclean(&frame);
  if (reason != SWITCH_DROP_COUNT) return drop(reason);
  if (is_local(find_owner(domain, frame.eth.h_source))) return drop(SWITCH_DROP_RETURNED);
  if (!strip_tag(skb, &frame)) return drop(SWITCH_DROP_REDIRECT);
  return forward(skb, &frame, domain, &source);
}

SEC("tc")
int switch_tunnel(struct __sk_buff* skb) {
  struct source source = {.ifindex = skb->ifindex};
  const struct switch_fdb* owner;
  enum switch_drop reason;
  struct frame frame;
  __u32 *domain, vni, id, nnve[4];

  if (!parse(skb, &frame)) return drop(SWITCH_DROP_TOO_SHORT);
  if (!read_tunnel(skb, &vni, nnve)) return drop(SWITCH_DROP_UNKNOWN_VNI);
  domain = bpf_map_lookup_elem(&vnis, &vni);
  if (!domain) return drop(SWITCH_DROP_UNKNOWN_VNI);
  id = *domain;
  owner = find_owner(id, frame.eth.h_source);
  if (!takes_part(id, owner, nnve)) return drop(SWITCH_DROP_UNKNOWN_NNVE);
  reason = frame.tagged ? SWITCH_DROP_NESTED_TAG : unclean(&frame);
  if (is_control(&frame) || is_to_or_from_us(&frame)) reason = SWITCH_DROP_CONTROL_FRAME;
  if (reason != SWITCH_DROP_COUNT) return drop(reason);
  if (is_local(owner)) return drop(SWITCH_DROP_RETURNED);
  return forward(skb, &frame, id, &source);
}
