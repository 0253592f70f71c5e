// The columns of one FlowBatch for application protocols: fields 64 to 76 of proto/skybraid/v1/flow.proto.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "l7_rows.h"

namespace skybraid {

class L7Columns {
 public:
  void Clear();
  // Bytes of what was added, and at most how many these rows would add.
  size_t Bytes() const;
  size_t BytesOf(const L7Rows& said, uint32_t first, uint32_t count) const;
  void Add(const L7Rows& said, uint32_t first, uint32_t count, uint32_t record);
  void Write(std::vector<uint8_t>& out) const;

 private:
  enum Column : uint32_t {
    kRecord,
    kOperation,
    kStatus,
    kFlags,
    kCount,
    kRequestBytes,
    kResponseBytes,
    kFirstByteSum,
    kLastByteSum,
    kBucketCount,
    kBucketIndex,
    kBucketValue,
    kColumns
  };
  bool Has(uint32_t operation) const {
    return operation < index_.size() && index_[operation].frame == frame_;
  }
  uint32_t IndexOf(const L7Row& row);

  struct Index {
    uint64_t frame = 0;
    uint32_t at = 0;
  };
  uint64_t frame_ = 1;
  uint32_t operation_count_ = 0;
  std::vector<Index> index_;  // by number of the operation's name
  std::vector<uint8_t> operations_;
  std::array<std::vector<uint32_t>, kColumns> columns_;
};

}  // namespace skybraid
