/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Rows that cross from the kernel programs to the native addon. Included by both sides; the layout test compares
 * what each compiler made of it. All fields are fixed width, padding is explicit and zeroed.
 */
#ifndef SKYBRAID_RECORD_H
#define SKYBRAID_RECORD_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#include "limits.h"

#define SB_ROW_VERSION 1
#define SB_COMM_LEN 16
#define SB_DNS_BYTES 512
#define SB_CGROUP_PATH 512

enum sb_row_kind {
	SB_ROW_TCP_READING = 1, /* iterator: an open socket whose counters moved, or not read before */
	SB_ROW_TCP_CLOSED = 2,  /* ring: an established connection ended */
	SB_ROW_TCP_FAILED = 3,  /* ring: a dial that never connected */
	SB_ROW_TCP_HALF_OPEN = 4, /* ring: the listener's view of a dial that never completed */
	SB_ROW_UDP = 5,         /* reading of a UDP flow */
	SB_ROW_DNS = 6,         /* ring: head of a question to port 53, or of an answer from it */
	SB_ROW_CGROUP = 7,      /* ring: a cgroup was made */
};

enum sb_role { SB_ROLE_UNKNOWN = 0, SB_ROLE_CLIENT = 1, SB_ROLE_SERVER = 2 };

enum sb_row_flags {
	SB_F_ADOPTED = 1 << 0,      /* older than the collector */
	SB_F_ROLE_GUESSED = 1 << 1,
	SB_F_INHERITED = 1 << 2,    /* cgroup and network namespace disagree about the owner */
	SB_F_KEY_VALID = 1 << 3,    /* both initial sequence numbers are settled */
	SB_F_QUIET = 1 << 4,        /* nothing unacknowledged, nothing unsent */
	SB_F_FIN_SENT = 1 << 5,
	SB_F_FIN_RECEIVED = 1 << 6,
	SB_F_RST_SENT = 1 << 7,
	SB_F_RST_RECEIVED = 1 << 8,
	SB_F_MPTCP = 1 << 9,
	SB_F_LISTEN_PORT = 1 << 10, /* role fallback: the local port is listening */
	SB_F_GONE = 1 << 11,        /* UDP: socket closed or flow evicted; no more readings of this flow */
	SB_F_SYN_RETRANSMITTED = 1 << 12,
};

