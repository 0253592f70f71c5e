// Nanoseconds per record of the two steps between a row and its bytes, and per message of application
// protocols. Prints one JSON object a line.
#include "batch_encoder.h"
#include "flow_table.h"
#include "measure.h"
#include "rows.h"

namespace {

using namespace skybraid;
using bench::NsPer;
using bench::Print;

std::vector<FlowRecord> Records(size_t count) {
  FlowTable table(FlowTableOptions{});
  for (uint64_t i = 1; i <= count; i++) {
    sb_tcp_row row = rows::Tcp(SB_ROW_TCP_CLOSED, i, rows::kSecond);
    row.bytes_sent = 1000 + i;
    row.bytes_received = 20'000;
    row.segments_sent = row.segments_received = 12;
    row.data_segments_sent = row.data_segments_received = 6;
    row.head.tgid = 100 + static_cast<uint32_t>(i % 20);
    table.AddTcp(row, rows::WallMs(rows::kSecond), 1);
  }
  std::vector<FlowRecord> records;
  table.Take(records);
  return records;
}

}  // namespace

int main() {
  constexpr size_t kFlows = 20'000;
  constexpr int kRounds = 51;
  std::vector<double> readings, closings, encoding, collecting;
  FlowTable table(FlowTableOptions{});
  std::vector<FlowRecord> taken;
  for (int round = 0; round < kRounds; round++) {
    const uint64_t ns = (round + 1) * rows::kSecond;
    readings.push_back(NsPer(kFlows, [&] {
      for (uint64_t i = 1; i <= kFlows; i++) {
        sb_tcp_row row = rows::Tcp(SB_ROW_TCP_READING, i, ns);
        row.bytes_sent = static_cast<uint64_t>(round) * 100;
        table.AddTcp(row, rows::WallMs(ns), 0);
      }
    }));
    collecting.push_back(NsPer(kFlows, [&] { table.Collect(ns, rows::WallMs(ns), false, SIZE_MAX); }));
    table.Take(taken);
  }
  CgroupPaths paths("/nonexistent");
  Owners owners(paths);
  DnsNames names;
  BatchEncoder encoder(4, owners, names);
  const std::vector<FlowRecord> records = Records(kFlows);
  std::vector<uint8_t> out;
  for (int round = 0; round < kRounds; round++) {
    closings.push_back(NsPer(kFlows, [] { Records(kFlows); }));
    out.clear();
    encoding.push_back(
        NsPer(kFlows, [&] { encoder.Encode(records, rows::kWallOffsetMs / kMinuteMs, 1, 0, out); }));
  }
  Print("native: reading of an open socket into the flow table", readings, "ns/row");
  Print("native: scan of 20,000 open flows for what is due", collecting, "ns/flow");
  Print("native: closing row into a record", closings, "ns/row");
  Print("native: record into columns", encoding, "ns/record");
  printf("{\"name\":\"native: bytes of a record, IPv4, closed\",\"value\":%.1f,\"unit\":\"B\"}\n",
         static_cast<double>(out.size()) / static_cast<double>(kFlows));
  bench::Protocols();
  return 0;
}
