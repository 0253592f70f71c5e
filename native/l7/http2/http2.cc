#include "http2.h"

#include <algorithm>
#include <cstring>

#include "../route.h"

namespace skybraid::l7::http2 {

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint32_t kMaxFrame = 1u << 20;  // larger ones are allowed, and not used
enum Type : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kReset,
  kSettings,
  kPushPromise,
  kPing,
  kGoAway,
  kWindow,
  kContinuation
};
constexpr uint32_t kStaticEntries = 61, kPathIndex = 4;  // of HPACK
constexpr uint8_t kEndStream = 1, kEndHeaders = 4, kPadded = 8, kHasPriority = 32;
// Of gRPC.
constexpr uint32_t kCancelled = 1, kPermissionDenied = 7, kResourceExhausted = 8, kInternal = 13,
                   kUnavailable = 14;

uint32_t U32(const uint8_t* b) {
  return static_cast<uint32_t>(b[0]) << 24 | static_cast<uint32_t>(b[1]) << 16 |
         static_cast<uint32_t>(b[2]) << 8 | b[3];
}

uint32_t FrameLength(const uint8_t* head) { return U32(head) >> 8; }

// Whether nine bytes are the head of a frame that a peer may send.
bool IsFrameHead(const uint8_t* head) {
  static constexpr uint8_t kFlags[] = {0x9, 0x2d, 0, 0, 1, 0xc, 1, 0, 0, 4};
  const uint32_t length = FrameLength(head);
  const uint8_t type = head[3];
  const uint32_t stream = U32(head + 5);
  if (length > kMaxFrame || type > kContinuation || (stream & 1u << 31) != 0) return false;
  if ((head[4] & ~kFlags[type]) != 0) return false;
  const bool of_connection = type == kSettings || type == kPing || type == kGoAway;
  if (type != kWindow && of_connection != (stream == 0)) return false;
  if (type == kSettings) return length % 6 == 0 && ((head[4] & 1) == 0 || length == 0);
  if (type == kPing) return length == 8;
  if (type == kPriority) return length == 5;
  if (type == kReset || type == kWindow) return length == 4;
  return type != kGoAway || length >= 8;
}

// Whether these bytes are frames, one after the other, as far as they reach.
bool AreFrames(const uint8_t* bytes, size_t size) {
  size_t at = 0;
  while (at + 9 <= size) {
    if (!IsFrameHead(bytes + at)) return false;
    at += 9 + FrameLength(bytes + at);
  }
  return at > 0;
}

// A number of HPACK with `bits` in its first byte; false: it does not end here, or is too large to be one.
bool ReadNumber(const uint8_t* bytes, size_t size, size_t& at, int bits, uint32_t& number) {
  const uint32_t mask = (1u << bits) - 1;
  if (at >= size) return false;
  number = bytes[at++] & mask;
  if (number < mask) return true;
  for (int shift = 0; shift < 14 && at < size; shift += 7) {
    number += (bytes[at] & 0x7fu) << shift;
    if ((bytes[at++] & 0x80) == 0) return true;
  }
  return false;
}

// Of an index of the static table: which of a request's own fields it is, as a bit; 0: none of them.
uint8_t OwnField(uint32_t index) {
  static constexpr uint8_t kBits[] = {0, 1, 2, 2, 4, 4, 8, 8};
  return index < std::size(kBits) ? kBits[index] : uint8_t{0};
}

// Whether a request's block begins as encoders begin one: two of method, path, scheme and authority by their
// places in the static table, in any order, or a path as text. What clients refer to by later entries says
// nothing. `length` is that of the block, of which `size` bytes are at hand.
bool BeginsRequest(const uint8_t* block, size_t size, size_t length) {
  constexpr int kMostFields = 5;
  uint8_t seen = 0;
  size_t at = 0;
  for (int i = 0; i < kMostFields && at < size; i++) {
    const uint8_t first = block[at];
    const bool indexed = (first & 0x80) != 0, resizes = (first & 0xe0) == 0x20;
    uint32_t index = 0, count = 0;
    if (!ReadNumber(block, size, at, indexed ? 7 : (first & 0x40) != 0 ? 6 : resizes ? 5 : 4, index))
      return false;
    if (resizes) continue;
    const uint8_t own = OwnField(index);
    if (own == 0 ? index <= kStaticEntries : (seen & own) != 0) return false;
    seen |= own;
    if (!indexed) {
      const bool coded = at < size && (block[at] & 0x80) != 0;
      if (!ReadNumber(block, size, at, 7, count) || count == 0 || at + count > length) return false;
      if (own == OwnField(kPathIndex))
        return at < size && (coded ? (block[at] & 0xfc) == 0x60 : block[at] == '/');
      at += count;
    }
    if ((seen & (seen - 1)) != 0) return true;
  }
  return false;
}

