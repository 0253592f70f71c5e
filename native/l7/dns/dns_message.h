// One message of DNS, without the length that TCP puts before it.
#pragma once

#include "../operation.h"
#include "../parser.h"

namespace skybraid::l7::dns {

constexpr size_t kHeader = 12;
constexpr size_t kLongestQuestion = 255 + 4;  // name, type, class
constexpr uint64_t kQuestionBits = (1ull << 48) - 1;

inline uint16_t BigEndian16(const uint8_t* b) { return static_cast<uint16_t>(b[0] << 8 | b[1]); }

// Whether the flags and counts are those of a message in this direction that asks or answers one question.
bool IsHeader(Side side, const uint8_t* header);

// Of a message of `length` bytes of which `there` are at hand, the whole header among them.
Verdict ClassifyMessage(Side side, const uint8_t* message, size_t there, size_t length);

// What a message asks or answers. Its key has the id in the upper 16 bits and a hash of the question below,
// which is 0 if the question is not known; then there is no operation either.
struct Reading {
  OperationText operation;
  Message message;  // without times and bytes
};

// Begins with a header that is one; `size` bytes are at hand.
void ReadMessage(Side side, const uint8_t* bytes, size_t size, Reading& into);

}  // namespace skybraid::l7::dns
