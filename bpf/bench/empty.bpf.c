// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Programs that do nothing: what the kernel's own accounting of a run costs, to be taken off in measurements. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup_skb/ingress")
int empty_in(struct __sk_buff *skb)
{
	return 1;
}

SEC("cgroup_skb/egress")
int empty_out(struct __sk_buff *skb)
{
	return 1;
}

SEC("cgroup/sendmsg4")
int empty_send4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(empty_state, const struct sock *sk, const int old_state, const int new_state)
{
	return 0;
}
