#include "batch_encoder.h"

#include <random>
#include <set>

#include "check.h"
#include "frames.h"
#include "rows.h"

namespace skybraid {

namespace {

constexpr uint64_t kMinute = rows::kWallOffsetMs / kMinuteMs;
constexpr uint32_t kTcpClient = kind::kTcp | SB_ROLE_CLIENT << kind::kRoleShift;
constexpr uint32_t kUdpClient = kind::kUdp | SB_ROLE_CLIENT << kind::kRoleShift;
constexpr uint32_t kUdpServer = kind::kUdp | SB_ROLE_SERVER << kind::kRoleShift;

struct Bench {
  CgroupPaths paths{"/nonexistent"};
  Owners owners{paths};
  DnsNames names;
  BatchEncoder encoder;
  explicit Bench(uint32_t partitions = 1) : encoder(partitions, owners, names) {}

  std::vector<frames::Frame> Encode(const std::vector<FlowRecord>& records, uint64_t minute = kMinute) {
    std::vector<uint8_t> out;
    encoder.Encode(records, minute, 1, 5.5, out);
    return frames::Read(out);
  }
};

FlowRecord Record(uint32_t isn) {
  FlowRecord r{};
  r.flow_id = 0x1122334455667788ull + isn;
  r.wall_ms = rows::kWallOffsetMs + 1234;
  r.owner = {0, 10, "curl"};
  r.local = rows::V4(10, 0, 0, 1);
  r.remote = rows::V4(10, 0, 0, 2);
  r.dialler_isn = isn;
  r.kind = kTcpClient;
  r.ports = 40000u << 16 | 80;
  return r;
}

sb_addr V6(uint32_t n) {
  sb_addr a{};
  a.bytes[0] = 0xFD;
  memcpy(a.bytes + 12, &n, 4);
  return a;
}

}  // namespace

TEST("partition hash: as flow.proto defines it") {
  FlowRecord r = Record(1);
  CHECK_EQ(PartitionHash(r), 1364076727u);  // murmur3's finaliser of 1
  r = Record(0);
  CHECK_EQ(PartitionHash(r), 0u);
  FlowRecord client = Record(0);
  client.kind = kUdpClient;
  FlowRecord server = client;
  server.kind = kUdpServer;
  std::swap(server.local, server.remote);
  server.ports = server.ports << 16 | server.ports >> 16;
  CHECK_EQ(PartitionHash(client), PartitionHash(server));
  // Worked out apart from this code; other languages check the same number.
  CHECK_EQ(PartitionHash(client), 2682364775u);
}

TEST("encoder: every column is where the schema has it") {
  FlowRecord r = Record(0xA0000001u);
  r.acceptor_isn = 33;
  r.netns = 35;
  r.age_ms = 42;
  r.handshake_us = 43;
  r.srtt_us = 44;
  r.min_rtt_us = 45;
  for (uint32_t i = 0; i < kCounterCount; i++) {
    r.delta[i] = 46 + i;
    r.total[i] = 1000 + i;
  }
  r.total[kBytesSent] = 0x123456789ull;
  Bench b;
  const auto read = b.Encode({r});
  REQUIRE_EQ(read.size(), 1u);
  const frames::Frame& f = read[0];
  CHECK_EQ(f.record_count, 1u);
  CHECK_EQ(f.base_unix_ms, static_cast<double>(rows::kWallOffsetMs));
  CHECK_EQ(f.at_unix_ms, 5.5);
  CHECK_EQ(f.At(32, 0), 0xA0000001u);
  CHECK_EQ(f.At(33, 0), 33u);
  CHECK_EQ(f.At64(34, 0), r.flow_id);
  CHECK_EQ(f.At(35, 0), 35u);
  CHECK_EQ(f.At(36, 0), 0x0100000Au);
  CHECK_EQ(f.At(37, 0), 0x0200000Au);
  CHECK_EQ(f.At(38, 0), 40000u << 16 | 80);
  CHECK_EQ(f.At(39, 0), kTcpClient);
  CHECK_EQ(f.At(41, 0), 1234u);
  for (uint32_t field = 42; field <= 53; field++) CHECK_EQ(f.At(field, 0), field);
  CHECK_EQ(f.At64(54, 0), 0x123456789ull);
  CHECK_EQ(f.At64(55, 0), 1000u + kBytesReceived);
  CHECK_EQ(f.At(56, 0), 1000u + kDataSegmentsSent);
  CHECK_EQ(f.At(57, 0), 1000u + kDataSegmentsReceived);
  CHECK_EQ(f.At(58, 0), 1000u + kRetransmitted);
  REQUIRE_EQ(f.Count(20), 1u);
  CHECK_EQ(f.fields.at(20)[0],
           "\x2a\x04"
           "curl"
           "\x30\x0a");
}

TEST("encoder: columns that are zero are left out") {
  Bench b;
  const auto read = b.Encode({Record(7)});
  REQUIRE_EQ(read.size(), 1u);
  for (const uint32_t absent : {33, 35, 40, 42, 43, 46, 47, 54, 55, 60, 61, 62})
    CHECK_EQ(read[0].Count(absent), 0u);
}

TEST("encoder: deltas beyond 32 bits keep their high halves") {
  Bench b;
  FlowRecord wide = Record(8);
  wide.delta[kBytesSent] = 5ull << 32 | 6;
  wide.delta[kOutOfOrder] = 1ull << 32;
  const auto read = b.Encode({Record(7), wide});
  REQUIRE_EQ(read.size(), 1u);
  const frames::Frame& f = read[0];
  CHECK_EQ(f.At(46, 0), 0u);
  CHECK_EQ(f.At(46, 1), 6u);
  CHECK_EQ(f.At(60, 0), 1u << 8 | 46);
  CHECK_EQ(f.At(61, 0), 5u);
  CHECK_EQ(f.At(60, 1), 1u << 8 | 53);
  CHECK_EQ(f.At(61, 1), 1u);
}

TEST("encoder: owners and IPv6 addresses are written once a frame") {
  Bench b;
  std::vector<FlowRecord> records;
  for (uint32_t i = 0; i < 30; i++) {
    FlowRecord r = Record(i + 1);
    r.owner.tgid = 100 + i % 3;
    if (i % 2 == 0) {
      r.kind |= kind::kV6;
      r.local = V6(1);
      r.remote = V6(2 + i % 4);
    }
    records.push_back(r);
  }
  const auto read = b.Encode(records);
  REQUIRE_EQ(read.size(), 1u);
  const frames::Frame& f = read[0];
  CHECK_EQ(f.Count(20), 3u);
  CHECK_EQ(f.fields.at(62)[0].size(), 3u * 16);
  for (uint32_t i = 0; i < 30; i++) {
    CHECK_EQ(f.At(40, i), i % 3);
    if (i % 2 != 0) continue;
    const std::string& v6 = f.fields.at(62)[0];
    CHECK(memcmp(v6.data() + 16 * f.At(36, i), &records[i].local, 16) == 0);
    CHECK(memcmp(v6.data() + 16 * f.At(37, i), &records[i].remote, 16) == 0);
  }
}

TEST("encoder: frames stay within their bounds, and every record is in exactly one of its partition") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 30; round++) {
    constexpr uint32_t kPartitions = 4;
    Bench b(kPartitions);
    std::vector<FlowRecord> records;
    const size_t count = 1 + random() % 6000;
    const bool wide = round % 3 == 0;
    for (size_t i = 0; i < count; i++) {
      FlowRecord r = Record(static_cast<uint32_t>(random()));
      r.flow_id = i + 1;
      r.owner.tgid = static_cast<uint32_t>(random() % (round % 5 == 0 ? 5000 : 20));
      if (random() % 3 == 0) {
        r.kind |= kind::kV6;
        r.local = V6(static_cast<uint32_t>(random() % 5000));
        r.remote = V6(static_cast<uint32_t>(random() % 5000));
      }
      for (uint64_t& d : r.delta) d = wide ? random() : random() % 100;
      r.wall_ms += i % 2 == 0 ? 0 : kMinuteMs;
      records.push_back(r);
    }
    std::set<uint64_t> seen;
    for (uint64_t minute = kMinute; minute <= kMinute + 1; minute++) {
      for (const frames::Frame& f : b.Encode(records, minute)) {
        CHECK(f.record_count >= 1 && f.record_count <= 1000);
        CHECK(f.body_bytes <= 46 * 1024);
        CHECK_EQ(f.base_unix_ms, static_cast<double>(minute * kMinuteMs));
        for (size_t i = 0; i < f.record_count; i++) {
          const uint64_t id = f.At64(34, i);
          CHECK(seen.insert(id).second);
          CHECK_EQ(f.At(32, i), records[id - 1].dialler_isn);
          CHECK_EQ(PartitionHash(records[id - 1]) % kPartitions, f.partition);
          CHECK_EQ(records[id - 1].wall_ms / kMinuteMs, minute);
          CHECK(f.At(40, i) < f.Count(20));
        }
      }
    }
    CHECK_EQ(seen.size(), count);
  }
}

