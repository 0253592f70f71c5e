/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What happens per packet: next to nothing for TCP, counting for UDP. */
#ifndef SKYBRAID_PACKET_H
#define SKYBRAID_PACKET_H

#include "adopt.h"
#include "udp.h"

/* The transport protocol, from the first bytes of the network header; extension headers of IPv6 count as UDP's. */
SB_INLINE __u8 sb_transport(struct __sk_buff *skb)
{
	bool v6 = skb->protocol == bpf_htons(SB_ETH_P_IPV6);
	const __u8 *data = (const __u8 *)(long)skb->data;
	__u8 protocol = 0;

	if (data + 20 <= (const __u8 *)(long)skb->data_end)
		protocol = v6 ? data[6] : data[9];
	else
		bpf_skb_load_bytes(skb, v6 ? 6 : 9, &protocol, 1);
	return v6 && sb_is_extension(protocol) ? IPPROTO_UDP : protocol;
}

/* Asks for nothing more of the socket than its common part has: each helper call costs more than all the rest here. */
SB_INLINE void sb_on_packet(struct __sk_buff *skb, bool in)
{
	struct bpf_sock *sk = skb->sk;
	__u8 protocol;

	if (!sk)
		return;
	protocol = sb_transport(skb);
	if (protocol == IPPROTO_TCP)
		sb_on_segment(skb, sk, in);
	else if (protocol == IPPROTO_UDP)
		sb_on_datagram(skb, sk, in);
}

#endif
