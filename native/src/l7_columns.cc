#include "l7_columns.h"

#include <algorithm>

#include "wire.h"

namespace skybraid {

namespace {

constexpr uint32_t kOperationsField = 64;
constexpr uint32_t kFirstColumnField = 65;
constexpr uint32_t kProtocolField = 1, kNameField = 2, kHostField = 3;
constexpr size_t kColumnOverhead = 6 * 12;

uint32_t Saturated(uint64_t value) { return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX)); }

}  // namespace

void L7Columns::Clear() {
  ++frame_;
  operation_count_ = 0;
  operations_.clear();
  for (auto& column : columns_) column.clear();
}

size_t L7Columns::Bytes() const {
  if (columns_[kCount].empty()) return 0;
  return kColumnOverhead + operations_.size() + 4 * kBucketIndex * columns_[kCount].size() +
         8 * columns_[kBucketIndex].size();
}

size_t L7Columns::BytesOf(const L7Rows& said, uint32_t first, uint32_t count) const {
  size_t bytes = count > 0 ? kColumnOverhead : 0;
  for (uint32_t i = first; i < first + count; i++) bytes += EncodedAtMost(said.rows[i]);
  return bytes;
}

uint32_t L7Columns::IndexOf(const L7Row& row) {
  if (Has(row.operation)) return index_[row.operation].at;
  if (row.operation >= index_.size()) index_.resize(row.operation + 1);
  index_[row.operation] = {frame_, operation_count_};
  std::vector<uint8_t> message;
  wire::PutTag(message, kProtocolField, wire::kVarint);
  wire::PutVarint(message, static_cast<uint64_t>(row.protocol));
  wire::PutString(message, kNameField, row.name);
  if (!row.host.empty()) wire::PutString(message, kHostField, row.host);
  wire::PutBytes(operations_, kOperationsField, message.data(), message.size());
  return operation_count_++;
}

void L7Columns::Add(const L7Rows& said, uint32_t first, uint32_t count, uint32_t record) {
  for (uint32_t i = first; i < first + count; i++) {
    const L7Row& row = said.rows[i];
    const uint32_t values[] = {record,
                               IndexOf(row),
                               row.status,
                               row.flags,
                               row.count,
                               Saturated(row.request_bytes),
                               Saturated(row.response_bytes),
                               Saturated(row.first_byte_sum_us),
                               Saturated(row.last_byte_sum_us),
                               row.buckets};
    for (uint32_t c = 0; c < std::size(values); c++) columns_[c].push_back(values[c]);
    for (uint32_t b = row.first_bucket; b < row.first_bucket + row.buckets; b++) {
      columns_[kBucketIndex].push_back(static_cast<uint32_t>(said.buckets[b].index));
      columns_[kBucketValue].push_back(said.buckets[b].value);
    }
  }
}

// A column that is zero throughout is left out, as everywhere in a batch.
void L7Columns::Write(std::vector<uint8_t>& out) const {
  wire::PutRaw(out, operations_.data(), operations_.size());
  for (uint32_t c = 0; c < kColumns; c++) {
    const std::vector<uint32_t>& column = columns_[c];
    if (std::any_of(column.begin(), column.end(), [](uint32_t value) { return value != 0; }))
      wire::PutBytes(out, kFirstColumnField + c, column.data(), 4 * column.size());
  }
}

}  // namespace skybraid
