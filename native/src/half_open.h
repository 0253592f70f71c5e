// Dials that a listener has answered and that were not completed so far. A dial that completes is forgotten
// here; one that does not is told once its next repetition is clearly overdue.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "flow_identity.h"
#include "record.h"

namespace skybraid {

class HalfOpenDials {
 public:
  struct Dial {
    sb_tcp_row row;
    uint64_t wall_ms;
    uint64_t deadline_ns;
    uint32_t reason;
  };

  explicit HalfOpenDials(uint32_t max_dials) : max_dials_(max_dials) {}

  // Takes note of the dial, or of its repetition. False if there is no room.
  bool Note(const sb_tcp_row& row, uint64_t wall_ms, uint32_t reason) {
    const uint64_t key = HalfOpenKey(row);
    auto found = dials_.find(key);
    const bool known = found != dials_.end();
    if (!known && dials_.size() >= max_dials_) return false;
    if (!known) found = dials_.emplace(key, Dial{}).first;
    Dial& dial = found->second;
    const uint64_t opened_ns = known ? dial.row.head.opened_ns : row.head.opened_ns;
    dial = {row, wall_ms, row.head.read_ns + PatienceNs(row.head.read_ns, opened_ns), reason};
    dial.row.head.opened_ns = opened_ns;
    return true;
  }

  // The connection came about.
  void Forget(const sb_tcp_row& row) {
    if (!dials_.empty()) dials_.erase(HalfOpenKey(row));
  }

  // Gives every overdue dial to `told` and forgets it.
  template <typename Told>
  void TakeOverdue(uint64_t now_ns, const Told& told) {
    for (auto it = dials_.begin(); it != dials_.end();) {
      if (it->second.deadline_ns > now_ns) {
        ++it;
        continue;
      }
      told(it->second);
      it = dials_.erase(it);
    }
  }

 private:
  // A listener repeats its answer after 1, 2, 4 … seconds. Once the next repetition is clearly overdue, the
  // dial was either completed (then a reading or an end of it has been seen) or given up.
  static uint64_t PatienceNs(uint64_t read_ns, uint64_t opened_ns) {
    constexpr uint64_t kSecond = 1'000'000'000;
    const uint64_t age_ns = read_ns > opened_ns ? read_ns - opened_ns : 0;
    return std::clamp<uint64_t>(age_ns + age_ns / 2, kSecond, 64 * kSecond) + 2 * kSecond;
  }

  uint32_t max_dials_;
  std::unordered_map<uint64_t, Dial> dials_;
};

}  // namespace skybraid
