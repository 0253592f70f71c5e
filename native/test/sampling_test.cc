#include "sampling.h"

#include <random>

#include "check.h"
#include "flow_table.h"
#include "hash.h"
#include "rows.h"

namespace skybraid {

namespace {

using rows::kSecond;
using rows::StateOf;
using rows::Tcp;
using rows::WallMs;

uint32_t SamplingOf(const FlowRecord& record) { return record.kind >> kind::kSamplingShift & 15; }

sb_tcp_row Row(uint8_t row_kind, uint32_t n, uint64_t ns, uint64_t sent) {
  sb_tcp_row row = Tcp(row_kind, n, ns);
  row.dialler_isn = Mix32(n);
  row.acceptor_isn = Mix32(n ^ 0x5bd1e995u);
  row.bytes_sent = sent;
  return row;
}

// The same connection as its other end sees it.
sb_tcp_row OtherEnd(sb_tcp_row row) {
  row.head.role = SB_ROLE_SERVER;
  row.head.cookie += 1'000'000;
  std::swap(row.head.local, row.head.remote);
  std::swap(row.head.local_port, row.head.remote_port);
  return row;
}

std::vector<FlowRecord> Take(FlowTable& table) {
  std::vector<FlowRecord> records;
  table.Take(records);
  return records;
}

}  // namespace

TEST("sampling: both ends choose the same connections, about one in 2^n") {
  FlowTable near{FlowTableOptions{}};
  FlowTable far{FlowTableOptions{}};
  near.SetSampling(3);
  far.SetSampling(3);
  constexpr uint32_t kConnections = 40'000;
  for (uint32_t n = 1; n <= kConnections; n++) {
    const sb_tcp_row row = Row(SB_ROW_TCP_CLOSED, n, kSecond, 100);
    near.AddTcp(row, WallMs(kSecond), 1);
    far.AddTcp(OtherEnd(row), WallMs(kSecond), 1);
  }
  const auto here = Take(near);
  const auto there = Take(far);
  REQUIRE_EQ(here.size(), there.size());
  for (size_t i = 0; i < here.size(); i++) {
    CHECK_EQ(here[i].dialler_isn, there[i].dialler_isn);
    CHECK_EQ(SamplingOf(here[i]), 3u);
  }
  // five standard deviations of a fair choice
  CHECK(here.size() > kConnections / 8 - 330 && here.size() < kConnections / 8 + 330);
  CHECK_EQ(near.Counters().made, kConnections);
  CHECK_EQ(near.Counters().sampled_out, kConnections - here.size());
}

TEST("sampling: partitions get equal shares of the sample") {
  uint32_t shares[4] = {};
  for (uint32_t n = 1; n <= 40'000; n++) {
    FlowRecord record{};
    record.kind = kind::kTcp;
    record.dialler_isn = Mix32(n);
    record.acceptor_isn = Mix32(~n);
    if (IsSampled(SampleHash(record), 3)) shares[PartitionHash(record) % 4]++;
  }
  for (const uint32_t share : shares) CHECK(share > 1250 - 170 && share < 1250 + 170);
}

TEST("sampling: both ends of a simultaneous open choose alike") {
  FlowRecord one{};
  one.kind = kind::kTcp;
  one.dialler_isn = 7;
  one.acceptor_isn = 9;
  FlowRecord other = one;
  std::swap(other.dialler_isn, other.acceptor_isn);
  CHECK_EQ(SampleHash(one), SampleHash(other));
}

TEST("sampling: the hash is the one that the aggregator works out") {
  // the same figure stands in packages/aggregator/src/join/sampling.test.ts
  FlowRecord record{};
  record.kind = kind::kTcp;
  record.dialler_isn = 0x01020304;
  record.acceptor_isn = 0x0a0b0c0d;
  CHECK_EQ(SampleHash(record), 258933000u);
}

TEST("sampling: failed dials are always recorded, and stand for themselves") {
  FlowTable table{FlowTableOptions{}};
  table.SetSampling(kMaxSampling);
  for (uint32_t n = 1; n <= 200; n++) table.AddTcp(Row(SB_ROW_TCP_FAILED, n, kSecond, 0), WallMs(kSecond), 5);
  const auto records = Take(table);
  REQUIRE_EQ(records.size(), 200u);
  for (const FlowRecord& record : records) CHECK_EQ(SamplingOf(record), 0u);
}

TEST("sampling: a connection keeps what was decided, whatever the rate becomes") {
  FlowTable table{FlowTableOptions{}};
  table.SetSampling(2);
  uint32_t muted = 0, chosen = 0;
  for (uint32_t n = 1; n <= 64; n++)
    table.AddTcp(Row(SB_ROW_TCP_READING, n, kSecond, 10), WallMs(kSecond), 0);
  const size_t first = Take(table).size();
  table.SetSampling(0);
  for (uint32_t n = 1; n <= 64; n++)
    table.AddTcp(Row(SB_ROW_TCP_CLOSED, n, 2 * kSecond, 30), WallMs(2 * kSecond), 1);
  const auto ends = Take(table);
  CHECK_EQ(ends.size(), first);
  for (const FlowRecord& record : ends) {
    CHECK_EQ(SamplingOf(record), 2u);
    CHECK_EQ(record.delta[kBytesSent], 20u);
    chosen++;
  }
  muted = 64 - chosen;
  CHECK(muted > 0 && chosen > 0);
  CHECK_EQ(table.Counters().sampled_out, 2u * muted);
  table.AddTcp(Row(SB_ROW_TCP_CLOSED, 65, 2 * kSecond, 30), WallMs(2 * kSecond), 1);
  const auto after = Take(table);
  REQUIRE_EQ(after.size(), 1u);
  CHECK_EQ(SamplingOf(after[0]), 0u);
}

}  // namespace skybraid
