/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Deferred checksums (CHECKSUM_PARTIAL), included by switch.bpf.c. A sender that leaves its checksum to the kernel says
 * where it goes, and the two octets are written after the guard has judged the frame: over a source address, if the
 * sender lies (S47). No program may read that place, but two helpers tell it, on every kernel since 5.8:
 *
 *   bpf_csum_level, bpf_csum_update    fail in a way of its own while a checksum is deferred
 *   bpf_skb_change_tail                refuses a length that would cut the place of a deferred checksum off
 *
 * A length that is not refused has shortened the frame: it is asked only where that answer means that the frame is
 * dropped, or where what was cut is put back.
 */
#ifndef SPLITNVE_SWITCH_CHECKSUM_H
#define SPLITNVE_SWITCH_CHECKSUM_H

#define REFUSED_LENGTH (-22) /* EINVAL */
#define SCRATCH_SIZE 512
#define CHECKSUM_SIZE 2

struct switch_scratch {
  __u8 octets[SCRATCH_SIZE];
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct switch_scratch);
  __uint(max_entries, 1);
} scratch SEC(".maps");

static __always_inline bool is_deferred(struct __sk_buff* skb) {
  if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0) return false; /* verified */
  bpf_csum_level(skb, BPF_CSUM_LEVEL_INC);                          /* makes "none" verified, and nothing else */
  if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0) {
    bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
    return false;
  }
  return bpf_csum_update(skb, 0) < 0; /* only a sum of the whole frame can be added to */
}

/* Whether a deferred checksum is written at `judged` or behind it; if not, the frame is cut and must be dropped. */
static __always_inline bool is_written_behind(struct __sk_buff* skb, __u32 judged) {
  return bpf_skb_change_tail(skb, judged + CHECKSUM_SIZE - 1, 0) == REFUSED_LENGTH;
}

/* Whether a deferred checksum is written exactly at `field`; if not, the frame may be cut and must be dropped. */
static __noinline bool is_written_at(struct __sk_buff* skb, __u32 field) {
  const __u32 zero = 0, end = skb->len;
  struct switch_scratch* kept = bpf_map_lookup_elem(&scratch, &zero);
  __u32 size;
  long cut;
  field += CHECKSUM_SIZE;
  if (!kept || field >= end || skb->gso_size || !is_written_behind(skb, field - CHECKSUM_SIZE)) return false;
  size = end - field;
  if (size > SCRATCH_SIZE) return false;
  /* 1 to SCRATCH_SIZE, in a way that every kernel's verifier follows up to the calls. */
  --size;
  asm volatile("" : "+r"(size));
  size = (size & (SCRATCH_SIZE - 1)) + 1;
  if (bpf_skb_load_bytes(skb, field, kept->octets, size)) return false;
  cut = bpf_skb_change_tail(skb, field, 0);
  if (cut == REFUSED_LENGTH) return false;
  if (skb->len == end) return true; /* not refused, and not done for another reason */
  return !bpf_skb_change_tail(skb, end, 0) && !bpf_skb_store_bytes(skb, field, kept->octets, size, 0);
}

#endif
