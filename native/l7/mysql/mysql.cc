#include "mysql.h"

#include <algorithm>
#include <cstring>

#include "../operation.h"

namespace skybraid::l7::mysql {

namespace {

constexpr size_t kHead = 4;
constexpr uint32_t kLongest = 0xffffff;
constexpr uint8_t kOk = 0x00, kFile = 0xfb, kEof = 0xfe, kError = 0xff;
constexpr uint16_t kMoreResults = 0x0008, kCursor = 0x0040;
constexpr uint16_t kProgress = 0xffff;
constexpr uint32_t kCompress = 1u << 5, kTls = 1u << 11, kZstd = 1u << 26, kAttributes = 1u << 27;
constexpr size_t kTlsRequest = 32;

enum Code : uint8_t {
  kQuit = 0x01,
  kInitDb = 0x02,
  kQuery = 0x03,
  kFieldList = 0x04,
  kProcessInfo = 0x0a,
  kChangeUser = 0x11,
  kBinlogDump = 0x12,
  kPrepare = 0x16,
  kExecute = 0x17,
  kLongData = 0x18,
  kCloseStatement = 0x19,
  kFetch = 0x1c,
  kBinlogDumpGtid = 0x1e,
  kBulkExecute = 0xfa,
};

std::string_view NameOf(uint8_t code) {
  switch (code) {
    case kInitDb:
      return "INIT_DB";
    case kFieldList:
      return "FIELD_LIST";
    case 0x05:
      return "CREATE_DB";
    case 0x06:
      return "DROP_DB";
    case 0x07:
      return "REFRESH";
    case 0x08:
      return "SHUTDOWN";
    case 0x09:
      return "STATISTICS";
    case kProcessInfo:
      return "PROCESS_INFO";
    case 0x0c:
      return "PROCESS_KILL";
    case 0x0d:
      return "DEBUG";
    case 0x0e:
      return "PING";
    case kChangeUser:
      return "CHANGE_USER";
    case kBinlogDump:
    case kBinlogDumpGtid:
      return "BINLOG_DUMP";
    case 0x15:
      return "REGISTER_REPLICA";
    case 0x1a:
      return "STMT_RESET";
    case 0x1b:
      return "SET_OPTION";
    case kFetch:
      return "FETCH";
    case 0x1f:
      return "RESET_CONNECTION";
    default:
      return {};
  }
}

bool IsCommand(uint8_t code) {
  return (code >= kQuit && code <= 0x0e && code != 0x0b) || (code >= kChangeUser && code <= 0x1f) ||
         code == kBulkExecute;
}

uint16_t U16(const uint8_t* b) { return static_cast<uint16_t>(b[0] | b[1] << 8); }
uint32_t U24(const uint8_t* b) {
  return b[0] | static_cast<uint32_t>(b[1]) << 8 | static_cast<uint32_t>(b[2]) << 16;
}
uint32_t U32(const uint8_t* b) { return U24(b) | static_cast<uint32_t>(b[3]) << 24; }

// Bytes of a number with its length before it.
size_t NumberBytes(uint8_t first) { return first < 0xfb ? 1 : first == 0xfc ? 3 : first == 0xfd ? 4 : 9; }

// The flags of an OK or EOF; 0 if they were not seen.
uint16_t FlagsOf(const uint8_t* bytes, size_t size, uint64_t length) {
  if (bytes[0] == kEof && length == 5) return size >= 5 ? U16(bytes + 3) : uint16_t{0};
  size_t at = 1;
  for (int number = 0; number < 2; number++) {
    if (at >= size) return 0;
    at += NumberBytes(bytes[at]);
  }
  return at + 2 <= size ? U16(bytes + at) : uint16_t{0};
}

// Packets one after the other, exactly.
bool ArePackets(const uint8_t* bytes, size_t size) {
  size_t at = 0;
  for (uint8_t sequence = bytes[3]; at + kHead <= size; sequence++) {
    if (bytes[at + 3] != sequence || U24(bytes + at) == 0) return false;
    at += kHead + U24(bytes + at);
  }
  return at == size;
}

// A statement that begins with a verb.
bool IsStatement(const uint8_t* bytes, size_t size) {
  char word[16];
  size_t begin = 0, length = 0;
  while (begin < size && (bytes[begin] <= ' ' || bytes[begin] == '(')) begin++;
  while (begin + length < size && length < sizeof word) {
    const uint8_t c = bytes[begin + length] | 0x20;
    if (c < 'a' || c > 'z') break;
    word[length++] = static_cast<char>(c);
  }
  const sql::Keyword* keyword = sql::FindKeyword({word, length});
  return keyword != nullptr && keyword->begins;
}

Verdict ClassifyGreeting(const uint8_t* bytes, size_t size) {
  constexpr size_t kEnough = 9;
  if (size >= 4 && bytes[3] != 0) return Verdict::kNo;
  if (size >= 5 && bytes[4] != 0x0a) return Verdict::kNo;
  if (size >= 3 && (U24(bytes) < 40 || U24(bytes) > 512)) return Verdict::kNo;
  for (size_t i = 5; i < std::min(size, kEnough); i++) {
    if ((bytes[i] < '0' || bytes[i] > '9') && bytes[i] != '.') return Verdict::kNo;
  }
  return size >= kEnough ? Verdict::kYes : Verdict::kMaybe;
}

}  // namespace

Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  if (side == Side::kToClient) {
    const Verdict greeting = ClassifyGreeting(bytes, size);
    if (greeting != Verdict::kNo) return greeting;
    // Of an answer in the middle nothing is sure.
    return size > kHead && bytes[3] > 0 && ArePackets(bytes, size) ? Verdict::kMaybe : Verdict::kNo;
  }
  if (size <= kHead) return size < kHead || bytes[3] <= 1 ? Verdict::kMaybe : Verdict::kNo;
  const uint32_t length = U24(bytes);
  if (bytes[3] == 1) return length >= kTlsRequest && length < 4096 ? Verdict::kMaybe : Verdict::kNo;
  if (bytes[3] != 0 || length == 0 || !IsCommand(bytes[4])) return Verdict::kNo;
  if (size > kHead + length) return Verdict::kNo;
  if (bytes[4] == kQuery || bytes[4] == kPrepare) {
    const bool attributes = size > 7 && bytes[5] == 0 && bytes[6] == 1;
    const size_t text = kHead + (attributes ? 3 : 1);
    return size > text && IsStatement(bytes + text, size - text) ? Verdict::kYes : Verdict::kMaybe;
  }
  if (bytes[4] == kExecute && length >= 10 && size >= 14)
    return bytes[9] <= 15 && U32(bytes + 10) == 1 ? Verdict::kYes : Verdict::kNo;
  return Verdict::kMaybe;
}

