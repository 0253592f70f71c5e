// HTTP/1 through parser and pairing: what is booked, however the bytes were divided.
#include <cmath>
#include <cstring>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "check.h"
#include "l7/histogram.h"
#include "l7/http1/http1.h"
#include "l7/pairing.h"

namespace skybraid::l7 {
namespace {

struct Part {
  Side side;
  std::string bytes;
};

constexpr uint64_t kMs = 1'000'000;

struct Line {
  uint64_t count = 0, request_bytes = 0, response_bytes = 0, errors = 0;
  bool operator==(const Line& o) const {
    return count == o.count && request_bytes == o.request_bytes && response_bytes == o.response_bytes &&
           errors == o.errors;
  }
};
using Book = std::map<std::pair<std::string, uint32_t>, Line>;

// One connection from its beginning.
struct Talk {
  Ledger ledger;
  PairingCounters counters;
  Pairing pairing{Protocol::kHttp1, ledger, counters};
  Http1 parser;
  uint64_t ns = kMs;

  void Say(Side side, const std::string& bytes, size_t step = std::string::npos) {
    for (size_t at = 0; at < bytes.size(); at += step == std::string::npos ? bytes.size() : step) {
      const std::string piece = bytes.substr(at, step);
      parser.Eat(side, reinterpret_cast<const uint8_t*>(piece.data()), piece.size(), ns, pairing);
    }
    ns += kMs;
  }
  Book Take() {
    Book book;
    ledger.Take(pairing.Rows(), [&](const LedgerRow& row) {
      Line& line = book[{std::string(ledger.Name(row.operation)), row.status}];
      line.count += row.count;
      line.request_bytes += row.request_bytes;
      line.response_bytes += row.response_bytes;
      line.errors += (row.flags & kRowError) != 0 ? row.count : 0;
    });
    return book;
  }
};

const Side kTo = Side::kToServer, kBack = Side::kToClient;

Book Run(const std::vector<Part>& parts, size_t step) {
  Talk talk;
  for (const Part& part : parts) talk.Say(part.side, part.bytes, step);
  talk.pairing.Close();
  return talk.Take();
}

uint64_t CountOf(const Book& book, const std::string& operation, uint32_t status) {
  const auto found = book.find({operation, status});
  return found == book.end() ? 0 : found->second.count;
}

const std::vector<Part> kConversation = {
    {kTo, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b?password=secret HTTP/1.1\r\n\r\n"},
    {kBack, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"},
    {kTo, "POST /up HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"},
    {kBack, "HTTP/1.1 100 Continue\r\n\r\n"},
    {kTo, "5\r\nGET /\r\n1a;x=y\r\nHTTP/1.1 500 no\r\nabcdefghi\r\n0\r\nTrailer: 1\r\n\r\n"},
    {kBack, "HTTP/1.1 503 Busy\r\ntransfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
    {kTo, "HEAD /a HTTP/1.1\r\n\r\n"},
    {kBack, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"},
    {kTo, "DELETE /users/4711 HTTP/1.1\r\n\r\n"},
    {kBack, "HTTP/1.1 204 No Content\r\n\r\n"},
    {kTo, "GET /c HTTP/1.1\r\nIf-None-Match: e\r\n\r\n"},
    {kBack, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"},
    {kTo, "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"},
    {kBack, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 500 frame\r\n\r\n"},
    {kTo, "GET /not-a-request HTTP/1.1\r\n\r\n"},
};

TEST("l7 http1: books every message once") {
  const Book book = Run(kConversation, std::string::npos);
  CHECK_EQ(book.size(), size_t{7});
  CHECK_EQ(CountOf(book, "GET /a", 200), 1u);
  CHECK_EQ(CountOf(book, "GET /b", 404), 1u);
  CHECK_EQ(CountOf(book, "POST /up", 503), 1u);
  CHECK_EQ(CountOf(book, "HEAD /a", 200), 1u);
  CHECK_EQ(CountOf(book, "DELETE /users/{id}", 204), 1u);
  CHECK_EQ(CountOf(book, "GET /c", 304), 1u);
  CHECK_EQ(CountOf(book, "GET /chat", 101), 1u);
  CHECK_EQ(book.at({"POST /up", 503}).errors, 1u);
  CHECK_EQ(book.at({"GET /a", 200}).request_bytes, 28u);
  CHECK_EQ(book.at({"GET /a", 200}).response_bytes, 43u);
}

TEST("l7 http1: does not care how bytes are divided") {
  const Book whole = Run(kConversation, std::string::npos);
  for (size_t step = 1; step < 60; step++) CHECK(Run(kConversation, step) == whole);
}

TEST("l7 http1: makes up no response") {
  Talk talk;
  talk.Say(kTo, "GET /lost HTTP/1.1\r\n\r\n");
  talk.pairing.Close();
  const Book book = talk.Take();
  CHECK_EQ(CountOf(book, "GET /lost", kUnknownStatus), 1u);
  CHECK_EQ(book.size(), size_t{1});
}

TEST("l7 http1: pairs a response that comes before the request ends") {
  Talk talk;
  talk.Say(kTo, "POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345");
  talk.Say(kBack, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
  talk.Say(kTo, "67890GET /next HTTP/1.1\r\n\r\n");
  talk.Say(kBack, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const Book book = talk.Take();
  CHECK_EQ(CountOf(book, "POST /big", 413), 1u);
  CHECK_EQ(CountOf(book, "GET /next", 200), 1u);
}

TEST("l7 http1: skips bodies unseen") {
  Talk talk;
  talk.Say(kTo, "GET /big HTTP/1.1\r\n\r\n");
  talk.Say(kBack, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
  CHECK_EQ(talk.parser.Skippable(kBack), 1'000'000u);
  talk.parser.Skip(kBack, 1'000'000, talk.ns, talk.pairing);
  CHECK_EQ(talk.parser.Skippable(kBack), 0u);
  const Book book = talk.Take();
  CHECK_EQ(book.at({"GET /big", 200}).response_bytes, 1'000'044u);
}

TEST("l7 http1: joined in its middle takes no answer for anothers") {
  Talk talk;
  talk.parser.Lost(kTo, 1, talk.pairing);
  talk.parser.Lost(kBack, 1, talk.pairing);
  talk.Say(kBack, "the rest of a body");
  talk.Say(kBack, "HTTP/1.1 500 to a request unseen\r\nContent-Length: 0\r\n\r\n");
  talk.Say(kTo, "GET /seen HTTP/1.1\r\n\r\n");
  talk.Say(kBack, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const Book book = talk.Take();
  CHECK_EQ(CountOf(book, "GET /seen", 200), 1u);
  CHECK_EQ(book.size(), size_t{1});
  CHECK_EQ(talk.counters.unpaired, 1u);
}

TEST("l7 http1: goes on after a gap") {
  Talk talk;
  talk.Say(kTo, "GET /one HTTP/1.1\r\nX: ");
  talk.parser.Lost(kTo, talk.ns, talk.pairing);
  talk.Say(kTo, "GET /two HTTP/1.1\r\n\r\n");
  talk.Say(kBack, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const Book book = talk.Take();
  CHECK_EQ(CountOf(book, "GET /two", 200), 1u);
}

TEST("l7 http1: classifies by first lines alone") {
  const auto verdict = [](Side side, const char* text) {
    return ClassifyHttp1(side, reinterpret_cast<const uint8_t*>(text), strlen(text));
  };
  CHECK(verdict(kTo, "GET /a HTTP/1.1") == Verdict::kYes);
  CHECK(verdict(kTo, "GE") == Verdict::kMaybe);
  CHECK(verdict(kTo, "GET key\r\n") == Verdict::kNo);  // Redis inline
  CHECK(verdict(kTo, "OPTIONS * HTTP/1.1") == Verdict::kYes);
  CHECK(verdict(kTo, "GET http://a/b HTTP/1.1") == Verdict::kYes);
  CHECK(verdict(kTo, "PRI * HTTP/2.0") == Verdict::kNo);
  CHECK(verdict(kBack, "HTTP/1.1 200") == Verdict::kYes);
  CHECK(verdict(kBack, "HTTP/2 200 OK") == Verdict::kNo);
  CHECK(verdict(kBack, "HTTP/1.1 2x0") == Verdict::kNo);
}

TEST("l7 http1: keeps no secret") {
  Talk talk;
  talk.Say(kTo,
           "GET /a?token=PLANTED HTTP/1.1\r\nHost: PLANTED\r\nCookie: PLANTED\r\nContent-Length: "
           "7\r\n\r\nPLANTED");
  talk.Say(kTo, "GET http://PLANTED:PLANTED@h/b#PLANTED HTTP/1.1\r\n\r\n");
  talk.Say(kTo, "CONNECT PLANTED:443 HTTP/1.1\r\n\r\n");
  talk.pairing.Close();
  const Book book = talk.Take();
  CHECK_EQ(book.size(), size_t{3});
  for (const auto& [key, line] : book) CHECK(key.first.find("PLANTED") == std::string::npos);
}

TEST("l7 http1: survives any bytes") {
  std::mt19937 random(7);
  const std::string words[] = {"GET / HTTP/1.1\r\n",
                               "HTTP/1.1 200 OK\r\n",
                               "\r\n",
                               "Content-Length: 3\r\n",
                               "abc",
                               "Transfer-Encoding: chunked\r\n",
                               "fffffffffffffffff\r\n",
                               "0\r\n",
                               "\n",
                               "HEAD /x"};
  for (int run = 0; run < 2000; run++) {
    Talk talk;
    uint64_t asked = 0;
    for (int i = 0; i < 40; i++) {
      const Side side = random() % 2 == 0 ? kTo : kBack;
      std::string bytes = words[random() % std::size(words)];
      if (random() % 8 == 0) bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 16 == 0) talk.parser.Lost(side, talk.ns, talk.pairing);
      talk.Say(side, bytes, 1 + random() % 20);
      asked++;
    }
    talk.pairing.Close();
    uint64_t booked = 0;
    for (const auto& [key, line] : talk.Take()) booked += line.count;
    CHECK(booked <= asked);
    CHECK_EQ(talk.ledger.FreeRows(), LedgerOptions{}.max_rows);
  }
}

// ---- pairing and ledger

TEST("l7: buckets hold what they say") {
  CHECK_EQ(BucketOf(0), -1);
  CHECK_EQ(BucketOf(1), -1);
  CHECK_EQ(BucketOf(2), 7);
  CHECK_EQ(BucketOf(3), 12);
  CHECK_EQ(BucketOf(1024), 79);
  for (uint64_t us = 2; us < 100'000; us++) {
    const int bucket = BucketOf(us);
    // 2^(bucket/8) < us <= 2^((bucket+1)/8), without roots: us^8 and powers of two.
    const long double log = 8 * std::log2(static_cast<long double>(us));
    CHECK(static_cast<long double>(bucket) < log + 1e-9L &&
          log <= static_cast<long double>(bucket) + 1 + 1e-9L);
  }
}

struct Pipe {
  Ledger ledger;
  PairingCounters counters;
  Pairing pairing{Protocol::kRedis, ledger, counters};
  void Ask(const char* operation, uint64_t ns) {
    Message message;
    message.operation = operation;
    message.first_ns = message.last_ns = ns;
    message.bytes = 10;
    pairing.Emit(message);
  }
  void Answer(uint64_t ns, uint8_t flags = 0) {
    Message message;
    message.kind = Message::Kind::kResponse;
    message.status = 0;
    message.first_ns = message.last_ns = ns;
    message.flags = static_cast<uint8_t>(kBegins | kEnds | flags);
    message.bytes = 5;
    pairing.Emit(message);
  }
  std::map<std::pair<std::string, uint32_t>, uint64_t> Take() {
    std::map<std::pair<std::string, uint32_t>, uint64_t> counts;
    ledger.Take(pairing.Rows(), [&](const LedgerRow& row) {
      counts[{std::string(ledger.Name(row.operation)), row.status}] += row.count;
    });
    return counts;
  }
};

TEST("l7: pipelined hundreds are paired in order") {
  Pipe pipe;
  for (int i = 0; i < 500; i++) pipe.Ask(i < 400 ? "SET" : "GET", 1000);
  for (int i = 0; i < 500; i++) pipe.Answer(9000, i >= 400 ? kError : 0);
  uint64_t errors = 0, bytes = 0;
  pipe.ledger.Take(pipe.pairing.Rows(), [&](const LedgerRow& row) {
    if ((row.flags & kRowError) != 0) errors += row.count;
    bytes += row.request_bytes;
  });
  CHECK_EQ(errors, 100u);
  CHECK_EQ(bytes, 5000u);
  CHECK_EQ(pipe.counters.unpaired, 0u);
}

TEST("l7: more open requests than fit are unknown and shift nothing") {
  Pipe pipe;
  for (uint64_t i = 0; i < 264; i++) pipe.Ask(i % 2 == 0 ? "A" : "B", 1000 + i);
  for (uint64_t i = 0; i < 264; i++) pipe.Answer(9000 + i);
  pipe.Ask("C", 10'000);
  pipe.Answer(11'000);
  const auto counts = pipe.Take();
  CHECK_EQ(counts.at({"A", 0}), 128u);
  CHECK_EQ(counts.at({"B", 0}), 128u);
  CHECK_EQ(counts.at({"A", kUnknownStatus}), 4u);
  CHECK_EQ(counts.at({"B", kUnknownStatus}), 4u);
  CHECK_EQ(counts.at({"C", 0}), 1u);
  CHECK_EQ(pipe.counters.unpaired, 0u);
}

TEST("l7: a request that waits too long is unknown") {
  Pipe pipe;
  pipe.Ask("SLOW", 1000);
  pipe.Ask("LATER", 5000);
  pipe.pairing.GiveUpBefore(2000);
  CHECK_EQ(pipe.pairing.OpenRequests(), 1u);
  CHECK_EQ(pipe.Take().at({"SLOW", kUnknownStatus}), 1u);
}

TEST("l7: events that a server sends, and requests that say how long they wait, are not timed") {
  const std::string body = "Content-Length: 2\r\n\r\nok";
  const std::tuple<std::string, std::string, bool> kTalks[] = {
      {"", "Content-Type: text/html\r\n", true},
      {"Accept: text/event-stream\r\n", "content-type: Text/Event-Stream;charset=utf-8\r\n", false},
      {"Prefer: respond-async, wait=100\r\n", "", false},
      {"Prefer: return=minimal\r\n", "", true}};
  for (const auto& [asks, answers, is_timed] : kTalks) {
    const bool timed = is_timed;
    Talk talk;
    for (int i = 0; i < 2; i++) {
      talk.Say(Side::kToServer, "GET /a HTTP/1.1\r\n" + asks + "\r\n", i == 0 ? 1 : std::string::npos);
      talk.Say(Side::kToClient, "HTTP/1.1 200 OK\r\n" + answers + body, i == 0 ? 1 : std::string::npos);
    }
    talk.Say(Side::kToServer, "GET /b HTTP/1.1\r\n\r\n");
    talk.Say(Side::kToClient, "HTTP/1.1 200 OK\r\n" + body);
    talk.ledger.Take(talk.pairing.Rows(), [&](const LedgerRow& row) {
      const bool plain = talk.ledger.Name(row.operation) == "GET /b" || timed;
      CHECK_EQ((row.flags & kRowNoLatency) == 0, plain);
      CHECK_EQ(row.last_byte_sum_us != 0, plain);
    });
  }
}

TEST("l7: ledger that is full counts") {
  Ledger ledger({4, 3, 2});
  PairingCounters counters;
  Pairing pairing(Protocol::kRedis, ledger, counters);
  for (int i = 0; i < 6; i++) {
    const std::string name = "OP" + std::to_string(i);
    Message message;
    message.operation = name;
    pairing.Emit(message);
  }
  CHECK_EQ(ledger.Counters().other, 2u);
  pairing.Close();
  CHECK_EQ(ledger.Counters().lost, 3u);  // three rows: of five operations, {other} twice
  std::map<std::string, uint64_t> counts;
  ledger.Take(pairing.Rows(),
              [&](const LedgerRow& row) { counts[std::string(ledger.Name(row.operation))] += row.count; });
  CHECK_EQ(ledger.FreeRows(), 3u);
  // Nobody holds the operations any more: there is room for others.
  Message message;
  message.operation = "NEW";
  pairing.Emit(message);
  CHECK_EQ(ledger.Counters().other, 2u);
}

}  // namespace
}  // namespace skybraid::l7
