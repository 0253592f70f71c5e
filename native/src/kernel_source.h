// The kernel side of a collector: loads the programs, attaches what this kernel has, hands rows to a sink.
// One instance per collector; nothing global, so several can live in one process (each on its own cgroup
// subtree).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "record.h"

namespace skybraid {

struct SourceOptions {
  std::string object_dir;   // where the compiled bpf objects are
  std::string cgroup_path;  // cgroup2 directory: its whole subtree is observed
  uint32_t ring_bytes = 1 << 20;
  bool udp = true;         // attach the packet hooks (UDP, DNS, adoption of older TCP sockets)
  bool l7 = false;         // read application protocols; needs the packet hooks
  bool l7_dns = false;     // with them, what name servers are asked over UDP
  bool task_files = true;  // find older sockets and their programs through open files at start
};

struct HookReport {
  std::string hook;  // "tp_btf/inet_sock_set_state"
  bool attached = false;
  std::string reason;       // why not, in plain words
  std::string consequence;  // what is not observed without it
};

// Bits of FlowBatch.capabilities; the order never changes.
enum Capability : uint64_t {
  kTcpLifecycle = 1u << 0,
  kResets = 1u << 1,
  kHalfOpen = 1u << 2,
  kSocketErrors = 1u << 3,
  kOpenCounters = 1u << 4,  // readings of open connections
  kPacketHooks = 1u << 5,   // UDP, DNS, adoption on the first packet
  kTaskFiles = 1u << 6,     // adoption at start, with the owning program
  kProtocols = 1u << 7,     // application protocols
};

struct OpenResult {
  bool ok = false;
  std::string error;  // plain words; empty when ok
  std::vector<HookReport> hooks;
  uint64_t capabilities = 0;
};

class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void OnTcp(const sb_tcp_row& row) = 0;
  virtual void OnUdp(const sb_udp_row& row) = 0;
  virtual void OnDns(const sb_dns_row& row) = 0;
  virtual void OnCgroup(const sb_cgroup_row&) {}
  virtual void OnPiece(const sb_l7_row&) {}
};

using KernelCounters = std::array<uint64_t, SB_COUNTERS>;

class KernelSource {
 public:
  static std::unique_ptr<KernelSource> Create();
  virtual ~KernelSource() = default;  // detaches and frees everything
  virtual OpenResult Open(const SourceOptions& options) = 0;
  virtual uint64_t Drain(RowSink& sink) = 0;        // ring rows, returns how many
  virtual uint64_t ReadSockets(RowSink& sink) = 0;  // open TCP sockets whose counters moved, and new ones
  virtual uint64_t ReadUdpFlows(RowSink& sink) = 0;
  // Every open TCP socket once, moved or not: finds connections whose closing row found no room in the ring.
  // False if that can't be done; then such connections stay in the table.
  virtual bool ReadAllSockets(RowSink&) { return false; }
  // Pieces of streams: how much of their ring was read, as a part of it. *all: nothing that was there is
  // left.
  virtual double DrainPieces(RowSink&, bool* all) {
    *all = true;
    return 0;
  }
  // SB_L7_STREAMS entries shared with the programs; nullptr if application protocols are not read.
  virtual sb_l7_stream* Streams() { return nullptr; }
  virtual KernelCounters Counters() = 0;
};

}  // namespace skybraid
