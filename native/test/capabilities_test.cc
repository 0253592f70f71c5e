#include "capabilities.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "check.h"

namespace skybraid {

namespace {

constexpr uint64_t kBpf = 1ull << 39;

// What a thread of this process is permitted.
uint64_t Permitted(const std::string& thread) {
  std::ifstream status("/proc/self/task/" + thread + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("CapPrm:", 0) == 0) return std::stoull(line.substr(7), nullptr, 16);
  return 0;
}

// Which capabilities the threads of a child hold after it gave up what a kernel of this release lets it: 0
// none, 1 CAP_BPF alone, 2 something else, 255 if it could not or if they differ.
int HeldAfterDrop(const std::string& release) {
  const pid_t child = fork();
  if (child == 0) {
    std::thread other([] {
      for (;;) pause();
    });
    other.detach();
    const bool dropped = DropCapabilities(release).empty();
    std::set<uint64_t> held;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task"))
      held.insert(Permitted(thread.path().filename()));
    if (!dropped || held.size() != 1) _exit(255);
    _exit(*held.begin() == 0 ? 0 : *held.begin() == kBpf ? 1 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace

TEST("capabilities: which kernels ask for CAP_BPF at every use of a map") {
  for (const char* old : {"5.18.19", "5.15.0-91-generic", "4.18.0-513.el8", "", "what", "5"})
    CHECK(AsksForBpfAtEveryUse(old));
  for (const char* recent : {"5.19.0", "6.1.0-28-amd64", "6.18", "10.0"})
    CHECK(!AsksForBpfAtEveryUse(recent));
}

TEST("capabilities: before 5.19 CAP_BPF alone stays, in every thread; later nothing") {
  // without it there is nothing to keep
  const bool may = (Permitted(std::to_string(getpid())) & kBpf) != 0;
  CHECK_EQ(HeldAfterDrop("5.15.0"), may ? 1 : 0);
  CHECK_EQ(HeldAfterDrop("6.1.0"), 0);
}

}  // namespace skybraid
