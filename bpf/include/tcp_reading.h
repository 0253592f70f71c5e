/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * One look at a TCP socket's own counters, and what follows from it: payload each way, both initial sequence numbers,
 * and which end dialled.
 *
 * `bare`, always a constant: all there is of the socket is its address, as a number, and it may be gone. Then each
 * field is copied by a helper that can't fault, and the caller has to see for itself that it is still the same socket.
 *
 * At a state change the socket is locked and a look is exact. The iterator looks without the lock. The order of the
 * loads is chosen so that a look between two stores of the other CPU either fails to reproduce the connection's key,
 * and is taken again, or is one byte low (a FIN that is being counted), never high. The next look makes up for it.
 */
#ifndef SKYBRAID_TCP_READING_H
#define SKYBRAID_TCP_READING_H

#include "base.h"

struct sb_tcp_counts {
	__u64 bytes_sent;
	__u64 bytes_received;
	__u32 segments_sent;
	__u32 segments_received;
	__u32 data_segments_sent;
	__u32 data_segments_received;
	__u32 retransmitted_segments;
	__u32 out_of_order_segments;
};

/* Everything that was ever counted here is kept apart from what it means until the role is known. */
struct sb_tcp_look {
	struct sb_tcp_counts counts; /* bytes_sent still includes the SYN if it was counted */
	__u32 first_unacked;         /* snd_una - bytes_acked: own ISN of the dialler, one more at the acceptor */
	__u32 peer_isn;
	__s64 syn_surplus;           /* 1 at the dialler, 0 at the acceptor, else not to be trusted */
	bool fin_sent;
	bool fin_received;
	bool quiet;                  /* nothing unacknowledged, nothing unsent */
	bool busy;                   /* somebody holds the socket */
	bool torn;
};

struct sb_tcp_key {
	__u32 dialler_isn;
	__u32 acceptor_isn;
	__u8 role;
	bool guessed;
	bool syn_counted;            /* bytes_acked counts our SYN: we dialled, or both ends did */
};

#define sb_get(bare, from, field) ((bare) ? BPF_CORE_READ(from, field) : (from)->field)

SB_INLINE bool sb_is_held(const struct tcp_sock *tp, bool bare)
{
	const struct sock *sk = (const struct sock *)tp;

	if (sb_get(bare, sk, sk_lock.owned))
		return true;
	if (bpf_core_field_exists(sk->sk_lock.slock.rlock.raw_lock.val))
		return sb_get(bare, sk, sk_lock.slock.rlock.raw_lock.val.counter) != 0;
	return false;
}

/* States in which our FIN is sent or about to be. */
SB_INLINE bool sb_tcp_is_closing(__u8 state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING || state == TCP_LAST_ACK;
}

/* `state` is the state to assume (the one before a transition), 0 to take the socket's. `locked`: it can't move. */
SB_INLINE void sb_tcp_look_from(const struct tcp_sock *tp, bool bare, __u8 state, bool locked,
				struct sb_tcp_look *look)
{
	const struct sock *sk = (const struct sock *)tp;
	__u64 acked, received, transmitted, repeated;
	__u32 una, rcv_nxt, snd_nxt, write_seq, in_flight;
	unsigned long flags;

	acked = sb_get(bare, tp, bytes_acked);
	sb_barrier();
	una = sb_get(bare, tp, snd_una);
	sb_barrier();
	received = sb_get(bare, tp, bytes_received);
	sb_barrier();
	rcv_nxt = sb_get(bare, tp, rcv_nxt);
	sb_barrier();
	transmitted = sb_get(bare, tp, bytes_sent);
	repeated = sb_get(bare, tp, bytes_retrans);
	sb_barrier();
	snd_nxt = sb_get(bare, tp, snd_nxt);
	sb_barrier();
	write_seq = sb_get(bare, tp, write_seq);
	sb_barrier();
	look->busy = !locked && sb_is_held(tp, bare);
	sb_barrier();
	if (!state)
		state = sb_get(bare, sk, __sk_common.skc_state);
	flags = sb_get(bare, sk, __sk_common.skc_flags);

