// Numbers and names as messages of DNS have them.
#pragma once

#include <algorithm>
#include <string>

namespace skybraid::l7::dns {

inline std::string U16(size_t value) { return {char(value >> 8), char(value)}; }

inline std::string Wire(const std::string& name) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    const size_t dot = std::min(name.find('.', at), name.size());
    out += static_cast<char>(dot - at) + name.substr(at, dot - at);
    at = dot + 1;
  }
  return out + '\0';
}

}  // namespace skybraid::l7::dns
