#include "lexer.h"

namespace skybraid::l7::sql {

namespace {

bool IsDigit(uint8_t c) { return c >= '0' && c <= '9'; }
bool IsLetter(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80; }
char Lower(uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); }

}  // namespace

void Lexer::Begin() { *this = Lexer(dialect_); }

void Lexer::Eat(const uint8_t* bytes, size_t size, TokenSink& sink) {
  for (size_t i = 0; i < size && state_ != State::kLost; i++) {
    while (!Step(bytes[i], sink)) {
    }
  }
}

void Lexer::Keep(char c) {
  if (size_ < kMaxName)
    name_[size_++] = c;
  else
    whole_ = false;
}

void Lexer::NameEnds(bool quoted, TokenSink& sink) {
  state_ = State::kPlain;
  sink.OnName({name_, size_}, quoted, whole_);
}

void Lexer::End(bool cut, TokenSink& sink) {
  if (cut) return;
  if (state_ == State::kName) NameEnds(false, sink);
  if (state_ == State::kQuotedNameEnd) NameEnds(true, sink);
  if (state_ == State::kNumber || state_ == State::kStringEnd) sink.OnValue();
}

// False: the byte ends what was before it and is to be looked at again.
bool Lexer::Step(uint8_t c, TokenSink& sink) {
  switch (state_) {
    case State::kPlain:
      return Plain(c, sink);
    case State::kName:
      if (IsLetter(c) || IsDigit(c) || c == '$') {
        Keep(Lower(c));
        return true;
      }
      // The E of E'…' belongs to the string.
      if (c == '\'' && dialect_ == Dialect::kPostgres && size_ == 1 && name_[0] == 'e') {
        state_ = State::kString;
        quote_ = '\'';
        escapes_ = true;
        backslash_ = false;
        return true;
      }
      NameEnds(false, sink);
      return false;
    case State::kNumber:
      if (IsLetter(c) || IsDigit(c) || c == '.') return true;
      state_ = State::kPlain;
      sink.OnValue();
      return false;
    case State::kQuotedName:
      if (c == static_cast<uint8_t>(quote_))
        state_ = State::kQuotedNameEnd;
      else
        Keep(static_cast<char>(c));
      return true;
    case State::kQuotedNameEnd:
      if (c != static_cast<uint8_t>(quote_)) {
        NameEnds(true, sink);
        return false;
      }
      Keep(quote_);
      state_ = State::kQuotedName;
      return true;
    case State::kString:
      return InString(c);
    case State::kStringEnd:
      if (c == static_cast<uint8_t>(quote_)) {
        state_ = State::kString;
        return true;
      }
      state_ = State::kPlain;
      sink.OnValue();
      return false;
    case State::kDash:
      if (c == '-') {
        state_ = dialect_ == Dialect::kPostgres ? State::kLineComment : State::kDashes;
        return true;
      }
      state_ = State::kPlain;
      sink.OnMark('-');
      return false;
    case State::kDashes:
      if (c <= ' ') {
        state_ = c == '\n' ? State::kPlain : State::kLineComment;
        return true;
      }
      state_ = State::kPlain;
      sink.OnMark('-');
      return false;
    case State::kSlash:
      if (c == '*') {
        depth_ = 1;
        state_ = dialect_ == Dialect::kMysql ? State::kCommentMark : State::kComment;
        return true;
      }
      state_ = State::kPlain;
      sink.OnMark('/');
      return false;
    case State::kLineComment:
      if (c == '\n' || (c == '\r' && dialect_ == Dialect::kPostgres)) state_ = State::kPlain;
      return true;
    case State::kCommentMark:
      // MariaDB's own is M!.
      if (c == 'M') {
        state_ = State::kComment;
        matched_ = 1;
        return true;
      }
      state_ = c == '!' ? State::kVersion : State::kComment;
      return c == '!';
    case State::kVersion:
      if (IsDigit(c)) return true;
      state_ = State::kPlain;
      return false;
    case State::kComment:
      if (matched_ == 1 && c == '!') state_ = State::kVersion;
      matched_ = 0;
      if (state_ == State::kVersion) return true;
      if (c == '*') state_ = State::kCommentStar;
      if (c == '/' && dialect_ == Dialect::kPostgres) state_ = State::kCommentSlash;
      return true;
    case State::kCommentStar:
      if (c == '*') return true;
      if (c == '/' && depth_ == 1)
        state_ = State::kPlain;
      else {
        depth_ = static_cast<uint8_t>(c == '/' ? depth_ - 1 : depth_);
        state_ = State::kComment;
      }
      return true;
    case State::kCommentSlash:
      if (c == '*' && depth_ == UINT8_MAX) {
        state_ = State::kLost;
      } else if (c == '*') {
        depth_++;
        state_ = State::kComment;
      } else if (c != '/') {
        state_ = State::kComment;
      }
      return true;
    case State::kStar:
      state_ = State::kPlain;
      if (c == '/') return true;  // the end of what was no comment
      sink.OnMark('*');
      return false;
    case State::kDollar:
      if (IsDigit(c)) {
        state_ = State::kNumber;
        return true;
      }
      tag_size_ = 0;
      state_ = State::kDollarTag;
      return false;
    case State::kDollarTag:
      if (c == '$') {
        state_ = State::kDollarText;
      } else if (!IsLetter(c) && !IsDigit(c)) {
        state_ = State::kPlain;
        sink.OnMark('$');
        return false;
      } else if (tag_size_ == kMaxTag) {
        state_ = State::kLost;
      } else {
        tag_[tag_size_++] = static_cast<char>(c);
      }
      return true;
    case State::kDollarText:
      if (c == '$') {
        state_ = State::kDollarEnd;
        matched_ = 0;
      }
      return true;
    case State::kDollarEnd:
      if (c == '$') {
        if (matched_ == tag_size_) {
          state_ = State::kPlain;
          sink.OnValue();
        }
        matched_ = 0;
      } else if (matched_ < tag_size_ && c == static_cast<uint8_t>(tag_[matched_])) {
        matched_++;
      } else {
        state_ = State::kDollarText;
      }
      return true;
    case State::kLost:
      return true;
  }
  return true;
}

