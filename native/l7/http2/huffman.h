// The Huffman code of HPACK, four bits at a time: no code is shorter than five, so a step gives one symbol at
// most.
#pragma once

#include <cstddef>
#include <cstdint>

namespace skybraid::l7::http2 {

struct HuffmanStep {
  enum Outcome : uint8_t { kNone, kSymbol, kWrong };
  Outcome outcome = kNone;
  uint8_t symbol = 0;
  uint8_t next = 0;
};

const HuffmanStep& StepOf(uint8_t state, uint8_t nibble);

}  // namespace skybraid::l7::http2
