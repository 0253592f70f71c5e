// What a parser of an application protocol eats and gives. Pairing of requests with responses is not its
// matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace skybraid::l7 {

enum class Side : uint8_t { kToServer = 0, kToClient = 1 };

constexpr size_t Index(Side side) { return static_cast<size_t>(side); }
constexpr Side Other(Side side) { return side == Side::kToServer ? Side::kToClient : Side::kToServer; }

// Of Parser::Skippable: what comes is not needed, but where it ends only the next message shows.
constexpr uint64_t kOpenEnd = 1ull << 62;

constexpr uint32_t kUnknownStatus = 0xffffffff;

// Of a message: a whole one has the first two. A message that comes in parts (a stream of HTTP/2) begins, may
// go on, and ends; parts belong together by their key and kind.
constexpr uint8_t kBegins = 1;
constexpr uint8_t kEnds = 2;
constexpr uint8_t kError = 4;
constexpr uint8_t kNoLatency = 8;    // stream, push, blocking, queued: its time says nothing about the server
constexpr uint8_t kNoResponse = 16;  // a request that nobody answers
constexpr uint8_t kGrpc = 32;        // the message says that it is gRPC's
constexpr uint8_t kUnkeyed = 64;     // of a whole connection: every open request ends with this status
constexpr uint8_t kNotGrpc = 128;    // it says that it is something else

struct Message {
  enum class Kind : uint8_t { kRequest, kResponse };
  Kind kind = Kind::kRequest;
  uint8_t flags = kBegins | kEnds;
  uint32_t status = kUnknownStatus;       // protocol's own code; of responses
  uint32_t grpc_status = kUnknownStatus;  // what it is instead if the request was gRPC's
  // Of HTTP/2: bytes of the body in this part, and of the first gRPC message if one begins here; 0: not
  // known.
  uint32_t data = 0;
  uint32_t announced = 0;
  bool broken = false;    // a response that was broken off, perhaps after its end
  uint64_t key = 0;       // a response answers the oldest open request of its key
  uint64_t bytes = 0;     // of this part
  uint64_t first_ns = 0;  // arrival of the first and last byte of this part
  uint64_t last_ns = 0;
  std::string_view operation;  // of requests, valid during the call; empty: not known
  std::string_view host;       // of requests of HTTP, valid during the call
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Emit(const Message& message) = 0;
  // What went before on this connection can no longer be told from what follows: open requests have no known
  // answer, and answers may belong to requests that were not seen.
  virtual void OutOfStep(Side side) = 0;
  // Bytes are missing, but what follows says itself what belongs together: open requests stay open.
  virtual void Gap(Side side) = 0;
};

class Parser {
 public:
  virtual ~Parser() = default;
  // Bytes that follow the ones before without a gap. Any division of a stream into calls gives the same
  // messages.
  virtual void Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) = 0;
  // How many of the bytes that come next need not be seen: those of a body.
  virtual uint64_t Skippable(Side side) const = 0;
  // Whether what comes next, behind what is skippable, is for sure the begin of a message that says its own
  // length.
  virtual bool BeginsNext(Side) const { return false; }
  // That many of them (at most Skippable) passed unseen.
  virtual void Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) = 0;
  // Bytes that were needed are missing. What is eaten next is the begin of a packet somewhere later.
  virtual void Lost(Side side, uint64_t ns, Sink& sink) = 0;
};

// A run of the stream in one direction: `length` bytes passed, the first `captured` of them are at hand.
struct Piece {
  Side side;
  uint64_t offset;  // 0: first byte of the direction
  uint32_t length;
  uint32_t captured;
  const uint8_t* bytes;
  uint64_t ns;
  uint64_t passed_ns = 0;  // when the byte before it passed, if that is in no piece and passed earlier
};

// Gives pieces in the order of the stream to a parser, and tells it of gaps.
class Feeder {
 public:
  void Feed(const Piece& piece, Parser& parser, Sink& sink);
  // The stream is joined in its middle: the next piece begins where it says. Of both directions before the
  // first piece, so that no request is open when the parser hears of it.
  void Join(Side side, uint64_t ns, Parser& parser, Sink& sink) {
    parser.Lost(side, ns, sink);
    next_[Index(side)] = kAnywhere;
  }
  // Where the next piece begins if nothing is missing; kAnywhere: not known.
  uint64_t Next(Side side) const { return next_[Index(side)]; }
  static constexpr uint64_t kAnywhere = ~0ull;

 private:
  void Miss(Side side, uint64_t count, uint64_t ns, Parser& parser, Sink& sink);
  uint64_t next_[2] = {0, 0};
};

}  // namespace skybraid::l7
