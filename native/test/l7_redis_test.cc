#include "../l7/pairing.h"
#include "../l7/redis/redis.h"
#include "l7_conversation.h"

namespace skybraid::l7::redis {

namespace {

using namespace conversation;

std::string Resp(const std::vector<std::string>& arguments) {
  std::string out = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& a : arguments) out += "$" + std::to_string(a.size()) + "\r\n" + a + "\r\n";
  return out;
}

}  // namespace

TEST("l7 redis: commands and replies, never keys") {
  CHECK_EQ(Lines<RedisParser>({Client(Resp({"set", "secret-key", "secret\r\n*1\r\n"})), Server("+OK\r\n"),
                               Client(Resp({"GET", "secret-key"})), Server("$6\r\nsecret\r\n"),
                               Client(Resp({"GET", "none"})), Server("$-1\r\n"),
                               Client(Resp({"config", "get", "requirepass"})),
                               Server("*2\r\n$1\r\na\r\n$1\r\nb\r\n"), Client(Resp({"LPUSH", "secret-key"})),
                               Server("-WRONGTYPE secret\r\n"), Client(Resp({"s3cret"})),
                               Server("-ERR unknown command 's3cret'\r\n")}),
           "> SET\n< 0\n> GET\n< 0\n> GET\n< 0\n> CONFIG GET\n< 0\n> LPUSH\n< 2 error\n> \n< 1 error\n");
}

TEST("l7 redis: pipelines of hundreds") {
  std::string commands, replies, expected_asked, expected_answered;
  for (int i = 0; i < 500; i++) {
    commands += Resp({"INCR", "k"});
    replies += ":" + std::to_string(i) + "\r\n";
    expected_asked += "> INCR\n";
    expected_answered += "< 0\n";
  }
  CHECK_EQ(Joined(Whole<RedisParser>({Client(commands), Server(replies)}).lines),
           expected_asked + expected_answered);
}

TEST("l7 redis: transactions, blocking commands and redirections") {
  CHECK_EQ(Lines<RedisParser>(
               {Client(Resp({"MULTI"}) + Resp({"SET", "a", "b"}) + Resp({"EXEC"})),
                Server("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"), Client(Resp({"BLPOP", "q", "0"})),
                Server("*-1\r\n"), Client(Resp({"XREAD", "COUNT", "2", "BLOCK", "0", "STREAMS", "s", "$"})),
                Server("*-1\r\n"), Client(Resp({"XREAD", "STREAMS", "block", "0"})), Server("*-1\r\n"),
                Client(Resp({"GET", "a"})), Server("-MOVED 3999 10.0.0.1:6381\r\n")}),
           "> MULTI\n> SET nolatency\n> EXEC\n< 0\n< 0\n< 0\n> BLPOP nolatency\n< 0\n> XREAD nolatency\n< 0\n"
           "> XREAD\n< 0\n> GET\n< 3\n");
}

TEST("l7 redis: published messages answer nothing, confirmations answer once") {
  const std::string confirm1 = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
  const std::string confirm2 = "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n";
  const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$6\r\nsecret\r\n";
  const std::string end1 = "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n";
  const std::string end0 = "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n";
  CHECK_EQ(Lines<RedisParser>({Client(Resp({"SUBSCRIBE", "a", "b"})),
                               Server(confirm1 + confirm2 + message + message), Client(Resp({"PING"})),
                               Server("*2\r\n$4\r\npong\r\n$0\r\n\r\n"), Client(Resp({"UNSUBSCRIBE"})),
                               Server(message + end1 + end0), Client(Resp({"LRANGE", "l", "0", "1"})),
                               Server("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n")}),
           "> SUBSCRIBE nolatency\n< 0\n> PING\n< 0\n> UNSUBSCRIBE nolatency\n< 0\n> LRANGE\n< 0\n");
}

