#include "conversations.h"

#include <algorithm>
#include <cstring>

namespace skybraid::l7 {

Conversations::~Conversations() {
  for (auto& [connection, entry] : entries_) ledger_.Take(RowsOf(entry), [](const LedgerRow&) {});
}

void Conversations::Feed(uint64_t connection, const Piece& given, const Origin& from) {
  Entry& entry = Touch(connection, from);
  Piece piece = given;
  if (entry.turned) piece.side = Other(piece.side);
  if (entry.speaker)
    entry.speaker->feeder.Feed(piece, *entry.speaker->parser, entry.speaker->pairing);
  else if (entry.waiting && piece.length > 0)
    Ask(entry, piece);
  if (orders_ != nullptr) Order(entry, piece.side);
}

void Conversations::Order(const Entry& entry, Side side) {
  if (!entry.speaker && !entry.waiting) return orders_->Unread(entry.from);
  if (!entry.speaker) return;
  const Parser& parser = *entry.speaker->parser;
  const uint64_t skippable = parser.Skippable(side);
  const uint64_t next = entry.speaker->feeder.Next(side);
  const bool in = (side == Side::kToServer) == (entry.from.server != entry.turned);
  if (next != Feeder::kAnywhere && parser.BeginsNext(side))
    orders_->BeginsAt(entry.from, in, next + skippable);
  if (skippable < kWorthSkipping || skippable == kOpenEnd) return;
  if (skippable == UINT64_MAX && parser.Skippable(Other(side)) == UINT64_MAX)
    return orders_->Unread(entry.from);
  orders_->SkipUntil(entry.from, in, skippable > UINT64_MAX - next ? UINT64_MAX : next + skippable);
}

bool Conversations::Passes(uint64_t connection, Side side, uint64_t position) const {
  const auto found = entries_.find(connection);
  if (found == entries_.end() || !found->second.speaker) return false;
  const Speaker& speaker = *found->second.speaker;
  const Side as = found->second.turned ? Other(side) : side;
  const uint64_t next = speaker.feeder.Next(as);
  const uint64_t skippable = speaker.parser->Skippable(as);
  return next != Feeder::kAnywhere && skippable != kOpenEnd && position >= next &&
         position - next <= skippable;
}

void Conversations::CatchUp(uint64_t connection, Side side, uint64_t position, uint64_t ns) {
  const auto found = entries_.find(connection);
  if (found == entries_.end() || !found->second.speaker) return;
  Speaker& speaker = *found->second.speaker;
  const Side as = found->second.turned ? Other(side) : side;
  const uint64_t next = speaker.feeder.Next(as);
  const uint64_t skippable = speaker.parser->Skippable(as);
  // A piece with the next message may be on its way.
  if (next == Feeder::kAnywhere || position <= next || skippable == kOpenEnd) return;
  const uint64_t passed = std::min(position - next, skippable);
  if (passed > 0)
    speaker.feeder.Feed({as, next + passed, 0, 0, nullptr, ns}, *speaker.parser, speaker.pairing);
}

void Conversations::Ignore(uint64_t connection) {
  const auto found = entries_.find(connection);
  if (found == entries_.end()) return;
  GiveUp(found->second, false);
  ledger_.Take(found->second.rows, [](const LedgerRow&) {});
}

Conversations::Entry& Conversations::Touch(uint64_t connection, const Origin& from) {
  if (latest_ != nullptr && latest_connection_ == connection) return *latest_;
  latest_ = &Find(connection, from);
  latest_connection_ = connection;
  return *latest_;
}

Conversations::Entry& Conversations::Find(uint64_t connection, const Origin& from) {
  const auto found = entries_.find(connection);
  if (found != entries_.end()) {
    if (!found->second.done) used_.splice(used_.end(), used_, found->second.use);
    return found->second;
  }
  // One that is not read any more is no loss.
  if (entries_.size() >= options_.max_connections)
    Erase(entries_.find(done_.empty() ? used_.front() : done_.front()));
  MakeRoom(sizeof(Waiting));
  Entry& entry = entries_[connection];
  entry.use = used_.insert(used_.end(), connection);
  entry.waiting = std::make_unique<Waiting>();
  entry.from = from;
  bytes_ += sizeof(Waiting);
  return entry;
}

// Looks at the begin of both directions until a protocol says that it is its own.
void Conversations::Ask(Entry& entry, const Piece& asked) {
  Waiting& waiting = *entry.waiting;
  Piece piece = asked;
  const bool held = Hold(waiting.held[Index(piece.side)], piece);
  bool may_be = false;
  const ProtocolRow* row = Judge(waiting, false, may_be);
  if (row == nullptr && entry.from.guessed) {
    row = Judge(waiting, true, may_be);
    if (row != nullptr) Turn(entry, piece);
  }
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
  Retire(entry);
  ++counters_.verdicts[static_cast<size_t>(Protocol::kUnknown)];
}

void Conversations::Turn(Entry& entry, Piece& piece) {
  entry.turned = !entry.turned;
  piece.side = Other(piece.side);
  std::swap(entry.waiting->held[0], entry.waiting->held[1]);
}

// What is held of the piece already, since it was sent again.
uint32_t Conversations::SentAgain(const Held& held, const Piece& piece) {
  const uint64_t end = held.offset + held.length;
  if (held.length != held.captured || piece.offset < held.offset || piece.offset >= end) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(end - piece.offset, piece.length));
}