MysqlParser::~MysqlParser() { Drop(); }

void MysqlParser::Drop() {
  for (; count_ > 0; count_--) {
    sql::AllStatements().Release(Front().statement);
    first_ = static_cast<uint8_t>((first_ + 1) % kMaxOpen);
  }
  sql::AllStatements().Release(newest_);
  newest_ = sql::kNoStatement;
}

bool MysqlParser::BeginsFrame(Side side, const uint8_t* bytes, size_t size) const {
  if (size <= kHead) return false;
  if (side == Side::kToClient) return bytes[3] == 1 && ArePackets(bytes, size);
  return Classify(side, bytes, size) == Verdict::kYes ||
         (bytes[3] == 0 && IsCommand(bytes[4]) && size == kHead + U24(bytes));
}

Verdict MysqlParser::Head(Side side, const uint8_t* head, size_t have, uint64_t& length) {
  if (have < kHead) return Verdict::kMaybe;
  length = U24(head);
  Half& half = halves_[Index(side)];
  const bool to_server = side == Side::kToServer;
  if (phase_ == Phase::kCommands && !half.continues) {
    const bool sends = count_ > 0 && (next_ == Answer::kFile || next_ == Answer::kLogin);
    if (to_server && !sends && (head[3] != 0 || length == 0)) return Verdict::kNo;
    // Packets of long results count on from 255 to 0.
    if (!to_server && ((head[3] == 0 && sequence_ != 255) || length == 0)) return Verdict::kNo;
  }
  if (!to_server) sequence_ = head[3];
  if (half.continues) return Verdict::kYes;
  half.begin.size = 0;
  half.bytes = 0;
  half.cut = false;
  half.first_ns = Of(side).first_ns;
  if (to_server) fingerprint_.Begin();
  return Verdict::kYes;
}

