#include "cgroup_paths.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace skybraid {

namespace {

constexpr size_t kMaxKnown = 16'384;
constexpr uint64_t kRetryNs = 1'000'000'000;
constexpr uint32_t kMaxWalked = 50'000;
constexpr int kMaxDepth = 32;

struct Handle {
  file_handle head;
  unsigned char bytes[8];
};

// The cgroup2 mount that `directory` is in: the longest mount point that is a prefix of it.
std::string MountOf(const std::string& directory) {
  char resolved[PATH_MAX];
  const std::string wanted = realpath(directory.c_str(), resolved) != nullptr ? resolved : directory;
  std::ifstream mounts("/proc/self/mountinfo");
  std::string best;
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup2 ") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string skip, point;
    fields >> skip >> skip >> skip >> skip >> point;
    const bool inside = wanted.compare(0, point.size(), point) == 0 &&
                        (wanted.size() == point.size() || wanted[point.size()] == '/');
    if (inside && point.size() > best.size()) best = point;
  }
  return best.empty() ? wanted : best;
}

}  // namespace

CgroupPaths::CgroupPaths(const std::string& directory) : mount_(MountOf(directory)), known_(kMaxKnown) {
  mount_fd_ = open(mount_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  Handle handle{};
  handle.head.handle_bytes = sizeof handle.bytes;
  int mount_id = 0;
  if (mount_fd_ >= 0 && name_to_handle_at(mount_fd_, "", &handle.head, &mount_id, AT_EMPTY_PATH) == 0 &&
      handle.head.handle_bytes == sizeof handle.bytes)
    handle_type_ = handle.head.handle_type;
}

CgroupPaths::~CgroupPaths() {
  if (mount_fd_ >= 0) close(mount_fd_);
}

const std::string& CgroupPaths::Path(uint64_t id, uint64_t now_ns) {
  static const std::string kNoPath;
  if (id == 0) return kNoPath;
  Known* known = known_.Find(id);
  if (known != nullptr && (known->retry_ns == 0 || known->retry_ns > now_ns)) return known->path;
  std::string path;
  bool found = handle_type_ >= 0 && ByHandle(id, path);
  if (!found && handle_type_ < 0 && now_ns >= next_walk_ns_) {
    Walk(now_ns);
    known = known_.Find(id);
    if (known != nullptr && known->retry_ns == 0) return known->path;
  }
  known = known_.Find(id);
  if (known == nullptr) known = &known_.Insert(id, Known{});
  known->path = std::move(path);
  known->retry_ns = found ? 0 : now_ns + kRetryNs;
  return known->path;
}

bool CgroupPaths::ByHandle(uint64_t id, std::string& path) {
  Handle handle{};
  handle.head.handle_bytes = sizeof handle.bytes;
  handle.head.handle_type = handle_type_;
  memcpy(handle.head.f_handle, &id, sizeof id);
  const int fd = open_by_handle_at(mount_fd_, &handle.head, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    if (errno == EPERM) handle_type_ = -1;
    return false;
  }
  char target[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), target, sizeof target);
  close(fd);
  if (length <= 0 || static_cast<size_t>(length) < mount_.size() ||
      memcmp(target, mount_.data(), mount_.size()) != 0)
    return false;
  path.assign(target + mount_.size(), static_cast<size_t>(length) - mount_.size());
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.size() > kDeleted.size() &&
      path.compare(path.size() - kDeleted.size(), kDeleted.size(), kDeleted) == 0)
    path.resize(path.size() - kDeleted.size());
  return true;
}

// Without the privilege to open by id: reads the whole tree, at most once a second.
void CgroupPaths::Walk(uint64_t now_ns) {
  next_walk_ns_ = now_ns + kRetryNs;
  walk_budget_ = kMaxWalked;
  WalkFrom("", 0);
}

void CgroupPaths::WalkFrom(const std::string& directory, int depth) {
  const std::string full = mount_ + directory;
  struct stat info;
  if (walk_budget_ == 0 || depth > kMaxDepth || stat(full.c_str(), &info) != 0) return;
  --walk_budget_;
  Learn(info.st_ino, directory);
  DIR* stream = opendir(full.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    WalkFrom(directory + "/" + entry->d_name, depth + 1);
  }
  closedir(stream);
}

void CgroupPaths::Learn(uint64_t id, std::string path) {
  Known* known = known_.Find(id);
  if (known == nullptr)
    known_.Insert(id, Known{std::move(path), 0});
  else
    *known = Known{std::move(path), 0};
}

}  // namespace skybraid
