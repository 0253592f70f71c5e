#include "flow_table.h"

#include <map>
#include <random>
#include <set>

#include "check.h"
#include "rows.h"

namespace skybraid {

namespace {

using rows::Has;
using rows::kSecond;
using rows::ReasonOf;
using rows::StateOf;
using rows::Tcp;
using rows::Udp;
using rows::WallMs;

constexpr uint32_t kOpen = 1, kClosed = 2, kFailed = 3, kHalfOpen = 4;

struct Bench {
  FlowTable table;
  explicit Bench(FlowTableOptions options = Unannounced()) : table(options) {}

  static FlowTableOptions Unannounced() {
    FlowTableOptions options;
    options.announce_ns = 1ull << 60;
    return options;
  }

  void Add(const sb_tcp_row& row, uint32_t reason = 0) {
    table.AddTcp(row, WallMs(row.head.read_ns), reason);
  }
  void Add(const sb_udp_row& row) { table.AddUdp(row, WallMs(row.head.read_ns)); }
  void Collect(uint64_t now_ns, bool minute_end = false) {
    CHECK(table.Collect(now_ns, WallMs(now_ns), minute_end, SIZE_MAX));
  }
  std::vector<FlowRecord> Take() {
    std::vector<FlowRecord> records;
    table.Take(records);
    return records;
  }
};

sb_tcp_row Reading(uint64_t cookie, uint64_t ns, uint64_t sent, uint32_t segments, bool quiet = true) {
  sb_tcp_row row = Tcp(SB_ROW_TCP_READING, cookie, ns);
  row.head.opened_ns = kSecond;
  row.bytes_sent = sent;
  row.segments_sent = segments;
  row.data_segments_sent = segments;
  if (quiet) row.head.flags |= SB_F_QUIET;
  return row;
}

sb_tcp_row Closing(uint64_t cookie, uint64_t ns, uint64_t sent, uint32_t segments) {
  sb_tcp_row row = Reading(cookie, ns, sent, segments);
  row.head.kind = SB_ROW_TCP_CLOSED;
  return row;
}

}  // namespace

TEST("flow table: a short connection is one record") {
  Bench b;
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
  Bench b;
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
  Bench b;
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
  Bench b;
  b.Add(Reading(5, 59 * kSecond, 100, 1));
  b.Add(Closing(5, 60 * kSecond, 350, 4), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 2u);
  CHECK_EQ(records[0].wall_ms / kMinuteMs + 1, records[1].wall_ms / kMinuteMs);
  CHECK_EQ(records[0].delta[kBytesSent], 100u);
  CHECK_EQ(records[1].delta[kBytesSent], 250u);
}

TEST("flow table: an unreported reading of the last minute keeps its minute") {
  Bench b;
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
  Bench b;
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
  Bench b;
  b.Add(Reading(5, 2 * kSecond, 1, 0xFFFFFFF0u));
  b.Take();
  b.Add(Closing(5, 3 * kSecond, 2, 0x10u), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].delta[kSegmentsSent], 0x20u);
  CHECK_EQ(records[0].total[kSegmentsSent], 0x100000010ull);
}

TEST("flow table: a counter that goes back is held and counted") {
  Bench b;
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
  Bench b;
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
  Bench b;
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
  Bench b;
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
  Bench b;
  b.Add(Reading(5, 55 * kSecond, 100, 1));
  b.Take();
  b.Add(Reading(5, 59 * kSecond, 150, 2));
  b.Collect(59 * kSecond + 1, true);
  CHECK_EQ(b.Take().size(), 1u);
  b.Collect(59 * kSecond + 2, true);
  CHECK_EQ(b.Take().size(), 0u);
}

TEST("flow table: idle connections announce themselves once an interval, spread") {
  Bench b(FlowTableOptions{});
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

TEST("flow table: a full table counts, and a closing still gets through with everything") {
  FlowTableOptions options = Bench::Unannounced();
  options.max_flows = 1;
  Bench b(options);
  b.Add(Reading(1, kSecond, 10, 1));
  b.Add(Reading(2, kSecond, 10, 1));
  b.Add(Reading(3, kSecond, 10, 1));
  CHECK_EQ(b.Take().size(), 1u);
  CHECK_EQ(b.table.Counters().full, 2u);
  b.Add(Closing(2, 2 * kSecond, 500, 5), 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kFirst));
  CHECK_EQ(records[0].delta[kBytesSent], 500u);
  CHECK_EQ(b.table.OpenFlows(), 1u);
}

