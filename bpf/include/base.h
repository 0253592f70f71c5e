/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What every program shares: kernel types, settings written by the loader before it loads, counters, the ring. */
#ifndef SKYBRAID_BASE_H
#define SKYBRAID_BASE_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "limits.h"
#include "record.h"

#define SB_INLINE static __always_inline
#define sb_barrier() asm volatile("" ::: "memory")

#define AF_INET 2
#define AF_INET6 10
#define SB_ETH_P_IP 0x0800
#define SB_ETH_P_IPV6 0x86dd
#define SB_PF_KTHREAD 0x00200000
#define SB_BINDPORT_LOCK 8
#define SB_INIT_PID_NS 0xEFFFFFFCu
#define SB_DNS_PORT 53
#define SB_IPV6_HOP_BY_HOP 0
#define SB_IPV6_ROUTING 43
#define SB_IPV6_FRAGMENT 44
#define SB_IPV6_DESTINATION 60
#define SB_DNS_HEADER_BYTES 12
#define SB_EEXIST 17

/* The cgroup whose subtree is observed. Level 0 is the root: everything is in it. */
const volatile __u64 sb_scope_cgroup = 0;
const volatile __u32 sb_scope_level = 0;
/* The collector's pid namespace: owners are given as ids in it. */
const volatile __u32 sb_pid_ns = SB_INIT_PID_NS;

/* Are the packet hooks attached too? */
const volatile __u32 sb_packet_hooks = 0;

/* May diallers be kept in their table? It takes an iterator that not every kernel has. */
const volatile __u32 sb_dial_table = 1;

/* Set by the loader while TCP sockets older than the collector are to be taken over at the next sign of life. */
__u32 sb_adopting SEC(".data.adopting") = 3;

#define SB_ADOPT_CONNECTIONS 1
#define SB_ADOPT_LISTENERS 2

/* Set by the loader while the iterator shall show every open socket, changed or not. */
__u32 sb_read_every SEC(".data.read_every") = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SB_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SB_RING_BYTES);
} ring SEC(".maps");

SB_INLINE void sb_count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	/* An interrupt may count between our load and store. */
	if (value)
		__sync_fetch_and_add(value, 1);
}

SB_INLINE void *sb_row_reserve(__u64 size)
{
	void *row = bpf_ringbuf_reserve(&ring, size, 0);

	if (!row)
		sb_count(SB_C_RING_FULL);
	return row;
}

/*
 * No wake-up: the consumer comes by on a timer. A wake-up costs more than everything else here together.
 * Counted first: a row that can be consumed has been counted, so consumed is never ahead of produced.
 */
SB_INLINE void sb_row_submit(void *row)
{
	sb_count(SB_C_RING_PRODUCED);
	bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
}

SB_INLINE void sb_addr_v4(struct sb_addr *addr, __be32 v4)
{
	__u32 *words = (__u32 *)addr->bytes;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = v4;
}

SB_INLINE bool sb_addr_is_v4(const struct sb_addr *addr)
{
	const __u32 *words = (const __u32 *)addr->bytes;

	return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

#endif
