// Names and times of what was said, where there is room for all of them and where there is not.
#include <map>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "l7/ledger.h"

namespace skybraid::l7 {
TEST("l7 ledger: a name keeps its number while somebody holds it, and {other} is only where all are held") {
  std::mt19937 random(7);
  for (int run = 0; run < 20; run++) {
    LedgerOptions options;
    options.max_operations = 1 + random() % 12;
    Ledger ledger(options);
    std::map<std::string, std::pair<uint32_t, uint32_t>> held;  // number, times
    uint32_t others = 0;
    for (int i = 0; i < 20'000; i++) {
      const std::string name = "op" + std::to_string(random() % 40);
      const auto found = held.find(name);
      if (found != held.end() && random() % 2 == 0) {
        ledger.Release(found->second.first);
        if (--found->second.second == 0) held.erase(found);
        continue;
      }
      const uint32_t number = ledger.Intern(Protocol::kHttp1, name);
      if (number < kProtocols) {
        CHECK(found == held.end() && held.size() == options.max_operations);
        CHECK_EQ(ledger.Counters().other, ++others);
        ledger.Release(number);
        continue;
      }
      CHECK_EQ(std::string(ledger.Name(number)), name);
      if (found != held.end()) CHECK_EQ(number, found->second.first);
      auto& [known, times] = held[name];
      known = number;
      ++times;
    }
  }
}

TEST("l7 ledger: a name for which there is no room costs as much as one that is known") {
  constexpr int kRounds = 100'000;
  LedgerOptions options;
  options.max_operations = 2048;
  Ledger ledger(options);
  std::vector<std::string> known, unknown;
  for (int i = 0; i < 2048; i++) {
    known.push_back("GET /known/" + std::to_string(i));
    unknown.push_back("GET /never/" + std::to_string(i));
    ledger.Intern(Protocol::kHttp1, known.back());
  }
  const auto cost = [&](const std::vector<std::string>& names) {
    const double begun = check::CpuSeconds();
    for (int i = 0; i < kRounds; i++)
      ledger.Release(ledger.Intern(Protocol::kHttp1, names[static_cast<size_t>(i) % names.size()]));
    return check::CpuSeconds() - begun;
  };
  cost(known);
  const double ratio = cost(unknown) / cost(known);
  CHECK_EQ(ledger.Counters().other, static_cast<uint64_t>(kRounds));
  CHECK(ratio < 30);  // a look at each of the others makes it hundreds
}

TEST("l7 ledger: a time that has no bucket is in no sum, and is counted") {
  LedgerOptions options;
  options.max_buckets = 3;
  Ledger ledger(options);
  uint32_t head = kNone;
  const uint32_t operation = ledger.Intern(Protocol::kHttp1, "GET /");
  uint64_t sum = 0, samples = 0, rows = 0;
  for (uint64_t us = 1; us <= 1 << 10; us *= 2) ledger.Book(head, {operation, 200, 0, 1, 1, us, us});
  ledger.Take(head, [&](const LedgerRow& row) {
    rows += row.count;
    sum += row.first_byte_sum_us;
    CHECK_EQ(row.first_byte_sum_us, row.last_byte_sum_us);
    for (uint32_t at = row.buckets; at != kNone; at = ledger.Bucket(at).next)
      samples += ledger.Bucket(at).value;
  });
  CHECK_EQ(rows, 11u);
  CHECK_EQ(samples, 3u);
  CHECK_EQ(sum, 1u + 2 + 4);
  CHECK_EQ(ledger.Counters().untimed, 8u);
}

}  // namespace skybraid::l7
