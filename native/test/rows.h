// Synthetic rows for tests.
#pragma once

#include <cstring>

#include "flow_record.h"
#include "record.h"

namespace skybraid::rows {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kWallOffsetMs = 1'700'000'040'000;  // start of a minute

inline uint64_t WallMs(uint64_t ns) { return kWallOffsetMs + ns / 1'000'000; }

inline sb_addr V4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d}};
}

inline sb_head Head(uint8_t row_kind, uint64_t cookie, uint64_t read_ns) {
  sb_head head{};
  head.version = SB_ROW_VERSION;
  head.kind = row_kind;
  head.family = 4;
  head.role = SB_ROLE_CLIENT;
  head.flags = SB_F_KEY_VALID;
  head.local_port = static_cast<uint16_t>(40000 + cookie % 1000);
  head.remote_port = 80;
  head.cookie = cookie;
  head.cgroup_id = 77;
  head.opened_ns = read_ns;
  head.read_ns = read_ns;
  head.local = V4(10, 0, 0, 1);
  head.remote = V4(10, 0, 0, 2);
  head.netns = 4026531840u;
  head.tgid = 0;
  memcpy(head.comm, "curl", 5);
  return head;
}

inline sb_tcp_row Tcp(uint8_t row_kind, uint64_t cookie, uint64_t read_ns) {
  sb_tcp_row row{};
  row.head = Head(row_kind, cookie, read_ns);
  row.dialler_isn = static_cast<uint32_t>(cookie * 2654435761u);
  row.acceptor_isn = row.dialler_isn + 12345;
  row.handshake_us = 150;
  row.srtt_us = 200;
  row.min_rtt_us = 100;
  return row;
}

inline sb_udp_row Udp(uint64_t cookie, uint64_t read_ns) {
  sb_udp_row row{};
  row.head = Head(SB_ROW_UDP, cookie, read_ns);
  row.head.remote_port = 53;
  return row;
}

inline uint32_t StateOf(const FlowRecord& r) { return (r.kind & kind::kStateMask) >> kind::kStateShift; }
inline uint32_t ReasonOf(const FlowRecord& r) { return (r.kind & kind::kReasonMask) >> kind::kReasonShift; }
inline bool Has(const FlowRecord& r, uint32_t bit) { return (r.kind & bit) != 0; }

}  // namespace skybraid::rows
