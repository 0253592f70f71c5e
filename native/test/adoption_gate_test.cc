#include "adoption_gate.h"

#include "check.h"

namespace skybraid {

namespace {

constexpr uint64_t kMs = 1'000'000, kSecond = 1000 * kMs;

}  // namespace

TEST("adoption gate: open at first, then a twentieth of the time, in turns shorter than a second") {
  AdoptionGate gate;
  const uint64_t start = 1234 * kSecond;
  gate.Start(true, start);
  for (uint64_t ns = start; ns < start + 10 * kSecond; ns += 50 * kMs) CHECK(gate.IsOpen(ns));
  uint64_t open = 0, shut_since = start + 10 * kSecond;
  for (uint64_t ns = shut_since; ns < start + 110 * kSecond; ns += 50 * kMs) {
    if (!gate.IsOpen(ns)) continue;
    open++;
    CHECK(ns - shut_since <= kSecond);
    shut_since = ns;
  }
  CHECK_EQ(open, 100u);
}

TEST("adoption gate: files are looked through a second time, once") {
  AdoptionGate gate;
  gate.Start(true, kSecond);
  CHECK(!gate.SecondLookDue(10 * kSecond));
  CHECK(gate.SecondLookDue(11 * kSecond));
  CHECK(!gate.SecondLookDue(12 * kSecond));
}

TEST("adoption gate: where files can't be looked through it stays open") {
  AdoptionGate gate;
  gate.Start(false, kSecond);
  for (uint64_t ns = kSecond; ns < 100 * kSecond; ns += 50 * kMs) CHECK(gate.IsOpen(ns));
  CHECK(!gate.SecondLookDue(100 * kSecond));
}

}  // namespace skybraid
