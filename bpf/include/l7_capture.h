/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Copies the heads of what is said on TCP connections into a ring of their own, for the addon to read. Positions come
 * from the sequence numbers: what is sent again, out of order, or in packets as large as the hooks see them before
 * they are cut (and after they are joined) has its one place in the stream.
 */
#ifndef SKYBRAID_L7_CAPTURE_H
#define SKYBRAID_L7_CAPTURE_H

#include "l7_frames.h"

#define SB_TCP_SYN 2

/* A TCP packet as the hooks see it. */
struct sb_l7_segment {
	__u64 cookie;
	__u32 seq;   /* of the first byte of payload */
	__u32 at;    /* of the payload, from the network header */
	__u32 length;
	__u32 ports; /* local in the high half */
	__u64 position; /* in the stream */
	__u32 slot;  /* of its entry among those that are read */
	bool in;
	bool syn;
};

/* From the network header. Packets beyond 64 KB have one extension header that says so. 0: it is not there. */
SB_INLINE __u32 sb_l7_tcp_at(struct __sk_buff *skb)
{
	const __u8 *data = (const __u8 *)(long)skb->data;
	bool v6 = skb->protocol == bpf_htons(SB_ETH_P_IPV6);
	__u8 byte;

	if (data + 20 <= (const __u8 *)(long)skb->data_end)
		byte = v6 ? data[6] : data[0];
	else if (bpf_skb_load_bytes(skb, v6 ? 6 : 0, &byte, 1))
		return 0;
	if (v6) {
		if (byte != SB_IPV6_HOP_BY_HOP)
			return 40;
		return bpf_skb_load_bytes(skb, 41, &byte, 1) ? 0 : 48 + byte * 8;
	}
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

	if (!at)
		return false;
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

/*
 * The packet that completes a handshake is still the listener's. If it has payload, that is the begin of a stream
 * whose socket comes next; the addon puts them together by the dialler's number and the ports.
 */
static __noinline void sb_l7_on_handshake(struct __sk_buff *skb, const struct sb_l7_segment *segment)
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

/* What a row says of its connection and packet. */
SB_INLINE void sb_l7_fill(struct sb_l7_row *row, const struct sb_l7_segment *segment, const struct sb_l7_stream *stream,
			  const struct sb_l7_half *half)
{
	row->cookie = segment->cookie;
	row->ns = bpf_ktime_get_ns();
	row->prior_end = half->end;
	row->offset = segment->position;
	row->length = segment->length;
	row->slot = segment->slot;
	row->generation = stream->generation;
	row->ports = segment->ports;
	row->in = segment->in;
	row->role = stream->role;
	row->guessed = stream->guessed;
}

/* Copies what there is from `from` on, as far as it may. Not inlined: a program and all it calls have 512 bytes of stack. */
static __noinline void sb_l7_copy(struct __sk_buff *skb, const struct sb_l7_segment *segment,
				  struct sb_l7_stream *stream, struct sb_l7_half *half, __u64 from)
{
	__u64 position = segment->position;
	__u64 end = position + segment->length;
	struct sb_l7_row row = {};
	__u32 most = half->most;

	sb_l7_fill(&row, segment, stream, half);
	half->to_frame = SB_L7_LOST;
	if (from >= end || half->run >= SB_L7_RUN) {
		if (end > half->end)
			half->end = end;
		half->passed_ns = row.ns;
		return;
	}
	/* If this packet holds the end of what is skipped, that passed now. */
	row.passed_ns = from > position ? 0 : half->passed_ns;
	row.offset = from;
	row.length = end - from;
	row.captured = row.length < most ? row.length : most;
	half->passed_ns = 0;
	half->run += row.captured;
	if (end > half->end)
		half->end = end;
	sb_l7_put(skb, &row, segment->at + (from - position));
}

/* The server says in one byte whether it goes on with TLS. */
SB_INLINE void sb_l7_expect_byte(struct sb_l7_half *half)
{
	if (half->to_frame != SB_L7_LOST) {
		half->to_frame++;
		half->to_copy++;
	}
}

/* Copies the begin of each frame, or everything if it is not known where frames begin. */
static __noinline void sb_l7_follow(struct __sk_buff *skb, const struct sb_l7_segment *segment,
				    struct sb_l7_stream *stream, struct sb_l7_half *half)
{
	struct sb_l7_walk walk = {.how = stream->how, .length = segment->length, .payload_at = segment->at};
	__u64 end = segment->position + segment->length;

	if (!segment->in && end <= half->end)
		return; /* sent again */
	sb_l7_fill(&walk.row, segment, stream, half);
	walk.to_server = segment->in == (stream->role == SB_ROLE_SERVER);
	sb_l7_walk_from(&walk, half, segment->position);
	for (__u32 i = 0; i < SB_L7_STEPS; i++)
		if (!sb_l7_step(skb, &walk))
			break;
	if (walk.at < walk.length) {
		walk.lost = 1;
		sb_count(SB_C_L7_CUT);
	}
	if (walk.to > walk.from)
		sb_l7_put_piece(skb, &walk, walk.length);
	if (walk.tls_asked)
		sb_l7_expect_byte(segment->in ? &stream->half[0] : &stream->half[1]);
	sb_l7_walk_to(&walk, half, end);
}

static __noinline void sb_l7_on_segment(struct __sk_buff *skb, __u32 state, bool in)
{
	struct sb_l7_segment segment = {.in = in};
	struct sb_l7_stream *stream;
	struct sb_l7_half *half;
	__u64 position;
	__s32 step;

	if (!sb_l7 || !sb_l7_parse(skb, &segment))
		return;
	if (in && state == TCP_LISTEN) {
		sb_l7_on_handshake(skb, &segment);
		return;
	}
	segment.cookie = bpf_get_socket_cookie(skb);
	stream = sb_l7_find(segment.cookie, &segment.slot);
	if (!stream)
		stream = sb_l7_begin(skb, &segment, &segment.slot);
	if (!stream || stream->how == SB_L7_UNREAD)
		return;
	half = &stream->half[in];
	if (!half->known) {
		sb_l7_learn(skb, stream);
		if (!half->known) {
			sb_count(SB_C_L7_MISPLACED);
			return;
		}
	}
	step = (__s32)(segment.seq - half->first - (__u32)half->end);
	position = segment.position = half->end + (__s64)step;
	if (step > SB_L7_STEP || step < -SB_L7_STEP) {
		sb_count(SB_C_L7_MISPLACED);
		return;
	}
	/* Before the beginning: a probe whether the peer is still there. */
	if ((__s64)position < 0)
		return;
	if (stream->last_in != in) {
		stream->last_in = in;
		half->run = 0;
	}
	if (position == 0 && stream->how == SB_L7_PACKETS)
		sb_l7_tell(skb, stream, segment.at, in);
	if (stream->how != SB_L7_PACKETS)
		sb_l7_follow(skb, &segment, stream, half);
	else
		sb_l7_copy(skb, &segment, stream, half, position < half->skip_until ? half->skip_until : position);
}

#endif
