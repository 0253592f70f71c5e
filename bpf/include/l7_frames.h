/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Protocols whose messages say how long they are: from head to head through each packet, so that of many messages in
 * one packet the begin of each is copied, and of their bodies nothing. What a frame says is not looked at, but for how
 * much of its kind is wanted.
 *
 * Where the next frame begins is lost with a gap in the stream, or with what is no frame. Then everything is copied,
 * as far as one turn of the conversation may, until the addon, which has read it, says where a frame begins.
 */
#ifndef SKYBRAID_L7_FRAMES_H
#define SKYBRAID_L7_FRAMES_H

#include "l7_ring.h"

#define SB_L7_FURTHEST (1u << 30)

/* The way through one packet. Places count from its first byte of payload. */
struct sb_l7_walk {
	__u32 payload_at;
	__u32 length;
	__u32 at;     /* next head, or the rest of one */
	__u32 from;   /* bytes to copy that are in no piece yet */
	__u32 to;
	__u32 beyond; /* to copy in the next packet */
	__u32 run;
	__u32 most_run;
	__u8 head[8];
	__u8 have; /* of a head that began in an earlier packet */
	__u8 how;
	__u8 to_server;
	__u8 lost;
	__u8 tls_asked;
	__u8 put; /* there is a piece of this packet */
	__u8 pad[6];
	struct sb_l7_row row; /* of the packet; each piece has its own offset and length */
};

/* What a head says. */
struct sb_l7_frame {
	__u32 bytes;  /* head and all */
	__u32 wanted; /* of them, from the begin */
};

#define SB_L7_HEAD_PART 1 /* more of the head is in the next packet */
#define SB_L7_NO_HEAD 2

SB_INLINE __u32 sb_l7_be32(const __u8 *b)
{
	return (__u32)b[0] << 24 | (__u32)b[1] << 16 | (__u32)b[2] << 8 | b[3];
}

/* Headers have to be whole: what they leave out is in the ones before. */
SB_INLINE int sb_l7_http2_frame(const __u8 *head, __u32 have, struct sb_l7_frame *frame)
{
	__u32 length;

	if (have < 4)
		return SB_L7_HEAD_PART;
	length = sb_l7_be32(head) >> 8;
	frame->bytes = 9 + length;
	/* Of data the head of a gRPC message, which says whether another one follows. */
	frame->wanted = head[3] == 0 ? 14 : head[3] > 9 ? 9 : frame->bytes;
	if (frame->wanted > frame->bytes)
		frame->wanted = frame->bytes;
	/* The preface: "PRI " and 20 bytes more. */
	if (head[0] == 'P' && head[1] == 'R' && head[2] == 'I')
		frame->bytes = frame->wanted = 24;
	else if (length > 1 << 20)
		return SB_L7_NO_HEAD;
	return 0;
}

/* Those of a startup have no type but a zero, the high byte of their length. */
SB_INLINE int sb_l7_postgres_frame(const __u8 *head, __u32 have, struct sb_l7_frame *frame, bool to_server)
{
	__u32 most = to_server ? SB_L7_PIECE : 512;
	__u32 length;

	if (have < 5)
		return SB_L7_HEAD_PART;
	if (!head[0]) {
		length = sb_l7_be32(head);
		if (!to_server || length < 8 || length > 10000)
			return SB_L7_NO_HEAD;
	} else {
		length = sb_l7_be32(head + 1);
		if (length < 4 || length > SB_L7_FURTHEST / 2)
			return SB_L7_NO_HEAD;
		length++;
		if (head[0] == 'd' || (!to_server && (head[0] == 'D' || head[0] == 'T')))
			most = 5;
	}
	frame->bytes = length;
	frame->wanted = length < most ? length : most;
	return 0;
}

SB_INLINE int sb_l7_mysql_frame(const __u8 *head, __u32 have, struct sb_l7_frame *frame, bool to_server)
{
	__u32 most = SB_L7_PIECE;

	if (have < 4)
		return SB_L7_HEAD_PART;
	/* A greeting up to its capabilities; of the rest how it ends, which an OK says within 23 bytes. */
	if (!to_server)
		most = head[3] ? 28 : 128;
	frame->bytes = 4 + (head[0] | (__u32)head[1] << 8 | (__u32)head[2] << 16);
	frame->wanted = frame->bytes < most ? frame->bytes : most;
	return 0;
}

