#include "http1.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "../route.h"

namespace skybraid::l7 {

namespace {

constexpr uint64_t kNoEnd = ~0ull;
constexpr uint32_t kNobodyAsked = UINT32_MAX;
constexpr size_t kLongestMethod = 7;
constexpr std::string_view kMethods[] = {"GET",     "POST",  "PUT",   "DELETE", "HEAD",
                                         "OPTIONS", "PATCH", "TRACE", "CONNECT"};

// kMaybe: what is there may become one.
Verdict IsMethod(std::string_view text) {
  const size_t space = text.substr(0, kLongestMethod + 1).find(' ');
  if (space == std::string_view::npos && text.size() > kLongestMethod) return Verdict::kNo;
  for (const std::string_view method : kMethods) {
    if (space != std::string_view::npos ? text.substr(0, space) == method
                                        : method.substr(0, text.size()) == text)
      return space != std::string_view::npos ? Verdict::kYes : Verdict::kMaybe;
  }
  return Verdict::kNo;
}

Verdict IsTarget(std::string_view method, std::string_view target) {
  if (target.empty()) return Verdict::kMaybe;
  if (target[0] == '/' || target[0] == '*' || method == "CONNECT") return Verdict::kYes;
  constexpr std::string_view kScheme = "http";
  const size_t size = std::min(kScheme.size(), target.size());
  if (target.substr(0, size) != kScheme.substr(0, size)) return Verdict::kNo;
  return size == kScheme.size() ? Verdict::kYes : Verdict::kMaybe;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "HTTP/1.x 200": as far as it goes.
Verdict IsStatusLine(std::string_view text) {
  constexpr std::string_view kForm = "HTTP/1.d ddd", kBegin = "HTTP/1.";
  if (text.size() >= kForm.size() && text.substr(0, kBegin.size()) == kBegin)
    return IsDigit(text[7]) && text[8] == ' ' && IsDigit(text[9]) && IsDigit(text[10]) && IsDigit(text[11])
               ? Verdict::kYes
               : Verdict::kNo;
  const size_t size = std::min(kForm.size(), text.size());
  for (size_t i = 0; i < size; i++) {
    if (kForm[i] == 'd' ? !IsDigit(text[i]) : kForm[i] != text[i]) return Verdict::kNo;
  }
  return size == kForm.size() ? Verdict::kYes : Verdict::kMaybe;
}

Verdict IsRequestLine(std::string_view text) {
  const Verdict method = IsMethod(text);
  if (method != Verdict::kYes) return method;
  const size_t space = text.find(' ');
  return IsTarget(text.substr(0, space), text.substr(space + 1));
}

bool EqualsFolded(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// Of a header's line, `lower` followed by a colon.
bool IsNamed(std::string_view line, std::string_view lower) {
  return line.size() > lower.size() && line[lower.size()] == ':' &&
         EqualsFolded(line.substr(0, lower.size()), lower);
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The last of a list's items.
std::string_view LastItem(std::string_view list) {
  const size_t comma = list.rfind(',');
  return Trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
}

// Decimal, of at most 18 digits.
bool ParseLength(std::string_view text, uint64_t& value) {
  if (text.empty() || text.size() > 18) return false;
  value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return false;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

uint64_t Bit(uint32_t number) { return 1ull << (number & 63); }

void Mark(uint64_t& set, uint32_t number, bool on) { set = on ? set | Bit(number) : set & ~Bit(number); }

}  // namespace

Verdict ClassifyHttp1(Side side, const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  return side == Side::kToServer ? IsRequestLine(text) : IsStatusLine(text);
}

void Http1::Reset(Half& half) {
  const uint32_t number = half.number;
  half.state = State::kStart;
  half.cut = half.chunked = half.has_length = half.coded = half.error = half.timeless = false;
  half.kept = half.status = 0;
  half.left = half.bytes = half.first_ns = half.last_ns = 0;
  half.number = number;
}

void Http1::Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  if (half.state == State::kAstray) {
    if (ClassifyHttp1(side, bytes, size) != Verdict::kYes) return;
    Reset(half);
  }
  while (size > 0 && half.state != State::kAstray) {
    const uint64_t skippable = Skippable(side);
    size_t taken = PassHeaders(half, bytes, size);
    if (taken == 0 && skippable > 0) {
      taken = static_cast<size_t>(std::min<uint64_t>(skippable, size));
      Pass(side, taken, ns, sink);
    } else if (taken == 0) {
      taken = EatLine(side, bytes, size, ns, sink);
    }
    bytes += taken;
    size -= taken;
  }
}

// Whole lines of a head that are neither of content nor Transfer-Encoding, Host or Prefer, by their first
// letter.
size_t Http1::PassHeaders(Half& half, const uint8_t* bytes, size_t size) {
  size_t at = 0;
  if (half.state != State::kHeaders || half.kept > 0 || half.cut) return 0;
  while (at < size) {
    if (bytes[at] < ' ' || strchr("cCtThHpP", bytes[at]) != nullptr) break;
    const auto* end = static_cast<const uint8_t*>(memchr(bytes + at, '\n', size - at));
    if (end == nullptr) break;
    at = static_cast<size_t>(end - bytes) + 1;
  }
  half.bytes += at;
  return at;
}

// Up to the end of a line. A line that is there as a whole is not copied.
size_t Http1::EatLine(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  if (half.first_ns == 0) half.first_ns = ns;
  const auto* end = static_cast<const uint8_t*>(memchr(bytes, '\n', size));
  const size_t taken = end != nullptr ? static_cast<size_t>(end - bytes) + 1 : size;
  half.bytes += taken;
  const size_t text = end != nullptr ? taken - 1 : taken;
  if (end != nullptr && half.kept == 0 && !half.cut && text <= kLineBytes) {
    OnLine(side, reinterpret_cast<const char*>(bytes), text, false, ns, sink);
    return taken;
  }
  const size_t room = kLineBytes - half.kept;
  memcpy(half.line + half.kept, bytes, std::min(room, text));
  half.kept = static_cast<uint16_t>(half.kept + std::min(room, text));
  half.cut = half.cut || text > room;
  if (end == nullptr) return taken;
  const size_t kept = half.kept;
  const bool cut = half.cut;
  half.kept = 0;
  half.cut = false;
  OnLine(side, half.line, kept, cut, ns, sink);
  return taken;
}

void Http1::OnLine(Side side, const char* line, size_t size, bool cut, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  if (size > 0 && line[size - 1] == '\r' && !cut) --size;
  switch (half.state) {
    case State::kStart:
      // A line end more than needed between two messages is nothing.
      if (size == 0) {
        half.bytes = half.first_ns = 0;
        return;
      }
      return OnFirstLine(side, line, size, cut, ns, sink);
    case State::kHeaders:
      return size == 0 ? OnHeadEnd(side, ns, sink) : OnHeader(side, line, size, cut);
    case State::kChunkSize:
      return OnChunkSize(side, line, size, sink);
    case State::kTrailer:
      if (size == 0) End(side, ns, sink);
      return;
    default:
      return;
  }
}

void Http1::OnFirstLine(Side side, const char* line, size_t size, bool cut, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  const bool ok = side == Side::kToServer ? OnRequestLine(line, size, cut) : OnStatusLine(line, size);
  if (ok) {
    half.state = State::kHeaders;
    return;
  }
  half.state = State::kAstray;
  sink.OutOfStep(side);
}

bool Http1::OnRequestLine(const char* line, size_t size, bool cut) {
  const std::string_view text(line, size);
  if (IsRequestLine(text) != Verdict::kYes) return false;
  const size_t space = text.find(' ');
  const size_t last = text.rfind(' ');
  const bool has_version = !cut && last > space && text.substr(last + 1, 7) == "HTTP/1.";
  if (!cut && !has_version) return false;
  const std::string_view method = text.substr(0, space);
  const std::string_view target = text.substr(space + 1, cut ? std::string_view::npos : last - space - 1);
  operation_.Clear();
  operation_.Add(method);
  operation_.Add(' ');
  // The target of CONNECT is a host and its port, which is not a route.
  if (method == "CONNECT") {
    operation_.Add("{host}");
  } else {
    AddRoute(target, cut, operation_);
  }
  const std::string_view authority = AuthorityOf(target);
  host_in_target_ = !authority.empty();
  host_size_ = static_cast<uint8_t>(FoldHost(authority, host_));
  const uint32_t number = half_[Index(Side::kToServer)].number;
  Mark(heads_, number, method == "HEAD");
  Mark(connects_, number, method == "CONNECT");
  return true;
}

bool Http1::OnStatusLine(const char* line, size_t size) {
  if (IsStatusLine({line, size}) != Verdict::kYes) return false;
  Half& half = half_[Index(Side::kToClient)];
  half.status = static_cast<uint16_t>((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
  half.error = half.status >= 500;
  return half.status >= 100;
}

void Http1::OnHeader(Side side, const char* line, size_t size, bool cut) {
  constexpr std::string_view kLength = "content-length", kCoding = "transfer-encoding", kHost = "host";
  constexpr std::string_view kType = "content-type", kEvents = "text/event-stream", kPrefer = "prefer";
  Half& half = half_[Index(side)];
  const std::string_view text(line, size);
  if (IsNamed(text, kLength)) {
    half.has_length = ParseLength(Trim(text.substr(kLength.size() + 1)), half.left);
  } else if (IsNamed(text, kCoding)) {
    half.chunked = EqualsFolded(LastItem(text.substr(kCoding.size() + 1)), "chunked");
    half.coded = !half.chunked;
  } else if (IsNamed(text, kType)) {
    const std::string_view type = Trim(text.substr(kType.size() + 1));
    half.timeless = half.timeless || EqualsFolded(type.substr(0, kEvents.size()), kEvents);
  } else if (IsNamed(text, kPrefer)) {
    half.timeless = half.timeless || text.find("wait=") != std::string_view::npos;
  } else if (side == Side::kToServer && !host_in_target_ && !cut && IsNamed(text, kHost)) {
    // The target's own host goes before the header's.
    host_size_ = static_cast<uint8_t>(FoldHost(Trim(text.substr(kHost.size() + 1)), host_));
  }
}

void Http1::OnHeadEnd(Side side, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  const Half& asked = half_[Index(Side::kToServer)];
  const bool answers = side == Side::kToClient;
  // 100 and the like announce the response; only 101 is one.
  if (answers && half.status < 200 && half.status != 101) return Reset(half);
  if (answers && half.number == asked.number) {
    // Whether it has a body depends on a request that was not seen.
    half.number = kNobodyAsked;
    Emit(side, kBegins | kEnds, ns, sink);
    half.number = asked.number;
    half.state = State::kAstray;
    return;
  }
  if (!answers) EndUnmeasured(sink);
  const State next = AfterHead(side);
  const bool tunnel = answers && next == State::kForever && half.status < 300 && TunnelBegins(half);
  const bool ends = next == State::kStart || tunnel;
  Emit(side, static_cast<uint8_t>(kBegins | (ends ? kEnds : 0)), ns, sink);
  half.number++;
  if (ends) Reset(half);
  half.state = next;
  if (tunnel) half_[Index(Side::kToServer)].state = State::kForever;
  if (!answers && half.number - half_[Index(Side::kToClient)].number > kMaxOpen) Lost(side, ns, sink);
}

// What comes after this response is no HTTP any more.
bool Http1::TunnelBegins(const Half& response) const {
  return response.status == 101 || ((connects_ & Bit(response.number)) != 0 && response.status < 300);
}

// What follows a head. kStart: nothing.
Http1::State Http1::AfterHead(Side side) const {
  const Half& half = half_[Index(side)];
  if (side == Side::kToClient) {
    if (TunnelBegins(half)) return State::kForever;
    if ((heads_ & Bit(half.number)) != 0 || half.status == 204 || half.status == 304) return State::kStart;
  }
  if (half.chunked) return State::kChunkSize;
  if (half.coded) return State::kForever;
  if (half.has_length) return half.left > 0 ? State::kBody : State::kStart;
  return side == Side::kToServer ? State::kStart : State::kForever;
}

void Http1::OnChunkSize(Side side, const char* line, size_t size, Sink& sink) {
  Half& half = half_[Index(side)];
  uint64_t chunk = 0;
  size_t digits = 0;
  for (; digits < size && digits < 16; digits++) {
    const int digit = HexDigit(line[digits]);
    if (digit < 0) break;
    chunk = chunk << 4 | static_cast<uint64_t>(digit);
  }
  // A size that is none: nothing that follows has a known place.
  if (digits == 0 || digits > 12) {
    half.state = State::kAstray;
    return sink.OutOfStep(side);
  }
  half.left = chunk + 2;
  half.state = chunk == 0 ? State::kTrailer : State::kChunk;
}

// Bytes of a body.
void Http1::Pass(Side side, uint64_t count, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  half.bytes += count;
  half.last_ns = ns;
  if (half.state == State::kForever || half.state == State::kUntilAsked) return;
  half.left -= count;
  if (half.left > 0) return;
  if (half.state == State::kChunk)
    half.state = State::kChunkSize;
  else
    End(side, ns, sink);
}

void Http1::End(Side side, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  half.number--;
  Emit(side, kEnds, ns, sink);
  half.number++;
  Reset(half);
}

void Http1::Emit(Side side, uint8_t flags, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  Message message;
  const bool asks = side == Side::kToServer;
  message.kind = asks ? Message::Kind::kRequest : Message::Kind::kResponse;
  message.flags = static_cast<uint8_t>(flags | (half.error ? kError : 0) | (half.timeless ? kNoLatency : 0));
  if (!asks) message.status = half.status;
  message.key = half.number;
  message.bytes = half.bytes;
  message.first_ns = (flags & kBegins) != 0 ? half.first_ns : ns;
  message.last_ns = ns;
  if (asks && (flags & kBegins) != 0) {
    message.operation = operation_.view();
    message.host = {host_, host_size_};
    // A tunnel lasts as long as its user likes.
    if ((connects_ & Bit(half.number)) != 0) message.flags |= kNoLatency;
  }
  sink.Emit(message);
  half.bytes = 0;
}

uint64_t Http1::Skippable(Side side) const {
  const Half& half = half_[Index(side)];
  switch (half.state) {
    case State::kBody:
    case State::kChunk:
      return half.left;
    case State::kForever:
      return kNoEnd;
    case State::kUntilAsked:
      return kOpenEnd;
    default:
      return 0;
  }
}

void Http1::Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) { Pass(side, count, ns, sink); }

// What is missing belongs to the only response that is open, and so does all that comes until something is
// asked.
bool Http1::GoesOnUntilAsked(uint64_t ns, Sink& sink) {
  Half& half = half_[Index(Side::kToClient)];
  const uint32_t open = half_[Index(Side::kToServer)].number - half.number;
  if (half.state == State::kHeaders) {
    if (open != 1 || half.status < 200) return false;
    Emit(Side::kToClient, kBegins, ns, sink);
    half.number++;
  } else if (half.state < State::kBody || half.state > State::kTrailer || open != 0) {
    return false;
  }
  half.state = State::kUntilAsked;
  half.last_ns = ns;
  half.kept = 0;
  half.cut = false;
  return true;
}

// The response before ended with the last byte that came. What still comes is looked through for the next
// one.
void Http1::EndUnmeasured(Sink& sink) {
  Half& half = half_[Index(Side::kToClient)];
  if (half.state != State::kUntilAsked) return;
  End(Side::kToClient, half.last_ns, sink);
  half.state = State::kAstray;
}

// How many messages were in what is missing is not known, unless it can only be of one response: what is open
// stays without an answer.
void Http1::Lost(Side side, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  if (half.state == State::kForever || half.state == State::kAstray || half.state == State::kUntilAsked)
    return;
  if (side == Side::kToClient && GoesOnUntilAsked(ns, sink)) return;
  Reset(half);
  half.state = State::kAstray;
  half_[Index(Side::kToClient)].number = half_[Index(Side::kToServer)].number;
  sink.OutOfStep(side);
}

}  // namespace skybraid::l7
