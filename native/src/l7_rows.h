// What was said on flows, ready to be encoded: rows of FlowBatch's columns for application protocols.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "l7/parser.h"

namespace skybraid {

// One operation with one status and flags.
struct L7Row {
  std::string_view name;
  std::string_view host;
  uint32_t operation;  // number of the name
  l7::Protocol protocol;
  uint8_t flags;
  uint32_t status;
  uint32_t count;
  uint64_t request_bytes;
  uint64_t response_bytes;
  uint64_t first_byte_sum_us;
  uint64_t last_byte_sum_us;
  uint32_t first_bucket;
  uint32_t buckets;
};

struct L7Bucket {
  int32_t index;
  uint32_t value;
};

struct L7Rows {
  std::vector<L7Row> rows;
  std::vector<L7Bucket> buckets;
  void Clear() {
    rows.clear();
    buckets.clear();
  }
};

// Bytes that a row takes in a batch if nobody else has its operation.
inline size_t EncodedAtMost(const L7Row& row) {
  return 4 * 10 + 8 * row.buckets + row.name.size() + row.host.size() + 20;
}

}  // namespace skybraid
