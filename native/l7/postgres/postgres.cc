#include "postgres.h"

#include <algorithm>
#include <cstring>

namespace skybraid::l7::postgres {

namespace {

constexpr uint32_t kProtocol3 = 3, kCancel = 80877102, kTls = 80877103, kGss = 80877104;
constexpr uint32_t kLongest = 1u << 30;
constexpr uint32_t kLongestStartup = 10'000;
constexpr size_t kStartupHead = 8, kHead = 5;
constexpr uint64_t kOfPortal = 1, kOfStatement = 2;

constexpr std::string_view kClientTypes = "QPBDESHCFdcfpX";
constexpr std::string_view kServerTypes = "RKSZTDCIE123tnsNAGHWdcVv";

uint32_t U32(const uint8_t* b) {
  return static_cast<uint32_t>(b[0]) << 24 | static_cast<uint32_t>(b[1]) << 16 |
         static_cast<uint32_t>(b[2]) << 8 | b[3];
}

bool IsType(Side side, uint8_t type) {
  const std::string_view types = side == Side::kToServer ? kClientTypes : kServerTypes;
  return types.find(static_cast<char>(type)) != std::string_view::npos;
}

// A message's length, its type left out, as that type may have it.
bool IsLength(Side side, uint8_t type, uint32_t length) {
  if (length < 4 || length > kLongest) return false;
  if (side == Side::kToServer) {
    if (type == 'S' || type == 'H' || type == 'X' || type == 'c') return length == 4;
    return type == 'd' || length >= (type == 'E' ? 9u : 5u);
  }
  if (type == 'Z') return length == 5;
  if (type == 'I' || type == '1' || type == '2' || type == '3' || type == 'n' || type == 's' || type == 'c')
    return length == 4;
  return type == 'd' || type == 'K' ? true : length >= 5;
}

bool IsStartup(uint32_t length, uint32_t code) {
  if (code == kTls || code == kGss) return length == 8;
  if (code == kCancel) return length == 16 || (length > 16 && length <= 268);
  return code >> 16 == kProtocol3 && length > 8 && length <= kLongestStartup;
}

// Whether these bytes are messages one after the other, as far as they reach; how many.
size_t Messages(Side side, const uint8_t* bytes, size_t size) {
  size_t at = 0, count = 0;
  for (; at + kHead <= size; count++) {
    const uint32_t length = U32(bytes + at + 1);
    if (!IsType(side, bytes[at]) || !IsLength(side, bytes[at], length)) return 0;
    at += 1 + size_t{length};
  }
  return at < size && !IsType(side, bytes[at]) ? 0 : count;
}

bool IsText(const uint8_t* bytes, size_t size) {
  return std::all_of(bytes, bytes + size, [](uint8_t c) { return c >= 0x20 || (c >= 9 && c <= 13); });
}

// A simple query: text that a zero ends, and nothing behind it. One that is not there whole has a length
// whose first byte is no text, or it may be any line that begins with a Q.
Verdict IsQuery(const uint8_t* bytes, size_t size) {
  if (bytes[1] != 0) return Verdict::kNo;
  const size_t whole = 1 + size_t{U32(bytes + 1)};
  const size_t text = whole - kHead - 1;
  if (!IsText(bytes + kHead, std::min(text, size - kHead))) return Verdict::kNo;
  if (size < whole) return size >= 24 ? Verdict::kYes : Verdict::kMaybe;
  return bytes[whole - 1] == 0 ? Verdict::kYes : Verdict::kNo;
}

}  // namespace

uint32_t PackState(const char* five) {
  uint32_t packed = 0;
  for (int i = 0; i < 5; i++) {
    const char c = five[i];
    const uint32_t digit = c >= '0' && c <= '9'   ? static_cast<uint32_t>(c - '0')
                           : c >= 'A' && c <= 'Z' ? static_cast<uint32_t>(c - 'A' + 10)
                                                  : 0;
    packed = packed * 36 + digit;
  }
  return packed;
}

Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  const bool to_server = side == Side::kToServer;
  if (size == 0) return Verdict::kMaybe;
  if (to_server && bytes[0] == 0) {
    if (size < kStartupHead) return Verdict::kMaybe;
    return IsStartup(U32(bytes), U32(bytes + 4)) ? Verdict::kYes : Verdict::kNo;
  }
  if (!IsType(side, bytes[0])) return Verdict::kNo;
  if (size < kHead) return Verdict::kMaybe;
  if (!IsLength(side, bytes[0], U32(bytes + 1))) return Verdict::kNo;
  if (to_server && bytes[0] == 'Q') return IsQuery(bytes, size);
  // Joined in the middle: what is sure are several messages of the right kind, the last of them whole.
  const size_t count = Messages(side, bytes, size);
  if (count == 0) return Verdict::kNo;
  if (to_server) return count >= 3 && strchr("PBDE", bytes[0]) != nullptr ? Verdict::kYes : Verdict::kMaybe;
  const bool ready = size >= 6 && bytes[size - 6] == 'Z' && strchr("ITE", bytes[size - 1]) != nullptr;
  return count >= 2 && ready ? Verdict::kYes : Verdict::kMaybe;
}

