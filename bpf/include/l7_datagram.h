/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Copies what name servers are asked and answer over UDP into the ring of pieces: each datagram's header and question.
 * The flow that counts it is named by its generation, which no other flow has.
 */
#ifndef SKYBRAID_L7_DATAGRAM_H
#define SKYBRAID_L7_DATAGRAM_H

#include "l7_capture.h"
#include "udp_flow.h"

/* Which end this is. A server that asks another one from its own port is told by who began. */
SB_INLINE __u8 sb_l7_dns_role(const struct sb_udp_flow *flow, __u16 remote_port)
{
	if (flow->local_port == remote_port)
		return flow->role;
	return remote_port == SB_DNS_PORT ? SB_ROLE_CLIENT : SB_ROLE_SERVER;
}

/* `at`: of the payload, from the network header. */
SB_INLINE void sb_l7_on_datagram(struct __sk_buff *skb, const struct sb_udp_key *key, const struct sb_udp_flow *flow,
				 __u32 at, __u32 length, bool in)
{
	struct sb_l7_row row = {};

	if (!(sb_l7 & SB_L7_DATAGRAMS) || !length)
		return;
	if (key->remote_port != SB_DNS_PORT && flow->local_port != SB_DNS_PORT)
		return;
	row.cookie = key->cookie;
	row.ns = bpf_ktime_get_ns();
	row.length = length;
	row.captured = length < SB_L7_DNS ? length : SB_L7_DNS;
	row.slot = SB_L7_DATAGRAM;
	row.generation = flow->generation;
	row.in = in;
	row.role = sb_l7_dns_role(flow, key->remote_port);
	sb_l7_put(skb, &row, at);
}

#endif
