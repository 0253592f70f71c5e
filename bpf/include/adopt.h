/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* TCP sockets older than the collector, found on their first packet. */
#ifndef SKYBRAID_ADOPT_H
#define SKYBRAID_ADOPT_H

#include "tcp_store.h"

#define SB_IPPROTO_MPTCP 262
#define SB_TCP_RST 4

struct mptcp_sock___sb {
	struct sock *first;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SB_MPTCP_LISTENERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64); /* address of the TCP socket that accepts */
	__type(value, struct sb_owner);
} mptcp_listeners SEC(".maps");

/* A listener without an entry is older than the collector; its children get what is known of its owner. */
SB_INLINE void sb_adopt_listener(struct bpf_sock *sk)
{
	struct sb_tcp_entry *entry = bpf_sk_storage_get(&tcp_stores, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	__u64 address = (__u64)sk;
	struct sb_owner *owner;

	if (!entry || entry->store.stage != SB_STAGE_NONE)
		return;
	owner = bpf_map_lookup_elem(&mptcp_listeners, &address);
	if (owner)
		sb_tcp_set_owner(&entry->store, owner);
	sb_barrier();
	entry->store.stage = SB_STAGE_LISTENER;
}

SB_INLINE __u32 sb_tcp_header_at(struct __sk_buff *skb)
{
	__u8 byte;

	if (skb->protocol == bpf_htons(SB_ETH_P_IPV6))
		return 40;
	return bpf_skb_load_bytes(skb, 0, &byte, 1) == 0 ? (byte & 15) * 4 : 20;
}

/*
 * How many data segments the packet is. On its way out they are in the socket's segment counters already, but not in
 * its sequence numbers.
 */
SB_INLINE __u32 sb_data_segments(struct __sk_buff *skb)
{
	__u32 tcp = sb_tcp_header_at(skb);
	__u32 segments = skb->gso_segs;
	__u8 byte;

	if (bpf_skb_load_bytes(skb, tcp + 12, &byte, 1) || skb->len <= tcp + (byte >> 4) * 4)
		return 0;
	return segments ? segments : 1;
}

SB_INLINE void sb_adopt_tcp(struct __sk_buff *skb, struct bpf_sock *sk, bool in)
{
	struct sb_tcp_entry *entry;
	struct tcp_sock *tp;
	__u32 state;

	if (bpf_sk_storage_get(&tcp_stores, sk, 0, 0) || sb_tcp_dial_of(sk))
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return;
	state = sk->state;
	if (state == TCP_LISTEN) {
		sb_adopt_listener(sk);
		return;
	}
	if (!sb_tcp_is_connected(state) || !(sb_adopting & SB_ADOPT_CONNECTIONS))
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	entry = bpf_sk_storage_get(&tcp_stores, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (entry)
		sb_tcp_begin_adopted(entry, tp, in ? 0 : sb_data_segments(skb));
}

/*
 * A closing socket that gets data treats them as if they were a reset, and sends one. Whether a reset did come is
 * only in the packet.
 */
SB_INLINE void sb_note_reset(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct sb_tcp_entry *entry;
	struct sb_tcp_store *store;
	__u8 flags;

	if (bpf_skb_load_bytes(skb, sb_tcp_header_at(skb) + 13, &flags, 1) || !(flags & SB_TCP_RST))
		return;
	entry = bpf_sk_storage_get(&tcp_stores, sk, 0, 0);
	store = entry ? &entry->store : sb_tcp_dial_of(sk);
	if (store)
		store->rst_arrived = 1;
}

/*
 * What a packet of TCP is good for: it gives an older socket away, and may be a reset. The socket's state is at hand;
 * everything else here costs many times as much as to look at it.
 */
SB_INLINE void sb_on_segment(struct __sk_buff *skb, struct bpf_sock *sk, bool in)
{
	__u32 adopting = sb_adopting;
	__u32 state = sk->state;

	if (adopting & (in && state == TCP_LISTEN ? SB_ADOPT_LISTENERS : SB_ADOPT_CONNECTIONS))
		sb_adopt_tcp(skb, sk, in);
	if (in && sb_tcp_is_closing(state))
		sb_note_reset(skb, sk);
}

#endif
