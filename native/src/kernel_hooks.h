// The kernel programs, what each is for, and what this kernel lacks of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "kernel_source.h"

struct btf;

namespace skybraid {

enum class HookKind {
  kTracepoint,  // tp_btf
  kIterator,
  kDialIterator,  // over the table of diallers
  kCgroup,
};

struct Hook {
  const char* program;  // name in the object
  const char* hook;     // as reported
  HookKind kind;
  const char*
      needs;  // BTF type that exists if the kernel has the hook; nullptr: every supported kernel has it
  uint64_t capability;
  bool required;
  const char* consequence;  // what is not observed without it
};

extern const std::array<Hook, 16> kHooks;

// Does the running kernel have the hook?
bool KernelHas(const btf* kernel_types, const Hook& hook);

// Why loading can't work here, in plain words; empty if nothing speaks against it.
std::string WhyNotHere(const SourceOptions& options, const std::string& object_path);

// What an error of loading or attaching means for the user. `code` is a positive errno.
std::string ExplainKernelError(int code);

struct CgroupPlace {
  uint64_t id = 0;
  uint32_t level = 0;
  std::string error;
};

// Where in the cgroup2 hierarchy a directory is.
CgroupPlace LocateCgroup(const std::string& path);

// How far below the hierarchy's root a cgroup is that this process is in or below; nothing if it is not.
std::optional<uint32_t> LevelAbove(uint64_t cgroup_id);

}  // namespace skybraid
