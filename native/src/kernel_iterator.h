// Reads what an iterator program writes.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel_source.h"

namespace skybraid {

struct IteratorRead {
  uint64_t rows = 0;
  bool complete = false;  // the kernel went through to the end
};

// Runs the iterator behind the link once and hands its rows to the sink. `buffer` is working memory, kept
// between runs.
IteratorRead ReadTcpRows(int link_fd, std::vector<char>& buffer, RowSink& sink);

// Runs an iterator that has nothing to say. Returns 0 or a positive errno.
int RunIterator(int link_fd, std::vector<char>& buffer);

}  // namespace skybraid
