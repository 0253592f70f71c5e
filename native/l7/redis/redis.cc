#include "redis.h"

#include <algorithm>
#include <cstring>

#include "../operation.h"

namespace skybraid::l7::redis {

namespace {

constexpr uint64_t kMaxNumber = 1ull << 40;
constexpr uint64_t kMaxOpen = 1ull << 32;

char Lower(uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); }

constexpr uint8_t kIsType = 1, kHasCount = 2, kIsBulk = 4;

struct Types {
  uint8_t of[256]{};
  constexpr Types() {
    for (const char c : std::string_view("*$+-:%~>|!=_#,(")) of[static_cast<uint8_t>(c)] = kIsType;
    for (const char c : std::string_view("*$%~>|!=")) of[static_cast<uint8_t>(c)] |= kHasCount;
    for (const char c : std::string_view("$!=")) of[static_cast<uint8_t>(c)] |= kIsBulk;
  }
};
constexpr Types kTypes;

bool HasCount(uint8_t type) { return (kTypes.of[type] & kHasCount) != 0; }
bool IsBulk(uint8_t type) { return (kTypes.of[type] & kIsBulk) != 0; }
bool IsType(uint8_t type) { return (kTypes.of[type] & kIsType) != 0; }

uint32_t StatusOf(std::string_view word) {
  static constexpr struct {
    std::string_view word;
    uint32_t status;
  } kWords[] = {
      {"err", kErr},
      {"wrongtype", kWrongType},
      {"moved", kMoved},
      {"ask", kAsk},
      {"tryagain", kTryAgain},
      {"clusterdown", kClusterDown},
      {"crossslot", kCrossSlot},
      {"noauth", kNoAuth},
      {"wrongpass", kWrongPass},
      {"noperm", kNoPerm},
      {"loading", kLoading},
      {"busy", kBusy},
      {"noscript", kNoScript},
      {"oom", kOom},
      {"readonly", kReadOnly},
      {"execabort", kExecAbort},
      {"masterdown", kMasterDown},
      {"misconf", kMisconf},
      {"noreplicas", kNoReplicas},
      {"busygroup", kBusyGroup},
      {"nogroup", kNoGroup},
      {"busykey", kBusyKey},
      {"noproto", kNoProto},
      {"unkillable", kUnkillable},
  };
  word = word.substr(0, std::min(word.find(' '), word.size()));
  for (const auto& entry : kWords) {
    if (entry.word == word) return entry.status;
  }
  return kOther;
}

uint8_t ConfirmationKind(std::string_view word) {
  if (word == "message" || word == "pmessage" || word == "smessage") return 3;
  const Command* command = FindCommand(word);
  if (command == nullptr) return 0;
  return (command->traits & kSubscribes) != 0 ? 1 : (command->traits & kUnsubscribes) != 0 ? 2 : 0;
}

}  // namespace

Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  if (size == 0) return Verdict::kMaybe;
  if (side == Side::kToClient) return IsType(bytes[0]) ? Verdict::kMaybe : Verdict::kNo;
  // *digits CR LF $digits CR LF letter
  size_t at = 0;
  for (const char type : {'*', '$'}) {
    if (at >= size) return Verdict::kMaybe;
    if (bytes[at++] != type) return Verdict::kNo;
    const size_t begin = at;
    while (at < size && bytes[at] >= '0' && bytes[at] <= '9') at++;
    if (at - begin > 7) return Verdict::kNo;
    if (at == size) return Verdict::kMaybe;
    if (at == begin || bytes[at++] != '\r') return Verdict::kNo;
    if (at < size && bytes[at++] != '\n') return Verdict::kNo;
  }
  if (at >= size) return Verdict::kMaybe;
  return Lower(bytes[at]) >= 'a' && Lower(bytes[at]) <= 'z' ? Verdict::kYes : Verdict::kNo;
}

void RedisParser::Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  if (d.resync) {
    // Joined in the middle: only what is surely the begin of a command is taken for one.
    if (side == Side::kToServer ? Classify(side, bytes, size) != Verdict::kYes : !IsType(bytes[0])) return;
    d = Direction{};
  }
  size_t at = 0;
  while (at < size && d.state != State::kDeaf && !d.resync) {
    at += Run(side, bytes + at, size - at, ns, sink);
  }
}

