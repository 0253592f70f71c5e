#include "dns.h"

#include <cstring>

#include "safe_text.h"

namespace skybraid {

namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxName = 255;
constexpr int kMaxPointers = 32;  // a name of 255 bytes has at most 127 labels; real ones need one or two
constexpr size_t kMaxRecords = 64;
constexpr uint16_t kA = 1, kCname = 5, kAaaa = 28, kInternet = 1;

// A name in its wire form, compression resolved and letters lowered, so that equal names are equal bytes.
struct Name {
  uint8_t bytes[kMaxName];
  size_t length = 0;

  bool operator==(const Name& other) const {
    return length == other.length && memcmp(bytes, other.bytes, length) == 0;
  }
};

struct Message {
  const uint8_t* data;
  size_t length;

  uint16_t U16(size_t at) const { return static_cast<uint16_t>(data[at] << 8 | data[at + 1]); }
  uint32_t U32(size_t at) const { return static_cast<uint32_t>(U16(at)) << 16 | U16(at + 2); }
};

enum class Read { kOk, kCut, kBad };

// Reads the name at `at` and moves `at` behind it. Pointers may only lead backwards, which ends every loop.
Read ReadName(const Message& m, size_t& at, Name& name) {
  name.length = 0;
  size_t from = at;
  size_t earliest = at;
  bool jumped = false;
  for (int pointers = 0;;) {
    if (from >= m.length) return Read::kCut;
    const uint8_t size = m.data[from];
    if ((size & 0xC0) == 0xC0) {
      if (from + 1 >= m.length) return Read::kCut;
      const size_t target = m.U16(from) & 0x3FFF;
      if (!jumped) at = from + 2;
      jumped = true;
      if (target >= earliest || target < kHeaderBytes || ++pointers > kMaxPointers) return Read::kBad;
      from = earliest = target;
      continue;
    }
    if (size > 63) return Read::kBad;
    if (name.length + size + 1 > kMaxName) return Read::kBad;
    if (from + 1 + size > m.length) return Read::kCut;
    name.bytes[name.length++] = size;
    for (size_t i = 1; i <= size; i++) {
      const uint8_t c = m.data[from + i];
      name.bytes[name.length++] = c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c;
    }
    from += size + 1u;
    if (size == 0) break;
  }
  if (!jumped) at = from;
  return Read::kOk;
}

std::string Printable(const Name& name) {
  std::string text;
  for (size_t at = 0; at < name.length && name.bytes[at] != 0; at += name.bytes[at] + 1u) {
    if (!text.empty()) text += '.';
    for (size_t i = 1; i <= name.bytes[at]; i++) {
      const char c = static_cast<char>(name.bytes[at + i]);
      // A dot or a space inside of a label would read as another name.
      text += c == '.' || c == ' ' ? '?' : c;
    }
  }
  return SafeText(text, kMaxName);
}

struct Resource {
  Name owner;
  uint16_t type;
  uint32_t ttl;
  size_t data_at;
};

void AddAddress(const Message& m, const Resource& r, DnsAnswer& answer) {
  if (answer.count == kMaxDnsAddresses) return;
  DnsAnswer::Address& entry = answer.addresses[answer.count++];
  entry = {};
  entry.ttl_seconds = r.ttl > INT32_MAX ? 0 : r.ttl;  // RFC 2181 §8
  if (r.type == kAaaa) {
    memcpy(entry.address.bytes, m.data + r.data_at, 16);
  } else {
    entry.address.bytes[10] = entry.address.bytes[11] = 0xFF;
    memcpy(entry.address.bytes + 12, m.data + r.data_at, 4);
  }
}

// Reads one resource record and moves behind it.
Read ReadResource(const Message& m, size_t& at, Resource& r) {
  const Read named = ReadName(m, at, r.owner);
  if (named != Read::kOk) return named;
  if (at + 10 > m.length) return Read::kCut;
  r.type = m.U16(at + 2) == kInternet ? m.U16(at) : 0;
  r.ttl = m.U32(at + 4);
  const uint16_t size = m.U16(at + 8);
  r.data_at = at + 10;
  if (r.data_at + size > m.length) return Read::kCut;
  at = r.data_at + size;
  if ((r.type == kA && size != 4) || (r.type == kAaaa && size != 16)) return Read::kBad;
  return Read::kOk;
}

// Collects the addresses that belong to `question`, following aliases in the order servers send them: an
// alias stands before what it leads to.
DnsOutcome ReadAnswers(const Message& m, size_t at, size_t count, bool cut, const Name& question,
                       DnsAnswer& answer) {
  Name current = question;
  for (size_t i = 0; i < count && i < kMaxRecords; i++) {
    Resource r;
    const Read read = ReadResource(m, at, r);
    if (read == Read::kCut && cut) break;
    if (read != Read::kOk) return DnsOutcome::kMalformed;
    if (!(r.owner == current)) continue;
    if (r.type == kA || r.type == kAaaa) AddAddress(m, r, answer);
    if (r.type == kCname) {
      size_t target_at = r.data_at;
      if (ReadName(m, target_at, current) != Read::kOk || target_at > at) return DnsOutcome::kMalformed;
    }
  }
  return answer.count == 0 ? DnsOutcome::kNothing : DnsOutcome::kAnswer;
}

// Reads the only question of a message and moves behind it. `name` is what answers are compared with.
DnsOutcome ReadQuestion(const Message& m, size_t& at, Name& name, DnsQuestion& question) {
  if (m.U16(4) != 1) return DnsOutcome::kMalformed;
  at = kHeaderBytes;
  if (ReadName(m, at, name) != Read::kOk || at + 4 > m.length) return DnsOutcome::kMalformed;
  const uint16_t question_class = m.U16(at + 2);
  question.id = m.U16(0);
  question.type = m.U16(at);
  at += 4;
  if (question_class != kInternet) return DnsOutcome::kNothing;
  question.name = Printable(name);
  return question.name.empty() ? DnsOutcome::kNothing : DnsOutcome::kAnswer;  // the root has no addresses
}

}  // namespace

DnsOutcome ParseDnsAnswer(const uint8_t* message, size_t length, bool cut, DnsAnswer& answer) {
  answer.count = 0;
  answer.question.name.clear();
  const Message m{message, length};
  if (length < kHeaderBytes) return DnsOutcome::kMalformed;
  const uint16_t flags = m.U16(2);
  const bool is_answer = (flags & 0x8000) != 0;
  const bool is_query_kind = (flags & 0x7800) == 0;
  const bool shortened = cut || (flags & 0x0200) != 0;
  if (!is_answer || !is_query_kind || (flags & 0x000F) != 0) return DnsOutcome::kNothing;
  size_t at;
  Name name;
  const DnsOutcome asked = ReadQuestion(m, at, name, answer.question);
  if (asked != DnsOutcome::kAnswer) return asked;
  const DnsOutcome outcome = ReadAnswers(m, at, m.U16(6), shortened, name, answer);
  if (outcome != DnsOutcome::kAnswer) answer.count = 0;
  return outcome;
}

bool ParseDnsQuestion(const uint8_t* message, size_t length, DnsQuestion& question) {
  const Message m{message, length};
  if (length < kHeaderBytes || (m.U16(2) & 0xF800) != 0) return false;
  size_t at;
  Name name;
  return ReadQuestion(m, at, name, question) == DnsOutcome::kAnswer;
}

}  // namespace skybraid
