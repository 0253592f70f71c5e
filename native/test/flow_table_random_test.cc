#include <map>
#include <random>
#include <set>

#include "flow_bench.h"

namespace skybraid {

namespace {

using rows::Has;
using rows::kSecond;
using rows::StateOf;
using rows::Udp;
using rows::WallMs;

}  // namespace

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
  FlowBench b(options);
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
  FlowBench b(options);
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
