#include "dns_message.h"

#include <algorithm>

#include "dns_name.h"

namespace skybraid::l7::dns {

namespace {

constexpr uint16_t kResponse = 0x8000, kReserved = 0x0040;
constexpr uint8_t kQuery = 0, kNotify = 4, kUpdate = 5;

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

// `question` begins with a whole name, `name` bytes long, and its type.
void AddOperation(const uint8_t* message, const uint8_t* question, size_t name, OperationText& operation) {
  const uint8_t opcode = Opcode(message);
  operation.Add(opcode == kNotify   ? "NOTIFY"
                : opcode == kUpdate ? "UPDATE"
                                    : TypeName(BigEndian16(question + name)));
  operation.Add(' ');
  AddName(question, operation);
}

}  // namespace

bool IsHeader(Side side, const uint8_t* h) {
  const uint16_t flags = BigEndian16(h + 2);
  const bool answers = side == Side::kToClient;
  if (((flags & kResponse) != 0) != answers || (flags & kReserved) != 0) return false;
  const uint8_t opcode = Opcode(h);
  if (opcode != kQuery && opcode != kNotify && opcode != kUpdate) return false;
  const uint16_t questions = BigEndian16(h + 4), answered = BigEndian16(h + 6),
                 authority = BigEndian16(h + 8), more = BigEndian16(h + 10);
  if (answers) return questions <= 1 && (questions == 1 || (flags & 15) != 0);
  return questions == 1 && (flags & 15) == 0 && (opcode != kQuery || (answered == 0 && authority <= 1)) &&
         more <= 8;
}

Verdict ClassifyMessage(Side side, const uint8_t* message, size_t there, size_t length) {
  // What a name may be longer than what is looked at: so many bytes of labels are no chance.
  constexpr size_t kEnough = 30;
  if (length < kHeader || !IsHeader(side, message)) return Verdict::kNo;
  if (BigEndian16(message + 4) == 0) return Verdict::kMaybe;
  const uint8_t* question = message + kHeader;
  const size_t have = std::min(there, length) - kHeader;
  size_t name = 0;
  const Verdict named = IsName(question, have, name);
  if (named == Verdict::kNo) return Verdict::kNo;
  if (named == Verdict::kMaybe) {
    if (length < kHeader + have + 5) return Verdict::kNo;
    return have >= kEnough ? Verdict::kYes : Verdict::kMaybe;
  }
  if (length < kHeader + name + 4) return Verdict::kNo;
  if (have < name + 4) return Verdict::kMaybe;
  return BigEndian16(question + name) != 0 && IsClass(BigEndian16(question + name + 2)) ? Verdict::kYes
                                                                                        : Verdict::kNo;
}

void ReadMessage(Side side, const uint8_t* bytes, size_t size, Reading& into) {
  const bool asks = side == Side::kToServer;
  const uint8_t* question = bytes + kHeader;
  const size_t there = size - kHeader;
  const size_t name = BigEndian16(bytes + 4) == 1 ? NameBytes(question, there) : 0;
  const bool known = name > 0 && there >= name + 4;
  Message& message = into.message;
  message = {};
  message.kind = asks ? Message::Kind::kRequest : Message::Kind::kResponse;
  message.key =
      static_cast<uint64_t>(BigEndian16(bytes)) << 48 | (known ? HashQuestion(question, name, name + 4) : 0);
  if (!asks) {
    message.status = bytes[3] & 15;
    if (message.status != 0) message.flags |= kError;
  } else if (known) {
    AddOperation(bytes, question, name, into.operation);
  }
  message.operation = into.operation.view();
}

}  // namespace skybraid::l7::dns