	in_flight = snd_nxt - una;
	look->torn = in_flight > 0x7fffffff;
	look->fin_sent = sb_tcp_is_closing(state) && snd_nxt == write_seq;
	look->fin_received = flags & (1ul << bpf_core_enum_value(enum sock_flags, SOCK_DONE));
	look->quiet = una == write_seq;
	look->first_unacked = una - (__u32)acked;
	look->peer_isn = rcv_nxt - (__u32)received - 1;
	look->counts.bytes_sent = acked + in_flight - look->fin_sent;
	look->counts.bytes_received = received;
	if (received && look->fin_received)
		look->counts.bytes_received--;
	look->syn_surplus = (__s64)(look->counts.bytes_sent - (transmitted - repeated));
	look->counts.segments_sent = sb_get(bare, tp, segs_out);
	look->counts.segments_received = sb_get(bare, tp, segs_in);
	look->counts.data_segments_sent = sb_get(bare, tp, data_segs_out);
	look->counts.data_segments_received = sb_get(bare, tp, data_segs_in);
	look->counts.retransmitted_segments = sb_get(bare, tp, total_retrans);
	look->counts.out_of_order_segments = sb_get(bare, tp, rcv_ooopack);
}

SB_INLINE void sb_tcp_look_at(const struct tcp_sock *tp, __u8 state, bool locked, struct sb_tcp_look *look)
{
	sb_tcp_look_from(tp, false, state, locked, look);
}

/* While somebody holds the socket, a FIN may be counted already but not yet be marked as one. */
SB_INLINE void sb_tcp_allow_for_fin(struct sb_tcp_look *look)
{
	if (look->busy && !look->fin_received && look->counts.bytes_received)
		look->counts.bytes_received--;
}

/* Takes the SYN out of the payload, once it is known whether it is in. */
SB_INLINE void sb_tcp_take_syn_out(struct sb_tcp_look *look, bool syn_counted)
{
	if (syn_counted && look->counts.bytes_sent)
		look->counts.bytes_sent--;
}

/* The key as this end sees it, once it is known whether our SYN is counted. Both ends dialled: the smaller ISN did. */
SB_INLINE void sb_tcp_key_from(const struct sb_tcp_look *look, bool syn_counted, bool both_dialled,
			       struct sb_tcp_key *key)
{
	__u32 own = look->first_unacked - (syn_counted ? 0 : 1);
	bool client = both_dialled ? own <= look->peer_isn : syn_counted;

	key->syn_counted = syn_counted;
	key->role = client ? SB_ROLE_CLIENT : SB_ROLE_SERVER;
	key->dialler_isn = client ? own : look->peer_isn;
	key->acceptor_isn = client ? look->peer_isn : own;
}

/*
 * Who dialled, told from the port when the counters can't: connect() leaves its own mark on the port it picked, and a
 * port that was bound on purpose is a dialler's only if this very socket bound it.
 */
SB_INLINE __u8 sb_role_by_port(const struct tcp_sock *tp)
{
	struct inet_bind_bucket *bucket = tp->inet_conn.icsk_bind_hash;
	const struct sock *sk = (const struct sock *)tp;

	if (bucket && (signed char)BPF_CORE_READ(bucket, fastreuse) < 0)
		return SB_ROLE_CLIENT;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SB_BINDPORT_LOCK)
		return SB_ROLE_CLIENT;
	return SB_ROLE_SERVER;
}

/* The key of a connection whose beginning was not seen. `by_port` decides if the counters can't. */
SB_INLINE void sb_tcp_key_adopted(const struct sb_tcp_look *look, __u8 by_port, struct sb_tcp_key *key)
{
	bool trusted = look->syn_surplus == 0 || look->syn_surplus == 1;

	key->guessed = !trusted;
	sb_tcp_key_from(look, trusted ? look->syn_surplus == 1 : by_port == SB_ROLE_CLIENT, false, key);
}

#endif
