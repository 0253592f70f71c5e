// Words, names and marks of SQL as its bytes pass, in any division. What is in literals and comments goes
// nowhere.
//
// Whether a backslash before a quote belongs to it depends on a mode of the server that cannot be seen. So
// what follows such a place is not read at all: the rest of the text is unknown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace skybraid::l7::sql {

enum class Dialect : uint8_t { kPostgres, kMysql };

class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // Letters lowered, unless it is quoted. `whole`: it was not longer than what is kept.
  virtual void OnName(std::string_view name, bool quoted, bool whole) = 0;
  virtual void OnValue() = 0;  // a literal or a parameter
  virtual void OnMark(char mark) = 0;
};

class Lexer {
 public:
  explicit Lexer(Dialect dialect) : dialect_(dialect) {}
  void Begin();
  void Eat(const uint8_t* bytes, size_t size, TokenSink& sink);
  // No more text. `cut`: there was more, so a name at the end may be half of one and is dropped.
  void End(bool cut, TokenSink& sink);
  // Something kept the rest from being read.
  bool Lost() const { return state_ == State::kLost; }

 private:
  enum class State : uint8_t {
    kPlain,
    kName,
    kNumber,
    kQuotedName,
    kQuotedNameEnd,  // a quote: the end, unless another follows
    kString,
    kStringEnd,
    kDash,    // -, perhaps of a comment
    kDashes,  // --, which in MySQL wants a space
    kSlash,
    kLineComment,
    kComment,
    kCommentStar,
    kCommentSlash,
    kCommentMark,  // /*, which is no comment if ! or M! follows in MySQL
    kVersion,      // the number behind that
    kStar,         // * that may end what was no comment
    kDollar,       // $, of a parameter or a quotation
    kDollarTag,
    kDollarText,
    kDollarEnd,
    kLost,
  };
  bool Step(uint8_t c, TokenSink& sink);
  bool Plain(uint8_t c, TokenSink& sink);
  bool InString(uint8_t c);
  void NameEnds(bool quoted, TokenSink& sink);
  void Keep(char c);

  static constexpr size_t kMaxName = 64;
  static constexpr size_t kMaxTag = 24;
  Dialect dialect_;
  State state_ = State::kPlain;
  char quote_ = 0;
  bool escapes_ = false;    // a backslash surely escapes
  bool backslash_ = false;  // an odd number of them stand before
  bool whole_ = true;
  uint8_t depth_ = 0;  // of comments
  uint8_t size_ = 0;
  uint8_t tag_size_ = 0;
  uint8_t matched_ = 0;
  char name_[kMaxName];
  char tag_[kMaxTag];
};

}  // namespace skybraid::l7::sql
