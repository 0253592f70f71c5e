// Takes flushes apart again, independently of the encoder: frames, protobuf fields, columns.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "check.h"

namespace skybraid::frames {

struct Frame {
  uint32_t partition;
  uint32_t record_count;
  double base_unix_ms;
  double at_unix_ms;
  size_t body_bytes;
  std::map<uint32_t, std::vector<std::string>> fields;

  size_t Count(uint32_t field) const {
    const auto found = fields.find(field);
    return found == fields.end() ? 0 : found->second.size();
  }
  // A column without a value reads as zero, as it does for every decoder.
  uint64_t At(uint32_t field, size_t record, size_t width = 4) const {
    const auto found = fields.find(field);
    if (found == fields.end()) return 0;
    uint64_t value = 0;
    const std::string& bytes = found->second.at(0);
    if ((record + 1) * width > bytes.size()) return ~0ull;
    memcpy(&value, bytes.data() + record * width, width);
    return value;
  }
  uint64_t At64(uint32_t field, size_t record) const { return At(field, record, 8); }
};

inline uint64_t Varint(const std::string& s, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && at < s.size(); shift += 7) {
    const uint8_t byte = static_cast<uint8_t>(s[at++]);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

inline std::vector<Frame> Read(const std::vector<uint8_t>& flush) {
  std::vector<Frame> frames;
  size_t at = 0;
  while (at + 32 <= flush.size()) {
    Frame frame{};
    uint32_t body = 0;
    memcpy(&frame.partition, &flush[at], 4);
    memcpy(&frame.record_count, &flush[at + 4], 4);
    memcpy(&frame.base_unix_ms, &flush[at + 8], 8);
    memcpy(&body, &flush[at + 16], 4);
    memcpy(&frame.at_unix_ms, &flush[at + 24], 8);
    frame.body_bytes = body;
    at += 32;
    const std::string bytes(flush.begin() + static_cast<ptrdiff_t>(at),
                            flush.begin() + static_cast<ptrdiff_t>(at + body));
    for (size_t i = 0; i < bytes.size();) {
      const uint64_t tag = Varint(bytes, i);
      CHECK_EQ(tag & 7, 2u);
      const uint64_t length = Varint(bytes, i);
      CHECK(i + length <= bytes.size());
      frame.fields[static_cast<uint32_t>(tag >> 3)].push_back(bytes.substr(i, length));
      i += length;
    }
    at += (body + 7) / 8 * 8;
    frames.push_back(std::move(frame));
  }
  CHECK_EQ(at, flush.size());
  return frames;
}

}  // namespace skybraid::frames
