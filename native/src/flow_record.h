// One end's view of one flow, ready to be encoded: a row of FlowBatch's columns.
#pragma once

#include <array>
#include <cstdint>

#include "end_reason.h"
#include "record.h"

namespace skybraid {

constexpr uint64_t kMinuteMs = 60'000;

// Bits of FlowBatch.kind; proto/skybraid/v1/flow.proto says what they mean.
namespace kind {
constexpr uint32_t kTcp = 1, kUdp = 2;
constexpr uint32_t kV6 = 1u << 2;
constexpr uint32_t kRoleShift = 3, kStateShift = 6, kReasonShift = 9;
constexpr uint32_t kRoleGuessed = 1u << 5;
constexpr uint32_t kStateMask = 7u << kStateShift, kReasonMask = 15u << kReasonShift;
constexpr uint32_t kFirst = 1u << 13, kAdopted = 1u << 14, kInherited = 1u << 15, kQuiet = 1u << 16;
constexpr uint32_t kAnnouncedAgain = 1u << 17, kMptcp = 1u << 18;
constexpr uint32_t kSamplingShift = 19;
constexpr uint32_t kSpeaksShift = 23;
}  // namespace kind

enum class FlowState : uint32_t { kOpen = 1, kClosed = 2, kFailed = 3, kHalfOpen = 4 };

constexpr uint32_t kEndUnspecified = static_cast<uint32_t>(EndReason::kUnspecified);
constexpr uint32_t kEndIdle = static_cast<uint32_t>(EndReason::kIdle);

// Order of the counters in a record; batch_encoder.cc maps them to columns.
enum CounterIndex : uint32_t {
  kBytesSent,
  kBytesReceived,
  kSegmentsSent,
  kSegmentsReceived,
  kDataSegmentsSent,
  kDataSegmentsReceived,
  kRetransmitted,
  kOutOfOrder,
  kCounterCount
};
using FlowCounters = std::array<uint64_t, kCounterCount>;

struct FlowOwner {
  uint64_t cgroup_id;
  uint32_t tgid;
  char comm[SB_COMM_LEN];
};

struct FlowRecord {
  uint64_t flow_id;
  uint64_t speech_id;  // under which what was said on it is kept
  uint64_t wall_ms;    // unix time of the reading; its minute is the record's minute
  FlowCounters delta;
  FlowCounters total;
  FlowOwner owner;
  sb_addr local;
  sb_addr remote;
  uint32_t dialler_isn;
  uint32_t acceptor_isn;
  uint32_t netns;
  uint32_t ports;
  uint32_t kind;
  uint32_t age_ms;
  uint32_t handshake_us;
  uint32_t srtt_us;
  uint32_t min_rtt_us;
  // What was said, in the rows that are encoded with it.
  uint32_t first_said;
  uint32_t said;
};

// The partition's hash of the dialler's part of a record's key; flow.proto defines it.
uint32_t PartitionHash(const FlowRecord& record);

}  // namespace skybraid
