// What only the start of the program needed need not stay in memory.
#pragma once

#include <cstddef>

namespace skybraid {

// Lets go of the pages of all files that are mapped to be executed or read; what is used again comes back
// from the page cache. Leaves mappings alone in which a page was written. Answers how many bytes were mapped.
size_t ReleaseStartupCode();

}  // namespace skybraid
