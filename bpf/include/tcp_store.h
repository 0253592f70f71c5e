/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What is remembered with each TCP socket. A listener's entry is copied to every socket it accepts (F_CLONE). */
#ifndef SKYBRAID_TCP_STORE_H
#define SKYBRAID_TCP_STORE_H

#include "owner.h"
#include "tcp_reading.h"

enum sb_stage {
	SB_STAGE_NONE = 0,
	SB_STAGE_LISTENER, /* or a copy of it in a socket that is being accepted */
	SB_STAGE_DIALLING,
	SB_STAGE_OPEN,     /* seen from its beginning */
	SB_STAGE_ADOPTED,  /* older than the collector */
	SB_STAGE_ENDED,
};

/*
 * The state-change programs run under the socket's lock and write the upper part; the iterator writes the lower part
 * without it. For an adopted socket the iterator also writes the key, then `settled`, once.
 */
struct sb_tcp_store {
	__u64 opened_ns;
	__u32 dialler_isn;
	__u32 acceptor_isn;
	__u32 handshake_us;
	__u32 generation; /* grows when a socket dials again */
	__u32 tgid;
	char comm[SB_COMM_LEN];
	__u16 flags;
	__u8 stage;
	__u8 role;
	__u8 syn_counted;
	__u8 by_port; /* adopted: the role that the port suggests */
	__u8 sk_err;  /* last error that the socket reported */
	__u8 guessed;
	/* packet hook */
	__u8 rst_arrived; /* while closing */
	__u8 pad0[3];
	/* iterator */
	__u8 settled;
	__u8 shown;
	__s8 base_surplus; /* 0 or 1 if the first look could tell who dialled, else -1 */
	__u8 pad;
	__u32 claimed;     /* adopted, by whoever came first */
	__u32 base_first_unacked;
	__u32 base_peer_isn;
	__u32 pad2;
	__u64 base_ns;             /* when an adopted socket was first looked at */
	struct sb_tcp_counts base; /* what was seen then, the SYN still in */
	struct sb_tcp_counts last; /* as last shown */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sb_tcp_store);
} tcp_stores SEC(".maps");

SB_INLINE void sb_tcp_set_owner(struct sb_tcp_store *store, const struct sb_owner *owner)
{
	store->tgid = owner->tgid;
	__builtin_memcpy(store->comm, owner->comm, SB_COMM_LEN);
}

/* Forgets everything but who owns the socket. */
SB_INLINE void sb_tcp_begin(struct sb_tcp_store *store, __u8 stage)
{
	store->opened_ns = 0;
	store->dialler_isn = 0;
	store->acceptor_isn = 0;
	store->handshake_us = 0;
	store->flags &= SB_F_INHERITED;
	store->role = SB_ROLE_UNKNOWN;
	store->syn_counted = 0;
	store->by_port = 0;
	store->sk_err = 0;
	store->guessed = 0;
	store->rst_arrived = 0;
	store->settled = 0;
	store->shown = 0;
	store->base_ns = 0;
	__builtin_memset(&store->last, 0, sizeof(store->last));
	sb_barrier();
	store->stage = stage;
}

/* A look at an adopted socket becomes its baseline once a second one confirms it. */
SB_INLINE void sb_tcp_set_base(struct sb_tcp_store *store, const struct sb_tcp_look *look, bool tells_role)
{
	store->base = look->counts;
	store->base_first_unacked = look->first_unacked;
	store->base_peer_isn = look->peer_isn;
	store->base_surplus = tells_role && (look->syn_surplus == 0 || look->syn_surplus == 1) ? look->syn_surplus : -1;
	sb_barrier();
	store->base_ns = bpf_ktime_get_ns();
}

SB_INLINE bool sb_tcp_base_fits(const struct sb_tcp_store *store, const struct sb_tcp_look *look)
{
	return store->base_ns && !look->torn && store->base_first_unacked == look->first_unacked &&
	       store->base_peer_isn == look->peer_isn;
}

/* Takes the socket over, with a first look at it. `sending`: data segments that are half counted at this moment. */
SB_INLINE void sb_tcp_begin_adopted(struct sb_tcp_store *store, const struct tcp_sock *tp, __u32 sending)
{
	struct sb_tcp_look look;

	if (__sync_val_compare_and_swap(&store->claimed, 0, 1))
		return;
	store->opened_ns = bpf_ktime_get_ns();
	store->flags |= SB_F_ADOPTED;
	store->by_port = sb_role_by_port(tp);
	sb_tcp_look_at(tp, 0, sending != 0, &look);
	look.counts.segments_sent -= sending;
	look.counts.data_segments_sent -= sending;
	if (!look.torn)
		sb_tcp_set_base(store, &look, !look.busy && !sending);
	sb_barrier();
	store->stage = SB_STAGE_ADOPTED;
	sb_count(SB_C_ADOPTED);
	sb_count(SB_C_SOCKETS);
}

/* States in which a connection exists that may be adopted. */
SB_INLINE bool sb_tcp_is_connected(__u8 state)
{
	return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 ||
	       state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING;
}

#endif