TEST("encoder: frames are full, not merely small enough") {
  Bench b;
  std::vector<FlowRecord> records;
  for (uint32_t i = 0; i < 2500; i++) records.push_back(Record(i + 1));
  const auto read = b.Encode(records);
  REQUIRE_EQ(read.size(), 3u);
  CHECK_EQ(read[0].record_count, 1000u);
  CHECK_EQ(read[2].record_count, 500u);
}

TEST("encoder: a record brings the name of what it talks to, new names go to every partition once") {
  Bench b(2);
  DnsAnswer answer;
  answer.question.name = "shop.test";
  answer.count = 1;
  answer.addresses[0] = {rows::V4(10, 0, 0, 2), 30};
  b.names.Add(answer, 77);
  std::vector<FlowRecord> records;
  for (uint32_t i = 0; i < 20; i++) records.push_back(Record(i + 1));
  auto read = b.Encode(records);
  REQUIRE_EQ(read.size(), 2u);
  for (const frames::Frame& f : read) {
    REQUIRE_EQ(f.Count(21), 1u);
    CHECK(f.fields.at(21)[0].find("shop.test") != std::string::npos);
  }
  for (const frames::Frame& f : b.Encode(records)) CHECK_EQ(f.Count(21), 0u);
  for (FlowRecord& r : records) r.kind |= kind::kFirst;
  for (const frames::Frame& f : b.Encode(records)) CHECK_EQ(f.Count(21), 1u);
}

