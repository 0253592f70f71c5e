// The words of SQL that a fingerprint is made of. All others are names, or say nothing about tables.
#pragma once

#include <cstdint>
#include <string_view>

namespace skybraid::l7::sql {

enum class Word : uint8_t {
  kNone,  // any other
  kVerb,  // begins a statement and nothing else
  kSelect,
  kInsert,  // and REPLACE
  kUpdate,
  kDelete,
  kMerge,
  kTruncate,
  kLock,
  kCopy,
  kDefine,    // CREATE, ALTER, DROP: followed by what
  kObject,    // what that is
  kRelation,  // and of these the name is told: TABLE, VIEW
  kWith,
  kPrefix,  // EXPLAIN, PREPARE, DECLARE: another statement follows
  kCall,
  kFrom,
  kJoin,
  kInto,
  kUsing,
  kValues,
  kDistinct,
  kAs,
  kEndsFrom,  // WHERE, SET, ON and the like: a comma no longer stands between tables
  kPassed,    // stands between a keyword and its table: ONLY, IF, EXISTS, LATERAL
  kNoTable,   // stands where a table would, and is none: OUTFILE, STDIN
};

struct Keyword {
  std::string_view text;  // lower case
  Word word;
  bool begins;  // may be the first of a statement
};

// nullptr: none. `text` in lower case.
const Keyword* FindKeyword(std::string_view text);

}  // namespace skybraid::l7::sql
