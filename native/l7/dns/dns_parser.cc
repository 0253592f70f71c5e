#include "dns_parser.h"

#include <algorithm>
#include <cstring>

#include "dns_name.h"

namespace skybraid::l7::dns {

namespace {

constexpr size_t kPrefix = 2, kHeader = 12;
constexpr uint16_t kResponse = 0x8000, kReserved = 0x0040;
constexpr uint8_t kQuery = 0, kNotify = 4, kUpdate = 5;
constexpr uint64_t kQuestionBits = (1ull << 48) - 1;

uint16_t U16(const uint8_t* b) { return static_cast<uint16_t>(b[0] << 8 | b[1]); }
uint8_t Opcode(const uint8_t* message) { return message[2] >> 3 & 15; }

std::string_view TypeName(uint16_t type) {
  static constexpr struct {
    uint16_t type;
    std::string_view name;
  } kTypes[] = {
      {1, "A"},      {28, "AAAA"},  {5, "CNAME"},  {12, "PTR"},   {33, "SRV"},
      {15, "MX"},    {16, "TXT"},   {2, "NS"},     {6, "SOA"},    {65, "HTTPS"},
      {64, "SVCB"},  {35, "NAPTR"}, {257, "CAA"},  {43, "DS"},    {48, "DNSKEY"},
      {46, "RRSIG"}, {47, "NSEC"},  {50, "NSEC3"}, {52, "TLSA"},  {44, "SSHFP"},
      {13, "HINFO"}, {39, "DNAME"}, {251, "IXFR"}, {252, "AXFR"}, {255, "ANY"},
  };
  for (const auto& known : kTypes) {
    if (known.type == type) return known.name;
  }
  return "{type}";
}

// Whether the flags and counts are those of a message in this direction that asks or answers one question.
bool IsHeader(Side side, const uint8_t* h) {
  const uint16_t flags = U16(h + 2);
  const bool answers = side == Side::kToClient;
  if (((flags & kResponse) != 0) != answers || (flags & kReserved) != 0) return false;
  const uint8_t opcode = Opcode(h);
  if (opcode != kQuery && opcode != kNotify && opcode != kUpdate) return false;
  const uint16_t questions = U16(h + 4), answered = U16(h + 6), authority = U16(h + 8), more = U16(h + 10);
  if (answers) return questions <= 1 && (questions == 1 || (flags & 15) != 0);
  return questions == 1 && (flags & 15) == 0 && (opcode != kQuery || (answered == 0 && authority <= 1)) &&
         more <= 8;
}

// A question's name, as far as the bytes reach, of what names are made of.
Verdict IsName(const uint8_t* bytes, size_t size, size_t& end) {
  size_t at = 0;
  while (at < size) {
    const uint8_t label = bytes[at++];
    if (label == 0) {
      end = at;
      return Verdict::kYes;
    }
    if (label > 63 || at + label > 255) return Verdict::kNo;
    for (size_t i = 0; i < label && at < size; i++, at++) {
      if (bytes[at] <= 0x20 || bytes[at] >= 0x7f) return Verdict::kNo;
    }
  }
  return Verdict::kMaybe;
}

bool IsClass(uint16_t value) {
  return value == 1 || value == 3 || value == 4 || value == 254 || value == 255;
}

// Of a name in any case, with type and class: 48 bits.
uint64_t HashQuestion(const uint8_t* bytes, size_t name, size_t size) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < size; i++) {
    const uint8_t c = bytes[i];
    const uint8_t folded = i < name && c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c;
    hash = (hash ^ folded) * 0x100000001b3u;
  }
  hash = (hash ^ hash >> 48) & kQuestionBits;
  return hash == 0 ? 1 : hash;  // 0: not known
}

}  // namespace

Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  // What a name may be longer than what is looked at: so many bytes of labels are no chance.
  constexpr size_t kEnough = 30;
  if (size < kPrefix + kHeader) return size > 0 && bytes[0] > 0x40 ? Verdict::kNo : Verdict::kMaybe;
  const uint16_t length = U16(bytes);
  const uint8_t* header = bytes + kPrefix;
  if (length < kHeader || !IsHeader(side, header)) return Verdict::kNo;
  if (U16(header + 4) == 0) return Verdict::kMaybe;
  const uint8_t* question = header + kHeader;
  const size_t there = std::min<size_t>(size - kPrefix, length) - kHeader;
  size_t name = 0;
  const Verdict named = IsName(question, there, name);
  if (named == Verdict::kNo) return Verdict::kNo;
  if (named == Verdict::kMaybe) {
    if (length < kHeader + there + 5) return Verdict::kNo;
    return there >= kEnough ? Verdict::kYes : Verdict::kMaybe;
  }
  if (length < kHeader + name + 4) return Verdict::kNo;
  if (there < name + 4) return Verdict::kMaybe;
  return U16(question + name) != 0 && IsClass(U16(question + name + 2)) ? Verdict::kYes : Verdict::kNo;
}

