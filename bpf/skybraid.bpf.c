// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Entry points of the kernel programs. Stable hooks only: tracepoints, cgroup hooks, iterators. The loader leaves out
 * what this kernel does not have; the logic is in include/, one header per concern.
 */
#include "cgroup_made.h"
#include "packet.h"
#include "tcp_half_open.h"
#include "tcp_iterate.h"

char LICENSE[] SEC("license") = "GPL";

#ifdef SB_LINGER
/* For a test: so long in a program that others interrupt it, which it then does not get to see. */
static long sb_linger_a_little(__u32 index, __u64 *until)
{
	return bpf_ktime_get_ns() > *until;
}

SB_INLINE void sb_linger(void)
{
	__u64 until = bpf_ktime_get_ns() + SB_LINGER;

	bpf_loop(1 << 20, sb_linger_a_little, &until, 0);
}
#endif

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, const struct sock *sk, const int old_state, const int new_state)
{
	struct tcp_sock *tp;

	if (!sb_tcp_matters(old_state, new_state))
		return 0;
#ifdef SB_LINGER
	if (new_state == TCP_SYN_SENT)
		sb_linger();
#endif
	tp = bpf_skc_to_tcp_sock((void *)sk);
	if (tp)
		sb_tcp_on_state(tp, old_state, new_state);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_reset_received, struct sock *sk)
{
	sb_tcp_on_reset(sk, SB_F_RST_RECEIVED);
	return 0;
}

/* The socket may be missing (nothing listens there) or a mere placeholder; the storage helper sorts that out. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_reset_sent, const struct sock *sk)
{
	sb_tcp_on_reset(sk, SB_F_RST_SENT);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(tcp_synack_again, const struct sock *sk, const struct request_sock *req)
{
	sb_tcp_on_synack_again(sk, req);
	return 0;
}

SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(tcp_error, const struct sock *sk)
{
	struct sb_tcp_entry *entry = bpf_sk_storage_get(&tcp_stores, (void *)sk, 0, 0);
	struct sb_tcp_store *store = entry ? &entry->store : sb_tcp_dial_of(sk);

	if (store && sk->sk_err)
		store->sk_err = sk->sk_err;
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *cgroup, const char *path)
{
	sb_on_cgroup_made(cgroup, path);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int tcp_open_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sb_tcp_entry *entry = ctx->value;
	struct sock *sk = ctx->sk;
	struct tcp_sock *tp;

	if (!sk || !entry)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		sb_tcp_visit(ctx->meta->seq, tp, entry);
	return 0;
}

SEC("iter/bpf_map_elem")
int tcp_open_dials(struct bpf_iter__bpf_map_elem *ctx)
{
	struct sb_tcp_store *store = ctx->value;
	const __u64 *address = ctx->key;

	if (store && address)
		sb_tcp_visit_dial(ctx->meta->seq, *address, store);
	return 0;
}

SEC("iter/task_file")
int open_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	struct tcp_sock *tp;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		sb_tcp_on_file(task, tp);
	else
		sb_udp_on_file(task, sk);
	return 0;
}

SEC("iter/task_file")
int mptcp_listening(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (socket && socket->sk)
		sb_tcp_on_mptcp_file(task, socket->sk);
	return 0;
}

SEC("cgroup_skb/ingress")
int packet_in(struct __sk_buff *skb)
{
	sb_on_packet(skb, true);
	return 1;
}

SEC("cgroup_skb/egress")
int packet_out(struct __sk_buff *skb)
{
	sb_on_packet(skb, false);
	return 1;
}

SEC("cgroup/sendmsg4")
int udp_send4(struct bpf_sock_addr *ctx)
{
	struct sb_addr to;

	sb_addr_v4(&to, ctx->user_ip4);
	sb_udp_on_send(ctx, &to, ctx->user_ip4 != 0);
	return 1;
}

SEC("cgroup/sendmsg6")
int udp_send6(struct bpf_sock_addr *ctx)
{
	__u32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
	struct sb_addr to;

	__builtin_memcpy(&to, words, sizeof(to));
	sb_udp_on_send(ctx, &to, words[0] | words[1] | words[2] | words[3]);
	return 1;
}

SEC("cgroup/sock_create")
int udp_create(struct bpf_sock *sk)
{
	if (sk->protocol == IPPROTO_UDP)
		sb_udp_on_create(sk);
	return 1;
}

SEC("cgroup/sock_release")
int udp_release(struct bpf_sock *sk)
{
	if (sk->protocol == IPPROTO_UDP)
		sb_udp_on_release(sk);
	return 1;
}
