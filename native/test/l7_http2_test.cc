#include <nghttp2/nghttp2.h>

#include <tuple>

#include "../l7/http2/http2.h"
#include "../l7/pairing.h"
#include "l7_conversation.h"

namespace skybraid::l7::http2 {

namespace {

using namespace conversation;

using Headers = std::vector<std::pair<std::string, std::string>>;

// Header blocks as a real library makes them: its own choice of indexing and Huffman code.
class Encoder {
 public:
  Encoder() { nghttp2_hd_deflate_new(&deflater_, 4096); }
  ~Encoder() { nghttp2_hd_deflate_del(deflater_); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  void Resize(size_t size) { nghttp2_hd_deflate_change_table_size(deflater_, size); }
  std::string Block(const Headers& headers) {
    std::vector<nghttp2_nv> fields;
    for (const auto& [name, value] : headers) {
      auto* n = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
      auto* v = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
      fields.push_back({n, v, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    std::string out(nghttp2_hd_deflate_bound(deflater_, fields.data(), fields.size()), '\0');
    const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<uint8_t*>(out.data()), out.size(),
                                               fields.data(), fields.size());
    out.resize(static_cast<size_t>(size));
    return out;
  }

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
};

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const size_t n = payload.size();
  std::string out = {char(n >> 16), char(n >> 8), char(n), char(type), char(flags)};
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(stream >> shift);
  return out + payload;
}

const std::string kHello =
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, std::string("\0\3\0\0\0\x64", 6));
const std::string kServerHello = Frame(4, 0, 0, std::string("\0\3\0\0\0\x64", 6));

Headers Get(const std::string& path) {
  return {{":method", "GET"},
          {":scheme", "http"},
          {":path", path},
          {":authority", "shop.test"},
          {"x-secret", path}};
}

Headers Rpc(const std::string& path) {
  return {{":method", "POST"}, {":scheme", "http"},
          {":path", path},     {"content-type", "application/grpc+proto"},
          {"te", "trailers"},  {"authorization", "Bearer secret"}};
}

}  // namespace

TEST("l7 http2: streams side by side, bodies, continuation, padding, priority, interim responses") {
  Encoder client, server;
  const std::string first = client.Block(Get("/users/42?token=secret"));
  const std::string second = client.Block(Get("/healthz"));
  const std::string padded = std::string("\3\0\0\0\0\7", 6) + second + std::string(3, '\0');
  const std::string third = client.Block({{":method", "POST"}, {":scheme", "http"}, {":path", "/orders"}});
  const std::string interim = server.Block({{":status", "103"}, {"link", "x"}});
  const std::string ok = server.Block({{":status", "200"}, {"server", "x"}});
  const std::string broken = server.Block({{":status", "503"}, {"server", "x"}});
  CHECK_EQ(
      Lines<Http2Parser>(
          {Client(kHello + Frame(1, 1, 1, first.substr(0, 5)) + Frame(9, 0, 1, first.substr(5, 4)) +
                  Frame(9, 4, 1, first.substr(9)) + Frame(1, 0x2d, 3, padded) + Frame(1, 4, 5, third) +
                  Frame(0, 0, 5, "body") + Frame(8, 0, 0, std::string("\0\0\1\0", 4)) + Frame(0, 1, 5, "")),
           Server(kServerHello + Frame(4, 1, 0, "") + Frame(1, 4, 1, interim) + Frame(1, 4, 1, ok) +
                  Frame(1, 5, 3, broken) + Frame(0, 9, 1, std::string("\2ab\0\0", 5)))}),
      "> GET /users/{id} #1\n> GET /healthz #3\n> POST /orders #5 begin\n>  #5 goes-on\n>  #5 end\n"
      "< 200 #1 begin\n< 503 #3 error\n< -1 #1 end\n");
}

TEST("l7 http2: gRPC has its status in trailers, or in the only headers; resets become its codes") {
  Encoder client, server;
  const std::string a = client.Block(Rpc("/shop.v1.Cart/AddItem")),
                    b = client.Block(Rpc("/shop.v1.Cart/Empty"));
  const std::string c = client.Block(Rpc("/shop.v1.Cart/Watch"));
  const std::string head = server.Block({{":status", "200"}, {"content-type", "application/grpc"}});
  const std::string trailers = server.Block({{"grpc-status", "0"}, {"grpc-message", ""}});
  const std::string only = server.Block({{":status", "200"},
                                         {"content-type", "application/grpc"},
                                         {"grpc-status", "5"},
                                         {"grpc-message", "secret%20x"}});
  CHECK_EQ(
      Lines<Http2Parser>({Client(kHello + Frame(1, 4, 1, a) + Frame(0, 1, 1, "12345") + Frame(1, 5, 3, b) +
                                 Frame(1, 5, 5, c)),
                          Server(kServerHello + Frame(1, 4, 1, head) + Frame(0, 0, 1, "12345") +
                                 Frame(1, 5, 1, trailers) + Frame(1, 5, 3, only)),
                          Client(Frame(3, 0, 5, std::string("\0\0\0\10", 4)))}),
      "> shop.v1.Cart/AddItem #1 begin grpc\n>  #1 end\n> shop.v1.Cart/Empty #3 grpc\n> shop.v1.Cart/Watch "
      "#5 "
      "grpc\n"
      "< 200 #1 begin grpc\n< -1 #1 goes-on\n< -1/0 #1 end grpc\n< 200/5 #3 grpc\n< -1/1 #5 end nolatency\n");
}

namespace {

const char* const kCancel = "\0\0\0\10";

// What a connection that begins with `turns` has said in the end: protocol, operation, status, `!` for an
// error, and `~` where its time says nothing.
std::vector<std::string> Booked(const std::vector<Turn>& turns, Protocol speaks) {
  Ledger ledger;
  PairingCounters counters;
  std::vector<std::string> booked;
  Pairing pairing(Protocol::kHttp2, ledger, counters);
  Http2Parser parser;
  uint64_t ns = 0;
  for (const Turn& turn : turns)
    parser.Eat(turn.side, reinterpret_cast<const uint8_t*>(turn.bytes.data()), turn.bytes.size(), ++ns,
               pairing);
  pairing.Close();
  CHECK(pairing.Speaks() == speaks);
  ledger.Take(pairing.Rows(), [&](const LedgerRow& row) {
    for (uint32_t i = 0; i < row.count; i++)
      booked.push_back(
          (ledger.ProtocolOf(row.operation) == Protocol::kGrpc ? "grpc " : "http ") +
          std::string(ledger.Name(row.operation)) + " " + std::to_string(static_cast<int32_t>(row.status)) +
          ((row.flags & kRowError) != 0 ? "!" : "") + ((row.flags & kRowNoLatency) != 0 ? "~" : ""));
  });
  std::sort(booked.begin(), booked.end());
  return booked;
}

}  // namespace

TEST("l7 http2: a reset makes no connection gRPC, and gives no status to what is not") {
  Encoder client, server;
  const std::string ok = server.Block({{":status", "200"}, {"content-type", "text/html"}});
  CHECK_EQ(
      Joined(Booked(
          {Client(kHello + Frame(1, 5, 1, client.Block(Get("/a")))),
           Server(kServerHello + Frame(1, 5, 1, ok)), Client(Frame(1, 5, 3, client.Block(Get("/b")))),
           Client(Frame(3, 0, 3, std::string(kCancel, 4))), Client(Frame(1, 5, 5, client.Block(Get("/c")))),
           Server(Frame(1, 4, 5, server.Block({{":status", "404"}}))),
           Client(Frame(3, 0, 5, std::string(kCancel, 4)))},
          Protocol::kHttp2)),
      "http GET /a 200\nhttp GET /b -1~\nhttp GET /c 404~\n");
}

TEST("l7 http2: gRPC and REST share a connection, and each is what it is") {
  Encoder client, server;
  const Headers head = {{":status", "200"}, {"content-type", "application/grpc"}};
  const std::string rpc = server.Block(head), done = server.Block({{"grpc-status", "0"}});
  const std::string page = server.Block({{":status", "502"}, {"content-type", "application/json"}});
  const std::string other = server.Block(head), failed = server.Block({{"grpc-status", "5"}});
  CHECK_EQ(Joined(Booked({Client(kHello + Frame(1, 5, 1, client.Block(Rpc("/shop.v1.Cart/Add"))) +
                                 Frame(1, 5, 3, client.Block(Get("/a"))) +
                                 Frame(1, 5, 5, client.Block(Rpc("/shop.v1.Cart/Add")))),
                          Server(kServerHello + Frame(1, 4, 1, rpc) + Frame(1, 5, 1, done) +
                                 Frame(1, 5, 3, page) + Frame(1, 4, 5, other) + Frame(1, 5, 5, failed))},
                         Protocol::kHttp2)),
           "grpc shop.v1.Cart/Add 0\ngrpc shop.v1.Cart/Add 5!\nhttp GET /a 502!\n");
  // gRPC-Web has its status in the body.
  Headers web = Rpc("/shop.v1.Cart/Add");
  web[3].second = "application/grpc-web+proto";
  CHECK_EQ(Joined(Booked({Client(kHello + Frame(1, 5, 1, Encoder().Block(web))),
                          Server(kServerHello + Frame(1, 5, 1, Encoder().Block({{":status", "200"}})))},
                         Protocol::kHttp2)),
           "http POST /shop.v1.Cart/Add 200\n");
}

TEST("l7 http2: what a proxy answers to gRPC is the status that its clients make of it") {
  const std::pair<const char*, uint32_t> kStatuses[] = {{"200", 2},  {"204", 2},  {"400", 13}, {"401", 16},
                                                        {"403", 7},  {"404", 12}, {"429", 14}, {"500", 2},
                                                        {"502", 14}, {"503", 14}, {"504", 14}};
  for (const auto& [status, code] : kStatuses) {
    Encoder client, server;
    const std::string page = server.Block({{":status", status}, {"content-type", "text/html"}});
    CHECK_EQ(Joined(Booked({Client(kHello + Frame(1, 5, 1, client.Block(Rpc("/a.B/c")))),
                            Server(kServerHello + Frame(1, 4, 1, page) + Frame(0, 1, 1, "<html>"))},
                           Protocol::kGrpc)),
             "grpc a.B/c " + std::to_string(code) + "!\n");
    // One that has a status of its own says it later.
    CHECK_EQ(Joined(Booked({Client(kHello + Frame(1, 5, 1, Encoder().Block(Rpc("/a.B/c")))),
                            Server(kServerHello + Frame(1, 4, 1, Encoder().Block({{":status", status}})) +
                                   Frame(1, 5, 1, Encoder().Block({{"grpc-status", "0"}})))},
                           Protocol::kGrpc)),
             "grpc a.B/c 0\n");
  }
}

TEST("l7 http2: a call is timed if it is one message each way, and no stream is") {
  const auto message = [](size_t size) {
    return std::string("\0\0\0\0", 4) + static_cast<char>(size) + std::string(size, 'x');
  };
  const std::string two = message(3) + message(0);
  // What each side sends in frames of data, and whether it is timed.
  const std::tuple<std::vector<std::string>, std::vector<std::string>, bool> kCalls[] = {
      {{message(9)}, {message(20)}, true},
      {{message(0)}, {message(0)}, true},
      {{message(9).substr(0, 8), message(9).substr(8)},
       {message(20).substr(0, 6), message(20).substr(6)},
       true},
      {{message(9)}, {}, true},
      {{two}, {message(1)}, false},
      {{message(1)}, {two}, false},
      {{message(1), message(1)}, {message(1)}, false},
      {{message(1)}, {message(1), message(2), message(3)}, false},
      {{message(1)}, {message(9).substr(0, 8), message(9).substr(8) + message(1)}, false}};
  for (const auto& [asked, answered, timed] : kCalls) {
    Encoder client, server;
    std::string to = kHello + Frame(1, 4, 1, client.Block(Rpc("/a.B/c")));
    for (const std::string& data : asked) to += Frame(0, 0, 1, data);
    std::string back = kServerHello;
    back += Frame(1, 4, 1, server.Block({{":status", "200"}, {"content-type", "application/grpc"}}));
    for (const std::string& data : answered) back += Frame(0, 0, 1, data);
    back += Frame(1, 5, 1, server.Block({{"grpc-status", "0"}}));
    CHECK_EQ(Joined(Booked({Client(to + Frame(0, 1, 1, "")), Server(back)}, Protocol::kGrpc)),
             std::string("grpc a.B/c 0") + (timed ? "\n" : "~\n"));
    Lines<Http2Parser>({Client(to), Server(back)});
  }
}

TEST(
    "l7 http2: events that a server sends, requests that say how long they wait, and those given up are not "
    "timed") {
  Headers waiting = Get("/poll");
  waiting.emplace_back("prefer", "respond-async, wait=60");
  Encoder client, server;
  const std::string events =
      server.Block({{":status", "200"}, {"content-type", "text/event-stream; charset=x"}});
  const std::string ok = server.Block({{":status", "200"}}), late = server.Block({{":status", "200"}});
  CHECK_EQ(Joined(Booked({Client(kHello + Frame(1, 5, 1, client.Block(Get("/events")))),
                          Client(Frame(1, 5, 3, client.Block(waiting))),
                          Client(Frame(1, 5, 5, client.Block(Get("/watch")))),
                          Client(Frame(1, 5, 7, client.Block(Get("/download")))),
                          Server(kServerHello + Frame(1, 4, 1, events) + Frame(0, 1, 1, "data: 1\n\n") +
                                 Frame(1, 5, 3, ok) + Frame(1, 4, 5, late) + Frame(0, 0, 5, "{}")),
                          Client(Frame(3, 0, 5, std::string(kCancel, 4))),
                          Server(Frame(1, 5, 7, server.Block({{":status", "200"}})))},
                         Protocol::kHttp2)),
           "http GET /download 200\nhttp GET /events 200~\nhttp GET /poll 200~\nhttp GET /watch 200~\n");
}

TEST("l7 http2: joined in the middle, a response says that its request was gRPC") {
  Encoder client, server;
  client.Block({{":method", "POST"}, {"content-type", "application/grpc"}});
  const Headers call = {{":method", "POST"}, {":path", "/a.B/c"}, {"content-type", "application/grpc"}};
  const std::string head = server.Block({{":status", "200"}, {"content-type", "application/grpc"}});
  CHECK_EQ(Joined(Booked({Client(kHello + Frame(1, 5, 1, client.Block(call))),
                          Server(kServerHello + Frame(1, 4, 1, head) +
                                 Frame(1, 5, 1, server.Block({{"grpc-status", "0"}})))},
                         Protocol::kGrpc)),
           "grpc a.B/c 0\n");
}

TEST("l7 http2: header blocks of a real encoder, with evictions and changes of the table's size") {
  std::mt19937 random(3);
  for (int run = 0; run < 20; run++) {
    Encoder client;
    Http2Parser parser;
    conversation::Listener listener;
    const auto eat = [&](const std::string& s) {
      parser.Eat(Side::kToServer, reinterpret_cast<const uint8_t*>(s.data()), s.size(), 1, listener);
    };
    eat(kHello);
    std::string expected;
    for (uint32_t i = 0; i < 600; i++) {
      if (random() % 100 == 0) client.Resize(random() % 4097);
      const std::string name(1 + random() % 30, static_cast<char>('a' + random() % 26));
      const bool strange = random() % 10 == 0;
      Headers headers = Get("/" + name + (random() % 2 == 0 ? "/x?" + std::string(random() % 200, 'q') : ""));
      if (strange)
        headers.emplace_back("x-" + name, std::string(random() % 3000, static_cast<char>(random())));
      std::string path = headers[2].second.substr(0, headers[2].second.find('?'));
      expected += "> GET " + (path == "/" + name || path == "/" + name + "/x" ? path : "") + " #" +
                  std::to_string(2 * i + 1) + "\n";
      eat(Frame(1, 5, 2 * i + 1, client.Block(headers)));
    }
    CHECK_EQ(Joined(listener.lines), expected);
  }
}

TEST("l7 http2: joined in the middle, a path is right or unknown, and soon known") {
  Encoder client;
  const std::vector<std::string> paths = {"/a", "/bb", "/ccc", "/dddd/e", "/ffffff"};
  std::vector<std::pair<std::string, std::string>> sent;  // path, frame
  std::mt19937 random(9);
  for (uint32_t i = 0; i < 400; i++) {
    const std::string& path = paths[random() % paths.size()];
    Headers headers = Get(path);
    headers.back().second = std::to_string(random() % 50);
    sent.emplace_back(path, Frame(1, 5, 2 * i + 1, client.Block(headers)));
  }
  for (size_t join = 1; join < 300; join += 7) {
    Http2Parser parser;
    conversation::Listener listener;
    parser.Lost(Side::kToServer, 1, listener);
    for (size_t i = join; i < sent.size(); i++) {
      const std::string& frame = sent[i].second;
      parser.Eat(Side::kToServer, reinterpret_cast<const uint8_t*>(frame.data()), frame.size(), 1, listener);
      REQUIRE_EQ(listener.operations.size(), i - join + 1);
      CHECK(listener.operations.back().empty() || listener.operations.back() == "GET " + sent[i].first);
    }
    CHECK(!listener.operations.back().empty());
  }
}

TEST("l7 http2: missing bytes within a conversation, and bytes that only look like it") {
  Encoder client, server;
  std::string asked = kHello, answered = kServerHello;
  for (uint32_t i = 1; i < 20; i += 2) {
    asked += Frame(1, 5, i, client.Block(Get(i % 4 == 1 ? "/a" : "/b/c")));
    answered += Frame(1, 4, i, server.Block({{":status", "200"}})) + Frame(0, 1, i, "hello");
  }
  CheckLostPrefixes<Http2Parser>({Client(asked), Server(answered)});
  CheckMutations<Http2Parser>({Client(asked), Server(answered)}, 3000);
  CHECK(sizeof(Http2Parser) <= 3328);
  CHECK(Classify(Side::kToServer, reinterpret_cast<const uint8_t*>(asked.data()), asked.size()) ==
        Verdict::kYes);
  CHECK(Classify(Side::kToClient, reinterpret_cast<const uint8_t*>(answered.data()), 20) == Verdict::kYes);
  CHECK(Classify(Side::kToServer, reinterpret_cast<const uint8_t*>("GET / HTTP/1.1"), 14) == Verdict::kNo);
}

TEST("l7 http2: a hundred streams at once, answered in any order, also after a gap") {
  Ledger ledger;
  PairingCounters counters;
  Pairing pairing(Protocol::kHttp2, ledger, counters);
  Http2Parser parser;
  const auto eat = [&](Side side, const std::string& s) {
    parser.Eat(side, reinterpret_cast<const uint8_t*>(s.data()), s.size(), 1000, pairing);
  };
  Encoder client, server;
  eat(Side::kToServer, kHello);
  eat(Side::kToClient, kServerHello);
  std::vector<uint32_t> streams;
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    streams.push_back(stream);
    eat(Side::kToServer, Frame(1, 5, stream, client.Block(Get("/a"))));
  }
  CHECK_EQ(pairing.OpenRequests(), 100u);
  std::shuffle(streams.begin(), streams.end(), std::mt19937(2));
  for (const uint32_t stream : streams) {
    if (stream == streams[50]) parser.Lost(Side::kToServer, 1000, pairing);
    eat(Side::kToClient, Frame(1, 5, stream, server.Block({{":status", stream % 3 == 0 ? "404" : "200"}})));
  }
  uint64_t found = 0, missing = 0;
  ledger.Take(pairing.Rows(),
              [&](const LedgerRow& row) { (row.status == 200 ? found : missing) += row.count; });
  CHECK_EQ(found, 67u);
  CHECK_EQ(missing, 33u);
  CHECK_EQ(counters.unpaired, 0u);
  CHECK_EQ(counters.gaps, 1u);
}

TEST("l7 http2: what comes of a stream after it was broken off answers nobody, and nothing is missing") {
  Ledger ledger;
  PairingCounters counters;
  Pairing pairing(Protocol::kHttp2, ledger, counters);
  Http2Parser parser;
  const auto eat = [&](Side side, const std::string& s) {
    parser.Eat(side, reinterpret_cast<const uint8_t*>(s.data()), s.size(), 1000, pairing);
  };
  Encoder client, server;
  const std::string cancel(kCancel, 4);
  eat(Side::kToServer, kHello + Frame(1, 5, 1, client.Block(Get("/a"))) + Frame(3, 0, 1, cancel) +
                           Frame(1, 5, 3, client.Block(Get("/b"))));
  // The server had begun to answer; and it breaks off what it has answered.
  eat(Side::kToClient, kServerHello + Frame(1, 4, 1, server.Block({{":status", "200"}})) +
                           Frame(0, 1, 1, "body") + Frame(1, 5, 3, server.Block({{":status", "200"}})) +
                           Frame(3, 0, 3, cancel));
  CHECK_EQ(pairing.OpenRequests(), 0u);
  CHECK_EQ(counters.unpaired, 0u);
}

TEST("l7 http2: is found in the middle of a connection by the headers of a stream") {
  Encoder client, server;
  client.Block(Get("/a"));
  server.Block({{":status", "200"}, {"server", "x"}});
  const auto classify = [](Side side, const std::string& s) {
    return Classify(side, reinterpret_cast<const uint8_t*>(s.data()), std::min<size_t>(s.size(), 64));
  };
  CHECK(classify(Side::kToServer, Frame(1, 5, 3, client.Block(Get("/a")))) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Frame(1, 4, 5, client.Block(Rpc("/a.B/c")))) == Verdict::kYes);
  CHECK(classify(Side::kToClient,
                 Frame(1, 4, 5, server.Block({{":status", "200"}, {"server", "x"}, {"a", "b"}}))) ==
        Verdict::kYes);
  CHECK(classify(Side::kToServer, Frame(0, 0, 5, "data")) == Verdict::kMaybe);
  std::mt19937 random(1);
  int yes = 0;
  for (int i = 0; i < 100'000; i++) {
    std::string noise(64, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    noise[0] = 0;
    noise[3] = 1;
    yes += classify(i % 2 == 0 ? Side::kToServer : Side::kToClient, noise) == Verdict::kYes;
  }
  CHECK(yes < 5);
}

TEST("l7 http2: is found in the middle whatever order a request's headers stand in") {
  const auto verdict = [](const std::string& bytes) {
    return Classify(Side::kToServer, reinterpret_cast<const uint8_t*>(bytes.data()),
                    std::min<size_t>(bytes.size(), 64));
  };
  Encoder client;
  const Headers orders[] = {
      {{":path", "/items/1000?token=secret"},
       {":method", "GET"},
       {":authority", "127.0.0.1:8080"},
       {":scheme", "http"}},
      {{":authority", "shop.example"}, {":path", "/a"}, {":scheme", "http"}, {":method", "PUT"}},
      {{":path", "/a"}, {":method", "PATCH"}, {":scheme", "http"}, {":authority", "b"}},
      {{":path", "/" + std::string(200, 'w')}, {":method", "GET"}, {":authority", "b"}, {":scheme", "http"}},
  };
  for (int round = 0; round < 3; round++)
    for (const Headers& headers : orders)
      CHECK(verdict(Frame(1, 5, 2 * round + 1, client.Block(headers))) == Verdict::kYes);
  // The same kind twice, a path that is none, a string without an end, no field at all.
  for (const std::string& block : {std::string("\x82\x83\x82\x83\x82"), std::string("\4\3abc\x82\x86", 7),
                                   std::string("\4\x0a/abc\x82\x86"), std::string(20, '\xbf'),
                                   std::string(8, '\0'), std::string("\x3f\xff\xff\xff\xff\xff\xff\x82\x86")})
    CHECK(verdict(Frame(1, 5, 1, block)) != Verdict::kYes);
}

}  // namespace skybraid::l7::http2
