// Open flows that found no room in the table, so that each is counted once however often it is read.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "flow_identity.h"

namespace skybraid {

class RefusedFlows {
 public:
  explicit RefusedFlows(size_t max_flows) : max_flows_(max_flows) {}

  // False: it was refused before. Where even this memory is full, every reading is a flow of its own.
  bool Note(uint64_t id, uint32_t sweep) {
    const auto found = flows_.find(id);
    if (found != flows_.end()) {
      found->second = sweep;
      return false;
    }
    if (flows_.size() < max_flows_) flows_.emplace(id, sweep);
    return true;
  }

  // It ended, or found room.
  void Forget(uint64_t id) {
    if (!flows_.empty()) flows_.erase(id);
  }

  // TCP flows that two sweeps in a row missed have ended unseen.
  void EndSweep(uint32_t sweep) {
    for (auto it = flows_.begin(); it != flows_.end();) {
      const bool gone = (it->first & kUdpIdBit) == 0 && static_cast<int32_t>(sweep - it->second) >= 2;
      it = gone ? flows_.erase(it) : std::next(it);
    }
  }

 private:
  size_t max_flows_;
  std::unordered_map<uint64_t, uint32_t> flows_;
};

}  // namespace skybraid
