/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Readings of open sockets, taken by iterators without the socket's lock. Only what changed leaves the kernel. */
#ifndef SKYBRAID_TCP_ITERATE_H
#define SKYBRAID_TCP_ITERATE_H

#include "adopt.h"
#include "tcp_lifecycle.h"

/* No segment came or went since it was last shown: then no counter moved either. */
SB_INLINE bool sb_tcp_is_still(const struct tcp_sock *tp, bool bare, const struct sb_tcp_store *store)
{
	return store->shown == SB_SHOWN && !sb_read_every && store->last.segments_sent == sb_get(bare, tp, segs_out) &&
	       store->last.segments_received == sb_get(bare, tp, segs_in);
}

SB_INLINE bool sb_same_counts(const struct sb_tcp_counts *a, const struct sb_tcp_counts *b)
{
	return a->bytes_sent == b->bytes_sent && a->bytes_received == b->bytes_received &&
	       a->segments_sent == b->segments_sent && a->segments_received == b->segments_received &&
	       a->retransmitted_segments == b->retransmitted_segments &&
	       a->out_of_order_segments == b->out_of_order_segments;
}

/* A look that reproduces the key that the connection is known by. */
SB_INLINE bool sb_tcp_fitting_look(const struct tcp_sock *tp, bool bare, const struct sb_tcp_store *store,
				   struct sb_tcp_look *look)
{
	__u32 own = store->role == SB_ROLE_CLIENT ? store->dialler_isn : store->acceptor_isn;
	__u32 peer = store->role == SB_ROLE_CLIENT ? store->acceptor_isn : store->dialler_isn;
	__u32 first_unacked = own + (store->syn_counted ? 0 : 1);

	for (int i = 0; i < SB_READ_ATTEMPTS; i++) {
		sb_tcp_look_from(tp, bare, 0, false, look);
		if (!look->torn && look->first_unacked == first_unacked && look->peer_isn == peer)
			return true;
	}
	return false;
}

SB_INLINE int sb_tcp_write_reading(struct seq_file *seq, const struct tcp_sock *tp, bool bare,
				   const struct sb_tcp_store *store, const struct sb_tcp_look *look,
				   const struct sb_tcp_counts *counts, __u64 read_ns)
{
	struct sb_tcp_row row = {};

	sb_tcp_describe_from(&row, tp, bare, store, look, SB_ROW_TCP_READING);
	sb_tcp_row_key(&row, store->dialler_isn, store->acceptor_isn, store->role, store->guessed);
	sb_tcp_counts_to(&row, counts);
	row.head.tcp_state = sb_get(bare, (const struct sock *)tp, __sk_common.skc_state);
	if (read_ns) {
		row.head.read_ns = read_ns;
		row.head.flags &= ~(SB_F_QUIET | SB_F_FIN_SENT | SB_F_FIN_RECEIVED);
	}
	return bpf_seq_write(seq, &row, sizeof(row));
}

/* Is what a bare address leads to still the socket that the store is about? */
SB_INLINE bool sb_tcp_is_the_same(const struct tcp_sock *tp, bool bare, __u64 cookie)
{
	return !bare || BPF_CORE_READ((const struct sock *)tp, __sk_common.skc_cookie.counter) == cookie;
}

/* A row that found no room in the reader's buffer is shown again by the kernel: remember only what went out. */
SB_INLINE void sb_tcp_show(struct seq_file *seq, const struct tcp_sock *tp, bool bare, struct sb_tcp_store *store,
			   __u64 cookie)
{
	struct sb_tcp_look look;

	if (sb_tcp_is_still(tp, bare, store))
		return;
	if (!sb_tcp_fitting_look(tp, bare, store, &look) || !sb_tcp_is_the_same(tp, bare, cookie)) {
		sb_count(SB_C_KEY_UNSETTLED);
		return;
	}
	sb_tcp_take_syn_out(&look, store->syn_counted);
	sb_tcp_allow_for_fin(&look);
	if (look.counts.bytes_sent < store->last.bytes_sent)
		look.counts.bytes_sent = store->last.bytes_sent;
	if (look.counts.bytes_received < store->last.bytes_received)
		look.counts.bytes_received = store->last.bytes_received;
	if (store->shown && !sb_read_every && sb_same_counts(&look.counts, &store->last)) {
		store->shown = look.busy ? SB_SHOWN_BUSY : SB_SHOWN;
		return;
	}
	if (sb_tcp_write_reading(seq, tp, bare, store, &look, &look.counts, 0))
		return;
	store->last = look.counts;
	store->shown = look.busy ? SB_SHOWN_BUSY : SB_SHOWN;
}