bool BeginsBlock(Side side, const uint8_t* block, size_t size, size_t length) {
  if (side == Side::kToServer) return BeginsRequest(block, size, length);
  return size >= 4 && block[0] >= 0x88 && block[0] <= 0x8e;  // a status in its static form
}

// A connection that is joined in its middle: a packet that begins with the headers of a stream.
bool BeginsStream(Side side, const uint8_t* bytes, size_t size) {
  constexpr uint32_t kLongestBlock = 16'384;
  const uint32_t length = FrameLength(bytes);
  if (bytes[3] != kHeaders || (bytes[8] & 1) == 0 || length < 4 || length > kLongestBlock) return false;
  if ((bytes[4] & (kEndHeaders | kPadded)) != kEndHeaders) return false;
  const size_t at = 9 + ((bytes[4] & kHasPriority) != 0 ? 5 : 0);
  return size > at && length + 9 > at && BeginsBlock(side, bytes + at, size - at, length + 9 - at);
}

// RST_STREAM's code as gRPC reports it.
uint32_t GrpcOfReset(uint32_t code) {
  switch (code) {
    case 7:
      return kUnavailable;
    case 8:
      return kCancelled;
    case 0xb:
      return kResourceExhausted;
    case 0xc:
      return kPermissionDenied;
    default:
      return kInternal;
  }
}

// Of a block: whether what it belongs to is gRPC's.
uint8_t KindOf(const HeaderBlock& block) {
  if (block.is_grpc) return kGrpc;
  return block.has_content_type || !block.has_unknown ? kNotGrpc : 0;
}

}  // namespace

Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  if (side == Side::kToServer) {
    const size_t common = std::min(size, kPreface.size());
    if (memcmp(bytes, kPreface.data(), common) == 0) return size >= 16 ? Verdict::kYes : Verdict::kMaybe;
  }
  if (size < 9) return Verdict::kMaybe;
  if (!AreFrames(bytes, size)) return Verdict::kNo;
  if (BeginsStream(side, bytes, size)) return Verdict::kYes;
  // The server begins with its settings; what else looks like frames may be chance.
  return bytes[3] == kSettings && (bytes[4] & 1) == 0 && FrameLength(bytes) > 0 ? Verdict::kYes
                                                                                : Verdict::kMaybe;
}

void Http2Parser::Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  if (d.resync) {
    if (!AreFrames(bytes, size)) return;
    d.resync = false;
    d.state = State::kFrame;
    d.have = 0;
  }
  for (size_t at = 0; at < size && !d.resync;) at += Run(side, bytes + at, size - at, ns, sink);
}

size_t Http2Parser::Run(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  switch (d.state) {
    case State::kPreface:
      // A server has none; a client that was upgraded to HTTP/2 has it, too.
      if (side == Side::kToClient || (d.have == 0 && bytes[0] != 'P')) {
        d.state = State::kFrame;
        return 0;
      }
      if (bytes[0] != static_cast<uint8_t>(kPreface[d.have])) {
        Wrong(side, sink);
      } else if (++d.have == kPreface.size()) {
        d.state = State::kFrame;
        d.have = 0;
      }
      return 1;
    case State::kFrame: {
      if (d.have == 0 && !d.in_block) {
        d.first_ns = ns;
        d.bytes = 0;
      }
      const size_t taken = std::min<size_t>(size, 9u - d.have);
      memcpy(d.head + d.have, bytes, taken);
      d.have = static_cast<uint8_t>(d.have + taken);
      if (d.have == 9) FrameBegins(side, ns, sink);
      return taken;
    }
    case State::kPadLength:
      d.pad = bytes[0];
      d.left--;
      if (d.pad > d.left) {
        Wrong(side, sink);
        return 1;
      }
      AfterPad(d);
      if (d.left == 0) FrameEnds(side, ns, sink);
      return 1;
    case State::kPriority:
    case State::kCode:
      d.code = d.code << 8 | bytes[0];
      d.left--;
      if (--d.have == 0) d.state = d.state == State::kPriority ? State::kBlock : State::kRest;
      if (d.state == State::kBlock && d.left < d.pad)
        Wrong(side, sink);
      else if (d.left == 0)
        FrameEnds(side, ns, sink);
      return 1;
    case State::kBlock: {
      const size_t taken = std::min<size_t>(size, d.left - d.pad);
      if (d.block_good) d.block_good = d.hpack.Eat(bytes, taken);
      d.left -= static_cast<uint32_t>(taken);
      if (d.left == d.pad) d.state = State::kRest;
      if (d.left == 0) FrameEnds(side, ns, sink);
      return taken;
    }
    case State::kRest: {
      const size_t taken = std::min<size_t>(size, d.left);
      if (d.type == kData) KeepPrefix(d, bytes, taken);
      Skip(side, taken, ns, sink);
      return taken;
    }
  }
  return size;
}

