#include "capture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "end_reason.h"

namespace skybraid {

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kDrainMs = 50;       // a ring of 1 MB then takes 120,000 rows a second
constexpr uint64_t kPiecesMs = 20;      // with application protocols: their ring fills faster
constexpr double kComfortable = 0.125;  // of that ring between two drains
constexpr double kQuiet = 0.004;        // so little that a burst of a hundred times as much finds room
constexpr int kDrainTries = 200;
constexpr size_t kMaxSaidBytes = 30 * 1024;  // of one record
constexpr uint64_t kSweepNs = 10'000 * kMs;
constexpr int kSweepTries = 10;
constexpr size_t kMaxPending = 4096;          // records that wait for a flush; more go out early
constexpr uint64_t kLeadMs = 20;              // the minute's last reading starts this long before its end
constexpr uint64_t kSettleMs = 2;             // rows on their way when the minute ended have arrived by then
constexpr uint64_t kMaxMinutesMarked = 1440;  // after a leap of the clock

uint64_t ClockNs(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

FlowTableOptions TableOptions(const CaptureOptions& options) {
  FlowTableOptions table;
  table.max_flows = options.max_flows;
  table.report_ns = options.report_ms * kMs;
  table.announce_ns = options.announce_ms * kMs;
  return table;
}

// The verifier gives up when a signal is waiting, so a process that is being profiled would hardly ever get
// its programs loaded. A thread that is made meanwhile keeps signals out for good.
class WithoutSignals {
 public:
  WithoutSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~WithoutSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  WithoutSignals(const WithoutSignals&) = delete;
  WithoutSignals& operator=(const WithoutSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

Clocks ReadClocks() { return {ClockNs(CLOCK_MONOTONIC), ClockNs(CLOCK_REALTIME)}; }

Capture::Capture(const CaptureOptions& options, std::unique_ptr<KernelSource> source, Reader reader)
    : options_(options),
      source_(std::move(source)),
      reader_(std::move(reader)),
      paths_(options.source.cgroup_path),
      owners_(paths_),
      table_(TableOptions(options)),
      encoder_(options.partitions, owners_, names_) {}

Capture::~Capture() { Stop(); }

OpenResult Capture::Start() {
  const WithoutSignals quiet;
  OpenResult result = source_->Open(options_.source);
  if (result.ok && source_->Streams() != nullptr)
    l7_ = std::make_unique<L7Reader>(source_->Streams(), options_.l7);
  if (result.ok) thread_ = std::thread([this] { Run(); });
  return result;
}

void Capture::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  source_.reset();
}

CaptureCounters Capture::Counters() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return published_;
}

void Capture::SetPartitions(uint32_t first, uint32_t count, uint64_t from_minute) {
  const std::lock_guard<std::mutex> lock(mutex_);
  split_changes_.push_back({first, count, from_minute});
}

void Capture::TakeSplitChanges() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const SplitChange& c : split_changes_) encoder_.SetPartitions(c.first, c.count, c.from_minute);
  split_changes_.clear();
}

void Capture::Run() {
  pthread_setname_np(pthread_self(), "skybraid-poll");
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const uint64_t next_ns = Step(ReadClocks());
    lock.lock();
    const std::chrono::steady_clock::time_point until{std::chrono::nanoseconds(next_ns)};
    wake_.wait_until(lock, until, [this] { return stopping_; });
  }
  lock.unlock();
  Finish(ReadClocks());
}

uint64_t Capture::Step(Clocks now) {
  now_ = now;
  clock_.Measure(now.mono_ns, now.unix_ns);
  table_.SetSampling(sampling_);
  TakeSplitChanges();
  // With a reader that is far behind, rows stay in the ring, and what it can't hold is counted there.
  if (!reader_.has_room()) return now.mono_ns + DrainMs() * kMs;
  const uint64_t minute = NowMs() / kMinuteMs;
  if (minute_ == 0 || minute < minute_) {  // start, or the clock was set back
    minute_ = minute;
    table_.SetFloor(minute * kMinuteMs);
    PlanFlush();
  }
  const uint64_t minute_end_ms = (minute_ + 1) * kMinuteMs;
  const uint64_t lead_ms = std::min<uint64_t>(kLeadMs + 2 * read_ns_ / kMs, options_.flush_ms / 2);
  Drain();
  if (minute > minute_) {
    EndMinute(minute);
  } else if (NowMs() + lead_ms >= minute_end_ms) {
    if (!minute_read_) Read();
    Collect(true);
    minute_read_ = true;
  } else if (NowMs() >= next_flush_ms_) {
    Read();
    SweepIfEndsWereMissed();
    Collect(false);
    Deliver(minute_);
    Publish();
    PlanFlush();
  }
  return NextStepNs();
}

// Closes minute_ and every minute up to, but not including, `minute`.
void Capture::EndMinute(uint64_t minute) {
  Collect(true);
  Deliver(minute);
  minute_ = minute;
  minute_read_ = false;
  table_.SetFloor(minute * kMinuteMs);
  Publish();
  PlanFlush();
}

