// What a cgroup's path says about its owner. Pure; knows the layouts of the usual container runtimes.
#pragma once

#include <string>
#include <string_view>

namespace skybraid {

struct CgroupName {
  std::string pod_uid;       // with dashes, as in the Kubernetes API
  std::string container_id;  // 64 hexadecimal digits; of the innermost container
  std::string unit;          // innermost systemd service or scope; below the container if there is one
};

// `path` is relative to the cgroup2 mount. Fields stay empty when the path does not tell.
CgroupName ParseCgroupPath(std::string_view path);

}  // namespace skybraid
