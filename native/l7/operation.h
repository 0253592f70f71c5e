// The name of an operation as it is written: at most 256 bytes, printable ASCII, what is not is escaped. No
// heap.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace skybraid::l7 {

constexpr size_t kMaxOperation = 256;

class OperationText {
 public:
  // One byte, escaped if it is not printable. False, and nothing written, when it does not fit.
  bool Add(uint8_t byte) {
    if (IsPlain(byte)) return Put(static_cast<char>(byte));
    if (size_ + 4 > kMaxOperation) return false;
    constexpr char kDigits[] = "0123456789abcdef";
    return Put('\\') && Put('x') && Put(kDigits[byte >> 4]) && Put(kDigits[byte & 15]);
  }
  // All of it, or as much as fits.
  void Add(std::string_view text) {
    size_t plain = 0;
    while (plain < text.size() && IsPlain(static_cast<uint8_t>(text[plain]))) plain++;
    const size_t fits = plain < kMaxOperation - size_ ? plain : kMaxOperation - size_;
    if (fits > 0) memcpy(text_ + size_, text.data(), fits);
    size_ = static_cast<uint16_t>(size_ + fits);
    for (size_t i = plain; i < text.size(); i++) {
      if (!Add(static_cast<uint8_t>(text[i]))) return;
    }
  }
  void Clear() { size_ = 0; }
  void Cut(size_t size) {
    if (size < size_) size_ = static_cast<uint16_t>(size);
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {text_, size_}; }

 private:
  static bool IsPlain(uint8_t byte) { return byte >= 0x20 && byte < 0x7f && byte != '\\'; }
  bool Put(char c) {
    if (size_ >= kMaxOperation) return false;
    text_[size_++] = c;
    return true;
  }
  uint16_t size_ = 0;
  char text_[kMaxOperation];
};

}  // namespace skybraid::l7
