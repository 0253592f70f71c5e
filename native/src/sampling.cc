#include "sampling.h"

#include <algorithm>

#include "hash.h"

namespace skybraid {

namespace {

// Apart from the partition's hash, or a partition would hold all of the sample or nothing.
constexpr uint32_t kSalt = 0x9e3779b9u;

}  // namespace

uint32_t SampleHash(const FlowRecord& record) {
  if ((record.kind & 3) == kind::kUdp) return Mix32(PartitionHash(record) ^ kSalt);
  // ordered: after a simultaneous open each end calls itself the dialler
  const auto [low, high] = std::minmax(record.dialler_isn, record.acceptor_isn);
  return Mix32(Mix32(low ^ kSalt) ^ high);
}

}  // namespace skybraid
