#include "kernel_udp.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace skybraid {

namespace {

constexpr uint32_t kBatch = 1024;
constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kIdleNs = 120 * kSecond;
constexpr uint64_t kCrowdedIdleNs = 10 * kSecond;
constexpr uint64_t kCrowded = 32768;

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

UdpFlowReader::UdpFlowReader(int map_fd, int pass_fd)
    : map_fd_(map_fd), pass_fd_(pass_fd), keys_(kBatch), flows_(kBatch) {}

// From here on flows note a new number. One that was about to note the old one is read now or, having moved
// in the pass before this one, next time.
void UdpFlowReader::BeginPass(uint64_t now_ns) {
  const uint64_t idle_ns = entries_ > kCrowded ? kCrowdedIdleNs : kIdleNs;
  passes_.push_back({pass_, now_ns});  // flows with this number moved before now
  while (!passes_.empty() && passes_.front().ns + idle_ns < now_ns) {
    idle_pass_ = passes_.front().number + 1;
    passes_.pop_front();
  }
  const uint32_t zero = 0;
  ++pass_;
  bpf_map_update_elem(pass_fd_, &zero, &pass_, BPF_ANY);
}

uint64_t UdpFlowReader::Read(RowSink& sink) {
  const uint64_t now_ns = NowNs();
  BeginPass(now_ns);
  rows_ = entries_ = 0;
  ended_.clear();
  uint64_t token = 0;
  for (bool first = true;; first = false) {
    uint32_t count = static_cast<uint32_t>(keys_.size());
    const int code = bpf_map_lookup_batch(map_fd_, first ? nullptr : &token, &token, keys_.data(),
                                          flows_.data(), &count, nullptr);
    const int error = code == 0 ? 0 : errno;
    if (error == ENOSPC) {  // one hash bucket alone is larger than the batch
      keys_.resize(keys_.size() * 2);
      flows_.resize(keys_.size());
      continue;
    }
    if (error != 0 && error != ENOENT) break;
    for (uint32_t i = 0; i < count; i++)
      if (Visit(keys_[i], flows_[i], now_ns, sink)) ended_.push_back(keys_[i]);
    entries_ += count;
    if (error == ENOENT) break;
  }
  Delete(now_ns, sink);
  return rows_;
}

// True if the flow has ended.
bool UdpFlowReader::Visit(const sb_udp_key& key, const sb_udp_flow& flow, uint64_t now_ns, RowSink& sink) {
  if (flow.closed || flow.pass < idle_pass_) return true;
  if (flow.pass + 2 >= pass_) Show(key, flow, now_ns, false, sink);
  return false;
}

void UdpFlowReader::Show(const sb_udp_key& key, const sb_udp_flow& flow, uint64_t now_ns, bool gone,
                         RowSink& sink) {
  sb_udp_row row{};
  row.head.version = SB_ROW_VERSION;
  row.head.kind = SB_ROW_UDP;
  row.head.family = flow.family;
  row.head.role = flow.role;
  row.head.flags = static_cast<uint16_t>(flow.flags | (gone ? SB_F_GONE : 0));
  row.head.local_port = flow.local_port;
  row.head.cookie = key.cookie;
  row.head.cgroup_id = flow.cgroup_id;
  row.head.opened_ns = flow.opened_ns;
  row.head.read_ns = now_ns;
  row.head.local = flow.local;
  row.head.remote = key.remote;
  row.head.netns = flow.netns;
  row.head.tgid = flow.tgid;
  memcpy(row.head.comm, flow.comm, SB_COMM_LEN);
  row.head.remote_port = key.remote_port;
  row.head.generation = flow.generation;
  row.bytes_sent = flow.bytes_sent;
  row.bytes_received = flow.bytes_received;
  row.datagrams_sent = flow.datagrams_sent;
  row.datagrams_received = flow.datagrams_received;
  sink.OnUdp(row);
  rows_++;
}

// What a flow counted up to its deletion is in its last row: nothing falls between reading and deleting.
void UdpFlowReader::Delete(uint64_t now_ns, RowSink& sink) {
  for (const sb_udp_key& key : ended_) {
    sb_udp_flow flow{};
    if (bpf_map_lookup_and_delete_elem(map_fd_, &key, &flow) == 0) Show(key, flow, now_ns, true, sink);
  }
}

}  // namespace skybraid
