// Memory of open flows: numbered slots in chunks that never move, found by hash, with the time each is due
// beside them, so that looking for what is due reads eight bytes a flow.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "flow.h"

namespace skybraid {

class FlowSlots {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint64_t kNever = UINT64_MAX;

  explicit FlowSlots(uint32_t max_flows);

  Flow& At(uint32_t slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  // Unix time plays no part: CLOCK_MONOTONIC, kNever for a free slot.
  uint64_t& DueNs(uint32_t slot) { return due_[slot]; }
  // Slots are numbered from 0; free ones have protocol 0.
  uint32_t Slots() const { return static_cast<uint32_t>(due_.size()); }

  uint32_t FindTcp(uint64_t flow_id);
  uint32_t FindUdp(uint64_t hash, const sb_head& head);
  // An empty flow; kNone if there is no room.
  uint32_t Insert(uint64_t hash);
  void Remove(uint32_t slot);

 private:
  static constexpr uint32_t kChunk = 512;
  void GrowIndex();

  uint32_t max_flows_;
  uint32_t used_ = 0;
  std::vector<std::unique_ptr<Flow[]>> chunks_;
  std::vector<uint64_t> due_;
  std::vector<uint32_t> buckets_;  // first slot of each hash chain
  std::vector<uint32_t> free_;
};

}  // namespace skybraid
