/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The ring of the pieces of streams. */
#ifndef SKYBRAID_L7_RING_H
#define SKYBRAID_L7_RING_H

#include "l7_streams.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SB_L7_RING_BYTES);
} l7_ring SEC(".maps");

/* `room` is a constant: space in a ring can only be had in sizes known beforehand. */
SB_INLINE void sb_l7_put_in(struct __sk_buff *skb, const struct sb_l7_row *head, __u32 at, const __u64 room)
{
	struct sb_l7_row *row = bpf_ringbuf_reserve(&l7_ring, sizeof(*row) + room, 0);
	__u64 length = head->captured;
	__u64 least = 1;

	if (!row) {
		sb_count(SB_C_L7_RING_FULL);
		return;
	}
	__builtin_memcpy(row, head, sizeof(*row));
	/* The verifier of older kernels learns nothing from a comparison with zero, nor from two that became one. */
	asm volatile("" : "+r"(length), "+r"(least));
	if (length >= least) {
		asm volatile("" : "+r"(length));
		if (length <= room && bpf_skb_load_bytes(skb, at, row->bytes, length) == 0) {
			bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
			return;
		}
	}
	bpf_ringbuf_discard(row, BPF_RB_NO_WAKEUP);
}

static __noinline void sb_l7_put(struct __sk_buff *skb, const struct sb_l7_row *head, __u32 at)
{
	if (head->captured <= 56)
		sb_l7_put_in(skb, head, at, 56);
	else if (head->captured <= 184)
		sb_l7_put_in(skb, head, at, 184);
	else if (head->captured <= 440)
		sb_l7_put_in(skb, head, at, 440);
	else if (head->captured <= SB_L7_ANSWER)
		sb_l7_put_in(skb, head, at, SB_L7_ANSWER);
	else
		sb_l7_put_in(skb, head, at, SB_L7_PIECE);
}

#endif