void Capture::Finish(Clocks now) {
  now_ = now;
  clock_.Measure(now.mono_ns, now.unix_ns);
  Drain();
  Read();
  Drain();
  Collect(true);
  Deliver(minute_);
  Publish();
}

void Capture::PlanFlush() {
  const uint64_t start = minute_ * kMinuteMs;
  const uint64_t done = (NowMs() - std::min(NowMs(), start)) / options_.flush_ms;
  next_flush_ms_ = start + (done + 1) * options_.flush_ms;
}

uint64_t Capture::NextStepNs() const {
  const uint64_t now_ms = NowMs();
  const uint64_t end_ms = (minute_ + 1) * kMinuteMs;
  uint64_t next_ms = std::min(now_ms + std::min<uint64_t>(DrainMs(), options_.flush_ms), next_flush_ms_);
  const uint64_t lead_ms = std::min<uint64_t>(kLeadMs + 2 * read_ns_ / kMs, options_.flush_ms / 2);
  if (!minute_read_) next_ms = std::min(next_ms, end_ms - lead_ms);
  if (next_ms >= end_ms) next_ms = end_ms + kSettleMs;
  return now_.mono_ns + std::max<uint64_t>(next_ms > now_ms ? next_ms - now_ms : 0, 1) * kMs;
}

// ---- rows

void Capture::Drain() {
  ring_consumed_ += source_->Drain(*this);
  if (!l7_) return;
  bool all;
  pieces_filled_ = source_->DrainPieces(*this, &all);
  l7_->Tick(now_.mono_ns, [this](uint64_t flow_id) { table_.Touch(flow_id); });
}

// Soon again if much came, so that a burst finds room. Where hardly anything is said, waking is all that it
// costs.
uint64_t Capture::DrainMs() const {
  if (!l7_ || pieces_filled_ <= kQuiet) return kDrainMs;
  if (pieces_filled_ <= kComfortable) return kPiecesMs;
  return std::max<uint64_t>(
      static_cast<uint64_t>(static_cast<double>(kPiecesMs) * kComfortable / pieces_filled_), 1);
}

// Whoever ended has its pieces in the ring already, unless one is being written at this moment.
void Capture::DrainAllPieces() {
  bool all = false;
  for (int tries = 0; tries < kDrainTries; tries++) {
    source_->DrainPieces(*this, &all);
    if (all) return;
    sched_yield();
  }
}

void Capture::Read() {
  const uint64_t begin = ClockNs(CLOCK_MONOTONIC);
  source_->ReadSockets(*this);
  source_->ReadUdpFlows(*this);
  read_ns_ = ClockNs(CLOCK_MONOTONIC) - begin;
}

void Capture::SweepIfEndsWereMissed() {
  // A state change that the kernel did not show may have been the end of a connection as well.
  const KernelCounters counters = source_->Counters();
  const uint64_t full = counters[SB_C_RING_FULL] + counters[SB_C_MISSED];
  if (full != swept_full_ && sweeps_left_ == 0 && now_.mono_ns >= next_sweep_ns_) {
    next_sweep_ns_ = now_.mono_ns + kSweepNs;
    swept_full_ = full;
    sweeps_left_ = 2;
    sweep_tries_ = kSweepTries;
  }
  if (sweeps_left_ == 0) return;
  table_.BeginSweep();
  // A sweep that did not show every socket must not close any: it is undone by trying again.
  const bool complete = source_->ReadAllSockets(*this);
  Drain();
  if (complete) {
    table_.EndSweep(now_.mono_ns, NowMs());
    --sweeps_left_;
  } else {
    table_.CancelSweep();
  }
  if (--sweep_tries_ == 0 && sweeps_left_ > 0) {  // too much is moving: again later
    sweeps_left_ = 0;
    swept_full_ = UINT64_MAX;
  }
}

void Capture::OnTcp(const sb_tcp_row& row) {
  sb_tcp_row named = row;
  owners_.Touch(named.head, now_.mono_ns);
  table_.AddTcp(named, clock_.ToUnixMs(row.head.read_ns), EndReasonOf(row));
  if (table_.Pending() >= kMaxPending) Deliver(minute_);
}

void Capture::OnUdp(const sb_udp_row& row) {
  sb_udp_row named = row;
  owners_.Touch(named.head, now_.mono_ns);
  table_.AddUdp(named, clock_.ToUnixMs(row.head.read_ns));
  if (table_.Pending() >= kMaxPending) Deliver(minute_);
}

void Capture::OnDns(const sb_dns_row& row) {
  const bool cut = row.length >= SB_DNS_BYTES;
  const size_t length = std::min<size_t>(row.length, SB_DNS_BYTES);
  if (row.sent != 0) {
    if (ParseDnsQuestion(row.message, length, question_))
      questions_.Ask(row.head.cookie, question_, row.head.read_ns);
    return;
  }
  switch (ParseDnsAnswer(row.message, length, cut, answer_)) {
    case DnsOutcome::kAnswer:
      if (!questions_.Answer(row.head.cookie, answer_.question, row.head.read_ns)) {
        ++dns_unasked_;
        return;
      }
      return names_.Add(answer_, clock_.ToUnixMs(row.head.read_ns));
    case DnsOutcome::kMalformed:
      ++dns_malformed_;
      return;
    case DnsOutcome::kNothing:
      return;
  }
}