SB_INLINE int sb_l7_frame_of(const struct sb_l7_walk *walk, __u32 have, struct sb_l7_frame *frame)
{
	if (walk->how == SB_L7_HTTP2)
		return sb_l7_http2_frame(walk->head, have, frame);
	if (walk->how == SB_L7_POSTGRES)
		return sb_l7_postgres_frame(walk->head, have, frame, walk->to_server);
	return sb_l7_mysql_frame(walk->head, have, frame, walk->to_server);
}

/* Copies a piece of what is to be copied; up to `next` no other follows. */
SB_INLINE void sb_l7_put_piece(struct __sk_buff *skb, struct sb_l7_walk *walk, __u32 next)
{
	struct sb_l7_row *row = &walk->row;
	__u64 begin = row->offset;
	__u32 count = walk->to - walk->from;

	if (count > SB_L7_PIECE)
		count = SB_L7_PIECE;
	if (walk->run < walk->most_run) {
		row->offset = begin + walk->from;
		row->length = next - walk->from;
		row->captured = count;
		/* What is not copied before it is not on its way. */
		if (row->prior_end >= begin && row->prior_end < row->offset)
			row->prior_end = row->offset;
		if (walk->from)
			row->passed_ns = 0;
		sb_l7_put(skb, row, walk->payload_at + walk->from);
		row->prior_end = row->offset + row->length;
		row->passed_ns = 0;
		row->offset = begin;
		walk->put = 1;
		walk->run += count;
	} else if (!walk->lost) {
		sb_count(SB_C_L7_CUT);
	}
	walk->from += count;
}

/* The begin of the next head with what the packet before had of it; how many bytes of it there are. */
static __noinline __u32 sb_l7_read_head(struct __sk_buff *skb, struct sb_l7_walk *walk)
{
	__u32 at = walk->payload_at + walk->at;
	__u32 left = walk->length - walk->at;
	__u32 have = walk->have;

	if (!have && left >= 8)
		return bpf_skb_load_bytes(skb, at, walk->head, 8) ? 0 : 8;
	for (__u32 i = 0; i < 5; i++) {
		if (i < walk->have)
			continue;
		if (!left || bpf_skb_load_bytes(skb, at, &walk->head[i], 1))
			break;
		at++;
		left--;
		have = i + 1;
	}
	return have;
}

/* One piece, or one head. 0: there are no more. Neither inlined nor static: so it is checked once, not for each round. */
__noinline int sb_l7_step(struct __sk_buff *skb, struct sb_l7_walk *walk)
{
	struct sb_l7_frame frame = {};
	__u32 have, wanted;
	int verdict;

	if (!walk)
		return 0;
	if (walk->to - walk->from > SB_L7_PIECE) {
		sb_l7_put_piece(skb, walk, walk->from + SB_L7_PIECE);
		return 1;
	}
	if (walk->at >= walk->length)
		return 0;
	have = sb_l7_read_head(skb, walk);
	verdict = sb_l7_frame_of(walk, have, &frame);
	if (verdict == SB_L7_NO_HEAD) {
		walk->lost = 1;
		frame.bytes = frame.wanted = walk->have + walk->length - walk->at;
	} else if (verdict == SB_L7_HEAD_PART) {
		frame.bytes = frame.wanted = have;
	} else if (walk->how == SB_L7_POSTGRES && !walk->head[0] && frame.bytes == 8) {
		walk->tls_asked = 1;
	}
	if (walk->to > walk->from && walk->at - walk->to > SB_L7_BETWEEN) {
		sb_l7_put_piece(skb, walk, walk->at);
		walk->from = walk->to;
	}
	if (walk->to == walk->from)
		walk->from = walk->at;
	wanted = frame.wanted > walk->have ? frame.wanted - walk->have : 0;
	walk->to = walk->at + wanted;
	walk->at += frame.bytes - walk->have;
	walk->have = verdict == SB_L7_HEAD_PART ? have : 0;
	if (walk->to > walk->length) {
		walk->beyond = walk->to - walk->length;
		walk->to = walk->length;
	}
	return 1;
}

