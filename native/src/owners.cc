#include "owners.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "cgroup_name.h"
#include "hash.h"
#include "safe_text.h"
#include "wire.h"

namespace skybraid {

namespace {

constexpr uint64_t kRootCgroup = 1;
constexpr size_t kMaxPath = 512;
constexpr size_t kMaxUnit = 255;
constexpr uint64_t kProcessNs = 2'000'000'000;

void ReadComm(uint32_t tgid, char (&comm)[SB_COMM_LEN]) {
  const std::string path = "/proc/" + std::to_string(tgid) + "/comm";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t length = read(fd, comm, sizeof comm - 1);
  close(fd);
  const size_t end = length > 0 ? static_cast<size_t>(length) : 0;
  comm[end] = 0;
  if (end > 0 && comm[end - 1] == '\n') comm[end - 1] = 0;
}

}  // namespace

bool Owners::Key::operator==(const Key& other) const {
  return owner.cgroup_id == other.owner.cgroup_id && owner.tgid == other.owner.tgid &&
         memcmp(owner.comm, other.owner.comm, SB_COMM_LEN) == 0;
}

size_t Owners::KeyHash::operator()(const Key& key) const {
  uint64_t words[2];
  memcpy(words, key.owner.comm, sizeof words);
  return Mix64(Mix64(Mix64(key.owner.cgroup_id ^ words[0]) ^ words[1]) ^ key.owner.tgid);
}

void Owners::Touch(sb_head& head, uint64_t now_ns) {
  paths_.Path(head.cgroup_id, now_ns);
  if (head.comm[0] != 0 || head.tgid == 0) return;
  Process* process = processes_.Find(head.tgid);
  if (process == nullptr) process = &processes_.Insert(head.tgid, Process{});
  if (process->until_ns <= now_ns) {
    *process = Process{{}, now_ns + kProcessNs};
    ReadComm(head.tgid, process->comm);
  }
  memcpy(head.comm, process->comm, SB_COMM_LEN);
}

Owners::Entry& Owners::Resolve(const FlowOwner& owner, uint64_t now_ns) {
  const Key key{owner};
  Entry* entry = entries_.Find(key);
  if (entry != nullptr && entry->complete) return *entry;
  if (entry == nullptr) entry = &entries_.Insert(key, Entry{});
  Describe(owner, now_ns, *entry);
  return *entry;
}

void Owners::Describe(const FlowOwner& owner, uint64_t now_ns, Entry& entry) {
  const std::string& path = paths_.Path(owner.cgroup_id, now_ns);
  const CgroupName name = ParseCgroupPath(path);
  const std::string_view comm(owner.comm, strnlen(owner.comm, SB_COMM_LEN));
  std::string& message = entry.message;
  message.clear();
  entry.complete = !path.empty() || owner.cgroup_id <= kRootCgroup;
  wire::PutString(message, 1, SafeText(path, kMaxPath));
  wire::PutString(message, 2, name.pod_uid);
  wire::PutString(message, 3, name.container_id);
  wire::PutString(message, 4, SafeText(name.unit, kMaxUnit));
  wire::PutString(message, 5, SafeText(comm, SB_COMM_LEN * 3));
  if (owner.tgid != 0) {
    wire::PutTag(message, 6, wire::kVarint);
    wire::PutVarint(message, owner.tgid);
  }
}

}  // namespace skybraid
