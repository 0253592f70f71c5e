// HTTP/2 (RFC 9113) and gRPC over it. The operation is method and route, of gRPC service and method. Messages
// of a stream have its id as key and come in parts: the headers begin them, each frame of data goes on, the
// flag END_STREAM or a reset ends them.
//
// A later part with an unknown status leaves the status as it was. Only gRPC has its status at the end. A
// reset ends the stream without a status of its own; gRPC maps it to its codes. Which of the two a stream is,
// its request says, so that both may share a connection.
#pragma once

#include "../operation.h"
#include "../parser.h"
#include "hpack.h"

namespace skybraid::l7::http2 {

Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class Http2Parser final : public Parser {
 public:
  Http2Parser() : directions_{Direction(paths_, sizeof paths_, &hosts_), Direction(nullptr, 0, nullptr)} {}
  Http2Parser(const Http2Parser&) = delete;
  Http2Parser& operator=(const Http2Parser&) = delete;
  void Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) override;
  uint64_t Skippable(Side side) const override;
  bool BeginsNext(Side side) const override;
  void Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) override;
  void Lost(Side side, uint64_t ns, Sink& sink) override;

 private:
  enum class State : uint8_t { kPreface, kFrame, kPadLength, kPriority, kBlock, kCode, kRest };

  struct Direction {
    Direction(char* text, uint16_t size, HostTable* hosts) : hpack(text, size, hosts) {}
    State state = State::kPreface;
    bool resync = false;
    bool in_block = false;  // between HEADERS and the end of its CONTINUATIONs
    bool block_good = true;
    bool ends_stream = false;  // the block's HEADERS said so
    bool promise = false;      // the block is of PUSH_PROMISE
    uint8_t have = 0;          // of the preface, frame head, or code
    uint8_t head[9];
    uint8_t type = 0, flags = 0, pad = 0;
    uint32_t stream = 0;
    uint32_t left = 0;  // of the frame's payload
    uint8_t prefix_have = 0;
    uint8_t prefix[5];  // of a frame of data: the head of a gRPC message, if one begins there
    uint32_t code = 0;
    uint32_t newest_stream = 0;
    uint64_t bytes = 0;  // of this frame, or of the block's frames
    uint64_t first_ns = 0;
    HpackDecoder hpack;
  };

  size_t Run(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink);
  void FrameBegins(Side side, uint64_t ns, Sink& sink);
  void FrameEnds(Side side, uint64_t ns, Sink& sink);
  void BlockEnds(Side side, uint64_t ns, Sink& sink);
  void Request(const Direction& d, uint64_t ns, Sink& sink);
  void Response(const Direction& d, uint64_t ns, Sink& sink);
  void Reset(const Direction& d, uint64_t ns, Sink& sink);
  bool IsBroken(Side side, uint32_t stream) const;
  void AfterPad(Direction& d);
  static void KeepPrefix(Direction& d, const uint8_t* bytes, size_t size);
  static void Measure(const Direction& d, Message& message);
  void Wrong(Side side, Sink& sink);

  char paths_[1024];
  HostTable hosts_;
  // Streams that were broken off last: what the server had sent by then still comes.
  uint32_t broken_[16]{};
  uint8_t next_broken_ = 0;
  Direction directions_[2];
};

}  // namespace skybraid::l7::http2