TEST("l7 redis: RESP3") {
  CHECK_EQ(Lines<RedisParser>(
               {Client(Resp({"HELLO", "3", "AUTH", "ann", "secret"})),
                Server("%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"),
                Client(Resp({"SUBSCRIBE", "a"})), Server(">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
                Client(Resp({"GET", "k"})), Server(">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n_\r\n"),
                Client(Resp({"SMISMEMBER", "k"})), Server("|1\r\n+ttl\r\n:3\r\n*2\r\n#t\r\n,1.5\r\n"),
                Client(Resp({"EVAL", "x", "0"})),
                Server("!10\r\nERR secret\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")}),
           "> HELLO\n< 0\n> SUBSCRIBE nolatency\n< 0\n> GET\n< 0\n> SMISMEMBER\n< 0\n> EVAL\n< 1 error\n");
}

TEST("l7 redis: inline commands, replies switched off, monitor, replication") {
  CHECK_EQ(Lines<RedisParser>(
               {Client("PING\r\n\r\nget secret\n"), Server("+PONG\r\n$-1\r\n"),
                Client(Resp({"CLIENT", "REPLY", "SKIP"}) + Resp({"SET", "a", "b"}) + Resp({"GET", "a"})),
                Server("$1\r\nb\r\n"), Client(Resp({"MONITOR"})),
                Server("+OK\r\n+1 [0 a] \"GET\" \"secret\"\r\n")}),
           "> PING\n> GET\n< 0\n< 0\n> CLIENT REPLY noresponse\n> SET noresponse\n> GET\n< 0\n> MONITOR "
           "nolatency\n< 0\n");
  CHECK_EQ(
      Lines<RedisParser>({Client(Resp({"PSYNC", "?", "-1"})), Server("+FULLRESYNC x 0\r\n$88\r\nREDIS0009")}),
      "> PSYNC nolatency\n");
}

TEST("l7 redis: a body passes unseen, other missing bytes are told") {
  RedisParser parser;
  conversation::Listener listener;
  Feeder feeder;
  const std::string head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n";
  const auto* bytes = reinterpret_cast<const uint8_t*>(head.data());
  const auto size = static_cast<uint32_t>(head.size());
  feeder.Feed({Side::kToServer, 0, size + 100'000, size, bytes, 1}, parser, listener);
  feeder.Feed({Side::kToServer, size + 100'000, 2, 2, reinterpret_cast<const uint8_t*>("\r\n"), 2}, parser,
              listener);
  CHECK_EQ(Joined(listener.details), "> SET bytes 100031 at 1..2\n");
  feeder.Feed({Side::kToServer, size + 100'010, size, size, bytes, 3}, parser, listener);
  CHECK_EQ(listener.lost, 1);
}

TEST("l7 redis: joined in the middle, no command is invented") {
  CheckLostPrefixes<RedisParser>({Client(Resp({"SET", "key", "value with GET in it"}) + Resp({"GET", "key"})),
                                  Server("+OK\r\n$20\r\nvalue with GET in it\r\n"),
                                  Client(Resp({"DEL", "key"})), Server(":1\r\n")});
}

TEST("l7 redis: bytes that only look like it") {
  CheckMutations<RedisParser>(
      {Client(Resp({"SUBSCRIBE", "a", "b"}) + Resp({"XREAD", "BLOCK", "0"})),
       Server("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n|1\r\n+a\r\n:1\r\n%1\r\n$1\r\na\r\n_\r\n"),
       Client(Resp({"CLIENT", "REPLY", "OFF"}))},
      3000);
  CHECK(Classify(Side::kToServer, reinterpret_cast<const uint8_t*>("*1\r\n$4\r\nPING\r\n"), 14) ==
        Verdict::kYes);
  CHECK(Classify(Side::kToServer, reinterpret_cast<const uint8_t*>("*1\r\n+4\r\nPING\r\n"), 14) ==
        Verdict::kNo);
  CHECK(Classify(Side::kToServer, reinterpret_cast<const uint8_t*>("GET / HTTP/1.1"), 14) == Verdict::kNo);
}

TEST("l7 redis: after a loss in a pipeline answers are nobody's until it was quiet") {
  Ledger ledger;
  PairingCounters counters;
  Pairing pairing(Protocol::kRedis, ledger, counters);
  RedisParser parser;
  const auto eat = [&](Side side, const std::string& s, uint64_t ms) {
    parser.Eat(side, reinterpret_cast<const uint8_t*>(s.data()), s.size(), ms * 1'000'000, pairing);
  };
  const auto booked = [&] {
    std::string rows;
    ledger.Take(pairing.Rows(), [&](const LedgerRow& row) {
      rows += std::string(ledger.Name(row.operation)) + " " +
              std::to_string(static_cast<int32_t>(row.status)) + " x" + std::to_string(row.count) + "; ";
    });
    return rows;
  };
  eat(Side::kToServer, Resp({"GET", "a"}) + Resp({"SET", "a", "b"}), 1);
  eat(Side::kToClient, "$-1\r\n+OK\r\n", 2);
  CHECK_EQ(booked(), "SET 0 x1; GET 0 x1; ");
  // A command is missing whose answer, an error, is still to come.
  parser.Lost(Side::kToServer, 3'000'000, pairing);
  eat(Side::kToServer, Resp({"GET", "a"}), 3);
  eat(Side::kToClient, "-ERR\r\n$-1\r\n", 4);
  CHECK_EQ(booked(), "GET -1 x1; ");
  CHECK_EQ(counters.unpaired, 2u);
  eat(Side::kToServer, Resp({"GET", "a"}), 2000);
  eat(Side::kToClient, "$-1\r\n", 2001);
  CHECK_EQ(booked(), "GET 0 x1; ");
}

}  // namespace skybraid::l7::redis
