#include "route.h"

#include <algorithm>

namespace skybraid::l7 {

namespace {

constexpr size_t kMaxSegments = 8;
constexpr size_t kLongestWord = 40;
constexpr size_t kShortestRandomWord = 16;

struct Letters {
  size_t digits = 0;
  size_t hexadecimal_letters = 0;
  size_t lower = 0;
  size_t upper = 0;
  size_t joints = 0;  // - _ . ~
  size_t strange = 0;
  size_t kind_changes = 0;  // between letters and digits, and from lower to upper case
};

Letters Count(std::string_view segment) {
  Letters n;
  int before = 0;
  for (const char c : segment) {
    int kind = 0;
    if (c >= '0' && c <= '9') {
      n.digits++;
      kind = 1;
    } else if (c >= 'a' && c <= 'z') {
      n.lower++;
      n.hexadecimal_letters += c <= 'f';
      kind = 2;
    } else if (c >= 'A' && c <= 'Z') {
      n.upper++;
      n.hexadecimal_letters += c <= 'F';
      kind = 3;
    } else if (c == '-' || c == '_' || c == '.' || c == '~') {
      n.joints++;
    } else {
      n.strange++;
    }
    const bool changes = kind != 0 && before != 0 && kind != before && !(before == 3 && kind == 2);
    n.kind_changes += changes;
    before = kind;
  }
  return n;
}

// v1, v2beta1, oauth2, http2, s3, base64: words with a number, not numbers with letters.
bool IsNumberedWord(std::string_view segment, const Letters& n) {
  return n.digits <= 2 && n.lower + n.upper > 0 && segment.size() <= 16 &&
         (segment[0] < '0' || segment[0] > '9');
}

bool IsAll(std::string_view segment, char first, char last) {
  for (const char c : segment) {
    if (c < first || c > last) return false;
  }
  return true;
}

}  // namespace

bool IsIdentifier(std::string_view segment) {
  if (segment.empty()) return false;
  if (segment.size() > kLongestWord) return true;
  // Nearly all are plain words and numbers.
  if (segment.size() < kShortestRandomWord && IsAll(segment, 'a', 'z')) return false;
  if (IsAll(segment, '0', '9')) return true;
  const Letters n = Count(segment);
  if (n.strange > 0) return true;
  const size_t letters = n.lower + n.upper;
  if (n.digits > 0 && letters == 0) return true;  // numbers, dates, IPv4 addresses
  if (n.digits == 0) return segment.size() >= kShortestRandomWord && n.kind_changes * 4 >= segment.size();
  // UUIDs, hashes and the like.
  if (n.digits + n.hexadecimal_letters + n.joints == segment.size() &&
      n.digits + n.hexadecimal_letters >= 6 && !IsNumberedWord(segment, n)) {
    return true;
  }
  if (IsNumberedWord(segment, n)) return false;
  return n.digits >= 3 || n.kind_changes >= 4 || (segment[0] >= '0' && segment[0] <= '9');
}

namespace {

// The path within a request target: what follows scheme and host, without query and fragment.
std::string_view PathOf(std::string_view target) {
  const bool may_have_host = !target.empty() && target[0] != '/';
  const size_t colon = may_have_host ? target.substr(0, 12).find("://") : std::string_view::npos;
  if (colon != std::string_view::npos) {
    const size_t slash = target.find_first_of("/?#", colon + 3);
    if (slash == std::string_view::npos || target[slash] != '/') return "/";
    target.remove_prefix(slash);
  }
  size_t end = 0;
  while (end < target.size() && target[end] != '?' && target[end] != '#' && target[end] != ';') end++;
  return target.substr(0, end);
}

}  // namespace

void AddRoute(std::string_view target, bool cut, OperationText& out) {
  std::string_view path = PathOf(target);
  // The cut matters only if it fell into the path.
  cut = cut && path.data() + path.size() == target.data() + target.size();
  if (path.empty() || path[0] != '/') {
    out.Add(path == "*" ? "*" : cut ? "/{cut}" : "/{id}");
    return;
  }
  for (size_t segments = 0; !path.empty(); segments++) {
    path.remove_prefix(1);
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    const bool last_of_cut = cut && end == path.size();
    const size_t before = out.size();
    out.Add('/');
    const bool fits = before + 1 + std::max<size_t>(segment.size(), 5) + 8 <= kMaxOperation;
    if (segments == kMaxSegments || !fits) {
      out.Add("{more}");
      return;
    }
    if (last_of_cut) {
      out.Add("{cut}");
    } else {
      out.Add(IsIdentifier(segment) ? std::string_view("{id}") : segment);
    }
    path.remove_prefix(end);
  }
}

void AddRpc(std::string_view path, bool cut, OperationText& out) {
  const auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  const size_t slash = path.find('/', 1);
  bool good = !cut && path.size() > 1 && path[0] == '/' && slash != std::string_view::npos && slash > 1;
  for (size_t i = 1; good && i < path.size(); i++) good = i == slash || is_name(path[i]);
  if (!good || slash + 1 == path.size()) return out.Add(cut ? "{cut}" : "{id}");
  out.Add(path.substr(1));
}

}  // namespace skybraid::l7
