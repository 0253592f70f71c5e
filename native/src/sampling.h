// Which connections are recorded when not all are: one in 2^exponent, chosen by a hash of the join key, so
// that both ends of a connection choose alike without talking. proto/skybraid/v1/flow.proto defines the hash.
#pragma once

#include <cstdint>

#include "flow_record.h"

namespace skybraid {

constexpr uint32_t kMaxSampling = 15;  // four bits of FlowBatch.kind

// Of an open or closed flow's record whose key is known.
uint32_t SampleHash(const FlowRecord& record);

inline bool IsSampled(uint32_t hash, uint32_t exponent) { return (hash & ((1u << exponent) - 1)) == 0; }

}  // namespace skybraid
