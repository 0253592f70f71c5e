// The poll loop against a source that the test plays, on clocks that the test sets.
#include "capture.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>

#include "check.h"
#include "frames.h"
#include "rows.h"

namespace skybraid {

namespace {

using rows::kSecond;

// Plays back what the test puts in. `read` is answered by the next reading of all sockets.
struct Script {
  std::deque<sb_tcp_row> ring;
  std::deque<sb_udp_row> udp;
  std::deque<sb_dns_row> dns;
  std::deque<sb_cgroup_row> cgroups;
  std::vector<sb_tcp_row> read;
  std::vector<sb_tcp_row> all;
  KernelCounters counters{};
  int sweeps = 0;
  bool open_fails = false;
  std::atomic<int> alive{0};
};

class PlayedSource final : public KernelSource {
 public:
  explicit PlayedSource(Script& script) : script_(script) { ++script_.alive; }
  ~PlayedSource() override { --script_.alive; }
  OpenResult Open(const SourceOptions&) override {
    OpenResult result;
    result.ok = !script_.open_fails;
    result.error = script_.open_fails ? "No." : "";
    return result;
  }
  uint64_t Drain(RowSink& sink) override {
    uint64_t rows = 0;
    for (; !script_.cgroups.empty(); rows++) {
      const sb_cgroup_row row = script_.cgroups.front();
      script_.cgroups.pop_front();
      sink.OnCgroup(row);
    }
    for (; !script_.ring.empty(); rows++) {
      const sb_tcp_row row = script_.ring.front();
      script_.ring.pop_front();
      sink.OnTcp(row);
    }
    for (; !script_.dns.empty(); rows++) {
      const sb_dns_row row = script_.dns.front();
      script_.dns.pop_front();
      sink.OnDns(row);
    }
    return rows;
  }
  uint64_t ReadSockets(RowSink& sink) override {
    std::vector<sb_tcp_row> rows;
    rows.swap(script_.read);
    for (const sb_tcp_row& row : rows) sink.OnTcp(row);
    return rows.size();
  }
  uint64_t ReadUdpFlows(RowSink& sink) override {
    uint64_t rows = 0;
    for (; !script_.udp.empty(); rows++) {
      const sb_udp_row row = script_.udp.front();
      script_.udp.pop_front();
      sink.OnUdp(row);
    }
    return rows;
  }
  bool ReadAllSockets(RowSink& sink) override {
    ++script_.sweeps;
    for (const sb_tcp_row& row : script_.all) sink.OnTcp(row);
    return true;
  }
  KernelCounters Counters() override { return script_.counters; }

 private:
  Script& script_;
};

struct Bench {
  Script script;
  bool room = true;
  std::vector<std::vector<frames::Frame>> flushes;
  std::unique_ptr<Capture> capture;

  explicit Bench(uint32_t partitions = 1) {
    CaptureOptions options;
    options.source.cgroup_path = "/nonexistent";
    options.partitions = partitions;
    options.announce_ms = 86'400'000;
    Capture::Reader reader;
    reader.has_room = [this] { return room; };
    reader.deliver = [this](Capture::Flush&& flush) { flushes.push_back(frames::Read(flush)); };
    capture = std::make_unique<Capture>(options, std::make_unique<PlayedSource>(script), reader);
  }

