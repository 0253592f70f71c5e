/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Size of every map, who puts entries in and takes them out, and which counter says that there was no room.
 */
#ifndef SKYBRAID_LIMITS_H
#define SKYBRAID_LIMITS_H

/*
 * ring: rows of ended connections, repeated SYN-ACKs, DNS answers and new cgroups. Written by the programs, emptied by
 * KernelSource::Drain. The size is an option of the loader; this is only what the object says. Full: SB_C_RING_FULL.
 */
#define SB_RING_BYTES (1 << 20)

/*
 * tcp_stores: one entry per TCP socket that is followed and not in tcp_dials, owned by the socket and freed with it.
 * Created when a socket listens, is accepted or is adopted. Bounded by the number of sockets. Refused by the kernel:
 * SB_C_STORAGE_REFUSED.
 */

/*
 * tcp_dials: one entry per socket that dials or dialled. Inserted when it sends its SYN, deleted when its connection
 * ends; if that end went unseen, deleted by the iterator. The entries are made when the map is, 3 MB of them. Full:
 * SB_C_DIALS_FULL counts each socket that got storage of its own instead.
 */
#define SB_TCP_DIALS 16384

/*
 * udp_stores: one entry per UDP socket that is created, found through an open file or first seen with a datagram,
 * owned by the socket and freed with it.
 * Refused: the socket then counts as older than the collector, nothing is lost.
 */

/*
 * udp_flows: one entry per UDP socket and remote endpoint. Inserted by the packet hooks; deleted by
 * KernelSource::ReadUdpFlows once the socket is closed or the flow has been idle. Full: SB_C_UDP_MAP_FULL counts each
 * datagram that was therefore not counted.
 */
#define SB_UDP_FLOWS 65536

/*
 * udp_counts: one entry per UDP flow but those of name servers, 256 KB in all, mapped by the addon. Taken by the packet
 * hooks with the flow's first datagram; given back by KernelSource::ReadUdpFlows a reading after the flow was deleted.
 * Full within SB_UDP_PROBES of its place: the flow counts in its entry of udp_flows, which takes longer; nothing is lost.
 */
#define SB_UDP_COUNTS 4096
#define SB_UDP_PROBES 8

/*
 * udp_destination: one slot per CPU, for the time between a program's sendmsg() and the packet it makes.
 */

/*
 * mptcp_listeners: one entry per MPTCP listener older than the collector. Inserted once at start by an iterator; a
 * stale entry is never asked for, since later listeners are known from their beginning. Full: the connections that
 * such a listener accepts lack the program's name, nothing else.
 */
#define SB_MPTCP_LISTENERS 1024

/*
 * l7_streams: one entry per TCP connection that is read for its application protocol, 1.8 MB in all, mapped by the
 * addon. Inserted by the packet hooks with the connection's first payload; freed by the addon when the connection ends
 * or has been silent and unread for long. Full within SB_L7_PROBES of its place: SB_C_L7_REFUSED counts each packet of
 * a connection that is therefore not read.
 */
#define SB_L7_STREAMS 16384
#define SB_L7_PROBES 8

/*
 * l7_ring: pieces of streams and datagrams of DNS, apart from `ring` so that they never push out a connection's end.
 * Written by the packet hooks, emptied by KernelSource::DrainPieces. Full: SB_C_L7_RING_FULL.
 */
#define SB_L7_RING_BYTES (1 << 20)

/* The most that one piece holds, and what is copied of one packet from the server as long as the addon says nothing. */
#define SB_L7_PIECE 4032
#define SB_L7_ANSWER 960

/* Of a datagram of DNS: the header and the longest question, to a multiple of 8. */
#define SB_L7_DNS 272

/*
 * The most that is copied in one direction before the other one has its say: heads of messages, not their bodies. Where
 * everything is copied it is more, and most where it is chosen frame by frame: there, what is beyond is counted by
 * SB_C_L7_CUT.
 */
#define SB_L7_RUN 16384
#define SB_L7_WHOLE_RUN (1 << 16)
#define SB_L7_FRAMED_RUN (1 << 18)

/* Frames and pieces of one packet. Further ones are lost with their place in the stream: SB_C_L7_CUT. */
#define SB_L7_STEPS 1024

/* So many bytes between two frames are cheaper to copy than a piece of their own for what follows. */
#define SB_L7_BETWEEN 256

/* A segment that claims to be further off than this is not of the stream. */
#define SB_L7_STEP (1 << 28)

/* IPv6 extension headers skipped in search of the UDP header; a datagram with more is not counted. */
#define SB_MAX_EXTENSION_HEADERS 4

/* Depth of pid namespaces searched for the collector's own. */
#define SB_MAX_PID_LEVELS 4

/* How often a torn reading is tried again within one visit of the iterator. */
#define SB_READ_ATTEMPTS 3

#endif
