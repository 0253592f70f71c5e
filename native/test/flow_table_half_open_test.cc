#include "flow_bench.h"

namespace skybraid {

namespace {

using rows::kSecond;
using rows::ReasonOf;
using rows::StateOf;
using rows::Tcp;

}  // namespace

TEST("flow table: a failed dial") {
  FlowBench b;
  sb_tcp_row row = Tcp(SB_ROW_TCP_FAILED, 9, 2 * kSecond);
  row.acceptor_isn = 0;
  b.Add(row, 6);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kFailed);
  CHECK_EQ(ReasonOf(records[0]), 6u);
  CHECK_EQ(records[0].dialler_isn, row.dialler_isn);
  CHECK_EQ(records[0].min_rtt_us, 0u);
}

TEST("flow table: a dial that completes late is not half open") {
  FlowBench b;
  sb_tcp_row half = Tcp(SB_ROW_TCP_HALF_OPEN, 0, 2 * kSecond);
  half.head.opened_ns = kSecond;
  half.head.role = SB_ROLE_SERVER;
  b.Add(half);
  sb_tcp_row reading = Reading(5, 4 * kSecond, 1, 1);
  reading.dialler_isn = half.dialler_isn;
  reading.head.local_port = half.head.local_port;
  reading.head.role = SB_ROLE_SERVER;
  b.Add(reading);
  b.Collect(100 * kSecond);
  for (const FlowRecord& r : b.Take()) CHECK_EQ(StateOf(r), kOpen);
}

TEST("flow table: a dial that never completes is half open once its last answer is overdue") {
  FlowBench b;
  uint64_t last = 0;
  for (const int s : {2, 4, 8, 16, 32}) {
    sb_tcp_row half = Tcp(SB_ROW_TCP_HALF_OPEN, 0, s * kSecond);
    half.head.opened_ns = kSecond;
    // No record between the repetitions.
    b.Collect(s * kSecond - 1);
    CHECK_EQ(b.Take().size(), 0u);
    b.Add(half);
    last = s * kSecond;
  }
  b.Collect(last + 33 * kSecond);
  CHECK_EQ(b.Take().size(), 0u);
  b.Collect(last + 60 * kSecond);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kHalfOpen);
  CHECK_EQ(records[0].age_ms, 31'000u);
}

TEST("flow table: half-open dials are bounded") {
  FlowTableOptions options;
  options.max_half_open = 10;
  FlowBench b(options);
  for (uint32_t i = 0; i < 100; i++) {
    sb_tcp_row half = Tcp(SB_ROW_TCP_HALF_OPEN, 0, kSecond);
    half.dialler_isn = i;
    for (half.retransmitted_segments = 1; half.retransmitted_segments < 4; half.retransmitted_segments++)
      b.Add(half);
  }
  CHECK_EQ(b.table.Counters().full, 90u);
  b.Collect(500 * kSecond);
  CHECK_EQ(b.Take().size(), 10u);
}

}  // namespace skybraid
