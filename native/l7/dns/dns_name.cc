#include "dns_name.h"

#include <algorithm>

#include "../route.h"

namespace skybraid::l7::dns {

namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxLabels = 127;

struct Labels {
  const uint8_t* at[kMaxLabels];  // each with its length before it
  size_t count = 0;

  std::string_view operator[](size_t i) const { return {reinterpret_cast<const char*>(at[i]) + 1, at[i][0]}; }
};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool Is(std::string_view label, std::string_view lower) {
  return label.size() == lower.size() &&
         std::equal(label.begin(), label.end(), lower.begin(), [](char a, char b) { return Lower(a) == b; });
}

// What would read as another name than it is.
bool IsMark(char c) { return c == '.' || c == ' ' || c == '*' || c == '{' || c == '}'; }

void AddLabel(std::string_view label, OperationText& out) {
  for (const char c : label) {
    if (!out.Add(static_cast<uint8_t>(IsMark(c) ? '?' : Lower(c)))) return;
  }
}

bool IsNumber(std::string_view label) {
  return std::all_of(label.begin(), label.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The first label that is kept.
size_t FirstKept(const Labels& labels) {
  const size_t n = labels.count;
  if (n >= 3 && Is(labels[n - 1], "arpa")) return n - 2;
  for (size_t i = 1; i + 1 < n; i++) {
    if (Is(labels[i], "svc") && n - i <= 4) return i >= 2 ? i - (i == 2 ? 2 : 1) : 0;
  }
  return n > 3 ? n - 3 : 0;
}

}  // namespace

size_t NameBytes(const uint8_t* bytes, size_t size) {
  size_t at = 0;
  while (at < size && at < kMaxName) {
    const uint8_t label = bytes[at];
    if (label == 0) return at + 1;
    if (label > kMaxLabel) return 0;
    at += label + 1u;
  }
  return 0;
}

void AddName(const uint8_t* bytes, OperationText& out) {
  Labels labels;
  for (; *bytes != 0 && labels.count < kMaxLabels; bytes += *bytes + 1u) labels.at[labels.count++] = bytes;
  if (labels.count == 0) return out.Add(std::string_view("."));
  const size_t last = labels.count - 1;
  if (IsNumber(labels[last])) return out.Add(std::string_view("{address}"));
  const size_t first = FirstKept(labels);
  bool folded = first > 0;
  if (folded) out.Add(std::string_view("*"));
  for (size_t i = first; i <= last; i++) {
    const bool fold = i + 2 < labels.count && IsIdentifier(labels[i]);
    if (fold && folded) continue;  // one star says it
    if (i > first || folded) out.Add(std::string_view("."));
    if (fold)
      out.Add(std::string_view("*"));
    else
      AddLabel(labels[i], out);
    folded = fold;
  }
}

}  // namespace skybraid::l7::dns