void MysqlParser::Payload(Side side, const uint8_t* bytes, size_t size) {
  Half& half = halves_[Index(side)];
  Begin& begin = half.begin;
  const bool reads = side == Side::kToServer && phase_ == Phase::kCommands;
  // The text begins behind what is kept of every command.
  for (; size > 0 && begin.size < (reads ? 1 : sizeof begin.bytes); size--)
    begin.bytes[begin.size++] = *bytes++;
  if (!reads || size == 0) return;
  const uint8_t code = begin.bytes[0];
  const bool has_text = code == kQuery || code == kPrepare;
  size_t kept = has_text ? 1 : 5;
  if (code == kQuery && attributes_) kept = 3;
  for (; size > 0 && begin.size < kept; size--) begin.bytes[begin.size++] = *bytes++;
  // Attributes with values stand before the text, in a form of their own: that text is not read.
  const bool plain = kept < 3 || (begin.bytes[1] == 0 && begin.bytes[2] == 1);
  if (has_text && plain && !half.cut) fingerprint_.Eat(bytes, size);
}

void MysqlParser::FrameEnds(Side side, uint64_t ns, Sink& sink) {
  Half& half = halves_[Index(side)];
  const Frame& frame = Of(side);
  half.bytes += frame.bytes;
  half.cut = half.cut || frame.cut;
  half.continues = frame.bytes == kHead + kLongest;
  if (half.continues) return;
  if (side == Side::kToServer)
    ClientEnds(ns, sink);
  else
    ServerEnds(ns, sink);
}

