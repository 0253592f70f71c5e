// CLOCK_MONOTONIC → unix time, re-measured now and then and never running backwards for small corrections: a
// step back of up to a minute is absorbed by running at half speed; a longer one is followed at once.
#pragma once

#include <cstdint>

namespace skybraid {

class WallClock {
 public:
  // Both clocks read at the same moment, in nanoseconds.
  void Measure(uint64_t mono_ns, uint64_t real_ns) {
    if (!set_) {
      now_ = before_ = {mono_ns, real_ns, 0};
      set_ = true;
      return;
    }
    const uint64_t predicted = ToUnixNs(mono_ns);
    before_ = now_;
    const bool ahead = predicted > real_ns && predicted - real_ns <= kAbsorbedNs;
    now_ = ahead ? Line{mono_ns, predicted, 2 * (predicted - real_ns)} : Line{mono_ns, real_ns, 0};
  }

  uint64_t ToUnixNs(uint64_t mono_ns) const {
    const Line& line = mono_ns >= now_.mono_ns ? now_ : before_;
    if (mono_ns < line.mono_ns) return line.unix_ns - (line.mono_ns - mono_ns);
    const uint64_t since = mono_ns - line.mono_ns;
    return line.unix_ns + since - (since < line.slow_ns ? since : line.slow_ns) / 2;
  }
  uint64_t ToUnixMs(uint64_t mono_ns) const { return ToUnixNs(mono_ns) / 1'000'000; }

 private:
  struct Line {
    uint64_t mono_ns;
    uint64_t unix_ns;
    uint64_t slow_ns;  // for so long at half speed, to fall back to the real clock
  };
  static constexpr uint64_t kAbsorbedNs = 60'000'000'000ull;
  Line now_{0, 0, 0};
  Line before_{0, 0, 0};
  bool set_ = false;
};

}  // namespace skybraid