bool PostgresParser::BeginsFrame(Side side, const uint8_t* bytes, size_t size) const {
  if (Classify(side, bytes, size) == Verdict::kYes) return bytes[0] != 0;
  // Of a conversation that is known to be one, a message that is there whole is enough.
  const size_t count = Messages(side, bytes, size);
  return count >= 2 || (count == 1 && size == 1 + size_t{U32(bytes + 1)});
}

Verdict PostgresParser::Head(Side side, const uint8_t* head, size_t have, uint64_t& length) {
  if (side == Side::kToServer && startup_) {
    if (have < kStartupHead) return Verdict::kMaybe;
    length = U32(head) - kStartupHead;
    return IsStartup(U32(head), U32(head + 4)) ? Verdict::kYes : Verdict::kNo;
  }
  if (side == Side::kToClient && asks_tls_ && head[0] != 'E') {
    length = 0;
    return strchr("SGN", head[0]) != nullptr ? Verdict::kYes : Verdict::kNo;
  }
  if (have < kHead) return IsType(side, head[0]) ? Verdict::kMaybe : Verdict::kNo;
  length = U32(head + 1);
  if (!IsLength(side, head[0], static_cast<uint32_t>(length))) return Verdict::kNo;
  length -= 4;
  part_ = side == Side::kToServer ? 0 : part_;
  if (side == Side::kToServer) {
    if (head[0] == 'Q' || head[0] == 'P') fingerprint_.Begin();
    if (head[0] == 'C' || head[0] == 'D') kind_ = 0;
    name_.Begin(head[0] == 'P' ? kOfStatement : kOfPortal);
  } else if (head[0] == 'E') {
    field_ = state_size_ = 0;
  }
  return Verdict::kYes;
}

void PostgresParser::Payload(Side side, const uint8_t* bytes, size_t size) {
  if (side == Side::kToServer) {
    if (!startup_) ClientText(bytes, size);
  } else if (Of(side).head[0] == 'E') {
    ErrorText(bytes, size);
  }
}

// Names and statements, each ended by a zero.
void PostgresParser::ClientText(const uint8_t* bytes, size_t size) {
  const uint8_t type = Of(Side::kToServer).head[0];
  const uint8_t text_part = type == 'Q' ? 0 : type == 'P' ? 1 : 255;
  const uint8_t names = type == 'B' ? 2 : type == 'P' || type == 'E' ? 1 : 0;
  const uint8_t* end = bytes + size;
  while (bytes < end) {
    if ((type == 'C' || type == 'D') && kind_ == 0) {
      kind_ = *bytes++;
      name_.Begin(kind_ == 'S' ? kOfStatement : kOfPortal);
      continue;
    }
    const bool is_name = part_ < names || ((type == 'C' || type == 'D') && part_ == 0);
    if (!is_name && part_ != text_part) return;
    const auto* zero = static_cast<const uint8_t*>(memchr(bytes, 0, static_cast<size_t>(end - bytes)));
    const uint8_t* to = zero == nullptr ? end : zero;
    if (is_name) {
      for (; bytes < to; bytes++) name_.Add(*bytes);
    } else {
      fingerprint_.Eat(bytes, static_cast<size_t>(to - bytes));
    }
    if (zero == nullptr) return;
    if (is_name && part_ < 2) {
      names_[part_] = name_.Get();
      name_.Begin(kOfStatement);
    }
    bytes = zero + 1;
    part_++;
  }
}

void PostgresParser::ErrorText(const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (field_ == 0) {
      field_ = bytes[i];
    } else if (bytes[i] == 0) {
      field_ = 0;
    } else if (field_ == 'C' && state_size_ < sizeof sql_state_) {
      sql_state_[state_size_++] = static_cast<char>(bytes[i]);
    }
  }
}