TEST("flow table: a socket that dials again makes another flow") {
  Bench b;
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
  Bench b;
  b.Add(Closing(5, 2 * kSecond, 10, 1), 1);
  b.Add(Reading(5, 3 * kSecond, 20, 2));
  b.Add(Closing(5, 4 * kSecond, 20, 2), 1);
  CHECK_EQ(b.Take().size(), 1u);
  CHECK_EQ(b.table.Counters().after_close, 2u);
  CHECK_EQ(b.table.OpenFlows(), 0u);
}

TEST("flow table: an unsettled key waits, then everything since the baseline is reported") {
  Bench b;
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
  Bench b;
  sb_tcp_row row = Closing(5, kSecond, 1000, 10);
  row.head.flags = SB_F_ADOPTED;
  b.Add(row, 1);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(records[0].dialler_isn, 0u);
  CHECK_EQ(records[0].acceptor_isn, 0u);
}

TEST("flow table: a failed dial") {
  Bench b;
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
  Bench b;
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
  Bench b;
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
  Bench b(options);
  for (uint32_t i = 0; i < 100; i++) {
    sb_tcp_row half = Tcp(SB_ROW_TCP_HALF_OPEN, 0, kSecond);
    half.dialler_isn = i;
    b.Add(half);
  }
  CHECK_EQ(b.table.Counters().full, 90u);
  b.Collect(500 * kSecond);
  CHECK_EQ(b.Take().size(), 10u);
}

TEST("flow table: a UDP flow ends after its idle time and comes back as another") {
  Bench b;
  sb_udp_row row = Udp(7, kSecond);
  row.datagrams_sent = 2;
  row.bytes_sent = 80;
  b.Add(row);
  auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kFirst));
  CHECK_EQ(records[0].delta[kSegmentsSent], 2u);
  const uint64_t first_id = records[0].flow_id;
  for (int s = 2; s < 61; s++) {
    row.head.read_ns = s * kSecond;  // unchanged readings do not keep it alive
    b.Add(row);
    b.Collect(s * kSecond);
  }
  CHECK_EQ(b.Take().size(), 0u);
  b.Collect(61 * kSecond);
  records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kClosed);
  CHECK_EQ(ReasonOf(records[0]), kEndIdle);
  CHECK_EQ(records[0].age_ms, 0u);
  CHECK_EQ(b.table.OpenFlows(), 0u);
  row.head.read_ns = 90 * kSecond;
  row.datagrams_sent = 5;
  row.bytes_sent = 200;
  b.Add(row);
  records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kFirst));
  CHECK(records[0].flow_id != first_id);
  CHECK_EQ(records[0].delta[kSegmentsSent], 3u);
  CHECK_EQ(b.table.OpenFlows(), 1u);
}

TEST("flow table: a UDP flow whose socket is gone ends once") {
  Bench b;
  sb_udp_row row = Udp(7, kSecond);
  row.datagrams_sent = 2;
  b.Add(row);
  b.Take();
  row.head.read_ns = 2 * kSecond;
  row.datagrams_received = 1;
  row.head.flags |= SB_F_GONE;
  b.Add(row);
  auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK_EQ(StateOf(records[0]), kClosed);
  CHECK_EQ(ReasonOf(records[0]), kEndUnspecified);
  CHECK_EQ(records[0].delta[kSegmentsReceived], 1u);
  CHECK_EQ(b.table.OpenFlows(), 0u);
  b.Collect(200 * kSecond);
  CHECK_EQ(b.Take().size(), 0u);
}

