/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What is remembered of each TCP socket. There are two places for it.
 *
 * A dialler's is a table keyed by the socket's address, whose entries are made beforehand: to give storage to a socket
 * takes longer than all the rest that a short connection costs. The iterator finds nothing but the address there, so
 * an entry says by its cookie which socket it means.
 *
 * All other sockets have storage of their own. An accepted one needs none to be made by us: it begins as a copy of its
 * listener's (F_CLONE), which also says whose it is. A dialler has storage too if the table is full or switched off.
 */
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

enum sb_shown {
	SB_SHOWN_NEVER = 0,
	SB_SHOWN_BUSY, /* while somebody held the socket: look again, even if no segment came or went */
	SB_SHOWN,
};

/* The state-change programs run under the socket's lock and write all but what the iterator does, without the lock. */
struct sb_tcp_store {
	__u64 opened_ns;
	__u64 cookie;    /* 0: ask the socket */
	__u64 cgroup_id; /* 0: ask the socket, also for the network namespace */
	__u32 netns;
	__u32 dialler_isn;
	__u32 acceptor_isn;
	__u32 handshake_us;
	__u32 generation; /* not 0: the socket had dialled before */
	__u32 tgid;
	char comm[SB_COMM_LEN];
	__u16 flags;
	__u8 stage;
	__u8 role;
	__u8 syn_counted;
	__u8 guessed;
	__u8 sk_err;      /* last error that the socket reported */
	__u8 rst_arrived; /* packet hook: while closing */
	__u8 settled;     /* both sequence numbers are known */
	__u8 by_port;     /* adopted: the role that the port suggests */
	/* iterator */
	__u8 shown;       /* enum sb_shown */
	__u8 pad[5];
	struct sb_tcp_counts last; /* as last shown */
};

/* Of an adopted socket only. The iterator writes it, and once the key in the store, then `settled`. */
struct sb_tcp_baseline {
	__u64 ns;                    /* of the first look; 0: none yet */
	struct sb_tcp_counts counts; /* what was seen then, the SYN still in */
	__u32 first_unacked;
	__u32 peer_isn;
	__u32 claimed; /* adopted, by whoever came first */
	__s8 surplus;  /* 0 or 1 if the first look could tell who dialled, else -1 */
	__u8 pad[3];
};

struct sb_tcp_entry {
	struct sb_tcp_store store; /* first: copied to what a listener accepts */
	struct sb_tcp_baseline base;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct sb_tcp_entry);
} tcp_stores SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SB_TCP_DIALS);
	__type(key, __u64); /* address of the socket */
	__type(value, struct sb_tcp_store);
} tcp_dials SEC(".maps");

/* Whose memory is whose: `entry` is NULL if `store` is in the table of diallers. */
struct sb_tcp_found {
	struct sb_tcp_store *store;
	struct sb_tcp_entry *entry;
};

SB_INLINE struct sb_tcp_entry *sb_tcp_entry_of(struct tcp_sock *tp)
{
	return bpf_sk_storage_get(&tcp_stores, tp, 0, 0);
}

SB_INLINE struct sb_tcp_store *sb_tcp_dial_of(const void *sk)
{
	__u64 address = (__u64)sk;

	return bpf_map_lookup_elem(&tcp_dials, &address);
}

SB_INLINE void sb_tcp_dial_over(const void *sk)
{
	__u64 address = (__u64)sk;

	bpf_map_delete_elem(&tcp_dials, &address);
}

SB_INLINE struct sb_tcp_found sb_tcp_find(struct tcp_sock *tp)
{
	struct sb_tcp_found found = {};

	found.entry = sb_tcp_entry_of(tp);
	if (found.entry)
		found.store = &found.entry->store;
	else
		found.store = sb_tcp_dial_of(tp);
	return found;
}

SB_INLINE void sb_tcp_set_owner(struct sb_tcp_store *store, const struct sb_owner *owner)
{
	store->tgid = owner->tgid;
	__builtin_memcpy(store->comm, owner->comm, SB_COMM_LEN);
}

/* Forgets everything but who owns the socket. */
SB_INLINE void sb_tcp_begin(struct sb_tcp_entry *entry, __u8 stage)
{
	struct sb_tcp_store *store = &entry->store;

	store->opened_ns = 0;
	store->cookie = 0;
	store->dialler_isn = 0;
	store->acceptor_isn = 0;
	store->handshake_us = 0;
	store->flags &= SB_F_INHERITED;
	store->role = SB_ROLE_UNKNOWN;
	store->syn_counted = 0;
	store->guessed = 0;
	store->sk_err = 0;
	store->rst_arrived = 0;
	store->settled = 0;
	store->by_port = 0;
	store->shown = SB_SHOWN_NEVER;
	__builtin_memset(&store->last, 0, sizeof(store->last));
	entry->base.ns = 0;
	sb_barrier();
	store->stage = stage;
}

/* A look at an adopted socket becomes its baseline once a second one confirms it. */
SB_INLINE void sb_tcp_set_base(struct sb_tcp_baseline *base, const struct sb_tcp_look *look, bool tells_role)
{
	base->counts = look->counts;
	base->first_unacked = look->first_unacked;
	base->peer_isn = look->peer_isn;
	base->surplus = tells_role && (look->syn_surplus == 0 || look->syn_surplus == 1) ? look->syn_surplus : -1;
	sb_barrier();
	base->ns = bpf_ktime_get_ns();
}

SB_INLINE bool sb_tcp_base_fits(const struct sb_tcp_baseline *base, const struct sb_tcp_look *look)
{
	return base->ns && !look->torn && base->first_unacked == look->first_unacked &&
	       base->peer_isn == look->peer_isn;
}

/* Takes the socket over, with a first look at it. `sending`: data segments that are half counted at this moment. */
SB_INLINE void sb_tcp_begin_adopted(struct sb_tcp_entry *entry, const struct tcp_sock *tp, __u32 sending)
{
	struct sb_tcp_store *store = &entry->store;
	struct sb_tcp_look look;

	if (__sync_val_compare_and_swap(&entry->base.claimed, 0, 1))
		return;
	store->opened_ns = bpf_ktime_get_ns();
	store->flags |= SB_F_ADOPTED;
	store->by_port = sb_role_by_port(tp);
	sb_tcp_look_at(tp, 0, sending != 0, &look);
	look.counts.segments_sent -= sending;
	look.counts.data_segments_sent -= sending;
	if (!look.torn)
		sb_tcp_set_base(&entry->base, &look, !look.busy && !sending);
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
