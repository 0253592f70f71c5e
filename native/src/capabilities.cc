#include "capabilities.h"

#include <dirent.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>

namespace skybraid {

namespace {

// The C library keeps this signal for changing a user's id in all threads, which is the same problem. It is
// the one that no thread blocks: Node has a thread that blocks all others.
constexpr int kEveryThread = 33;
constexpr int kRounds = 200;
constexpr long kPauseNs = 5'000'000;
constexpr uint32_t kCapBpf = 39;

std::atomic<uint32_t> kept_high{0};
std::atomic<int> refused{0};

std::string RunningRelease() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "";
}

// Runs in a signal handler: system calls and lock-free atomics only.
void DropHere(int) {
  const int saved = errno;
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  __user_cap_data_struct data[2]{};
  const uint32_t kept = kept_high.load();
  if (kept != 0 && syscall(SYS_capget, &header, data) == 0) {
    for (int word = 0; word < 2; word++) {
      const uint32_t mask = word == 1 ? kept : 0;
      data[word].effective &= mask;
      data[word].permitted &= mask;
      data[word].inheritable = 0;
    }
  }
  if (syscall(SYS_capset, &header, data) != 0) refused.store(errno);
  errno = saved;
}

// As the kernel has it: the C library refuses to install a handler for a signal of its own.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
#ifdef __x86_64__
  void (*restorer)();
#endif
  unsigned long mask;
};

bool KernelSigaction(int signal, const KernelAction* to, KernelAction* was) {
  return syscall(SYS_rt_sigaction, signal, to, was, sizeof(unsigned long)) == 0;
}

// Installs the handler for a free signal the ordinary way and takes over what the C library adds to it.
bool InstallHandler(KernelAction& was) {
  struct sigaction ours {};
  struct sigaction before {};
  ours.sa_handler = DropHere;
  ours.sa_flags = SA_RESTART;
  sigfillset(&ours.sa_mask);
  if (sigaction(SIGRTMIN, &ours, &before) != 0) return false;
  KernelAction complete{};
  const bool read = KernelSigaction(SIGRTMIN, nullptr, &complete);
  sigaction(SIGRTMIN, &before, nullptr);
  return read && KernelSigaction(kEveryThread, &complete, &was);
}

// Has the thread more than it should keep? One that has ended has nothing.
bool HoldsMore(const char* tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%.16s/status", tid);
  FILE* status = fopen(path, "re");
  if (status == nullptr) return false;
  char line[256];
  bool more = false;
  while (fgets(line, sizeof line, status) != nullptr) {
    if (strncmp(line, "CapInh:", 7) != 0 && strncmp(line, "CapPrm:", 7) != 0) continue;
    const uint64_t held = strtoull(line + 7, nullptr, 16);
    more |= (held & ~(static_cast<uint64_t>(kept_high.load()) << 32)) != 0;
  }
  fclose(status);
  return more;
}

// Tells every thread that still holds something; answers how many those were, or -1.
int TellHolders() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return -1;
  int holders = 0;
  while (const dirent* entry = readdir(tasks)) {
    if (entry->d_name[0] == '.' || !HoldsMore(entry->d_name)) continue;
    holders++;
    syscall(SYS_tgkill, getpid(), atoi(entry->d_name), kEveryThread);
  }
  closedir(tasks);
  return holders;
}

}  // namespace

bool AsksForBpfAtEveryUse(const std::string& release) {
  int major = 0;
  int minor = 0;
  if (sscanf(release.c_str(), "%d.%d", &major, &minor) != 2) return true;
  return major < 5 || (major == 5 && minor < 19);
}

std::string DropCapabilities() { return DropCapabilities(RunningRelease()); }

std::string DropCapabilities(const std::string& release) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  kept_high.store(AsksForBpfAtEveryUse(release) ? 1u << (kCapBpf - 32) : 0);
  refused.store(0);
  KernelAction was{};
  if (!InstallHandler(was)) return std::string("no handler could be installed: ") + strerror(errno);
  // A thread that was made meanwhile has what its maker had then, so look again until nobody holds anything.
  int holders = -1;
  for (int round = 0; round < kRounds && refused.load() == 0; round++) {
    holders = TellHolders();
    if (holders <= 0) break;
    const timespec pause{0, kPauseNs};
    nanosleep(&pause, nullptr);
  }
  KernelSigaction(kEveryThread, &was, nullptr);
  if (refused.load() != 0) return std::string("the kernel refused: ") + strerror(refused.load());
  if (holders < 0) return "/proc/self/task can't be read";
  return holders == 0 ? "" : std::to_string(holders) + " threads kept theirs";
}

}  // namespace skybraid
