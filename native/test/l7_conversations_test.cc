// Many connections at once: who speaks what, and what happens when there is no more room.
#include <map>
#include <string>

#include "check.h"
#include "l7/conversations.h"

namespace skybraid::l7 {
namespace {

const Side kTo = Side::kToServer, kBack = Side::kToClient;

struct World {
  explicit World(const ConversationOptions& options = {}) : all(ledger, options) {}
  Ledger ledger;
  Conversations all;
  uint64_t ns = 1000;
  std::map<std::pair<uint64_t, int>, uint64_t> next;

  void Say(uint64_t connection, Side side, const std::string& text, size_t step = std::string::npos) {
    for (size_t at = 0; at < text.size(); at += step == std::string::npos ? text.size() : step) {
      const std::string bytes = text.substr(at, step);
      uint64_t& offset = next[{connection, static_cast<int>(side)}];
      const auto size = static_cast<uint32_t>(bytes.size());
      all.Feed(connection,
               {side, offset, size, size, reinterpret_cast<const uint8_t*>(bytes.data()), ns += 1000});
      offset += size;
    }
  }
  std::map<std::pair<std::string, uint32_t>, uint64_t> Take(uint64_t connection) {
    std::map<std::pair<std::string, uint32_t>, uint64_t> counts;
    all.Take(connection, [&](const LedgerRow& row) {
      counts[{std::string(ledger.Name(row.operation)), row.status}] += row.count;
    });
    return counts;
  }
};

const std::string kAsk = "GET /orders/17?key=1 HTTP/1.1\r\nHost: shop\r\n\r\n";
const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST("l7 conversations: a protocol is found in bytes of any division") {
  for (const size_t step : {size_t{1}, size_t{3}, size_t{20}, std::string::npos}) {
    World world;
    for (int i = 0; i < 3; i++) {
      world.Say(1, kTo, kAsk, step);
      world.Say(1, kBack, kAnswer, step);
    }
    CHECK(world.all.Speaks(1) == Protocol::kHttp1);
    CHECK_EQ(world.Take(1).at({"GET /orders/{id}", 200}), 3u);
  }
}

TEST("l7 conversations: what is sent again while nobody knows what it is changes nothing") {
  World world;
  const auto feed = [&world](size_t at, uint32_t size) {
    world.all.Feed(
        1, {kTo, at, size, size, reinterpret_cast<const uint8_t*>(kAsk.data()) + at, world.ns += 1000});
  };
  for (size_t at = 0; at < kAsk.size(); at++) {
    feed(at, 1);
    feed(at / 2, static_cast<uint32_t>(at - at / 2));      // all of it is known
    if (at + 1 < kAsk.size() && at % 2 == 1) feed(at, 2);  // and half of it
  }
  world.Say(1, kBack, kAnswer);
  CHECK(world.Take(1) ==
        (std::map<std::pair<std::string, uint32_t>, uint64_t>{{{"GET /orders/{id}", 200}, 1}}));
  CHECK_EQ(world.all.Counters().pairing.unpaired, 0u);
  CHECK_EQ(world.all.Counters().pairing.gaps, 0u);
}

TEST("l7 conversations: joined in the middle, what is seen whole is told") {
  World world;
  world.next[{1, 0}] = 5000;
  world.next[{1, 1}] = 90'000;
  world.Say(1, kBack, "rest of a body");
  world.Say(1, kTo, kAsk);
  world.Say(1, kBack, kAnswer);
  CHECK_EQ(world.Take(1).at({"GET /orders/{id}", 200}), 1u);
}

const std::string kSet = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";

TEST("l7 conversations: joined in the middle where order alone tells, the first request has its answer") {
  const std::string query = std::string("Q\0\0\0\x0eSELECT 1;\0", 15), done = std::string("Z\0\0\0\5I", 6);
  const struct {
    std::string ask, answer, operation;
  } kTold[] = {{kSet, "+OK\r\n", "SET"},
               {query, std::string("C\0\0\0\x0dSELECT 1\0", 14) + done, "SELECT"},
               {std::string("\7\0\0\0\3DO sql", 11), std::string("\7\0\0\1\0\0\0\2\0\0\0", 11), "DO"}};
  for (const auto& told : kTold) {
    World world;
    world.next[{1, 0}] = 5000;
    world.next[{1, 1}] = 90'000;
    for (int i = 0; i < 3; i++) {
      world.Say(1, kTo, told.ask);
      world.Say(1, kBack, told.answer);
    }
    CHECK_EQ(world.Take(1)[std::make_pair(told.operation, 0u)], 3u);
    CHECK_EQ(world.all.Counters().pairing.unpaired, 0u);
  }
}

TEST("l7 conversations: joined in the middle, what was answered before the first request is not its answer") {
  World world;
  world.next[{1, 0}] = 5000;
  world.next[{1, 1}] = 90'000;
  world.Say(1, kBack, "+OK\r\n");
  world.Say(1, kTo, kSet);
  world.Say(1, kBack, "-ERR no\r\n");
  auto told = world.Take(1);
  CHECK_EQ(told.size(), size_t{1});
  CHECK_EQ(told[std::make_pair("SET", 1u)], 1u);
}

TEST("l7 conversations: joined in the middle of a pipeline, nothing has another's answer") {
  World world;
  world.next[{1, 0}] = 5000;
  world.next[{1, 1}] = 90'000;
  world.Say(1, kTo, kSet);  // behind one that was not seen
  world.Say(1, kTo, kSet);
  world.Say(1, kBack, "-ERR of the one before\r\n");
  world.Say(1, kBack, "+OK\r\n");
  world.Say(1, kBack, "+OK\r\n");
  auto told = world.Take(1);
  CHECK_EQ(told.size(), size_t{1});
  CHECK_EQ(told[std::make_pair("SET", kUnknownStatus)], 2u);
}

TEST("l7 conversations: what nobody knows is unknown after a few pieces, and costs nothing") {
  World world;
  for (int i = 0; i < 20; i++) world.Say(7, kTo, "\x01\x02 not known to anybody");
  world.Say(7, kTo, kAsk);
  CHECK(world.all.Speaks(7) == Protocol::kUnknown);
  CHECK(world.Take(7).empty());
  CHECK_EQ(world.all.Counters().verdicts[0], 1u);
  CHECK_EQ(world.all.Bytes(), size_t{0});
}

TEST("l7 conversations: a protocol that is switched off is not read") {
  ConversationOptions options;
  options.protocols = ~(1u << static_cast<uint32_t>(Protocol::kHttp1));
  World world(options);
  for (int i = 0; i < 10; i++) world.Say(1, kTo, kAsk);
  CHECK(world.all.Speaks(1) == Protocol::kUnknown);
}

TEST("l7 conversations: memory is bounded, the longest unused is given up and keeps what it said") {
  ConversationOptions options;
  options.max_bytes = 20'000;
  World world(options);
  for (uint64_t id = 1; id <= 100; id++) {
    world.Say(id, kTo, kAsk);
    world.Say(id, kBack, kAnswer);
    CHECK(world.all.Bytes() <= options.max_bytes);
  }
  CHECK(world.all.Counters().given_up > 80);
  uint64_t told = 0;
  for (uint64_t id = 1; id <= 100; id++) told += world.Take(id)[{"GET /orders/{id}", 200}];
  CHECK_EQ(told, 100u);
}

TEST("l7 conversations: more connections than fit are counted by what they said") {
  ConversationOptions options;
  options.max_connections = 10;
  World world(options);
  for (uint64_t id = 1; id <= 30; id++) {
    world.Say(id, kTo, kAsk);
    world.Say(id, kBack, kAnswer);
  }
  CHECK_EQ(world.all.Counters().forgotten, 20u);
}

TEST("l7 conversations: a new connection costs the same however many were given up before") {
  ConversationOptions options;
  options.max_bytes = 20'000;
  World world(options);
  uint64_t id = 0;
  const auto cost = [&](uint64_t count) {
    const double begun = check::CpuSeconds();
    for (const uint64_t end = id + count; id < end; id++) world.Say(id, kTo, kAsk);
    return check::CpuSeconds() - begun;
  };
  cost(500);
  const double few = cost(1500);
  cost(12'000);
  const double many = cost(1500);
  CHECK_EQ(world.all.Counters().forgotten, 0u);
  CHECK(many < 10 * few);  // a look at each that was given up makes it hundreds
}

TEST("l7 conversations: one that needs more than there is has it, and is the next to go") {
  ConversationOptions options;
  options.max_bytes = 100;
  World world(options);
  for (uint64_t id = 1; id <= 3; id++) {
    world.Say(id, kTo, kAsk);
    world.Say(id, kBack, kAnswer);
    CHECK_EQ(world.all.Counters().given_up, id - 1);
  }
  CHECK_EQ(world.Take(3).at({"GET /orders/{id}", 200}), 1u);
}

TEST("l7 conversations: a closed connection is told once and then forgotten") {
  World world;
  world.Say(1, kTo, kAsk + kAsk);
  world.Say(1, kBack, kAnswer);
  world.all.Close(1);
  CHECK(world.all.Speaks(1) == Protocol::kHttp1);
  const auto told = world.Take(1);
  CHECK_EQ(told.at({"GET /orders/{id}", 200}), 1u);
  CHECK_EQ(told.at({"GET /orders/{id}", kUnknownStatus}), 1u);
  CHECK(world.Take(1).empty());
  CHECK_EQ(world.all.Bytes(), size_t{0});
  CHECK_EQ(world.ledger.FreeRows(), LedgerOptions{}.max_rows);
}

}  // namespace
}  // namespace skybraid::l7
