#include <map>

#include "flow_bench.h"

namespace skybraid {

namespace {

using rows::Has;
using rows::kSecond;
using rows::ReasonOf;
using rows::StateOf;
using rows::Tcp;
using rows::WallMs;

}  // namespace

TEST("flow table: a short connection is one record") {
  FlowBench b;
  b.Add(Closing(5, 2 * kSecond, 1000, 3), 2);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  const FlowRecord& r = records[0];
  CHECK_EQ(StateOf(r), kClosed);
  CHECK_EQ(ReasonOf(r), 2u);
  CHECK(Has(r, kind::kFirst));
  CHECK_EQ(r.delta[kBytesSent], 1000u);
  CHECK_EQ(r.total[kBytesSent], 1000u);
  CHECK_EQ(r.handshake_us, 150u);
  CHECK_EQ(r.min_rtt_us, 100u);
  CHECK_EQ(r.age_ms, 1000u);
  CHECK_EQ(r.flow_id, 5u);
  CHECK_EQ(b.table.Counters().made, 1u);
  CHECK_EQ(b.table.Counters().merged, 0u);
}

TEST("flow table: deltas, once-only values and first over a connection's life") {
  FlowBench b;
  b.Add(Reading(5, 2 * kSecond, 100, 1));
  auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kOpen);
  CHECK(Has(records[0], kind::kFirst));
  CHECK_EQ(records[0].handshake_us, 150u);
  CHECK_EQ(records[0].min_rtt_us, 0u);
  b.Add(Closing(5, 3 * kSecond, 350, 4), 1);
  records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kClosed);
  CHECK(!Has(records[0], kind::kFirst));
  CHECK_EQ(records[0].handshake_us, 0u);
  CHECK_EQ(records[0].min_rtt_us, 100u);
  CHECK_EQ(records[0].delta[kBytesSent], 250u);
  CHECK_EQ(records[0].delta[kSegmentsSent], 3u);
  CHECK_EQ(records[0].total[kBytesSent], 350u);
  CHECK_EQ(b.table.OpenFlows(), 0u);
}

TEST("flow table: open and close within one flush are one record, counted as merged") {
  FlowBench b;
  b.Add(Reading(5, 2 * kSecond, 100, 1));
  b.Add(Closing(5, 2 * kSecond + 1000, 350, 4), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kClosed);
  CHECK(Has(records[0], kind::kFirst));
  CHECK_EQ(records[0].delta[kBytesSent], 350u);
  CHECK_EQ(records[0].handshake_us, 150u);
  CHECK_EQ(b.table.Counters().made, 2u);
  CHECK_EQ(b.table.Counters().merged, 1u);
}

TEST("flow table: records of two minutes are never joined") {
  FlowBench b;
  b.Add(Reading(5, 59 * kSecond, 100, 1));
  b.Add(Closing(5, 60 * kSecond, 350, 4), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 2u);
  CHECK_EQ(records[0].wall_ms / kMinuteMs + 1, records[1].wall_ms / kMinuteMs);
  CHECK_EQ(records[0].delta[kBytesSent], 100u);
  CHECK_EQ(records[1].delta[kBytesSent], 250u);
}

TEST("flow table: an unreported reading of the last minute keeps its minute") {
  FlowBench b;
  b.Add(Reading(5, 58 * kSecond, 100, 1));
  b.Take();
  b.Add(Reading(5, 59 * kSecond, 200, 2));
  CHECK_EQ(b.Take().size(), 0u);
  b.Add(Reading(5, 61 * kSecond, 300, 3));
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].wall_ms, WallMs(59 * kSecond));
  CHECK_EQ(records[0].delta[kBytesSent], 100u);
}

