#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "../l7/dns/dns_datagrams.h"
#include "../l7/operation.h"
#include "check.h"
#include "dns_wire.h"

namespace skybraid::l7::dns {

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint16_t kA = 1, kAaaa = 28;

std::string Ask(uint16_t id, const std::string& name, uint16_t type = kA) {
  return U16(id) + U16(0x0100) + U16(1) + std::string(6, '\0') + Wire(name) + U16(type) + U16(1);
}

std::string Answer(uint16_t id, const std::string& name, uint8_t rcode = 0, uint16_t type = kA) {
  return U16(id) + U16(0x8180u | rcode) + U16(1) + std::string(6, '\0') + Wire(name) + U16(type) + U16(1);
}

struct World {
  Ledger ledger;
  DnsDatagrams datagrams;
  uint64_t ns = 0;

  explicit World(size_t max_flows = DnsDatagrams::kMaxFlows) : datagrams(ledger, max_flows) {}

  void Feed(uint64_t flow, Side side, const std::string& bytes, size_t captured = SIZE_MAX) {
    // A copy of its own, so that reading past it is seen by the sanitizer.
    const std::vector<uint8_t> copy(bytes.begin(), bytes.begin() + std::min(captured, bytes.size()));
    datagrams.Feed(flow, {side, 0, static_cast<uint32_t>(bytes.size()), static_cast<uint32_t>(copy.size()),
                          copy.data(), ns += kMs});
  }
  void Asks(uint64_t flow, const std::string& bytes) { Feed(flow, Side::kToServer, bytes); }
  void Answers(uint64_t flow, const std::string& bytes) { Feed(flow, Side::kToClient, bytes); }

  std::string Told(uint64_t flow, bool closed = false) {
    std::vector<std::string> rows;
    datagrams.Take(flow, closed, [&](const LedgerRow& row) {
      rows.push_back(std::string(ledger.Name(row.operation)) + " " +
                     std::to_string(static_cast<int32_t>(row.status)) + " x" + std::to_string(row.count) +
                     " " + std::to_string(row.first_byte_sum_us) + "us");
    });
    std::sort(rows.begin(), rows.end());
    std::string text;
    for (const std::string& row : rows) text += (text.empty() ? "" : ", ") + row;
    return text;
  }
};

}  // namespace

TEST("l7 datagrams: questions in flight together, answers out of order and in any case") {
  World w;
  w.Asks(1, Ask(7, "cart.shop.example"));
  w.Asks(1, Ask(7, "Cart.Shop.Example", kAaaa));
  w.Asks(1, Ask(8, "none.shop.example"));
  w.Asks(2, Ask(7, "cart.shop.example"));
  w.Answers(1, Answer(8, "none.shop.example", 3));
  w.Answers(1, Answer(7, "CART.shop.example", 2, kAaaa));
  w.Answers(1, Answer(7, "cart.shop.example"));
  CHECK_EQ(w.Told(1),
           "A cart.shop.example 0 x1 6000us, A none.shop.example 3 x1 2000us, "
           "AAAA cart.shop.example 2 x1 4000us");
  CHECK_EQ(w.Told(2), "");
  CHECK_EQ(w.Told(2, true), "A cart.shop.example -1 x1 0us");
  CHECK_EQ(w.datagrams.Counters().pairing.unpaired, 0u);
}

TEST("l7 datagrams: what is sent again is asked again, an answer that comes twice answers once") {
  World w;
  w.Asks(1, Ask(7, "a.example"));
  w.Asks(1, Ask(7, "a.example"));
  w.Answers(1, Answer(7, "a.example"));
  w.Answers(1, Answer(7, "a.example"));
  w.Answers(1, Answer(7, "a.example"));
  CHECK_EQ(w.Told(1), "A a.example 0 x2 4000us");
  CHECK_EQ(w.datagrams.Counters().pairing.unpaired, 1u);
  w.Answers(9, Answer(7, "a.example"));
  CHECK_EQ(w.datagrams.Counters().pairing.unpaired, 2u);
  CHECK(!w.datagrams.Knows(9));
}

TEST("l7 datagrams: an answer without the question is the oldest's with its id") {
  World w;
  w.Asks(1, Ask(7, "a.example"));
  w.Asks(1, Ask(8, "b.example"));
  w.Answers(1, U16(8) + U16(0x8001) + std::string(8, '\0'));
  CHECK_EQ(w.Told(1, true), "A a.example -1 x1 0us, A b.example 1 x1 1000us");
}

TEST("l7 datagrams: another name's answer, and another type's, is none") {
  World w;
  w.Asks(1, Ask(7, "a.example"));
  w.Answers(1, Answer(7, "b.example"));
  w.Answers(1, Answer(7, "a.example", 0, kAaaa));
  CHECK_EQ(w.Told(1, true), "A a.example -1 x1 0us");
  CHECK_EQ(w.datagrams.Counters().pairing.unpaired, 2u);
}