/*
 * The key of an adopted connection counts after two equal looks, of which the later one, or both alike, tells who
 * dialled. A look in the midst of a transmission half counts it: only what is seen while nobody holds the socket
 * counts at once.
 */
SB_INLINE bool sb_tcp_adopt_look(const struct tcp_sock *tp, struct sb_tcp_entry *entry)
{
	struct sb_tcp_baseline *base = &entry->base;
	struct sb_tcp_store *store = &entry->store;
	struct sb_tcp_look look;
	struct sb_tcp_key key;

	sb_tcp_look_at(tp, 0, false, &look);
	sb_tcp_key_adopted(&look, store->by_port, &key);
	if (sb_tcp_base_fits(base, &look) && (!look.busy || (!key.guessed && base->surplus == look.syn_surplus))) {
		store->dialler_isn = key.dialler_isn;
		store->acceptor_isn = key.acceptor_isn;
		store->role = key.role;
		store->syn_counted = key.syn_counted;
		store->guessed = key.guessed;
		if (key.syn_counted && base->counts.bytes_sent)
			base->counts.bytes_sent--;
		sb_barrier();
		store->settled = 1;
		return true;
	}
	sb_count(SB_C_KEY_UNSETTLED);
	if (!look.torn && !sb_tcp_base_fits(base, &look))
		sb_tcp_set_base(base, &look, true);
	else if (!look.torn && !key.guessed)
		base->surplus = look.syn_surplus;
	return false;
}

/* The first row of an adopted connection is its baseline: the look that was confirmed. */
SB_INLINE bool sb_tcp_show_baseline(struct seq_file *seq, const struct tcp_sock *tp, struct sb_tcp_entry *entry)
{
	struct sb_tcp_look look = {};

	return sb_tcp_write_reading(seq, tp, false, &entry->store, &look, &entry->base.counts, entry->base.ns) == 0;
}

/*
 * A socket is closed and its end was not shown to us: it came while the same program was at work on this CPU, and the
 * kernel does not run a program inside itself. Stages change under the socket's lock, before the state does; so what
 * is seen while nobody holds the socket is what will stay. The state before the end is not known.
 */
SB_INLINE bool sb_tcp_end_was_missed(const struct tcp_sock *tp, bool bare, const struct sb_tcp_store *store)
{
	__u8 stage = store->stage;
	bool held;

	if (stage != SB_STAGE_DIALLING && stage != SB_STAGE_OPEN)
		return false;
	if (sb_get(bare, (const struct sock *)tp, __sk_common.skc_state) != TCP_CLOSE)
		return false;
	sb_barrier();
	held = sb_is_held(tp, bare);
	sb_barrier();
	return !held && *(volatile __u8 *)&store->stage == stage &&
	       sb_get(bare, (const struct sock *)tp, __sk_common.skc_state) == TCP_CLOSE;
}

