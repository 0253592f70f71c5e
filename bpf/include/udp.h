/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * UDP flows: what one socket exchanges with one remote endpoint, counted datagram by datagram in the packet hooks.
 *
 * The egress hook runs after address translation: a program on the host that asks a ClusterIP would send to the
 * backend and hear from the ClusterIP. So the remote of what is sent is where the program sent it: from the connected
 * socket, or from the sendmsg hook, which leaves the destination for the packet that follows on the same CPU.
 */
#ifndef SKYBRAID_UDP_H
#define SKYBRAID_UDP_H

#include "datagram.h"
#include "l7_datagram.h"
#include "owner.h"

/* What is remembered with each UDP socket. */
struct sb_udp_store {
	__u64 address;         /* of the socket in kernel memory */
	struct sb_udp_key key; /* of its latest flow */
	__u64 counts;          /* of the flow that moved last, of those that have a place; 0: none */
	struct sb_owner owner;
	__u32 from_birth;      /* seen when it was created: its first datagram can't have been missed */
};

struct sb_udp_destination {
	__u64 cookie; /* 0: taken */
	struct sb_addr addr;
	__u16 port;
	__u16 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sb_udp_store);
} udp_stores SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SB_UDP_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct sb_udp_key);
	__type(value, struct sb_udp_flow);
} udp_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SB_UDP_COUNTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sb_udp_counts);
} udp_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sb_udp_destination);
} udp_destination SEC(".maps");

/* How often the addon has read the flows: with it, a flow notes when it last moved, without asking for the time. */
__u32 sb_udp_pass SEC(".data.udp_pass") = 0;

/* Number of the latest flow: a flow that comes back after its entry was deleted is a new generation. */
__u32 sb_udp_generation = 0;

SB_INLINE bool sb_udp_take_destination(struct __sk_buff *skb, struct sb_udp_key *key)
{
	struct sb_udp_destination *to;
	__u32 zero = 0;

	to = bpf_map_lookup_elem(&udp_destination, &zero);
	if (!to || !to->cookie)
		return false;
	key->cookie = bpf_get_socket_cookie(skb);
	if (to->cookie != key->cookie)
		return false;
	key->remote = to->addr;
	key->remote_port = to->port;
	to->cookie = 0;
	return true;
}

SB_INLINE bool sb_same_addr(const struct sb_addr *a, const struct sb_addr *b)
{
	const __u64 *x = (const __u64 *)a->bytes;
	const __u64 *y = (const __u64 *)b->bytes;

	return x[0] == y[0] && x[1] == y[1];
}

/* A connected socket may still be told another destination; only then is there one waiting from the sendmsg hook. */
SB_INLINE void sb_udp_remote_of_sent(struct __sk_buff *skb, struct bpf_sock *sk, const struct sb_datagram *datagram,
				     struct sb_udp_key *key)
{
	if (sk->state == TCP_ESTABLISHED && sk->dst_port) {
		key->remote_port = bpf_ntohs(sk->dst_port);
		if (sk->family == AF_INET) {
			sb_addr_v4(&key->remote, *(volatile __be32 *)&sk->dst_ip4);
		} else {
			__u32 words[4] = {sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3]};

			__builtin_memcpy(&key->remote, words, sizeof(key->remote));
		}
		if (key->remote_port != datagram->destination_port ||
		    !sb_same_addr(&key->remote, &datagram->destination))
			sb_udp_take_destination(skb, key);
	} else if (!sb_udp_take_destination(skb, key)) {
		key->remote = datagram->destination;
		key->remote_port = datagram->destination_port;
	}
}

/*
 * Who began. The sender of the first datagram, if the socket was watched from its creation. Otherwise the end whose
 * port was not bound on purpose; if both seem to be bound, the one with the higher port, as a guess.
 */