// Eats at least one byte.
size_t RedisParser::Run(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  if (d.state == State::kBulk) {
    const size_t taken = static_cast<size_t>(std::min<uint64_t>(size, d.bulk_left));
    if (KeepsWord(side)) {
      for (size_t i = 0; i < taken && d.word_size < sizeof d.word; i++)
        d.word[d.word_size++] = Lower(bytes[i]);
    }
    Skip(side, taken, ns, sink);
    if (d.state != State::kBulkEnd || size < taken + 2 || bytes[taken] != '\r' || bytes[taken + 1] != '\n')
      return taken;
    d.bytes += 2;
    Element(side, ns, sink);
    return taken + 2;
  }
  if (!d.in_message) BeginMessage(side, ns);
  if (d.state == State::kLine) return EatLine(side, bytes, size, ns, sink);
  const uint8_t c = bytes[0];
  d.bytes++;
  switch (d.state) {
    case State::kStart:
      d.type = c;
      d.word_size = 0;
      d.number = 0;
      d.negative = d.digits = false;
      if (side == Side::kToServer && d.element == 0 && d.open == 1 && c != '*') {
        d.state = State::kInline;
        if (c == '\n')
          Line(side, ns, sink);
        else if (c != '\r')
          d.word[d.word_size++] = Lower(c);
      } else if (!IsType(c) || (side == Side::kToServer && d.element == 0 && c != '*') ||
                 (side == Side::kToServer && d.element > 0 && c != '$')) {
        Wrong(side, sink);
      } else {
        d.state = State::kLine;
      }
      return 1;
    case State::kLineFeed:
      if (c != '\n')
        Wrong(side, sink);
      else
        Line(side, ns, sink);
      return 1;
    case State::kInline:
      if (c == '\n')
        Line(side, ns, sink);
      else if (d.word_size < sizeof d.word && c != '\r')
        d.word[d.word_size++] = Lower(c);
      return 1;
    case State::kBulkEnd:
      d.state = State::kBulkEndFeed;
      if (c != '\r') Wrong(side, sink);
      return 1;
    case State::kBulkEndFeed:
      if (c != '\n')
        Wrong(side, sink);
      else
        Element(side, ns, sink);
      return 1;
    case State::kBulk:
    case State::kLine:
    case State::kDeaf:
      return 1;
  }
  return 1;
}

void RedisParser::BeginMessage(Side side, uint64_t ns) {
  Direction& d = directions_[Index(side)];
  d.in_message = true;
  d.first_ns = ns;
  d.bytes = 0;
  d.element = 0;
  d.open = 1;
  if (side == Side::kToServer)
    request_ = Request{};
  else
    reply_ = Reply{};
}

// Up to the end of an element's line, or as much of it as there is.
size_t RedisParser::EatLine(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  const bool is_number = HasCount(d.type) || d.type == ':';
  size_t at = 0;
  for (; at < size && bytes[at] != '\r'; at++) {
    const uint8_t c = bytes[at];
    if (!is_number) {
      if (d.word_size < sizeof d.word) d.word[d.word_size++] = Lower(c);
    } else if (c >= '0' && c <= '9' && d.number < kMaxNumber) {
      d.number = d.number * 10 + (c - '0');
      d.digits = true;
    } else if (c == '-' && !d.digits) {
      d.negative = true;
    } else if (d.type != ':') {
      Wrong(side, sink);
      return at + 1;
    }
  }
  if (at == size) {
    d.bytes += at;
    return at;
  }
  if (at + 1 < size && bytes[at + 1] == '\n') {
    d.bytes += at + 2;
    Line(side, ns, sink);
    return at + 2;
  }
  d.bytes += at + 1;
  d.state = State::kLineFeed;
  return at + 1;
}

bool RedisParser::KeepsWord(Side side) const {
  const Direction& d = directions_[Index(side)];
  if (side == Side::kToClient)
    return d.type == '!' || (d.element == 1 && (subscribed_ || reply_.type == '>'));
  if (d.element <= 1) return true;
  if (request_.command == nullptr) return false;
  if (d.element == 2 && (request_.command->traits & kHasSubcommand) != 0) return true;
  const bool may_block =
      (request_.command->traits & kMayBlock) != 0 && !request_.keys_begin && d.element <= 8;
  return may_block || (d.element <= 3 && request_.has_subcommand && request_.command->name == "client");
}

