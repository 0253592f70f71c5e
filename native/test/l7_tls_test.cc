#include "../l7/tls/tls.h"
#include "l7_conversation.h"

namespace skybraid::l7::tls {

namespace {

using conversation::CheckSplits;
using conversation::Client;
using conversation::Joined;
using conversation::Server;
using conversation::Turn;
using conversation::Whole;

std::string Number(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string Sized(const std::string& text, int bytes) {
  return Number(static_cast<uint32_t>(text.size()), bytes) + text;
}
std::string Record(uint8_t type, const std::string& body) {
  return Number(type, 1) + "\x03\x01" + Sized(body, 2);
}
std::string Extension(uint32_t type, const std::string& body) { return Number(type, 2) + Sized(body, 2); }
std::string Grease() { return Extension(0x1a1a, ""); }
std::string ServerName(const std::string& name) {
  return Extension(0, Sized(std::string(1, '\0') + Sized(name, 2), 2));
}
std::string Offers(const std::string& first, const std::string& second) {
  return Extension(16, Sized(Sized(first, 1) + Sized(second, 1), 2));
}
std::string ClientHello(const std::string& extensions) {
  return "\x01" + Sized("\x03\x03" + std::string(32, 'r') + Sized(std::string(32, 's'), 1) +
                            Sized("\x1a\x1a\x13\x01\xc0\x2f", 2) + Sized(std::string(1, '\0'), 1) +
                            Sized(extensions, 2),
                        3);
}
std::string ServerHello(const std::string& extensions, const std::string& random = std::string(32, 'R')) {
  const std::string rest = extensions.empty() ? "" : Sized(extensions, 2);
  return "\x02" + Sized("\x03\x03" + random + Sized("", 1) + "\x13\x01" + std::string(1, '\0') + rest, 3);
}
const std::string kTls13 = Extension(43, "\x03\x04");
// A key share as large as those of today: the hello is longer than a packet.
const std::string kLong = Extension(51, std::string(1300, 'k'));
const std::string kHello =
    ClientHello(Grease() + kLong + ServerName("Shop.Example") + Offers("h2", "http/1.1"));

}  // namespace

TEST("l7 tls: name, offer and chosen version") {
  const std::vector<Turn> turns = {
      Client(Record(22, kHello)),
      Server(Record(22, ServerHello(kTls13)) + Record(20, "\x01") + Record(23, "secret")),
      Client(Record(23, "GET / HTTP/1.1\r\n\r\n")),
  };
  CHECK_EQ(Joined(Whole<TlsParser>(turns).lines), "> shop.example h2\n< 772\n");
  CheckSplits<TlsParser>(turns);
}

TEST("l7 tls: a server's hello of which the end is not at hand has its version all the same") {
  const std::string share = Extension(51, std::string(1100, 'k'));
  for (const std::string& extensions : {kTls13 + share, share + kTls13}) {
    conversation::Listener listener;
    TlsParser parser;
    const std::string asked = Record(22, kHello),
                      answered = Record(22, ServerHello(extensions)).substr(0, 960);
    parser.Eat(Side::kToServer, reinterpret_cast<const uint8_t*>(asked.data()), asked.size(), 1, listener);
    parser.Eat(Side::kToClient, reinterpret_cast<const uint8_t*>(answered.data()), answered.size(), 2,
               listener);
    parser.Lost(Side::kToClient, 2, listener);
    CHECK_EQ(Joined(listener.lines), "> shop.example h2\n< 772\n");
  }
}

TEST("l7 tls: an offer that means nothing is passed over") {
  for (const char* grease : {"\x0a\x0a", "\x4a\x4a", "\xfa\xfa"}) {
    const std::vector<Turn> turns = {
        Client(Record(22, ClientHello(Grease() + ServerName("a.test") + Offers(grease, "h2"))))};
    CHECK_EQ(Joined(Whole<TlsParser>(turns).lines), "> a.test h2\n");
    CheckSplits<TlsParser>(turns);
  }
}

TEST("l7 tls: a hello in many records, a version of the old kind, no name") {
  std::string records;
  const std::string hello = ClientHello("");
  for (size_t at = 0; at < hello.size(); at += 7) records += Record(22, hello.substr(at, 7));
  const std::vector<Turn> turns = {Client(records), Server(Record(22, ServerHello("")))};
  CHECK_EQ(Joined(Whole<TlsParser>(turns).lines), "> {no name}\n< 771\n");
  CheckSplits<TlsParser>(turns);
}

TEST("l7 tls: a server that asks for another hello answers the first with its second") {
  const std::string retry = std::string("\xcf\x21\xad\x74", 4) + std::string(28, 'x');
  const std::vector<Turn> turns = {Client(Record(22, kHello)), Server(Record(22, ServerHello(kTls13, retry))),
                                   Client(Record(22, kHello)), Server(Record(22, ServerHello(kTls13)))};
  CHECK_EQ(Joined(Whole<TlsParser>(turns).lines), "> shop.example h2\n< 772\n");
}

TEST("l7 tls: an alert ends the handshake") {
  const std::vector<Turn> turns = {Client(Record(22, kHello)), Server(Record(21, "\x02\x28"))};
  CHECK_EQ(Joined(Whole<TlsParser>(turns).lines), "> shop.example h2\n< 40 error\n");
  CheckSplits<TlsParser>(turns);
}

TEST("l7 tls: told from a hello or from a record with data, in the direction that it has") {
  const auto ask = [](Side side, const std::string& text) {
    return Classify(side, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  const std::string in_data("\x17\x03\x03\x00\x20q", 6);
  CHECK(ask(Side::kToServer, Record(22, kHello)) == Verdict::kYes);
  CHECK(ask(Side::kToClient, Record(22, kHello)) == Verdict::kNo);
  CHECK(ask(Side::kToClient, Record(22, ServerHello(""))) == Verdict::kYes);
  CHECK(ask(Side::kToServer, Record(22, kHello).substr(0, 4)) == Verdict::kMaybe);
  CHECK(ask(Side::kToServer, in_data) == Verdict::kYes);
  CHECK(ask(Side::kToServer, "GET / HTTP/1.1\r\n") == Verdict::kNo);
  CHECK(ask(Side::kToServer, "\x16\x02\x01\x01\x01\x01") == Verdict::kNo);
}

}  // namespace skybraid::l7::tls