SB_INLINE void sb_udp_role(struct sb_udp_flow *flow, const struct sb_udp_key *key, const struct sock *sk,
			   bool from_birth, bool in)
{
	bool bound;

	if (from_birth) {
		flow->role = in ? SB_ROLE_SERVER : SB_ROLE_CLIENT;
		return;
	}
	flow->flags |= SB_F_ADOPTED;
	bound = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SB_BINDPORT_LOCK;
	if (!bound) {
		flow->role = SB_ROLE_CLIENT;
		if (flow->local_port < key->remote_port)
			flow->flags |= SB_F_ROLE_GUESSED;
	} else if (flow->local_port < key->remote_port) {
		flow->role = SB_ROLE_SERVER;
	} else {
		flow->role = flow->local_port > key->remote_port || !in ? SB_ROLE_CLIENT : SB_ROLE_SERVER;
		flow->flags |= SB_F_ROLE_GUESSED;
	}
}

SB_INLINE void sb_udp_local(struct bpf_sock *sk, const struct sb_datagram *datagram, bool in,
			    struct sb_udp_flow *flow)
{
	__u32 words[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};

	flow->local_port = sk->src_port;
	if (in) {
		flow->local = datagram->destination;
	} else if (sk->family == AF_INET && sk->src_ip4) {
		sb_addr_v4(&flow->local, sk->src_ip4);
	} else if (sk->family == AF_INET6 && (words[0] | words[1] | words[2] | words[3])) {
		__builtin_memcpy(&flow->local, words, sizeof(flow->local));
	} else {
		flow->local = datagram->source;
	}
}

static __noinline struct sb_udp_flow *sb_udp_new_flow(struct __sk_buff *skb, const struct sb_datagram *datagram,
						      struct sb_udp_key *key, bool in)
{
	struct bpf_sock *sk = skb->sk;
	struct sb_udp_flow fresh = {};
	const struct sock *kernel_sk = NULL;
	struct sb_udp_store *store;
	long error;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_UDP)
		return NULL;
	store = bpf_sk_storage_get(&udp_stores, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	sb_udp_local(sk, datagram, in, &fresh);
	if (store) {
		/* Through memory, since the verifier lets nobody calculate with a socket's address. */
		store->address = (__u64)sk;
		sb_barrier();
		kernel_sk = (const struct sock *)store->address;
		store->key = *key;
		fresh.netns = BPF_CORE_READ(kernel_sk, __sk_common.skc_net.net, ns.inum);
		fresh.tgid = store->owner.tgid;
		__builtin_memcpy(fresh.comm, store->owner.comm, SB_COMM_LEN);
	}
	sb_udp_role(&fresh, key, kernel_sk, store && store->from_birth, in);
	fresh.family = datagram->family;
	fresh.pass = sb_udp_pass;
	fresh.cgroup_id = bpf_sk_cgroup_id(sk);
	fresh.opened_ns = bpf_ktime_get_ns();
	fresh.generation = __sync_fetch_and_add(&sb_udp_generation, 1) + 1;
	error = bpf_map_update_elem(&udp_flows, key, &fresh, BPF_NOEXIST);
	if (error && error != -SB_EEXIST)
		sb_count(SB_C_UDP_MAP_FULL);
	return bpf_map_lookup_elem(&udp_flows, key);
}

SB_INLINE struct sb_udp_counts *sb_udp_counts_of(__u64 id)
{
	__u32 place = sb_udp_place_of(id);
	struct sb_udp_counts *counts;

	if (!id)
		return NULL;
	counts = bpf_map_lookup_elem(&udp_counts, &place);
	return counts && counts->flow == id ? counts : NULL;
}

