#include "../l7/postgres/postgres.h"
#include "l7_conversation.h"

namespace skybraid::l7::postgres {

namespace {

using namespace conversation;

std::string U32(size_t value) {
  return {char(value >> 24), char(value >> 16), char(value >> 8), char(value)};
}
std::string Z(const std::string& text) { return text + '\0'; }
std::string M(char type, const std::string& payload) { return type + U32(payload.size() + 4) + payload; }

std::string Startup() {
  const std::string body = U32(0x30000) + Z("user") + Z("hunter2") + Z("database") + Z("hunter2") + Z("");
  return U32(body.size() + 4) + body;
}
std::string Query(const std::string& text) { return M('Q', Z(text)); }
std::string Parse(const std::string& name, const std::string& text) {
  return M('P', Z(name) + Z(text) + std::string(2, '\0'));
}
std::string Bind(const std::string& portal, const std::string& name) {
  return M('B', Z(portal) + Z(name) + std::string("\0\0\0\1\0\0\0\7hunter2\0\0", 17));
}
std::string Execute(const std::string& portal = "") { return M('E', Z(portal) + U32(0)); }
const std::string kDescribe = M('D', Z("P"));
const std::string kSync = M('S', ""), kFlush = M('H', "");
const std::string kReady = M('Z', "I"), kParsed = M('1', ""), kBound = M('2', "");
const std::string kRow = M('D', std::string("\0\1\0\0\0\7hunter2", 13));
std::string Done(const std::string& tag) { return M('C', Z(tag)); }
std::string Error(const std::string& state) {
  return M('E', Z("SERROR") + Z("VERROR") + Z("C" + state) + Z("Mhunter2") + Z(""));
}
std::string State(const char* five) { return std::to_string(PackState(five)); }

const std::string kLogin =
    M('R', U32(0)) + M('S', Z("TimeZone") + Z("UTC")) + M('K', U32(1) + U32(2)) + kReady;

std::string Said(const std::vector<Turn>& turns) {
  const std::string lines = Lines<PostgresParser>(turns);
  CHECK(lines.find("hunter2") == std::string::npos);
  return lines;
}

// Only what follows the login.
std::string After(std::vector<Turn> turns) {
  turns.insert(turns.begin(), {Client(Startup()), Server(kLogin)});
  const std::string lines = Said(turns), begin = "> CONNECT\n< 0\n";
  CHECK_EQ(lines.substr(0, begin.size()), begin);
  return lines.substr(std::min(begin.size(), lines.size()));
}

}  // namespace

TEST("l7 postgres: logins, also those that fail") {
  CHECK_EQ(Said({Client(Startup()), Server(M('R', U32(10) + Z("SCRAM-SHA-256") + Z(""))),
                 Client(M('p', "hunter2")), Server(Error("28P01"))}),
           "> CONNECT\n>  goes-on\n< " + State("28P01") + " error\n");
  const std::string cancel = U32(16) + U32(80877102) + U32(7) + U32(8);
  CHECK_EQ(Said({Client(cancel)}), "> CANCEL nolatency noresponse\n");
  CHECK_EQ(PackState("00000"), 0u);
  CHECK_EQ(PackState("ZZZZZ"), 60'466'175u);
}

TEST("l7 postgres: simple queries, with errors, notices and notifications between") {
  const std::string notice = M('N', Z("SNOTICE") + Z("C00000") + Z("Mhunter2") + Z(""));
  const std::string notified = M('A', U32(1) + Z("hunter2") + Z("hunter2"));
  CHECK_EQ(After({Client(Query("SELECT * FROM users WHERE name = 'hunter2'")),
                  Server(notice + M('T', std::string(2, '\0')) + kRow + kRow + Done("SELECT 2") + kReady),
                  Server(notified), Client(Query("SELECT hunter2(")), Server(Error("42601") + kReady),
                  Client(Query("")), Server(M('I', "") + kReady),
                  Client(Query("BEGIN; UPDATE t SET x = 1; COMMIT")),
                  Server(Done("BEGIN") + Done("UPDATE 1") + Error("40001") + kReady), Client(M('X', ""))}),
           "> SELECT users\n< 0\n> SELECT\n< " + State("42601") +
               " error\n> \n< 0\n> BEGIN; UPDATE t; COMMIT\n< " + State("40001") + " error\n");
}

TEST("l7 postgres: prepared statements by name, unnamed ones, portals") {
  CHECK_EQ(After({Client(Parse("s1", "SELECT a FROM t WHERE b = $1") + M('D', "S" + Z("s1")) + kSync),
                  Server(kParsed + M('t', std::string(2, '\0')) + M('n', "") + kReady),
                  Client(Bind("", "s1") + kDescribe + Execute() + kSync),
                  Server(kBound + M('n', "") + kRow + Done("SELECT 1") + kReady),
                  Client(Parse("", "INSERT INTO u VALUES ($1)") + Bind("p", "") + Execute("p") + kSync),
                  Server(kParsed + kBound + M('s', "") + kReady), Client(Execute("p") + kSync),
                  Server(Done("INSERT 0 1") + kReady), Client(Bind("", "nobody") + Execute() + kSync),
                  Server(Error("26000") + kReady), Client(M('C', "S" + Z("s1")) + kSync),
                  Server(M('3', "") + kReady), Client(Bind("", "s1") + Execute() + kSync),
                  Server(Error("26000") + kReady)}),
           "> PREPARE SELECT t\n< 0\n> SELECT t\n< 0\n> INSERT u\n< 0\n> INSERT u\n< 0\n> \n< " +
               State("26000") + " error\n> DESCRIBE\n< 0\n> \n< " + State("26000") + " error\n");
}

TEST("l7 postgres: pipelines; what follows an error until Sync has no answer") {
  const std::string one = Parse("", "SELECT 1 FROM a") + Bind("", "") + Execute();
  const std::string two = Parse("", "UPDATE b SET x = 1") + Bind("", "") + Execute();
  CHECK_EQ(
      After({Client(one + two + one + kSync + two + kSync),
             Server(kParsed + kBound + kRow + Done("SELECT 1") + kParsed + Error("23505") + kReady + kParsed +
                    kBound + Done("UPDATE 1") + kReady)}),
      "> SELECT a\n> UPDATE b\n> SELECT a\n> UPDATE b\n< 0\n< " + State("23505") + " error\n< -1\n< 0\n");
  // The client goes on before it knows of the error, and says Sync later.
  CHECK_EQ(After({Client(one + kFlush), Server(Error("42P01")), Client(two + kSync), Server(kReady),
                  Client(two + kSync), Server(kParsed + kBound + Done("UPDATE 1") + kReady)}),
           "> SELECT a\n< " + State("42P01") + " error\n> UPDATE b noresponse\n> UPDATE b\n< 0\n");
  CHECK_EQ(After({Client(Parse("x", "SELEC a") + kFlush), Server(Error("42601")), Client(kSync),
                  Server(kReady), Client(kSync), Server(kReady)}),
           "> PREPARE {verb}\n< " + State("42601") + " error\n");
}

TEST("l7 postgres: hundreds in flight") {
  std::string asked, answered;
  for (int i = 0; i < 120; i++) {
    asked += Bind("", "s") + Execute() + kSync;
    answered += kBound + Done("SELECT 1") + kReady;
  }
  Listener listener =
      Whole<PostgresParser>({Client(Startup()), Server(kLogin), Client(asked), Server(answered)});
  CHECK_EQ(std::count(listener.lines.begin(), listener.lines.end(), "< 0"), 121);
  listener = Whole<PostgresParser>({Client(Startup()), Server(kLogin), Client(asked + asked + asked),
                                    Server(answered + answered + answered)});
  CHECK(listener.lost > 0);
}

TEST("l7 postgres: COPY in both directions") {
  const std::string data = M('d', "hunter2\n");
  CHECK_EQ(After({Client(Query("COPY t FROM STDIN")), Server(M('G', std::string(3, '\0'))),
                  Client(data + data + M('c', "")), Server(Done("COPY 2") + kReady),
                  Client(Query("COPY t TO STDOUT")),
                  Server(M('H', std::string(3, '\0')) + data + M('c', "") + Done("COPY 1") + kReady)}),
           "> COPY t\n>  goes-on\n>  goes-on\n>  goes-on\n< 0 nolatency\n> COPY t\n< 0\n");
  // The first Sync is passed over by the server.
  CHECK_EQ(After({Client(Parse("", "COPY t FROM STDIN") + Bind("", "") + Execute() + kSync),
                  Server(kParsed + kBound + M('G', std::string(3, '\0'))), Client(data + M('c', "") + kSync),
                  Server(Done("COPY 1") + kReady), Client(Query("SELECT 1 FROM a")),
                  Server(M('T', std::string(2, '\0')) + Done("SELECT 1") + kReady)}),
           "> COPY t\n>  goes-on\n>  goes-on\n< 0 nolatency\n> SELECT a\n< 0\n");
}

TEST("l7 postgres: encryption is asked for, refused and agreed") {
  const std::string tls = U32(8) + U32(80877103), gss = U32(8) + U32(80877104);
  CHECK_EQ(Said({Client(gss), Server("N"), Client(tls), Server("N"), Client(Startup()), Server(kLogin)}),
           "> CONNECT\n< 0\n");
  CHECK_EQ(Said({Client(tls), Server("S"), Client("\x16\x03\x01" + Query("SELECT 1")), Server(kLogin)}),
           "> {tls}\n< 0 nolatency\n");
}

TEST("l7 postgres: long statements and rows pass unseen; so far as a statement is seen, it is told") {
  PostgresParser parser;
  Listener listener;
  Feeder feeder;
  const std::string begin = Startup() + Query("SELECT a FROM t WHERE x = '" + std::string(5000, 'x') + "'");
  feeder.Feed(
      {Side::kToServer, 0, static_cast<uint32_t>(begin.size()), static_cast<uint32_t>(Startup().size() + 60),
       reinterpret_cast<const uint8_t*>(begin.data()), 1},
      parser, listener);
  const std::string answer = kLogin + M('D', std::string(9000, 'x')) + Done("SELECT 1") + kReady;
  const auto head = static_cast<uint32_t>(kLogin.size() + 20);
  const auto tail = static_cast<uint32_t>(Done("SELECT 1").size() + kReady.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(answer.data());
  const auto size = static_cast<uint32_t>(answer.size());
  feeder.Feed({Side::kToClient, 0, size - tail, head, bytes, 2}, parser, listener);
  feeder.Feed({Side::kToClient, size - tail, tail, tail, bytes + size - tail, 3}, parser, listener);
  CHECK_EQ(Joined(listener.lines), "> CONNECT\n> SELECT t {cut}\n< 0\n< 0\n");
}

TEST("l7 postgres: losses and bytes that only look like it") {
  const std::vector<Turn> turns = {
      Client(Startup()),
      Server(kLogin),
      Client(Query("SELECT a FROM t") + Parse("s", "SELECT b FROM u") + Bind("", "s") + Execute() + kSync),
      Server(M('T', std::string(2, '\0')) + Done("SELECT 1") + kReady + kParsed + kBound + Error("23505") +
             kReady),
      Client(Bind("", "s") + Execute() + kSync),
      Server(kBound + Done("SELECT 1") + kReady)};
  CheckLostPrefixes<PostgresParser>(turns);
  CheckMutations<PostgresParser>(turns, 3000);
}

TEST("l7 postgres: is only found where it is") {
  const auto classify = [](Side side, const std::string& text) {
    return Classify(side, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  for (size_t size = 0; size < 12; size++)
    CHECK(classify(Side::kToServer, Startup().substr(0, size)) != Verdict::kNo);
  CHECK(classify(Side::kToServer, Startup().substr(0, 8)) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Query("SELECT 1")) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Query("SELECT a, b, c, d FROM t").substr(0, 30)) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Parse("", "SELECT 1") + Bind("", "") + Execute() + kSync) == Verdict::kYes);
  CHECK(classify(Side::kToClient, Done("SELECT 1") + kReady) == Verdict::kYes);
  CHECK(classify(Side::kToServer, "POST / HTTP/1.1\r\n\r\n") == Verdict::kNo);
  CHECK(classify(Side::kToServer, "QUIT\r\n") == Verdict::kNo);
  for (const char* line :
       {"Q 1 hello hello hello hello\n", "Q: what is the time, and what the day?\n",
        "Q\"quoted text of a protocol with lines\"\n", "Q\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\n"})
    CHECK(classify(Side::kToServer, line) == Verdict::kNo);
  CHECK(classify(Side::kToServer, "*1\r\n$4\r\nPING\r\n") == Verdict::kNo);
}

}  // namespace skybraid::l7::postgres
