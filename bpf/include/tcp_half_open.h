/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The listener's view of a dial that may never complete. The kernel says when it repeats a SYN-ACK, but not when it
 * gives up; so each repetition makes a row, and user space keeps the last one per request until the next repetition
 * is overdue. If the connection completes meanwhile, its own row with the same key cancels it. That makes exactly one
 * half-open record per dial whose SYN-ACK went unanswered, and none for a dial that completes late. A dial that ends
 * before the first repetition (a reset answer, for one) is not seen here.
 */
#ifndef SKYBRAID_TCP_HALF_OPEN_H
#define SKYBRAID_TCP_HALF_OPEN_H

#include "tcp_row.h"

SB_INLINE void sb_request_addresses(const struct request_sock *req, struct sb_head *head)
{
	if (BPF_CORE_READ(req, __req_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&head->local, req, __req_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&head->remote, req, __req_common.skc_v6_daddr);
		head->family = sb_addr_is_v4(&head->remote) ? 4 : 6;
	} else {
		sb_addr_v4(&head->local, BPF_CORE_READ(req, __req_common.skc_rcv_saddr));
		sb_addr_v4(&head->remote, BPF_CORE_READ(req, __req_common.skc_daddr));
		head->family = 4;
	}
	head->local_port = BPF_CORE_READ(req, __req_common.skc_num);
	head->remote_port = bpf_ntohs(BPF_CORE_READ(req, __req_common.skc_dport));
}

SB_INLINE void sb_tcp_on_synack_again(const struct sock *listener, const struct request_sock *req)
{
	const struct tcp_request_sock *treq = (const struct tcp_request_sock *)req;
	struct sb_tcp_entry *entry = bpf_sk_storage_get(&tcp_stores, (void *)listener, 0, 0);
	struct sb_tcp_row *row;
	__u64 asked_us;

	/* Fast Open has a socket for it already, which tells its own story. */
	if (BPF_CORE_READ(treq, tfo_listener) || (!entry && !sb_in_scope(listener)))
		return;
	row = sb_row_reserve(sizeof(*row));
	if (!row)
		return;
	__builtin_memset(row, 0, sizeof(*row));
	sb_request_addresses(req, &row->head);
	row->head.version = SB_ROW_VERSION;
	row->head.kind = SB_ROW_TCP_HALF_OPEN;
	row->head.cgroup_id = sb_cgroup_id(listener);
	row->head.netns = sb_netns(listener);
	row->head.read_ns = bpf_ktime_get_ns();
	asked_us = BPF_CORE_READ(treq, snt_synack);
	row->head.opened_ns = asked_us ? asked_us * 1000 : row->head.read_ns;
	row->head.tcp_state = TCP_NEW_SYN_RECV;
	if (entry) {
		row->head.tgid = entry->store.tgid;
		__builtin_memcpy(row->head.comm, entry->store.comm, SB_COMM_LEN);
		row->head.flags = entry->store.flags & SB_F_INHERITED;
	}
	sb_tcp_row_key(row, BPF_CORE_READ(treq, rcv_isn), BPF_CORE_READ(treq, snt_isn), SB_ROLE_SERVER, false);
	row->retransmitted_segments = BPF_CORE_READ_BITFIELD_PROBED(req, num_timeout) + 1;
	sb_row_submit(row);
}

#endif
