// Where things lie in the memory that the aggregator's join shares with this library. The same numbers are
// declared in packages/aggregator/src/join/slot-layout.ts and packages/shared/src/record; Names() is compared
// with them on load.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace skybraid::join {

// Columns of a decoded batch: a thousand words each, a value per record; those of 64 bits have two words, low
// first.
constexpr uint32_t kColumnWords = 1000;
enum Column : uint32_t {
  kDiallerIsn = 0 * kColumnWords,
  kAcceptorIsn = 1 * kColumnWords,
  kKind = 6 * kColumnWords,
  kAtMs = 8 * kColumnWords,
  kAgeMs = 9 * kColumnWords,
  kHandshakeUs = 10 * kColumnWords,
  kSrttUs = 11 * kColumnWords,
  kMinRttUs = 12 * kColumnWords,
  kBytesSent = 13 * kColumnWords,
  kBytesReceived = 14 * kColumnWords,
  kSegmentsSent = 15 * kColumnWords,
  kSegmentsReceived = 16 * kColumnWords,
  kDataSegmentsSent = 17 * kColumnWords,
  kDataSegmentsReceived = 18 * kColumnWords,
  kRetransmittedSegments = 19 * kColumnWords,
  kOutOfOrderSegments = 20 * kColumnWords,
  kDataSegmentsSentTotal = 21 * kColumnWords,
  kDataSegmentsReceivedTotal = 22 * kColumnWords,
  kRetransmittedSegmentsTotal = 23 * kColumnWords,
  kFlowId = 24 * kColumnWords,
  kBytesSentTotal = 26 * kColumnWords,
  kBytesReceivedTotal = 28 * kColumnWords,
};

// Slots of the table: a head and two sides of a line each.
constexpr uint32_t kChunkShift = 17;
constexpr uint32_t kSlotWords = 48;
constexpr uint32_t kSideWords = 16;
constexpr uint32_t kHeadSideAt = 6;
constexpr uint32_t kHeadSideWords = 5;
enum Head : uint32_t { kKeyA = 0, kKeyB = 1, kHeadFlags = 2, kEdge = 3, kHeard = 4, kRing = 5 };
enum HeadSide : uint32_t { kLossDiff = 0, kLossSent = 1 };
enum Side : uint32_t {
  kFlowLow = 0,
  kFlowHigh = 1,
  kSession = 2,
  kSideFlags = 3,
  kLastAt = 4,
  kOpened = 5,
  kLatestSrttUs = 6,
  kSumSegmentsSent = 7,
  kSumSegmentsReceived = 8,
  kDataSentTotal = 9,
  kDataReceivedTotal = 10,
  kRetransmittedTotal = 11,
  kSentLow = 12,
  kSentHigh = 13,
  kReceivedLow = 14,
  kReceivedHigh = 15,
};

enum SlotFlag : uint32_t {
  kClassMask = 0x3,
  kClassTcp = 1,
  kPresent = 1u << 2,
  kCoalesced = 1u << 6,
  kCompared = 1u << 10,
  kExpired = 1u << 14,
  kWaits = 1u << 15,
  kQuiet = 1u << 16,
  kSampled = 1u << 18,
};
enum SideFlag : uint32_t { kSawOpen = 1u << 20, kEnded = 1u << 21, kOpenedMsShift = 22 };

// Bits of a record's kind.
constexpr uint32_t kProtocolMask = 0x3;
constexpr uint32_t kTcp = 1;
constexpr uint32_t kRoleShift = 3;
constexpr uint32_t kStateShift = 6;
constexpr uint32_t kStateMask = 0x7;
constexpr uint32_t kStateOpen = 1;
constexpr uint32_t kAdopted = 1u << 14;
constexpr uint32_t kQuietKind = 1u << 16;
constexpr uint32_t kAnnouncedAgain = 1u << 17;
constexpr uint32_t kSamplingShift = 19;
constexpr uint32_t kSamplingMask = 0xf;

// Counters of an edge's row: a line for each end, then what is compared.
constexpr uint32_t kServerCounters = 8;
enum Counter : uint32_t {
  kClientBytesSent = 0,
  kClientSegmentsSent = 2,
  kClientDataSegmentsSent = 4,
  kClientRetransmits = 6,
  kClientOutOfOrder = 7,
  kClientToServerLost = 16,
  kClientToServerCompared = 17,
};
constexpr uint32_t kLossStride = 2;
// Counters of a row that are touched here, and from one row to the next.
constexpr uint32_t kCountersUsed = 20;
constexpr uint32_t kRowStride = 56;

// Index of connections: the upper bits of an entry are those of its hash, the lower ones its value and 1.
constexpr uint32_t kValueBits = 25;

// Every number above by the name that the other side has for it.
std::vector<std::pair<const char*, uint32_t>> Names();

}  // namespace skybraid::join
