#include "dns.h"

#include <cstring>
#include <random>
#include <string>

#include "check.h"
#include "dns_names.h"
#include "dns_questions.h"
#include "rows.h"

namespace skybraid {

namespace {

std::string U16(uint32_t v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
std::string U32(uint32_t v) { return U16(v >> 16) + U16(v & 0xFFFF); }

std::string NameBytes(const std::string& dotted) {
  std::string out;
  size_t from = 0;
  while (from < dotted.size()) {
    size_t dot = dotted.find('.', from);
    if (dot == std::string::npos) dot = dotted.size();
    out += static_cast<char>(dot - from);
    out += dotted.substr(from, dot - from);
    from = dot + 1;
  }
  return out + '\0';
}

std::string Header(uint32_t answers, uint32_t flags = 0x8180, uint32_t questions = 1) {
  return U16(0x1234) + U16(flags) + U16(questions) + U16(answers) + U16(0) + U16(0);
}

std::string Question(const std::string& name, uint32_t type = 1) {
  return NameBytes(name) + U16(type) + U16(1);
}

std::string Resource(const std::string& owner, uint32_t type, const std::string& data, uint32_t ttl = 300) {
  return owner + U16(type) + U16(1) + U32(ttl) + U16(static_cast<uint32_t>(data.size())) + data;
}

const std::string kToQuestion = "\xC0\x0C";  // compression pointer to the question's name
const std::string kV4 = {10, 1, 2, 3};

DnsOutcome Parse(const std::string& bytes, DnsAnswer& answer, bool cut = false) {
  return ParseDnsAnswer(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), cut, answer);
}

}  // namespace

TEST("dns: addresses of a name") {
  DnsAnswer answer;
  const std::string v6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x07";
  const std::string bytes = Header(2) + Question("Shop.Example.COM") + Resource(kToQuestion, 1, kV4, 60) +
                            Resource(kToQuestion, 28, v6, 90);
  CHECK(Parse(bytes, answer) == DnsOutcome::kAnswer);
  CHECK_EQ(answer.question.name, "shop.example.com");
  REQUIRE_EQ(answer.count, 2u);
  const sb_addr expected = rows::V4(10, 1, 2, 3);
  CHECK(memcmp(&answer.addresses[0].address, &expected, 16) == 0);
  CHECK_EQ(answer.addresses[0].ttl_seconds, 60u);
  CHECK(memcmp(&answer.addresses[1].address, v6.data(), 16) == 0);
}

TEST("dns: an alias chain gives the addresses to the question's name") {
  DnsAnswer answer;
  const std::string bytes =
      Header(3) + Question("www.a.test") + Resource(kToQuestion, 5, NameBytes("lb.b.test")) +
      Resource(NameBytes("LB.b.test"), 5, NameBytes("x.c.test")) + Resource(NameBytes("x.c.test"), 1, kV4);
  CHECK(Parse(bytes, answer) == DnsOutcome::kAnswer);
  CHECK_EQ(answer.question.name, "www.a.test");
  CHECK_EQ(answer.count, 1u);
}

TEST("dns: a question, and what is none") {
  DnsQuestion question;
  const auto parse = [&question](const std::string& bytes) {
    return ParseDnsQuestion(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), question);
  };
  CHECK(parse(Header(0, 0x0100) + Question("Shop.Example.COM", 28)));
  CHECK_EQ(question.id, 0x1234u);
  CHECK_EQ(question.type, 28u);
  CHECK_EQ(question.name, "shop.example.com");
  DnsAnswer answer;
  CHECK(Parse(Header(1) + Question("SHOP.example.com", 28) + Resource(kToQuestion, 1, kV4), answer) ==
        DnsOutcome::kAnswer);
  CHECK(answer.question == question);
  CHECK(!parse(Header(0, 0x8180) + Question("a.test")));     // an answer
  CHECK(!parse(Header(0, 0x2800) + Question("a.test")));     // an update
  CHECK(!parse(Header(0, 0x0100, 2) + Question("a.test")));  // two at once
  CHECK(!parse(Header(0, 0x0100) + Question("")));           // the root
  CHECK(!parse(Header(0, 0x0100) + NameBytes("a.test")));
  CHECK(!parse("\x12\x34"));
}

TEST("dns: one answer to a question that is open, on its socket, and no other") {
  DnsQuestions questions;
  const DnsQuestion asked{7, 1, "a.test"};
  constexpr uint64_t kAt = 1'000'000'000;
  CHECK(!questions.Answer(1, asked, kAt));
  questions.Ask(1, asked, kAt);
  CHECK(!questions.Answer(2, asked, kAt));
  CHECK(!questions.Answer(1, {8, 1, "a.test"}, kAt));
  CHECK(!questions.Answer(1, {7, 28, "a.test"}, kAt));
  CHECK(!questions.Answer(1, {7, 1, "b.test"}, kAt));
  CHECK(questions.Answer(1, asked, kAt + 1));
  CHECK(!questions.Answer(1, asked, kAt + 2));
  questions.Ask(1, asked, kAt);
  questions.Ask(1, asked, 2 * kAt);  // sent again
  CHECK_EQ(questions.Size(), 1u);
  CHECK(questions.Answer(1, asked, 2 * kAt + DnsQuestions::kPatienceNs));
  questions.Ask(1, asked, kAt);
  CHECK(!questions.Answer(1, asked, kAt + DnsQuestions::kPatienceNs + 1));
  questions.Ask(1, asked, kAt);  // sent again on another processor while the answer was noted
  CHECK(questions.Answer(1, asked, kAt - 1));
}

