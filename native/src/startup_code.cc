#include "startup_code.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace skybraid {

size_t ReleaseStartupCode() {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  unsigned long from = 0;
  unsigned long to = 0;
  bool is_file = false;
  size_t released = 0;
  while (std::getline(smaps, line)) {
    unsigned long start, end;
    char rights[5];
    int path_at = 0;
    if (sscanf(line.c_str(), "%lx-%lx %4s %*x %*s %*u %n", &start, &end, rights, &path_at) == 3) {
      from = start;
      to = end;
      const bool is_fixed = strcmp(rights, "r-xp") == 0 || strcmp(rights, "r--p") == 0;
      is_file = is_fixed && path_at > 0 && line[static_cast<size_t>(path_at)] == '/';
    } else if (is_file && line.rfind("Anonymous:", 0) == 0 && strtoul(line.c_str() + 10, nullptr, 10) == 0) {
      if (madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED) == 0) released += to - from;
    }
  }
  return released;
}

}  // namespace skybraid