TEST("flow table: a UDP flow seen only at its end is one record") {
  Bench b;
  sb_udp_row row = Udp(7, kSecond);
  row.datagrams_sent = 2;
  row.head.flags |= SB_F_GONE;
  b.Add(row);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 1u);
  CHECK(Has(records[0], kind::kFirst));
  CHECK_EQ(StateOf(records[0]), kClosed);
}

TEST("flow table: a new generation of a UDP flow is another flow, counted from zero") {
  Bench b;
  sb_udp_row row = Udp(7, kSecond);
  row.datagrams_sent = 9;
  b.Add(row);
  const auto before = b.Take();
  row = Udp(7, 5 * kSecond);
  row.head.generation = 1;
  row.datagrams_sent = 1;
  b.Add(row);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 2u);
  CHECK_EQ(StateOf(records[0]), kClosed);
  CHECK_EQ(records[0].flow_id, before[0].flow_id);
  CHECK_EQ(StateOf(records[1]), kOpen);
  CHECK(records[1].flow_id != before[0].flow_id);
  CHECK_EQ(records[1].delta[kSegmentsSent], 1u);
  CHECK_EQ(b.table.OpenFlows(), 1u);
}

TEST("flow table: one UDP socket and two servers are two flows") {
  Bench b;
  sb_udp_row row = Udp(7, kSecond);
  row.datagrams_sent = 1;
  b.Add(row);
  row.head.remote = rows::V4(10, 0, 0, 3);
  b.Add(row);
  const auto records = b.Take();
  REQUIRE_EQ(records.size(), 2u);
  CHECK(records[0].flow_id != records[1].flow_id);
  CHECK_EQ(b.table.OpenFlows(), 2u);
}

TEST("flow table: a sweep closes connections whose end was never seen") {
  Bench b;
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
  Bench b;
  b.table.SetFloor(WallMs(60 * kSecond));
  b.Add(Closing(5, 59 * kSecond, 10, 1), 1);
  CHECK_EQ(b.Take()[0].wall_ms, WallMs(60 * kSecond));
}

