// What real programs said, against what they say of it themselves.
#include "l7_streams.h"

#include <map>

#include "../l7/conversations.h"
#include "../l7/postgres/postgres.h"

namespace skybraid::l7 {

namespace {

using namespace conversation;

using Counts = std::map<std::pair<std::string, int64_t>, uint64_t>;  // by operation and status

// Through everything that a connection goes through, from the question who speaks what.
Counts Read(Protocol protocol, const std::vector<std::string>& names) {
  Counts counts;
  for (const std::string& name : names) {
    Ledger ledger;
    Conversations all(ledger);
    uint64_t offset[2] = {0, 0}, ns = 0;
    for (const Turn& turn : Recorded(name)) {
      const auto size = static_cast<uint32_t>(turn.bytes.size());
      uint64_t& at = offset[Index(turn.side)];
      all.Feed(1, {turn.side, at, size, size, reinterpret_cast<const uint8_t*>(turn.bytes.data()), ++ns});
      at += size;
    }
    CHECK(all.Speaks(1) == protocol);
    CHECK_EQ(all.Counters().pairing.unpaired, 0u);
    CHECK_EQ(all.Counters().pairing.out_of_step, 0u);
    all.Close(1);
    all.Take(1, [&](const LedgerRow& row) {
      const std::string operation(ledger.Name(row.operation));
      CHECK(operation.find("hunter2") == std::string::npos);
      counts[{operation, static_cast<int32_t>(row.status)}] += row.count;
    });
  }
  return counts;
}

void Expect(const Counts& counts, const Counts& expected) {
  CHECK_EQ(counts.size(), expected.size());
  for (const auto& [what, count] : counts) {
    const auto found = expected.find(what);
    if (found == expected.end() || found->second != count)
      check::Fail(__FILE__, __LINE__,
                  what.first + " " + std::to_string(what.second) + " x" + std::to_string(count));
  }
}

}  // namespace

TEST("l7 streams: dig and dnsmasq") {
  Expect(Read(Protocol::kDns, {"dnsmasq", "dnsmasq1"}), {{{"A shop.example", 0}, 1},
                                                         {{"AAAA shop.example", 0}, 1},
                                                         {{"A www.example", 0}, 1},
                                                         {{"A *.b.none.example", 3}, 1},
                                                         {{"PTR *.in-addr.arpa", 0}, 1}});
}

TEST("l7 streams: psql, statement by statement") {
  const auto state = [](const char* five) { return int64_t{postgres::PackState(five)}; };
  Expect(Read(Protocol::kPostgres, {"postgres-simple"}), {{{"CONNECT", 0}, 1},
                                                          {{"CREATE TABLE orders", 0}, 1},
                                                          {{"INSERT orders", 0}, 1},
                                                          {{"INSERT orders", state("23505")}, 1},
                                                          {{"SELECT orders", 0}, 1},
                                                          {{"SELECT missing", state("42P01")}, 1},
                                                          {{"COPY orders", 0}, 2},
                                                          {{"BEGIN", 0}, 1},
                                                          {{"UPDATE orders", 0}, 1},
                                                          {{"COMMIT", 0}, 1},
                                                          {{"DO", 0}, 1},
                                                          {{"LISTEN", 0}, 1},
                                                          {{"NOTIFY", 0}, 1},
                                                          {{"PREPARE orders", 0}, 1},
                                                          {{"EXECUTE", 0}, 1},
                                                          {{"DELETE orders", 0}, 1}});
}

TEST("l7 streams: pgbench with unnamed and prepared statements, as often as pg_stat_statements has them") {
  Expect(Read(Protocol::kPostgres, {"postgres-extended2", "postgres-extended4"}),
         {{{"CONNECT", 0}, 2},
          {{"INSERT orders", 0}, 4},
          {{"UPDATE orders", 0}, 4},
          {{"SELECT orders", 0}, 4},
          {{"SELECT", 0}, 4},
          {{"DELETE orders", 0}, 4},
          {{"PREPARE INSERT orders", 0}, 1},
          {{"PREPARE UPDATE orders", 0}, 1},
          {{"PREPARE SELECT orders", 0}, 1},
          {{"PREPARE SELECT", 0}, 1},
          {{"PREPARE DELETE orders", 0}, 1}});
}

TEST("l7 streams: the client of MariaDB, as often as its server's counters have each statement") {
  Expect(Read(Protocol::kMysql, {"mariadb"}), {{{"CONNECT", 0}, 1},
                                               {{"CREATE DATABASE", 0}, 1},
                                               {{"INIT_DB", 0}, 1},
                                               {{"CREATE TABLE orders", 0}, 1},
                                               {{"CREATE PROCEDURE", 0}, 1},
                                               {{"INSERT orders", 0}, 1},
                                               {{"INSERT orders", 1062}, 1},
                                               {{"SELECT", 0}, 1},
                                               {{"SELECT orders", 0}, 1},
                                               {{"SELECT missing", 1146}, 1},
                                               {{"LOAD orders", 0}, 1},
                                               {{"PREPARE", 0}, 1},
                                               {{"SET", 0}, 1},
                                               {{"EXECUTE", 0}, 1},
                                               {{"CALL twice", 0}, 1},
                                               {{"DELETE orders", 0}, 1}});
}

}  // namespace skybraid::l7
