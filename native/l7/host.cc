#include "host.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "dns/dns_name.h"

namespace skybraid::l7 {

namespace {

constexpr size_t kMaxName = 253;
constexpr size_t kMaxLabel = 63;

bool IsOfName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// The wire form of a name; 0: it is none.
size_t WireName(std::string_view name, uint8_t* wire) {
  size_t size = 0;
  while (!name.empty()) {
    const size_t label = std::min(name.find('.'), name.size());
    if (label == 0 || label > kMaxLabel || !std::all_of(name.begin(), name.begin() + label, IsOfName))
      return 0;
    wire[size++] = static_cast<uint8_t>(label);
    memcpy(wire + size, name.data(), label);
    size += label;
    name.remove_prefix(std::min(label + 1, name.size()));
  }
  wire[size] = 0;
  return size;
}

}  // namespace

size_t FoldHost(std::string_view authority, char* out) {
  const size_t user = authority.rfind('@');
  if (user != std::string_view::npos) authority.remove_prefix(user + 1);
  authority = authority.substr(0, authority.find(':'));
  uint8_t wire[kMaxName + 2];
  if (authority.size() > kMaxName || WireName(authority, wire) == 0) return 0;
  OperationText text;
  dns::AddName(wire, text);
  if (text.size() > kMaxHost || text.view() == "{address}") return 0;
  memcpy(out, text.view().data(), text.size());
  return text.size();
}

std::string_view AuthorityOf(std::string_view target) {
  constexpr std::string_view kMark = "://";
  const size_t mark = target.find(kMark);
  if (target.empty() || target[0] == '/' || mark > sizeof "https" - 1) return {};
  const std::string_view rest = target.substr(mark + kMark.size());
  return rest.substr(0, rest.find_first_of("/?#"));
}

}  // namespace skybraid::l7