void PostgresParser::FrameEnds(Side side, uint64_t ns, Sink& sink) {
  if (side == Side::kToClient) return ServerEnds(ns, sink);
  if (startup_)
    StartupEnds(ns, sink);
  else
    ClientEnds(ns, sink);
}

void PostgresParser::StartupEnds(uint64_t ns, Sink& sink) {
  const Frame& frame = Of(Side::kToServer);
  const uint32_t code = U32(frame.head + 4);
  if (code == kTls || code == kGss) {
    asks_tls_ = true;
    tls_ns_ = frame.first_ns;
    return;
  }
  if (code == kCancel) {
    Message message;
    message.flags |= kNoResponse | kNoLatency;
    message.operation = "CANCEL";
    message.bytes = frame.bytes;
    message.first_ns = frame.first_ns;
    message.last_ns = ns;
    return sink.Emit(message);
  }
  startup_ = false;
  Ask(Item::kConnect, "CONNECT", frame.first_ns, frame.bytes, ns, sink);
}

// The server agrees: what follows is encrypted, and no business of this parser.
void PostgresParser::Tls(uint64_t ns, Sink& sink) {
  asks_tls_ = false;
  if (Of(Side::kToClient).head[0] == 'N') return;
  Ask(Item::kConnect, "{tls}", tls_ns_, kStartupHead, tls_ns_, sink);
  response_ = {Of(Side::kToClient).first_ns, 1, 0, true};
  Answer(0, ns, sink);
  Deafen();
}

void PostgresParser::Ask(Item item, std::string_view operation, uint64_t first_ns, uint64_t bytes,
                         uint64_t ns, Sink& sink) {
  Message message;
  message.operation = operation;
  message.bytes = bytes;
  message.first_ns = first_ns;
  message.last_ns = ns;
  if (discards_) message.flags |= kNoResponse;
  sink.Emit(message);
  if (!discards_) Push(item, sink);
}

void PostgresParser::Push(Item item, Sink& sink) {
  if (count_ == kMaxItems) {  // whose answers come is not known any more
    count_ = 0;
    sink.OutOfStep(Side::kToServer);
  }
  items_[(first_ + count_++) % kMaxItems] = item;
}

void PostgresParser::Pop() {
  first_ = static_cast<uint16_t>((first_ + 1) % kMaxItems);
  count_--;
}

// The request at the front has its answer.
void PostgresParser::Answer(uint32_t status, uint64_t ns, Sink& sink) {
  Message message;
  message.kind = Message::Kind::kResponse;
  message.status = status;
  if (status != 0 && status != kUnknownStatus) message.flags |= kError;
  if (response_.streams) message.flags |= kNoLatency;
  message.bytes = response_.bytes;
  message.first_ns = response_.first_ns == 0 ? ns : response_.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
  response_ = Response{};
  Pop();
}

// A Parse is whole: its statement has a name from now on.
void PostgresParser::Parsed() {
  fingerprint_.End(Of(Side::kToServer).cut && part_ < 2);
  sql::Statements& all = sql::AllStatements();
  const uint16_t statement = part_ > 0 ? all.Hold(fingerprint_.text()) : sql::kNoStatement;
  if (part_ > 0) prepared_.Set(names_[0], statement);
  all.Release(statement);
  group_.parses = true;
}

void PostgresParser::ClientEnds(uint64_t ns, Sink& sink) {
  const Frame& frame = Of(Side::kToServer);
  const uint8_t type = frame.head[0];
  if (strchr("PBDEC", type) != nullptr) {
    if (group_.first_ns == 0) group_.first_ns = frame.first_ns;
    group_.bytes += frame.bytes;
  }
  switch (type) {
    case 'Q':
      group_ = Group{};
      discards_ = false;
      fingerprint_.End(frame.cut);
      return Ask(Item::kQuery, fingerprint_.text(), frame.first_ns, frame.bytes, ns, sink);
    case 'P':
      return Parsed();
    case 'B':
      if (part_ >= 2) prepared_.Set(names_[0], prepared_.Find(names_[1]));
      return;
    case 'E': {
      const uint16_t statement = part_ >= 1 ? prepared_.Find(names_[0]) : sql::kNoStatement;
      const Group group = group_;
      group_ = Group{};
      return Ask(Item::kExecute, sql::AllStatements().Text(statement), group.first_ns, group.bytes, ns, sink);
    }
    case 'C':
      if (part_ >= 1) prepared_.Remove(names_[0]);
      return;
    case 'S':
      EndGroup(ns, sink);
      discards_ = false;
      return Push(Item::kSync, sink);
    case 'F':
      return Ask(Item::kQuery, "FUNCTION", frame.first_ns, frame.bytes, ns, sink);
    case 'd':
    case 'c':
    case 'f':
    case 'p': {
      if (count_ == 0) return;
      Message message;
      message.flags = 0;
      message.bytes = frame.bytes;
      message.first_ns = frame.first_ns;
      message.last_ns = ns;
      return sink.Emit(message);
    }
    default:
      return;
  }
}

