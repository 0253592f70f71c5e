// A test runner in one header: TEST registers, CHECK records a failure and goes on.
#pragma once

#include <cstdio>
#include <ctime>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace skybraid::check {

struct Case {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

inline int& Failures() {
  static int failures = 0;
  return failures;
}

struct Registration {
  Registration(const char* name, std::function<void()> body) { Cases().push_back({name, std::move(body)}); }
};

inline void Fail(const char* file, int line, const std::string& what) {
  // A broken invariant in a loop would print forever.
  if (++Failures() <= 20) fprintf(stderr, "    %s:%d: %s\n", file, line, what.c_str());
}

template <typename A, typename B>
void Equal(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  std::ostringstream out;
  out << text << ": " << a << " is not " << b;
  Fail(file, line, out.str());
}

// Processor time of this thread: what others do on the machine is not in it.
inline double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace skybraid::check

#define SB_JOIN2(a, b) a##b
#define SB_JOIN(a, b) SB_JOIN2(a, b)
#define TEST(name)                                                                                           \
  static void SB_JOIN(TestBody, __LINE__)();                                                                 \
  static ::skybraid::check::Registration SB_JOIN(registration, __LINE__)(name, SB_JOIN(TestBody, __LINE__)); \
  static void SB_JOIN(TestBody, __LINE__)()
#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) ::skybraid::check::Fail(__FILE__, __LINE__, #condition); \
  } while (0)
#define CHECK_EQ(a, b) ::skybraid::check::Equal((a), (b), #a " == " #b, __FILE__, __LINE__)
#define REQUIRE_EQ(a, b)                                                  \
  do {                                                                    \
    ::skybraid::check::Equal((a), (b), #a " == " #b, __FILE__, __LINE__); \
    if (!((a) == (b))) return;                                            \
  } while (0)
