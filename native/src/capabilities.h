// What the process may do, once it has attached everything.
#pragma once

#include <string>

namespace skybraid {

// Takes every capability from every thread of the process, for good: permitted, effective and inheritable.
// Before kernel 5.19 CAP_BPF stays, because those ask for it at every use of a map. Answers what went wrong,
// or nothing.
std::string DropCapabilities();

}  // namespace skybraid
