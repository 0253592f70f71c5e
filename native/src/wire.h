// The few pieces of protobuf's wire format that a batch needs.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace skybraid::wire {

constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2;

template <typename Buffer>
void PutVarint(Buffer& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<typename Buffer::value_type>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<typename Buffer::value_type>(value));
}

template <typename Buffer>
void PutTag(Buffer& out, uint32_t field, uint32_t type) {
  PutVarint(out, static_cast<uint64_t>(field) << 3 | type);
}

template <typename Buffer>
void PutRaw(Buffer& out, const void* data, size_t bytes) {
  const auto* from = static_cast<const typename Buffer::value_type*>(data);
  out.insert(out.end(), from, from + bytes);
}

template <typename Buffer>
void PutBytes(Buffer& out, uint32_t field, const void* data, size_t bytes) {
  PutTag(out, field, kBytes);
  PutVarint(out, bytes);
  PutRaw(out, data, bytes);
}

// Left out when empty, as proto3 does.
template <typename Buffer>
void PutString(Buffer& out, uint32_t field, std::string_view text) {
  if (!text.empty()) PutBytes(out, field, text.data(), text.size());
}

}  // namespace skybraid::wire
