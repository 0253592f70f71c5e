// Nanoseconds per record of the two steps between a row and its bytes. Prints one JSON object a line.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>

#include "batch_encoder.h"
#include "flow_table.h"
#include "l7/http1/http1.h"
#include "l7/pairing.h"
#include "rows.h"

namespace {

using namespace skybraid;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const char* name, std::vector<double> ns_per_item, const char* unit) {
  printf("{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"rounds\":%zu}\n", name, Median(ns_per_item), unit,
         ns_per_item.size());
}

// Time of this thread on a processor: what else the machine does is not counted, though it cools the caches.
double ThreadNs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

template <typename Body>
double NsPer(size_t items, Body body) {
  const double begin = ThreadNs();
  body();
  return (ThreadNs() - begin) / static_cast<double>(items);
}

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

// Requests with their responses on keep-alive connections, through parser, pairing and ledger; each is two
// messages.
void ReadHttp1(size_t exchanges) {
  using namespace l7;
  static const char kAsks[] =
      "GET /api/users/4711/orders?page=2 HTTP/1.1\r\nHost: shop.default.svc\r\nUser-Agent: probe/1.0\r\n"
      "Accept: application/json\r\nAccept-Encoding: gzip\r\n\r\n";
  static const char kAnswers[] =
      "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
      "Content-Type: application/json\r\nContent-Length: 512\r\nConnection: keep-alive\r\n\r\n";
  static Ledger ledger;
  PairingCounters counters;
  Pairing pairing(Protocol::kHttp1, ledger, counters);
  Http1 parser;
  const auto eat = [&](Side side, const char* text, size_t size, uint64_t ns) {
    parser.Eat(side, reinterpret_cast<const uint8_t*>(text), size, ns, pairing);
  };
  for (uint64_t i = 1; i <= exchanges; i++) {
    eat(Side::kToServer, kAsks, sizeof kAsks - 1, i * 300'000);
    eat(Side::kToClient, kAnswers, sizeof kAnswers - 1, i * 300'000 + 1000 * (i % 200));
    parser.Skip(Side::kToClient, 512, i * 300'000 + 250'000, pairing);
  }
  pairing.Close();
  ledger.Take(pairing.Rows(), [](const LedgerRow&) {});
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
  std::vector<double> http1;
  for (int round = 0; round < kRounds; round++) {
    closings.push_back(NsPer(kFlows, [] { Records(kFlows); }));
    out.clear();
    encoding.push_back(
        NsPer(kFlows, [&] { encoder.Encode(records, rows::kWallOffsetMs / kMinuteMs, 1, 0, out); }));
    http1.push_back(NsPer(2 * kFlows, [] { ReadHttp1(kFlows); }));
  }
  Print("native: reading of an open socket into the flow table", readings, "ns/row");
  Print("native: scan of 20,000 open flows for what is due", collecting, "ns/flow");
  Print("native: closing row into a record", closings, "ns/row");
  Print("native: record into columns", encoding, "ns/record");
  Print("native: HTTP/1 message parsed, paired and added up", http1, "ns/message");
  printf("{\"name\":\"native: bytes of a record, IPv4, closed\",\"value\":%.1f,\"unit\":\"B\"}\n",
         static_cast<double>(out.size()) / static_cast<double>(kFlows));
  return 0;
}
