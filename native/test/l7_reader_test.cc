// Pieces as the kernel programs put them into their ring, and what the reader makes of them and orders.
#include "l7_reader.h"

#include <cstring>
#include <map>
#include <string>

#include "check.h"
#include "flow_identity.h"

namespace skybraid {

namespace {

constexpr uint64_t kCookie = 77;
constexpr uint64_t kMs = 1'000'000;
const std::string kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// Plays the kernel's part for one connection of this server: its stream's bytes are those that are said.
struct Server {
  std::vector<sb_l7_stream> streams = std::vector<sb_l7_stream>(SB_L7_STREAMS);
  uint32_t slot = sb_l7_slot_of(kCookie, 0);
  L7Reader reader{streams.data(), {}};
  uint64_t ns = 1000 * kMs;

  Server() {
    Stream().cookie = kCookie;
    Stream().half[1].known = 1;
    Stream().half[1].first = 5001;
  }
  sb_l7_stream& Stream() { return streams[slot]; }

  // `length` 0: that of the bytes.
  void Piece(bool in, uint64_t offset, const std::string& bytes, uint32_t length = 0) {
    sb_l7_half& half = Stream().half[in];
    std::vector<uint64_t> memory((sizeof(sb_l7_row) + bytes.size() + 7) / 8);
    auto& row = *reinterpret_cast<sb_l7_row*>(memory.data());
    row.cookie = kCookie;
    row.ns = ns += kMs;
    row.passed_ns = half.passed_ns;
    row.offset = offset;
    row.prior_end = half.end;
    row.captured = static_cast<uint32_t>(bytes.size());
    row.length = length != 0 ? length : row.captured;
    row.slot = slot;
    row.ports = 80u << 16 | 4000;
    row.in = in;
    row.role = SB_ROLE_SERVER;
    memcpy(reinterpret_cast<uint8_t*>(memory.data()) + sizeof row, bytes.data(), bytes.size());
    half.passed_ns = 0;
    half.end = std::max<uint64_t>(half.end, offset + row.length);
    reader.OnPiece(row);
  }
  // Bytes that the programs did not copy.
  void Pass(bool in, uint64_t end) {
    Stream().half[in].end = end;
    Stream().half[in].passed_ns = ns += kMs;
  }
  // Counts by operation and status.
  std::map<std::string, uint32_t> Said(bool closed = false) {
    L7Rows said;
    reader.Take(kCookie, closed, said);
    std::map<std::string, uint32_t> counts;
    for (const L7Row& row : said.rows)
      counts[std::string(row.name) + " " + std::to_string(static_cast<int32_t>(row.status))] += row.count;
    return counts;
  }
};

using Counts = std::map<std::string, uint32_t>;

}  // namespace

TEST("l7 reader: a request and its response") {
  Server s;
  s.Piece(true, 0, kGet);
  CHECK_EQ(s.Said().size(), 0u);
  s.Piece(false, 0, kOk);
  CHECK(s.Said() == (Counts{{"GET /a 200", 1}}));
  CHECK_EQ(static_cast<int>(s.reader.Speaks(kCookie)), 1);
  CHECK_EQ(s.Said().size(), 0u);
}

TEST("l7 reader: what is out of order waits, what comes twice counts once") {
  Server s;
  s.Piece(true, 10, kGet.substr(10));
  s.Piece(true, 0, kGet.substr(0, 10));
  s.Piece(true, 0, kGet.substr(0, 10));
  s.Piece(true, 10, kGet.substr(10));
  s.Piece(false, 20, kOk.substr(20));
  s.Piece(false, 10, kOk.substr(10, 5));
  s.Piece(false, 15, kOk.substr(15, 5));
  CHECK_EQ(s.Said().size(), 0u);
  s.Piece(false, 0, kOk.substr(0, 10));
  CHECK(s.Said() == (Counts{{"GET /a 200", 1}}));
  CHECK_EQ(s.reader.Counters().gaps, 0u);
}

TEST("l7 reader: what never comes is given up after a second, and is no answer") {
  Server s;
  s.Piece(true, 0, kGet);
  s.Piece(false, 5, kOk.substr(5));
  s.reader.Tick(s.ns + 900 * kMs, [](uint64_t) {});
  CHECK_EQ(s.reader.Counters().gaps, 0u);
  s.reader.Tick(s.ns + 1100 * kMs, [](uint64_t) {});
  CHECK_EQ(s.reader.Counters().gaps, 1u);
  s.Piece(true, kGet.size(), kGet);
  s.Piece(false, kOk.size(), kOk);
  CHECK(s.Said(true) == (Counts{{"GET /a -1", 1}, {"GET /a 200", 1}}));
}

TEST("l7 reader: a thousand pieces of a byte wait for one, twice as many are too many") {
  Server s;
  s.Piece(true, 0, kGet);
  for (uint64_t i = 1; i <= 1000; i++) s.Piece(false, 2 * i, "x");
  CHECK_EQ(s.reader.Counters().gaps, 0u);
  for (uint64_t i = 1001; i <= 2000; i++) s.Piece(false, 2 * i, "x");
  CHECK(s.reader.Counters().gaps > 0);
}

TEST("l7 reader: the programs are told what need not be copied") {
  Server s;
  s.Piece(true, 0, kGet);
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
  s.Piece(false, 0, head + "xyz", 1000);
  CHECK_EQ(s.Stream().half[0].skip_until, head.size() + 1'000'000);
  CHECK_EQ(s.Stream().half[1].skip_until, 0u);
  s.Pass(false, head.size() + 999'999);
  CHECK_EQ(s.Said().size(), 0u);
  s.Pass(false, head.size() + 1'000'000);
  CHECK(s.Said() == (Counts{{"GET /a 200", 1}}));
}

TEST("l7 reader: a body ends when its last byte passed, not when the next message comes") {
  Server s;
  s.Piece(true, 0, kGet);
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
  s.Piece(false, 0, head);
  s.Pass(false, head.size() + 1000);
  s.ns += 5000 * kMs;
  s.Piece(true, kGet.size(), kGet);
  s.Piece(false, head.size() + 1000, kOk);
  L7Rows said;
  s.reader.Take(kCookie, false, said);
  REQUIRE_EQ(said.rows.size(), 1u);
  CHECK_EQ(said.rows[0].count, 2u);
  CHECK_EQ(said.rows[0].first_byte_sum_us, 2000u);
  CHECK_EQ(said.rows[0].last_byte_sum_us, 3000u);
}

TEST("l7 reader: a chunked body of which only the begin is copied ends where the next request begins") {
  Server s;
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc";
  uint64_t asked = 0, answered = 0;
  for (int i = 0; i < 3; i++) {
    s.Piece(true, asked, kGet);
    asked += kGet.size();
    s.Piece(false, answered, head, 9000);
    answered += 9000;
    s.Pass(false, answered += 500);
  }
  const Counts two{{"GET /a 200", 2}};
  CHECK(s.Said() == two);
  CHECK(s.Said(true) == (Counts{{"GET /a 200", 1}}));
  CHECK_EQ(s.reader.Counters().conversations.pairing.out_of_step, 0u);
}

TEST("l7 reader: a head of which only the begin is copied has its status") {
  Server s;
  s.Piece(true, 0, kGet);
  s.Piece(false, 0, "HTTP/1.1 404 No\r\nX: y\r\nLong: zzz", 3000);
  s.Piece(true, kGet.size(), kGet);
  s.Piece(false, 3000, kOk);
  CHECK(s.Said(true) == (Counts{{"GET /a 404", 1}, {"GET /a 200", 1}}));
}

TEST("l7 reader: with two requests open, what is missing may hold both responses") {
  Server s;
  s.Piece(true, 0, kGet + kGet);
  s.Piece(false, 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc", 9000);
  CHECK(s.Said(true) == (Counts{{"GET /a -1", 2}}));
}

TEST("l7 reader: the programs are told where a frame begins if they lost their place, and only then") {
  const auto frame = [](char type, char flags, char stream, const std::string& payload) {
    return std::string{0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, stream} + payload;
  };
  const std::string settings = frame(4, 0, 0, std::string("\0\3\0\0\0\x64", 6));
  const std::string data = frame(0, 0, 1, std::string(100, 'd'));
  for (const bool lost : {true, false}) {
    Server s;
    s.Stream().half[0].to_frame = lost ? SB_L7_LOST : 0;
    s.Piece(false, 0, settings);
    CHECK_EQ(static_cast<int>(s.Stream().how), SB_L7_HTTP2);
    CHECK_EQ(s.Stream().half[0].skip_until, lost ? settings.size() : 0);
    s.Piece(false, settings.size(), data.substr(0, 30));
    CHECK_EQ(s.Stream().half[0].skip_until, lost ? settings.size() + data.size() : 0);
  }
}

TEST("l7 reader: of a message that comes byte by byte, all that the programs would copy is copied") {
  const auto packet = [](char sequence, const std::string& payload) {
    return std::string{static_cast<char>(payload.size()), 0, 0, sequence} + payload;
  };
  const std::string zeros(23, '\0');
  const std::string greeting = packet(0,
                                      "\x0a"
                                      "5.5.5-10.11.6-MariaDB" +
                                          std::string("\0\7\0\0\0saltsalt\0\xfe\xf7", 16) +
                                          std::string("\x21\2\0\xff\x81\x15", 6) + zeros + "saltsaltsalt");
  const std::string login =
      packet(1, std::string("\5\xa2\x3e\0\0\0\0\1\x21", 9) + zeros + std::string("me\0\0", 4));
  const std::string ok("\0\0\0\2\0\0\0", 7);
  Server s;
  uint64_t at[2] = {0, 0};
  const auto say = [&](bool in, const std::string& bytes) {
    for (const char byte : bytes) {
      sb_l7_half& half = s.Stream().half[in];
      half.to_frame = SB_L7_LOST;  // as of connections that are not known yet
      if (at[in] < half.skip_until)
        s.Pass(in, at[in] + 1);
      else
        s.Piece(in, at[in], std::string(1, byte));
      at[in]++;
    }
  };
  say(false, greeting);
  say(true, login);
  say(false, packet(2, ok));
  say(true, packet(0, "\3UPDATE items SET price = 1 WHERE id = 4711"));
  say(false, packet(1, ok));
  CHECK(s.Said() == (Counts{{"CONNECT 0", 1}, {"UPDATE items 0", 1}}));
  CHECK_EQ(s.reader.Counters().conversations.pairing.unpaired, 0u);
}

TEST("l7 reader: what nobody knows is told once, then needs no copies") {
  Server s;
  const std::string noise(100, '\xfe');
  for (uint64_t i = 0; i < 8; i++) s.Piece(true, 100 * i, noise);
  CHECK_EQ(static_cast<int>(s.Stream().how), SB_L7_UNREAD);
  s.Piece(true, 800, kGet);
  CHECK_EQ(s.Said().size(), 0u);
}

TEST("l7 reader: payload of a handshake's last packet belongs to the connection that follows") {
  Server s;
  std::vector<uint64_t> memory((sizeof(sb_l7_row) + kGet.size() + 7) / 8);
  auto& row = *reinterpret_cast<sb_l7_row*>(memory.data());
  row.captured = row.length = static_cast<uint32_t>(kGet.size());
  row.ns = s.ns;
  row.slot = SB_L7_NO_SLOT;
  row.ports = 80u << 16 | 4000;
  row.peer_isn = 5000;
  row.in = 1;
  memcpy(reinterpret_cast<uint8_t*>(memory.data()) + sizeof row, kGet.data(), kGet.size());
  s.reader.OnPiece(row);
  s.reader.OnPiece(row);  // sent again
  s.Piece(false, 0, kOk);
  CHECK(s.Said() == (Counts{{"GET /a 200", 1}}));
}

TEST("l7 reader: the place of a connection that ended is free, of one without a piece too") {
  Server s;
  s.Piece(true, 0, kGet);
  CHECK(s.Said(true) == (Counts{{"GET /a -1", 1}}));
  CHECK_EQ(s.Stream().cookie, 0u);
  s.Stream().cookie = kCookie;
  s.Said(true);
  CHECK_EQ(s.Stream().cookie, 0u);
  s.Piece(true, 0, kGet);
  CHECK_EQ(s.reader.Counters().late, 1u);
}

TEST("l7 reader: an unanswered request is told of after a minute") {
  Server s;
  s.Piece(true, 0, kGet);
  std::vector<uint64_t> told;
  s.reader.Tick(s.ns + 70'000 * kMs, [&told](uint64_t flow_id) { told.push_back(flow_id); });
  CHECK(told == std::vector<uint64_t>{kCookie});
  CHECK(s.Said() == (Counts{{"GET /a -1", 1}}));
}

TEST("l7 reader: datagrams are told of by their flow's number, and need no place") {
  Server s;
  const auto datagram = [&s](uint8_t role, bool in, const std::string& bytes) {
    std::vector<uint64_t> memory((sizeof(sb_l7_row) + bytes.size() + 7) / 8);
    auto& row = *reinterpret_cast<sb_l7_row*>(memory.data());
    row.captured = row.length = static_cast<uint32_t>(bytes.size());
    row.ns = s.ns += kMs;
    row.slot = SB_L7_DATAGRAM;
    row.generation = 9;
    row.cookie = kCookie;
    row.in = in;
    row.role = role;
    memcpy(reinterpret_cast<uint8_t*>(memory.data()) + sizeof row, bytes.data(), bytes.size());
    s.reader.OnPiece(row);
  };
  const std::string question("\1a\4test\0\0\1\0\1", 12);
  const std::string ask = std::string("\0\7\1\0\0\1\0\0\0\0\0\0", 12) + question;
  const std::string answer = std::string("\0\7\x81\x83\0\1\0\0\0\0\0\0", 12) + question;
  datagram(SB_ROLE_CLIENT, false, ask);
  datagram(SB_ROLE_CLIENT, true, answer);
  datagram(SB_ROLE_SERVER, true, answer);
  CHECK_EQ(static_cast<int>(s.reader.Speaks(UdpSpeechId(9))), static_cast<int>(l7::Protocol::kDns));
  L7Rows said;
  s.reader.Take(UdpSpeechId(9), false, said);
  REQUIRE_EQ(said.rows.size(), 1u);
  CHECK_EQ(std::string(said.rows[0].name), "A a.test");
  CHECK_EQ(said.rows[0].status, 3u);
  CHECK_EQ(said.rows[0].first_byte_sum_us, 1000u);
  CHECK_EQ(said.rows[0].buckets, 1u);
  CHECK_EQ(s.reader.Counters().malformed, 1u);
  datagram(SB_ROLE_SERVER, true, ask);
  s.reader.Ignore(UdpSpeechId(9));
  said.Clear();
  s.reader.Take(UdpSpeechId(9), true, said);
  CHECK_EQ(said.rows.size(), 0u);
}

}  // namespace skybraid
