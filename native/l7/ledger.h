// What was said on all connections since each one's last record: per connection a short list of rows, one per
// operation, status and flags, with sums and a sparse histogram. All memory is made at the start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "histogram.h"
#include "parser.h"

namespace skybraid::l7 {

constexpr uint32_t kNone = UINT32_MAX;
// Bits of l7_flags in flow.proto.
constexpr uint8_t kRowError = 1, kRowNoLatency = 2;

struct LedgerOptions {
  uint32_t max_operations = 4096;
  uint32_t max_rows = 16384;
  uint32_t max_octaves = 16384;
  uint32_t max_requests = 8192;
  uint32_t max_hosts = 256;
};

struct LedgerCounters {
  uint64_t other = 0;    // messages booked as {other}: there was no room for their operation
  uint64_t lost = 0;     // messages that found no room at all
  uint64_t untimed = 0;  // messages that are counted, and whose time had no bucket: it is in no sum either
};

// One request and its end.
struct Outcome {
  uint32_t operation;  // of Intern
  uint32_t status;     // kUnknownStatus: no response was seen
  uint8_t flags;
  uint64_t request_bytes;
  uint64_t response_bytes;
  uint64_t first_byte_us;
  uint64_t last_byte_us;
};

struct LedgerRow {
  uint32_t operation;
  uint32_t status;
  uint32_t count;
  uint32_t next;
  uint32_t octaves;  // list
  uint8_t flags;
  uint64_t request_bytes;
  uint64_t response_bytes;
  uint64_t first_byte_sum_us;
  uint64_t last_byte_sum_us;
};

// Buckets of a histogram that stand together: a list of single ones would take longer to look through than a
// message to read.
struct LedgerOctave {
  int32_t first;  // index of the first bucket
  uint32_t next;
  uint32_t values[kPerOctave];
};

// A request without its whole response. Requests alike that came in one piece and follow each other are one.
struct OpenRequest {
  uint64_t key;
  uint64_t first_ns;
  uint64_t response_ns;  // first byte; 0: none yet
  uint64_t request_bytes;
  uint64_t response_bytes;
  uint64_t last_ns;
  uint32_t operation;
  uint32_t status;
  uint32_t count;
  uint32_t before;
  uint32_t next;
  uint32_t left[2];  // by side: of the first gRPC message; kNone: it has not begun
  uint8_t flags;
};

class Ledger {
 public:
  explicit Ledger(const LedgerOptions& options = {});

  // The number of an operation, which is the caller's until it releases it.
  uint32_t Intern(Protocol protocol, std::string_view name, std::string_view host = {});
  void Hold(uint32_t operation) { ++operations_[operation].held; }
  void Release(uint32_t operation) {
    Operation& released = operations_[operation];
    if (--released.held == 0 && released.idle == Idle::kNo) NoteIdle(operation);
  }

  // Adds to the rows of a connection; `head` is kNone while it has none.
  void Book(uint32_t& head, const Outcome& outcome);
  // Calls back with each row and its list of octaves, then forgets them.
  template <typename Each>
  void Take(uint32_t& head, Each&& each) {
    for (uint32_t at = head; at != kNone; at = rows_[at].next) each(rows_[at]);
    Free(head);
  }

  // Room for an open request; kNone: there is none, of all connections' together.
  uint32_t TakeRequest() {
    const uint32_t at = free_request_;
    if (at != kNone) free_request_ = requests_[at].next;
    return at;
  }
  void FreeRequest(uint32_t at) {
    requests_[at].next = free_request_;
    free_request_ = at;
  }
  OpenRequest& Request(uint32_t at) { return requests_[at]; }

  const LedgerOctave& Octave(uint32_t at) const { return octaves_[at]; }
  std::string_view Name(uint32_t operation) const { return operations_[operation].name; }
  std::string_view Host(uint32_t operation) const { return operations_[operation].host; }
  Protocol ProtocolOf(uint32_t operation) const { return operations_[operation].protocol; }
  const LedgerCounters& Counters() const { return counters_; }
  uint32_t FreeRows() const { return free_row_count_; }

 private:
  // Whether it is among those that may be forgotten; the names of {other} never are.
  enum class Idle : uint8_t { kNo, kListed, kNever };
  struct Operation {
    std::string name;
    std::string host;
    uint64_t hash = 0;
    uint32_t held = 0;
    Protocol protocol = Protocol::kUnknown;
    Idle idle = Idle::kNo;
    bool placed = false;  // in the index
  };
  uint32_t Look(Protocol protocol, std::string_view name, std::string_view host);
  bool HasRoomFor(std::string_view host);
  void Forget(Operation& operation, uint32_t number);
  void NoteIdle(uint32_t operation);
  uint32_t TakeIdle();
  void Place(uint32_t operation);
  void Unplace(uint32_t operation);
  uint32_t NewRow(const Outcome& outcome);
  bool CountTime(LedgerRow& row, uint64_t us);
  void Free(uint32_t& head);

  LedgerOptions options_;
  LedgerCounters counters_;
  std::vector<Operation> operations_;  // first one {other} per protocol
  std::vector<uint32_t> index_;        // by hash, open addressing
  std::vector<uint32_t> idle_;  // a ring of operations that nobody held when they came in, oldest first
  uint32_t idle_first_ = 0;
  uint32_t idle_count_ = 0;
  uint32_t latest_ = 0;
  std::unordered_map<std::string, uint32_t> hosts_;  // how many operations have each
  std::vector<LedgerRow> rows_;
  std::vector<LedgerOctave> octaves_;
  std::vector<OpenRequest> requests_;
  uint32_t free_request_ = kNone;
  uint32_t free_row_ = kNone;
  uint32_t free_row_count_ = 0;
  uint32_t free_octave_ = kNone;
};

}  // namespace skybraid::l7
