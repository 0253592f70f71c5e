#include "flow_slots.h"

#include <cstring>

#include "hash.h"

namespace skybraid {

FlowSlots::FlowSlots(uint32_t max_flows) : max_flows_(max_flows), buckets_(1024, kNone) {}

uint32_t FlowSlots::FindTcp(uint64_t flow_id) {
  uint32_t slot = buckets_[Mix64(flow_id) & (buckets_.size() - 1)];
  while (slot != kNone) {
    const Flow& flow = At(slot);
    if (flow.flow_id == flow_id && flow.protocol == kind::kTcp) return slot;
    slot = flow.next;
  }
  return kNone;
}

uint32_t FlowSlots::FindUdp(uint64_t hash, const sb_head& head) {
  uint32_t slot = buckets_[hash & (buckets_.size() - 1)];
  while (slot != kNone) {
    const Flow& flow = At(slot);
    if (flow.hash == hash && flow.cookie == head.cookie && flow.protocol == kind::kUdp &&
        flow.remote_port == head.remote_port && memcmp(&flow.remote, &head.remote, sizeof head.remote) == 0)
      return slot;
    slot = flow.next;
  }
  return kNone;
}

uint32_t FlowSlots::Insert(uint64_t hash) {
  if (used_ >= max_flows_) return kNone;
  if (free_.empty()) {
    const uint32_t first = static_cast<uint32_t>(chunks_.size()) * kChunk;
    chunks_.push_back(std::make_unique<Flow[]>(kChunk));
    due_.resize(first + kChunk, kNever);
    for (uint32_t i = kChunk; i-- > 0;) free_.push_back(first + i);
  }
  if (used_ >= buckets_.size()) GrowIndex();
  const uint32_t slot = free_.back();
  free_.pop_back();
  ++used_;
  Flow& flow = At(slot);
  flow = Flow{};
  flow.hash = hash;
  uint32_t& bucket = buckets_[hash & (buckets_.size() - 1)];
  flow.next = bucket;
  bucket = slot;
  return slot;
}

void FlowSlots::Remove(uint32_t slot) {
  Flow& flow = At(slot);
  uint32_t* link = &buckets_[flow.hash & (buckets_.size() - 1)];
  while (*link != slot) link = &At(*link).next;
  *link = flow.next;
  flow.protocol = 0;
  flow.dirty = false;
  due_[slot] = kNever;
  free_.push_back(slot);
  --used_;
}

void FlowSlots::GrowIndex() {
  std::vector<uint32_t> larger(buckets_.size() * 2, kNone);
  for (uint32_t head : buckets_) {
    while (head != kNone) {
      Flow& flow = At(head);
      const uint32_t next = flow.next;
      uint32_t& bucket = larger[flow.hash & (larger.size() - 1)];
      flow.next = bucket;
      bucket = head;
      head = next;
    }
  }
  buckets_.swap(larger);
}

}  // namespace skybraid