bool Lexer::InString(uint8_t c) {
  const bool after_backslash = backslash_;
  backslash_ = c == '\\' && !after_backslash;
  if (c != static_cast<uint8_t>(quote_)) return true;
  if (!after_backslash)
    state_ = State::kStringEnd;
  else if (!escapes_)
    state_ = State::kLost;
  return true;
}

bool Lexer::Plain(uint8_t c, TokenSink& sink) {
  if (IsLetter(c)) {
    state_ = State::kName;
    size_ = 0;
    whole_ = true;
    Keep(Lower(c));
    return true;
  }
  const bool mysql = dialect_ == Dialect::kMysql;
  if (IsDigit(c)) {
    state_ = State::kNumber;
  } else if (c == '\'' || (c == '"' && mysql)) {
    state_ = State::kString;
    quote_ = static_cast<char>(c);
    escapes_ = backslash_ = false;
  } else if (c == '"' || (c == '`' && mysql)) {
    state_ = State::kQuotedName;
    quote_ = static_cast<char>(c);
    size_ = 0;
    whole_ = true;
  } else if (c == '-') {
    state_ = State::kDash;
  } else if (c == '/') {
    state_ = State::kSlash;
  } else if (c == '*' && mysql) {
    state_ = State::kStar;
  } else if (c == '#' && mysql) {
    state_ = State::kLineComment;
  } else if (c == '$' && !mysql) {
    state_ = State::kDollar;
  } else if (c > ' ') {
    if (c == '?')
      sink.OnValue();
    else
      sink.OnMark(static_cast<char>(c));
  }
  return true;
}

}  // namespace skybraid::l7::sql
