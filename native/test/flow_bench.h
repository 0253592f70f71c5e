// A flow table with rows that arrive at given times, and what it made of them.
#pragma once

#include <vector>

#include "check.h"
#include "flow_table.h"
#include "rows.h"

namespace skybraid {

constexpr uint32_t kOpen = 1, kClosed = 2, kFailed = 3, kHalfOpen = 4;

struct FlowBench {
  FlowTable table;
  explicit FlowBench(FlowTableOptions options = Unannounced()) : table(options) {}

  static FlowTableOptions Unannounced() {
    FlowTableOptions options;
    options.announce_ns = 1ull << 60;
    return options;
  }

  void Add(const sb_tcp_row& row, uint32_t reason = 0) {
    table.AddTcp(row, rows::WallMs(row.head.read_ns), reason);
  }
  void Add(const sb_udp_row& row) { table.AddUdp(row, rows::WallMs(row.head.read_ns)); }
  void Collect(uint64_t now_ns, bool minute_end = false) {
    CHECK(table.Collect(now_ns, rows::WallMs(now_ns), minute_end, SIZE_MAX));
  }
  std::vector<FlowRecord> Take() {
    std::vector<FlowRecord> records;
    table.Take(records);
    return records;
  }
};

inline sb_tcp_row Reading(uint64_t cookie, uint64_t ns, uint64_t sent, uint32_t segments, bool quiet = true) {
  sb_tcp_row row = rows::Tcp(SB_ROW_TCP_READING, cookie, ns);
  row.head.opened_ns = rows::kSecond;
  row.bytes_sent = sent;
  row.segments_sent = segments;
  row.data_segments_sent = segments;
  if (quiet) row.head.flags |= SB_F_QUIET;
  return row;
}

inline sb_tcp_row Closing(uint64_t cookie, uint64_t ns, uint64_t sent, uint32_t segments) {
  sb_tcp_row row = Reading(cookie, ns, sent, segments);
  row.head.kind = SB_ROW_TCP_CLOSED;
  return row;
}

}  // namespace skybraid