/* Datagrams of name servers need their flow's entry anyway. Another CPU may do the same for the same flow. */
static __noinline void sb_udp_take_place(struct sb_udp_flow *flow, const struct sb_udp_key *key)
{
	if (!flow || flow->counts || key->remote_port == SB_DNS_PORT || flow->local_port == SB_DNS_PORT)
		return;
	for (__u32 i = 0; i < SB_UDP_PROBES; i++) {
		__u32 place = sb_udp_place_of(flow->generation + i);
		__u64 id = (__u64)flow->generation << 32 | place;
		struct sb_udp_counts *counts = bpf_map_lookup_elem(&udp_counts, &place);

		if (!counts || __sync_val_compare_and_swap(&counts->flow, 0, SB_UDP_CLAIMED))
			continue;
		counts->remote = key->remote;
		counts->remote_port = key->remote_port;
		sb_barrier();
		counts->flow = __sync_val_compare_and_swap(&flow->counts, 0, id) ? 0 : id;
		return;
	}
}

/* The head of a question to a name server or of its answer, for the names of outside addresses. */
SB_INLINE void sb_dns_message(struct __sk_buff *skb, const struct sb_datagram *datagram, const struct sb_udp_key *key,
			      const struct sb_udp_flow *flow, bool in)
{
	__u64 length = datagram->payload_bytes;
	struct sb_dns_row *row;

	if (length < SB_DNS_HEADER_BYTES)
		return;
	row = sb_row_reserve(sizeof(*row));
	if (!row)
		return;
	__builtin_memset(&row->head, 0, sizeof(row->head));
	row->head.version = SB_ROW_VERSION;
	row->head.kind = SB_ROW_DNS;
	row->head.family = flow->family;
	row->head.role = flow->role;
	row->head.local = flow->local;
	row->head.local_port = flow->local_port;
	row->head.remote = key->remote;
	row->head.remote_port = key->remote_port;
	row->head.cookie = key->cookie;
	row->head.cgroup_id = flow->cgroup_id;
	row->head.opened_ns = flow->opened_ns;
	row->head.read_ns = bpf_ktime_get_ns();
	row->head.netns = flow->netns;
	row->head.tgid = flow->tgid;
	__builtin_memcpy(row->head.comm, flow->comm, SB_COMM_LEN);
	row->sent = !in;
	if (length > SB_DNS_BYTES)
		length = SB_DNS_BYTES;
	/* Older verifiers want to see both bounds right here, on the full register. */
	asm volatile("" : "+r"(length));
	if (length > 0 && length <= SB_DNS_BYTES && bpf_skb_load_bytes(skb, datagram->header_bytes, row->message, length) == 0) {
		row->length = length;
		sb_row_submit(row);
	} else {
		bpf_ringbuf_discard(row, BPF_RB_NO_WAKEUP);
	}
}

SB_INLINE struct sb_udp_flow *sb_udp_flow_of(struct __sk_buff *skb, const struct sb_datagram *datagram,
					     struct sb_udp_key *key, bool in)
{
	struct sb_udp_flow *flow;

	if (!key->cookie)
		key->cookie = bpf_get_socket_cookie(skb);
	flow = bpf_map_lookup_elem(&udp_flows, key);
	if (flow)
		return flow;
	flow = sb_udp_new_flow(skb, datagram, key, in);
	sb_udp_take_place(flow, key);
	return flow;
}

/* What name servers are asked and say. Not inlined: a program and all it calls have 512 bytes of stack, older kernels round up more. */
static __noinline void sb_udp_read(struct __sk_buff *skb, const struct sb_datagram *datagram,
				   const struct sb_udp_key *key, const struct sb_udp_flow *flow, bool in)
{
	if (!flow)
		return;
	if (key->remote_port == SB_DNS_PORT)
		sb_dns_message(skb, datagram, key, flow, in);
	sb_l7_on_datagram(skb, key, flow, datagram->header_bytes, datagram->payload_bytes, in);
}

#define sb_udp_count(where, bytes, segments, in)                                                                   \
	do {                                                                                                       \
		__sync_fetch_and_add((in) ? &(where)->bytes_received : &(where)->bytes_sent, bytes);               \
		__sync_fetch_and_add((in) ? &(where)->datagrams_received : &(where)->datagrams_sent, segments);    \
		(where)->pass = sb_udp_pass;                                                                       \
	} while (0)