TEST("encoder: the minute's end is marked in every partition") {
  Bench b(3);
  std::vector<uint8_t> out;
  b.encoder.CompleteMinute(kMinute, 9, out);
  const auto read = frames::Read(out);
  REQUIRE_EQ(read.size(), 3u);
  for (uint32_t p = 0; p < 3; p++) {
    CHECK_EQ(read[p].partition, p);
    CHECK_EQ(read[p].record_count, 0u);
    CHECK_EQ(read[p].body_bytes, 0u);
    CHECK_EQ(read[p].base_unix_ms, static_cast<double>(kMinute * kMinuteMs));
  }
}

TEST("encoder: from a minute on records are split otherwise, late ones as they were") {
  Bench b(4);
  const uint64_t minute = kMinute + 1;
  b.encoder.SetPartitions(4, 8, minute + 5);
  b.encoder.SetPartitions(4, 8, minute);  // in place of what was said of later minutes
  std::vector<FlowRecord> now, later;
  for (uint32_t i = 1; i <= 40; i++) {
    now.push_back(Record(i));
    later.push_back(Record(i));
    later.back().wall_ms += kMinuteMs;
  }
  for (const bool again : {false, true}) {
    (void)again;
    std::set<uint32_t> numbers;
    for (const frames::Frame& f : b.Encode(later, minute)) {
      numbers.insert(f.partition);
      for (size_t i = 0; i < f.record_count; i++)
        CHECK_EQ(PartitionHash(Record(static_cast<uint32_t>(f.At(32, i)))) % 8 + 4, f.partition);
    }
    CHECK_EQ(numbers.size(), 8u);
    for (const frames::Frame& f : b.Encode(now))
      for (size_t i = 0; i < f.record_count; i++)
        CHECK_EQ(PartitionHash(Record(static_cast<uint32_t>(f.At(32, i)))) % 4, f.partition);
  }
  std::vector<uint8_t> out;
  b.encoder.CompleteMinute(kMinute, 9, out);
  b.encoder.CompleteMinute(minute, 9, out);
  const auto read = frames::Read(out);
  REQUIRE_EQ(read.size(), 12u);
  for (uint32_t p = 0; p < 12; p++) CHECK_EQ(read[p].partition, p);
}

}  // namespace skybraid