// Messages that no Execute followed are a request of their own.
void PostgresParser::EndGroup(uint64_t ns, Sink& sink) {
  if (group_.first_ns == 0) return;
  OperationText operation;
  operation.Add(group_.parses ? std::string_view("PREPARE ") : std::string_view("DESCRIBE"));
  // The last that was parsed; its text is still there.
  if (group_.parses) {
    for (const char c : fingerprint_.text()) operation.Add(static_cast<uint8_t>(c));
  }
  const Group group = group_;
  group_ = Group{};
  Ask(Item::kGroup, operation.view(), group.first_ns, group.bytes, ns, sink);
}

void PostgresParser::ServerEnds(uint64_t ns, Sink& sink) {
  const Frame& frame = Of(Side::kToClient);
  if (asks_tls_ && frame.bytes == 1) return Tls(ns, sink);
  asks_tls_ = false;
  const uint8_t type = frame.head[0];
  if (type == 'N' || type == 'A' || type == 'S') return;  // on its own account
  if (count_ == 0 && group_.first_ns == 0) return;        // answers nothing that was seen
  if (response_.first_ns == 0) response_.first_ns = frame.first_ns;
  response_.bytes += frame.bytes;
  switch (type) {
    case 'C':
    case 'I':
    case 's':
      return OnComplete(ns, sink);
    case 'E':
      return OnError(ns, sink);
    case 'Z':
      return OnReady(ns, sink);
    case 'G':
    case 'W':
      response_.streams = true;
      return;
    default:
      return;
  }
}

void PostgresParser::OnComplete(uint64_t ns, Sink& sink) {
  // A Sync that a COPY passed over, or messages that stand before the Execute.
  while (count_ > 0 && (Front() == Item::kSync || Front() == Item::kGroup)) {
    if (Front() == Item::kGroup)
      Answer(0, ns, sink);
    else
      Pop();
  }
  if (count_ > 0 && Front() == Item::kExecute) Answer(0, ns, sink);
}

void PostgresParser::OnError(uint64_t ns, Sink& sink) {
  const uint32_t status = state_size_ == 5 ? PackState(sql_state_) : PackState("XX000");
  while (count_ > 0 && Front() == Item::kSync) Pop();
  if (count_ == 0) {
    if (group_.first_ns == 0) return;
    EndGroup(ns, sink);
    if (count_ > 0) Answer(status, ns, sink);
    discards_ = true;
    return;
  }
  if (Front() == Item::kQuery) {
    response_.status = status;
    return;
  }
  const bool connects = Front() == Item::kConnect;
  Answer(status, ns, sink);
  if (connects) return;
  while (count_ > 0 && (Front() == Item::kExecute || Front() == Item::kGroup))
    Answer(kUnknownStatus, ns, sink);
  discards_ = count_ == 0;
}

void PostgresParser::OnReady(uint64_t ns, Sink& sink) {
  while (count_ > 0) {
    const Item item = Front();
    if (item == Item::kSync) {
      Pop();
      break;
    }
    const uint32_t status = item == Item::kExecute ? kUnknownStatus : response_.status;
    Answer(status, ns, sink);
    if (item == Item::kQuery || item == Item::kConnect) break;
  }
  response_ = Response{};
}

void PostgresParser::OnLoss(Side side, Sink& sink) {
  startup_ = asks_tls_ = discards_ = false;
  count_ = 0;
  group_ = Group{};
  response_ = Response{};
  // A statement may have been named anew in what is missing.
  if (side == Side::kToServer) prepared_.Clear();
  sink.OutOfStep(side);
}

}  // namespace skybraid::l7::postgres
