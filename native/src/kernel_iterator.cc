#include "kernel_iterator.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace skybraid {

namespace {

constexpr size_t kBufferBytes = 64 * 1024;

// Calls take(data, size) with whatever arrives and keeps what take() leaves over. Returns 0 or a positive
// errno.
template <typename Take>
int ReadAll(int link_fd, std::vector<char>& buffer, Take take) {
  const int fd = bpf_iter_create(link_fd);
  if (fd < 0) return errno;
  buffer.resize(kBufferBytes);
  size_t filled = 0;
  int code = 0;
  for (;;) {
    const ssize_t got = read(fd, buffer.data() + filled, buffer.size() - filled);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) code = errno;
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
    const size_t used = take(buffer.data(), filled);
    filled -= used;
    memmove(buffer.data(), buffer.data() + used, filled);
  }
  close(fd);
  return code;
}

}  // namespace

IteratorRead ReadTcpRows(int link_fd, std::vector<char>& buffer, RowSink& sink) {
  IteratorRead result;
  const int code = ReadAll(link_fd, buffer, [&](const char* data, size_t size) {
    size_t at = 0;
    for (; size - at >= sizeof(sb_tcp_row); at += sizeof(sb_tcp_row)) {
      sb_tcp_row row;
      memcpy(&row, data + at, sizeof row);
      sink.OnTcp(row);
      result.rows++;
    }
    return at;
  });
  result.complete = code == 0;
  return result;
}

int RunIterator(int link_fd, std::vector<char>& buffer) {
  return ReadAll(link_fd, buffer, [](const char*, size_t size) { return size; });
}

}  // namespace skybraid
