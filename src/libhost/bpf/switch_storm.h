/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Storm control, included by switch.bpf.c: how many group frames a second one instance may send at its VM port, and one
 * tag at an access port. Each has a bucket that all CPUs share under its lock, so that the limit is exact: `due` is when
 * what was sent so far would be through at that rate, and may lie ahead by no more than the burst.
 */
#ifndef SPLITNVE_SWITCH_STORM_H
#define SPLITNVE_SWITCH_STORM_H

#define NANOSECONDS 1000000000ull

struct switch_storm {
  struct bpf_spin_lock lock;
  __u32 zero;
  __u64 due;
};
SWITCH_HASH(storms, struct switch_storm_key, struct switch_storm, SWITCH_INSTANCES_MAX + SWITCH_ACCESS_MAX);

/* The bucket, made on first use; NULL without memory. */
static __always_inline struct switch_storm* storm_of(const struct switch_storm_key* key) {
  static const struct switch_storm zero = {};
  struct switch_storm* storm = bpf_map_lookup_elem(&storms, key);
  if (storm) return storm;
  bpf_map_update_elem(&storms, key, &zero, BPF_NOEXIST);
  return bpf_map_lookup_elem(&storms, key);
}

/* Whether a group frame is within the limit of who sends it. Global, so that kernels verify it once. */
__noinline int within_limit(struct __sk_buff* skb, __u32 ifindex, __u32 id, __u32 rate, __u32 burst) {
  const struct switch_storm_key key = {.ifindex = ifindex, .id = id};
  struct switch_storm* storm = storm_of(&key);
  const __u64 now = bpf_ktime_get_ns();
  __u64 each, room, cost, due;
  bool fits;
  if (!storm || !rate) return false;
  each = NANOSECONDS / rate;
  room = each * burst;
  cost = each * frames_in(skb);
  if (cost > room) cost = room; /* one that will be cut into more frames than a burst has takes all of it */
  bpf_spin_lock(&storm->lock);
  due = storm->due > now ? storm->due : now;
  fits = due + cost <= now + room;
  if (fits) storm->due = due + cost;
  bpf_spin_unlock(&storm->lock);
  return fits;
}

#endif
