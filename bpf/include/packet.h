/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What happens per packet: for TCP next to nothing, or its application protocol is read; counting for UDP. */
#ifndef SKYBRAID_PACKET_H
#define SKYBRAID_PACKET_H

#include "adopt.h"
#include "l7_capture.h"
#include "udp.h"

/*
 * The transport protocol, from the first bytes of the network header. Extension headers of IPv6 count as UDP's, except
 * the one of TCP packets beyond 64 KB.
 */
SB_INLINE __u8 sb_transport(struct __sk_buff *skb)
{
	bool v6 = skb->protocol == bpf_htons(SB_ETH_P_IPV6);
	const __u8 *data = (const __u8 *)(long)skb->data;
	__u8 protocol = 0;

	if (data + 20 <= (const __u8 *)(long)skb->data_end)
		protocol = v6 ? data[6] : data[9];
	else
		bpf_skb_load_bytes(skb, v6 ? 6 : 9, &protocol, 1);
	if (!v6 || !sb_is_extension(protocol))
		return protocol;
	if (protocol == SB_IPV6_HOP_BY_HOP && bpf_skb_load_bytes(skb, 40, &protocol, 1) == 0 && protocol == IPPROTO_TCP)
		return protocol;
	return IPPROTO_UDP;
}

/* Asks for nothing more of the socket than its common part has: each helper call costs more than all the rest here. */
SB_INLINE void sb_on_packet(struct __sk_buff *skb, bool in)
{
	struct bpf_sock *sk = skb->sk;
	__u8 protocol;

	if (!sk)
		return;
	protocol = sb_transport(skb);
	if (protocol == IPPROTO_TCP) {
		__u32 state = sk->state;

		sb_on_segment(skb, sk, in);
		sb_l7_on_segment(skb, state, in);
	} else if (protocol == IPPROTO_UDP) {
		sb_on_datagram(skb, sk, in);
	}
}

#endif
