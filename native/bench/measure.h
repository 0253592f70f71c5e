// How long a piece of work takes, in time of this thread on a processor: what else the machine does is not
// counted, though it cools the caches.
#pragma once

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

namespace skybraid::bench {

inline double ThreadNs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

template <typename Body>
double NsPer(size_t items, Body body) {
  const double begin = ThreadNs();
  body();
  return (ThreadNs() - begin) / static_cast<double>(items);
}

// One JSON object on a line: median, smallest and largest.
inline void Print(const char* name, std::vector<double> values, const char* unit) {
  std::sort(values.begin(), values.end());
  printf("{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",\"rounds\":%zu,\"spread\":[%.1f,%.1f]}\n", name,
         values[values.size() / 2], unit, values.size(), values.front(), values.back());
}

// Of protocols.cc.
void Protocols();

}  // namespace skybraid::bench
