#include "huffman.h"

#include <array>

namespace skybraid::l7::http2 {

namespace {

// Bits of each symbol's code, RFC 7541 appendix B; 256 ends the string and never stands in it. The code is
// canonical: ordered by length, then by symbol.
constexpr uint8_t kBits[257] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,  5,  5,  5,  6,
    6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10, 13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
    7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,  15, 5,  6,  5,  6,  5,  6,  6,
    6,  5,  7,  7,  6,  6,  6,  5,  6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28, 20, 22,
    20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23,
    22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22,
    23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22,
    25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
};

constexpr size_t kNodes = 256;

struct Tree {
  // Child of a node by bit: below 256 a node, from 256 on a symbol plus 256; 0: none.
  uint16_t child[kNodes][2] = {};
};

constexpr Tree MakeTree() {
  Tree tree;
  uint32_t nodes = 1;
  uint32_t code = 0;
  for (uint32_t bits = 5; bits <= 30; bits++) {
    code <<= 1;
    for (uint32_t symbol = 0; symbol < 257; symbol++) {
      if (kBits[symbol] != bits) continue;
      uint32_t node = 0;
      for (uint32_t bit = bits - 1; bit > 0; bit--) {
        uint16_t& child = tree.child[node][code >> bit & 1];
        if (child == 0) child = static_cast<uint16_t>(nodes++);
        node = child;
      }
      tree.child[node][code & 1] = static_cast<uint16_t>(symbol + 256);
      code++;
    }
  }
  return tree;
}

constexpr std::array<HuffmanStep, kNodes * 16> MakeSteps() {
  const Tree tree = MakeTree();
  std::array<HuffmanStep, kNodes * 16> steps{};
  for (uint32_t node = 0; node < kNodes; node++) {
    for (uint32_t nibble = 0; nibble < 16; nibble++) {
      HuffmanStep& step = steps[node * 16 + nibble];
      uint32_t at = node;
      for (int bit = 3; bit >= 0; bit--) {
        const uint32_t child = tree.child[at][nibble >> bit & 1];
        if (child == 512) step.outcome = HuffmanStep::kWrong;
        if (child >= 256 && child < 512) {
          step.outcome = HuffmanStep::kSymbol;
          step.symbol = static_cast<uint8_t>(child - 256);
        }
        at = child >= 256 ? 0 : child;
      }
      step.next = static_cast<uint8_t>(at);
    }
  }
  return steps;
}

constexpr std::array<HuffmanStep, kNodes* 16> kSteps = MakeSteps();

}  // namespace

const HuffmanStep& StepOf(uint8_t state, uint8_t nibble) { return kSteps[state * 16u + nibble]; }

}  // namespace skybraid::l7::http2
