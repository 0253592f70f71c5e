/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Readings of open sockets, taken by iterators without the socket's lock. Only what changed leaves the kernel. */
#ifndef SKYBRAID_TCP_ITERATE_H
#define SKYBRAID_TCP_ITERATE_H

#include "adopt.h"
#include "tcp_lifecycle.h"

SB_INLINE bool sb_same_counts(const struct sb_tcp_counts *a, const struct sb_tcp_counts *b)
{
	return a->bytes_sent == b->bytes_sent && a->bytes_received == b->bytes_received &&
	       a->segments_sent == b->segments_sent && a->segments_received == b->segments_received &&
	       a->retransmitted_segments == b->retransmitted_segments &&
	       a->out_of_order_segments == b->out_of_order_segments;
}

/* A look that reproduces the key that the connection is known by. */
SB_INLINE bool sb_tcp_fitting_look(const struct tcp_sock *tp, const struct sb_tcp_store *store,
				   struct sb_tcp_look *look)
{
	__u32 own = store->role == SB_ROLE_CLIENT ? store->dialler_isn : store->acceptor_isn;
	__u32 peer = store->role == SB_ROLE_CLIENT ? store->acceptor_isn : store->dialler_isn;
	__u32 first_unacked = own + (store->syn_counted ? 0 : 1);

	for (int i = 0; i < SB_READ_ATTEMPTS; i++) {
		sb_tcp_look_at(tp, 0, false, look);
		if (!look->torn && look->first_unacked == first_unacked && look->peer_isn == peer)
			return true;
	}
	return false;
}

SB_INLINE int sb_tcp_write_reading(struct seq_file *seq, const struct tcp_sock *tp, const struct sb_tcp_store *store,
				   const struct sb_tcp_look *look, const struct sb_tcp_counts *counts, __u64 read_ns)
{
	struct sb_tcp_row row = {};

	sb_tcp_describe(&row, tp, store, look, SB_ROW_TCP_READING);
	sb_tcp_row_key(&row, store->dialler_isn, store->acceptor_isn, store->role, store->guessed);
	sb_tcp_counts_to(&row, counts);
	row.head.tcp_state = ((const struct sock *)tp)->__sk_common.skc_state;
	if (read_ns) {
		row.head.read_ns = read_ns;
		row.head.flags &= ~(SB_F_QUIET | SB_F_FIN_SENT | SB_F_FIN_RECEIVED);
	}
	return bpf_seq_write(seq, &row, sizeof(row));
}

/* A row that found no room in the reader's buffer is shown again by the kernel: remember only what went out. */
SB_INLINE void sb_tcp_show(struct seq_file *seq, const struct tcp_sock *tp, struct sb_tcp_store *store)
{
	struct sb_tcp_look look;

	if (!sb_tcp_fitting_look(tp, store, &look)) {
		sb_count(SB_C_KEY_UNSETTLED);
		return;
	}
	sb_tcp_take_syn_out(&look, store->syn_counted);
	sb_tcp_allow_for_fin(&look);
	if (look.counts.bytes_sent < store->last.bytes_sent)
		look.counts.bytes_sent = store->last.bytes_sent;
	if (look.counts.bytes_received < store->last.bytes_received)
		look.counts.bytes_received = store->last.bytes_received;
	if (store->shown && !sb_read_every && sb_same_counts(&look.counts, &store->last))
		return;
	if (sb_tcp_write_reading(seq, tp, store, &look, &look.counts, 0))
		return;
	store->last = look.counts;
	store->shown = 1;
}

/*
 * The key of an adopted connection counts after two equal looks, of which the later one, or both alike, tells who
 * dialled. A look in the midst of a transmission half counts it: only what is seen while nobody holds the socket
 * counts at once.
 */
