// HTTP/1.x: one parser for both directions. Heads are read line by line, bodies are passed over by their
// length.
//
// The key of a message is its number on the connection, so that a response answers its request even if it
// comes before the request ends. What the head needs is all there is in memory: one line per direction.
#pragma once

#include <cstdint>

#include "../host.h"
#include "../operation.h"
#include "../parser.h"

namespace skybraid::l7 {

class Http1 final : public Parser {
 public:
  void Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) override;
  uint64_t Skippable(Side side) const override;
  void Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) override;
  void Lost(Side side, uint64_t ns, Sink& sink) override;

 private:
  static constexpr size_t kLineBytes = 384;
  static constexpr uint32_t kMaxOpen = 64;  // requests whose response has not begun
  enum class State : uint8_t {
    kStart,  // before the first line
    kHeaders,
    kBody,        // `left` bytes
    kChunkSize,   // line
    kChunk,       // `left` bytes, its line end included
    kTrailer,     // lines
    kForever,     // to the end of the connection
    kUntilAsked,  // some of it is missing: to the next request
    kAstray,      // something was lost: until a piece begins with a first line
  };
  struct Half {
    State state = State::kStart;
    bool cut = false;  // the line is longer than what is kept of it
    bool chunked = false;
    bool has_length = false;
    bool coded = false;  // a transfer coding that is not chunked: ends with the connection
    bool error = false;
    bool timeless = false;  // events, or a client that says how long it waits
    uint16_t kept = 0;      // bytes of the line
    uint16_t status = 0;
    uint64_t left = 0;
    uint64_t bytes = 0;  // of the message that were not emitted yet
    uint64_t first_ns = 0;
    uint64_t last_ns = 0;  // kUntilAsked
    uint32_t number = 0;   // of messages that began
    char line[kLineBytes];
  };

  static size_t PassHeaders(Half& half, const uint8_t* bytes, size_t size);
  size_t EatLine(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink);
  void OnLine(Side side, const char* line, size_t size, bool cut, uint64_t ns, Sink& sink);
  void OnFirstLine(Side side, const char* line, size_t size, bool cut, uint64_t ns, Sink& sink);
  bool OnRequestLine(const char* line, size_t size, bool cut);
  bool OnStatusLine(const char* line, size_t size);
  void OnHeader(Side side, const char* line, size_t size, bool cut);
  void OnHeadEnd(Side side, uint64_t ns, Sink& sink);
  State AfterHead(Side side) const;
  bool TunnelBegins(const Half& response) const;
  void OnChunkSize(Side side, const char* line, size_t size, Sink& sink);
  void Pass(Side side, uint64_t count, uint64_t ns, Sink& sink);
  void Emit(Side side, uint8_t flags, uint64_t ns, Sink& sink);
  void End(Side side, uint64_t ns, Sink& sink);
  bool GoesOnUntilAsked(uint64_t ns, Sink& sink);
  void EndUnmeasured(Sink& sink);
  void Reset(Half& half);

  Half half_[2];
  OperationText operation_;  // of the request whose head is being read
  char host_[kMaxHost];
  uint8_t host_size_ = 0;
  bool host_in_target_ = false;
  uint64_t heads_ = 0;  // per open request, by number: HEAD, CONNECT
  uint64_t connects_ = 0;
};

static_assert(sizeof(Http1) <= 1600, "within a connection's memory");

Verdict ClassifyHttp1(Side side, const uint8_t* bytes, size_t size);

}  // namespace skybraid::l7
