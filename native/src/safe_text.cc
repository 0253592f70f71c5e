#include "safe_text.h"

#include <cstdint>

namespace skybraid {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the well-formed character at the front of `text`, and its code point; 0 if it is not one.
size_t Decode(std::string_view text, uint32_t& code) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) {
    code = lead;
    return 1;
  }
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  code = lead & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; i++) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return 0;
  return length;
}

bool IsUnsafe(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||  // control characters
         code == 0x200E || code == 0x200F || code == 0x061C || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;  // direction, line ends, byte order mark
}

}  // namespace

std::string SafeText(std::string_view text, size_t max_bytes) {
  std::string safe;
  while (!text.empty()) {
    uint32_t code = 0;
    const size_t length = Decode(text, code);
    const bool keep = length != 0 && !IsUnsafe(code);
    const std::string_view piece = keep ? text.substr(0, length) : kReplacement;
    if (safe.size() + piece.size() > max_bytes) break;
    safe += piece;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return safe;
}

}  // namespace skybraid