SB_INLINE bool sb_tcp_adopt_look(const struct tcp_sock *tp, struct sb_tcp_store *store)
{
	struct sb_tcp_look look;
	struct sb_tcp_key key;

	sb_tcp_look_at(tp, 0, false, &look);
	sb_tcp_key_adopted(&look, store->by_port, &key);
	if (sb_tcp_base_fits(store, &look) && (!look.busy || (!key.guessed && store->base_surplus == look.syn_surplus))) {
		store->dialler_isn = key.dialler_isn;
		store->acceptor_isn = key.acceptor_isn;
		store->role = key.role;
		store->syn_counted = key.syn_counted;
		store->guessed = key.guessed;
		if (key.syn_counted && store->base.bytes_sent)
			store->base.bytes_sent--;
		sb_barrier();
		store->settled = 1;
		return true;
	}
	sb_count(SB_C_KEY_UNSETTLED);
	if (!look.torn && !sb_tcp_base_fits(store, &look))
		sb_tcp_set_base(store, &look, true);
	else if (!look.torn && !key.guessed)
		store->base_surplus = look.syn_surplus;
	return false;
}

/* The first row of an adopted connection is its baseline: the look that was confirmed. */
SB_INLINE bool sb_tcp_show_baseline(struct seq_file *seq, const struct tcp_sock *tp, struct sb_tcp_store *store)
{
	struct sb_tcp_look look = {};

	if (sb_tcp_write_reading(seq, tp, store, &look, &store->base, store->base_ns))
		return false;
	return true;
}

SB_INLINE void sb_tcp_visit(struct seq_file *seq, const struct tcp_sock *tp, struct sb_tcp_store *store)
{
	if (store->stage == SB_STAGE_ADOPTED) {
		if (!store->settled && !sb_tcp_adopt_look(tp, store))
			return;
		/* Settled by the end of the connection: the row is on its way. */
		if (store->stage != SB_STAGE_ADOPTED)
			return;
		if (!store->shown && store->base_ns && !sb_tcp_show_baseline(seq, tp, store))
			return;
	} else if (store->stage != SB_STAGE_OPEN) {
		return;
	}
	sb_tcp_show(seq, tp, store);
}

/* Takes note of the TCP socket inside an MPTCP listener: the first packet that it gets finds the owner here. */
SB_INLINE void sb_tcp_on_mptcp_file(struct task_struct *task, struct sock *sk)
{
	const struct mptcp_sock___sb *mptcp = (const struct mptcp_sock___sb *)sk;
	struct sb_owner owner;
	__u64 address;

	if (sk->sk_protocol != SB_IPPROTO_MPTCP || sk->__sk_common.skc_state != TCP_LISTEN)
		return;
	address = (__u64)BPF_CORE_READ(mptcp, first);
	sb_owner_of(task, &owner);
	if (address && owner.tgid)
		bpf_map_update_elem(&mptcp_listeners, &address, &owner, BPF_NOEXIST);
}

/* An open file that is a TCP socket older than the collector: who has it, and where its counters stand. */
SB_INLINE void sb_tcp_on_file(struct task_struct *task, struct tcp_sock *tp)
{
	__u8 state = ((struct sock *)tp)->__sk_common.skc_state;
	bool refused = false, fresh = false;
	struct sb_tcp_store *store;
	struct sb_owner owner;

	if (state != TCP_LISTEN && !sb_tcp_is_connected(state))
		return;
	store = sb_tcp_store_of(tp);
	if (!store) {
		store = sb_tcp_store_new(tp, &refused);
		fresh = true;
	}
	if (!store)
		return;
	if (fresh && state == TCP_LISTEN)
		store->stage = SB_STAGE_LISTENER;
	else if (fresh)
		sb_tcp_begin_adopted(store, tp, 0);
	/* The oldest process that has it owns it, but init only if nobody else has it (socket activation). */
	if (store->tgid > 1)
		return;
	sb_owner_of(task, &owner);
	if (owner.tgid <= 1 && store->tgid)
		return;
	sb_tcp_set_owner(store, &owner);
	if (sb_is_inherited(task, (struct sock *)tp))
		store->flags |= SB_F_INHERITED;
}

#endif
