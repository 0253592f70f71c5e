// A parser of native/l7 on any bytes. The input is a row of pieces: a byte
// with side, loss and length, and that many bytes. What is checked: operations are short and printable,
// whatever is asked to be skipped can be skipped, and bytes one at a time give the same messages as the
// pieces whole.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../l7/host.h"
#include "../l7/message.h"

namespace skybraid::l7::fuzz {

class Judge final : public Sink {
 public:
  void Emit(const Message& m) override {
    if (m.operation.size() > 256) abort();
    for (const char c : m.operation) {
      if (c < 0x20 || c >= 0x7f) abort();
    }
    for (const char c : m.operation) Add(static_cast<uint8_t>(c));
    if (m.host.size() > kMaxHost) abort();
    for (const char c : m.host) {
      if (c < 0x20 || c >= 0x7f) abort();
      Add(static_cast<uint8_t>(c));
    }
    Add(m.status), Add(m.grpc_status), Add(m.key), Add(m.flags), Add(m.bytes), Add(m.first_ns),
        Add(m.last_ns);
    // HTTP/1: whether an answer to nothing that was seen has a body is not known.
    if (m.kind == Message::Kind::kResponse && m.key == UINT32_MAX) Settle();
  }
  void OutOfStep(Side) override { Settle(); }
  void Gap(Side) override { Settle(); }
  // From here on it depends on where packets begin, so divisions may differ.
  void Settle() { settled_ = true; }
  uint64_t digest() const { return digest_; }

 private:
  void Add(uint64_t value) {
    if (!settled_) digest_ = (digest_ ^ value) * 0x100000001b3u + (digest_ >> 29);
  }
  bool settled_ = false;
  uint64_t digest_ = 1;
};

// The bytes once more where nothing follows them, so that reading past them is seen; without memory of its
// own for each piece, which would take most of the time.
inline const uint8_t* Apart(const uint8_t* bytes, size_t size) {
  static std::vector<uint8_t> room(1 << 16);
  if (size > room.size()) abort();
  return static_cast<const uint8_t*>(memcpy(room.data() + room.size() - size, bytes, size));
}

template <typename P>
uint64_t Play(const uint8_t* data, size_t size, size_t most) {
  P parser;
  Judge judge;
  uint64_t ns = 1;
  while (size > 1) {
    const uint8_t control = data[0];
    const Side side = (control & 1) != 0 ? Side::kToClient : Side::kToServer;
    const size_t length = (control & 0xf8) == 0xf8 ? size - 1 : std::min<size_t>(control >> 2, size - 1);
    data++, size--, ns++;
    if ((control & 0xfa) == 0x02) {  // bytes pass unseen
      const uint64_t skipped = std::min<uint64_t>(parser.Skippable(side), 1000);
      if (skipped > 0) {
        parser.Skip(side, skipped, ns, judge);
      } else {
        parser.Lost(side, ns, judge);
        judge.Settle();
      }
      if (skipped == 0 && length == 0) continue;
      // After a loss a parser looks at the begin of a packet as a whole.
      if (length > 0) parser.Eat(side, Apart(data, length), length, ns, judge);
    } else {
      for (size_t at = 0; at < length; at += std::min(most, length)) {
        const size_t count = std::min(most, length - at);
        parser.Eat(side, Apart(data + at, count), count, ns, judge);
      }
    }
    data += length, size -= length;
  }
  return judge.digest();
}

template <typename P>
int Run(const uint8_t* data, size_t size) {
  if (Play<P>(data, size, SIZE_MAX) != Play<P>(data, size, 1)) abort();
  return 0;
}

}  // namespace skybraid::l7::fuzz