// Whether all that was seen of the direction is held now. Leaves of the piece what is new.
bool Conversations::Hold(Held& held, Piece& piece) {
  const uint32_t again = SentAgain(held, piece);
  piece.offset += again;
  piece.bytes += std::min(again, piece.captured);
  piece.captured -= std::min(again, piece.captured);
  piece.length -= again;
  if (piece.length == 0 && again > 0) return true;
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

const ProtocolRow* Conversations::Judge(const Waiting& waiting, bool turned, bool& may_be) const {
  for (size_t i = 0; i < kProtocolRows; i++) {
    const ProtocolRow& row = kProtocolTable[i];
    if ((options_.protocols >> static_cast<uint32_t>(row.protocol) & 1) == 0) continue;
    for (const Side side : {Side::kToServer, Side::kToClient}) {
      const Held& held = waiting.held[Index(side)];
      if (held.captured == 0) continue;
      const Verdict verdict = row.classify(turned ? Other(side) : side, held.bytes, held.captured);
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
  if (orders_ != nullptr) orders_->Speaks(entry.from, row.protocol, entry.turned);
  entry.speaker = std::move(speaker);
  Speaker& to = *entry.speaker;
  bool from_start = !waiting->dropped;
  for (const Held& begin : waiting->held) from_start = from_start && (begin.length == 0 || begin.offset == 0);
  Held& answered = waiting->held[Index(Side::kToClient)];
  const Held& asked = waiting->held[Index(Side::kToServer)];
  const bool server_first = answered.length > 0 && asked.length > 0 && answered.ns < asked.ns;
  if (!from_start) {
    for (const Side side : {Side::kToServer, Side::kToClient})
      to.feeder.Join(side, piece.ns, *to.parser, to.pairing);
    // It answers what was asked before.
    if (server_first) answered.length = 0;
  }
  const Side first = server_first ? Side::kToClient : Side::kToServer;
  for (const Side side : {first, Other(first)}) {
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
  while (bytes_ + bytes > options_.max_bytes && !used_.empty()) {
    Entry& oldest = entries_[used_.front()];
    if (!oldest.speaker && !oldest.waiting) return;  // the one that the room is for
    GiveUp(oldest, true);
  }
}

// What takes no memory has none to give: who looks for some must not meet it again.
void Conversations::Retire(Entry& entry) {
  if (!entry.done) done_.splice(done_.end(), used_, entry.use);
  entry.done = true;
}

// Its memory goes to others; what was said until now stays.
void Conversations::GiveUp(Entry& entry, bool counted) {
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
  Retire(entry);
  counters_.given_up += counted;
  if (orders_ != nullptr) orders_->Unread(entry.from);
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
  if (entry.waiting) {
    bytes_ -= sizeof(Waiting);
    ++counters_.verdicts[static_cast<size_t>(Protocol::kUnknown)];
  }
  entry.waiting.reset();
  Retire(entry);
}

void Conversations::Erase(Entries::iterator at) {
  Entry& entry = at->second;
  GiveUp(entry, true);
  ledger_.Take(entry.rows, [this](const LedgerRow& row) { counters_.forgotten += row.count; });
  Forget(at);
}

void Conversations::Forget(Entries::iterator at) {
  if (orders_ != nullptr) orders_->Release(at->second.from);
  (at->second.done ? done_ : used_).erase(at->second.use);
  latest_ = nullptr;
  entries_.erase(at);
}

const Origin* Conversations::From(uint64_t connection) const {
  const auto found = entries_.find(connection);
  return found == entries_.end() ? nullptr : &found->second.from;
}

Protocol Conversations::Speaks(uint64_t connection) const {
  const auto found = entries_.find(connection);
  if (found == entries_.end()) return Protocol::kUnknown;
  const Entry& entry = found->second;
  return entry.speaker ? entry.speaker->pairing.Speaks() : entry.protocol;
}

}  // namespace skybraid::l7
