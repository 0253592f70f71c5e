// Requests that wait for their responses on one connection, and what becomes of each. A response answers the
// oldest open request of its key; what was never answered ends as unknown, never as anything else.
#pragma once

#include <cstdint>

#include "ledger.h"
#include "parser.h"

namespace skybraid::l7 {

struct PairingCounters {
  uint64_t unpaired = 0;  // responses whose request was not seen
  uint64_t out_of_step = 0;
  uint64_t gaps = 0;  // bytes were missing where responses name their requests
};

class Pairing final : public Sink {
 public:
  Pairing(Protocol protocol, Ledger& ledger, PairingCounters& counters)
      : ledger_(ledger), counters_(counters), protocol_(protocol) {}

  void Emit(const Message& message) override;
  void OutOfStep(Side side) override;
  void Gap(Side) override { ++counters_.gaps; }

  // Open requests that began before this are given up as unknown. Whether there were any.
  bool GiveUpBefore(uint64_t ns);
  // The connection ended: what has a response ends with it, all else as unknown.
  void Close();

  uint32_t& Rows() { return rows_; }
  Protocol Speaks() const { return protocol_; }
  uint32_t OpenRequests() const { return count_ + beyond_; }

 private:
  static constexpr uint32_t kMaxOpen = 32;
  // Requests alike that came in one piece and follow each other are one entry.
  struct Open {
    uint64_t key;
    uint64_t first_ns;
    uint64_t response_ns;  // first byte; 0: none yet
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t last_ns;
    uint32_t operation;
    uint32_t status;
    uint32_t count;
    uint8_t flags;
  };

  Open& At(uint32_t i) { return open_[(first_ + i) % kMaxOpen]; }
  uint32_t Find(uint64_t key);
  void Request(const Message& message);
  void Response(const Message& message);
  void EndAll(const Message& message);
  void Add(const Message& message);
  void BookUnknown(Open& open);
  void BookOne(const Open& open, uint64_t request_bytes);
  void Remove(uint32_t i);

  Ledger& ledger_;
  PairingCounters& counters_;
  uint32_t rows_ = kNone;
  uint32_t first_ = 0;
  uint32_t count_ = 0;
  uint32_t beyond_ = 0;  // requests for which there was no room: booked as unknown, their responses pass
  Protocol protocol_;
  Open open_[kMaxOpen];
};

static_assert(sizeof(Pairing) <= 2600, "with a parser within a connection's memory");

}  // namespace skybraid::l7
