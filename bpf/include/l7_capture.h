/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Copies the heads of what is said on TCP connections into a ring of their own, for the addon to read. Positions come
 * from the sequence numbers: what is sent again, out of order, or in packets as large as the hooks see them before
 * they are cut (and after they are joined) has its one place in the stream.
 */
#ifndef SKYBRAID_L7_CAPTURE_H
#define SKYBRAID_L7_CAPTURE_H

#include "l7_streams.h"

#define SB_TCP_SYN 2

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SB_L7_RING_BYTES);
} l7_ring SEC(".maps");

/* A TCP packet as the hooks see it. */
struct sb_l7_segment {
	__u64 cookie;
	__u32 seq;   /* of the first byte of payload */
	__u32 at;    /* of the payload, from the network header */
	__u32 length;
	__u32 ports; /* local in the high half */
	bool in;
	bool syn;
};

/* From the network header. Packets beyond 64 KB have one extension header that says so. */
SB_INLINE __u32 sb_l7_tcp_at(struct __sk_buff *skb)
{
	const __u8 *data = (const __u8 *)(long)skb->data;
	bool v6 = skb->protocol == bpf_htons(SB_ETH_P_IPV6);
	__u8 byte;

	if (data + 20 <= (const __u8 *)(long)skb->data_end)
		byte = v6 ? data[6] : data[0];
	else if (bpf_skb_load_bytes(skb, v6 ? 6 : 0, &byte, 1))
		return 0;
	if (v6)
		return byte == SB_IPV6_HOP_BY_HOP ? 48 : 40;
	return (byte & 15) * 4;
}

/* False: no payload. */
SB_INLINE bool sb_l7_parse(struct __sk_buff *skb, struct sb_l7_segment *segment)
{
	const __u8 *data = (const __u8 *)(long)skb->data;
	__u32 at = sb_l7_tcp_at(skb);
	__u32 header;
	struct {
		__be16 source;
		__be16 destination;
		__be32 seq;
		__be32 ack;
		__u8 offset;
		__u8 flags;
		__u8 rest[2];
	} tcp;

	if (data + at + sizeof(tcp) <= (const __u8 *)(long)skb->data_end)
		__builtin_memcpy(&tcp, data + at, sizeof(tcp));
	else if (bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp)))
		return false;
	header = at + (tcp.offset >> 4) * 4;
	if (skb->len <= header)
		return false;
	segment->at = header;
	segment->length = skb->len - header;
	segment->syn = tcp.flags & SB_TCP_SYN;
	segment->seq = bpf_ntohl(tcp.seq) + segment->syn;
	segment->ports = segment->in ? (__u32)bpf_ntohs(tcp.destination) << 16 | bpf_ntohs(tcp.source)
				     : (__u32)bpf_ntohs(tcp.source) << 16 | bpf_ntohs(tcp.destination);
	return true;
}

/* `room` is a constant: space in a ring can only be had in sizes known beforehand. */
SB_INLINE void sb_l7_put_in(struct __sk_buff *skb, const struct sb_l7_row *head, __u32 at, const __u64 room)
{
	struct sb_l7_row *row = bpf_ringbuf_reserve(&l7_ring, sizeof(*row) + room, 0);
	__u64 length = head->captured;

	if (!row) {
		sb_count(SB_C_L7_RING_FULL);
		return;
	}
	__builtin_memcpy(row, head, sizeof(*row));
	asm volatile("" : "+r"(length));
	if (length > 0 && length <= room && bpf_skb_load_bytes(skb, at, row->bytes, length) == 0)
		bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_discard(row, BPF_RB_NO_WAKEUP);
}

static __noinline void sb_l7_put(struct __sk_buff *skb, const struct sb_l7_row *head, __u32 at)
{
	if (head->captured <= 184)
		sb_l7_put_in(skb, head, at, 184);
	else if (head->captured <= 440)
		sb_l7_put_in(skb, head, at, 440);
	else if (head->captured <= SB_L7_ANSWER)
		sb_l7_put_in(skb, head, at, SB_L7_ANSWER);
	else
		sb_l7_put_in(skb, head, at, SB_L7_PIECE);
}

/*
 * The packet that completes a handshake is still the listener's. If it has payload, that is the begin of a stream
 * whose socket comes next; the addon puts them together by the dialler's number and the ports.
 */
SB_INLINE void sb_l7_on_handshake(struct __sk_buff *skb, const struct sb_l7_segment *segment)
{
	struct sb_l7_row row = {};

	row.ns = bpf_ktime_get_ns();
	row.length = segment->length;
	row.captured = segment->length < SB_L7_PIECE ? segment->length : SB_L7_PIECE;
	row.slot = SB_L7_NO_SLOT;
	row.ports = segment->ports;
	row.peer_isn = segment->seq - 1;
	row.in = 1;
	row.role = SB_ROLE_SERVER;
	sb_l7_put(skb, &row, segment->at);
}