void Http2Parser::FrameBegins(Side side, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  d.have = 0;
  d.type = d.head[3];
  d.flags = d.head[4];
  d.left = FrameLength(d.head);
  d.bytes += 9 + d.left;
  d.pad = 0;
  d.prefix_have = 0;
  const uint32_t stream = U32(d.head + 5) & 0x7fffffff;
  const bool continues = d.type == kContinuation;
  if (d.left > kMaxFrame || continues != d.in_block || (continues && stream != d.stream))
    return Wrong(side, sink);
  d.stream = stream;
  d.state = State::kRest;
  if (d.type == kHeaders || d.type == kPushPromise) {
    d.in_block = true;
    d.promise = d.type == kPushPromise;
    d.ends_stream = !d.promise && (d.flags & kEndStream) != 0;
    d.block_good = true;
    d.hpack.Begin();
    if ((d.flags & kPadded) != 0) {
      if (d.left == 0) return Wrong(side, sink);
      d.state = State::kPadLength;
    } else {
      AfterPad(d);
    }
  } else if (continues) {
    d.state = d.left > 0 ? State::kBlock : State::kRest;
  } else if (d.type == kReset && d.left == 4) {
    d.state = State::kCode;
    d.have = 4;
    d.code = 0;
  }
  if (d.left == 0) FrameEnds(side, ns, sink);
}

// What stands between the length of the padding and the header block.
void Http2Parser::AfterPad(Direction& d) {
  d.have = d.type == kPushPromise ? 4 : (d.flags & kHasPriority) != 0 ? 5 : 0;
  d.state = d.have > 0 ? State::kPriority : d.left > d.pad ? State::kBlock : State::kRest;
}

void Http2Parser::FrameEnds(Side side, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  d.state = State::kFrame;
  d.have = 0;
  if (d.type == kReset) return Reset(d, ns, sink);
  if (d.type == kData) {
    if (IsBroken(side, d.stream)) return;
    Message message;
    message.kind = side == Side::kToServer ? Message::Kind::kRequest : Message::Kind::kResponse;
    message.flags = (d.flags & kEndStream) != 0 ? kEnds : 0;
    message.key = d.stream;
    message.bytes = d.bytes;
    message.first_ns = d.first_ns;
    message.last_ns = ns;
    Measure(d, message);
    return sink.Emit(message);
  }
  if (d.in_block && (d.flags & kEndHeaders) != 0) BlockEnds(side, ns, sink);
}

// Bytes of data as they are at hand; what passes unseen among the first five makes them none.
void Http2Parser::KeepPrefix(Direction& d, const uint8_t* bytes, size_t size) {
  if (d.prefix_have == sizeof d.prefix || d.prefix_have != FrameLength(d.head) - d.left) return;
  const size_t taken = std::min<size_t>(size, sizeof d.prefix - d.prefix_have);
  memcpy(d.prefix + d.prefix_have, bytes, taken);
  d.prefix_have = static_cast<uint8_t>(d.prefix_have + taken);
}

// Of how many bytes the message is that the frame begins with, if it is gRPC's. Padded frames are left out.
void Http2Parser::Measure(const Direction& d, Message& message) {
  if ((d.flags & kPadded) != 0) return;
  message.data = FrameLength(d.head);
  if (d.prefix_have < sizeof d.prefix || d.prefix[0] > 1) return;
  const uint64_t size = sizeof d.prefix + uint64_t{U32(d.prefix + 1)};
  message.announced = static_cast<uint32_t>(std::min<uint64_t>(size, UINT32_MAX / 2));
}

