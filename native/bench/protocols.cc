// Messages of application protocols through parser, pairing and ledger: a request and its response are two.
#include <cstdlib>
#include <memory>
#include <string>

#include "l7/ledger.h"
#include "l7/pairing.h"
#include "l7/parser.h"
#include "measure.h"

namespace skybraid::bench {
namespace {

using namespace l7;

constexpr size_t kExchanges = 20'000;
constexpr int kRounds = 51;
constexpr uint64_t kStepNs = 300'000;

// A connection as the reader has it.
class Connection {
 public:
  explicit Connection(Protocol protocol) : pairing_(protocol, TheLedger(), counters_) {
    for (size_t i = 0; i < kProtocolRows; i++) {
      const ProtocolRow& row = kProtocolTable[i];
      if (row.protocol != protocol) continue;
      memory_ = std::make_unique<uint8_t[]>(row.bytes);
      parser_ = row.make(memory_.get());
    }
  }
  // Ends the program unless every request was found, with an answer whose status is known.
  ~Connection() {
    parser_->~Parser();
    pairing_.Close();
    uint64_t found = 0;
    TheLedger().Take(pairing_.Rows(), [&](const LedgerRow& row) {
      if (row.status != kUnknownStatus) found += row.count;
    });
    if (found == kExchanges) return;
    fprintf(stderr, "%zu of %zu exchanges were found\n", static_cast<size_t>(found), kExchanges);
    abort();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Eat(Side side, const std::string& bytes, uint64_t ns) {
    parser_->Eat(side, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), ns, pairing_);
  }
  void Skip(Side side, uint64_t count, uint64_t ns) { parser_->Skip(side, count, ns, pairing_); }

 private:
  static Ledger& TheLedger() {
    static Ledger ledger;
    return ledger;
  }
  PairingCounters counters_;
  Pairing pairing_;
  std::unique_ptr<uint8_t[]> memory_;
  Parser* parser_ = nullptr;
};

// Keep-alive: one request at a time, the body not seen.
void Http1() {
  static const std::string asks =
      "GET /api/users/4711/orders?page=2 HTTP/1.1\r\nHost: shop.default.svc\r\nUser-Agent: probe/1.0\r\n"
      "Accept: application/json\r\nAccept-Encoding: gzip\r\n\r\n";
  static const std::string answers =
      "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
      "Content-Type: application/json\r\nContent-Length: 512\r\nConnection: keep-alive\r\n\r\n";
  Connection connection(Protocol::kHttp1);
  for (uint64_t i = 1; i <= kExchanges; i++) {
    connection.Eat(Side::kToServer, asks, i * kStepNs);
    connection.Eat(Side::kToClient, answers, i * kStepNs + 1000 * (i % 200));
    connection.Skip(Side::kToClient, 512, i * kStepNs + 250'000);
  }
}

std::string Frame(size_t size, uint8_t type, uint8_t flags, uint32_t stream) {
  std::string head = {char(size >> 16), char(size >> 8), char(size), char(type), char(flags)};
  for (int shift = 24; shift >= 0; shift -= 8) head += static_cast<char>(stream >> shift);
  return head;
}

std::string Field(uint8_t name, const std::string& value) {
  return std::string{char(0x40 | name), char(value.size())} + value;
}

// A hundred streams at once. What was said once is in the tables of both ends (RFC 7541), as clients have it.
void Http2() {
  constexpr uint64_t kStreams = 100;
  const std::string settings = Frame(0, 4, 0, 0);
  const std::string first_asks = "\x82\x86" + Field(4, "/api/users/4711/orders") + Field(1, "shop.test");
  const std::string first_answers =
      "\x88" + Field(54, "nginx") + Field(33, "Thu, 01 Jan 2026 00:00:00 GMT") + Field(28, "512");
  const std::string asks = "\x82\x86\xbf\xbe", answers = "\x88\xc0\xbf\xbe";
  Connection connection(Protocol::kHttp2);
  connection.Eat(Side::kToServer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings, kStepNs);
  connection.Eat(Side::kToClient, settings, kStepNs);
  for (uint64_t i = 0; i < kExchanges; i += kStreams) {
    const auto each = [&](auto say) {
      for (uint64_t j = i; j < i + kStreams; j++)
        say(j == 0, static_cast<uint32_t>(2 * j + 1), (j + 1) * kStepNs);
    };
    each([&](bool first, uint32_t stream, uint64_t ns) {
      const std::string& block = first ? first_asks : asks;
      connection.Eat(Side::kToServer, Frame(block.size(), 1, 5, stream) + block, ns);
    });
    each([&](bool first, uint32_t stream, uint64_t ns) {
      const std::string& block = first ? first_answers : answers;
      connection.Eat(Side::kToClient, Frame(block.size(), 1, 4, stream) + block + Frame(512, 0, 1, stream),
                     ns + 200'000);
      connection.Skip(Side::kToClient, 512, ns + 250'000);
    });
  }
}

// Sixteen commands in a pipeline.
void Redis() {
  constexpr uint64_t kPipeline = 16;
  std::string asks, answers;
  for (uint64_t i = 0; i < kPipeline; i++) {
    asks += "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nxxx\r\n";
    answers += "+OK\r\n";
  }
  Connection connection(Protocol::kRedis);
  for (uint64_t i = 1; i <= kExchanges / kPipeline; i++) {
    connection.Eat(Side::kToServer, asks, i * kStepNs);
    connection.Eat(Side::kToClient, answers, i * kStepNs + 100'000);
  }
}

void Measure(const char* name, void (*run)()) {
  std::vector<double> values;
  for (int round = 0; round < kRounds; round++) values.push_back(NsPer(2 * kExchanges, run));
  Print(name, values, "ns/message");
}

}  // namespace

void Protocols() {
  Measure("native: HTTP/1 message parsed, paired and added up", Http1);
  Measure("native: HTTP/2 message, 100 streams at once, parsed, paired and added up", Http2);
  Measure("native: Redis message, pipeline of 16, parsed, paired and added up", Redis);
}

}  // namespace skybraid::bench
