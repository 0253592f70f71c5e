#include "fingerprint.h"

#include <algorithm>

namespace skybraid::l7::sql {

namespace {

uint32_t HashOf(std::string_view text) {
  uint32_t hash = 0x811c9dc5u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x01000193u;
  return hash;
}

void AddUpper(std::string_view word, OperationText& out) {
  for (const char c : word) out.Add(static_cast<uint8_t>(c >= 'a' && c <= 'z' ? c - 32 : c));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

template <typename T>
bool Has(const T* items, uint8_t count, T item) {
  return std::find(items, items + count, item) != items + count;
}

}  // namespace

void Fingerprint::Begin() {
  lexer_.Begin();
  text_.Clear();
  statements_ = 0;
  EndStatement(false);
}

void Fingerprint::Mark(uint64_t& bits, bool on) {
  const uint64_t bit = 1ull << depth_;
  bits = on ? bits | bit : bits & ~bit;
}

void Fingerprint::End(bool cut) {
  cut = cut || lexer_.Lost();
  lexer_.End(cut, *this);
  EndStatement(cut);
}

// What the statement was goes to the text; what follows is another.
void Fingerprint::EndStatement(bool cut) {
  if (pending_) Settle(!cut);
  if (started_ && statements_ < kMaxStatements) {
    if (statements_ > 0) text_.Add(std::string_view("; "));
    if (++statements_ == kMaxStatements || text_.size() + tables_.size() > kMaxText) {
      text_.Add(std::string_view("..."));
      statements_ = kMaxStatements;
    } else {
      if (verb_.empty())
        text_.Add(std::string_view("{verb}"));
      else
        AddUpper(verb_, text_);
      if (!object_.empty()) text_.Add(' ');
      AddUpper(object_, text_);
      if (tables_.size() > 0) text_.Add(' ');
      for (const char c : tables_.view()) text_.Add(static_cast<uint8_t>(c));
      // Rows that are only longer hide no table.
      if (cut && !values_ && !body_) text_.Add(std::string_view(" {cut}"));
    }
  }
  tables_.Clear();
  verb_ = object_ = {};
  action_ = before_ = Word::kNone;
  name_before_ = open_before_ = started_ = with_ = values_ = body_ = pending_ = dot_ = false;
  expect_ = Expect::kNothing;
  depth_ = count_ = expressions_ = 0;
  reads_ = lists_ = 0;
}

void Fingerprint::Want(Origin origin) {
  expect_ = Expect::kTable;
  origin_ = origin;
}

// Whether the word stands between a keyword and its table.
bool Fingerprint::Passes(const Keyword* keyword) const {
  if (keyword == nullptr) return false;
  return keyword->word == Word::kPassed || (keyword->word == Word::kInto && origin_ == Origin::kTarget) ||
         (keyword->word == Word::kRelation && keyword->text != "view") ||
         (keyword->word == Word::kFrom && action_ == Word::kDelete && origin_ == Origin::kTarget);
}

void Fingerprint::OnName(std::string_view name, bool quoted, bool whole) {
  if (body_) return;
  const Keyword* keyword = quoted ? nullptr : FindKeyword(name);
  if (dot_) {
    dot_ = false;
    if (pending_) {
      tables_.Add('.');
      return AddName(name, whole);
    }
    keyword = nullptr;  // a column
  } else if (pending_) {
    Settle(true);
  }
  if (expect_ == Expect::kExpression && keyword == nullptr) {
    if (name == "recursive" && !quoted) return;
    if (expressions_ < kMaxExpressions) expression_[expressions_++] = HashOf(name);
    expect_ = Expect::kNothing;
  } else if (expect_ == Expect::kTable && !Passes(keyword)) {
    expect_ = Expect::kNothing;
    if (keyword == nullptr || (!keyword->begins && keyword->word == Word::kObject)) {
      pending_ = true;
      pending_at_ = static_cast<uint16_t>(tables_.size());
      if (tables_.size() > 0) tables_.Add(std::string_view(", "));
      AddName(name, whole);
      before_ = Word::kNone;
      name_before_ = open_before_ = false;
      return;
    }
  }
  if (keyword != nullptr && expect_ == Expect::kNothing) OnKeyword(*keyword);
  if (!started_ && keyword == nullptr) started_ = true;  // begins with what is no verb
  before_ = keyword == nullptr ? Word::kNone : keyword->word;
  name_before_ = keyword == nullptr || keyword->word == Word::kVerb;
  open_before_ = false;
}

void Fingerprint::OnVerb(const Keyword& keyword) {
  started_ = true;
  if (keyword.word == Word::kWith) {
    with_ = true;
    expect_ = Expect::kExpression;
    return;
  }
  if (verb_.empty()) verb_ = keyword.text;
  action_ = keyword.word;
  switch (keyword.word) {
    case Word::kSelect:
    case Word::kMerge:
      return Mark(reads_, true);
    case Word::kDelete:
    case Word::kUpdate:
    case Word::kTruncate:
    case Word::kLock:
      Mark(reads_, true);
      Mark(lists_, true);
      return keyword.word == Word::kDelete ? void() : Want(Origin::kTarget);
    case Word::kInsert:
    case Word::kCopy:
    case Word::kCall:
      return Want(Origin::kTarget);
    default:
      return;
  }
}

void Fingerprint::OnKeyword(const Keyword& keyword) {
  const bool prefixed = action_ == Word::kPrefix && depth_ == 0;
  if (!started_ || prefixed || (with_ && depth_ == 0 && action_ == Word::kNone)) {
    if (keyword.begins && (!prefixed || keyword.word != Word::kVerb)) return OnVerb(keyword);
    if (!prefixed && !with_) started_ = true;
    if (!started_) return;
  }
  switch (keyword.word) {
    case Word::kSelect:
      Mark(lists_, false);
      return Mark(reads_, true);
    case Word::kInsert:
    case Word::kUpdate:
    case Word::kDelete:
      // Within a common table expression, or behind CREATE … AS.
      if (!open_before_ && before_ != Word::kAs) return;
      Mark(reads_, true);
      return keyword.word == Word::kDelete ? void() : Want(Origin::kTarget);
    case Word::kFrom:
      if (!At(reads_) || before_ == Word::kDistinct) return;
      Mark(lists_, true);
      return Want(Origin::kFrom);
    case Word::kJoin:
      // STRAIGHT_JOIN is a hint, too.
      if (before_ == Word::kSelect || before_ == Word::kDistinct) return;
      return At(reads_) ? Want(Origin::kFrom) : void();
    case Word::kInto:
      return At(reads_) || verb_ == "load" ? Want(Origin::kTarget) : void();
    case Word::kUsing:
      if (depth_ == 0 && (action_ == Word::kDelete || action_ == Word::kMerge)) Want(Origin::kUsing);
      return;
    case Word::kValues:
      if (action_ == Word::kInsert) values_ = true;
      return Mark(lists_, false);
    case Word::kEndsFrom:
    case Word::kAs:
      return keyword.word == Word::kAs ? void() : Mark(lists_, false);
    case Word::kObject:
    case Word::kRelation:
      if (action_ != Word::kDefine || !object_.empty()) return;
      object_ = keyword.text;
      body_ = keyword.text == "procedure" || keyword.text == "function" || keyword.text == "trigger" ||
              keyword.text == "event" || keyword.text == "rule";
      if (keyword.word == Word::kObject) return;
      if (verb_ == "drop") Mark(lists_, true);
      return Want(Origin::kTarget);
    default:
      return;
  }
}

void Fingerprint::AddName(std::string_view name, bool whole) {
  if (!whole) return tables_.Add(std::string_view("{long}"));
  for (size_t i = 0; i < name.size();) {
    size_t digits = i;
    while (digits < name.size() && IsDigit(name[digits])) digits++;
    if (digits - i >= 3) {
      tables_.Add(std::string_view("{n}"));
      i = digits;
      continue;
    }
    const char c = name[i++];
    // What stands between names, and would read as more than one of them.
    tables_.Add(static_cast<uint8_t>(c == ',' || c == ';' || c == ' ' || c == '{' || c == '}' ? '?' : c));
  }
}

// The name that has begun is whole.
void Fingerprint::Settle(bool is_table) {
  pending_ = dot_ = false;
  std::string_view name = tables_.view().substr(pending_at_);
  if (name.substr(0, 2) == ", ") name.remove_prefix(2);
  const uint32_t hash = HashOf(name);
  const bool known = Has(seen_, std::min(count_, kMaxTables), hash);
  if (!is_table || known || Has(expression_, expressions_, hash)) return tables_.Cut(pending_at_);
  if (count_ < kMaxTables && tables_.size() < kMaxText - 16) {
    seen_[count_++] = hash;
    return;
  }
  tables_.Cut(pending_at_);
  if (count_ <= kMaxTables) tables_.Add(std::string_view(", ..."));
  count_ = kMaxTables + 1;
}

void Fingerprint::OnValue() {
  if (body_) return;
  if (pending_) Settle(true);
  expect_ = Expect::kNothing;
  before_ = Word::kNone;
  name_before_ = open_before_ = false;
  started_ = true;
}

void Fingerprint::Open() {
  const bool call = pending_ && origin_ != Origin::kTarget;
  if (pending_) Settle(!call);
  // Parentheses around tables, not behind a function's name.
  const bool around = expect_ == Expect::kTable && origin_ == Origin::kFrom && !name_before_;
  if (!around) expect_ = Expect::kNothing;
  if (depth_ == kMaxDepth) return expect_ = Expect::kNothing, void();
  depth_++;
  Mark(reads_, around);
  Mark(lists_, around);
}

void Fingerprint::Shut() {
  if (pending_) Settle(true);
  expect_ = Expect::kNothing;
  if (depth_ > 0) depth_--;
}

void Fingerprint::OnMark(char mark) {
  if (body_) return;
  if (mark == ';') return EndStatement(false);
  if (mark == '.') {
    dot_ = true;
    return;
  }
  dot_ = false;
  const bool star = mark == '*' && pending_;  // of "ONLY t *"
  if (mark == '(') {
    Open();
  } else if (mark == ')') {
    Shut();
  } else if (!star) {
    if (pending_) Settle(true);
    expect_ = Expect::kNothing;
    if (mark == ',' && At(lists_)) Want(Origin::kFrom);
    if (mark == ',' && with_ && depth_ == 0 && action_ == Word::kNone) expect_ = Expect::kExpression;
  }
  before_ = Word::kNone;
  name_before_ = false;
  open_before_ = mark == '(';
}

}  // namespace skybraid::l7::sql
