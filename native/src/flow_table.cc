#include "flow_table.h"

#include <algorithm>
#include <cstring>

#include "flow_identity.h"
#include "sampling.h"

namespace skybraid {

namespace {

constexpr uint64_t kNever = FlowSlots::kNever;
constexpr uint32_t kNone = FlowSlots::kNone;
constexpr size_t kClosedMemory = 1u << 13;
// Readings come on a timer that jitters: a report that is due within this is due.
constexpr uint64_t kSlackNs = 25'000'000;

FlowCounters CountersOf(const sb_tcp_row& row) {
  return {row.bytes_sent,
          row.bytes_received,
          row.segments_sent,
          row.segments_received,
          row.data_segments_sent,
          row.data_segments_received,
          row.retransmitted_segments,
          row.out_of_order_segments};
}

FlowCounters CountersOf(const sb_udp_row& row) {
  return {row.bytes_sent, row.bytes_received, row.datagrams_sent, row.datagrams_received, 0, 0, 0, 0};
}

uint32_t ToMs(uint64_t ns) { return static_cast<uint32_t>(std::min<uint64_t>(ns / 1'000'000, UINT32_MAX)); }

uint64_t SpeechId(const Flow& flow) {
  return flow.protocol == kind::kUdp ? UdpSpeechId(flow.generation) : flow.flow_id;
}

uint64_t Since(uint64_t later, uint64_t earlier) { return later > earlier ? later - earlier : 0; }

}  // namespace

FlowTable::FlowTable(const FlowTableOptions& options)
    : options_(options),
      slots_(options.max_flows),
      half_open_(options.max_half_open),
      refused_(options.max_refused),
      closed_(kClosedMemory, 0) {}

size_t FlowTable::ClosedIndex(uint64_t flow_id) const { return Mix64(flow_id) & (kClosedMemory - 1); }

// ---- rows

uint32_t FlowTable::Insert(uint64_t hash, uint64_t id) {
  const uint32_t slot = slots_.Insert(hash);
  if (slot == kNone) {
    if (refused_.Note(id, sweep_)) ++counters_.full;
  } else {
    refused_.Forget(id);
    ++open_;
  }
  return slot;
}

void FlowTable::Remove(uint32_t slot) {
  if (!slots_.At(slot).dormant) --open_;
  slots_.Remove(slot);
}

void FlowTable::AddTcp(const sb_tcp_row& row, uint64_t wall_ms, uint32_t reason) {
  switch (row.head.kind) {
    case SB_ROW_TCP_READING:
      return AddReading(row, wall_ms);
    case SB_ROW_TCP_CLOSED:
      return AddEnd(row, wall_ms, FlowState::kClosed, reason);
    case SB_ROW_TCP_FAILED:
      return AddEnd(row, wall_ms, FlowState::kFailed, reason);
    case SB_ROW_TCP_HALF_OPEN:
      // its repetitions come with higher numbers
      if (!half_open_.Note(row, wall_ms, reason) && row.retransmitted_segments <= 1) ++counters_.full;
      return;
  }
}

void FlowTable::AddReading(const sb_tcp_row& row, uint64_t wall_ms) {
  const uint64_t flow_id = TcpFlowId(row);
  if (WasClosed(flow_id)) {
    ++counters_.after_close;
    return;
  }
  half_open_.Forget(row);
  uint32_t slot = slots_.FindTcp(flow_id);
  if (slot == kNone) {
    slot = Insert(Mix64(flow_id), flow_id);
    if (slot == kNone) return;
    StartTcp(slots_.At(slot), row);
  }
  Flow& flow = slots_.At(slot);
  SettleMinute(flow, wall_ms);
  const bool changed = Advance(flow, CountersOf(row), true);
  ReadTcp(flow, row, wall_ms);
  if (changed) flow.changed_ns = row.head.read_ns;
  ReportReading(slot, changed);
}

// Reports a fresh reading at once if it must be, otherwise leaves it to the next report.
void FlowTable::ReportReading(uint32_t slot, bool changed) {
  Flow& flow = slots_.At(slot);
  flow.dirty = flow.dirty || changed;
  const bool quiet = (flow.flags & SB_F_QUIET) != 0;
  const bool calmed = flow.protocol == kind::kTcp && quiet && !flow.reported_quiet;
  const bool due = flow.dirty && flow.read_ns + kSlackNs >= flow.last_record_ns + options_.report_ns;
  if (flow.settled && (!flow.reported_once || calmed || due))
    Emit(flow, {flow.read_ns, flow.read_wall_ms}, FlowState::kOpen, kEndUnspecified, false);
  Schedule(slot);
}

void FlowTable::AddEnd(const sb_tcp_row& row, uint64_t wall_ms, FlowState state, uint32_t reason) {
  const uint64_t flow_id = TcpFlowId(row);
  if (WasClosed(flow_id)) {
    ++counters_.after_close;
    return;
  }
  half_open_.Forget(row);
  const uint32_t slot = slots_.FindTcp(flow_id);
  Flow unknown{};
  if (slot == kNone) {
    StartTcp(unknown, row);
    refused_.Forget(flow_id);
  }
  Flow& flow = slot == kNone ? unknown : slots_.At(slot);
  SettleMinute(flow, wall_ms);
  Advance(flow, CountersOf(row), true);
  ReadTcp(flow, row, wall_ms);
  Emit(flow, {flow.read_ns, flow.read_wall_ms}, state, reason, false);
  if (slot != kNone) Remove(slot);
  NoteClosed(flow_id);
}

void FlowTable::AddUdp(const sb_udp_row& row, uint64_t wall_ms) {
  const sb_head& head = row.head;
  const uint64_t hash = UdpHash(head);
  const bool gone = (head.flags & SB_F_GONE) != 0;
  uint32_t slot = slots_.FindUdp(hash, head);
  Flow lone{};
  if (gone) refused_.Forget(UdpSpeechId(head.generation));
  if (slot == kNone && !gone) {
    slot = Insert(hash, UdpSpeechId(head.generation));
    if (slot == kNone) return;
  }
  Flow& flow = slot == kNone ? lone : slots_.At(slot);
  if (flow.protocol == 0) {
    StartUdp(flow, row);
  } else if (flow.generation != head.generation || flow.kernel_opened_ns != head.opened_ns) {
    // The kernel forgot this flow and began anew: the earlier one has ended, unseen.
    if (!flow.dormant)
      EndUdp(flow, {head.read_ns, wall_ms});
    else
      ++open_;
    StartUdp(flow, row);
  }
  SettleMinute(flow, wall_ms);
  const bool changed = Advance(flow, CountersOf(row), false);
  if (changed && flow.dormant) {
    ++open_;
    flow.dormant = flow.reported_once = flow.chosen = flow.muted = false;
    ++flow.revival;
    flow.flow_id = Mix64(flow.hash ^ Mix64(flow.kernel_opened_ns + flow.revival)) | kUdpIdBit;
    flow.opened_ns = head.read_ns;
  }
  if (changed || !flow.reported_once) {
    flow.changed_ns = head.read_ns;
    Identify(flow, head);
  }
  flow.read_ns = head.read_ns;
  flow.read_wall_ms = wall_ms;
  if (gone) {
    if (!flow.dormant) EndUdp(flow, {head.read_ns, wall_ms});
    if (slot != kNone) Remove(slot);
  } else if (!flow.dormant && (changed || !flow.reported_once)) {
    ReportReading(slot, changed);
  }
}

// The last record of a UDP flow. Its age ends with its last datagram, not with the silence after it.
void FlowTable::EndUdp(Flow& flow, Moment at) {
  const bool idle = Since(at.ns, flow.changed_ns) >= options_.udp_idle_ns;
  SettleMinute(flow, at.wall_ms);
  Emit(flow, {std::max(flow.changed_ns, flow.opened_ns), at.wall_ms}, FlowState::kClosed,
       idle ? kEndIdle : kEndUnspecified, false);
}

void FlowTable::StartTcp(Flow& flow, const sb_tcp_row& row) {
  flow.protocol = kind::kTcp;
  flow.cookie = row.head.cookie;
  flow.flow_id = TcpFlowId(row);
  flow.opened_ns = row.head.opened_ns;
  Identify(flow, row.head);
  flow.last = CountersOf(row);
  // What an adopted connection did before is nobody's news: its first reading is the baseline.
  if (row.head.flags & SB_F_ADOPTED) flow.reported = flow.last;
}

void FlowTable::StartUdp(Flow& flow, const sb_udp_row& row) {
  const uint32_t next = flow.next;
  const uint64_t hash = UdpHash(row.head);
  flow = Flow{};
  flow.next = next;
  flow.hash = hash;
  flow.protocol = kind::kUdp;
  flow.cookie = row.head.cookie;
  flow.generation = row.head.generation;
  flow.kernel_opened_ns = flow.opened_ns = row.head.opened_ns;
  flow.flow_id = Mix64(hash ^ Mix64(row.head.opened_ns) ^ row.head.generation) | kUdpIdBit;
  flow.settled = true;
  Identify(flow, row.head);
}

void FlowTable::ReadTcp(Flow& flow, const sb_tcp_row& row, uint64_t wall_ms) {
  if (row.head.flags & SB_F_KEY_VALID || !flow.settled) {
    flow.dialler_isn = row.dialler_isn;
    flow.acceptor_isn = row.acceptor_isn;
  }
  flow.settled = flow.settled || (row.head.flags & SB_F_KEY_VALID) != 0;
  Identify(flow, row.head);
  flow.handshake_us = row.handshake_us;
  flow.srtt_us = row.srtt_us;
  if (row.min_rtt_us != 0) flow.min_rtt_us = row.min_rtt_us;
  flow.read_ns = row.head.read_ns;
  flow.read_wall_ms = wall_ms;
  flow.sweep = sweep_;
}

// Takes over what later rows may know better; never forgets a name or a port that was known.
void FlowTable::Identify(Flow& flow, const sb_head& head) {
  if (head.local_port != 0) flow.local_port = head.local_port;
  flow.remote_port = head.remote_port;
  flow.local = head.local;
  flow.remote = head.remote;
  flow.family = head.family;
  flow.netns = head.netns;
  if (head.role != SB_ROLE_UNKNOWN) flow.role = head.role;
  // Adopted stays adopted; everything else is as the latest row says.
  flow.flags = head.flags | (flow.flags & SB_F_ADOPTED);
  if (head.cgroup_id != 0) flow.owner.cgroup_id = head.cgroup_id;
  if (head.tgid != 0) flow.owner.tgid = head.tgid;
  if (head.comm[0] != 0) memcpy(flow.owner.comm, head.comm, SB_COMM_LEN);
}

// Moves the totals forward; `narrow`: all but the bytes are 32 bits in the kernel and wrap. A counter that
// went back (a torn row) is held where it was. Returns whether anything moved.
bool FlowTable::Advance(Flow& flow, const FlowCounters& read, bool narrow) {
  bool moved = false;
  bool regressed = false;
  for (uint32_t i = 0; i < kCounterCount; i++) {
    uint64_t step = read[i] - flow.last[i];
    if (narrow && i >= kSegmentsSent) {
      step = static_cast<uint32_t>(step);
      if (step > INT32_MAX) step = static_cast<uint64_t>(-1);
    }
    if (static_cast<int64_t>(step) < 0) {
      regressed = true;
      continue;
    }
    flow.last[i] += step;
    moved = moved || step != 0;
  }
  if (regressed) ++counters_.regressed;
  return moved;
}

// ---- records

// A reading of an earlier minute that was not reported yet gets its own record before a later one is taken
// in.
void FlowTable::SettleMinute(Flow& flow, uint64_t wall_ms) {
  if (!flow.dirty || !flow.settled || flow.read_wall_ms / kMinuteMs == wall_ms / kMinuteMs) return;
  Emit(flow, {flow.read_ns, flow.read_wall_ms}, FlowState::kOpen, kEndUnspecified, false);
}

void FlowTable::Emit(Flow& flow, Moment at, FlowState state, uint32_t reason, bool announce) {
  at.wall_ms = std::max(at.wall_ms, floor_ms_);
  ++counters_.made;
  if (state == FlowState::kOpen || state == FlowState::kClosed) Choose(flow);
  if (flow.muted) {
    ++counters_.sampled_out;
    NoteMuted(flow, state == FlowState::kClosed);
    return Report(flow, at);
  }
  const bool joins =
      flow.pending_epoch == epoch_ && out_[flow.pending].wall_ms / kMinuteMs == at.wall_ms / kMinuteMs;
  if (joins) {
    ++counters_.merged;
  } else {
    flow.pending = static_cast<uint32_t>(out_.size());
    flow.pending_epoch = epoch_;
    out_.emplace_back();
    out_.back().kind = announce ? kind::kAnnouncedAgain : 0;
  }
  FlowRecord& record = out_[flow.pending];
  if (!announce) record.kind &= ~kind::kAnnouncedAgain;
  for (uint32_t i = 0; i < kCounterCount; i++) record.delta[i] += flow.last[i] - flow.reported[i];
  if (!flow.reported_once) {
    record.kind |= kind::kFirst;
    record.handshake_us = flow.handshake_us;
  }
  if (state == FlowState::kClosed) record.min_rtt_us = flow.min_rtt_us;
  record.kind = (record.kind & (kind::kFirst | kind::kAnnouncedAgain)) |
                static_cast<uint32_t>(state) << kind::kStateShift | reason << kind::kReasonShift;
  record.wall_ms = at.wall_ms;
  record.age_ms = ToMs(Since(at.ns, flow.opened_ns));
  Describe(record, flow, state);
  Report(flow, at);
}

void FlowTable::NoteMuted(const Flow& flow, bool ended) {
  if (ended || !flow.reported_once) muted_.push_back({SpeechId(flow), ended});
}

// Everything up to now is told, or left out on purpose.
void FlowTable::Report(Flow& flow, Moment at) {
  flow.reported = flow.last;
  flow.reported_once = true;
  flow.reported_quiet = (flow.flags & SB_F_QUIET) != 0;
  flow.dirty = false;
  flow.last_record_ns = at.ns;
}

// Once per connection: a rate that changes later leaves it alone.
void FlowTable::Choose(Flow& flow) {
  if (flow.chosen) return;
  flow.chosen = true;
  if (sampling_ == 0) return;
  FlowRecord record{};
  Describe(record, flow, FlowState::kOpen);
  // without a key nobody else sees it: then any hash will do
  const uint32_t hash = flow.settled ? SampleHash(record) : static_cast<uint32_t>(Mix64(flow.flow_id));
  flow.muted = !IsSampled(hash, sampling_);
  flow.sampling = static_cast<uint8_t>(sampling_);
}

void FlowTable::Describe(FlowRecord& record, const Flow& flow, FlowState state) {
  record.flow_id = flow.flow_id;
  record.speech_id = SpeechId(flow);
  record.total = flow.last;
  record.owner = flow.owner;
  record.local = flow.local;
  record.remote = flow.remote;
  // An unsettled key could meet a stranger's: without one the record stays one-sided.
  if (flow.settled || state == FlowState::kFailed || state == FlowState::kHalfOpen) {
    record.dialler_isn = flow.dialler_isn;
    record.acceptor_isn = flow.acceptor_isn;
  }
  record.netns = flow.netns;
  record.ports = static_cast<uint32_t>(flow.local_port) << 16 | flow.remote_port;
  record.srtt_us = flow.srtt_us;
  const auto bit = [&flow](uint32_t flag, uint32_t as) { return (flow.flags & flag) != 0 ? as : 0; };
  record.kind |= flow.protocol | (flow.family == 6 ? kind::kV6 : 0) |
                 static_cast<uint32_t>(flow.role & 3) << kind::kRoleShift |
                 bit(SB_F_ROLE_GUESSED, kind::kRoleGuessed) | bit(SB_F_ADOPTED, kind::kAdopted) |
                 bit(SB_F_INHERITED, kind::kInherited) | bit(SB_F_QUIET, kind::kQuiet) |
                 bit(SB_F_MPTCP, kind::kMptcp) | static_cast<uint32_t>(flow.sampling) << kind::kSamplingShift;
}

void FlowTable::Touch(uint64_t flow_id) {
  const uint32_t slot = slots_.FindTcp(flow_id);
  if (slot == kNone) return;
  slots_.At(slot).dirty = true;
  Schedule(slot);
}

// ---- time

// Announcements of different flows are spread over the interval by their ids, so that a burst of connections
// does not come back as a burst of announcements.
uint64_t FlowTable::NextAnnounce(const Flow& flow) const {
  const uint64_t phase = Mix64(flow.flow_id) % options_.announce_ns;
  const uint64_t last = flow.last_record_ns;
  return last + options_.announce_ns - (last + options_.announce_ns - phase) % options_.announce_ns;
}

void FlowTable::Schedule(uint32_t slot) {
  const Flow& flow = slots_.At(slot);
  uint64_t due = flow.reported_once && !flow.dormant ? NextAnnounce(flow) : kNever;
  if (flow.dirty && flow.reported_once)
    due = std::min(due, flow.last_record_ns + options_.report_ns - kSlackNs);
  if (flow.protocol == kind::kUdp && !flow.dormant)
    due = std::min(due, flow.changed_ns + options_.udp_idle_ns);
  slots_.DueNs(slot) = due;
}

bool FlowTable::Collect(uint64_t now_ns, uint64_t wall_ms, bool minute_end, size_t limit) {
  for (; collected_ < slots_.Slots(); collected_++) {
    if (out_.size() >= limit) return false;
    const uint32_t slot = collected_;
    if (slots_.DueNs(slot) <= now_ns || (minute_end && slots_.At(slot).dirty && slots_.At(slot).settled))
      CollectFlow(slot, {now_ns, wall_ms});
  }
  collected_ = 0;
  CollectHalfOpen(now_ns);
  return true;
}

void FlowTable::CollectFlow(uint32_t slot, Moment now) {
  Flow& flow = slots_.At(slot);
  if (flow.protocol == kind::kUdp && now.ns >= flow.changed_ns + options_.udp_idle_ns) {
    EndUdp(flow, now);
    flow.dormant = true;
    --open_;
  } else if (flow.dirty) {
    const uint64_t read_ns = flow.read_ns;
    Emit(flow, {read_ns, flow.read_wall_ms}, FlowState::kOpen, kEndUnspecified, false);
    flow.last_record_ns = now.ns;
  } else {
    Emit(flow, now, FlowState::kOpen, kEndUnspecified, true);
  }
  Schedule(slot);
}

void FlowTable::CollectHalfOpen(uint64_t now_ns) {
  half_open_.TakeOverdue(now_ns, [this](const HalfOpenDials::Dial& dial) {
    Flow flow{};
    StartTcp(flow, dial.row);
    ReadTcp(flow, dial.row, dial.wall_ms);
    Emit(flow, {flow.read_ns, flow.read_wall_ms}, FlowState::kHalfOpen, dial.reason, false);
  });
}

void FlowTable::EndSweep(uint64_t now_ns, uint64_t wall_ms) {
  for (uint32_t slot = 0; slot < slots_.Slots(); slot++) {
    Flow& flow = slots_.At(slot);
    if (flow.protocol != kind::kTcp || static_cast<int32_t>(sweep_ - flow.sweep) < 2) continue;
    SettleMinute(flow, wall_ms);
    Emit(flow, {now_ns, wall_ms}, FlowState::kClosed, kEndUnspecified, false);
    NoteClosed(flow.flow_id);
    Remove(slot);
  }
  refused_.EndSweep(sweep_);
}

void FlowTable::Take(std::vector<FlowRecord>& into) {
  into.clear();
  into.swap(out_);
  ++epoch_;
}

}  // namespace skybraid
