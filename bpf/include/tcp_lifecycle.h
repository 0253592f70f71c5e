/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What the state changes of a TCP socket mean. All of it runs under the socket's lock, before the new state is stored.
 * One row per connection, when it ends; the iterator announces the open ones.
 */
#ifndef SKYBRAID_TCP_LIFECYCLE_H
#define SKYBRAID_TCP_LIFECYCLE_H

#include "l7_streams.h"
#include "tcp_row.h"

/* NULL: outside the observed subtree, or refused by the kernel (then *refused is set). */
SB_INLINE struct sb_tcp_entry *sb_tcp_entry_new(struct tcp_sock *tp, bool *refused)
{
	struct sb_tcp_entry *entry;

	if (!sb_in_scope((struct sock *)tp))
		return NULL;
	entry = bpf_sk_storage_get(&tcp_stores, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
	*refused = !entry;
	return entry;
}

/* The same for a socket of which nothing is known yet. `count`: it was not counted as refused before. */
SB_INLINE struct sb_tcp_found sb_tcp_found_new(struct tcp_sock *tp, bool count)
{
	struct sb_tcp_found found = {};
	bool refused = false;

	found.entry = sb_tcp_entry_new(tp, &refused);
	if (found.entry)
		found.store = &found.entry->store;
	else if (refused && count)
		sb_count(SB_C_STORAGE_REFUSED);
	return found;
}

/* The program that dials or listens, and where its socket is. */
SB_INLINE void sb_tcp_note_owner(struct sb_tcp_store *store, const struct tcp_sock *tp)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct sock *sk = (const struct sock *)tp;
	struct sb_owner owner;

	sb_owner_of(task, &owner);
	sb_tcp_set_owner(store, &owner);
	store->cgroup_id = sb_cgroup_id(sk);
	store->netns = sb_netns(sk);
	if (sb_is_inherited(task, sk))
		store->flags |= SB_F_INHERITED;
}

/* False: the table is full or not in use. A socket that has a cookie already may have dialled before. */
SB_INLINE bool sb_tcp_dial_noted(struct tcp_sock *tp)
{
	__u64 cookie = ((struct sock *)tp)->__sk_common.skc_cookie.counter;
	__u64 address = (__u64)tp;
	struct sb_tcp_store store = {};

	if (!sb_dial_table)
		return false;
	store.opened_ns = bpf_ktime_get_ns();
	store.cookie = bpf_get_socket_cookie((void *)tp);
	if (cookie) {
		store.generation = (__u32)(store.opened_ns >> 10) | 1;
		sb_l7_over(cookie);
	}
	sb_tcp_note_owner(&store, tp);
	store.stage = SB_STAGE_DIALLING;
	if (bpf_map_update_elem(&tcp_dials, &address, &store, BPF_ANY) == 0)
		return true;
	sb_count(SB_C_DIALS_FULL);
	return false;
}

/* CLOSE -> SYN_SENT and CLOSE -> LISTEN happen in the program's own context: the only moment that tells who it is. */
SB_INLINE void sb_tcp_on_open(struct tcp_sock *tp, __u8 stage)
{
	struct sb_tcp_entry *entry = sb_tcp_entry_of(tp);
	struct sb_tcp_store *store;

	if (entry) {
		entry->store.generation++;
		sb_l7_over(((struct sock *)tp)->__sk_common.skc_cookie.counter);
	} else {
		if (!sb_in_scope((struct sock *)tp))
			return;
		if (stage == SB_STAGE_DIALLING && sb_tcp_dial_noted(tp))
			return;
		entry = bpf_sk_storage_get(&tcp_stores, tp, 0, BPF_SK_STORAGE_GET_F_CREATE);
	}
	/* A refused dial is tried again when it connects or fails, and only counted then; a refused listener loses
	 * names only. */
	if (!entry)
		return;
	store = &entry->store;
	sb_tcp_begin(entry, SB_STAGE_NONE);
	store->flags = 0;
	store->opened_ns = bpf_ktime_get_ns();
	sb_tcp_note_owner(store, tp);
	sb_barrier();
	store->stage = stage;
}

