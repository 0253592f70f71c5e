#include "pairing.h"

#include <algorithm>

namespace skybraid::l7 {

namespace {

uint64_t UsBetween(uint64_t from_ns, uint64_t to_ns) {
  return to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
}

uint8_t RowFlags(uint8_t flags) {
  return static_cast<uint8_t>(((flags & kError) != 0 ? kRowError : 0) |
                              ((flags & kNoLatency) != 0 ? kRowNoLatency : 0));
}

// What gRPC makes of an answer that does not come from its server, but from a proxy before it.
uint32_t GrpcOfHttp(uint32_t status) {
  switch (status) {
    case 400:
      return 13;  // INTERNAL
    case 401:
      return 16;  // UNAUTHENTICATED
    case 403:
      return 7;  // PERMISSION_DENIED
    case 404:
      return 12;  // UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;  // UNAVAILABLE
    default:
      return 2;  // UNKNOWN
  }
}

// The status that a part of a response gives to a request of gRPC. A 200 has its own at the end, unless it is
// known to be something else.
uint32_t GrpcStatusOf(const Message& message) {
  if (message.grpc_status != kUnknownStatus) return message.grpc_status;
  if (message.status == kUnknownStatus) return kUnknownStatus;
  return message.status == 200 && (message.flags & kNotGrpc) == 0 ? kUnknownStatus
                                                                  : GrpcOfHttp(message.status);
}

}  // namespace

void Pairing::Emit(const Message& message) {
  const bool unsure = Settles(message);
  heard_ns_ = message.last_ns;
  if (unsure) return;
  if (message.kind == Message::Kind::kRequest) return Request(message);
  if ((message.flags & kUnkeyed) != 0) return EndAll(message);
  Response(message);
}

// Whether the message is one of those after a loss of which nobody knows what they belong to.
bool Pairing::Settles(const Message& message) {
  const bool asks = message.kind == Message::Kind::kRequest;
  const bool begins = asks && (message.flags & (kBegins | kNoResponse)) == kBegins;
  const bool quiet = heard_ns_ != 0 && message.first_ns > heard_ns_ + kQuietNs;
  if (begins && shaken_ && quiet) shaken_ = settling_ = false;
  if (begins && count_ > 0) {
    pipelined_ = true;
    if (shaken_) {
      GiveUpAll();
      settling_ = true;
    }
  }
  if (!settling_) return false;
  if (!asks) {
    counters_.unpaired += (message.flags & kEnds) != 0;
  } else if ((message.flags & kBegins) != 0) {
    Open fresh{};
    fresh.request_bytes = message.bytes;
    fresh.operation = Intern(message);
    fresh.count = 1;
    fresh.flags = message.flags;
    BookUnknown(fresh);
  }
  return true;
}

uint32_t Pairing::Intern(const Message& message) {
  const bool grpc = (message.flags & kGrpc) != 0;
  grpc_ = grpc_ || grpc;
  plain_ = plain_ || (message.flags & kNotGrpc) != 0;
  return ledger_.Intern(grpc ? Protocol::kGrpc : protocol_,
                        message.operation.empty() ? "{unknown}" : message.operation,
                        grpc ? std::string_view() : message.host);
}

// A request of which it could not be read whose it is, and whose response says it.
void Pairing::TurnToGrpc(Open& open) {
  constexpr std::string_view kMethod = "POST /";
  const std::string name(ledger_.Name(open.operation));
  const bool is_route = name.compare(0, kMethod.size(), kMethod) == 0;
  ledger_.Release(open.operation);
  open.operation = ledger_.Intern(Protocol::kGrpc, is_route ? name.substr(kMethod.size()) : name);
  open.flags |= kGrpc;
  grpc_ = true;
}

uint32_t Pairing::Find(uint64_t key) {
  uint32_t at = first_;
  while (at != kNone && At(at).key != key) at = At(at).next;
  return at;
}

uint64_t Pairing::Oldest(uint64_t key, uint64_t bits) {
  for (uint32_t at = first_; at != kNone; at = At(at).next)
    if (((At(at).key ^ key) & bits) == 0) return At(at).key;
  return key;
}

void Pairing::Request(const Message& message) {
  if ((message.flags & kBegins) != 0) return Add(message);
  // A later part: of a request that may have been answered already.
  const uint32_t at = Find(message.key);
  if (at == kNone) return;
  At(at).request_bytes += message.bytes;
  Measure(At(at), message);
}

// A call with a second message in either direction is a stream, whose time is whatever its ends like. gRPC's
// alone has anything to measure.
void Pairing::Measure(Open& open, const Message& message) {
  if (message.data == 0) return;
  uint32_t& left = open.left[message.kind == Message::Kind::kRequest ? 0 : 1];
  if (left == kNone) left = message.announced != 0 ? message.announced : kNone - 1;
  if (message.data > left && (open.flags & kGrpc) != 0) open.flags |= kNoLatency;
  left -= std::min(left, message.data);
}

void Pairing::Add(const Message& message) {
  const uint32_t operation = Intern(message);
  Open fresh{message.key,  message.first_ns, 0, message.bytes, 0,     0,
             operation,    kUnknownStatus,   1, last_,         kNone, {kNone, kNone},
             message.flags};
  if ((message.flags & kNoResponse) != 0 || beyond_ > 0) {
    if ((message.flags & kNoResponse) == 0) ++beyond_;
    return BookUnknown(fresh);
  }
  Open* last = count_ > 0 ? &At(last_) : nullptr;
  if (last != nullptr && last->response_ns == 0 && last->key == fresh.key && last->operation == operation &&
      last->first_ns == fresh.first_ns && last->flags == fresh.flags) {
    ++last->count;
    last->request_bytes += fresh.request_bytes;
    ledger_.Release(operation);
    return;
  }
  const uint32_t at = count_ < kMaxOpen ? ledger_.TakeRequest() : kNone;
  if (at == kNone) {
    ++beyond_;
    return BookUnknown(fresh);
  }
  At(at) = fresh;
  (last == nullptr ? first_ : last->next) = at;
  last_ = at;
  ++count_;
}

void Pairing::Response(const Message& message) {
  const uint32_t at = Find(message.key);
  if (at == kNone) {
    if ((message.flags & kEnds) == 0) return;
    if (beyond_ > 0)
      --beyond_;
    else if (!message.broken)  // otherwise its request had been answered
      ++counters_.unpaired;
    return;
  }
  Open& open = At(at);
  if (open.response_ns == 0) open.response_ns = message.first_ns;
  open.response_bytes += message.bytes;
  Measure(open, message);
  open.last_ns = message.last_ns;
  if ((message.flags & kGrpc) != 0 && (open.flags & (kGrpc | kNotGrpc)) == 0 && !IsGrpc(open))
    TurnToGrpc(open);
  const uint32_t status = IsGrpc(open) ? GrpcStatusOf(message) : message.status;
  if (status != kUnknownStatus) open.status = status;
  const auto flags = static_cast<uint8_t>(message.flags & (kError | kNoLatency));
  const uint8_t before = open.flags;
  open.flags = static_cast<uint8_t>(open.flags | flags);
  if ((message.flags & kEnds) == 0) return;
  const uint64_t share = open.request_bytes / open.count;
  BookOne(open, share);
  if (--open.count == 0) {
    ledger_.Release(open.operation);
    return Remove(at);
  }
  open.request_bytes -= share;
  open.response_ns = open.response_bytes = 0;
  open.status = kUnknownStatus;
  open.flags = before;
}

void Pairing::BookOne(const Open& open, uint64_t request_bytes) {
  uint8_t flags = open.flags;
  if (IsGrpc(open)) {
    const bool failed = open.status != kUnknownStatus && open.status != 0;
    flags = static_cast<uint8_t>(failed ? flags | kError : flags & ~kError);
  }
  ledger_.Book(rows_, {open.operation, open.status, RowFlags(flags), request_bytes, open.response_bytes,
                       UsBetween(open.first_ns, open.response_ns), UsBetween(open.first_ns, open.last_ns)});
}

void Pairing::BookUnknown(Open& open) {
  for (; open.count > 0; open.count--) {
    const uint64_t share = open.request_bytes / open.count;
    open.request_bytes -= share;
    ledger_.Book(rows_, {open.operation, kUnknownStatus, RowFlags(open.flags & kNoLatency), share,
                         open.response_bytes, 0, 0});
    open.response_bytes = 0;
  }
  ledger_.Release(open.operation);
}

void Pairing::Remove(uint32_t at) {
  const Open& open = At(at);
  (open.before == kNone ? first_ : At(open.before).next) = open.next;
  (open.next == kNone ? last_ : At(open.next).before) = open.before;
  ledger_.FreeRequest(at);
  --count_;
}

void Pairing::GiveUpAll() {
  for (; count_ > 0; Remove(first_)) BookUnknown(At(first_));
  beyond_ = 0;
}

Pairing::~Pairing() {
  for (; count_ > 0; Remove(first_)) ledger_.Release(At(first_).operation);
}

void Pairing::EndAll(const Message& message) {
  for (; count_ > 0; Remove(first_)) {
    Open& open = At(first_);
    if (open.response_ns == 0) open.response_ns = message.first_ns;
    open.last_ns = message.last_ns;
    open.status = message.status;
    open.flags = static_cast<uint8_t>(open.flags | (message.flags & (kError | kNoLatency)));
    for (; open.count > 0; open.count--) {
      const uint64_t share = open.request_bytes / open.count;
      open.request_bytes -= share;
      BookOne(open, share);
      open.response_bytes = 0;
    }
    ledger_.Release(open.operation);
  }
  beyond_ = 0;
}

void Pairing::OutOfStep(Side) {
  ++counters_.out_of_step;
  GiveUpAll();
  shaken_ = true;
  settling_ = pipelined_;
}

bool Pairing::GiveUpBefore(uint64_t ns) {
  bool any = false;
  for (uint32_t at = first_; at != kNone;) {
    Open& open = At(at);
    const uint32_t next = open.next;
    // One that has begun to be answered may go on for as long as it likes, unless its end may be missing.
    if (open.first_ns < ns && (open.response_ns == 0 || (gap_ && open.last_ns < ns))) {
      BookUnknown(open);
      Remove(at);
      any = true;
    }
    at = next;
  }
  return any;
}

void Pairing::Close() {
  for (; count_ > 0; Remove(first_)) {
    Open& open = At(first_);
    if (open.response_ns == 0 || open.status == kUnknownStatus) {
      BookUnknown(open);
      continue;
    }
    const uint64_t share = open.request_bytes / open.count;
    BookOne(open, share);
    open.request_bytes -= share;
    if (--open.count > 0)
      BookUnknown(open);
    else
      ledger_.Release(open.operation);
  }
  beyond_ = 0;
}

}  // namespace skybraid::l7
