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

struct sb_udp_flow {
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 datagrams_sent;
	__u64 datagrams_received;
	__u64 opened_ns;
	__u64 cgroup_id;
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

_Static_assert(sizeof(struct sb_udp_key) == 32, "sb_udp_key");
_Static_assert(sizeof(struct sb_udp_flow) == 104, "sb_udp_flow");

#endif
