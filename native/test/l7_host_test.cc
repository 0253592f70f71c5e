// Hosts of requests: what is kept of them, in HTTP/1 and in the ledger.
#include <algorithm>
#include <string>
#include <vector>

#include "../l7/host.h"
#include "../l7/http1/http1.h"
#include "../l7/ledger.h"
#include "l7_conversation.h"

namespace skybraid::l7 {

namespace {

using conversation::Client;
using conversation::Joined;
using conversation::Server;
using conversation::Turn;
using conversation::Whole;

std::string Folded(std::string_view authority) {
  char host[kMaxHost];
  return {host, FoldHost(authority, host)};
}

// The request that a head makes.
std::string Asked(const std::string& head) { return Joined(Whole<Http1>({Client(head)}).details); }

bool Has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST("l7 host: a name, folded, without its port; nothing of an address or of what is no name") {
  CHECK_EQ(Folded("Shop.Example:8080"), "shop.example");
  CHECK_EQ(Folded("orders"), "orders");
  CHECK_EQ(Folded("orders.shop.svc.cluster.local"), "orders.shop.svc.cluster.local");
  CHECK_EQ(Folded("10-1-2-3.orders.shop.svc.cluster.local:80"), "*.shop.svc.cluster.local");
  CHECK_EQ(Folded("a.b.shop.example."), "*.b.shop.example");
  CHECK_EQ(Folded("hunter2:hunter2@shop.example"), "shop.example");
  for (const char* none : {"", "10.0.0.1", "10.0.0.1:80", "[fd00::1]:80", "a..b", ".", "a b", "a/b",
                           "\xff.example", "hunter2@", ":80"})
    CHECK_EQ(Folded(none), "");
  CHECK_EQ(Folded(std::string(63, 'q') + "." + std::string(63, 'r')), "");
  CHECK_EQ(Folded(std::string(300, 'q')), "");
}

TEST("l7 host: of a target in its absolute form") {
  CHECK_EQ(std::string(AuthorityOf("http://u:p@a.test:1/x?http://b.test/")), "u:p@a.test:1");
  CHECK_EQ(std::string(AuthorityOf("https://a.test?x")), "a.test");
  for (const char* none : {"", "/", "/http://a.test/", "*", "a.test:443", "/x?y=http://b.test"})
    CHECK_EQ(std::string(AuthorityOf(none)), "");
}

TEST("l7 host: HTTP/1 says it with the request, however its bytes were divided") {
  const std::vector<Turn> turns = {
      Client("GET /a HTTP/1.1\r\nHost: Shop.Test\r\n\r\n"
             "GET http://x.test/b HTTP/1.1\r\nhost: y.test\r\n\r\nGET /c HTTP/1.0\r\n\r\n"),
      Server("HTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n")};
  conversation::CheckSplits<Http1>(turns);
  const std::string said = Joined(Whole<Http1>(turns).details);
  for (const char* line : {"> GET /a host shop.test ", "> GET /b #1 host x.test ", "> GET /c #2 bytes "})
    CHECK(Has(said, line));
  CHECK(!Has(Asked("GET / HTTP/1.1\r\nHost: hunter2@\r\n\r\n"), "host"));
  CHECK(!Has(Asked("GET / HTTP/1.1\r\nHost: " + std::string(500, 'h') + "\r\n\r\n"), "host"));
}

TEST("l7 ledger: operations differ by host, of which there are only so many") {
  LedgerOptions options;
  options.max_hosts = 4;
  Ledger ledger(options);
  const uint32_t a = ledger.Intern(Protocol::kHttp1, "GET /", "a");
  CHECK(a != ledger.Intern(Protocol::kHttp1, "GET /", "b"));
  CHECK(a != ledger.Intern(Protocol::kHttp1, "GET /"));
  CHECK_EQ(a, ledger.Intern(Protocol::kHttp1, "GET /", "a"));
  CHECK_EQ(std::string(ledger.Host(a)), "a");
  for (int i = 0; i < 500; i++) {
    const std::string name = "host" + std::to_string(i);
    const uint32_t one = ledger.Intern(Protocol::kHttp1, "GET /", name);
    CHECK_EQ(std::string(ledger.Host(one)), i < 2 ? name : "{other}");
    ledger.Release(one);
  }
  CHECK_EQ(ledger.Counters().other, 498u);
  // Those that nobody uses make room at last.
  for (int i = 0; i < 1100; i++) ledger.Release(ledger.Intern(Protocol::kHttp1, "GET /", "more"));
  const uint32_t more = ledger.Intern(Protocol::kHttp1, "GET /", "more");
  CHECK_EQ(std::string(ledger.Host(more)), "more");
}

}  // namespace skybraid::l7