/* Everything, since it is not known where frames begin: of what the server says, not the bodies. */
SB_INLINE void sb_l7_walk_whole(struct sb_l7_walk *walk, const struct sb_l7_half *half, __u64 position)
{
	__u64 skipped = half->skip_until > position ? half->skip_until - position : 0;

	walk->lost = 1;
	walk->most_run = SB_L7_WHOLE_RUN;
	walk->at = walk->length;
	walk->from = skipped < walk->length ? skipped : walk->length;
	walk->to = walk->length;
	if (!walk->to_server && walk->to - walk->from > SB_L7_RUN)
		walk->to = walk->from + SB_L7_RUN;
}

/* Where the packet begins: at a frame, within one, or nobody knows where. */
SB_INLINE void sb_l7_walk_from(struct sb_l7_walk *walk, struct sb_l7_half *half, __u64 position)
{
	__u64 end = half->end;
	__u64 head;

	walk->run = half->run;
	walk->row.passed_ns = half->passed_ns;
	if (walk->how == SB_L7_WHOLE) {
		sb_l7_walk_whole(walk, half, position);
		return;
	}
	if (half->to_frame == SB_L7_LOST && half->skip_until >= end && half->skip_until - end < SB_L7_FURTHEST) {
		half->to_frame = half->skip_until - end;
		half->to_copy = 0;
		half->have = 0;
	}
	head = end + half->to_frame;
	/* A gap does no harm where nothing was wanted. */
	if (half->to_frame == SB_L7_LOST || position < end ||
	    (position > end && (position > head || half->to_copy || half->have))) {
		sb_l7_walk_whole(walk, half, position);
		return;
	}
	walk->most_run = SB_L7_FRAMED_RUN;
	__builtin_memcpy(walk->head, half->head, sizeof(half->head));
	walk->have = half->have;
	walk->at = head - position;
	walk->to = half->to_copy;
	if (walk->to > walk->length) {
		walk->beyond = walk->to - walk->length;
		walk->to = walk->length;
	}
}

/* Where the next packet begins. */
SB_INLINE void sb_l7_walk_to(const struct sb_l7_walk *walk, struct sb_l7_half *half, __u64 end)
{
	half->run = walk->run;
	half->passed_ns = walk->put ? 0 : walk->row.ns;
	if (end <= half->end)
		return; /* it filled a gap, or came again */
	half->end = end;
	half->to_frame = walk->lost ? SB_L7_LOST : walk->at - walk->length;
	half->to_copy = walk->lost ? 0 : walk->beyond;
	half->have = walk->lost ? 0 : walk->have;
	__builtin_memcpy(half->head, walk->head, sizeof(half->head));
}

/* A connection whose first bytes say how its messages are told apart. */
SB_INLINE void sb_l7_tell(struct __sk_buff *skb, struct sb_l7_stream *stream, __u32 at, bool in)
{
	bool to_server = in == (stream->role == SB_ROLE_SERVER);
	__u8 b[8];

	if (stream->guessed || bpf_skb_load_bytes(skb, at, b, sizeof(b)))
		return;
	if (!to_server) {
		if (!b[2] && !b[3] && b[4] == 10 && b[5] >= '0' && b[5] <= '9')
			stream->how = SB_L7_MYSQL;
	} else if (b[0] == 'P' && b[1] == 'R' && b[2] == 'I' && b[3] == ' ' && b[4] == '*') {
		stream->how = SB_L7_HTTP2;
	} else if (b[0] == '*' && b[1] >= '1' && b[1] <= '9') {
		stream->how = SB_L7_WHOLE;
	} else if (b[0] == 0x10 && ((b[4] == 'M' && b[5] == 'Q') || (b[5] == 'M' && b[6] == 'Q'))) {
		stream->how = SB_L7_WHOLE; /* MQTT: many small messages, nobody waits for an answer */
	} else if (!b[0] && !b[1] && (sb_l7_be32(b + 4) >> 16 == 3 || sb_l7_be32(b + 4) >> 16 == 1234)) {
		stream->how = SB_L7_POSTGRES;
	}
}

#endif
