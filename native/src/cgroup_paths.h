// cgroup id → path below the cgroup2 mount, remembered after the cgroup is gone.
#pragma once

#include <cstdint>
#include <string>

#include "bounded_map.h"

namespace skybraid {

class CgroupPaths {
 public:
  // `directory` is any directory of the cgroup2 mount.
  explicit CgroupPaths(const std::string& directory);
  ~CgroupPaths();
  CgroupPaths(const CgroupPaths&) = delete;
  CgroupPaths& operator=(const CgroupPaths&) = delete;

  // Empty for the root and for a cgroup that is not (or no longer) found. `now_ns` bounds how often a miss is
  // retried.
  const std::string& Path(uint64_t id, uint64_t now_ns);

  // Takes over a path that the kernel told when it made the cgroup.
  void Learn(uint64_t id, std::string path);

 private:
  struct Known {
    std::string path;
    uint64_t retry_ns;  // 0: found
  };
  bool ByHandle(uint64_t id, std::string& path);
  void Walk(uint64_t now_ns);
  void WalkFrom(const std::string& directory, int depth);

  std::string mount_;
  int mount_fd_ = -1;
  int handle_type_ = -1;  // -1: this mount or our privileges do not allow handles, so walk
  uint64_t next_walk_ns_ = 0;
  uint32_t walk_budget_ = 0;
  BoundedMap<uint64_t, Known> known_;
};

}  // namespace skybraid
