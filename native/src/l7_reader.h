// From the pieces of streams, and datagrams, that the kernel copies to what was said on each flow. Pieces are
// put in order here; which bytes are not needed is told to the kernel programs through the table that they
// share with us.
//
// Time comes in as an argument or with the pieces: CLOCK_MONOTONIC in nanoseconds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "l7/conversations.h"
#include "l7/dns/dns_datagrams.h"
#include "l7_rows.h"
#include "record.h"

namespace skybraid {

struct L7Options {
  uint32_t protocols = UINT32_MAX;          // bit per l7::Protocol
  size_t max_held_bytes = 256u << 10;       // of pieces that wait for one that is missing
  uint64_t held_ns = 1'000'000'000;         // so long
  uint64_t unanswered_ns = 60'000'000'000;  // after that a request has no response
};

struct L7Counters {
  l7::ConversationCounters conversations;
  l7::LedgerCounters ledger;
  uint64_t pieces = 0;
  uint64_t gaps = 0;       // pieces that were waited for in vain
  uint64_t late = 0;       // pieces of connections that were over
  uint64_t malformed = 0;  // datagrams that are no message of DNS
};

class L7Reader final : private l7::Orders {
 public:
  // `streams`: SB_L7_STREAMS entries shared with the kernel programs.
  L7Reader(sb_l7_stream* streams, const L7Options& options);

  void OnPiece(const sb_l7_row& row);
  // Lets go of pieces that waited long enough and gives up on responses. Calls back with each flow of which
  // there is something to say now although nothing of it moved.
  template <typename Each>
  void Tick(uint64_t now_ns, Each&& each) {
    LetGoBefore(now_ns - std::min(now_ns, options_.held_ns));
    if (now_ns < next_give_up_ns_) return;
    next_give_up_ns_ = now_ns + options_.unanswered_ns / 16;
    const uint64_t begun_ns = now_ns - std::min(now_ns, options_.unanswered_ns);
    conversations_.GiveUpBefore(begun_ns, each);
    // Their flows are told of at the latest when they have been silent for so long themselves.
    datagrams_.GiveUpBefore(begun_ns);
  }

  // Flows are named by their records' speech_id.
  // Adds what was said on a flow since the last time. `closed`: nothing follows.
  void Take(uint64_t flow_id, bool closed, L7Rows& into);
  l7::Protocol Speaks(uint64_t flow_id) const {
    return datagrams_.Knows(flow_id) ? l7::Protocol::kDns : conversations_.Speaks(flow_id);
  }
  // Nothing of this flow is wanted.
  void Ignore(uint64_t flow_id);

  L7Counters Counters() const;

 private:
  struct Held {
    uint64_t offset;
    uint64_t ns;
    uint64_t passed_ns;
    uint32_t length;
    std::vector<uint8_t> bytes;
  };
  // A direction of a flow in which something is missing.
  struct Hole {
    uint64_t next = 0;  // what is missing begins here
    uint64_t since_ns = 0;
    std::vector<Held> held;  // by offset
  };
  struct Holes {
    l7::Origin from;
    Hole in[2];
  };
  // Payload that came with the end of a handshake, and whose socket was not there yet.
  struct Early {
    uint32_t isn;
    uint32_t ports;
    uint64_t ns;
    uint32_t length;
    std::vector<uint8_t> bytes;
  };

  static l7::Side SideOf(bool in, bool server) {
    return in == server ? l7::Side::kToServer : l7::Side::kToClient;
  }
  void OnDatagram(const sb_l7_row& row);
  void Add(const l7::LedgerRow& row, L7Rows& into) const;
  void KeepEarly(const sb_l7_row& row);
  void FeedEarly(uint64_t flow_id, const sb_l7_row& row, const l7::Origin& from);
  void Feed(uint64_t flow_id, const l7::Origin& from, bool in, const l7::Piece& piece);
  bool Hold(uint64_t flow_id, const l7::Origin& from, const sb_l7_row& row, const l7::Piece& piece);
  void LetGo(uint64_t flow_id, Holes& holes, bool in, bool all);
  void LetAllGo(uint64_t flow_id, Holes& holes);
  void LetGoBefore(uint64_t ns);
  void CatchUp(uint64_t flow_id);
  sb_l7_stream* SlotOf(const l7::Origin& from);
  void FreeByCookie(uint64_t cookie);

  void SkipUntil(const l7::Origin& from, bool in, uint64_t position) override;
  void BeginsAt(const l7::Origin& from, bool in, uint64_t position) override;
  void Speaks(const l7::Origin& from, l7::Protocol protocol, bool turned) override;
  void Unread(const l7::Origin& from) override;
  void Release(const l7::Origin& from) override;

  sb_l7_stream* streams_;
  L7Options options_;
  l7::Ledger ledger_;
  l7::Conversations conversations_;
  l7::dns::DnsDatagrams datagrams_;
  std::unordered_map<uint64_t, Holes> holes_;
  std::vector<Early> early_;
  size_t held_bytes_ = 0;
  uint64_t next_give_up_ns_ = 0;
  uint64_t pieces_ = 0;
  uint64_t gaps_ = 0;
  uint64_t late_ = 0;
};

}  // namespace skybraid
