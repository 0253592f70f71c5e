/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* The headers of a UDP packet, whatever comes before them. */
#ifndef SKYBRAID_DATAGRAM_H
#define SKYBRAID_DATAGRAM_H

#include "owner.h"

/* A UDP packet as the hooks see it, from the network header on. */
struct sb_datagram {
	struct sb_addr source;
	struct sb_addr destination;
	__u16 source_port;
	__u16 destination_port;
	__u32 header_bytes; /* up to the payload */
	__u32 payload_bytes;
	__u8 family;
};

struct sb_udp_ports {
	__be16 source;
	__be16 destination;
	__be16 length;
	__be16 check;
};

/* Copies the first bytes of a packet, by hand if they are in one piece, which is the rule. */
#define sb_packet_head(skb, copy)                                                          \
	({                                                                                 \
		const void *data_ = (const void *)(long)(skb)->data;                       \
		bool have_ = true;                                                         \
                                                                                           \
		if (data_ + sizeof(*(copy)) <= (const void *)(long)(skb)->data_end)        \
			__builtin_memcpy((copy), data_, sizeof(*(copy)));                  \
		else                                                                       \
			have_ = bpf_skb_load_bytes((skb), 0, (copy), sizeof(*(copy))) == 0; \
		have_;                                                                     \
	})

struct sb_head_v4 {
	struct iphdr ip;
	struct sb_udp_ports udp;
};

struct sb_head_v6 {
	struct ipv6hdr ip;
	struct sb_udp_ports udp;
};

SB_INLINE bool sb_parse_v4(struct __sk_buff *skb, struct sb_datagram *datagram, struct sb_udp_ports *ports)
{
	struct sb_head_v4 head;

	if (!sb_packet_head(skb, &head) || head.ip.protocol != IPPROTO_UDP)
		return false;
	datagram->header_bytes = head.ip.ihl * 4;
	*ports = head.udp;
	sb_addr_v4(&datagram->source, head.ip.saddr);
	sb_addr_v4(&datagram->destination, head.ip.daddr);
	datagram->family = 4;
	return datagram->header_bytes == sizeof(head.ip) ||
	       bpf_skb_load_bytes(skb, datagram->header_bytes, ports, sizeof(*ports)) == 0;
}

SB_INLINE bool sb_is_extension(__u8 next)
{
	return next == SB_IPV6_HOP_BY_HOP || next == SB_IPV6_ROUTING || next == SB_IPV6_DESTINATION ||
	       next == SB_IPV6_FRAGMENT;
}

SB_INLINE bool sb_skip_extensions(struct __sk_buff *skb, __u8 next, struct sb_datagram *datagram,
				  struct sb_udp_ports *ports)
{
	for (int i = 0; i < SB_MAX_EXTENSION_HEADERS; i++) {
		__u8 extension[2];

		if (!sb_is_extension(next) ||
		    bpf_skb_load_bytes(skb, datagram->header_bytes, extension, sizeof(extension)))
			return false;
		datagram->header_bytes += next == SB_IPV6_FRAGMENT ? 8 : (extension[1] + 1) * 8;
		next = extension[0];
		if (next == IPPROTO_UDP)
			return bpf_skb_load_bytes(skb, datagram->header_bytes, ports, sizeof(*ports)) == 0;
	}
	return false;
}

SB_INLINE bool sb_parse_v6(struct __sk_buff *skb, struct sb_datagram *datagram, struct sb_udp_ports *ports)
{
	struct sb_head_v6 head;
	__u8 next;

	if (!sb_packet_head(skb, &head))
		return false;
	next = head.ip.nexthdr;
	datagram->header_bytes = sizeof(head.ip);
	*ports = head.udp;
	__builtin_memcpy(&datagram->source, &head.ip.saddr, sizeof(datagram->source));
	__builtin_memcpy(&datagram->destination, &head.ip.daddr, sizeof(datagram->destination));
	datagram->family = 6;
	return next == IPPROTO_UDP || sb_skip_extensions(skb, next, datagram, ports);
}

SB_INLINE bool sb_parse_datagram(struct __sk_buff *skb, struct sb_datagram *datagram)
{
	struct sb_udp_ports ports;
	bool udp;

	if (skb->protocol == bpf_htons(SB_ETH_P_IP))
		udp = sb_parse_v4(skb, datagram, &ports);
	else if (skb->protocol == bpf_htons(SB_ETH_P_IPV6))
		udp = sb_parse_v6(skb, datagram, &ports);
	else
		return false;
	datagram->header_bytes += sizeof(ports);
	if (!udp || skb->len < datagram->header_bytes)
		return false;
	datagram->source_port = bpf_ntohs(ports.source);
	datagram->destination_port = bpf_ntohs(ports.destination);
	/* A packet to be segmented has its headers once: the rest is payload of all its datagrams. */
	datagram->payload_bytes = skb->len - datagram->header_bytes;
	return true;
}

#endif
