// Reads the kernel's table of UDP flows and takes out what has ended.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "kernel_source.h"
#include "udp_flow.h"

namespace skybraid {

class UdpFlowReader {
 public:
  // `counts_fd`: of udp_counts; `pass_fd`: of the map that holds the number of the current pass. nullptr if
  // the counts can't be mapped; errno says why.
  static std::unique_ptr<UdpFlowReader> Map(int map_fd, int counts_fd, int pass_fd);
  ~UdpFlowReader();
  UdpFlowReader(const UdpFlowReader&) = delete;
  UdpFlowReader& operator=(const UdpFlowReader&) = delete;

  // Hands over every flow that moved since the last call, and once more, with SB_F_GONE, each that is
  // deleted. A flow is deleted when its socket is closed or when it was idle for two minutes (ten seconds in
  // a crowded table).
  uint64_t Read(RowSink& sink);

 private:
  struct Pass {
    uint32_t number;
    uint64_t ns;
  };

  UdpFlowReader(int map_fd, sb_udp_counts* counts, int pass_fd);
  void BeginPass(uint64_t now_ns);
  void FreePlaces();
  sb_udp_counts* CountsOf(const sb_udp_flow& flow);
  bool Visit(const sb_udp_key& key, sb_udp_flow& flow, uint64_t now_ns, RowSink& sink);
  void Show(const sb_udp_key& key, const sb_udp_flow& flow, uint64_t now_ns, bool gone, RowSink& sink);
  void Delete(uint64_t now_ns, RowSink& sink);

  int map_fd_;
  sb_udp_counts* counts_;
  int pass_fd_;
  uint32_t pass_ = 0;        // a flow that moves now notes this number
  uint32_t idle_pass_ = 0;   // a flow that last moved before this pass is idle
  std::deque<Pass> passes_;  // of the last two minutes
  uint64_t entries_ = 0;     // at the last reading
  uint64_t rows_ = 0;
  std::vector<sb_udp_key> keys_;
  std::vector<sb_udp_flow> flows_;
  std::vector<sb_udp_key> ended_;
  std::vector<sb_udp_counts*> taken_back_;  // in the pass before
};

}  // namespace skybraid