// The line of an element has ended.
void RedisParser::Line(Side side, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  const bool to_server = side == Side::kToServer;
  if (d.state == State::kInline) {
    std::string_view line(d.word, d.word_size);
    d.word_size = static_cast<uint8_t>(std::min(line.find(' '), line.size()));
    d.state = State::kStart;
    if (d.word_size == 0) {  // an empty line between commands
      d.in_message = false;
      return;
    }
    request_.arguments = 1;
    d.element = 1;
    Argument(d);
    d.open = 0;
    EndMessage(side, ns, sink);
    return;
  }
  if (!to_server && d.element == 0) reply_.type = d.type;
  if (HasCount(d.type) && !d.digits) return Wrong(side, sink);
  if (d.negative && d.type != ':') {  // null
    if (to_server) return Wrong(side, sink);
    return Element(side, ns, sink);
  }
  if (IsBulk(d.type)) {
    if (d.number > (1ull << 32)) return Wrong(side, sink);
    d.bulk_left = d.number;
    d.word_size = 0;
    d.state = d.bulk_left > 0 ? State::kBulk : State::kBulkEnd;
    return;
  }
  if (HasCount(d.type)) {
    const uint64_t children = d.type == '%' || d.type == '|' ? d.number * 2 : d.number;
    if (to_server) request_.arguments = static_cast<uint32_t>(children);
    if (children > kMaxOpen || d.open + children > kMaxOpen) return Wrong(side, sink);
    d.open += children;
    if (d.type == '|') {  // stands before the element it belongs to
      d.state = State::kStart;
      return;
    }
  }
  Element(side, ns, sink);
}

// An element has ended, or has told how many are in it.
void RedisParser::Element(Side side, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  if (side == Side::kToServer)
    Argument(d);
  else
    ReplyElement(d);
  d.element++;
  d.open--;
  d.state = State::kStart;
  if (d.open == 0) EndMessage(side, ns, sink);
}

void RedisParser::Argument(Direction& d) {
  const std::string_view word(d.word, d.word_size);
  if (d.element == 0) return;
  if (d.element == 1) {
    request_.command = FindCommand(word);
    return;
  }
  if (request_.command == nullptr) return;
  const uint8_t traits = request_.command->traits;
  if (d.element == 2 && (traits & kHasSubcommand) != 0 && IsSubcommand(word) &&
      word.size() <= sizeof request_.subcommand) {
    request_.has_subcommand = true;
    memcpy(request_.subcommand, word.data(), word.size());
    request_.subcommand_size = static_cast<uint8_t>(word.size());
  }
  if ((traits & kMayBlock) != 0 && !request_.keys_begin && d.element <= 8) {
    if (word == "block") request_.blocks = true;
    if (word == "streams") request_.keys_begin = true;
  }
  if (d.element == 3 && request_.has_subcommand && request_.command->name == "client" &&
      std::string_view(request_.subcommand, request_.subcommand_size) == "reply") {
    request_.reply_off = word == "off";
    request_.reply_skip = word == "skip";
    request_.reply_on = word == "on";
  }
}

void RedisParser::ReplyElement(Direction& d) {
  const std::string_view word(d.word, d.word_size);
  if (d.element == 0 && (d.type == '-' || d.type == '!')) reply_.status = StatusOf(word);
  const bool aggregate = reply_.type == '*' || reply_.type == '>';
  if (d.element == 1 && aggregate && d.type == '$' && (subscribed_ || reply_.type == '>')) {
    reply_.confirms = ConfirmationKind(word);
  }
  if (d.element == 3 && reply_.confirms == 2 && d.type == ':') reply_.confirmed_zero = d.number == 0;
}

void RedisParser::EndMessage(Side side, uint64_t ns, Sink& sink) {
  directions_[Index(side)].in_message = false;
  if (side == Side::kToServer)
    EndRequest(ns, sink);
  else
    EndReply(ns, sink);
}

