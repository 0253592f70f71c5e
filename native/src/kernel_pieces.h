// The ring that the kernel programs copy pieces of streams into, and the table of connections that are read.
// Both are mapped: orders to the programs are stores to memory. A reader of our own, since it has to tell
// whether all that was there is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "record.h"

namespace skybraid {

class RowSink;

class PieceReader {
 public:
  // nullptr if the maps can't be mapped; errno says why.
  static std::unique_ptr<PieceReader> Map(int ring_fd, uint32_t ring_bytes, int streams_fd);
  ~PieceReader();
  PieceReader(const PieceReader&) = delete;
  PieceReader& operator=(const PieceReader&) = delete;

  sb_l7_stream* Streams() { return static_cast<sb_l7_stream*>(streams_); }
  // How many bytes of the ring were read. *all: nothing that was there at the begin is left.
  uint64_t Drain(RowSink& sink, bool* all);

 private:
  PieceReader() = default;
  void* consumer_ = nullptr;
  void* producer_ = nullptr;  // a page, then the ring twice
  void* streams_ = nullptr;
  size_t page_ = 0;
  size_t ring_bytes_ = 0;
};

}  // namespace skybraid
