// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Programs that do nothing: what the kernel accounts to them is the cost of being called and of accounting. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/inet_sock_set_state")
int empty_tracepoint(void *ctx)
{
	return 0;
}

SEC("cgroup_skb/egress")
int empty_egress(struct __sk_buff *skb)
{
	return 1;
}

SEC("cgroup_skb/ingress")
int empty_ingress(struct __sk_buff *skb)
{
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
