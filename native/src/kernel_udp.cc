#include "kernel_udp.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
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
constexpr size_t kCountsBytes = SB_UDP_COUNTS * sizeof(sb_udp_counts);

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

void AddCounts(const sb_udp_counts& counts, sb_udp_flow& flow) {
  // First: what moves meanwhile is read now or, by its pass, next time.
  flow.pass = std::max(flow.pass, __atomic_load_n(&counts.pass, __ATOMIC_ACQUIRE));
  flow.bytes_sent += counts.bytes_sent;
  flow.bytes_received += counts.bytes_received;
  flow.datagrams_sent += counts.datagrams_sent;
  flow.datagrams_received += counts.datagrams_received;
}

}  // namespace

std::unique_ptr<UdpFlowReader> UdpFlowReader::Map(int map_fd, int counts_fd, int pass_fd) {
  void* counts = mmap(nullptr, kCountsBytes, PROT_READ | PROT_WRITE, MAP_SHARED, counts_fd, 0);
  if (counts == MAP_FAILED) return nullptr;
  return std::unique_ptr<UdpFlowReader>(
      new UdpFlowReader(map_fd, static_cast<sb_udp_counts*>(counts), pass_fd));
}

UdpFlowReader::UdpFlowReader(int map_fd, sb_udp_counts* counts, int pass_fd)
    : map_fd_(map_fd), counts_(counts), pass_fd_(pass_fd), keys_(kBatch), flows_(kBatch) {}

UdpFlowReader::~UdpFlowReader() { munmap(counts_, kCountsBytes); }

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

// Where the flow counts; nullptr: in its own entry.
sb_udp_counts* UdpFlowReader::CountsOf(const sb_udp_flow& flow) {
  if (flow.counts == 0) return nullptr;
  sb_udp_counts* counts = &counts_[sb_udp_place_of(flow.counts)];
  return __atomic_load_n(&counts->flow, __ATOMIC_ACQUIRE) == flow.counts ? counts : nullptr;
}

// A program that had found such a place before it was taken back is done by now.
void UdpFlowReader::FreePlaces() {
  for (sb_udp_counts* counts : taken_back_) {
    counts->bytes_sent = counts->bytes_received = counts->datagrams_sent = counts->datagrams_received = 0;
    __atomic_store_n(&counts->flow, 0, __ATOMIC_RELEASE);
  }
  taken_back_.clear();
}

uint64_t UdpFlowReader::Read(RowSink& sink) {
  const uint64_t now_ns = NowNs();
  BeginPass(now_ns);
  FreePlaces();
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
bool UdpFlowReader::Visit(const sb_udp_key& key, sb_udp_flow& flow, uint64_t now_ns, RowSink& sink) {
  if (const sb_udp_counts* counts = CountsOf(flow)) AddCounts(*counts, flow);
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
    if (bpf_map_lookup_and_delete_elem(map_fd_, &key, &flow) != 0) continue;
    sb_udp_counts* counts = CountsOf(flow);
    if (counts != nullptr) {
      __atomic_store_n(&counts->flow, SB_UDP_CLAIMED, __ATOMIC_SEQ_CST);
      taken_back_.push_back(counts);
      AddCounts(*counts, flow);
    }
    Show(key, flow, now_ns, true, sink);
  }
}

}  // namespace skybraid
