// Redis and Valkey, RESP2 and RESP3. The operation is the command, with its subcommand where it has one;
// keys, values and channels are only counted. https://redis.io/docs/latest/develop/reference/protocol-spec/
#pragma once

#include "../parser.h"
#include "commands.h"

namespace skybraid::l7::redis {

// What an error reply says; 0 is none. An error whose word is not among these is kOther.
enum Status : uint32_t {
  kOk = 0,
  kErr,
  kWrongType,
  kMoved,
  kAsk,
  kTryAgain,
  kClusterDown,
  kCrossSlot,
  kNoAuth,
  kWrongPass,
  kNoPerm,
  kLoading,
  kBusy,
  kNoScript,
  kOom,
  kReadOnly,
  kExecAbort,
  kMasterDown,
  kMisconf,
  kNoReplicas,
  kBusyGroup,
  kNoGroup,
  kBusyKey,
  kNoProto,
  kUnkillable,
  kOther = 255,
};

Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class RedisParser final : public Parser {
 public:
  void Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) override;
  uint64_t Skippable(Side side) const override;
  void Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) override;
  void Lost(Side side, uint64_t ns, Sink& sink) override;

 private:
  enum class State : uint8_t { kStart, kLine, kLineFeed, kBulk, kBulkEnd, kBulkEndFeed, kInline, kDeaf };

  // Where one direction stands. A message is a tree of elements; `open` counts those that are still to come.
  struct Direction {
    State state = State::kStart;
    uint8_t type = 0;       // first byte of the element's line
    uint8_t word_size = 0;  // what is kept of the line or argument
    bool negative = false;
    bool digits = false;
    bool in_message = false;
    bool resync = false;   // something was lost; the next Eat may begin a message
    uint32_t element = 0;  // index of the element within its message
    uint64_t number = 0;
    uint64_t open = 0;
    uint64_t bulk_left = 0;
    uint64_t bytes = 0;
    uint64_t first_ns = 0;
    char word[32];
  };

  struct Request {
    const Command* command = nullptr;
    uint32_t arguments = 0;
    bool has_subcommand = false;
    bool blocks = false;
    bool keys_begin = false;  // what follows is data
    bool reply_off = false, reply_skip = false, reply_on = false;
    char subcommand[24];
    uint8_t subcommand_size = 0;
  };

  struct Reply {
    uint8_t type = 0;
    uint8_t confirms = 0;  // 1: of a subscription, 2: of its end, 3: a published message
    bool confirmed_zero = false;
    uint32_t status = kOk;
  };

  // Commands that are answered by one confirmation for each channel, in the order they came.
  struct Expected {
    uint64_t ordinal;
    uint32_t confirmations;  // kUntilNone: until no subscription is left
  };

  size_t Run(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink);
  void BeginMessage(Side side, uint64_t ns);
  size_t EatLine(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink);
  void Line(Side side, uint64_t ns, Sink& sink);
  void Element(Side side, uint64_t ns, Sink& sink);
  void Word(Side side);
  void Argument(Direction& d);
  void ReplyElement(Direction& d);
  void EndMessage(Side side, uint64_t ns, Sink& sink);
  void EndRequest(uint64_t ns, Sink& sink);
  void EndReply(uint64_t ns, Sink& sink);
  bool Confirmation(bool is_error);
  void Wrong(Side side, Sink& sink);
  bool KeepsWord(Side side) const;

  static constexpr uint32_t kUntilNone = 0xffffffff;
  static constexpr size_t kMaxExpected = 16;
  Direction directions_[2];
  Request request_;
  Reply reply_;
  uint64_t asked_ = 0;  // requests that will be answered
  uint64_t answered_ = 0;
  Expected expected_[kMaxExpected];
  uint8_t expected_begin_ = 0;
  uint8_t expected_count_ = 0;
  uint32_t confirmations_left_ = 0;  // of the command answered last
  bool subscribed_ = false;
  bool in_transaction_ = false;
  bool replies_off_ = false;
  bool skip_next_reply_ = false;
};

}  // namespace skybraid::l7::redis