void Capture::OnCgroup(const sb_cgroup_row& row) {
  if (row.length == 0 || row.length >= SB_CGROUP_PATH) return;
  paths_.Learn(row.head.cgroup_id, std::string(row.path, row.length));
}

// ---- flushes

void Capture::Collect(bool minute_end) {
  while (!table_.Collect(now_.mono_ns, NowMs(), minute_end, kMaxPending)) Deliver(minute_);
}

// Puts what was said on each flow to its latest record.
void Capture::Said() {
  table_.TakeMuted(muted_);
  said_.Clear();
  if (!l7_) return;
  if (!records_.empty()) DrainAllPieces();
  for (const FlowTable::Muted& muted : muted_) {
    l7_->Ignore(muted.speech_id);
    if (muted.ended) l7_->Take(muted.speech_id, true, said_);
  }
  said_.Clear();
  bool divide = false;
  for (size_t i = records_.size(); i-- > 0;) {
    SayFor(records_[i]);
    divide = divide || records_[i].said > 1;
  }
  if (!divide) return;
  divided_.clear();
  for (const FlowRecord& record : records_) Divide(record);
  records_.swap(divided_);
}

void Capture::SayFor(FlowRecord& record) {
  const uint32_t state = (record.kind & kind::kStateMask) >> kind::kStateShift;
  const bool ended = state != static_cast<uint32_t>(FlowState::kOpen);
  record.first_said = static_cast<uint32_t>(said_.rows.size());
  if (state == static_cast<uint32_t>(FlowState::kHalfOpen)) return;
  const auto speaks = static_cast<uint32_t>(l7_->Speaks(record.speech_id));
  record.kind |= speaks << kind::kSpeaksShift;
  l7_->Take(record.speech_id, ended, said_);
  record.said = static_cast<uint32_t>(said_.rows.size()) - record.first_said;
}

// A flow on which more was said than fits with it in a batch gets several records. All but the last are of an
// open flow, and all but the first say nothing else.
void Capture::Divide(const FlowRecord& record) {
  FlowRecord part = record;
  part.said = 0;
  size_t bytes = 0;
  for (uint32_t i = record.first_said; i < record.first_said + record.said; i++) {
    bytes += EncodedAtMost(said_.rows[i]);
    if (bytes > kMaxSaidBytes && part.said > 0) {
      FlowRecord before = part;
      before.kind = (part.kind & ~(kind::kStateMask | kind::kReasonMask)) |
                    static_cast<uint32_t>(FlowState::kOpen) << kind::kStateShift;
      before.min_rtt_us = 0;
      divided_.push_back(before);
      table_.CountMade(1);
      part.kind &= ~kind::kFirst;
      part.handshake_us = 0;
      part.delta = {};
      part.first_said = i;
      part.said = 0;
      bytes = EncodedAtMost(said_.rows[i]);
    }
    ++part.said;
  }
  divided_.push_back(part);
}

// Hands out all pending records, a flush per minute in order, and the marks of minutes that are complete.
void Capture::Deliver(uint64_t complete_below) {
  table_.Take(records_);
  Said();
  minutes_.clear();
  for (const FlowRecord& record : records_) {
    const uint64_t minute = record.wall_ms / kMinuteMs;
    if (std::find(minutes_.begin(), minutes_.end(), minute) == minutes_.end()) minutes_.push_back(minute);
  }
  uint64_t first = minute_;
  if (complete_below > first + kMaxMinutesMarked) {
    minutes_.push_back(first);
    first = complete_below - kMaxMinutesMarked;
  }
  for (uint64_t minute = first; minute < complete_below; minute++) minutes_.push_back(minute);
  std::sort(minutes_.begin(), minutes_.end());
  minutes_.erase(std::unique(minutes_.begin(), minutes_.end()), minutes_.end());
  for (const uint64_t minute : minutes_) DeliverMinute(minute, minute < complete_below);
}

void Capture::DeliverMinute(uint64_t minute, bool complete) {
  Flush flush;
  const double at_ms = static_cast<double>(NowMs());
  encoder_.Encode(records_, minute, now_.mono_ns, at_ms, flush, said_);
  if (complete) encoder_.CompleteMinute(minute, at_ms, flush);
  if (!flush.empty()) reader_.deliver(std::move(flush));
}

void Capture::Publish() {
  CaptureCounters counters;
  counters.kernel = source_->Counters();
  counters.flows = table_.Counters();
  counters.ring_consumed = ring_consumed_;
  counters.open_flows = table_.OpenFlows();
  counters.dns_malformed = dns_malformed_;
  counters.dns_unasked = dns_unasked_;
  if (l7_) counters.l7 = l7_->Counters();
  const std::lock_guard<std::mutex> lock(mutex_);
  published_ = counters;
}

}  // namespace skybraid