TEST("flow table: an adopted connection counts from its first reading") {
  FlowBench b;
  sb_tcp_row row = Reading(5, 2 * kSecond, 1'000'000, 700);
  row.head.flags |= SB_F_ADOPTED;
  b.Add(row);
  auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kAdopted));
  CHECK_EQ(records[0].delta[kBytesSent], 0u);
  CHECK_EQ(records[0].total[kBytesSent], 1'000'000u);
  b.Add(Closing(5, 3 * kSecond, 1'000'010, 701), 1);
  records = b.Take();
  CHECK(Has(records[0], kind::kAdopted));
  CHECK_EQ(records[0].delta[kBytesSent], 10u);
  CHECK_EQ(records[0].delta[kSegmentsSent], 1u);
}

TEST("flow table: 32-bit kernel counters go on beyond their wrap") {
  FlowBench b;
  b.Add(Reading(5, 2 * kSecond, 1, 0xFFFFFFF0u));
  b.Take();
  b.Add(Closing(5, 3 * kSecond, 2, 0x10u), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].delta[kSegmentsSent], 0x20u);
  CHECK_EQ(records[0].total[kSegmentsSent], 0x100000010ull);
}

TEST("flow table: a counter that goes back is held and counted") {
  FlowBench b;
  b.Add(Reading(5, 2 * kSecond, 1000, 10));
  b.Take();
  b.Add(Reading(5, 3 * kSecond, 900, 9));
  b.Add(Closing(5, 4 * kSecond, 1100, 11), 1);
  uint64_t sent = 0;
  for (const FlowRecord& r : b.Take()) sent += r.delta[kBytesSent];
  CHECK_EQ(sent, 100u);
  CHECK_EQ(b.table.Counters().regressed, 1u);
}

TEST("flow table: an open connection reports every interval if it changed") {
  FlowBench b;
  b.Add(Reading(5, kSecond, 100, 1));
  CHECK_EQ(b.Take().size(), 1u);
  for (int s = 2; s <= 10; s++) b.Add(Reading(5, s * kSecond, 100u * s, s));
  b.Collect(10 * kSecond);
  CHECK_EQ(b.Take().size(), 0u);
  b.Add(Reading(5, 11 * kSecond, 1100, 11));
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].delta[kBytesSent], 1000u);
}

TEST("flow table: a change is reported although nothing follows it") {
  FlowBench b;
  b.Add(Reading(5, kSecond, 100, 1));
  b.Take();
  b.Add(Reading(5, 2 * kSecond, 150, 2));
  b.Collect(10 * kSecond);
  CHECK_EQ(b.Take().size(), 0u);
  b.Collect(11 * kSecond);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].delta[kBytesSent], 50u);
  CHECK_EQ(records[0].wall_ms, WallMs(2 * kSecond));
}

TEST("flow table: a connection that becomes quiet says so at once") {
  FlowBench b;
  b.Add(Reading(5, kSecond, 100, 1, false));
  b.Take();
  b.Add(Reading(5, 2 * kSecond, 200, 2, false));
  CHECK_EQ(b.Take().size(), 0u);
  b.Add(Reading(5, 3 * kSecond, 200, 2, true));
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kQuiet));
  CHECK_EQ(records[0].delta[kBytesSent], 100u);
}

TEST("flow table: the minute's end reports every change") {
  FlowBench b;
  b.Add(Reading(5, 55 * kSecond, 100, 1));
  b.Take();
  b.Add(Reading(5, 59 * kSecond, 150, 2));
  b.Collect(59 * kSecond + 1, true);
  CHECK_EQ(b.Take().size(), 1u);
  b.Collect(59 * kSecond + 2, true);
  CHECK_EQ(b.Take().size(), 0u);
}

TEST("flow table: idle connections announce themselves once an interval, spread") {
  FlowBench b(FlowTableOptions{});
  constexpr int kFlows = 300;
  for (int i = 1; i <= kFlows; i++) b.Add(Reading(i, kSecond, 1, 1));
  CHECK_EQ(b.Take().size(), static_cast<size_t>(kFlows));
  std::map<uint64_t, int> announced;
  size_t most = 0;
  for (int s = 2; s <= 601; s++) {
    b.Collect(s * kSecond);
    const auto records = b.Take();
    most = std::max(most, records.size());
    for (const FlowRecord& r : records) {
      CHECK(Has(r, kind::kAnnouncedAgain));
      CHECK(!Has(r, kind::kFirst));
      CHECK_EQ(r.delta[kBytesSent], 0u);
      CHECK_EQ(r.total[kBytesSent], 1u);
      ++announced[r.flow_id];
    }
  }
  CHECK_EQ(announced.size(), static_cast<size_t>(kFlows));
  for (const auto& [id, times] : announced) CHECK_EQ(times, 2);
  CHECK(most < 12);
}

