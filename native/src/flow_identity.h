// What tells one flow from another: ids and hashes of the kernel's rows.
#pragma once

#include <cstdint>

#include "hash.h"
#include "record.h"

namespace skybraid {

// Socket cookies are small; made-up ids are kept apart from them and from each other.
constexpr uint64_t kUdpIdBit = 1ull << 63;
constexpr uint64_t kMadeTcpIdBit = 1ull << 62;

inline uint64_t UdpHash(const sb_head& head) {
  return HashAddress(head.remote, Mix64(head.cookie) ^ head.remote_port);
}

// The same for the dialler's repeated SYNs, and for the connection if it comes about after all.
inline uint64_t HalfOpenKey(const sb_tcp_row& row) {
  const uint64_t ports = static_cast<uint64_t>(row.head.local_port) << 16 | row.head.remote_port;
  return HashAddress(row.head.remote, Mix64(static_cast<uint64_t>(row.dialler_isn) << 32 | ports));
}

// A socket can dial again after a dial that failed: then it is another flow of the same cookie.
inline uint64_t TcpFlowId(uint64_t cookie, uint32_t generation) {
  if (generation == 0) return cookie;
  return (Mix64(cookie ^ Mix64(generation)) | kMadeTcpIdBit) & ~kUdpIdBit;
}

inline uint64_t TcpFlowId(const sb_tcp_row& row) {
  if (row.head.kind == SB_ROW_TCP_HALF_OPEN) return (HalfOpenKey(row) | kMadeTcpIdBit) & ~kUdpIdBit;
  return TcpFlowId(row.head.cookie, row.head.generation);
}

// Under which what was said on a UDP flow is kept: the kernel programs give each flow a number of its own.
inline uint64_t UdpSpeechId(uint32_t generation) { return kUdpIdBit | generation; }
inline bool IsUdpSpeech(uint64_t speech_id) { return (speech_id & kUdpIdBit) != 0; }

}  // namespace skybraid
