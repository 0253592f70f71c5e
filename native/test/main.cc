#include <cstring>

#include "check.h"

// Runs every test whose name contains the first argument.
int main(int argc, char** argv) {
  using namespace skybraid::check;
  int passed = 0;
  int failed = 0;
  for (const Case& test : Cases()) {
    if (argc > 1 && strstr(test.name, argv[1]) == nullptr) continue;
    Failures() = 0;
    test.body();
    if (Failures() == 0) {
      ++passed;
    } else {
      ++failed;
      fprintf(stderr, "FAILED %s\n", test.name);
    }
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