TEST("flow table: collecting stops at its limit and goes on") {
  Bench b;
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

// ---- random histories

namespace {

struct Truth {
  std::pair<uint64_t, uint64_t> baseline;  // bytes, segments
  uint64_t sent = 0;
  uint64_t segments = 0;
  bool closed = false;
};

struct Seen {
  uint64_t sent = 0;
  uint64_t segments = 0;
  int firsts = 0;
  bool closed = false;
};

void Record(std::map<uint64_t, Seen>& seen, const std::vector<FlowRecord>& records, uint64_t& count) {
  std::set<std::pair<uint64_t, uint64_t>> minutes;
  for (const FlowRecord& r : records) {
    Seen& s = seen[r.flow_id];
    CHECK(!s.closed);
    CHECK_EQ(Has(r, kind::kFirst), s.firsts == 0);
    s.firsts += Has(r, kind::kFirst);
    s.sent += r.delta[kBytesSent];
    s.segments += r.delta[kSegmentsSent];
    s.closed = StateOf(r) != kOpen;
    // One record of a flow and minute in a flush: whatever more there was is merged into it.
    CHECK(minutes.insert({r.flow_id, r.wall_ms / kMinuteMs}).second);
    ++count;
  }
}

void RandomTcpHistory(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&random](uint32_t below) { return static_cast<uint32_t>(random() % below); };
  FlowTableOptions options;
  options.report_ns = (1 + pick(10)) * kSecond;
  options.announce_ns = (20 + pick(100)) * kSecond;
  Bench b(options);
  std::map<uint64_t, Truth> truth;
  std::map<uint64_t, Seen> seen;
  uint64_t taken = 0;
  uint64_t now = kSecond;
  uint64_t next_cookie = 1;
  uint64_t last_closed = 0;
  for (int step = 0; step < 600; step++) {
    now += pick(800) * 1'000'000ull;
    const uint64_t cookie =
        pick(4) == 0 || truth.empty() ? next_cookie++ : 1 + pick(static_cast<uint32_t>(next_cookie));
    Truth& t = truth[cookie];
    // Rows that come after a closing come soon after it, or not at all.
    if (t.closed && cookie != last_closed) continue;
    const bool fresh = t.sent == 0;
    if (!t.closed) {
      t.sent += 1 + pick(1'000'000) * static_cast<uint64_t>(1 + pick(10'000));
      t.segments += pick(0x40000000);
    }
    sb_tcp_row row = Reading(cookie, now, t.sent, static_cast<uint32_t>(t.segments), pick(2) == 0);
    if (cookie % 5 == 0) {
      row.head.flags |= SB_F_ADOPTED;
      if (fresh) t.baseline = {t.sent, t.segments};
    }
    if (pick(6) == 0) {
      row.head.kind = SB_ROW_TCP_CLOSED;
      b.Add(row, 1);
      t.closed = true;
      last_closed = cookie;
    } else {
      b.Add(row);
    }
    if (pick(3) == 0) {
      b.Collect(now, pick(4) == 0);
      Record(seen, b.Take(), taken);
    }
    if (pick(50) == 0) b.table.SetFloor(WallMs(now) / kMinuteMs * kMinuteMs);
  }
  b.Collect(now, true);
  Record(seen, b.Take(), taken);
  uint64_t open = 0;
  for (const auto& [cookie, t] : truth) {
    const Seen& s = seen[cookie];
    CHECK_EQ(s.sent, t.sent - t.baseline.first);
    CHECK_EQ(s.segments, t.segments - t.baseline.second);
    CHECK_EQ(s.firsts, 1);
    CHECK_EQ(s.closed, t.closed);
    open += !t.closed;
  }
  CHECK_EQ(b.table.OpenFlows(), open);
  CHECK_EQ(b.table.Counters().made, taken + b.table.Counters().merged);
}

void RandomUdpHistory(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&random](uint32_t below) { return static_cast<uint32_t>(random() % below); };
  FlowTableOptions options;
  options.udp_idle_ns = 5 * kSecond;
  Bench b(options);
  struct Socket {
    sb_udp_row row;
    uint64_t all_sent = 0;  // over all generations
  };
  std::map<uint64_t, Socket> sockets;
  std::map<uint64_t, Seen> seen;
  uint64_t taken = 0;
  uint64_t now = kSecond;
  for (int step = 0; step < 500; step++) {
    now += pick(900) * 1'000'000ull;
    const uint64_t cookie = 1 + pick(12);
    auto found = sockets.find(cookie);
    if (found == sockets.end()) found = sockets.emplace(cookie, Socket{Udp(cookie, now), 0}).first;
    Socket& s = found->second;
    if (pick(40) == 0) {  // the kernel evicted it and began anew
      const uint32_t generation = s.row.head.generation + 1;
      s.row = Udp(cookie, now);
      s.row.head.generation = generation;
    }
    const uint64_t more = pick(3);
    s.row.head.read_ns = now;
    s.row.bytes_sent += more * 100;
    s.row.datagrams_sent += more;
    s.all_sent += more;
    b.Add(s.row);
    if (pick(2) == 0) {
      b.Collect(now, pick(4) == 0);
      Record(seen, b.Take(), taken);
    }
  }
  for (auto& [cookie, s] : sockets) {
    s.row.head.read_ns = now;
    s.row.head.flags |= SB_F_GONE;
    b.Add(s.row);
  }
  Record(seen, b.Take(), taken);
  uint64_t sent = 0;
  uint64_t truth = 0;
  for (const auto& [id, s] : seen) {
    CHECK(s.closed);
    CHECK_EQ(s.firsts, 1);
    sent += s.segments;
  }
  for (const auto& [cookie, s] : sockets) truth += s.all_sent;
  CHECK_EQ(sent, truth);
  CHECK_EQ(b.table.OpenFlows(), 0u);
  CHECK_EQ(b.table.Counters().made, taken + b.table.Counters().merged);
}

}  // namespace

TEST("flow table: random TCP histories add up") {
  for (uint32_t seed = 0; seed < 300; seed++) RandomTcpHistory(seed);
}

TEST("flow table: random UDP histories add up") {
  for (uint32_t seed = 0; seed < 300; seed++) RandomUdpHistory(seed);
}

}  // namespace skybraid