struct sb_addr {
	__u8 bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

/* Common head. Times are CLOCK_MONOTONIC (bpf_ktime_get_ns). Ports in host order. */
struct sb_head {
	__u8 version;
	__u8 kind;   /* enum sb_row_kind */
	__u8 family; /* 4 or 6: what is on the wire; v4-mapped counts as 4 */
	__u8 role;
	__u16 flags;
	__u16 local_port;
	__u64 cookie;    /* socket cookie */
	__u64 cgroup_id; /* cgroup2 of the socket's creator */
	__u64 opened_ns; /* SYN sent, connection accepted, first datagram; or adoption */
	__u64 read_ns;
	struct sb_addr local;
	struct sb_addr remote;
	__u32 netns; /* inode number of the network namespace */
	__u32 tgid;  /* 0 if not known */
	char comm[SB_COMM_LEN]; /* thread group leader's; empty if not known */
	__u16 remote_port;
	__u8 tcp_state;   /* before the end, for closed and failed rows */
	__u8 sk_err;
	__u32 generation; /* UDP: grows when an evicted flow comes back */
};

struct sb_tcp_row {
	struct sb_head head;
	__u32 dialler_isn;
	__u32 acceptor_isn; /* 0 for failed dials */
	__u32 handshake_us;
	__u32 srtt_us;
	__u32 min_rtt_us;
	__u32 segments_sent;
	__u32 segments_received;
	__u32 data_segments_sent;
	__u32 data_segments_received;
	__u32 retransmitted_segments;
	__u32 out_of_order_segments;
	__u32 pad;
	__u64 bytes_sent;     /* payload transmitted at least once */
	__u64 bytes_received; /* payload received in order */
};

struct sb_udp_row {
	struct sb_head head;
	__u64 bytes_sent; /* payload, since the flow's first datagram */
	__u64 bytes_received;
	__u64 datagrams_sent;
	__u64 datagrams_received;
};

struct sb_dns_row {
	struct sb_head head; /* remote is the name server */
	__u32 length;        /* bytes captured */
	__u32 sent;          /* 1: a question, 0: an answer */
	__u8 message[SB_DNS_BYTES];
};

struct sb_cgroup_row {
	struct sb_head head; /* only cgroup_id and read_ns */
	__u32 length;        /* of the path; 0 if it did not fit */
	__u32 pad;
	char path[SB_CGROUP_PATH]; /* from the root of the hierarchy */
};

/*
 * Application protocols: one direction of a connection that is read. Positions count payload bytes from the
 * connection's beginning, so that they are the same at both ends. What is marked as an order is written by the addon,
 * all else by the packet hooks.
 */
struct sb_l7_half {
	__u64 end;        /* of all that passed */
	__u64 passed_ns;  /* when a byte last passed that is in no row since the latest row; 0: none did */
	__u64 skip_until; /* order: what is before this position needs no row; of frames, one begins there */
	__u32 first;      /* sequence number of position 0 */
	__u32 run;        /* bytes copied since the other direction had its say */
	__u32 to_frame;   /* from `end` to the head of the next frame, or SB_L7_LOST */
	__u32 to_copy;    /* of the bytes up to there, so many are wanted */
	__u16 most;       /* bytes to copy of one packet, where no frames are followed */
	__u8 head[4];     /* begin of a head that the next packet goes on with */
	__u8 have;        /* bytes of it */
	__u8 known;       /* `first` is */
};

#define SB_L7_LOST (~0u)

/* How a connection is read. The packet hooks see it from how it begins, the addon says it later: an order. */
enum sb_l7_how {
	SB_L7_PACKETS = 0, /* the begin of each packet */
	SB_L7_UNREAD = 1,  /* nothing of it needs a row, for good */
	SB_L7_WHOLE = 2,   /* every byte */
	SB_L7_HTTP2 = 3,   /* from here on: the begin of each frame */
	SB_L7_POSTGRES = 4,
	SB_L7_MYSQL = 5,
};

/* Entry of l7_streams, which the addon has mapped. */
struct sb_l7_stream {
	__u64 cookie; /* 0: free, SB_L7_CLAIMED: being filled, with SB_L7_STALE: of a connection before on this socket */
	__u32 generation; /* of the socket's store: one cookie can be several connections */
	__u8 how;         /* enum sb_l7_how */
	__u8 last_in;     /* direction of the latest payload */
	__u8 role;
	__u8 guessed;
	struct sb_l7_half half[2]; /* sent, received */
};

/* Where a connection's entry may be: SB_L7_PROBES places in a row. */
static inline __u32 sb_l7_slot_of(__u64 cookie, __u32 probe)
{
	return ((__u32)(cookie * 0x9e3779b97f4a7c15ull >> 40) + probe) & (SB_L7_STREAMS - 1);
}

#define SB_L7_CLAIMED (~0ull)
#define SB_L7_STALE (1ull << 63)
#define SB_L7_NO_SLOT (~0u)
/* In place of a slot: a datagram of DNS. There is no stream, and `generation` is its UDP flow's. */
#define SB_L7_DATAGRAM (~1u)

/* What is read, in the variable sb_l7. */
#define SB_L7_CONNECTIONS 1
#define SB_L7_DATAGRAMS 2

/* A piece of a stream, in the ring of their own. `captured` bytes of it follow. */
struct sb_l7_row {
	__u64 cookie; /* 0: payload that came with the end of the handshake; its socket was not there yet */
	__u64 ns;
	__u64 passed_ns; /* when the byte before it passed, if that is in no row and was in an earlier packet; else 0 */
	__u64 offset;
	__u64 prior_end; /* of all that had passed before */
	__u32 length;    /* from the offset to the end of the packet */
	__u32 captured;
	__u32 slot;
	__u32 generation;
	__u32 ports;     /* local in the high half */
	__u32 peer_isn;  /* if there is no cookie */
	__u8 in;
	__u8 role;
	__u8 guessed;
	__u8 pad[5];
	__u8 bytes[];
};

/* Per-CPU counters, summed by user space. The index is the position in the array. */
enum sb_counter {
	SB_C_RING_PRODUCED = 0, /* rows put into the ring */
	SB_C_RING_FULL = 1,     /* rows that found no room */
	SB_C_STORAGE_REFUSED = 2,
	SB_C_UDP_MAP_FULL = 3,  /* UDP datagrams not counted since their flow found no room */
	SB_C_ADOPTED = 4,
	SB_C_SOCKETS = 5,       /* TCP sockets given storage */
	SB_C_KEY_UNSETTLED = 6, /* iterator rows held back because the key did not reproduce */
	SB_C_FOREIGN = 7,       /* events outside the collector's cgroup subtree */
	SB_C_MISSED = 8,        /* state changes that interrupted the handling of another one and went unseen */
	SB_C_DIALS_FULL = 9,    /* diallers that found no room in their table and got storage instead: slower, not lost */
	SB_C_MADE_UP_FOR = 10,  /* ends that went unseen and that the iterator found */
	SB_C_L7_RING_FULL = 11, /* pieces of streams that found no room in their ring */
	SB_C_L7_REFUSED = 12,   /* packets with payload whose connection found no room among those that are read */
	SB_C_L7_CUT = 13,       /* pieces not copied since their turn of the conversation had too many bytes or frames */
	SB_C_L7_MISPLACED = 14, /* packets with payload whose place in the stream is not known, or is none of it */
	SB_COUNTERS = 16,
};

_Static_assert(sizeof(struct sb_head) == 104, "sb_head");
_Static_assert(sizeof(struct sb_tcp_row) == 168, "sb_tcp_row");
_Static_assert(sizeof(struct sb_udp_row) == 136, "sb_udp_row");
_Static_assert(sizeof(struct sb_dns_row) == 624, "sb_dns_row");
_Static_assert(sizeof(struct sb_cgroup_row) == 624, "sb_cgroup_row");
_Static_assert(sizeof(struct sb_l7_stream) == 112, "sb_l7_stream");
_Static_assert(sizeof(struct sb_l7_row) == 72, "sb_l7_row");

#endif