TEST("dns: open questions are bounded, the latest are kept") {
  DnsQuestions questions;
  for (uint32_t i = 0; i < 100'000; i++) questions.Ask(i, {1, 1, "a.test"}, 1);
  CHECK(questions.Size() <= DnsQuestions::kMaxOpen + 2);
  CHECK(questions.Answer(99'999, {1, 1, "a.test"}, 2));
  CHECK(questions.Answer(99'000, {1, 1, "a.test"}, 2));
  CHECK(!questions.Answer(0, {1, 1, "a.test"}, 2));
}

TEST("dns: records of other names are ignored") {
  DnsAnswer answer;
  const std::string bytes = Header(1) + Question("a.test") + Resource(NameBytes("bank.test"), 1, kV4);
  CHECK(Parse(bytes, answer) == DnsOutcome::kNothing);
}

TEST("dns: queries, errors and other types are no news") {
  DnsAnswer answer;
  CHECK(Parse(Header(0, 0x0100) + Question("a.test"), answer) == DnsOutcome::kNothing);
  CHECK(Parse(Header(0, 0x8183) + Question("a.test"), answer) == DnsOutcome::kNothing);
  CHECK(Parse(Header(1) + Question("a.test", 16) + Resource(kToQuestion, 16, "text"), answer) ==
        DnsOutcome::kNothing);
}

TEST("dns: a compression loop is malformed") {
  DnsAnswer answer;
  CHECK(Parse(Header(0) + "\xC0\x0C" + U16(1) + U16(1), answer) == DnsOutcome::kMalformed);
  const std::string at = Header(1) + Question("a.test");
  const std::string self = U16(0xC000 | static_cast<uint32_t>(at.size()));
  CHECK(Parse(at + Resource(self, 1, kV4), answer) == DnsOutcome::kMalformed);
  const std::string forward = U16(0xC000 | static_cast<uint32_t>(at.size() + 2));
  CHECK(Parse(at + Resource(forward, 1, kV4), answer) == DnsOutcome::kMalformed);
}

TEST("dns: a huge count stops at the end of the message") {
  DnsAnswer answer;
  const std::string bytes = Header(65535) + Question("a.test") + Resource(kToQuestion, 1, kV4);
  CHECK(Parse(bytes, answer) == DnsOutcome::kMalformed);
  CHECK_EQ(answer.count, 0u);
  CHECK(Parse(bytes, answer, true) == DnsOutcome::kAnswer);
}

TEST("dns: wrong sizes of addresses are malformed") {
  DnsAnswer answer;
  CHECK(Parse(Header(1) + Question("a.test") + Resource(kToQuestion, 1, "12345"), answer) ==
        DnsOutcome::kMalformed);
}

TEST("dns: every truncation ends quietly") {
  DnsAnswer answer;
  const std::string bytes = Header(2) + Question("shop.example.com") +
                            Resource(kToQuestion, 5, NameBytes("b.test")) +
                            Resource(NameBytes("b.test"), 1, kV4);
  for (size_t length = 0; length < bytes.size(); length++) {
    CHECK(Parse(bytes.substr(0, length), answer) == DnsOutcome::kMalformed);
    CHECK(Parse(bytes.substr(0, length), answer, true) != DnsOutcome::kAnswer);
  }
}

TEST("dns: hostile letters are made safe") {
  DnsAnswer answer;
  std::string label = "a\x1b[31m\xff b.c";
  const std::string name = std::string(1, static_cast<char>(label.size())) + label + NameBytes("test");
  CHECK(Parse(Header(1) + name + U16(1) + U16(1) + Resource(kToQuestion, 1, kV4), answer) ==
        DnsOutcome::kAnswer);
  CHECK_EQ(answer.question.name, "a\xEF\xBF\xBD[31m\xEF\xBF\xBD?b?c.test");
}

TEST("dns: addresses are bounded") {
  DnsAnswer answer;
  std::string bytes = Header(60) + Question("a.test");
  for (int i = 0; i < 60; i++) bytes += Resource(kToQuestion, 1, kV4);
  CHECK(Parse(bytes, answer) == DnsOutcome::kAnswer);
  CHECK_EQ(answer.count, kMaxDnsAddresses);
}

TEST("dns: random bytes never break it") {
  std::mt19937 random(7);
  DnsAnswer answer;
  const std::string seed = Header(2) + Question("www.a.test") +
                           Resource(kToQuestion, 5, NameBytes("b.test")) +
                           Resource(NameBytes("b.test"), 1, kV4);
  for (int i = 0; i < 20'000; i++) {
    std::string bytes = seed;
    for (int flips = 0; flips < 3; flips++) bytes[random() % bytes.size()] = static_cast<char>(random());
    const DnsOutcome outcome = Parse(bytes, answer, i % 2 == 0);
    CHECK_EQ(outcome == DnsOutcome::kAnswer, answer.count > 0);
  }
}

TEST("dns names: the newest answer names an address, and memory is bounded") {
  DnsNames names;
  DnsAnswer answer;
  answer.count = 1;
  for (uint32_t i = 0; i < 50'000; i++) {
    answer.question.name = "n" + std::to_string(i);
    answer.addresses[0] = {
        rows::V4(10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)),
        60};
    names.Add(answer, 1000);
  }
  const sb_addr newest = answer.addresses[0].address;
  DnsNames::Entry* entry = names.Find(newest);
  CHECK(entry != nullptr && entry->message.find("n49999") != std::string::npos);
  CHECK(names.Find(rows::V4(10, 0, 0, 0)) == nullptr);
  answer.question.name = "other";
  names.Add(answer, 2000);
  CHECK(names.Find(newest)->message.find("other") != std::string::npos);
}

}  // namespace skybraid