void Http2Parser::BlockEnds(Side side, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  d.in_block = false;
  if (d.block_good) d.block_good = d.hpack.End();
  if (d.promise) return;
  if (side == Side::kToServer) {
    Request(d, ns, sink);
    d.newest_stream = std::max(d.newest_stream, d.stream);
  } else {
    Response(d, ns, sink);
  }
}

void Http2Parser::Request(const Direction& d, uint64_t ns, Sink& sink) {
  const HeaderBlock& block = d.hpack.block();
  const bool begins = d.stream > d.newest_stream;
  OperationText operation;
  Message message;
  message.flags = static_cast<uint8_t>((begins ? kBegins : 0) | (d.ends_stream ? kEnds : 0));
  if (begins && d.block_good) message.flags |= KindOf(block) | (block.waits ? kNoLatency : 0);
  if (begins && d.block_good && block.has_method && block.has_path) {
    const std::string_view path(block.path, block.path_size);
    if (block.is_grpc) {
      AddRpc(path, block.path_cut, operation);
    } else {
      const std::string_view method = MethodName(block.method);
      operation.Add(method.empty() ? "{method}" : method);
      operation.Add(' ');
      AddRoute(path, block.path_cut, operation);
      message.host = block.host;
    }
  }
  message.operation = operation.view();
  message.key = d.stream;
  message.bytes = d.bytes;
  message.first_ns = d.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

void Http2Parser::Response(const Direction& d, uint64_t ns, Sink& sink) {
  const HeaderBlock& block = d.hpack.block();
  if (IsBroken(Side::kToClient, d.stream)) return;
  if (d.block_good && block.has_status && block.status < 200) return;  // there will be another
  Message message;
  message.kind = Message::Kind::kResponse;
  // A block without status is the end of the response, unless the status is among what is not known.
  const bool begins = block.has_status || ((block.has_unknown || !d.block_good) && !d.ends_stream);
  message.flags = static_cast<uint8_t>((begins ? kBegins : 0) | (d.ends_stream ? kEnds : 0));
  if (d.block_good) {
    // The end of a response has no content type.
    message.flags |= block.has_grpc_status ? kGrpc : block.has_status ? KindOf(block) : uint8_t{0};
    if (block.is_events) message.flags |= kNoLatency;
    if (block.has_status) message.status = block.status;
    if (block.has_grpc_status) message.grpc_status = block.grpc_status;
    if (block.has_status && block.status >= 500) message.flags |= kError;
  }
  message.key = d.stream;
  message.bytes = d.bytes;
  message.first_ns = d.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

bool Http2Parser::IsBroken(Side side, uint32_t stream) const {
  return side == Side::kToClient &&
         std::find(std::begin(broken_), std::end(broken_), stream) != std::end(broken_);
}

void Http2Parser::Reset(const Direction& d, uint64_t ns, Sink& sink) {
  // How long a client that gives up has waited says nothing of the server.
  const bool by_client = &d == &directions_[Index(Side::kToServer)];
  if (d.code == 0) return;  // the response was complete, the rest of the request is not wanted
  Message message;
  message.kind = Message::Kind::kResponse;
  message.flags = static_cast<uint8_t>(kEnds | (by_client ? kNoLatency : 0));
  message.broken = true;
  broken_[next_broken_++ % std::size(broken_)] = d.stream;
  message.grpc_status = GrpcOfReset(d.code);
  message.key = d.stream;
  message.bytes = d.bytes;
  message.first_ns = d.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

uint64_t Http2Parser::Skippable(Side side) const {
  const Direction& d = directions_[Index(side)];
  return d.state == State::kRest && !d.resync ? d.left : 0;
}

bool Http2Parser::BeginsNext(Side side) const {
  const Direction& d = directions_[Index(side)];
  return !d.resync && (d.state == State::kRest || (d.state == State::kFrame && d.have == 0));
}

void Http2Parser::Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) {
  Direction& d = directions_[Index(side)];
  d.left -= static_cast<uint32_t>(count);
  if (d.left == 0) FrameEnds(side, ns, sink);
}

void Http2Parser::Lost(Side side, uint64_t, Sink& sink) { Wrong(side, sink); }

void Http2Parser::Wrong(Side side, Sink& sink) {
  Direction& d = directions_[Index(side)];
  d.resync = true;
  d.in_block = false;
  d.hpack.Forget();  // how many entries were inserted in what is missing is not known
  sink.Gap(side);    // streams have numbers: what is open stays open
}

}  // namespace skybraid::l7::http2