TEST("l7 datagrams: what has no answer is told of after its time, or at the flow's end") {
  World w;
  w.Asks(1, Ask(7, "a.example"));
  w.datagrams.GiveUpBefore(w.ns);
  CHECK_EQ(w.Told(1), "");
  CHECK(w.datagrams.Knows(1));
  w.datagrams.GiveUpBefore(w.ns + 1);
  CHECK_EQ(w.Told(1), "A a.example -1 x1 0us");
  CHECK(!w.datagrams.Knows(1));
}

TEST("l7 datagrams: a flow is forgotten once all is told, and comes back with the next question") {
  World w;
  for (int round = 0; round < 3; round++) {
    w.Asks(1, Ask(7, "a.example"));
    w.Answers(1, Answer(7, "a.example"));
    CHECK_EQ(w.datagrams.Flows(), 1u);
    CHECK_EQ(w.Told(1), "A a.example 0 x1 1000us");
    CHECK_EQ(w.datagrams.Flows(), 0u);
  }
}

TEST("l7 datagrams: of an ignored flow nothing is told, whatever still comes") {
  World w;
  w.Asks(1, Ask(7, "a.example"));
  w.datagrams.Ignore(1);
  w.Answers(1, Answer(7, "a.example"));
  w.Asks(1, Ask(8, "a.example"));
  CHECK_EQ(w.Told(1), "");
  CHECK_EQ(w.Told(1, true), "");
  CHECK_EQ(w.datagrams.Flows(), 0u);
  CHECK_EQ(w.ledger.FreeRows(), LedgerOptions{}.max_rows);
}

TEST("l7 datagrams: without room the flow that was silent longest is given up, and counted") {
  World w(3);
  for (uint64_t flow = 1; flow <= 3; flow++) w.Asks(flow, Ask(7, "a.example"));
  w.Asks(1, Ask(8, "a.example"));
  w.Asks(4, Ask(7, "a.example"));
  CHECK_EQ(w.datagrams.Flows(), 3u);
  CHECK_EQ(w.datagrams.Counters().given_up, 1u);
  CHECK_EQ(w.datagrams.Counters().forgotten, 1u);
  CHECK_EQ(w.Told(2, true), "");
  CHECK_EQ(w.Told(1, true), "A a.example -1 x2 0us");
}

TEST("l7 datagrams: bytes that are no message count, and say nothing") {
  World w;
  const std::string ask = Ask(7, "secret.example");
  for (size_t size = 0; size < ask.size(); size++) w.Feed(1, Side::kToServer, ask, size);
  w.Answers(1, ask);                       // a question from the server
  w.Asks(1, Answer(7, "secret.example"));  // an answer from the client
  w.Asks(1, "GET /secret HTTP/1.1\r\nHost: h\r\n\r\n");
  w.Asks(1, U16(7) + U16(0x0100) + U16(1) + std::string(6, '\0') + "\xc0\x0c" + U16(1) + U16(1));
  CHECK_EQ(w.datagrams.Counters().malformed, ask.size() + 4);
  CHECK_EQ(w.datagrams.Flows(), 0u);
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; round++) {
    std::string bytes = round % 2 == 0 ? Ask(7, "a.b.c.example") : Answer(7, "a.b.c.example");
    for (int flips = 0; flips < 3; flips++) bytes[random() % bytes.size()] = static_cast<char>(random());
    w.Feed(1, round % 2 == 0 ? Side::kToServer : Side::kToClient, bytes, random() % 60);
  }
  w.datagrams.Take(1, true, [&](const LedgerRow& row) {
    const std::string_view name = w.ledger.Name(row.operation);
    CHECK(name.size() <= kMaxOperation);
    for (const char c : name) CHECK(c >= 0x20 && c < 0x7f);
  });
  CHECK_EQ(w.ledger.FreeRows(), LedgerOptions{}.max_rows);
}

TEST("l7 datagrams: the longest name has an operation, and only the begin of it is needed") {
  World w;
  std::string name = std::string(63, 'x') + "." + std::string(63, 'y') + "." + std::string(63, 'z') + "." +
                     std::string(61, 'q');
  const std::string ask = Ask(7, name);
  REQUIRE_EQ(ask.size(), size_t{12 + 255 + 4});
  w.Feed(1, Side::kToServer, ask + std::string(400, 'e'), 272);
  CHECK_EQ(w.datagrams.Counters().malformed, 0u);
  CHECK(w.Told(1, true) != "");
}

}  // namespace skybraid::l7::dns