void RedisParser::EndRequest(uint64_t ns, Sink& sink) {
  const Direction& d = directions_[Index(Side::kToServer)];
  if (request_.arguments == 0) return;  // "*0": the server says nothing
  OperationText operation;
  Message message;
  message.bytes = d.bytes;
  message.first_ns = d.first_ns;
  message.last_ns = ns;
  const uint8_t traits = request_.command == nullptr ? uint8_t{kPlain} : request_.command->traits;
  if (request_.command != nullptr) {
    for (const char c : request_.command->name)
      operation.Add(c >= 'a' && c <= 'z' ? uint8_t(c - 32) : uint8_t(c));
    if (request_.has_subcommand) operation.Add(' ');
    for (size_t i = 0; i < request_.subcommand_size; i++) {
      const char c = request_.subcommand[i];
      operation.Add(c >= 'a' && c <= 'z' ? uint8_t(c - 32) : uint8_t(c));
    }
  }
  message.operation = operation.view();
  const std::string_view name = request_.command == nullptr ? std::string_view() : request_.command->name;
  const bool ends_transaction = name == "exec" || name == "discard" || name == "reset" || name == "quit";
  const bool queued = in_transaction_ && !ends_transaction && name != "multi" && name != "watch";
  if ((traits & (kBlocks | kSubscribes | kUnsubscribes | kEndless)) != 0 || request_.blocks || queued) {
    message.flags |= kNoLatency;
  }
  if (name == "multi") in_transaction_ = true;
  if (ends_transaction) in_transaction_ = false;
  if (request_.reply_on) replies_off_ = false;
  const bool silent = replies_off_ || skip_next_reply_ || request_.reply_off || request_.reply_skip;
  skip_next_reply_ = request_.reply_skip;
  if (request_.reply_off) replies_off_ = true;
  if (silent) message.flags |= kNoResponse;
  sink.Emit(message);
  if (silent) return;
  if ((traits & (kSubscribes | kUnsubscribes)) != 0 && !queued) {
    subscribed_ = true;
    const uint32_t channels = request_.arguments - 1;
    if (expected_count_ < kMaxExpected) {
      const size_t at = (expected_begin_ + expected_count_++) % kMaxExpected;
      expected_[at] = {asked_, channels == 0 ? kUntilNone : channels};
    }
  }
  asked_++;
  if ((traits & kEndless) != 0 && name != "monitor") {
    directions_[0].state = directions_[1].state = State::kDeaf;
  }
}

// Whether the reply is one that the command at the front is not answered by: a further confirmation.
bool RedisParser::Confirmation(bool is_error) {
  if (confirmations_left_ > 0 && !is_error && reply_.confirms != 0) {
    if (confirmations_left_ != kUntilNone) confirmations_left_--;
    if (reply_.confirmed_zero && confirmations_left_ == kUntilNone) confirmations_left_ = 0;
    return true;
  }
  confirmations_left_ = 0;
  if (expected_count_ > 0 && expected_[expected_begin_].ordinal == answered_) {
    const uint32_t confirmations = expected_[expected_begin_].confirmations;
    expected_begin_ = static_cast<uint8_t>((expected_begin_ + 1) % kMaxExpected);
    expected_count_--;
    if (!is_error && confirmations == kUntilNone)
      confirmations_left_ = reply_.confirmed_zero ? 0 : kUntilNone;
    else if (!is_error)
      confirmations_left_ = confirmations - 1;
  }
  return false;
}

void RedisParser::EndReply(uint64_t ns, Sink& sink) {
  const Direction& d = directions_[Index(Side::kToClient)];
  const bool is_error = reply_.status != kOk;
  if (reply_.confirms == 3) return;                        // a published message
  if (reply_.type == '>' && reply_.confirms == 0) return;  // another push: invalidation, MONITOR
  if (reply_.confirms != 0 || confirmations_left_ > 0 || expected_count_ > 0) {
    const bool further = Confirmation(is_error);
    if (reply_.confirmed_zero && expected_count_ == 0) subscribed_ = false;
    if (further) return;
  }
  if (answered_ == asked_) return;  // the lines of MONITOR, or the answer to something not seen
  answered_++;
  Message message;
  message.kind = Message::Kind::kResponse;
  message.status = reply_.status;
  if (is_error && reply_.status != kMoved && reply_.status != kAsk) message.flags |= kError;
  message.bytes = d.bytes;
  message.first_ns = d.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

uint64_t RedisParser::Skippable(Side side) const {
  const Direction& d = directions_[Index(side)];
  if (d.state == State::kDeaf) return ~0ull;
  return d.state == State::kBulk && !(KeepsWord(side) && d.word_size < sizeof d.word) ? d.bulk_left : 0;
}

void RedisParser::Skip(Side side, uint64_t count, uint64_t, Sink&) {
  Direction& d = directions_[Index(side)];
  if (d.state != State::kBulk) return;
  d.bytes += count;
  d.bulk_left -= count;
  if (d.bulk_left == 0) d.state = State::kBulkEnd;
}

void RedisParser::Lost(Side side, uint64_t, Sink& sink) {
  Direction& d = directions_[Index(side)];
  if (d.state == State::kDeaf) return;
  Wrong(side, sink);
}

void RedisParser::Wrong(Side side, Sink& sink) {
  Direction& d = directions_[Index(side)];
  d = Direction{};
  d.resync = true;
  expected_count_ = 0;
  confirmations_left_ = 0;
  in_transaction_ = false;
  // Which requests the answers to come belong to is not known here any more; the pairing sorts that out.
  asked_ = answered_ + (1ull << 40);
  sink.OutOfStep(side);
}

}  // namespace skybraid::l7::redis
