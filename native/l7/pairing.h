// Requests that wait for their responses on one connection, and what becomes of each. A response answers the
// oldest open request of its key; what was never answered ends as unknown, never as anything else.
//
// Where order alone tells and several requests are under way, a loss makes it unknown whose answers come.
// Then requests have no known answer until the connection was quiet for a second.
//
// Of HTTP/2 each request says whether it is gRPC's; where it could not be read, its response does.
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
  ~Pairing() override;
  Pairing(const Pairing&) = delete;
  Pairing& operator=(const Pairing&) = delete;

  void Emit(const Message& message) override;
  void OutOfStep(Side side) override;
  void Gap(Side) override {
    ++counters_.gaps;
    gap_ = true;
  }

  // Open requests that began before this are given up as unknown. Whether there were any.
  bool GiveUpBefore(uint64_t ns);
  // The connection ended: what has a response ends with it, all else as unknown.
  void Close();

  // The key of the oldest open request that has these bits alike; `key` itself if none has.
  uint64_t Oldest(uint64_t key, uint64_t bits);

  uint32_t& Rows() { return rows_; }
  // gRPC, if every request was.
  Protocol Speaks() const { return grpc_ && !plain_ ? Protocol::kGrpc : protocol_; }
  uint32_t OpenRequests() const { return count_ + beyond_; }

 private:
  using Open = OpenRequest;
  static constexpr uint32_t kMaxOpen = 256;
  // Without a byte for so long, a client that does not wait for answers has none to come.
  static constexpr uint64_t kQuietNs = 1'000'000'000;

  Open& At(uint32_t at) { return ledger_.Request(at); }
  uint32_t Find(uint64_t key);
  void Request(const Message& message);
  void Response(const Message& message);
  void EndAll(const Message& message);
  void Add(const Message& message);
  void BookUnknown(Open& open);
  void BookOne(const Open& open, uint64_t request_bytes);
  void Remove(uint32_t at);
  void GiveUpAll();
  bool Settles(const Message& message);
  uint32_t Intern(const Message& message);
  bool IsGrpc(const Open& open) const { return ledger_.ProtocolOf(open.operation) == Protocol::kGrpc; }
  void TurnToGrpc(Open& open);
  static void Measure(Open& open, const Message& message);

  Ledger& ledger_;
  PairingCounters& counters_;
  uint32_t rows_ = kNone;
  uint32_t first_ = kNone;  // open requests are a list in the ledger
  uint32_t last_ = kNone;
  uint32_t count_ = 0;
  uint32_t beyond_ = 0;  // requests for which there was no room: booked as unknown, their responses pass
  Protocol protocol_;
  bool pipelined_ = false;  // several requests were open at once
  bool shaken_ = false;     // something was missing, and it was not quiet since
  bool settling_ = false;   // whose answers come is not known
  bool gap_ = false;
  bool grpc_ = false;      // a request was gRPC's
  bool plain_ = false;     // a request was not
  uint64_t heard_ns_ = 0;  // last message
};

static_assert(sizeof(Pairing) <= 128, "with a parser within a connection's memory");

}  // namespace skybraid::l7