/* The row that the end would have made. What is left of the socket tells it, but for the state it was in. */
SB_INLINE bool sb_tcp_make_up(struct seq_file *seq, const struct tcp_sock *tp, bool bare, struct sb_tcp_store *store)
{
	const struct sock *sk = (const struct sock *)tp;
	bool failed = store->stage == SB_STAGE_DIALLING;
	struct sb_tcp_row row = {};
	struct sb_tcp_look look;

	sb_tcp_look_from(tp, bare, TCP_CLOSE, true, &look);
	sb_tcp_take_syn_out(&look, failed || store->syn_counted);
	/* One more was acknowledged than was ever sent: our FIN. */
	if (!failed && look.syn_surplus == 1 + store->syn_counted) {
		look.fin_sent = true;
		look.counts.bytes_sent--;
	}
	sb_tcp_describe_from(&row, tp, bare, store, &look, failed ? SB_ROW_TCP_FAILED : SB_ROW_TCP_CLOSED);
	if (!failed)
		sb_tcp_row_key(&row, store->dialler_isn, store->acceptor_isn, store->role, store->guessed);
	else if (look.counts.segments_sent)
		sb_tcp_row_key(&row, look.first_unacked, 0, SB_ROLE_CLIENT, false);
	else
		look.counts.bytes_sent = 0;
	if (failed)
		row.head.role = SB_ROLE_CLIENT;
	if (look.counts.retransmitted_segments)
		row.head.flags |= failed ? SB_F_SYN_RETRANSMITTED : 0;
	sb_tcp_counts_to(&row, &look.counts);
	row.head.tcp_state = failed ? TCP_SYN_SENT : TCP_CLOSE;
	row.head.sk_err = sb_get(bare, sk, sk_err);
	if (!row.head.sk_err)
		row.head.sk_err = store->sk_err ? store->sk_err : sb_get(bare, sk, sk_err_soft);
	if (bpf_seq_write(seq, &row, sizeof(row)))
		return false;
	sb_count(SB_C_MADE_UP_FOR);
	return true;
}

SB_INLINE void sb_tcp_visit(struct seq_file *seq, const struct tcp_sock *tp, struct sb_tcp_entry *entry)
{
	struct sb_tcp_store *store = &entry->store;

	if (sb_tcp_end_was_missed(tp, false, store)) {
		if (sb_tcp_make_up(seq, tp, false, store))
			store->stage = SB_STAGE_ENDED;
		return;
	}
	if (store->stage == SB_STAGE_ADOPTED) {
		if (!store->settled && !sb_tcp_adopt_look(tp, entry))
			return;
		/* Settled by the end of the connection: the row is on its way. */
		if (store->stage != SB_STAGE_ADOPTED)
			return;
		if (!store->shown && entry->base.ns && !sb_tcp_show_baseline(seq, tp, entry))
			return;
	} else if (store->stage != SB_STAGE_OPEN) {
		return;
	}
	sb_tcp_show(seq, tp, false, store, 0);
}

/*
 * A dialler, known by its address. Its entry may be taken out and used for another socket at any moment: then the
 * cookie in it has changed, and what was noted of the showing is taken back.
 */
SB_INLINE void sb_tcp_visit_dial(struct seq_file *seq, __u64 address, struct sb_tcp_store *store)
{
	const struct tcp_sock *tp = (const struct tcp_sock *)address;
	__u64 cookie = *(volatile __u64 *)&store->cookie;
	bool gone = !sb_tcp_is_the_same(tp, true, cookie);

	/* Gone without its end having been shown, else the entry would have been taken out first. */
	if (gone || sb_tcp_end_was_missed(tp, true, store)) {
		if (*(volatile __u64 *)&store->cookie == cookie && (gone || sb_tcp_make_up(seq, tp, true, store)))
			bpf_map_delete_elem(&tcp_dials, &address);
		return;
	}
	if (store->stage != SB_STAGE_OPEN)
		return;
	sb_tcp_show(seq, tp, true, store, cookie);
	sb_barrier();
	if (*(volatile __u64 *)&store->cookie != cookie) {
		store->shown = SB_SHOWN_NEVER;
		__builtin_memset(&store->last, 0, sizeof(store->last));
	}
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
	struct sb_tcp_entry *entry;
	struct sb_owner owner;

	if (state != TCP_LISTEN && !sb_tcp_is_connected(state))
		return;
	entry = sb_tcp_entry_of(tp);
	if (!entry) {
		if (sb_tcp_dial_of(tp))
			return;
		entry = sb_tcp_entry_new(tp, &refused);
		fresh = true;
	}
	if (!entry)
		return;
	if (fresh && state == TCP_LISTEN)
		entry->store.stage = SB_STAGE_LISTENER;
	else if (fresh)
		sb_tcp_begin_adopted(entry, tp, 0);
	/* The oldest process that has it owns it, but init only if nobody else has it (socket activation). */
	if (entry->store.tgid > 1)
		return;
	sb_owner_of(task, &owner);
	if (owner.tgid <= 1 && entry->store.tgid)
		return;
	sb_tcp_set_owner(&entry->store, &owner);
	if (sb_is_inherited(task, (struct sock *)tp))
		entry->store.flags |= SB_F_INHERITED;
}

#endif
