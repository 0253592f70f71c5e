// The flows that are open, and the records that say what happened to them since.
//
// Invariants, each held by a randomized test:
//   the deltas of a flow's records add up to its last totals (minus the baseline of an adopted flow);
//   exactly one record of a flow is `first`; nothing follows a closing record under the same flow id;
//   a record belongs to one minute, and no record is older than the minutes declared complete;
//   made = taken + merged + sampled out.
// Time is an argument everywhere: `ns` is CLOCK_MONOTONIC, `wall_ms` unix time.
#pragma once

#include <cstdint>
#include <vector>

#include "flow_record.h"
#include "flow_slots.h"
#include "half_open.h"
#include "record.h"
#include "refused_flows.h"

namespace skybraid {

struct FlowTableOptions {
  uint32_t max_flows = 1u << 17;
  uint64_t report_ns = 10'000'000'000ull;     // counters of an open flow that changed
  uint64_t announce_ns = 300'000'000'000ull;  // an open flow that did not
  uint64_t udp_idle_ns = 60'000'000'000ull;   // without a datagram a UDP flow ends
  uint32_t max_half_open = 1u << 14;
  uint32_t max_refused = 1u << 17;  // open flows without room that are remembered
};

struct FlowTableCounters {
  uint64_t made = 0;         // records, those merged included
  uint64_t merged = 0;       // records joined with the flow's previous, not yet taken one
  uint64_t sampled_out = 0;  // records of connections that are not in the sample
  uint64_t full = 0;         // flows that found no room, each once
  uint64_t after_close = 0;  // rows of a connection that had already closed
  uint64_t regressed = 0;    // rows with a counter smaller than before: that counter was held
};

class FlowTable {
 public:
  explicit FlowTable(const FlowTableOptions& options);

  // `reason` is the EndReason of closed, failed and half-open rows.
  void AddTcp(const sb_tcp_row& row, uint64_t wall_ms, uint32_t reason);
  void AddUdp(const sb_udp_row& row, uint64_t wall_ms);

  // Makes the records that are due by time alone. At a minute's end: of every flow with something unreported.
  // False: stopped at `limit` pending records; take them and call again.
  bool Collect(uint64_t now_ns, uint64_t wall_ms, bool minute_end, size_t limit);

  // Records from here on are never older than this; set when a minute was declared complete.
  void SetFloor(uint64_t wall_ms) { floor_ms_ = wall_ms; }

  // Of connections that begin to be recorded from here on, one in 2^exponent is; failed dials always are.
  void SetSampling(uint32_t exponent) { sampling_ = exponent; }

  // Something is to be said of an open flow although nothing of it moved: it gets a record when one is due.
  void Touch(uint64_t flow_id);

  // More records of a flow than the table made: one was divided.
  void CountMade(uint64_t records) { counters_.made += records; }

  // Flows that sampling left out, and those of them that ended, since the last call.
  struct Muted {
    uint64_t speech_id;
    bool ended;
  };
  void TakeMuted(std::vector<Muted>& into) {
    into.clear();
    into.swap(muted_);
  }

  // The records made since the last call, by swap: `into` is emptied and its memory is used for the next
  // ones.
  void Take(std::vector<FlowRecord>& into);
  size_t Pending() const { return out_.size(); }

  // Sweeps find TCP flows whose end was never seen (their row found no room in the ring): between the two
  // calls every open socket has to be read once; flows that two sweeps in a row missed are closed without a
  // reason. One would not do: the end of a connection may be on its way while its socket is not shown any
  // more.
  void BeginSweep() { ++sweep_; }
  void EndSweep(uint64_t now_ns, uint64_t wall_ms);
  void CancelSweep() { --sweep_; }

  uint64_t OpenFlows() const { return open_; }
  const FlowTableCounters& Counters() const { return counters_; }

 private:
  struct Moment {
    uint64_t ns;
    uint64_t wall_ms;
  };

  uint32_t Insert(uint64_t hash, uint64_t id);
  void Remove(uint32_t slot);

  void AddReading(const sb_tcp_row& row, uint64_t wall_ms);
  void AddEnd(const sb_tcp_row& row, uint64_t wall_ms, FlowState state, uint32_t reason);
  void EndUdp(Flow& flow, Moment at);
  void ReportReading(uint32_t slot, bool changed);
  void CollectFlow(uint32_t slot, Moment now);
  void CollectHalfOpen(uint64_t now_ns);

  void StartTcp(Flow& flow, const sb_tcp_row& row);
  void ReadTcp(Flow& flow, const sb_tcp_row& row, uint64_t wall_ms);
  void StartUdp(Flow& flow, const sb_udp_row& row);
  void Identify(Flow& flow, const sb_head& head);
  bool Advance(Flow& flow, const FlowCounters& read, bool narrow);
  void SettleMinute(Flow& flow, uint64_t wall_ms);
  void Emit(Flow& flow, Moment at, FlowState state, uint32_t reason, bool announce);
  void Choose(Flow& flow);
  void NoteMuted(const Flow& flow, bool ended);
  void Report(Flow& flow, Moment at);
  void Describe(FlowRecord& record, const Flow& flow, FlowState state);
  void Schedule(uint32_t slot);
  uint64_t NextAnnounce(const Flow& flow) const;

  bool WasClosed(uint64_t id) const { return id != 0 && closed_[ClosedIndex(id)] == id; }
  void NoteClosed(uint64_t id) { closed_[ClosedIndex(id)] = id; }
  size_t ClosedIndex(uint64_t flow_id) const;

  FlowTableOptions options_;
  FlowTableCounters counters_;
  FlowSlots slots_;
  HalfOpenDials half_open_;
  RefusedFlows refused_;
  std::vector<FlowRecord> out_;
  std::vector<Muted> muted_;
  std::vector<uint64_t> closed_;  // flow ids closed lately, by hash: readings of them come too late
  uint32_t epoch_ = 1;            // of out_: tells whether a flow's pending record is still in it
  uint32_t sweep_ = 1;
  uint32_t collected_ = 0;  // slots that an unfinished Collect has behind it
  uint64_t open_ = 0;
  uint64_t floor_ms_ = 0;
  uint32_t sampling_ = 0;
};

}  // namespace skybraid