Verdict DnsParser::Head(Side side, const uint8_t* head, size_t have, uint64_t& length) {
  if (have < kPrefix) return Verdict::kMaybe;
  begins_[Index(side)].size = 0;
  length = U16(head);
  return length < kHeader ? Verdict::kNo : Verdict::kYes;
}

void DnsParser::Payload(Side side, const uint8_t* bytes, size_t size) {
  Begin& begin = begins_[Index(side)];
  const size_t taken = std::min(size, kKept - begin.size);
  memcpy(begin.bytes + begin.size, bytes, taken);
  begin.size = static_cast<uint16_t>(begin.size + taken);
}

bool DnsParser::BeginsFrame(Side side, const uint8_t* bytes, size_t size) const {
  return Classify(side, bytes, size) == Verdict::kYes;
}

// A key is the id and, in its lower bits, the question; 0 there: not known.
uint64_t DnsParser::KeyOf(const uint8_t* message, uint64_t question, bool asks) {
  const uint64_t key = static_cast<uint64_t>(U16(message)) << 48 | question;
  if (asks) {
    recent_[asked_++ % kRecent] = key;
    return key;
  }
  // Who does not repeat the question answers the last that had the id; who does may answer one that was cut.
  for (uint32_t i = 1; i <= std::min<uint32_t>(asked_, kRecent); i++) {
    const uint64_t known = recent_[(asked_ - i) % kRecent];
    if (known >> 48 != key >> 48) continue;
    if (known == key || question == 0 || (known & kQuestionBits) == 0) return known;
  }
  return key;
}

void DnsParser::FrameEnds(Side side, uint64_t ns, Sink& sink) {
  const Begin& begin = begins_[Index(side)];
  const Frame& frame = Of(side);
  if (begin.size < kHeader) return;  // nothing of it was seen
  if (!IsHeader(side, begin.bytes)) return GoAstray(side, sink);
  const bool asks = side == Side::kToServer;
  const uint8_t* question = begin.bytes + kHeader;
  const size_t there = begin.size - kHeader;
  const size_t name = U16(begin.bytes + 4) == 1 ? NameBytes(question, there) : 0;
  const bool known = name > 0 && there >= name + 4;
  OperationText operation;
  Message message;
  message.kind = asks ? Message::Kind::kRequest : Message::Kind::kResponse;
  message.key = KeyOf(begin.bytes, known ? HashQuestion(question, name, name + 4) : 0, asks);
  message.bytes = frame.bytes - kPrefix;
  message.first_ns = frame.first_ns;
  message.last_ns = ns;
  if (!asks) {
    message.status = begin.bytes[3] & 15;
    if (message.status != 0) message.flags |= kError;
  } else if (known) {
    const uint8_t opcode = Opcode(begin.bytes);
    operation.Add(opcode == kNotify   ? "NOTIFY"
                  : opcode == kUpdate ? "UPDATE"
                                      : TypeName(U16(question + name)));
    operation.Add(' ');
    AddName(question, operation);
  }
  message.operation = operation.view();
  sink.Emit(message);
}

}  // namespace skybraid::l7::dns
