/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What the state changes of a TCP socket mean. All of it runs under the socket's lock, before the new state is stored.
 * One row per connection, when it ends; the iterator announces the open ones.
 */
#ifndef SKYBRAID_TCP_LIFECYCLE_H
#define SKYBRAID_TCP_LIFECYCLE_H

#include "tcp_row.h"

SB_INLINE struct sb_tcp_store *sb_tcp_store_of(struct tcp_sock *tp)
{
	return bpf_sk_storage_get(&tcp_stores, tp, 0, 0);
}

/* NULL: outside the observed subtree, or refused by the kernel (then *refused is set). */
SB_INLINE struct sb_tcp_store *sb_tcp_store_new(struct tcp_sock *tp, bool *refused)
{
	struct sb_tcp_store *store;

	if (!sb_in_scope((struct sock *)tp))
		return NULL;
	store = bpf_sk_storage_get(&tcp_stores, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
	*refused = !store;
	return store;
}

/* CLOSE -> SYN_SENT and CLOSE -> LISTEN happen in the program's own context: the only moment that tells who it is. */
SB_INLINE void sb_tcp_on_open(struct tcp_sock *tp, __u8 stage)
{
	struct sb_tcp_store *store = sb_tcp_store_of(tp);
	struct sb_owner owner;
	bool refused = false;

	if (store)
		store->generation++;
	else
		store = sb_tcp_store_new(tp, &refused);
	/* A refused dial is tried again when it connects, and only counted then; a refused listener loses names only. */
	if (!store)
		return;
	sb_tcp_begin(store, SB_STAGE_NONE);
	store->flags = 0;
	store->opened_ns = bpf_ktime_get_ns();
	sb_owner_of(bpf_get_current_task_btf(), &owner);
	sb_tcp_set_owner(store, &owner);
	if (sb_is_inherited(bpf_get_current_task_btf(), (struct sock *)tp))
		store->flags |= SB_F_INHERITED;
	sb_barrier();
	store->stage = stage;
}

/* The handshake is over: both sequence numbers are known, and stay. */
SB_INLINE void sb_tcp_settle(struct tcp_sock *tp, struct sb_tcp_store *store, __u8 old_state)
{
	bool dialled = store->stage == SB_STAGE_DIALLING ||
		       (store->stage != SB_STAGE_LISTENER && old_state == TCP_SYN_SENT);
	bool both_dialled = dialled && old_state == TCP_SYN_RECV;
	__u64 now = bpf_ktime_get_ns();
	struct sb_tcp_look look;
	struct sb_tcp_key key;

	if (!dialled) {
		sb_tcp_begin(store, SB_STAGE_NONE);
		store->generation = 0;
		store->opened_ns = now;
		store->handshake_us = tp->srtt_us >> 3; /* so far only SYN-ACK to ACK was measured */
	} else if (store->opened_ns) {
		store->handshake_us = (now - store->opened_ns) / 1000;
	} else {
		store->opened_ns = now;
	}
	sb_tcp_look_at(tp, old_state, true, &look);
	sb_tcp_key_from(&look, dialled, both_dialled, &key);
	store->dialler_isn = key.dialler_isn;
	store->acceptor_isn = key.acceptor_isn;
	store->role = key.role;
	store->syn_counted = key.syn_counted;
	if (tp->total_retrans)
		store->flags |= SB_F_SYN_RETRANSMITTED;
	store->settled = 1;
	sb_barrier();
	store->stage = SB_STAGE_OPEN;
}

SB_INLINE void sb_tcp_on_connected(struct tcp_sock *tp, __u8 old_state)
{
	struct sb_tcp_store *store = sb_tcp_store_of(tp);
	bool refused = false;

	if (!store)
		store = sb_tcp_store_new(tp, &refused);
	if (store) {
		sb_tcp_settle(tp, store, old_state);
		sb_count(SB_C_SOCKETS);
	} else if (refused) {
		sb_count(SB_C_STORAGE_REFUSED);
	}
}

/* Any other change of a connection that is not followed yet: it is older than the collector. */
SB_INLINE void sb_tcp_on_older(struct tcp_sock *tp)
{
	bool refused = false;
	struct sb_tcp_store *store;

	if (sb_tcp_store_of(tp))
		return;
	store = sb_tcp_store_new(tp, &refused);
	if (store)
		sb_tcp_begin_adopted(store, tp, 0);
}

SB_INLINE __u32 sb_tcp_dial_error(const struct tcp_sock *tp, const struct sb_tcp_store *store)
{
	const struct sock *sk = (const struct sock *)tp;

	if (sk->sk_err)
		return sk->sk_err;
	return store->sk_err ? store->sk_err : sk->sk_err_soft;
}

/* A dial that never connected. Without a segment there is no sequence number either: it failed on this machine. */
SB_INLINE void sb_tcp_on_failed(struct tcp_sock *tp, struct sb_tcp_store *store, __u8 old_state)
{
	struct sb_tcp_row *row = sb_row_reserve(sizeof(*row));
	struct sb_tcp_look look;

	if (!row)
		return;
	sb_tcp_look_at(tp, old_state, true, &look);
	sb_tcp_take_syn_out(&look, true);
	sb_tcp_describe(row, tp, store, &look, SB_ROW_TCP_FAILED);
	row->dialler_isn = 0;
	row->acceptor_isn = 0;
	row->head.role = SB_ROLE_CLIENT;
	if (look.counts.segments_sent)
		sb_tcp_row_key(row, look.first_unacked, 0, SB_ROLE_CLIENT, false);
	else
		look.counts.bytes_sent = 0;
	if (look.counts.retransmitted_segments)
		row->head.flags |= SB_F_SYN_RETRANSMITTED;
	sb_tcp_counts_to(row, &look.counts);
	row->head.tcp_state = old_state;
	row->head.sk_err = sb_tcp_dial_error(tp, store);
	sb_row_submit(row);
}

/* A socket that was being accepted (Fast Open, or the listener went away) ended before the handshake did. */
SB_INLINE void sb_tcp_on_unaccepted(struct tcp_sock *tp, struct sb_tcp_store *store, __u8 old_state)
{
	struct sb_tcp_row *row = sb_row_reserve(sizeof(*row));
	struct sb_tcp_look look;
	struct sb_tcp_key key;

	if (!row)
		return;
	sb_tcp_look_at(tp, old_state, true, &look);
	sb_tcp_key_from(&look, false, false, &key);
	sb_tcp_describe(row, tp, store, &look, SB_ROW_TCP_HALF_OPEN);
	sb_tcp_row_key(row, key.dialler_isn, key.acceptor_isn, SB_ROLE_SERVER, false);
	sb_tcp_counts_to(row, &look.counts);
	row->head.opened_ns = row->head.read_ns;
	row->head.tcp_state = old_state;
	row->head.sk_err = ((struct sock *)tp)->sk_err;
	sb_row_submit(row);
}

/* An adopted connection that ends before the iterator settled its key: this look, under the lock, suffices. */
SB_INLINE void sb_tcp_settle_adopted(struct tcp_sock *tp, struct sb_tcp_store *store, const struct sb_tcp_look *look)
{
	struct sb_tcp_key key;

	sb_tcp_key_adopted(look, store->by_port, &key);
	store->dialler_isn = key.dialler_isn;
	store->acceptor_isn = key.acceptor_isn;
	store->role = key.role;
	store->syn_counted = key.syn_counted;
	store->guessed = key.guessed;
	if (key.syn_counted && store->base.bytes_sent)
		store->base.bytes_sent--;
	store->settled = 1;
}

/*
 * The first row of an adopted connection is its baseline. If none was shown yet and the first look at it fits its
 * key, that look is it.
 */
SB_INLINE void sb_tcp_baseline(struct tcp_sock *tp, struct sb_tcp_store *store, const struct sb_tcp_look *look)
{
	struct sb_tcp_row *row;

	if (store->shown || !sb_tcp_base_fits(store, look))
		return;
	row = sb_row_reserve(sizeof(*row));
	if (!row)
		return;
	sb_tcp_describe(row, tp, store, look, SB_ROW_TCP_READING);
	sb_tcp_row_key(row, store->dialler_isn, store->acceptor_isn, store->role, store->guessed);
	sb_tcp_counts_to(row, &store->base);
	row->head.read_ns = store->base_ns;
	row->head.flags &= ~(SB_F_QUIET | SB_F_FIN_SENT | SB_F_FIN_RECEIVED);
	sb_row_submit(row);
}

SB_INLINE void sb_tcp_on_ended(struct tcp_sock *tp, struct sb_tcp_store *store, __u8 old_state)
{
	struct sb_tcp_look look;
	struct sb_tcp_row *row;

	sb_tcp_look_at(tp, old_state, true, &look);
	if (!store->settled)
		sb_tcp_settle_adopted(tp, store, &look);
	if (store->stage == SB_STAGE_ADOPTED)
		sb_tcp_baseline(tp, store, &look);
	store->stage = SB_STAGE_ENDED;
	/* No reset came: data did, after we had closed, and we answer them with a reset. */
	if (sb_packet_hooks && store->flags & SB_F_RST_RECEIVED && sb_tcp_is_closing(old_state) && !store->rst_arrived)
		store->flags ^= SB_F_RST_RECEIVED | SB_F_RST_SENT;
	row = sb_row_reserve(sizeof(*row));
	if (!row)
		return;
	sb_tcp_take_syn_out(&look, store->syn_counted);
	sb_tcp_describe(row, tp, store, &look, SB_ROW_TCP_CLOSED);
	sb_tcp_row_key(row, store->dialler_isn, store->acceptor_isn, store->role, store->guessed);
	sb_tcp_counts_to(row, &look.counts);
	row->head.tcp_state = old_state;
	row->head.sk_err = ((struct sock *)tp)->sk_err;
	sb_row_submit(row);
}

SB_INLINE void sb_tcp_on_close(struct tcp_sock *tp, __u8 old_state)
{
	struct sb_tcp_store *store = sb_tcp_store_of(tp);
	bool refused = false;

	/* Nothing is known of it: only a dial can still be told, and its storage may have been refused. */
	if (!store && old_state == TCP_SYN_SENT)
		store = sb_tcp_store_new(tp, &refused);
	if (!store)
		return;
	if (old_state == TCP_LISTEN) {
		store->stage = SB_STAGE_NONE;
	} else if (old_state == TCP_SYN_SENT || (old_state == TCP_SYN_RECV && store->stage == SB_STAGE_DIALLING)) {
		sb_tcp_on_failed(tp, store, old_state);
		store->stage = SB_STAGE_ENDED;
	} else if (old_state == TCP_SYN_RECV) {
		sb_tcp_on_unaccepted(tp, store, old_state);
		store->stage = SB_STAGE_ENDED;
	} else if (sb_tcp_is_connected(old_state) && store->stage != SB_STAGE_ENDED) {
		/* A state change inside another one on the same CPU is not shown to us. */
		if (store->stage != SB_STAGE_OPEN && store->stage != SB_STAGE_ADOPTED)
			sb_tcp_settle(tp, store, old_state);
		sb_tcp_on_ended(tp, store, old_state);
	}
}

/*
 * The steps of closing say nothing that the end does not. They only give a connection away that is older than the
 * collector, and the packets that go with them do so as well.
 */
SB_INLINE bool sb_tcp_matters(__u8 old_state, __u8 new_state)
{
	if (new_state == TCP_SYN_RECV)
		return false;
	return !(sb_packet_hooks && sb_tcp_is_connected(old_state) && sb_tcp_is_connected(new_state));
}

SB_INLINE void sb_tcp_on_state(struct tcp_sock *tp, __u8 old_state, __u8 new_state)
{
	if (new_state == TCP_CLOSE)
		sb_tcp_on_close(tp, old_state);
	else if (new_state == TCP_SYN_SENT)
		sb_tcp_on_open(tp, SB_STAGE_DIALLING);
	else if (new_state == TCP_LISTEN)
		sb_tcp_on_open(tp, SB_STAGE_LISTENER);
	else if (old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV)
		sb_tcp_on_connected(tp, old_state);
	else
		sb_tcp_on_older(tp);
}

/* Remembers a reset, for the row that follows when the socket closes. */
SB_INLINE void sb_tcp_on_reset(const struct sock *sk, __u16 flag)
{
	struct sb_tcp_store *store = bpf_sk_storage_get(&tcp_stores, (void *)sk, 0, 0);

	if (store && store->stage != SB_STAGE_LISTENER && store->stage != SB_STAGE_NONE)
		store->flags |= flag;
}

#endif
