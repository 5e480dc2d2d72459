/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Strays, included by switch.bpf.c: tagged frames that an access port refuses, mostly as their source is nobody's there.
 * Their station may have moved (S37), so the daemon is told: of each source once a second, of each port a few. What finds
 * no room is not told; the next frame tells it again. Nothing of it is pinned: it is news, no state.
 */
#ifndef SPLITNVE_SWITCH_STRAY_H
#define SPLITNVE_SWITCH_STRAY_H

#define STRAYS_PER_SECOND 20

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} strays SEC(".maps");

struct switch_stray_key {
  __u32 ifindex;
  __u8 mac[6];
  __u16 zero;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct switch_stray_key);
  __type(value, __u64);
  __uint(max_entries, 4096);
} stray_told SEC(".maps");

struct switch_stray_pace {
  __u64 second;
  __u32 told;
  __u32 zero;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, __u32);
  __type(value, struct switch_stray_pace);
  __uint(max_entries, 1024);
} stray_paces SEC(".maps");

/* Whether the port has told of fewer than it may in this second; one more or less on another CPU does no harm. */
static __always_inline bool paces_stray(__u32 ifindex, __u64 now) {
  struct switch_stray_pace fresh = {.second = now / NANOSECONDS, .told = 1};
  struct switch_stray_pace* pace = bpf_map_lookup_elem(&stray_paces, &ifindex);
  if (pace && pace->second == fresh.second) return ++pace->told <= STRAYS_PER_SECOND;
  bpf_map_update_elem(&stray_paces, &ifindex, &fresh, BPF_ANY);
  return true;
}

static __always_inline void note_stray(const struct frame* frame, __u32 ifindex) {
  struct switch_stray_key key = {.ifindex = ifindex};
  const __u64 now = bpf_ktime_get_ns();
  struct switch_stray* stray;
  const __u64* told;
  __builtin_memcpy(key.mac, frame->eth.h_source, sizeof(key.mac));
  told = bpf_map_lookup_elem(&stray_told, &key);
  if (told && now - *told < NANOSECONDS) return;
  if (!paces_stray(ifindex, now)) return;
  stray = bpf_ringbuf_reserve(&strays, sizeof(*stray), 0);
  if (!stray) return;
  stray->ifindex = ifindex;
  stray->vid = frame->vid;
  __builtin_memcpy(stray->mac, key.mac, sizeof(stray->mac));
  stray->zero = 0;
  bpf_ringbuf_submit(stray, 0);
  bpf_map_update_elem(&stray_told, &key, &now, BPF_ANY);
}

#endif
