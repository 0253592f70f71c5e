#include "usual_records.h"

#include <algorithm>

namespace skybraid::join {

namespace {

// What so many records touch fits the nearer caches.
constexpr uint32_t kBlockRecords = 128;
constexpr uint32_t kNearRecords = 16;
constexpr uint32_t kValueMask = (1u << kValueBits) - 1;
constexpr uint32_t kBothPresent = kPresent | kPresent << 1;
constexpr uint32_t kBothQuiet = kQuiet | kQuiet << 1;
constexpr uint32_t kUsualSlotBits = kClassMask | kBothPresent | kExpired | kSampled;
constexpr uint32_t kUnusualBits =
    kProtocolMask | kStateMask << kStateShift | kAnnouncedAgain | kSamplingMask << kSamplingShift;
constexpr uint32_t kOpenTcp = kTcp | kStateOpen << kStateShift;
constexpr size_t kLineBytes = 64;

inline void Fetch(const void* line) { __builtin_prefetch(line, 1); }

// As `pairHash` in key-hash.ts.
uint32_t PairHash(uint32_t seed, uint32_t a, uint32_t b) {
  uint32_t h = ((a ^ b) ^ (seed + kClassTcp)) * 0x85ebca6bu;
  h ^= h >> 15;
  h = (h + (a + b)) * 0xc2b2ae35u;
  h ^= h >> 13;
  h *= 0x27d4eb2fu;
  return h ^ (h >> 16);
}

bool IsOf(const uint32_t* slot, uint32_t dialler, uint32_t acceptor) {
  const uint32_t a = slot[kKeyA], b = slot[kKeyB];
  return (a == dialler && b == acceptor) || (a == acceptor && b == dialler);
}

// An open TCP connection's reading that says nothing else.
bool IsUsual(const Batch& batch, uint32_t i) {
  const uint32_t* c = batch.columns;
  if (batch.is_wide != nullptr && batch.is_wide[i] != 0) return false;
  return (c[kKind + i] & kUnusualBits) == kOpenTcp && (c[kHandshakeUs + i] | c[kMinRttUs + i]) == 0;
}

uint32_t* SideOf(uint32_t* slot, uint32_t side) { return slot + kSideWords * (1 + side); }

bool IsFlow(const uint32_t* side, const Batch& batch, uint32_t i) {
  const uint32_t* id = batch.columns + kFlowId + 2 * i;
  return side[kFlowLow] == id[0] && side[kFlowHigh] == id[1] && side[kSession] == batch.session;
}

// The side that the record calls its own: 0 is the client's.
uint32_t FirstSide(const uint32_t* columns, uint32_t i) { return columns[kKind + i] >> (kRoleShift + 1) & 1; }

// Which side of a joined connection without an end the record is from, reported by the same boot; -1 if none.
int32_t UsualSide(uint32_t* slot, const Batch& batch, uint32_t i) {
  if ((slot[kHeadFlags] & kUsualSlotBits) != (kClassTcp | kBothPresent) || slot[kRing] != 0) return -1;
  const uint32_t first = FirstSide(batch.columns, i);
  if (IsFlow(SideOf(slot, first), batch, i)) return static_cast<int32_t>(first);
  return IsFlow(SideOf(slot, 1 - first), batch, i) ? static_cast<int32_t>(1 - first) : -1;
}

// A later reading of the flow, which has not ended, and nothing new about its beginning.
bool IsNext(const uint32_t* side, const Batch& batch, uint32_t i) {
  const uint32_t* c = batch.columns;
  const uint32_t flags = side[kSideFlags];
  if ((flags & kEnded) != 0 || ((c[kKind + i] & kAdopted) | (flags & kSawOpen)) == 0) return false;
  const int64_t read_ms = batch.base_ms + c[kAtMs + i];
  if (static_cast<int32_t>(static_cast<uint32_t>(read_ms) - side[kLastAt]) <= 0) return false;
  return read_ms - c[kAgeMs + i] >= int64_t{side[kOpened]} * 1000 + (flags >> kOpenedMsShift);
}

bool Continues(const uint32_t* reached, uint32_t more, const uint32_t* total) {
  const uint64_t next = (uint64_t{reached[1]} << 32 | reached[0]) + more;
  return static_cast<uint32_t>(next) == total[0] && static_cast<uint32_t>(next >> 32) == total[1] &&
         next >= more;
}

bool Follows(uint32_t total, uint32_t more, uint32_t next) { return total + more == next && next >= more; }

bool Fits(uint32_t sum, uint32_t more) { return sum + more >= more; }

// Whether the totals continue where the flow's latest ones ended, without any of them starting over at 2^32.
bool GoesOn(const uint32_t* side, const uint32_t* c, uint32_t i) {
  return Continues(side + kSentLow, c[kBytesSent + i], c + kBytesSentTotal + 2 * i) &&
         Continues(side + kReceivedLow, c[kBytesReceived + i], c + kBytesReceivedTotal + 2 * i) &&
         Follows(side[kDataSentTotal], c[kDataSegmentsSent + i], c[kDataSegmentsSentTotal + i]) &&
         Follows(side[kDataReceivedTotal], c[kDataSegmentsReceived + i], c[kDataSegmentsReceivedTotal + i]) &&
         Follows(side[kRetransmittedTotal], c[kRetransmittedSegments + i],
                 c[kRetransmittedSegmentsTotal + i]) &&
         Fits(side[kSumSegmentsSent], c[kSegmentsSent + i]) &&
         Fits(side[kSumSegmentsReceived], c[kSegmentsReceived + i]);
}

void TakeReading(uint32_t* side, const Batch& batch, uint32_t i) {
  const uint32_t* c = batch.columns;
  side[kLastAt] = static_cast<uint32_t>(batch.base_ms + c[kAtMs + i]);
  side[kSumSegmentsSent] += c[kSegmentsSent + i];
  side[kSumSegmentsReceived] += c[kSegmentsReceived + i];
  side[kDataSentTotal] = c[kDataSegmentsSentTotal + i];
  side[kDataReceivedTotal] = c[kDataSegmentsReceivedTotal + i];
  side[kRetransmittedTotal] = c[kRetransmittedSegmentsTotal + i];
  side[kSentLow] = c[kBytesSentTotal + 2 * i];
  side[kSentHigh] = c[kBytesSentTotal + 2 * i + 1];
  side[kReceivedLow] = c[kBytesReceivedTotal + 2 * i];
  side[kReceivedHigh] = c[kBytesReceivedTotal + 2 * i + 1];
  if (c[kSrttUs + i] != 0) side[kLatestSrttUs] = c[kSrttUs + i];
}

// Compares the segments of one direction, as they were before, where the other end received all bytes that
// one sent. False where they were not, or can't be.
bool CompareAgain(uint32_t* slot, uint32_t side, double* row) {
  const uint32_t* from = SideOf(slot, side);
  const uint32_t* to = SideOf(slot, 1 - side);
  if (from[kSentLow] != to[kReceivedLow] || from[kSentHigh] != to[kReceivedHigh]) return true;
  if ((slot[kHeadFlags] & (kCompared | kCoalesced) << side) != kCompared << side) return false;
  const uint32_t sent = from[kDataSentTotal];
  const uint32_t lost = sent - to[kDataReceivedTotal];
  if (lost > from[kRetransmittedTotal]) return false;
  uint32_t* before = slot + kHeadSideAt + side * kHeadSideWords;
  row[kClientToServerLost + side * kLossStride] += static_cast<int32_t>(lost - before[kLossDiff]);
  row[kClientToServerCompared + side * kLossStride] += sent - before[kLossSent];
  before[kLossDiff] = lost;
  before[kLossSent] = sent;
  return true;
}

void AddTraffic(double* end, const uint32_t* c, uint32_t i) {
  end[kClientBytesSent] += c[kBytesSent + i];
  end[kClientBytesSent + 1] += c[kBytesReceived + i];
  end[kClientSegmentsSent] += c[kSegmentsSent + i];
  end[kClientSegmentsSent + 1] += c[kSegmentsReceived + i];
  end[kClientDataSegmentsSent] += c[kDataSegmentsSent + i];
  end[kClientDataSegmentsSent + 1] += c[kDataSegmentsReceived + i];
  end[kClientRetransmits] += c[kRetransmittedSegments + i];
  end[kClientOutOfOrder] += c[kOutOfOrderSegments + i];
}

}  // namespace

void UsualRecords::Find(const Batch& batch, Found& found) {
  found.count = found.rest_count = found.uncompared_count = 0;
  waiting_.clear();
  for (uint32_t from = 0; from < batch.count; from += kBlockRecords)
    FindBlock(batch, from, std::min(batch.count, from + kBlockRecords), found);
}

void UsualRecords::FindBlock(const Batch& batch, uint32_t from, uint32_t to, Found& found) {
  const uint32_t* c = batch.columns;
  uint32_t hashes[kBlockRecords];
  int32_t candidates[kBlockRecords];
  for (uint32_t i = from; i < to; i++) {
    hashes[i - from] = PairHash(table.seed, c[kDiallerIsn + i], c[kAcceptorIsn + i]);
    Fetch(table.entries + (hashes[i - from] & table.mask));
  }
  for (uint32_t i = from; i < to; i++) {
    const uint32_t hash = hashes[i - from];
    uint32_t at = hash & table.mask;
    while (table.entries[at] != 0 && ((table.entries[at] ^ hash) & ~kValueMask) != 0)
      at = (at + 1) & table.mask;
    const bool is_found = table.entries[at] != 0 && (c[kKind + i] & kProtocolMask) == kTcp;
    candidates[i - from] = is_found ? static_cast<int32_t>(((table.entries[at] & kValueMask) - 1) >> 1) : -1;
    if (!is_found) continue;
    uint32_t* slot = table.Slot(static_cast<uint32_t>(candidates[i - from]));
    Fetch(slot);
    Fetch(SideOf(slot, FirstSide(c, i)));
  }
  for (uint32_t i = from; i < to; i++) {
    int32_t at = candidates[i - from];
    if (at >= 0 && !IsOf(table.Slot(static_cast<uint32_t>(at)), c[kDiallerIsn + i], c[kAcceptorIsn + i]))
      at = FindTcp(hashes[i - from], c[kDiallerIsn + i], c[kAcceptorIsn + i]);
    uint32_t* slot = at < 0 ? nullptr : table.Slot(static_cast<uint32_t>(at));
    const int32_t side = slot != nullptr && IsUsual(batch, i) ? UsualSide(slot, batch, i) : -1;
    if (side < 0) {
      Leave(found, i, at);
      continue;
    }
    // where both ends are quiet, they are compared
    if ((c[kKind + i] & kQuietKind) != 0 && (slot[kHeadFlags] & kQuiet << (1 - side)) != 0)
      Fetch(SideOf(slot, static_cast<uint32_t>(1 - side)));
    found.records[found.count] = static_cast<int32_t>(i);
    found.flows[found.count] = 2 * at + side;
    found.edges[found.count++] = static_cast<int32_t>(slot[kEdge]) - 1;
  }
}

int32_t UsualRecords::FindTcp(uint32_t hash, uint32_t dialler, uint32_t acceptor) const {
  for (uint32_t at = hash & table.mask; table.entries[at] != 0; at = (at + 1) & table.mask) {
    if (((table.entries[at] ^ hash) & ~kValueMask) != 0) continue;
    const uint32_t number = ((table.entries[at] & kValueMask) - 1) >> 1;
    const uint32_t* slot = table.Slot(number);
    if ((slot[kHeadFlags] & kClassMask) == kClassTcp && IsOf(slot, dialler, acceptor))
      return static_cast<int32_t>(number);
  }
  return -1;
}

// Leaves a record to the general way, and with it what follows of its connection.
void UsualRecords::Leave(Found& found, uint32_t record, int32_t slot) {
  found.rest[found.rest_count++] = static_cast<int32_t>(record);
  if (slot < 0) return;
  table.Slot(static_cast<uint32_t>(slot))[kHeadFlags] |= kWaits;
  waiting_.push_back(static_cast<uint32_t>(slot));
}

void UsualRecords::Take(const Batch& batch, Found& found, double* counters, const uint8_t* fetched) {
  const auto fetch = [&](uint32_t n) {
    if (n >= found.count || found.rows[n] < 0) return;
    const double* row = counters + found.rows[n];
    Fetch(row + (found.flows[n] & 1) * kServerCounters);
    Fetch(row + kClientToServerLost);
    if (fetched != nullptr)
      Fetch(fetched + size_t{static_cast<uint32_t>(found.rows[n]) / kRowStride} * kLineBytes);
  };
  const uint32_t not_found = found.rest_count;
  uint32_t kept = 0;
  for (uint32_t n = 0; n < std::min(found.count, kNearRecords); n++) fetch(n);
  for (uint32_t n = 0; n < found.count; n++) {
    fetch(n + kNearRecords);
    if (!TakeOne(batch, found, n, counters)) continue;
    found.records[kept] = found.records[n];
    found.flows[kept] = found.flows[n];
    found.rows[kept++] = found.rows[n];
  }
  found.count = kept;
  if (not_found > 0 && found.rest_count > not_found) std::sort(found.rest, found.rest + found.rest_count);
  for (const uint32_t slot : waiting_) table.Slot(slot)[kHeadFlags] &= ~kWaits;
}

bool UsualRecords::TakeOne(const Batch& batch, Found& found, uint32_t n, double* counters) {
  const uint32_t i = static_cast<uint32_t>(found.records[n]);
  const int32_t number = found.flows[n] >> 1;
  const uint32_t own = found.flows[n] & 1;
  uint32_t* slot = table.Slot(static_cast<uint32_t>(number));
  uint32_t* side = SideOf(slot, own);
  const bool waits = (slot[kHeadFlags] & kWaits) != 0;
  if (waits || found.rows[n] < 0 || !IsNext(side, batch, i) || !GoesOn(side, batch.columns, i)) {
    Leave(found, i, number);
    return false;
  }
  TakeReading(side, batch, i);
  const uint32_t quiet_now = (batch.columns[kKind + i] & kQuietKind) << own;
  const uint32_t flags = (slot[kHeadFlags] & ~(kQuiet << own)) | quiet_now;
  slot[kHeadFlags] = flags;
  slot[kHeard] = batch.heard;
  double* row = counters + found.rows[n];
  AddTraffic(row + own * kServerCounters, batch.columns, i);
  if ((flags & kBothQuiet) == kBothQuiet && !(CompareAgain(slot, 0, row) && CompareAgain(slot, 1, row))) {
    // that comes before anything else of the connection
    found.uncompared_slots[found.uncompared_count] = number;
    found.uncompared_rows[found.uncompared_count++] = found.rows[n];
    slot[kHeadFlags] |= kWaits;
    waiting_.push_back(static_cast<uint32_t>(number));
  }
  return true;
}

}  // namespace skybraid::join
