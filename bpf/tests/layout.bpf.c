// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The rows that kernel programs and addon share, as the kernel's compiler lays them out. Only read, never loaded. */
#include "vmlinux.h"

#include "record.h"
#include "udp_flow.h"

struct sb_head head;
struct sb_tcp_row tcp_row;
struct sb_dns_row dns_row;
struct sb_cgroup_row cgroup_row;
struct sb_l7_half l7_half;
struct sb_l7_stream l7_stream;
struct sb_l7_row l7_row;
struct sb_udp_key udp_key;
struct sb_udp_flow udp_flow;
struct sb_udp_counts udp_counts;