  static Clocks At(uint64_t ns) { return {ns, rows::kWallOffsetMs * 1'000'000 + ns}; }
  uint64_t Step(uint64_t ns) { return capture->Step(At(ns)); }
  // Steps as the thread would, up to `ns`.
  uint64_t RunTo(uint64_t from, uint64_t ns) {
    uint64_t at = from;
    while (at <= ns) {
      const uint64_t next = Step(at);
      CHECK(next > at);
      CHECK(next <= at + 60'000'000);
      at = next;
    }
    return at;
  }
  size_t Records() const {
    size_t count = 0;
    for (const auto& flush : flushes)
      for (const frames::Frame& f : flush) count += f.record_count;
    return count;
  }
};

sb_tcp_row Closed(uint64_t cookie, uint64_t ns) {
  sb_tcp_row row = rows::Tcp(SB_ROW_TCP_CLOSED, cookie, ns);
  row.head.tcp_state = kLastAck;
  row.bytes_sent = 10;
  return row;
}

sb_tcp_row Reading(uint64_t cookie, uint64_t ns, uint64_t sent) {
  sb_tcp_row row = rows::Tcp(SB_ROW_TCP_READING, cookie, ns);
  row.head.flags |= SB_F_QUIET;
  row.bytes_sent = sent;
  return row;
}

sb_cgroup_row Made(uint64_t cgroup_id, const std::string& path) {
  sb_cgroup_row row{};
  row.head.kind = SB_ROW_CGROUP;
  row.head.cgroup_id = cgroup_id;
  row.length = static_cast<uint32_t>(path.size());
  memcpy(row.path, path.data(), std::min<size_t>(path.size(), SB_CGROUP_PATH));
  return row;
}

// Does any field of any frame contain the text?
bool Mentions(const std::vector<std::vector<frames::Frame>>& flushes, const std::string& text) {
  for (const auto& flush : flushes)
    for (const frames::Frame& frame : flush)
      for (const auto& [number, values] : frame.fields)
        for (const std::string& value : values)
          if (value.find(text) != std::string::npos) return true;
  return false;
}

double Base(uint64_t minute) { return static_cast<double>(rows::kWallOffsetMs + minute * kMinuteMs); }

}  // namespace

TEST("capture: a closing is out with the next flush, and idle flushes are none") {
  Bench b;
  uint64_t at = b.RunTo(10 * kSecond, 11 * kSecond);
  CHECK_EQ(b.flushes.size(), 0u);
  b.script.ring.push_back(Closed(1, at - 1));
  b.RunTo(at, at + kSecond / 2 + 1);
  REQUIRE_EQ(b.flushes.size(), 1u);
  REQUIRE_EQ(b.flushes[0].size(), 1u);
  CHECK_EQ(b.flushes[0][0].record_count, 1u);
  CHECK_EQ(b.flushes[0][0].base_unix_ms, Base(0));
  CHECK_EQ(b.flushes[0][0].At(39, 0) >> 9 & 15, 1u);  // FIN
}

TEST("capture: the minute's end is marked once, after its records, before the next minute's") {
  Bench b(2);
  uint64_t at = b.RunTo(58 * kSecond, 59 * kSecond + 900'000'000);
  b.script.ring.push_back(Closed(1, 59 * kSecond + 999'000'000));
  b.script.ring.push_back(Closed(2, 60 * kSecond + 1'000'000));
  b.flushes.clear();
  b.RunTo(at, 61 * kSecond);
  std::vector<std::pair<double, size_t>> seen;
  for (const auto& flush : b.flushes) {
    for (const frames::Frame& f : flush) {
      CHECK_EQ(f.base_unix_ms, flush[0].base_unix_ms);
      seen.push_back({f.base_unix_ms, f.record_count});
    }
  }
  const std::vector<std::pair<double, size_t>> expected = {
      {Base(0), 1}, {Base(0), 0}, {Base(0), 0}, {Base(1), 1}};
  CHECK(seen == expected);
}

TEST("capture: minutes are marked also when nothing happens") {
  Bench b;
  b.RunTo(10 * kSecond, 190 * kSecond);
  REQUIRE_EQ(b.flushes.size(), 3u);
  for (uint64_t m = 0; m < 3; m++) {
    CHECK_EQ(b.flushes[m][0].base_unix_ms, Base(m));
    CHECK_EQ(b.flushes[m][0].record_count, 0u);
  }
}

TEST("capture: changes of the minute's last seconds are read before it ends") {
  Bench b;
  b.script.read = {Reading(1, 50 * kSecond, 100)};
  uint64_t at = b.RunTo(50 * kSecond, 59 * kSecond + 600'000'000);
  CHECK_EQ(b.Records(), 1u);
  b.script.read = {Reading(1, 59 * kSecond + 980'000'000, 250)};
  b.flushes.clear();
  b.RunTo(at, 60 * kSecond + 100'000'000);
  REQUIRE_EQ(b.flushes.size(), 1u);
  REQUIRE_EQ(b.flushes[0].size(), 2u);
  CHECK_EQ(b.flushes[0][0].record_count, 1u);
  CHECK_EQ(b.flushes[0][0].base_unix_ms, Base(0));
  CHECK_EQ(b.flushes[0][0].At(46, 0), 150u);
}

TEST("capture: a row that comes after its minute was marked goes into the next") {
  Bench b;
  uint64_t at = b.RunTo(59 * kSecond, 60 * kSecond + 100'000'000);
  b.flushes.clear();
  b.script.ring.push_back(Closed(1, 59 * kSecond + 999'000'000));
  b.RunTo(at, 61 * kSecond);
  REQUIRE_EQ(b.flushes.size(), 1u);
  CHECK_EQ(b.flushes[0][0].base_unix_ms, Base(1));
}

TEST("capture: a clock that leaps ahead marks the minutes between") {
  Bench b;
  b.RunTo(10 * kSecond, 11 * kSecond);
  b.script.ring.push_back(Closed(1, 11 * kSecond));
  Clocks leap = Bench::At(12 * kSecond);
  leap.unix_ns += 3600ull * kSecond;
  b.capture->Step(leap);
  CHECK_EQ(b.flushes.size(), 60u);
  CHECK_EQ(b.Records(), 1u);
  CHECK_EQ(b.flushes[0][0].record_count, 1u);
  Clocks far = leap;
  far.mono_ns += kSecond;
  far.unix_ns += 100ull * 365 * 86400 * kSecond;
  b.flushes.clear();
  b.capture->Step(far);
  CHECK(b.flushes.size() < 2000);
}

TEST("capture: a clock set back far is followed") {
  Bench b;
  b.RunTo(3000 * kSecond, 3001 * kSecond);
  Clocks back = Bench::At(3002 * kSecond);
  back.unix_ns -= 1800ull * kSecond;
  b.capture->Step(back);
  b.script.ring.push_back(Closed(1, 3002 * kSecond));
  back.mono_ns += kSecond;
  back.unix_ns += kSecond;
  b.capture->Step(back);
  CHECK_EQ(b.Records(), 1u);
  CHECK_EQ(b.flushes.back()[0].base_unix_ms, Base(20));
}

TEST("capture: while the reader is behind, rows stay in the ring") {
  Bench b;
  b.RunTo(10 * kSecond, 10 * kSecond);
  b.room = false;
  b.script.ring.push_back(Closed(1, 10 * kSecond));
  uint64_t at = b.RunTo(10 * kSecond + 60'000'000, 75 * kSecond);
  CHECK_EQ(b.flushes.size(), 0u);
  CHECK_EQ(b.script.ring.size(), 1u);
  b.room = true;
  b.RunTo(at, at + kSecond);
  CHECK_EQ(b.Records(), 1u);
  CHECK_EQ(b.flushes[0][0].base_unix_ms, Base(0));
}

TEST("capture: a burst goes out in pieces") {
  Bench b;
  b.RunTo(10 * kSecond, 10 * kSecond);
  for (uint64_t i = 1; i <= 20'000; i++) b.script.ring.push_back(Closed(i, 10 * kSecond));
  b.RunTo(10 * kSecond + 60'000'000, 11 * kSecond);
  CHECK_EQ(b.Records(), 20'000u);
  CHECK(b.flushes.size() >= 4);
  for (const auto& flush : b.flushes) {
    size_t records = 0;
    for (const frames::Frame& f : flush) records += f.record_count;
    CHECK(records <= 4096);
  }
}

void CheckVanishedAreClosed(sb_counter unseen) {
  Bench b;
  b.script.read = {Reading(1, 10 * kSecond, 5), Reading(2, 10 * kSecond, 5)};
  uint64_t at = b.RunTo(10 * kSecond, 11 * kSecond);
  CHECK_EQ(b.Records(), 2u);
  CHECK_EQ(b.script.sweeps, 0);
  b.script.counters[unseen] = 1;
  b.script.all = {Reading(2, 11 * kSecond, 5)};
  at = b.RunTo(at, 12 * kSecond + 100'000'000);
  CHECK_EQ(b.script.sweeps, 2);
  CHECK_EQ(b.Records(), 3u);
  CHECK_EQ(b.flushes.back()[0].At64(34, 0), 1u);
  b.RunTo(at, 40 * kSecond);
  CHECK_EQ(b.script.sweeps, 2);
  CHECK_EQ(b.capture->Counters().open_flows, 1u);
}

TEST("capture: after the ring overflowed, connections that vanished are closed") {
  CheckVanishedAreClosed(SB_C_RING_FULL);
}

TEST("capture: after the kernel hid a state change, connections that vanished are closed") {
  CheckVanishedAreClosed(SB_C_MISSED);
}

TEST("capture: a DNS answer names an address if it was asked for, a broken one is counted") {
  Bench b;
  b.RunTo(10 * kSecond, 10 * kSecond);
  const std::string message(
      "\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01"
      "a\x04"
      "test\0\0\x01\0\x01\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\x0A\0\0\x02",
      40);
  sb_dns_row row{};
  row.head = rows::Head(SB_ROW_DNS, 9, 10 * kSecond);
  row.length = static_cast<uint32_t>(message.size());
  memcpy(row.message, message.data(), message.size());
  sb_dns_row question = row;
  question.sent = 1;
  question.length = 24;
  question.message[2] = question.message[7] = 0;  // no answer, and none in it
  b.script.dns.push_back(question);
  b.script.dns.push_back(row);
  row.message[4 + 9] = 'b';  // nobody asked for b.test
  b.script.dns.push_back(row);
  row.length = 7;
  b.script.dns.push_back(row);
  row.length = 0xFFFFFFFF;  // a row may claim more than it holds
  memset(row.message, 0xFF, sizeof row.message);
  b.script.dns.push_back(row);
  b.script.ring.push_back(Closed(1, 10 * kSecond));
  b.RunTo(10 * kSecond + 60'000'000, 11 * kSecond);
  REQUIRE_EQ(b.flushes.size(), 1u);
  REQUIRE_EQ(b.flushes[0][0].Count(21), 1u);
  CHECK(b.flushes[0][0].fields.at(21)[0].find("a.test") != std::string::npos);
  CHECK_EQ(b.capture->Counters().dns_malformed, 1u);
  CHECK_EQ(b.capture->Counters().dns_unasked, 1u);
  CHECK_EQ(b.capture->Counters().ring_consumed, 6u);
}

TEST("capture: a container that is gone when it is first read keeps its name") {
  Bench b;
  const std::string id(64, 'c');
  b.script.cgroups.push_back(Made(4711, "/kubepods/burstable/pod1/" + id));
  b.script.cgroups.push_back(Made(4712, ""));  // its path did not fit
  uint64_t at = b.RunTo(10 * kSecond, 10 * kSecond + 100'000'000);
  for (uint64_t cgroup : {4711, 4712}) {
    sb_tcp_row row = Closed(cgroup, at - 1);
    row.head.cgroup_id = cgroup;
    b.script.ring.push_back(row);
  }
  b.RunTo(at, at + kSecond);
  CHECK_EQ(b.Records(), 2u);
  CHECK(Mentions(b.flushes, id));
}

TEST("capture: finishing hands out everything, and figures add up") {
  Bench b;
  b.script.read = {Reading(1, 10 * kSecond, 5)};
  b.RunTo(10 * kSecond, 11 * kSecond);
  b.script.read = {Reading(1, 11 * kSecond, 50)};
  b.script.ring.push_back(Closed(2, 11 * kSecond));
  b.capture->Finish(Bench::At(11 * kSecond + 1000));
  CHECK_EQ(b.Records(), 3u);
  const CaptureCounters counters = b.capture->Counters();
  CHECK_EQ(counters.flows.made - counters.flows.merged, 3u);
}

TEST("capture: the thread starts, delivers, and is joined with nothing left") {
  for (int i = 0; i < 20; i++) {
    Bench b;
    for (uint64_t n = 1; n <= 10; n++) b.script.ring.push_back(Closed(n, ReadClocks().mono_ns));
    CHECK(b.capture->Start().ok);
    b.capture->Stop();
    b.capture->Stop();
    CHECK_EQ(b.Records(), 10u);
    CHECK_EQ(b.script.alive.load(), 0);
  }
}

TEST("capture: a source that can't be opened starts no thread") {
  Bench b;
  b.script.open_fails = true;
  CHECK_EQ(b.capture->Start().error, "No.");
  b.capture->Stop();
  CHECK_EQ(b.script.alive.load(), 0);
}

}  // namespace skybraid
