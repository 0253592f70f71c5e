// Prints where the C++ compiler put the fields of the rows that kernel programs and addon share, as one JSON
// object:
// {"sb_head":{"size":104,"version":0,…},…}. A test compares it with what is in the compiled kernel programs.
#include <cstddef>
#include <cstdio>

#include "record.h"
#include "udp_flow.h"

#define FIELD(type, field) printf(",\"%s\":%zu", #field, offsetof(type, field))
#define STRUCT(type) printf("%s\"%s\":{\"size\":%zu", first ? "{" : "},", #type, sizeof(type)), first = false

int main() {
  bool first = true;
  STRUCT(sb_head);
  FIELD(sb_head, version);
  FIELD(sb_head, kind);
  FIELD(sb_head, family);
  FIELD(sb_head, role);
  FIELD(sb_head, flags);
  FIELD(sb_head, local_port);
  FIELD(sb_head, cookie);
  FIELD(sb_head, cgroup_id);
  FIELD(sb_head, opened_ns);
  FIELD(sb_head, read_ns);
  FIELD(sb_head, local);
  FIELD(sb_head, remote);
  FIELD(sb_head, netns);
  FIELD(sb_head, tgid);
  FIELD(sb_head, comm);
  FIELD(sb_head, remote_port);
  FIELD(sb_head, tcp_state);
  FIELD(sb_head, sk_err);
  FIELD(sb_head, generation);
  STRUCT(sb_tcp_row);
  FIELD(sb_tcp_row, head);
  FIELD(sb_tcp_row, dialler_isn);
  FIELD(sb_tcp_row, acceptor_isn);
  FIELD(sb_tcp_row, handshake_us);
  FIELD(sb_tcp_row, srtt_us);
  FIELD(sb_tcp_row, min_rtt_us);
  FIELD(sb_tcp_row, segments_sent);
  FIELD(sb_tcp_row, segments_received);
  FIELD(sb_tcp_row, data_segments_sent);
  FIELD(sb_tcp_row, data_segments_received);
  FIELD(sb_tcp_row, retransmitted_segments);
  FIELD(sb_tcp_row, out_of_order_segments);
  FIELD(sb_tcp_row, pad);
  FIELD(sb_tcp_row, bytes_sent);
  FIELD(sb_tcp_row, bytes_received);
  STRUCT(sb_dns_row);
  FIELD(sb_dns_row, head);
  FIELD(sb_dns_row, length);
  FIELD(sb_dns_row, sent);
  FIELD(sb_dns_row, message);
  STRUCT(sb_l7_half);
  FIELD(sb_l7_half, end);
  FIELD(sb_l7_half, passed_ns);
  FIELD(sb_l7_half, skip_until);
  FIELD(sb_l7_half, first);
  FIELD(sb_l7_half, run);
  FIELD(sb_l7_half, to_frame);
  FIELD(sb_l7_half, to_copy);
  FIELD(sb_l7_half, most);
  FIELD(sb_l7_half, head);
  FIELD(sb_l7_half, have);
  FIELD(sb_l7_half, known);
  STRUCT(sb_l7_stream);
  FIELD(sb_l7_stream, cookie);
  FIELD(sb_l7_stream, generation);
  FIELD(sb_l7_stream, how);
  FIELD(sb_l7_stream, last_in);
  FIELD(sb_l7_stream, role);
  FIELD(sb_l7_stream, guessed);
  FIELD(sb_l7_stream, half);
  STRUCT(sb_l7_row);
  FIELD(sb_l7_row, cookie);
  FIELD(sb_l7_row, ns);
  FIELD(sb_l7_row, passed_ns);
  FIELD(sb_l7_row, offset);
  FIELD(sb_l7_row, prior_end);
  FIELD(sb_l7_row, length);
  FIELD(sb_l7_row, captured);
  FIELD(sb_l7_row, slot);
  FIELD(sb_l7_row, generation);
  FIELD(sb_l7_row, ports);
  FIELD(sb_l7_row, peer_isn);
  FIELD(sb_l7_row, in);
  FIELD(sb_l7_row, role);
  FIELD(sb_l7_row, guessed);
  FIELD(sb_l7_row, pad);
  FIELD(sb_l7_row, bytes);
  STRUCT(sb_cgroup_row);
  FIELD(sb_cgroup_row, head);
  FIELD(sb_cgroup_row, length);
  FIELD(sb_cgroup_row, pad);
  FIELD(sb_cgroup_row, path);
  STRUCT(sb_udp_key);
  FIELD(sb_udp_key, cookie);
  FIELD(sb_udp_key, remote);
  FIELD(sb_udp_key, remote_port);
  FIELD(sb_udp_key, pad);
  STRUCT(sb_udp_flow);
  FIELD(sb_udp_flow, bytes_sent);
  FIELD(sb_udp_flow, bytes_received);
  FIELD(sb_udp_flow, datagrams_sent);
  FIELD(sb_udp_flow, datagrams_received);
  FIELD(sb_udp_flow, opened_ns);
  FIELD(sb_udp_flow, cgroup_id);
  FIELD(sb_udp_flow, counts);
  FIELD(sb_udp_flow, local);
  FIELD(sb_udp_flow, netns);
  FIELD(sb_udp_flow, tgid);
  FIELD(sb_udp_flow, comm);
  FIELD(sb_udp_flow, generation);
  FIELD(sb_udp_flow, pass);
  FIELD(sb_udp_flow, local_port);
  FIELD(sb_udp_flow, flags);
  FIELD(sb_udp_flow, role);
  FIELD(sb_udp_flow, family);
  FIELD(sb_udp_flow, closed);
  FIELD(sb_udp_flow, pad);
  STRUCT(sb_udp_counts);
  FIELD(sb_udp_counts, flow);
  FIELD(sb_udp_counts, remote);
  FIELD(sb_udp_counts, remote_port);
  FIELD(sb_udp_counts, pad);
  FIELD(sb_udp_counts, pass);
  FIELD(sb_udp_counts, bytes_sent);
  FIELD(sb_udp_counts, bytes_received);
  FIELD(sb_udp_counts, datagrams_sent);
  FIELD(sb_udp_counts, datagrams_received);
  printf("}}\n");
  return 0;
}
