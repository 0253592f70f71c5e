// What the process may do, once it has attached everything.
#pragma once

#include <string>

namespace skybraid {

// Takes every capability from every thread of the process, for good: permitted, effective and inheritable.
// Before kernel 5.19 CAP_BPF stays, because those ask for it at every use of a map. Answers what went wrong,
// or nothing.
std::string DropCapabilities();

// The same as on a kernel of this release.
std::string DropCapabilities(const std::string& release);

// Does a kernel of this release ask for CAP_BPF at every use of a map? True where the release can't be read.
bool AsksForBpfAtEveryUse(const std::string& release);

}  // namespace skybraid