/* The first payload of a connection. Of a dialler with Fast Open it goes with the SYN: only its own number is known. */
static __noinline struct sb_l7_stream *sb_l7_begin(struct __sk_buff *skb, const struct sb_l7_segment *segment,
						   __u32 *slot)
{
	struct sb_l7_stream fresh = {};
	struct sb_l7_stream *stream;
	struct bpf_sock *sk = skb->sk;
	__u32 state;
	bool first;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return NULL;
	state = sk->state;
	first = state == TCP_SYN_SENT && segment->syn && !segment->in;
	if (first) {
		sb_l7_set_first(&fresh.half[0], segment->seq, 0);
		fresh.role = SB_ROLE_CLIENT;
	} else if ((!sb_tcp_is_connected(state) && state != TCP_SYN_RECV) || !sb_l7_origin(sk, &fresh)) {
		return NULL;
	}
	fresh.last_in = !segment->in;
	fresh.half[0].most = fresh.role == SB_ROLE_SERVER && !fresh.guessed ? SB_L7_ANSWER : SB_L7_PIECE;
	fresh.half[1].most = fresh.role == SB_ROLE_CLIENT && !fresh.guessed ? SB_L7_ANSWER : SB_L7_PIECE;
	stream = sb_l7_claim(segment->cookie, slot);
	if (!stream) {
		sb_count(SB_C_L7_REFUSED);
		return NULL;
	}
	fresh.cookie = SB_L7_CLAIMED;
	__builtin_memcpy(stream, &fresh, sizeof(fresh));
	sb_barrier();
	stream->cookie = segment->cookie;
	return stream;
}

static __noinline void sb_l7_learn(struct __sk_buff *skb, struct sb_l7_stream *stream)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk || !stream)
		return;
	sk = bpf_sk_fullsock(sk);
	if (sk && sk->protocol == IPPROTO_TCP)
		sb_l7_origin(sk, stream);
}

/* Copies what there is from `from` on, as far as it may. */
SB_INLINE void sb_l7_copy(struct __sk_buff *skb, const struct sb_l7_segment *segment, struct sb_l7_stream *stream,
			  struct sb_l7_half *half, __u32 slot, __u64 position, __u64 from)
{
	__u64 end = position + segment->length;
	struct sb_l7_row row = {};
	__u32 most = half->most;

	row.cookie = segment->cookie;
	row.ns = bpf_ktime_get_ns();
	if (from >= end || half->run >= SB_L7_RUN) {
		if (end > half->end)
			half->end = end;
		half->passed_ns = row.ns;
		return;
	}
	/* If this packet holds the end of what is skipped, that passed now. */
	row.passed_ns = from > position ? 0 : half->passed_ns;
	row.offset = from;
	row.prior_end = half->end;
	row.length = end - from;
	row.captured = row.length < most ? row.length : most;
	row.slot = slot;
	row.generation = stream->generation;
	row.ports = segment->ports;
	row.in = segment->in;
	row.role = stream->role;
	row.guessed = stream->guessed;
	half->passed_ns = 0;
	half->run += row.captured;
	if (end > half->end)
		half->end = end;
	sb_l7_put(skb, &row, segment->at + (from - position));
}

SB_INLINE void sb_l7_on_segment(struct __sk_buff *skb, __u32 state, bool in)
{
	struct sb_l7_segment segment = {.in = in};
	struct sb_l7_stream *stream;
	struct sb_l7_half *half;
	__u64 position;
	__u32 slot;
	__s32 step;

	if (!sb_l7 || !sb_l7_parse(skb, &segment))
		return;
	if (in && state == TCP_LISTEN) {
		sb_l7_on_handshake(skb, &segment);
		return;
	}
	segment.cookie = bpf_get_socket_cookie(skb);
	stream = sb_l7_find(segment.cookie, &slot);
	if (!stream)
		stream = sb_l7_begin(skb, &segment, &slot);
	if (!stream || stream->order == SB_L7_UNREAD)
		return;
	half = &stream->half[in];
	if (!half->known) {
		sb_l7_learn(skb, stream);
		if (!half->known)
			return;
	}
	step = (__s32)(segment.seq - half->first - (__u32)half->end);
	position = half->end + (__s64)step;
	/* Before the beginning: a probe whether the peer is still there. */
	if (step > SB_L7_STEP || step < -SB_L7_STEP || (__s64)position < 0)
		return;
	if (stream->last_in != in) {
		stream->last_in = in;
		half->run = 0;
	}
	sb_l7_copy(skb, &segment, stream, half, slot, position,
		   position < half->skip_until ? half->skip_until : position);
}

#endif