/* The handshake is over: both sequence numbers are known, and stay. */
SB_INLINE void sb_tcp_settle(struct tcp_sock *tp, struct sb_tcp_found found, __u8 old_state)
{
	struct sb_tcp_store *store = found.store;
	bool dialled = store->stage == SB_STAGE_DIALLING ||
		       (store->stage != SB_STAGE_LISTENER && old_state == TCP_SYN_SENT);
	bool both_dialled = dialled && old_state == TCP_SYN_RECV;
	/* The kernel took the time when the segment came that completes the handshake. */
	__u64 now = tp->tcp_mstamp * 1000;
	struct sb_tcp_look look;
	struct sb_tcp_key key;

	if (!dialled && found.entry) {
		sb_tcp_begin(found.entry, SB_STAGE_NONE);
		store->generation = 0;
		store->opened_ns = now;
		store->handshake_us = tp->srtt_us >> 3; /* so far only SYN-ACK to ACK was measured */
	} else if (store->opened_ns) {
		if (now > store->opened_ns)
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
	struct sb_tcp_found found = sb_tcp_find(tp);

	if (!found.store)
		found = sb_tcp_found_new(tp, true);
	if (!found.store)
		return;
	sb_tcp_settle(tp, found, old_state);
	sb_count(SB_C_SOCKETS);
}

/* Any other change of a connection that is not followed yet: it is older than the collector. */
SB_INLINE void sb_tcp_on_older(struct tcp_sock *tp)
{
	struct sb_tcp_found found = sb_tcp_find(tp);

	if (found.store)
		return;
	found = sb_tcp_found_new(tp, false);
	if (found.entry)
		sb_tcp_begin_adopted(found.entry, tp, 0);
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
SB_INLINE void sb_tcp_settle_adopted(struct sb_tcp_entry *entry, const struct sb_tcp_look *look)
{
	struct sb_tcp_store *store = &entry->store;
	struct sb_tcp_key key;

	sb_tcp_key_adopted(look, store->by_port, &key);
	store->dialler_isn = key.dialler_isn;
	store->acceptor_isn = key.acceptor_isn;
	store->role = key.role;
	store->syn_counted = key.syn_counted;
	store->guessed = key.guessed;
	if (key.syn_counted && entry->base.counts.bytes_sent)
		entry->base.counts.bytes_sent--;
	store->settled = 1;
}

/*
 * The first row of an adopted connection is its baseline. If none was shown yet and the first look at it fits its
 * key, that look is it.
 */
SB_INLINE void sb_tcp_baseline(struct tcp_sock *tp, struct sb_tcp_entry *entry, const struct sb_tcp_look *look)
{
	struct sb_tcp_store *store = &entry->store;
	struct sb_tcp_row *row;

	if (store->shown || !sb_tcp_base_fits(&entry->base, look))
		return;
	row = sb_row_reserve(sizeof(*row));
	if (!row)
		return;
	sb_tcp_describe(row, tp, store, look, SB_ROW_TCP_READING);
	sb_tcp_row_key(row, store->dialler_isn, store->acceptor_isn, store->role, store->guessed);
	sb_tcp_counts_to(row, &entry->base.counts);
	row->head.read_ns = entry->base.ns;
	row->head.flags &= ~(SB_F_QUIET | SB_F_FIN_SENT | SB_F_FIN_RECEIVED);
	sb_row_submit(row);
}

SB_INLINE void sb_tcp_on_ended(struct tcp_sock *tp, struct sb_tcp_found found, __u8 old_state)
{
	struct sb_tcp_store *store = found.store;
	struct sb_tcp_look look;
	struct sb_tcp_row *row;

	sb_tcp_look_at(tp, old_state, true, &look);
	if (found.entry && !store->settled)
		sb_tcp_settle_adopted(found.entry, &look);
	if (found.entry && store->stage == SB_STAGE_ADOPTED)
		sb_tcp_baseline(tp, found.entry, &look);
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

SB_INLINE void sb_tcp_on_end_of(struct tcp_sock *tp, struct sb_tcp_found found, __u8 old_state)
{
	struct sb_tcp_store *store = found.store;

	if (old_state == TCP_SYN_SENT || (old_state == TCP_SYN_RECV && store->stage == SB_STAGE_DIALLING)) {
		sb_tcp_on_failed(tp, store, old_state);
		store->stage = SB_STAGE_ENDED;
	} else if (old_state == TCP_SYN_RECV) {
		sb_tcp_on_unaccepted(tp, store, old_state);
		store->stage = SB_STAGE_ENDED;
	} else if (store->stage != SB_STAGE_ENDED) {
		/* A state change inside another one on the same CPU is not shown to us. */
		if (store->stage != SB_STAGE_OPEN && store->stage != SB_STAGE_ADOPTED)
			sb_tcp_settle(tp, found, old_state);
		sb_tcp_on_ended(tp, found, old_state);
	}
}

SB_INLINE void sb_tcp_on_close(struct tcp_sock *tp, __u8 old_state)
{
	struct sb_tcp_found found = sb_tcp_find(tp);

	if (old_state == TCP_LISTEN) {
		if (found.store)
			found.store->stage = SB_STAGE_NONE;
		return;
	}
	if (old_state != TCP_SYN_SENT && old_state != TCP_SYN_RECV && !sb_tcp_is_connected(old_state))
		return;
	/* A dial whose storage was refused can still be told, and a connection older than the collector. */
	if (!found.store && old_state != TCP_SYN_RECV) {
		found = sb_tcp_found_new(tp, old_state == TCP_SYN_SENT);
		if (found.entry && old_state != TCP_SYN_SENT)
			sb_tcp_begin_adopted(found.entry, tp, 0);
	}
	if (!found.store)
		return;
	sb_tcp_on_end_of(tp, found, old_state);
	if (!found.entry)
		sb_tcp_dial_over(tp);
}

/*
 * The steps of closing say nothing that the end does not. They only give a connection away that is older than the
 * collector, and the packets that go with them do so as well.
 */
SB_INLINE bool sb_tcp_matters(__u8 old_state, __u8 new_state)
{
	if (new_state == TCP_SYN_RECV)
		return false;
	if (sb_tcp_is_connected(old_state) && sb_tcp_is_connected(new_state))
		return !sb_packet_hooks && sb_adopting & SB_ADOPT_CONNECTIONS;
	return true;
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
	struct sb_tcp_entry *entry = bpf_sk_storage_get(&tcp_stores, (void *)sk, 0, 0);
	struct sb_tcp_store *store = entry ? &entry->store : sb_tcp_dial_of(sk);

	if (store && store->stage != SB_STAGE_LISTENER && store->stage != SB_STAGE_NONE)
		store->flags |= flag;
}

#endif
