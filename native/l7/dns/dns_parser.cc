#include "dns_parser.h"

#include <algorithm>
#include <cstring>

namespace skybraid::l7::dns {

namespace {

constexpr size_t kPrefix = 2;

}  // namespace

Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  if (size < kPrefix + kHeader) return size > 0 && bytes[0] > 0x40 ? Verdict::kNo : Verdict::kMaybe;
  return ClassifyMessage(side, bytes + kPrefix, size - kPrefix, BigEndian16(bytes));
}

Verdict DnsParser::Head(Side side, const uint8_t* head, size_t have, uint64_t& length) {
  if (have < kPrefix) return Verdict::kMaybe;
  begins_[Index(side)].size = 0;
  length = BigEndian16(head);
  return length < kHeader ? Verdict::kNo : Verdict::kYes;
}

void DnsParser::Payload(Side side, const uint8_t* bytes, size_t size) {
  Begin& begin = begins_[Index(side)];
  const size_t taken = std::min(size, kKept - begin.size);
  memcpy(begin.bytes + begin.size, bytes, taken);
  begin.size = static_cast<uint16_t>(begin.size + taken);
}

bool DnsParser::BeginsFrame(Side side, const uint8_t* bytes, size_t size) const {
  return Classify(side, bytes, size) == Verdict::kYes;
}

// Who does not repeat the question answers the last that had the id; who does may answer one that was cut.
uint64_t DnsParser::KeyOf(uint64_t key, bool asks) {
  if (asks) {
    recent_[asked_++ % kRecent] = key;
    return key;
  }
  for (uint32_t i = 1; i <= std::min<uint32_t>(asked_, kRecent); i++) {
    const uint64_t known = recent_[(asked_ - i) % kRecent];
    if (known >> 48 != key >> 48) continue;
    if (known == key || (key & kQuestionBits) == 0 || (known & kQuestionBits) == 0) return known;
  }
  return key;
}

void DnsParser::FrameEnds(Side side, uint64_t ns, Sink& sink) {
  const Begin& begin = begins_[Index(side)];
  const Frame& frame = Of(side);
  if (begin.size < kHeader) return;  // nothing of it was seen
  if (!IsHeader(side, begin.bytes)) return GoAstray(side, sink);
  Reading reading;
  ReadMessage(side, begin.bytes, begin.size, reading);
  Message& message = reading.message;
  message.key = KeyOf(message.key, side == Side::kToServer);
  message.bytes = frame.bytes - kPrefix;
  message.first_ns = frame.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

}  // namespace skybraid::l7::dns
