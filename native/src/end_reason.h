// Why a connection ended, from its last row. Pure; the order of the questions is the point.
#pragma once

#include <cerrno>
#include <cstdint>

#include "record.h"

namespace skybraid {

// EndReason of proto/skybraid/v1/flow.proto.
enum class EndReason : uint32_t {
  kUnspecified = 0,
  kFin = 1,
  kRstSent = 2,
  kRstReceived = 3,
  kKernelTimeout = 4,
  kRefused = 5,
  kTimedOut = 6,
  kUnreachable = 7,
  kResetInHandshake = 8,
  kAbandoned = 9,
  kIdle = 10,
  kLocalError = 11,
};

// The kernel's numbers for sb_head.tcp_state.
enum TcpState : uint8_t {
  kEstablished = 1,
  kSynSent = 2,
  kSynRecv = 3,
  kFinWait1 = 4,
  kFinWait2 = 5,
  kTimeWait = 6,
  kClose = 7,
  kCloseWait = 8,
  kLastAck = 9,
  kListen = 10,
  kClosing = 11,
  kNewSynRecv = 12,
};

// A dial that never connected. Without an error, the program itself gave up: it timed out if its SYN had to
// be repeated by then, and was abandoned if not; without a segment it never left this machine.
inline EndReason DialEndReason(const sb_tcp_row& row) {
  const bool reset = (row.head.flags & SB_F_RST_RECEIVED) != 0;
  if (row.head.tcp_state == kSynRecv && (reset || row.head.sk_err == ECONNRESET))
    return EndReason::kResetInHandshake;
  switch (row.head.sk_err) {
    case ECONNREFUSED:
      return EndReason::kRefused;
    case ETIMEDOUT:
      return EndReason::kTimedOut;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case ENOPROTOOPT:
      return EndReason::kUnreachable;
    case ECONNRESET:
    case EPIPE:
      return EndReason::kResetInHandshake;
    case ECONNABORTED:
      return EndReason::kAbandoned;
    case 0:
      break;
    default:
      return EndReason::kLocalError;
  }
  if (reset) return EndReason::kRefused;
  if (row.segments_sent == 0) return EndReason::kLocalError;
  return (row.head.flags & SB_F_SYN_RETRANSMITTED) != 0 ? EndReason::kTimedOut : EndReason::kAbandoned;
}

// A dial that reached this listener and never completed.
inline EndReason HalfOpenEndReason(const sb_tcp_row& row) {
  const bool reset = (row.head.flags & SB_F_RST_RECEIVED) != 0;
  return reset ? EndReason::kResetInHandshake : EndReason::kTimedOut;
}

// An established connection. A timeout comes first: keepalive and user timeouts send a reset of their own.
// Without an error the last state tells: after both ends' FINs, or ours acknowledged, it ended in order;
// before, the local end cut it with a reset (linger 0, unread data, killed by the system).
inline EndReason ConnectionEndReason(const sb_tcp_row& row) {
  switch (row.head.sk_err) {
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
      if (row.head.flags & SB_F_RST_RECEIVED) break;
      return EndReason::kKernelTimeout;
    case ECONNABORTED:
      return EndReason::kRstSent;
    default:
      break;
  }
  if (row.head.flags & SB_F_RST_RECEIVED) return EndReason::kRstReceived;
  if (row.head.flags & SB_F_RST_SENT) return EndReason::kRstSent;
  if (row.head.sk_err == ECONNRESET || row.head.sk_err == EPIPE) return EndReason::kRstReceived;
  switch (row.head.tcp_state) {
    case kFinWait2:
    case kTimeWait:
    case kClosing:
    case kLastAck:
      return EndReason::kFin;
    case kEstablished:
    case kCloseWait:
    case kFinWait1:
      return EndReason::kRstSent;
    default:
      return EndReason::kUnspecified;
  }
}

// Why the row's connection ended, as EndReason of flow.proto; 0 for rows that are not an end.
inline uint32_t EndReasonOf(const sb_tcp_row& row) {
  switch (row.head.kind) {
    case SB_ROW_TCP_FAILED:
      return static_cast<uint32_t>(DialEndReason(row));
    case SB_ROW_TCP_HALF_OPEN:
      return static_cast<uint32_t>(HalfOpenEndReason(row));
    case SB_ROW_TCP_CLOSED:
      return static_cast<uint32_t>(ConnectionEndReason(row));
    default:
      return 0;
  }
}

}  // namespace skybraid