TEST("flow table: a full table counts each flow once, and a closing still gets through with everything") {
  FlowTableOptions options = FlowBench::Unannounced();
  options.max_flows = 1;
  FlowBench b(options);
  b.Add(Reading(1, kSecond, 10, 1));
  b.Add(Reading(2, kSecond, 10, 1));
  b.Add(Reading(3, kSecond, 10, 1));
  for (uint64_t i = 2; i < 10; i++) b.Add(Reading(2, kSecond + i, 10 * i, 1));
  CHECK_EQ(b.Take().size(), 1u);
  CHECK_EQ(b.table.Counters().full, 2u);
  b.Add(Closing(2, 2 * kSecond, 500, 5), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kFirst));
  CHECK_EQ(records[0].delta[kBytesSent], 500u);
  CHECK_EQ(b.table.OpenFlows(), 1u);
  b.Add(Closing(1, 3 * kSecond, 20, 2), 1);
  b.Add(Reading(3, 4 * kSecond, 20, 2));  // finds room now
  CHECK_EQ(b.table.OpenFlows(), 1u);
  CHECK_EQ(b.table.Counters().full, 2u);
}

TEST("flow table: what found no room is forgotten when it ends, seen or not") {
  FlowTableOptions options = FlowBench::Unannounced();
  options.max_flows = options.max_refused = 2;
  FlowBench b(options);
  b.Add(Reading(1, kSecond, 10, 1));
  b.Add(Reading(2, kSecond, 10, 1));
  for (uint64_t i = 3; i < 9; i++) {
    b.Add(Reading(i, kSecond, 10, 1));
    b.Add(Reading(i, kSecond + 1, 20, 2));
    b.Add(Closing(i, kSecond + 2, 30, 3), 1);
  }
  CHECK_EQ(b.table.Counters().full, 6u);
  for (uint64_t i = 10; i < 12; i++) b.Add(Reading(i, 2 * kSecond, 10, 1));
  CHECK_EQ(b.table.Counters().full, 8u);
  for (int sweep = 0; sweep < 2; sweep++) {
    b.table.BeginSweep();
    for (uint64_t i = 1; i < 3; i++) b.Add(Reading(i, 3 * kSecond, 10, 1));
    b.table.EndSweep(3 * kSecond, rows::WallMs(3 * kSecond));
  }
  for (uint64_t i = 12; i < 14; i++) {
    b.Add(Reading(i, 4 * kSecond, 10, 1));
    b.Add(Reading(i, 4 * kSecond + 1, 20, 2));
  }
  CHECK_EQ(b.table.Counters().full, 10u);
}

TEST(
    "flow table: a connection that is older and finds no room says at its end that it was there, and no "
    "more") {
  FlowTableOptions options = FlowBench::Unannounced();
  options.max_flows = 1;
  FlowBench b(options);
  b.Add(Reading(1, kSecond, 10, 1));
  sb_tcp_row row = Reading(2, kSecond, 1000, 1);
  row.head.flags |= SB_F_ADOPTED;
  b.Add(row);
  b.Take();
  row = Closing(2, 2 * kSecond, 1500, 2);
  row.head.flags |= SB_F_ADOPTED;
  b.Add(row, 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kAdopted));
  CHECK_EQ(records[0].delta[kBytesSent], 0u);
  CHECK_EQ(records[0].total[kBytesSent], 1500u);
  CHECK_EQ(b.table.Counters().full, 1u);
}