void MysqlParser::ClientEnds(uint64_t ns, Sink& sink) {
  if (phase_ == Phase::kGreeting) return;  // before the server said anything
  if (phase_ == Phase::kLogin) return LoginEnds(ns, sink);
  const bool sends = count_ > 0 && (next_ == Answer::kFile || next_ == Answer::kLogin);
  if (!sends) return Command(ns, sink);
  const Half& half = halves_[0];
  if (next_ == Answer::kFile && half.bytes == kHead) next_ = Answer::kFirst;  // the file's end
  Message message;
  message.flags = 0;
  message.bytes = half.bytes;
  message.first_ns = half.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

// Nothing can be read from here on, and the operation says why.
void MysqlParser::GiveUp(std::string_view operation, uint64_t ns, Sink& sink) {
  Ask(operation, {}, ns, sink, kNoResponse | kNoLatency);
  Deafen();
}

void MysqlParser::LoginEnds(uint64_t ns, Sink& sink) {
  const Half& half = halves_[0];
  phase_ = Phase::kCommands;
  if (half.begin.size < 4) return GoAstray(Side::kToServer, sink);
  const uint32_t both = U32(half.begin.bytes) & capabilities_;
  if ((both & kTls) != 0 && half.bytes == kHead + kTlsRequest) return GiveUp("{tls}", ns, sink);
  compressed_ = (both & (kCompress | kZstd)) != 0;
  attributes_ = (both & kAttributes) != 0;
  Ask("CONNECT", {Answer::kLogin}, ns, sink);
}

void MysqlParser::Ask(std::string_view operation, Open open, uint64_t ns, Sink& sink, uint8_t flags) {
  const Half& half = halves_[0];
  Message message;
  message.flags = static_cast<uint8_t>(message.flags | flags);
  message.operation = operation;
  message.bytes = half.bytes;
  message.first_ns = half.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
  if ((flags & kNoResponse) != 0) return;
  if (count_ == kMaxOpen) {  // whose answers come is not known any more
    Drop();
    sink.OutOfStep(Side::kToServer);
  }
  open_[(first_ + count_++) % kMaxOpen] = open;
  if (count_ == 1) next_ = open.begins;
}

void MysqlParser::Command(uint64_t ns, Sink& sink) {
  const Half& half = halves_[0];
  const Begin& begin = half.begin;
  if (begin.size == 0) return GoAstray(Side::kToServer, sink);
  const uint8_t code = begin.bytes[0];
  const uint32_t id = begin.size >= 5 ? U32(begin.bytes + 1) : 0;
  switch (code) {
    case kQuit:
    case kLongData:
      return;
    case kCloseStatement:
      return prepared_.Remove(id);
    case kQuery:
      fingerprint_.End(half.cut);
      return Ask(fingerprint_.text(), {}, ns, sink);
    case kPrepare:
      return OnPrepare(ns, sink);
    case kExecute:
    case kBulkExecute: {
      const uint16_t statement = id == UINT32_MAX ? newest_ : prepared_.Find(id);
      return Ask(begin.size >= 5 ? sql::AllStatements().Text(statement) : "", {}, ns, sink);
    }
    case kBinlogDump:
    case kBinlogDumpGtid:
      return GiveUp(NameOf(code), ns, sink);
    case kFetch:
    case kFieldList:
      return Ask(NameOf(code), {Answer::kRows}, ns, sink);
    case kProcessInfo:
      return Ask(NameOf(code), {}, ns, sink);
    case kChangeUser:
      prepared_.Clear();
      return Ask(NameOf(code), {Answer::kLogin}, ns, sink);
    default:
      if (!IsCommand(code)) return GoAstray(Side::kToServer, sink);
      return Ask(NameOf(code), {Answer::kSingle}, ns, sink);
  }
}

void MysqlParser::OnPrepare(uint64_t ns, Sink& sink) {
  fingerprint_.End(halves_[0].cut);
  OperationText operation;
  operation.Add(std::string_view("PREPARE "));
  for (const char c : fingerprint_.text()) operation.Add(static_cast<uint8_t>(c));
  sql::Statements& all = sql::AllStatements();
  all.Release(newest_);
  newest_ = all.Hold(fingerprint_.text());
  all.Hold(newest_);  // for the command, too
  Ask(operation.view(), {Answer::kPrepared, newest_}, ns, sink);
}

void MysqlParser::OnGreeting(uint64_t ns, Sink& sink) {
  const Half& half = halves_[1];
  const uint8_t* bytes = half.begin.bytes;
  const size_t size = half.begin.size;
  phase_ = Phase::kLogin;
  if (size >= 3 && bytes[0] == kError) {  // too many connections: nobody asked anything yet
    halves_[0].bytes = 0;
    halves_[0].first_ns = half.first_ns;
    Ask("CONNECT", {Answer::kLogin}, ns, sink, kNoLatency);
    return Finish(U16(bytes + 1), ns, sink);
  }
  const auto* zero = static_cast<const uint8_t*>(memchr(bytes, 0, size));
  const size_t at = zero == nullptr ? size : static_cast<size_t>(zero - bytes) + 1 + 4 + 8 + 1;
  if (at + 7 > size) return GoAstray(Side::kToClient, sink);
  capabilities_ = U16(bytes + at) | static_cast<uint32_t>(U16(bytes + at + 5)) << 16;
}

void MysqlParser::ServerEnds(uint64_t ns, Sink& sink) {
  const Half& half = halves_[1];
  if (phase_ == Phase::kGreeting) return OnGreeting(ns, sink);
  if (count_ == 0) return;  // answers nothing that was seen
  if (answer_ns_ == 0) answer_ns_ = half.first_ns;
  answer_bytes_ += half.bytes;
  if (half.begin.size == 0) return GoAstray(Side::kToClient, sink);  // what it was is not known
  OnAnswer(ns, sink);
}

void MysqlParser::OnAnswer(uint64_t ns, Sink& sink) {
  const Half& half = halves_[1];
  const uint8_t* bytes = half.begin.bytes;
  const uint64_t length = half.bytes - kHead;
  const bool error = bytes[0] == kError && half.begin.size >= 3;
  if (error && U16(bytes + 1) == kProgress) return;
  if (error && next_ != Answer::kColumns) return Finish(U16(bytes + 1), ns, sink);
  switch (next_) {
    case Answer::kFirst:
      return OnFirst(ns, sink);
    case Answer::kSingle:
      return Finish(0, ns, sink);
    case Answer::kPrepared:
      return OnPreparedAnswer(ns, sink);
    case Answer::kColumns:
      if (bytes[0] == kEof && length == 5) return;  // between parameters and columns
      if (--left_ > 0) return;
      if (again_) return Finish(0, ns, sink);
      next_ = Answer::kBehindColumns;
      return;
    case Answer::kBehindColumns:
    case Answer::kRows: {
      const bool ends = bytes[0] == kEof && length < kLongest;
      const uint16_t flags = ends ? FlagsOf(bytes, half.begin.size, length) : uint16_t{0};
      const bool behind = next_ == Answer::kBehindColumns && ends && length == 5;
      next_ = Answer::kRows;
      if (ends && (!behind || (flags & kCursor) != 0)) ResultEnds(flags, ns, sink);
      return;
    }
    case Answer::kFile:
      return;
    case Answer::kLogin:
      if (bytes[0] != kOk) return;  // more of the login
      Finish(0, ns, sink);
      if (compressed_) GiveUp("{compressed}", ns, sink);
      return;
  }
}

// The first packet of a result.
void MysqlParser::OnFirst(uint64_t ns, Sink& sink) {
  const Begin& begin = halves_[1].begin;
  const uint8_t* bytes = begin.bytes;
  const uint64_t length = halves_[1].bytes - kHead;
  if (bytes[0] == kEof && length == 5) {  // belongs to the columns of a prepared statement before
    answer_ns_ = answer_bytes_ = 0;
    return;
  }
  if (bytes[0] == kOk || bytes[0] == kEof) return ResultEnds(FlagsOf(bytes, begin.size, length), ns, sink);
  if (bytes[0] == kFile) {
    next_ = Answer::kFile;
    return;
  }
  const size_t number = NumberBytes(bytes[0]);
  if (number > 3 || begin.size < number) return GoAstray(Side::kToClient, sink);
  left_ = number == 1 ? bytes[0] : U16(bytes + 1);
  again_ = false;
  // MariaDB may leave out columns that the client knows already.
  const bool known = length == number + 1 && begin.size > number && bytes[number] == 0;
  next_ = known ? Answer::kBehindColumns : Answer::kColumns;
}

void MysqlParser::OnPreparedAnswer(uint64_t ns, Sink& sink) {
  const Begin& begin = halves_[1].begin;
  if (begin.bytes[0] != kOk || begin.size < 9) return GoAstray(Side::kToClient, sink);
  prepared_.Set(U32(begin.bytes + 1), Front().statement);
  left_ = uint32_t{U16(begin.bytes + 5)} + U16(begin.bytes + 7);
  again_ = true;
  if (left_ == 0) return Finish(0, ns, sink);
  next_ = Answer::kColumns;
}

void MysqlParser::ResultEnds(uint16_t flags, uint64_t ns, Sink& sink) {
  if ((flags & kMoreResults) != 0) {
    next_ = Answer::kFirst;
    return;
  }
  Finish(0, ns, sink);
}

void MysqlParser::Finish(uint32_t status, uint64_t ns, Sink& sink) {
  Message message;
  message.kind = Message::Kind::kResponse;
  message.status = status;
  if (status != 0) message.flags |= l7::kError;
  message.bytes = answer_bytes_;
  message.first_ns = answer_ns_ == 0 ? ns : answer_ns_;
  message.last_ns = ns;
  sink.Emit(message);
  answer_ns_ = answer_bytes_ = 0;
  sql::AllStatements().Release(Front().statement);
  first_ = static_cast<uint8_t>((first_ + 1) % kMaxOpen);
  count_--;
  next_ = count_ > 0 ? Front().begins : Answer::kFirst;
}

void MysqlParser::OnLoss(Side side, Sink& sink) {
  phase_ = Phase::kCommands;
  halves_[Index(side)].continues = false;
  Drop();
  answer_ns_ = answer_bytes_ = 0;
  next_ = Answer::kFirst;
  sink.OutOfStep(side);
}

}  // namespace skybraid::l7::mysql
