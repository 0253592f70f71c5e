#include "end_reason.h"

#include "check.h"
#include "rows.h"

namespace skybraid {

namespace {

struct Ending {
  uint8_t kind;
  uint8_t state;
  uint8_t error;
  uint16_t flags;
  uint32_t segments;
  EndReason reason;
};

constexpr uint8_t kFailed = SB_ROW_TCP_FAILED, kClosed = SB_ROW_TCP_CLOSED, kHalf = SB_ROW_TCP_HALF_OPEN;

const Ending kEndings[] = {
    {kFailed, kSynSent, ECONNREFUSED, SB_F_RST_RECEIVED, 1, EndReason::kRefused},
    {kFailed, kSynSent, ECONNREFUSED, 0, 1, EndReason::kRefused},
    {kFailed, kSynSent, ETIMEDOUT, SB_F_SYN_RETRANSMITTED, 4, EndReason::kTimedOut},
    {kFailed, kSynSent, EHOSTUNREACH, 0, 1, EndReason::kUnreachable},
    {kFailed, kSynSent, ENETUNREACH, 0, 1, EndReason::kUnreachable},
    {kFailed, kSynSent, 0, SB_F_SYN_RETRANSMITTED, 2, EndReason::kTimedOut},
    {kFailed, kSynSent, 0, 0, 1, EndReason::kAbandoned},
    {kFailed, kSynSent, ECONNABORTED, 0, 1, EndReason::kAbandoned},
    {kFailed, kSynSent, 0, 0, 0, EndReason::kLocalError},
    {kFailed, kSynSent, EADDRNOTAVAIL, 0, 0, EndReason::kLocalError},
    {kFailed, kSynRecv, ECONNRESET, SB_F_RST_RECEIVED, 2, EndReason::kResetInHandshake},
    {kFailed, kSynRecv, 0, SB_F_RST_RECEIVED, 2, EndReason::kResetInHandshake},
    {kHalf, kNewSynRecv, 0, 0, 0, EndReason::kTimedOut},
    {kHalf, kSynRecv, ECONNRESET, SB_F_RST_RECEIVED, 0, EndReason::kResetInHandshake},
    {kClosed, kFinWait2, 0, SB_F_FIN_SENT | SB_F_FIN_RECEIVED, 9, EndReason::kFin},
    {kClosed, kFinWait2, 0, SB_F_FIN_SENT, 9, EndReason::kFin},
    {kClosed, kLastAck, 0, SB_F_FIN_SENT | SB_F_FIN_RECEIVED, 9, EndReason::kFin},
    {kClosed, kClosing, 0, SB_F_FIN_SENT | SB_F_FIN_RECEIVED, 9, EndReason::kFin},
    {kClosed, kEstablished, 0, 0, 9, EndReason::kRstSent},
    {kClosed, kCloseWait, 0, SB_F_FIN_RECEIVED, 9, EndReason::kRstSent},
    {kClosed, kFinWait1, 0, 0, 9, EndReason::kRstSent},
    {kClosed, kFinWait1, ECONNRESET, SB_F_RST_SENT, 9, EndReason::kRstSent},
    {kClosed, kFinWait2, 0, SB_F_RST_SENT, 9, EndReason::kRstSent},
    {kClosed, kEstablished, ECONNABORTED, SB_F_RST_SENT, 9, EndReason::kRstSent},
    {kClosed, kEstablished, ECONNRESET, SB_F_RST_RECEIVED, 9, EndReason::kRstReceived},
    {kClosed, kCloseWait, EPIPE, SB_F_RST_RECEIVED, 9, EndReason::kRstReceived},
    {kClosed, kEstablished, ECONNRESET, 0, 9, EndReason::kRstReceived},
    {kClosed, kLastAck, ECONNRESET, SB_F_RST_RECEIVED, 9, EndReason::kRstReceived},
    {kClosed, kEstablished, ETIMEDOUT, 0, 9, EndReason::kKernelTimeout},
    {kClosed, kEstablished, ETIMEDOUT, SB_F_RST_SENT, 9, EndReason::kKernelTimeout},
    {kClosed, kFinWait1, ETIMEDOUT, SB_F_FIN_SENT, 9, EndReason::kKernelTimeout},
    {kClosed, kEstablished, EHOSTUNREACH, 0, 9, EndReason::kKernelTimeout},
    {SB_ROW_TCP_READING, kEstablished, 0, 0, 9, EndReason::kUnspecified},
};

}  // namespace

TEST("end reason: error, resets and last state of a socket say why it ended") {
  for (const Ending& ending : kEndings) {
    sb_tcp_row row{};
    row.head = rows::Head(ending.kind, 1, rows::kSecond);
    row.head.tcp_state = ending.state;
    row.head.sk_err = ending.error;
    row.head.flags = ending.flags;
    row.segments_sent = ending.segments;
    const std::string at = std::to_string(&ending - kEndings) + ": ";
    CHECK_EQ(at + std::to_string(EndReasonOf(row)),
             at + std::to_string(static_cast<uint32_t>(ending.reason)));
  }
}

}  // namespace skybraid
