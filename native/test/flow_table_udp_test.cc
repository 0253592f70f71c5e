#include "flow_bench.h"

namespace skybraid {

namespace {

using rows::Has;
using rows::kSecond;
using rows::ReasonOf;
using rows::StateOf;
using rows::Udp;

}  // namespace

TEST("flow table: a UDP flow ends after its idle time and comes back as another") {
  FlowBench b;
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
  FlowBench b;
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
  FlowBench b;
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
  FlowBench b;
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
  FlowBench b;
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

}  // namespace skybraid
