// Books the records that are by far the commonest: readings of joined TCP connections that stay open, which
// go on where the flow's previous reading ended. packages/aggregator/src/join/usual-records.ts does the same,
// and is its description; here the lines of memory that a record needs are fetched in advance, which
// JavaScript cannot ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "layout.h"

namespace skybraid::join {

// The slots of a table, in the chunks that the table made, and how connections are found.
struct Table {
  uint32_t seed = 0;
  std::vector<uint32_t*> chunks;
  const uint32_t* entries = nullptr;
  uint32_t mask = 0;

  uint32_t* Slot(uint32_t slot) const {
    return chunks[slot >> kChunkShift] + size_t{slot & ((1u << kChunkShift) - 1)} * kSlotWords;
  }
};

// One decoded batch.
struct Batch {
  const uint32_t* columns = nullptr;
  uint32_t count = 0;
  // By record: whether some amount exceeds 32 bits; null if none does.
  const uint8_t* is_wide = nullptr;
  uint32_t session = 0;
  int64_t base_ms = 0;
  // Unix seconds.
  uint32_t heard = 0;
};

// What is known of a batch's records, for both calls and for whoever calls. Arrays of `kColumnWords`.
struct Found {
  // Records that are left to the general way, in their order, after `Take`.
  int32_t* rest = nullptr;
  uint32_t rest_count = 0;
  // Those found: record, slot * 2 + side, edge, and after `Find` whoever calls puts the edge's row here.
  int32_t* records = nullptr;
  int32_t* flows = nullptr;
  int32_t* edges = nullptr;
  int32_t* rows = nullptr;
  uint32_t count = 0;
  // Slots and rows whose two ends have to be compared the general way, before anything else is done.
  int32_t* uncompared_slots = nullptr;
  int32_t* uncompared_rows = nullptr;
  uint32_t uncompared_count = 0;
};

class UsualRecords {
 public:
  Table table;

  // Finds the flows and edges of a batch; what is not usual goes to the rest.
  void Find(const Batch& batch, Found& found);

  // Takes over what the records found say, and adds it to their rows (-1: none). Keeps in `found`, in their
  // order, those for which that was right. `fetched` is another kind of lines by row, of 64 bytes, that will
  // be needed next.
  void Take(const Batch& batch, Found& found, double* counters, const uint8_t* fetched);

 private:
  void FindBlock(const Batch& batch, uint32_t from, uint32_t to, Found& found);
  int32_t FindTcp(uint32_t hash, uint32_t dialler, uint32_t acceptor) const;
  void Leave(Found& found, uint32_t record, int32_t slot);
  bool TakeOne(const Batch& batch, Found& found, uint32_t n, double* counters);

  // Slots that are marked as waiting.
  std::vector<uint32_t> waiting_;
};

}  // namespace skybraid::join
