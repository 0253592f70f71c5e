// What a statement does, without what it says: its verb and the tables it names, in the order they come.
//
//   SELECT c.name FROM shop.orders o JOIN customers c USING (id) WHERE o.id = 17   SELECT shop.orders,
//   customers INSERT INTO orders_2024 VALUES (…), (…)                                       INSERT orders_{n}
//   BEGIN; UPDATE accounts SET …; COMMIT                                           BEGIN; UPDATE accounts;
//   COMMIT
//
// Read as the text passes, in time linear in its length, with no memory but this. A table's name is lower
// case unless it was quoted; three digits and more in a row are {n}; after four tables comes "…" as three
// dots. Names of common table expressions, functions and aliases are no tables. Where the text was cut, or
// could not be read on, stands {cut}: there may have been more tables.
#pragma once

#include "../operation.h"
#include "keywords.h"
#include "lexer.h"

namespace skybraid::l7::sql {

class Fingerprint final : private TokenSink {
 public:
  explicit Fingerprint(Dialect dialect) : lexer_(dialect) {}
  void Begin();
  void Eat(const uint8_t* bytes, size_t size) { lexer_.Eat(bytes, size, *this); }
  // No more text; `cut`: of which some was not seen.
  void End(bool cut);
  std::string_view text() const { return text_.view(); }

 private:
  enum class Expect : uint8_t { kNothing, kTable, kExpression };
  // Of the keyword before a table: whether a parenthesis behind its name makes it a function.
  enum class Origin : uint8_t { kFrom, kUsing, kTarget };

  void OnName(std::string_view name, bool quoted, bool whole) override;
  void OnValue() override;
  void OnMark(char mark) override;

  void OnKeyword(const Keyword& keyword);
  void OnVerb(const Keyword& keyword);
  void Want(Origin origin);
  bool Passes(const Keyword* keyword) const;
  void AddName(std::string_view name, bool whole);
  void Settle(bool is_table);
  void Open();
  void Shut();
  void EndStatement(bool cut);
  bool At(uint64_t bits) const { return (bits >> depth_ & 1) != 0; }
  void Mark(uint64_t& bits, bool on);

  static constexpr size_t kMaxText = 128;
  static constexpr uint8_t kMaxTables = 4;
  static constexpr uint8_t kMaxStatements = 4;
  static constexpr uint8_t kMaxExpressions = 4;
  static constexpr uint8_t kMaxDepth = 63;

  Lexer lexer_;
  OperationText text_;
  OperationText tables_;
  std::string_view verb_;    // of the table of keywords
  std::string_view object_;  // TABLE of CREATE TABLE
  Word action_ = Word::kNone;
  Word before_ = Word::kNone;  // the token before: a keyword
  bool name_before_ = false;   // or a name, behind which a parenthesis is a call
  bool open_before_ = false;   // or an opening parenthesis
  bool started_ = false;
  bool with_ = false;  // among common table expressions
  bool values_ = false;
  bool body_ = false;     // of a procedure or the like: statements that are not executed now
  bool pending_ = false;  // a table's name has begun
  bool dot_ = false;
  Expect expect_ = Expect::kNothing;
  Origin origin_ = Origin::kFrom;
  uint8_t depth_ = 0;
  uint8_t count_ = 0;  // of tables
  uint8_t statements_ = 0;
  uint8_t expressions_ = 0;
  uint16_t pending_at_ = 0;    // where in `tables_` it begins
  uint64_t reads_ = 0;         // by depth: a statement that names tables is there
  uint64_t lists_ = 0;         // by depth: a comma stands between tables
  uint32_t seen_[kMaxTables];  // hashes of names
  uint32_t expression_[kMaxExpressions];
};

}  // namespace skybraid::l7::sql
