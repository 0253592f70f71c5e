#include "keywords.h"

#include <algorithm>
#include <array>

namespace skybraid::l7::sql {

namespace {

constexpr Keyword kKeywords[] = {
    {"abort", Word::kVerb, true},
    {"alter", Word::kDefine, true},
    {"analyze", Word::kVerb, true},
    {"as", Word::kAs, false},
    {"begin", Word::kVerb, true},
    {"call", Word::kCall, true},
    {"checkpoint", Word::kVerb, true},
    {"close", Word::kVerb, true},
    {"cluster", Word::kVerb, true},
    {"comment", Word::kVerb, true},
    {"commit", Word::kVerb, true},
    {"concurrently", Word::kPassed, false},
    {"copy", Word::kCopy, true},
    {"create", Word::kDefine, true},
    {"database", Word::kObject, false},
    {"deallocate", Word::kVerb, true},
    {"declare", Word::kPrefix, true},
    {"delayed", Word::kPassed, false},
    {"delete", Word::kDelete, true},
    {"desc", Word::kVerb, true},
    {"describe", Word::kVerb, true},
    {"discard", Word::kVerb, true},
    {"distinct", Word::kDistinct, false},
    {"do", Word::kVerb, true},
    {"domain", Word::kObject, false},
    {"drop", Word::kDefine, true},
    {"dual", Word::kNoTable, false},
    {"dumpfile", Word::kNoTable, false},
    {"end", Word::kVerb, true},
    {"event", Word::kObject, false},
    {"except", Word::kEndsFrom, false},
    {"execute", Word::kVerb, true},
    {"exists", Word::kPassed, false},
    {"explain", Word::kPrefix, true},
    {"extension", Word::kObject, false},
    {"fetch", Word::kVerb, true},
    {"flush", Word::kVerb, true},
    {"for", Word::kEndsFrom, false},
    {"from", Word::kFrom, false},
    {"function", Word::kObject, false},
    {"grant", Word::kVerb, true},
    {"group", Word::kEndsFrom, false},
    {"handler", Word::kVerb, true},
    {"having", Word::kEndsFrom, false},
    {"high_priority", Word::kPassed, false},
    {"if", Word::kPassed, false},
    {"ignore", Word::kPassed, false},
    {"import", Word::kVerb, true},
    {"index", Word::kObject, false},
    {"insert", Word::kInsert, true},
    {"intersect", Word::kEndsFrom, false},
    {"into", Word::kInto, false},
    {"join", Word::kJoin, false},
    {"kill", Word::kVerb, true},
    {"language", Word::kObject, false},
    {"lateral", Word::kPassed, false},
    {"limit", Word::kEndsFrom, false},
    {"listen", Word::kVerb, true},
    {"load", Word::kVerb, true},
    {"lock", Word::kLock, true},
    {"low_priority", Word::kPassed, false},
    {"merge", Word::kMerge, true},
    {"move", Word::kVerb, true},
    {"not", Word::kPassed, false},
    {"notify", Word::kVerb, true},
    {"on", Word::kEndsFrom, false},
    {"only", Word::kPassed, false},
    {"optimize", Word::kVerb, true},
    {"order", Word::kEndsFrom, false},
    {"outfile", Word::kNoTable, false},
    {"policy", Word::kObject, false},
    {"prepare", Word::kPrefix, true},
    {"procedure", Word::kObject, false},
    {"publication", Word::kObject, false},
    {"purge", Word::kVerb, true},
    {"quick", Word::kPassed, false},
    {"reassign", Word::kVerb, true},
    {"refresh", Word::kVerb, true},
    {"reindex", Word::kVerb, true},
    {"release", Word::kVerb, true},
    {"rename", Word::kVerb, true},
    {"repair", Word::kVerb, true},
    {"replace", Word::kInsert, true},
    {"reset", Word::kVerb, true},
    {"returning", Word::kEndsFrom, false},
    {"revoke", Word::kVerb, true},
    {"role", Word::kObject, false},
    {"rollback", Word::kVerb, true},
    {"rule", Word::kObject, false},
    {"savepoint", Word::kVerb, true},
    {"schema", Word::kObject, false},
    {"select", Word::kSelect, true},
    {"sequence", Word::kObject, false},
    {"server", Word::kObject, false},
    {"set", Word::kEndsFrom, true},
    {"show", Word::kVerb, true},
    {"start", Word::kVerb, true},
    {"stdin", Word::kNoTable, false},
    {"stdout", Word::kNoTable, false},
    {"straight_join", Word::kJoin, false},
    {"subscription", Word::kObject, false},
    {"table", Word::kRelation, false},
    {"tables", Word::kRelation, false},
    {"tablespace", Word::kObject, false},
    {"trigger", Word::kObject, false},
    {"truncate", Word::kTruncate, true},
    {"type", Word::kObject, false},
    {"union", Word::kEndsFrom, false},
    {"unlisten", Word::kVerb, true},
    {"unlock", Word::kVerb, true},
    {"update", Word::kUpdate, true},
    {"use", Word::kVerb, true},
    {"user", Word::kObject, false},
    {"using", Word::kUsing, false},
    {"vacuum", Word::kVerb, true},
    {"value", Word::kValues, false},
    {"values", Word::kValues, true},
    {"view", Word::kRelation, false},
    {"where", Word::kEndsFrom, false},
    {"window", Word::kEndsFrom, false},
    {"with", Word::kWith, true},
    {"xa", Word::kVerb, true},
};

constexpr size_t kLongest = 13;

// Where the words of each letter begin.
constexpr std::array<uint8_t, 27> Begins() {
  std::array<uint8_t, 27> begins{};
  uint8_t at = 0;
  for (int letter = 0; letter < 26; letter++) {
    begins[letter] = at;
    while (at < std::size(kKeywords) && kKeywords[at].text[0] == 'a' + letter) at++;
  }
  begins[26] = at;
  return begins;
}
constexpr std::array<uint8_t, 27> kBegins = Begins();
static_assert(kBegins[26] == std::size(kKeywords), "in the order of the alphabet");

}  // namespace

const Keyword* FindKeyword(std::string_view text) {
  if (text.size() < 2 || text.size() > kLongest || text[0] < 'a' || text[0] > 'z') return nullptr;
  const int letter = text[0] - 'a';
  for (size_t i = kBegins[letter]; i < kBegins[letter + 1]; i++) {
    if (kKeywords[i].text == text) return &kKeywords[i];
  }
  return nullptr;
}

}  // namespace skybraid::l7::sql
