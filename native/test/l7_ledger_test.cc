// Names and times of what was said, where there is room for all of them and where there is not.
#include <map>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "l7/histogram.h"
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
  options.max_octaves = 2;
  Ledger ledger(options);
  uint32_t head = kNone;
  const uint32_t operation = ledger.Intern(Protocol::kHttp1, "GET /");
  uint64_t sum = 0, samples = 0, rows = 0;
  for (uint64_t us = 1; us <= 1 << 10; us *= 2) ledger.Book(head, {operation, 200, 0, 1, 1, us, us});
  ledger.Take(head, [&](const LedgerRow& row) {
    rows += row.count;
    sum += row.first_byte_sum_us;
    CHECK_EQ(row.first_byte_sum_us, row.last_byte_sum_us);
    for (uint32_t at = row.octaves; at != kNone; at = ledger.Octave(at).next)
      for (const uint32_t value : ledger.Octave(at).values) samples += value;
  });
  CHECK_EQ(rows, 11u);
  CHECK_EQ(samples, 2u);
  CHECK_EQ(sum, 1u + 2);
  CHECK_EQ(ledger.Counters().untimed, 9u);
}

TEST("l7 ledger: a row has every time in its bucket, in whatever order they come") {
  Ledger ledger;
  std::mt19937_64 random(7);
  const uint32_t operation = ledger.Intern(Protocol::kHttp1, "GET /");
  std::map<int, uint32_t> expected;
  uint32_t head = kNone;
  uint64_t sum = 0;
  for (int i = 0; i < 5'000; i++) {
    const uint64_t us = random() >> (24 + random() % 40);
    ++expected[BucketOf(us)];
    sum += us;
    ledger.Book(head, {operation, 200, 0, 1, 2, us, us});
  }
  std::map<int, uint32_t> found;
  size_t rows = 0;
  ledger.Take(head, [&](const LedgerRow& row) {
    ++rows;
    CHECK_EQ(row.count, 5'000u);
    CHECK_EQ(row.first_byte_sum_us, sum);
    for (uint32_t at = row.octaves; at != kNone; at = ledger.Octave(at).next)
      for (int i = 0; i < kPerOctave; i++)
        if (ledger.Octave(at).values[i] > 0)
          found[ledger.Octave(at).first + i] += ledger.Octave(at).values[i];
  });
  CHECK_EQ(rows, size_t{1});
  CHECK(found == expected);
  CHECK_EQ(head, kNone);
}

TEST("l7 ledger: a name in a series is one operation, and another's once nobody holds it") {
  LedgerOptions options;
  options.max_operations = 2;
  Ledger ledger(options);
  const uint32_t a = ledger.Intern(Protocol::kHttp1, "GET /a");
  CHECK_EQ(ledger.Intern(Protocol::kHttp1, "GET /a"), a);
  const uint32_t other_protocol = ledger.Intern(Protocol::kHttp2, "GET /a");
  CHECK(other_protocol != a);
  CHECK_EQ(ledger.Intern(Protocol::kHttp1, "GET /a"), a);
  for (int i = 0; i < 3; i++) ledger.Release(a);
  const uint32_t b = ledger.Intern(Protocol::kHttp1, "GET /b");
  CHECK_EQ(b, a);
  CHECK_EQ(std::string(ledger.Name(b)), "GET /b");
  // no room: both are held
  const uint32_t none = ledger.Intern(Protocol::kHttp1, "GET /c");
  CHECK_EQ(std::string(ledger.Name(none)), "{other}");
  CHECK_EQ(ledger.Intern(Protocol::kHttp1, "GET /a"), none);
  CHECK_EQ(ledger.Counters().other, 2u);
}

}  // namespace skybraid::l7
