/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What happens per packet: next to nothing for TCP, counting for UDP. */
#ifndef SKYBRAID_PACKET_H
#define SKYBRAID_PACKET_H

#include "adopt.h"
#include "udp.h"

SB_INLINE void sb_on_packet(struct __sk_buff *skb, bool in)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	if (sk->protocol == IPPROTO_TCP)
		sb_adopt_tcp(skb, sk, in);
	else if (sk->protocol == IPPROTO_UDP)
		sb_on_datagram(skb, sk, in);
}

#endif