TEST("flow table: a socket that dials again makes another flow") {
  FlowBench b;
  sb_tcp_row failed = Tcp(SB_ROW_TCP_FAILED, 9, 2 * kSecond);
  b.Add(failed, 5);
  sb_tcp_row closed = Closing(9, 3 * kSecond, 100, 2);
  closed.head.generation = 1;
  b.Add(closed, 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 2u);
  CHECK(records[0].flow_id != records[1].flow_id);
  CHECK(Has(records[1], kind::kFirst));
  CHECK_EQ(records[1].delta[kBytesSent], 100u);
}

TEST("flow table: nothing follows a closing") {
  FlowBench b;
  b.Add(Closing(5, 2 * kSecond, 10, 1), 1);
  b.Add(Reading(5, 3 * kSecond, 20, 2));
  b.Add(Closing(5, 4 * kSecond, 20, 2), 1);
  CHECK_EQ(b.Take().size(), 1u);
  CHECK_EQ(b.table.Counters().after_close, 2u);
  CHECK_EQ(b.table.OpenFlows(), 0u);
}

TEST("flow table: an unsettled key waits, then everything since the baseline is reported") {
  FlowBench b;
  sb_tcp_row row = Reading(5, kSecond, 1000, 10);
  row.head.flags = SB_F_ADOPTED;
  b.Add(row);
  b.Collect(2 * kSecond, true);
  CHECK_EQ(b.Take().size(), 0u);
  row = Reading(5, 3 * kSecond, 1200, 12);
  row.head.flags = SB_F_ADOPTED | SB_F_KEY_VALID;
  b.Add(row);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].delta[kBytesSent], 200u);
  CHECK(records[0].dialler_isn != 0);
}

TEST("flow table: a closing without a settled key carries none") {
  FlowBench b;
  sb_tcp_row row = Closing(5, kSecond, 1000, 10);
  row.head.flags = SB_F_ADOPTED;
  b.Add(row, 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].dialler_isn, 0u);
  CHECK_EQ(records[0].acceptor_isn, 0u);
}

TEST("flow table: a sweep closes connections whose end was never seen") {
  FlowBench b;
  for (int i = 1; i <= 3; i++) b.Add(Reading(i, kSecond, 10, 1));
  b.Take();
  b.table.BeginSweep();
  b.Add(Reading(1, 2 * kSecond, 10, 1));
  b.Add(Closing(3, 2 * kSecond, 20, 2), 1);
  b.table.EndSweep(3 * kSecond, WallMs(3 * kSecond));
  auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].flow_id, 3u);
  b.table.BeginSweep();
  b.Add(Reading(1, 4 * kSecond, 10, 1));
  b.table.EndSweep(5 * kSecond, WallMs(5 * kSecond));
  records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].flow_id, 2u);
  for (const FlowRecord& r : records) {
    CHECK_EQ(StateOf(r), kClosed);
    CHECK_EQ(ReasonOf(r), r.flow_id == 3 ? 1u : kEndUnspecified);
  }
  CHECK_EQ(b.table.OpenFlows(), 1u);
}

TEST("flow table: what comes late for a completed minute goes into the next") {
  FlowBench b;
  b.table.SetFloor(WallMs(60 * kSecond));
  b.Add(Closing(5, 59 * kSecond, 10, 1), 1);
  CHECK_EQ(b.Take()[0].wall_ms, WallMs(60 * kSecond));
}

TEST("flow table: collecting stops at its limit and goes on") {
  FlowBench b;
  for (int i = 1; i <= 100; i++) b.Add(Reading(i, kSecond, 10, 1));
  b.Take();
  for (int i = 1; i <= 100; i++) b.Add(Reading(i, 2 * kSecond, 20, 2));
  size_t total = 0;
  while (!b.table.Collect(20 * kSecond, WallMs(20 * kSecond), true, 30)) {
    const auto records = b.Take();
    CHECK_EQ(records.size(), 30u);
    total += records.size();
  }
  total += b.Take().size();
  CHECK_EQ(total, 100u);
}

}  // namespace skybraid
