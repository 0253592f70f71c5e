// All connections that are read: what each was found to speak, its parser and its open requests. Bounded:
// beyond `max_bytes` the connection that was silent longest is given up, which is counted, and it is read no
// more.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "ledger.h"
#include "orders.h"
#include "pairing.h"
#include "parser.h"

namespace skybraid::l7 {

struct ConversationOptions {
  size_t max_bytes = 13u << 18;  // with datagrams, the ledger and the kernel's part 8 MB in all
  uint32_t max_connections = 16384;
  uint32_t protocols = UINT32_MAX;  // bit per Protocol: those that are switched on
};

struct ConversationCounters {
  PairingCounters pairing;
  uint64_t given_up = 0;            // connections whose parser was given up for another's
  uint64_t forgotten = 0;           // messages of connections that there was no room to remember
  uint64_t verdicts[kProtocols]{};  // connections by what they speak; kUnknown: none that is known
};

class Conversations {
 public:
  explicit Conversations(Ledger& ledger, const ConversationOptions& options = {}, Orders* orders = nullptr)
      : ledger_(ledger), options_(options), orders_(orders) {}
  ~Conversations();
  Conversations(const Conversations&) = delete;
  Conversations& operator=(const Conversations&) = delete;

  // Pieces of one direction come in the order of the stream; those before the first are not known unless it
  // begins at 0.
  void Feed(uint64_t connection, const Piece& piece, const Origin& from = {});
  // Of the bytes from where it stands to `position`, is none needed?
  bool Passes(uint64_t connection, Side side, uint64_t position) const;
  // Bytes up to `position` passed, the last at `ns`. Only what is not needed is passed over.
  void CatchUp(uint64_t connection, Side side, uint64_t position, uint64_t ns);
  // Nothing of it is wanted.
  void Ignore(uint64_t connection);
  // No piece follows: open requests end as they are. What was said stays until it is taken.
  void Close(uint64_t connection);
  // Requests that began before this and have no response are unknown for good.
  void GiveUpBefore(uint64_t ns) {
    GiveUpBefore(ns, [](uint64_t) {});
  }
  // Calls back with each connection that had such a request.
  template <typename Each>
  void GiveUpBefore(uint64_t ns, Each&& each) {
    for (auto& [connection, entry] : entries_)
      if (entry.speaker && entry.speaker->pairing.GiveUpBefore(ns)) each(connection);
  }

  Protocol Speaks(uint64_t connection) const;
  // Where its pieces come from; nullptr if it is not known.
  const Origin* From(uint64_t connection) const;
  // What was said since the last time, row by row; a closed connection is forgotten by it.
  template <typename Each>
  void Take(uint64_t connection, Each&& each) {
    const auto found = entries_.find(connection);
    if (found == entries_.end()) return;
    ledger_.Take(RowsOf(found->second), each);
    if (found->second.closed) Forget(found);
  }

  size_t Bytes() const { return bytes_; }
  const ConversationCounters& Counters() const { return counters_; }

 private:
  static constexpr size_t kHeldBytes = 64;
  static constexpr uint64_t kWorthSkipping = 4096;
  static constexpr uint32_t kMostPieces = 8;  // without a verdict, then the connection is unknown for good

  // The begin of a direction, kept until there is a verdict.
  struct Held {
    uint64_t offset = 0;
    uint64_t ns = 0;
    uint32_t length = 0;
    uint32_t captured = 0;
    uint8_t bytes[kHeldBytes];
  };
  struct Waiting {
    Held held[2];
    uint32_t pieces = 0;
    bool dropped = false;  // something passed that is not held
  };
  struct Speaker {
    Speaker(Protocol protocol, Ledger& ledger, PairingCounters& counters)
        : pairing(protocol, ledger, counters) {}
    ~Speaker() { parser->~Parser(); }
    Pairing pairing;
    Feeder feeder;
    std::unique_ptr<uint8_t[]> memory;
    Parser* parser = nullptr;
    size_t bytes = 0;
  };
  struct Entry {
    std::unique_ptr<Waiting> waiting;
    std::unique_ptr<Speaker> speaker;
    std::list<uint64_t>::iterator use;
    Origin from;
    uint32_t rows = kNone;  // left by a speaker that was given up
    Protocol protocol = Protocol::kUnknown;
    bool closed = false;
    bool turned = false;  // which end is which was guessed wrong
    bool done = false;    // it takes no memory any more
  };
  using Entries = std::unordered_map<uint64_t, Entry>;

  uint32_t& RowsOf(Entry& entry) { return entry.speaker ? entry.speaker->pairing.Rows() : entry.rows; }
  Entry& Touch(uint64_t connection, const Origin& from);
  Entry& Find(uint64_t connection, const Origin& from);
  void Ask(Entry& entry, const Piece& piece);
  void Turn(Entry& entry, Piece& piece);
  void Order(const Entry& entry, Side side);
  static uint32_t SentAgain(const Held& held, const Piece& piece);
  bool Hold(Held& held, Piece& piece);
  const ProtocolRow* Judge(const Waiting& waiting, bool turned, bool& may_be) const;
  void Begin(Entry& entry, const ProtocolRow& row, const Piece& piece, bool held);
  void MakeRoom(size_t bytes);
  void Retire(Entry& entry);
  void GiveUp(Entry& entry, bool counted);
  void Erase(Entries::iterator at);
  void Forget(Entries::iterator at);

  Ledger& ledger_;
  ConversationOptions options_;
  Orders* orders_;
  ConversationCounters counters_;
  Entries entries_;
  // Those that take memory, the longest unused first, and those that don't any more.
  std::list<uint64_t> used_;
  std::list<uint64_t> done_;
  Entry* latest_ = nullptr;  // of the piece before
  uint64_t latest_connection_ = 0;
  size_t bytes_ = 0;
};

}  // namespace skybraid::l7
