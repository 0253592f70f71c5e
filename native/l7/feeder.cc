#include <algorithm>

#include "message.h"

namespace skybraid::l7 {

void Feeder::Miss(Side side, uint64_t count, uint64_t ns, Parser& parser, Sink& sink) {
  const uint64_t skipped = std::min(count, parser.Skippable(side));
  if (skipped > 0) parser.Skip(side, skipped, ns, sink);
  if (skipped < count) parser.Lost(side, ns, sink);
}

void Feeder::Feed(const Piece& piece, Parser& parser, Sink& sink) {
  uint64_t& next = next_[Index(piece.side)];
  if (next == kAnywhere) next = piece.offset;
  const uint64_t before_ns = piece.passed_ns != 0 ? piece.passed_ns : piece.ns;
  if (piece.offset > next) Miss(piece.side, piece.offset - next, before_ns, parser, sink);
  const uint64_t end = piece.offset + piece.length;
  // Bytes that were seen before are not eaten again.
  const uint64_t seen = piece.offset < next ? next - piece.offset : 0;
  if (end <= next && piece.length > 0) return;
  if (seen < piece.captured) {
    parser.Eat(piece.side, piece.bytes + seen, piece.captured - seen, piece.ns, sink);
  }
  const uint64_t at_hand = std::max<uint64_t>(seen, piece.captured);
  if (at_hand < piece.length) Miss(piece.side, piece.length - at_hand, piece.ns, parser, sink);
  next = end;
}

}  // namespace skybraid::l7
