/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Which connections are read for their application protocol, and how far each has come. A table by the hash of the
 * socket's cookie: storage with the socket would take longer to make than a short connection's request takes to copy,
 * and the addon, which has this table mapped, could not give orders to it.
 */
#ifndef SKYBRAID_L7_STREAMS_H
#define SKYBRAID_L7_STREAMS_H

#include "tcp_store.h"

/* What is read of application protocols: SB_L7_CONNECTIONS, SB_L7_DATAGRAMS; 0: nothing. */
const volatile __u32 sb_l7 = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SB_L7_STREAMS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sb_l7_stream);
} l7_streams SEC(".maps");

/* Entries come and go, so that one further on may be it although a free one comes first. */
SB_INLINE struct sb_l7_stream *sb_l7_find(__u64 cookie, __u32 *slot)
{
	for (__u32 i = 0; i < SB_L7_PROBES; i++) {
		struct sb_l7_stream *stream;

		*slot = sb_l7_slot_of(cookie, i);
		stream = bpf_map_lookup_elem(&l7_streams, slot);
		if (stream && stream->cookie == cookie)
			return stream;
	}
	return NULL;
}

/* A free entry, not yet to be found under its cookie. */
SB_INLINE struct sb_l7_stream *sb_l7_claim(__u64 cookie, __u32 *slot)
{
	for (__u32 i = 0; i < SB_L7_PROBES; i++) {
		struct sb_l7_stream *stream;

		*slot = sb_l7_slot_of(cookie, i);
		stream = bpf_map_lookup_elem(&l7_streams, slot);
		if (stream && !stream->cookie && !__sync_val_compare_and_swap(&stream->cookie, 0, SB_L7_CLAIMED))
			return stream;
	}
	return NULL;
}

/* The socket dials anew: what follows under its cookie is another connection. */
SB_INLINE void sb_l7_over(__u64 cookie)
{
	struct sb_l7_stream *stream;
	__u32 slot;

	if (!sb_l7)
		return;
	stream = sb_l7_find(cookie, &slot);
	if (stream)
		stream->cookie = cookie | SB_L7_STALE;
}

/* Does our SYN count among the bytes acknowledged, in a connection whose numbers are not settled? */
SB_INLINE bool sb_l7_dialled(const struct sb_tcp_found *found)
{
	if (!found->entry || found->store->stage != SB_STAGE_ADOPTED)
		return false;
	if (found->entry->base.surplus >= 0)
		return found->entry->base.surplus == 1;
	return found->store->by_port == SB_ROLE_CLIENT;
}

SB_INLINE void sb_l7_set_first(struct sb_l7_half *half, __u32 first, __u64 end)
{
	half->first = first;
	half->end = end;
	half->to_frame = end ? SB_L7_LOST : 0;
	half->known = 1;
}

/* Numbers of an adopted connection, or of one with Fast Open whose handshake goes on: looked up, twice alike. */
SB_INLINE bool sb_l7_look(const struct tcp_sock *tp, bool dialled, struct sb_l7_stream *stream)
{
	__u64 acked = tp->bytes_acked;
	__u64 received = tp->bytes_received;
	__u32 own = tp->snd_una - (__u32)acked;
	__u32 peer = tp->rcv_nxt - (__u32)received;

	sb_barrier();
	if (own != tp->snd_una - (__u32)tp->bytes_acked || peer != tp->rcv_nxt - (__u32)tp->bytes_received)
		return false;
	if (!stream->half[0].known)
		sb_l7_set_first(&stream->half[0], own + dialled, dialled && acked ? acked - 1 : acked);
	if (!stream->half[1].known)
		sb_l7_set_first(&stream->half[1], peer, received);
	return true;
}

/* Where both directions begin, and which end this is. False: that can't be told, or the connection is not followed. */
SB_INLINE bool sb_l7_origin(struct bpf_sock *sk, struct sb_l7_stream *stream)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct sb_tcp_found found;
	bool client;

	if (!tp)
		return false;
	found = sb_tcp_find(tp);
	if (!found.store || found.store->stage == SB_STAGE_NONE || found.store->stage == SB_STAGE_ENDED)
		return false;
	stream->generation = found.store->generation;
	if (!found.store->settled) {
		bool dialled = sb_l7_dialled(&found);

		if (found.store->stage == SB_STAGE_DIALLING)
			return false;
		stream->role = dialled ? SB_ROLE_CLIENT : SB_ROLE_SERVER;
		stream->guessed = found.store->stage == SB_STAGE_ADOPTED && found.entry && found.entry->base.surplus < 0;
		return sb_l7_look(tp, dialled, stream);
	}
	client = found.store->role == SB_ROLE_CLIENT;
	stream->role = found.store->role;
	stream->guessed = found.store->guessed;
	if (!stream->half[0].known)
		sb_l7_set_first(&stream->half[0], (client ? found.store->dialler_isn : found.store->acceptor_isn) + 1,
				found.store->stage == SB_STAGE_ADOPTED ? tp->bytes_acked : 0);
	if (!stream->half[1].known)
		sb_l7_set_first(&stream->half[1], (client ? found.store->acceptor_isn : found.store->dialler_isn) + 1,
				found.store->stage == SB_STAGE_ADOPTED ? tp->bytes_received : 0);
	return true;
}

#endif
