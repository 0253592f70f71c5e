#include "../l7/mysql/mysql.h"
#include "l7_conversation.h"

namespace skybraid::l7::mysql {

namespace {

using namespace conversation;

std::string Number(uint64_t value, int size) {
  std::string out;
  for (int i = 0; i < size; i++) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Packet(uint8_t sequence, const std::string& payload) {
  return Number(payload.size(), 3) + static_cast<char>(sequence) + payload;
}
std::string Command(uint8_t code, const std::string& payload = "") {
  return Packet(0, static_cast<char>(code) + payload);
}
std::string Query(const std::string& text) { return Command(3, text); }
std::string Prepare(const std::string& text) { return Command(0x16, text); }
std::string Execute(uint32_t id) { return Command(0x17, Number(id, 4) + '\0' + Number(1, 4) + "hunter2"); }

constexpr uint32_t kAll = 0x00a2bf00, kDeprecateEof = 1u << 24, kTls = 1u << 11, kCompress = 1u << 5;

std::string Greeting(uint32_t capabilities) {
  return Packet(0, std::string("\x0a") + "8.0.36" + std::string(1, '\0') + Number(7, 4) + "saltsalt" +
                       std::string(1, '\0') + Number(capabilities & 0xffff, 2) + "\x21" + Number(2, 2) +
                       Number(capabilities >> 16, 2) + "\x15" + std::string(10, '\0') + "saltsaltsalt" +
                       std::string(1, '\0') + "mysql_native_password" + std::string(1, '\0'));
}
std::string Login(uint32_t capabilities) {
  return Packet(1, Number(capabilities, 4) + Number(1u << 24, 4) + "\x21" + std::string(23, '\0') +
                       "hunter2" + std::string(1, '\0') + "\x14hunter2hunter2hunter");
}
std::string Ok(uint8_t sequence, uint16_t flags = 2) {
  return Packet(sequence, std::string("\0\1\0", 3) + Number(flags, 2) + Number(0, 2));
}
std::string Eof(uint8_t sequence, uint16_t flags = 2) {
  return Packet(sequence, "\xfe" + Number(0, 2) + Number(flags, 2));
}
std::string OkAtEnd(uint8_t sequence, uint16_t flags = 2) {
  return Packet(sequence, std::string("\xfe\0\0", 3) + Number(flags, 2) + Number(0, 2));
}
std::string Error(uint8_t sequence, uint16_t code) {
  return Packet(sequence, "\xff" + Number(code, 2) + "#42S02hunter2");
}
const std::string kColumn = "\3def\4shop\1t\1t\1a\1a";
// Two columns and a row.
std::string Result(bool deprecated, uint8_t from = 1, uint16_t flags = 2) {
  std::string out = Packet(from++, "\2");
  out += Packet(from++, kColumn);
  out += Packet(from++, kColumn);
  if (!deprecated) out += Eof(from++);
  out += Packet(from++, "\7hunter2\1x");
  return out + (deprecated ? OkAtEnd(from, flags) : Eof(from, flags));
}
std::string Prepared(uint32_t id, uint16_t columns, uint16_t parameters, bool deprecated) {
  uint8_t sequence = 1;
  std::string out = Packet(sequence, std::string(1, '\0') + Number(id, 4) + Number(columns, 2) +
                                         Number(parameters, 2) + std::string(3, '\0'));
  for (const uint16_t count : {parameters, columns}) {
    for (int i = 0; i < count; i++) out += Packet(++sequence, kColumn);
    if (count > 0 && !deprecated) out += Eof(++sequence);
  }
  return out;
}

std::string Said(const std::vector<Turn>& turns) {
  const std::string lines = Lines<MysqlParser>(turns);
  CHECK(lines.find("hunter2") == std::string::npos);
  return lines;
}

std::string After(bool deprecated, std::vector<Turn> turns) {
  const uint32_t capabilities = kAll | (deprecated ? kDeprecateEof : 0);
  turns.insert(turns.begin(), {Server(Greeting(capabilities)), Client(Login(capabilities)), Server(Ok(2))});
  const std::string lines = Said(turns), begin = "> CONNECT\n< 0\n";
  CHECK_EQ(lines.substr(0, begin.size()), begin);
  return lines.substr(std::min(begin.size(), lines.size()));
}

}  // namespace

TEST("l7 mysql: logins, also those that fail or never begin") {
  CHECK_EQ(Said({Server(Greeting(kAll)), Client(Login(kAll)),
                 Server(Packet(2,
                               "\xfe"
                               "caching_sha2_password")),
                 Client(Packet(3, "hunter2")), Server(Packet(4, "\1\3")), Server(Error(5, 1045))}),
           "> CONNECT\n>  goes-on\n< 1045 error\n");
  CHECK_EQ(Said({Server(Packet(0, "\xff" + Number(1040, 2) + "#08004Too many connections"))}),
           "> CONNECT nolatency\n< 1040 error\n");
}

TEST("l7 mysql: statements and errors, with EOF and without") {
  for (const bool deprecated : {false, true}) {
    CHECK_EQ(
        After(deprecated,
              {Client(Query("SELECT a FROM t WHERE b = 'hunter2'")), Server(Result(deprecated)),
               Client(Query("UPDATE t SET a = \"hunter2\"")), Server(Ok(1)),
               Client(Query("SELECT * FROM missing")), Server(Error(1, 1146)), Client(Command(0x0e)),
               Server(Ok(1)), Client(Command(2, "hunter2")), Server(Ok(1)), Client(Command(1))}),
        "> SELECT t\n< 0\n> UPDATE t\n< 0\n> SELECT missing\n< 1146 error\n> PING\n< 0\n> INIT_DB\n< 0\n");
  }
}

TEST("l7 mysql: an error among the rows, results with no rows, several results") {
  for (const bool deprecated : {false, true}) {
    const std::string head = Packet(1, "\1") + Packet(2, kColumn) + (deprecated ? "" : Eof(3));
    CHECK_EQ(
        After(deprecated, {Client(Query("SELECT a FROM t")), Server(head + Packet(4, "\1x") + Error(5, 1317)),
                           Client(Query("SELECT a FROM u")),
                           Server(head + (deprecated ? OkAtEnd(4) : Eof(4))), Client(Query("CALL p(1)")),
                           Server(Result(deprecated, 1, 10) + Result(deprecated, 7, 10) + Ok(14)),
                           Client(Query("SELECT 1")), Server(Result(deprecated))}),
        "> SELECT t\n< 1317 error\n> SELECT u\n< 0\n> CALL p\n< 0\n> SELECT\n< 0\n");
  }
}

TEST("l7 mysql: a result of more packets than there are sequence numbers") {
  std::string rows = Packet(1, "\1") + Packet(2, kColumn);
  uint8_t sequence = 3;
  for (int i = 0; i < 1000; i++) rows += Packet(sequence++, "\7hunter2");
  rows += OkAtEnd(sequence);
  CHECK_EQ(After(true, {Client(Query("SELECT a FROM t")), Server(rows), Client(Query("SELECT b FROM u")),
                        Server(Result(true))}),
           "> SELECT t\n< 0\n> SELECT u\n< 0\n");
}

TEST("l7 mysql: prepared statements") {
  for (const bool deprecated : {false, true}) {
    CHECK_EQ(After(deprecated,
                   {Client(Prepare("SELECT a FROM t WHERE b = ?")), Server(Prepared(5, 2, 1, deprecated)),
                    Client(Execute(5)), Server(Result(deprecated)),
                    Client(Command(0x18, Number(5, 4) + Number(0, 2) + "hunter2") + Execute(5)),
                    Server(Result(deprecated)), Client(Prepare("DELETE FROM u")),
                    Server(Prepared(6, 0, 0, deprecated)), Client(Execute(6)), Server(Ok(1)),
                    Client(Command(0x19, Number(5, 4)) + Execute(5)), Server(Error(1, 1243)),
                    Client(Prepare("SELEC")), Server(Error(1, 1064))}),
             "> PREPARE SELECT t\n< 0\n> SELECT t\n< 0\n> SELECT t\n< 0\n> PREPARE DELETE u\n< 0\n> DELETE "
             "u\n< 0\n"
             "> \n< 1243 error\n> PREPARE {verb}\n< 1064 error\n");
    // The statement prepared last, before its number is known.
    CHECK_EQ(After(deprecated, {Client(Prepare("UPDATE t SET a = ?") + Execute(UINT32_MAX)),
                                Server(Prepared(5, 0, 1, deprecated) + Ok(1))}),
             "> PREPARE UPDATE t\n> UPDATE t\n< 0\n< 0\n");
  }
}

TEST("l7 mysql: a cursor's rows are fetched") {
  const std::string head = Packet(1, "\1") + Packet(2, kColumn) + Eof(3, 0x42);
  CHECK_EQ(
      After(false, {Client(Prepare("SELECT a FROM t")), Server(Prepared(5, 1, 0, false)), Client(Execute(5)),
                    Server(head), Client(Command(0x1c, Number(5, 4) + Number(10, 4))),
                    Server(Packet(1, std::string("\0\0\1x", 4)) + Eof(2, 0x82)), Client(Query("SELECT 1")),
                    Server(Result(false))}),
      "> PREPARE SELECT t\n< 0\n> SELECT t\n< 0\n> FETCH\n< 0\n> SELECT\n< 0\n");
}

TEST("l7 mysql: LOCAL INFILE and reports of progress") {
  CHECK_EQ(After(false, {Client(Query("LOAD DATA LOCAL INFILE 'hunter2' INTO TABLE t")),
                         Server(Packet(1, "\xfbhunter2")), Client(Packet(2, "1\thunter2\n") + Packet(3, "")),
                         Server(Packet(4, std::string("\xff\xff\xff\1", 4)) + Ok(5)),
                         Client(Query("SELECT 1")), Server(Result(false))}),
           "> LOAD t\n>  goes-on\n>  goes-on\n< 0\n> SELECT\n< 0\n");
}

TEST("l7 mysql: packets of more than 16 MB") {
  MysqlParser parser;
  Listener listener;
  const auto eat = [&](Side side, const std::string& s, size_t seen) {
    parser.Eat(side, reinterpret_cast<const uint8_t*>(s.data()), seen, 1, listener);
    if (seen < s.size()) {
      CHECK_EQ(parser.Skippable(side), s.size() - seen);
      parser.Skip(side, s.size() - seen, 2, listener);
    }
  };
  eat(Side::kToClient, Greeting(kAll), Greeting(kAll).size());
  eat(Side::kToServer, Login(kAll), Login(kAll).size());
  eat(Side::kToClient, Ok(2), Ok(2).size());
  std::string text = "\3INSERT INTO t VALUES ('";
  text += std::string(0xffffff - text.size(), 'x');
  eat(Side::kToServer, Packet(0, text), 100);
  const std::string rest = Packet(1, "hunter2')");
  eat(Side::kToServer, rest, rest.size());
  eat(Side::kToClient, Ok(2), Ok(2).size());
  CHECK_EQ(Joined(listener.details).substr(Joined(listener.details).find("> INSERT")),
           "> INSERT t bytes 16777232 at 1..1\n< 0 bytes 11 at 1..1\n");
}

TEST("l7 mysql: TLS and compression are told, and end the reading") {
  CHECK_EQ(
      Said({Server(Greeting(kAll | kTls)),
            Client(Packet(1, Number(kAll | kTls, 4) + Number(1, 4) + std::string(24, '\0')) + "\x16\x03\x01"),
            Server(Error(3, 7))}),
      "> {tls} nolatency noresponse\n");
  CHECK_EQ(Said({Server(Greeting(kAll | kCompress)), Client(Login(kAll | kCompress)), Server(Ok(2)),
                 Client(Query("SELECT 1"))}),
           "> CONNECT\n< 0\n> {compressed} nolatency noresponse\n");
}

TEST("l7 mysql: attributes of a query") {
  const uint32_t capabilities = kAll | 1u << 27;
  const std::vector<Turn> login = {Server(Greeting(capabilities)), Client(Login(capabilities)),
                                   Server(Ok(2))};
  std::vector<Turn> turns = login;
  turns.push_back(Client(Query(std::string("\0\1SELECT a FROM t", 17))));
  turns.push_back(Server(Ok(1)));
  turns.push_back(Client(Query(std::string("\1\1\0\1\xfe\0\1a\7hunter2SELECT a FROM t", 31))));
  turns.push_back(Server(Ok(1)));
  CHECK_EQ(Said(turns), "> CONNECT\n< 0\n> SELECT t\n< 0\n> \n< 0\n");
}

TEST("l7 mysql: losses, joins in the middle, bytes that only look like it") {
  const std::vector<Turn> turns = {Server(Greeting(kAll)),
                                   Client(Login(kAll)),
                                   Server(Ok(2)),
                                   Client(Prepare("SELECT a FROM t WHERE b = ?")),
                                   Server(Prepared(5, 2, 1, false)),
                                   Client(Execute(5)),
                                   Server(Result(false)),
                                   Client(Query("UPDATE u SET a = 1")),
                                   Server(Ok(1, 10) + Error(2, 1146)),
                                   Client(Query("SELECT b FROM v")),
                                   Server(Result(false))};
  CheckLostPrefixes<MysqlParser>(turns);
  CheckMutations<MysqlParser>(turns, 3000);
  const auto classify = [](Side side, const std::string& text) {
    return Classify(side, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  CHECK(classify(Side::kToClient, Greeting(kAll)) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Query("select 1")) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Execute(5)) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Query("hello")) != Verdict::kYes);
  CHECK(classify(Side::kToServer, "GET / HTTP/1.1\r\n\r\n") == Verdict::kNo);
  CHECK(classify(Side::kToClient, "HTTP/1.1 200 OK\r\n") == Verdict::kNo);
}

}  // namespace skybraid::l7::mysql
