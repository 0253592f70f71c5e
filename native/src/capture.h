// One running capture: a poll thread that drains the kernel's ring, reads open sockets once per flush, and
// hands out encoded flushes. No globals: several can run in one process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "batch_encoder.h"
#include "cgroup_paths.h"
#include "dns_names.h"
#include "dns_questions.h"
#include "flow_table.h"
#include "kernel_source.h"
#include "l7_reader.h"
#include "owners.h"
#include "wall_clock.h"

namespace skybraid {

struct CaptureOptions {
  SourceOptions source;
  uint32_t flush_ms = 500;  // a whole number of them make a minute
  uint32_t partitions = 4;
  uint32_t max_flows = 1u << 17;
  uint32_t report_ms = 10'000;
  uint32_t announce_ms = 300'000;
  L7Options l7;  // if the source reads application protocols
};

struct CaptureCounters {
  KernelCounters kernel{};
  FlowTableCounters flows;
  uint64_t ring_consumed = 0;
  uint64_t open_flows = 0;
  uint64_t dns_malformed = 0;
  uint64_t dns_unasked = 0;  // answers that no question of their socket was waiting for
  L7Counters l7;
};

// Both clocks, so that tests can bring their own.
struct Clocks {
  uint64_t mono_ns;
  uint64_t unix_ns;
};
Clocks ReadClocks();

class Capture final : private RowSink {
 public:
  using Flush = std::vector<uint8_t>;
  // Called on the poll thread. False: the reader is far behind, keep the kernel's ring for now.
  struct Reader {
    std::function<bool()> has_room;
    std::function<void(Flush&&)> deliver;
  };

  Capture(const CaptureOptions& options, std::unique_ptr<KernelSource> source, Reader reader);
  ~Capture() override;

  // Loads and attaches, then starts the thread. Call once.
  OpenResult Start();
  // Stops and joins the thread. Everything pending has been delivered when it returns. Idempotent.
  void Stop();

  CaptureCounters Counters() const;

  // One in 2^exponent of the connections that begin from now on is recorded. From any thread.
  void SetSampling(uint32_t exponent) { sampling_ = exponent; }
  // See BatchEncoder; from the next step on.
  void SetPartitions(uint32_t first, uint32_t count, uint64_t from_minute);

  // One step of the poll thread; public for tests, which drive it with their own clocks instead of Start().
  // Returns the monotonic time of the next step.
  uint64_t Step(Clocks now);
  void Finish(Clocks now);

 private:
  void OnTcp(const sb_tcp_row& row) override;
  void OnUdp(const sb_udp_row& row) override;
  void OnDns(const sb_dns_row& row) override;
  void OnCgroup(const sb_cgroup_row& row) override;
  void OnPiece(const sb_l7_row& row) override { l7_->OnPiece(row); }

  void Run();
  void TakeSplitChanges();
  void Drain();
  void DrainAllPieces();
  void Said();
  void SayFor(FlowRecord& record);
  void Divide(const FlowRecord& record);
  uint64_t DrainMs() const;
  void Read();
  void SweepIfEndsWereMissed();
  void Collect(bool minute_end);
  void EndMinute(uint64_t minute);
  void Deliver(uint64_t complete_below);
  void DeliverMinute(uint64_t minute, bool complete);
  void Publish();
  void PlanFlush();
  uint64_t NextStepNs() const;
  uint64_t NowMs() const { return clock_.ToUnixMs(now_.mono_ns); }

  CaptureOptions options_;
  std::unique_ptr<KernelSource> source_;
  Reader reader_;
  CgroupPaths paths_;
  Owners owners_;
  DnsNames names_;
  FlowTable table_;
  BatchEncoder encoder_;
  WallClock clock_;

  Clocks now_{};
  uint64_t minute_ = 0;         // unix minute that is not complete yet
  uint64_t next_flush_ms_ = 0;  // unix time
  bool minute_read_ = false;    // the minute's last readings were taken
  uint64_t read_ns_ = 0;        // how long the last reading of all sockets took
  uint64_t swept_full_ = 0;     // ends that may have gone unseen up to the last sweep
  uint64_t next_sweep_ns_ = 0;
  int sweeps_left_ = 0;
  int sweep_tries_ = 0;
  std::atomic<uint32_t> sampling_{0};
  struct SplitChange {
    uint32_t first;
    uint32_t count;
    uint64_t from_minute;
  };
  std::vector<SplitChange> split_changes_;  // asked for, guarded by mutex_
  std::vector<uint64_t> minutes_;
  std::vector<FlowRecord> records_;
  std::vector<FlowRecord> divided_;
  std::vector<FlowTable::Muted> muted_;
  std::unique_ptr<L7Reader> l7_;  // nullptr: application protocols are not read
  L7Rows said_;
  double pieces_filled_ = 0;  // how full the ring of pieces was at the last drain

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  bool stopping_ = false;
  CaptureCounters published_;

  uint64_t ring_consumed_ = 0;
  uint64_t dns_malformed_ = 0;
  uint64_t dns_unasked_ = 0;
  DnsQuestions questions_;
  DnsQuestion question_;
  DnsAnswer answer_;
  std::thread thread_;
};

}  // namespace skybraid
