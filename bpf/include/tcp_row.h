/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Fills rows of TCP sockets. */
#ifndef SKYBRAID_TCP_ROW_H
#define SKYBRAID_TCP_ROW_H

#include "tcp_store.h"

SB_INLINE void sb_tcp_addresses(const struct tcp_sock *tp, bool bare, struct sb_head *head)
{
	const struct sock *sk = (const struct sock *)tp;

	if (sb_get(bare, sk, __sk_common.skc_family) == AF_INET6) {
		if (bare) {
			BPF_CORE_READ_INTO(&head->local, sk, __sk_common.skc_v6_rcv_saddr);
			BPF_CORE_READ_INTO(&head->remote, sk, __sk_common.skc_v6_daddr);
		} else {
			__builtin_memcpy(&head->local, &sk->__sk_common.skc_v6_rcv_saddr, sizeof(head->local));
			__builtin_memcpy(&head->remote, &sk->__sk_common.skc_v6_daddr, sizeof(head->remote));
		}
		head->family = sb_addr_is_v4(&head->remote) ? 4 : 6;
	} else {
		sb_addr_v4(&head->local, sb_get(bare, sk, __sk_common.skc_rcv_saddr));
		sb_addr_v4(&head->remote, sb_get(bare, sk, __sk_common.skc_daddr));
		head->family = 4;
	}
	/* The port number in the socket's common part is already released when it closes; this one stays. */
	head->local_port = bpf_ntohs(sb_get(bare, tp, inet_conn.icsk_inet.inet_sport));
	head->remote_port = bpf_ntohs(sb_get(bare, sk, __sk_common.skc_dport));
}

/* A store that is asked for with `bare` knows the cookie and the cgroup. */
SB_INLINE void sb_tcp_head(struct sb_head *head, const struct tcp_sock *tp, bool bare, const struct sb_tcp_store *store,
			   __u8 kind)
{
	const struct sock *sk = (const struct sock *)tp;

	head->version = SB_ROW_VERSION;
	head->kind = kind;
	head->cookie = bare || store->cookie ? store->cookie : bpf_get_socket_cookie((void *)sk);
	if (bare || store->cgroup_id) {
		__u64 cgroup_id = store->cgroup_id;
		__u32 netns = store->netns;

		/* Else both branches load through one instruction, which the verifier does not have. */
		barrier_var(cgroup_id);
		barrier_var(netns);
		head->cgroup_id = cgroup_id;
		head->netns = netns;
	} else {
		head->cgroup_id = sb_cgroup_id(sk);
		head->netns = sb_netns(sk);
	}
	head->read_ns = bpf_ktime_get_ns();
	head->opened_ns = store->opened_ns ? store->opened_ns : head->read_ns;
	head->tgid = store->tgid;
	__builtin_memcpy(head->comm, store->comm, SB_COMM_LEN);
	head->generation = store->generation;
	head->flags = store->flags;
	head->role = store->role;
	head->tcp_state = 0;
	head->sk_err = 0;
	sb_tcp_addresses(tp, bare, head);
}

SB_INLINE void sb_tcp_counts_to(struct sb_tcp_row *row, const struct sb_tcp_counts *counts)
{
	row->bytes_sent = counts->bytes_sent;
	row->bytes_received = counts->bytes_received;
	row->segments_sent = counts->segments_sent;
	row->segments_received = counts->segments_received;
	row->data_segments_sent = counts->data_segments_sent;
	row->data_segments_received = counts->data_segments_received;
	row->retransmitted_segments = counts->retransmitted_segments;
	row->out_of_order_segments = counts->out_of_order_segments;
}

/* Everything but the counts and the key. */
SB_INLINE void sb_tcp_describe_from(struct sb_tcp_row *row, const struct tcp_sock *tp, bool bare,
				    const struct sb_tcp_store *store, const struct sb_tcp_look *look, __u8 kind)
{
	__u32 min_rtt = sb_get(bare, tp, rtt_min.s[0].v);

	sb_tcp_head(&row->head, tp, bare, store, kind);
	if (look->quiet)
		row->head.flags |= SB_F_QUIET;
	if (look->fin_sent)
		row->head.flags |= SB_F_FIN_SENT;
	if (look->fin_received)
		row->head.flags |= SB_F_FIN_RECEIVED;
	if (bpf_core_field_exists(tp->is_mptcp) && sb_get(bare, tp, is_mptcp))
		row->head.flags |= SB_F_MPTCP;
	row->handshake_us = store->handshake_us;
	row->srtt_us = sb_get(bare, tp, srtt_us) >> 3;
	row->min_rtt_us = min_rtt == ~0u ? 0 : min_rtt;
	row->pad = 0;
}

SB_INLINE void sb_tcp_describe(struct sb_tcp_row *row, const struct tcp_sock *tp, const struct sb_tcp_store *store,
			       const struct sb_tcp_look *look, __u8 kind)
{
	sb_tcp_describe_from(row, tp, false, store, look, kind);
}

SB_INLINE void sb_tcp_row_key(struct sb_tcp_row *row, __u32 dialler_isn, __u32 acceptor_isn, __u8 role, bool guessed)
{
	row->dialler_isn = dialler_isn;
	row->acceptor_isn = acceptor_isn;
	row->head.role = role;
	row->head.flags |= SB_F_KEY_VALID;
	if (guessed)
		row->head.flags |= SB_F_ROLE_GUESSED | (role == SB_ROLE_SERVER ? SB_F_LISTEN_PORT : 0);
}

#endif
