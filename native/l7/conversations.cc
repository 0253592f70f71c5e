#include "conversations.h"

#include <algorithm>
#include <cstring>

namespace skybraid::l7 {

Conversations::~Conversations() {
  for (auto& [connection, entry] : entries_) ledger_.Take(RowsOf(entry), [](const LedgerRow&) {});
}

void Conversations::Feed(uint64_t connection, const Piece& piece) {
  if (piece.length == 0) return;
  Entry& entry = Touch(connection);
  if (entry.speaker)
    entry.speaker->feeder.Feed(piece, *entry.speaker->parser, entry.speaker->pairing);
  else if (entry.waiting)
    Ask(entry, piece);
}

Conversations::Entry& Conversations::Touch(uint64_t connection) {
  const auto found = entries_.find(connection);
  if (found != entries_.end()) {
    used_.splice(used_.end(), used_, found->second.use);
    return found->second;
  }
  if (entries_.size() >= options_.max_connections) Erase(entries_.find(used_.front()));
  MakeRoom(sizeof(Waiting));
  Entry& entry = entries_[connection];
  entry.use = used_.insert(used_.end(), connection);
  entry.waiting = std::make_unique<Waiting>();
  bytes_ += sizeof(Waiting);
  return entry;
}

// Looks at the begin of both directions until a protocol says that it is its own.
void Conversations::Ask(Entry& entry, const Piece& piece) {
  Waiting& waiting = *entry.waiting;
  const bool held = Hold(waiting.held[Index(piece.side)], piece);
  bool may_be = false;
  const ProtocolRow* row = Judge(waiting, may_be);
  if (row != nullptr) return Begin(entry, *row, piece, held);
  // What is told from neither direction's begin is told from none of what follows, but another message may
  // tell.
  if (!may_be || !held) {
    waiting.held[Index(piece.side)].length = waiting.held[Index(piece.side)].captured = 0;
    waiting.dropped = true;
  }
  waiting.pieces += !may_be || !held;
  if (waiting.pieces < kMostPieces) return;
  entry.waiting.reset();
  bytes_ -= sizeof(Waiting);
  ++counters_.verdicts[static_cast<size_t>(Protocol::kUnknown)];
}

// Whether all that was seen of the direction is held now.
bool Conversations::Hold(Held& held, const Piece& piece) {
  const bool follows =
      held.length > 0 && held.length == held.captured && piece.offset == held.offset + held.length;
  if (!follows) {
    held.offset = piece.offset;
    held.ns = piece.ns;
    held.length = held.captured = 0;
  }
  const auto room = static_cast<uint32_t>(kHeldBytes - held.captured);
  const uint32_t taken = std::min(room, piece.captured);
  memcpy(held.bytes + held.captured, piece.bytes, taken);
  held.captured += taken;
  held.length += piece.length;
  return held.captured == held.length;
}

const ProtocolRow* Conversations::Judge(const Waiting& waiting, bool& may_be) const {
  for (size_t i = 0; i < kProtocolRows; i++) {
    const ProtocolRow& row = kProtocolTable[i];
    if ((options_.protocols >> static_cast<uint32_t>(row.protocol) & 1) == 0) continue;
    for (const Side side : {Side::kToServer, Side::kToClient}) {
      const Held& held = waiting.held[Index(side)];
      if (held.captured == 0) continue;
      const Verdict verdict = row.classify(side, held.bytes, held.captured);
      if (verdict == Verdict::kYes) return &row;
      may_be = may_be || verdict == Verdict::kMaybe;
    }
  }
  return nullptr;
}

void Conversations::Begin(Entry& entry, const ProtocolRow& row, const Piece& piece, bool held) {
  const std::unique_ptr<Waiting> waiting = std::move(entry.waiting);
  bytes_ -= sizeof(Waiting);
  MakeRoom(sizeof(Speaker) + row.bytes);
  auto speaker = std::make_unique<Speaker>(row.protocol, ledger_, counters_.pairing);
  speaker->memory = std::make_unique<uint8_t[]>(row.bytes);
  speaker->parser = row.make(speaker->memory.get());
  speaker->bytes = sizeof(Speaker) + row.bytes;
  bytes_ += speaker->bytes;
  entry.protocol = row.protocol;
  ++counters_.verdicts[static_cast<size_t>(row.protocol)];
  entry.speaker = std::move(speaker);
  Speaker& to = *entry.speaker;
  bool from_start = !waiting->dropped;
  for (const Held& begin : waiting->held) from_start = from_start && (begin.length == 0 || begin.offset == 0);
  for (const Side side : {Side::kToServer, Side::kToClient}) {
    if (from_start) break;
    to.parser->Lost(side, piece.ns, to.pairing);
    to.feeder.Join(side);
  }
  for (const Side side : {Side::kToServer, Side::kToClient}) {
    const Held& begin = waiting->held[Index(side)];
    // The piece itself has more than what is held of it.
    const bool whole = side != piece.side || held;
    const uint32_t before = whole ? begin.length : begin.length - piece.length;
    if (before > 0)
      to.feeder.Feed({side, begin.offset, before, std::min(before, begin.captured), begin.bytes, begin.ns},
                     *to.parser, to.pairing);
    if (!whole) to.feeder.Feed(piece, *to.parser, to.pairing);
  }
}

void Conversations::MakeRoom(size_t bytes) {
  for (auto at = used_.begin(); bytes_ + bytes > options_.max_bytes && at != used_.end(); ++at)
    GiveUp(entries_[*at]);
}

// Its memory goes to others; what was said until now stays.
void Conversations::GiveUp(Entry& entry) {
  if (entry.waiting) bytes_ -= sizeof(Waiting);
  if (entry.speaker) {
    entry.speaker->pairing.OutOfStep(Side::kToServer);
    entry.rows = entry.speaker->pairing.Rows();
    bytes_ -= entry.speaker->bytes;
    entry.speaker.reset();
  } else if (!entry.waiting) {
    return;
  }
  entry.waiting.reset();
  ++counters_.given_up;
}

void Conversations::Close(uint64_t connection) {
  const auto found = entries_.find(connection);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.closed = true;
  if (entry.speaker) {
    entry.speaker->pairing.Close();
    entry.rows = entry.speaker->pairing.Rows();
    bytes_ -= entry.speaker->bytes;
    entry.speaker.reset();
  }
  if (entry.waiting) bytes_ -= sizeof(Waiting);
  entry.waiting.reset();
}

void Conversations::Erase(Entries::iterator at) {
  Entry& entry = at->second;
  GiveUp(entry);
  ledger_.Take(entry.rows, [this](const LedgerRow& row) { counters_.forgotten += row.count; });
  used_.erase(entry.use);
  entries_.erase(at);
}

void Conversations::GiveUpBefore(uint64_t ns) {
  for (auto& [connection, entry] : entries_) {
    if (entry.speaker) entry.speaker->pairing.GiveUpBefore(ns);
  }
}

Protocol Conversations::Speaks(uint64_t connection) const {
  const auto found = entries_.find(connection);
  if (found == entries_.end()) return Protocol::kUnknown;
  const Entry& entry = found->second;
  return entry.speaker ? entry.speaker->pairing.Speaks() : entry.protocol;
}

}  // namespace skybraid::l7
