#include "../l7/conversations.h"
#include "../l7/dns/dns_name.h"
#include "../l7/dns/dns_parser.h"
#include "dns_wire.h"
#include "l7_conversation.h"

namespace skybraid::l7::dns {

namespace {

using namespace conversation;

constexpr uint16_t kA = 1, kPtr = 12, kAaaa = 28;

std::string Framed(const std::string& message) { return U16(message.size()) + message; }

std::string Ask(uint16_t id, uint16_t type, const std::string& name) {
  const std::string edns = std::string("\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
  return Framed(U16(id) + U16(0x0100) + U16(1) + U16(0) + U16(0) + U16(1) + Wire(name) + U16(type) + U16(1) +
                edns);
}

std::string Answer(uint16_t id, uint16_t type, const std::string& name, uint8_t rcode = 0) {
  const std::string record = std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1", 16);
  return Framed(U16(id) + U16(0x8180u | rcode) + U16(1) + U16(rcode == 0 ? 1 : 0) + U16(0) + U16(0) +
                Wire(name) + U16(type) + U16(1) + (rcode == 0 ? record : ""));
}

std::string Folded(const std::string& name) {
  OperationText out;
  AddName(reinterpret_cast<const uint8_t*>(Wire(name).c_str()), out);
  return std::string(out.view());
}

// What is booked of a conversation, with the open requests given up at its end.
std::string Booked(const std::vector<Turn>& turns) {
  Ledger ledger;
  PairingCounters counters;
  Pairing pairing(Protocol::kDns, ledger, counters);
  DnsParser parser;
  uint64_t ns = 0;
  for (const Turn& turn : turns)
    parser.Eat(turn.side, reinterpret_cast<const uint8_t*>(turn.bytes.data()), turn.bytes.size(),
               ns += 1'000'000, pairing);
  pairing.GiveUpBefore(ns + 1);
  std::vector<std::string> rows;
  ledger.Take(pairing.Rows(), [&](const LedgerRow& row) {
    rows.push_back(std::string(ledger.Name(row.operation)) + " " +
                   std::to_string(static_cast<int32_t>(row.status)) + " x" + std::to_string(row.count) + " " +
                   std::to_string(row.first_byte_sum_us));
  });
  std::sort(rows.begin(), rows.end());
  return Joined(rows) + "unpaired " + std::to_string(counters.unpaired);
}

Verdict ClassifyText(Side side, const std::string& text) {
  return Classify(side, reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

}  // namespace

TEST("l7 dns: names are folded by the rule that is written down") {
  CHECK_EQ(Folded("orders"), "orders");
  CHECK_EQ(Folded("API.Example.com"), "api.example.com");
  CHECK_EQ(Folded("a.b.example.com"), "*.b.example.com");
  CHECK_EQ(Folded("orders.shop.svc.cluster.local"), "orders.shop.svc.cluster.local");
  CHECK_EQ(Folded("10-1-2-3.orders.shop.svc.cluster.local"), "*.shop.svc.cluster.local");
  CHECK_EQ(Folded("api.example.com.shop.svc.cluster.local"), "*.shop.svc.cluster.local");
  CHECK_EQ(Folded("api.example.com.cluster.local"), "*.com.cluster.local");
  CHECK_EQ(Folded("8.8.8.8.in-addr.arpa"), "*.in-addr.arpa");
  CHECK_EQ(Folded("10.0.0.1"), "{address}");
  CHECK_EQ(Folded("9f86d081884c7d65.example.com"), "*.example.com");
  CHECK_EQ(Folded("a.9f86d081884c7d65.example.com"), "*.example.com");
  CHECK_EQ(Folded("163.com"), "163.com");
  CHECK_EQ(Folded("a b.*x"), "a?b.?x");
  CHECK_EQ(Folded(""), ".");
  CHECK(Folded(std::string(63, '\x01') + "." + std::string(63, '\x02')).size() <= kMaxOperation);
}

TEST("l7 dns: A and AAAA in flight together, out of order, with errors told apart") {
  const std::vector<Turn> turns = {
      Client(Ask(7, kA, "orders.shop.svc.cluster.local") + Ask(7, kAaaa, "ORDERS.shop.svc.cluster.local")),
      Server(Answer(7, kAaaa, "orders.SHOP.svc.cluster.local", 3)),
      Server(Answer(7, kA, "orders.shop.svc.cluster.local")), Client(Ask(8, kPtr, "1.0.0.10.in-addr.arpa")),
      Server(Answer(8, kPtr, "1.0.0.10.in-addr.arpa", 2))};
  CheckSplits<DnsParser>(turns);
  CHECK_EQ(Booked(turns),
           "A orders.shop.svc.cluster.local 0 x1 2000\nAAAA orders.shop.svc.cluster.local 3 x1 1000\n"
           "PTR *.in-addr.arpa 2 x1 1000\nunpaired 0");
}

TEST("l7 dns: retries with the same id are asked twice, what is never answered is unknown") {
  CHECK_EQ(
      Booked({Client(Ask(1, kA, "a.test")), Client(Ask(1, kA, "a.test")), Server(Answer(1, kA, "a.test"))}),
      "A a.test -1 x1 0\nA a.test 0 x1 2000\nunpaired 0");
  CHECK_EQ(Booked({Client(Ask(1, kA, "a.test")), Server(Answer(2, kA, "a.test")),
                   Server(Answer(1, kA, "b.test"))}),
           "A a.test -1 x1 0\nunpaired 2");
}

TEST("l7 dns: a response without a question answers by its id") {
  const std::string refused = Framed(U16(9) + U16(0x8005) + std::string(8, '\0'));
  CHECK_EQ(Booked({Client(Ask(8, kA, "b.test") + Ask(9, kA, "a.test")), Server(refused)}),
           "A a.test 5 x1 1000\nA b.test -1 x1 0\nunpaired 0");
}

TEST("l7 dns: a datagram of which the begin was captured, and one that is missing") {
  DnsParser parser;
  Listener listener;
  Feeder feeder;
  const std::string ask = Ask(1, kA, "a.test"), answer = Answer(1, kA, "a.test");
  const auto feed = [&](Side side, uint64_t offset, const std::string& s, size_t captured) {
    feeder.Feed({side, offset, static_cast<uint32_t>(s.size()), static_cast<uint32_t>(captured),
                 reinterpret_cast<const uint8_t*>(s.data()), 1},
                parser, listener);
  };
  feed(Side::kToServer, 0, ask, ask.size() - 11);
  feed(Side::kToServer, ask.size(), ask, ask.size());
  feed(Side::kToClient, 40, answer, answer.size());
  CHECK_EQ(listener.gaps, 1);
  CHECK_EQ(listener.lost, 0);
  CHECK_EQ(listener.operations.size(), size_t{2});
  CHECK_EQ(listener.operations[0], "A a.test");
  CHECK(listener.lines.back().substr(0, 4) == "< 0 ");
}

TEST("l7 dns: other kinds of requests, types nobody knows") {
  const auto ask = [](uint16_t flags, uint16_t type) {
    return Framed(U16(1) + U16(flags) + U16(1) + U16(0) + U16(0) + U16(0) + Wire("test") + U16(type) +
                  U16(1));
  };
  const Listener listener =
      Whole<DnsParser>({Client(ask(0x2800, 6) + ask(0x2400, 6) + ask(0x0100, 0xff01) + ask(0x0100, 252))});
  CHECK_EQ(Joined(listener.operations), "UPDATE test\nNOTIFY test\n{type} test\nAXFR test\n");
}

TEST("l7 dns: is only found where it is") {
  const std::string ask = Ask(1, kA, "a.test"), answer = Answer(1, kA, "a.test");
  for (size_t size = 0; size < ask.size(); size++)
    CHECK(ClassifyText(Side::kToServer, ask.substr(0, size)) != Verdict::kNo);
  CHECK(ClassifyText(Side::kToServer, ask) == Verdict::kYes);
  CHECK(ClassifyText(Side::kToClient, answer) == Verdict::kYes);
  CHECK(ClassifyText(Side::kToClient, ask) == Verdict::kNo);
  CHECK(ClassifyText(Side::kToServer,
                     Ask(1, kA, std::string(60, 'x') + "." + std::string(60, 'y')).substr(0, 64)) ==
        Verdict::kYes);
  std::mt19937 random(1);
  int found = 0;
  for (int i = 0; i < 100'000; i++) {
    std::string noise(64, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    noise[0] = 0;  // a length that may be
    found += ClassifyText(i % 2 == 0 ? Side::kToServer : Side::kToClient, noise) == Verdict::kYes;
  }
  CHECK_EQ(found, 0);
  CHECK(ClassifyText(Side::kToServer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") == Verdict::kNo);
}

TEST("l7 dns: losses and bytes that only look like it") {
  const std::vector<Turn> turns = {
      Client(Ask(1, kA, "a.secret.test") + Ask(2, kAaaa, "b.c.example.com")),
      Server(Answer(1, kA, "a.secret.test") + Answer(2, kAaaa, "b.c.example.com", 3))};
  CheckLostPrefixes<DnsParser>(turns);
  CheckMutations<DnsParser>(turns, 3000);
}

TEST("l7 dns: is read from its first datagram on") {
  Ledger ledger;
  Conversations all(ledger);
  const std::string ask = Ask(1, kA, "a.test"), answer = Answer(1, kA, "a.test");
  all.Feed(1, {Side::kToServer, 0, static_cast<uint32_t>(ask.size()), static_cast<uint32_t>(ask.size()),
               reinterpret_cast<const uint8_t*>(ask.data()), 1});
  CHECK(all.Speaks(1) == Protocol::kDns);
  all.Feed(1, {Side::kToClient, 0, static_cast<uint32_t>(answer.size()), static_cast<uint32_t>(answer.size()),
               reinterpret_cast<const uint8_t*>(answer.data()), 2});
  int rows = 0;
  all.Take(
      1, [&](const LedgerRow& row) { rows += row.status == 0 && ledger.Name(row.operation) == "A a.test"; });
  CHECK_EQ(rows, 1);
}

}  // namespace skybraid::l7::dns
