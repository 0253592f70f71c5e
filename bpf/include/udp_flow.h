/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The entry of a UDP flow as the kernel programs and the addon share it. */
#ifndef SKYBRAID_UDP_FLOW_H
#define SKYBRAID_UDP_FLOW_H

#include "record.h"

struct sb_udp_key {
	__u64 cookie;
	struct sb_addr remote;
	__u16 remote_port;
	__u16 pad[3];
};

/* Counted here is what is not counted in the flow's place among udp_counts. */
struct sb_udp_flow {
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 datagrams_sent;
	__u64 datagrams_received;
	__u64 opened_ns;
	__u64 cgroup_id;
	__u64 counts; /* its place, and its generation in the high half; 0: none */
	struct sb_addr local;
	__u32 netns;
	__u32 tgid;
	char comm[SB_COMM_LEN];
	__u32 generation;
	__u32 pass; /* the addon's reading before which it last moved */
	__u16 local_port;
	__u16 flags;
	__u8 role;
	__u8 family;
	__u8 closed; /* the socket is gone */
	__u8 pad;
};

/* Where a flow counts, found by a number on its socket. It belongs to one flow until the addon takes it back. */
struct sb_udp_counts {
	__u64 flow; /* as `counts` of the flow; 0: free */
	struct sb_addr remote;
	__u16 remote_port;
	__u16 pad;
	__u32 pass; /* as in the flow */
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 datagrams_sent;
	__u64 datagrams_received;
};

#define SB_UDP_CLAIMED (~0ull) /* in place of `flow`: being filled, or taken back */

static inline __u32 sb_udp_place_of(__u64 counts)
{
	return (__u32)counts & (SB_UDP_COUNTS - 1);
}

_Static_assert(sizeof(struct sb_udp_key) == 32, "sb_udp_key");
_Static_assert(sizeof(struct sb_udp_flow) == 112, "sb_udp_flow");
_Static_assert(sizeof(struct sb_udp_counts) == 64, "sb_udp_counts");

#endif
