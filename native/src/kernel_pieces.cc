#include "kernel_pieces.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel_source.h"

namespace skybraid {

namespace {

constexpr size_t kStreamBytes = SB_L7_STREAMS * sizeof(sb_l7_stream);

void* MapOf(int fd, size_t bytes, int protection, size_t offset) {
  void* at = mmap(nullptr, bytes, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  return at == MAP_FAILED ? nullptr : at;
}

void Unmap(void* at, size_t bytes) {
  if (at != nullptr) munmap(at, bytes);
}

}  // namespace

std::unique_ptr<PieceReader> PieceReader::Map(int ring_fd, uint32_t ring_bytes, int streams_fd) {
  std::unique_ptr<PieceReader> reader(new PieceReader);
  reader->page_ = static_cast<size_t>(getpagesize());
  reader->ring_bytes_ = ring_bytes;
  reader->consumer_ = MapOf(ring_fd, reader->page_, PROT_READ | PROT_WRITE, 0);
  reader->producer_ = MapOf(ring_fd, reader->page_ + 2 * reader->ring_bytes_, PROT_READ, reader->page_);
  reader->streams_ = MapOf(streams_fd, kStreamBytes, PROT_READ | PROT_WRITE, 0);
  const bool mapped =
      reader->consumer_ != nullptr && reader->producer_ != nullptr && reader->streams_ != nullptr;
  return mapped ? std::move(reader) : nullptr;
}

PieceReader::~PieceReader() {
  Unmap(consumer_, page_);
  Unmap(producer_, page_ + 2 * ring_bytes_);
  Unmap(streams_, kStreamBytes);
}

uint64_t PieceReader::Drain(RowSink& sink, bool* all) {
  auto* consumer = static_cast<unsigned long*>(consumer_);
  const auto* producer = static_cast<const unsigned long*>(producer_);
  const uint8_t* ring = static_cast<const uint8_t*>(producer_) + page_;
  const unsigned long begin = __atomic_load_n(consumer, __ATOMIC_ACQUIRE);
  const unsigned long end = __atomic_load_n(producer, __ATOMIC_ACQUIRE);
  unsigned long at = begin;
  while (at < end) {
    const uint8_t* row = ring + (at & (ring_bytes_ - 1));
    const uint32_t head = __atomic_load_n(reinterpret_cast<const uint32_t*>(row), __ATOMIC_ACQUIRE);
    if ((head & BPF_RINGBUF_BUSY_BIT) != 0) break;  // its program was interrupted before it was done
    const uint32_t bytes = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if ((head & BPF_RINGBUF_DISCARD_BIT) == 0 && bytes >= sizeof(sb_l7_row))
      sink.OnPiece(*reinterpret_cast<const sb_l7_row*>(row + BPF_RINGBUF_HDR_SZ));
    at += (BPF_RINGBUF_HDR_SZ + bytes + 7) / 8 * 8;
    __atomic_store_n(consumer, at, __ATOMIC_RELEASE);
  }
  *all = at >= end;
  return at - begin;
}

}  // namespace skybraid
