#include "framed_parser.h"

#include <algorithm>

namespace skybraid::l7 {

size_t FramedParser::Run(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  if (deaf_) return size;
  Frame& frame = frames_[Index(side)];
  if (frame.in_payload) {
    const auto taken = static_cast<size_t>(std::min<uint64_t>(size, frame.left));
    if (!frame.cut) Payload(side, bytes, taken);
    frame.left -= taken;
    if (frame.left == 0) End(frame, side, ns, sink);
    return taken;
  }
  if (frame.have == 0) frame.first_ns = ns;
  frame.head[frame.have++] = bytes[0];
  uint64_t length = 0;
  const Verdict verdict = Head(side, frame.head, frame.have, length);
  if (verdict == Verdict::kNo || (verdict == Verdict::kMaybe && frame.have == kMaxHead)) {
    GoAstray(side, sink);
  } else if (verdict == Verdict::kYes) {
    frame.in_payload = true;
    frame.cut = false;
    frame.left = length;
    frame.bytes = frame.have + length;
    if (length == 0) End(frame, side, ns, sink);
  }
  return 1;
}

void FramedParser::End(Frame& frame, Side side, uint64_t ns, Sink& sink) {
  frame.in_payload = false;
  frame.have = 0;
  FrameEnds(side, ns, sink);
}

uint64_t FramedParser::Rest(Side side) const {
  if (deaf_) return kEndless;
  const Frame& frame = frames_[Index(side)];
  return frame.in_payload ? frame.left : 0;
}

void FramedParser::Pass(Side side, uint64_t count, uint64_t ns, Sink& sink) {
  if (deaf_) return;
  Frame& frame = frames_[Index(side)];
  frame.cut = frame.cut || count > 0;
  frame.left -= count;
  if (frame.left == 0) End(frame, side, ns, sink);
}

}  // namespace skybraid::l7
