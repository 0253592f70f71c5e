// Who a socket belongs to, as the Owner message of a batch.
#pragma once

#include <cstdint>
#include <string>

#include "bounded_map.h"
#include "cgroup_paths.h"
#include "flow_record.h"

namespace skybraid {

class Owners {
 public:
  struct Entry {
    std::string message;   // encoded Owner, without tag and length
    bool complete = true;  // false: the cgroup's path was not found yet
    uint64_t frame = 0;    // the frame that holds it last, and where: kept for the encoder
    uint32_t index = 0;
  };

  explicit Owners(CgroupPaths& paths) : paths_(paths), entries_(kMaxEntries), processes_(kMaxEntries) {}

  // Looks the names up while they can still be found: before the process or the cgroup is gone.
  void Touch(sb_head& head, uint64_t now_ns);

  // Valid until the next call.
  Entry& Resolve(const FlowOwner& owner, uint64_t now_ns);

 private:
  static constexpr size_t kMaxEntries = 8192;
  struct Key {
    FlowOwner owner;
    bool operator==(const Key& other) const;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Process {
    char comm[SB_COMM_LEN];
    uint64_t until_ns;  // process ids are used again
  };
  void Describe(const FlowOwner& owner, uint64_t now_ns, Entry& entry);

  CgroupPaths& paths_;
  BoundedMap<Key, Entry, KeyHash> entries_;
  BoundedMap<uint32_t, Process> processes_;
};

}  // namespace skybraid