/*
 * The next datagram of the flow that its socket had last is counted without a look-up in the table of flows, which
 * takes longer than all the rest. What the socket remembers is one number, so that it is never of two flows.
 */
static __noinline void sb_on_datagram(struct __sk_buff *skb, struct bpf_sock *sk, bool in)
{
	struct sb_udp_counts *counts = NULL;
	struct sb_datagram datagram;
	struct sb_udp_store *store;
	struct sb_udp_key key = {};
	struct sb_udp_flow *flow;
	__u32 segments;

	if (!sb_parse_datagram(skb, &datagram))
		return;
	if (in) {
		key.remote = datagram.source;
		key.remote_port = datagram.source_port;
	} else {
		sb_udp_remote_of_sent(skb, sk, &datagram, &key);
	}
	segments = skb->gso_segs;
	if (!segments)
		segments = 1;
	store = bpf_sk_storage_get(&udp_stores, sk, 0, 0);
	if (store)
		counts = sb_udp_counts_of(store->counts);
	if (counts && counts->remote_port == key.remote_port && sb_same_addr(&counts->remote, &key.remote)) {
		sb_udp_count(counts, datagram.payload_bytes, segments, in);
		return;
	}
	flow = sb_udp_flow_of(skb, &datagram, &key, in);
	if (!flow)
		return;
	counts = sb_udp_counts_of(flow->counts);
	if (counts) {
		sb_udp_count(counts, datagram.payload_bytes, segments, in);
		if (store)
			store->counts = flow->counts;
		return;
	}
	sb_udp_count(flow, datagram.payload_bytes, segments, in);
	sb_udp_read(skb, &datagram, &key, flow, in);
}

SB_INLINE void sb_udp_on_send(struct bpf_sock_addr *ctx, const struct sb_addr *addr, bool specific)
{
	struct sb_udp_destination *to;
	__u32 zero = 0;

	to = bpf_map_lookup_elem(&udp_destination, &zero);
	if (!to)
		return;
	to->addr = *addr;
	to->port = bpf_ntohs(ctx->user_port);
	to->cookie = specific ? bpf_get_socket_cookie(ctx) : 0;
}

SB_INLINE void sb_udp_on_create(struct bpf_sock *sk)
{
	struct sb_udp_store *store = bpf_sk_storage_get(&udp_stores, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!store)
		return;
	sb_owner_of(bpf_get_current_task_btf(), &store->owner);
	store->from_birth = 1;
}

/* A socket that an open file shows to be older than the collector: it may have flows already, but it has an owner. */
SB_INLINE void sb_udp_on_file(struct task_struct *task, struct sock *sk)
{
	struct sb_udp_store *store;
	struct sb_owner owner;

	if (sk->sk_protocol != IPPROTO_UDP ||
	    (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6) || !sb_in_scope(sk))
		return;
	store = bpf_sk_storage_get(&udp_stores, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!store || store->from_birth || store->owner.tgid > 1)
		return;
	sb_owner_of(task, &owner);
	/* The oldest process that has it owns it, but init only if nobody else has it (socket activation). */
	if (owner.tgid > 1 || !store->owner.tgid)
		store->owner = owner;
}

/* A socket's flows other than its latest end by idleness. */
SB_INLINE void sb_udp_on_release(struct bpf_sock *sk)
{
	struct sb_udp_store *store = bpf_sk_storage_get(&udp_stores, sk, 0, 0);
	struct sb_udp_flow *flow;
	struct sb_udp_key key;

	if (!store || !store->key.cookie)
		return;
	key = store->key;
	flow = bpf_map_lookup_elem(&udp_flows, &key);
	if (flow)
		flow->closed = 1;
}

#endif
