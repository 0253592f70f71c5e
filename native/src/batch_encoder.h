// Records → frames of a flush: the columns of one FlowBatch each (proto/skybraid/v1/flow.proto, fields 20 to
// 76), behind the head that native/index.d.ts describes. Scratch space is allocated once; nothing per record.
#pragma once

#include <cstdint>
#include <vector>

#include "dns_names.h"
#include "flow_record.h"
#include "l7_columns.h"
#include "l7_rows.h"
#include "owners.h"

namespace skybraid {

class BatchEncoder {
 public:
  static constexpr size_t kMaxRecords = 1000;
  static constexpr size_t kMaxBody = 46 * 1024;

  BatchEncoder(uint32_t partitions, Owners& owners, DnsNames& names);

  // From a minute on records are split into other partitions, whose numbers begin with `first`; what was said
  // of later minutes before is void.
  void SetPartitions(uint32_t first, uint32_t count, uint64_t from_minute);

  // Appends the frames of all records of one minute (unix time / 60 s); records of other minutes are left
  // alone.
  void Encode(const std::vector<FlowRecord>& records, uint64_t minute, uint64_t now_ns, double at_unix_ms,
              std::vector<uint8_t>& out, const L7Rows& said = {});

  // Appends, for every partition, the frame that says that nothing of this minute follows.
  void CompleteMinute(uint64_t minute, double at_unix_ms, std::vector<uint8_t>& out);

 private:
  static constexpr size_t kU32Columns = 24;
  static constexpr size_t kU64Columns = 3;
  static constexpr size_t kAddressSlots = 4096;
  struct Row {
    uint32_t u32[kU32Columns];
    uint64_t u64[kU64Columns];
  };

  size_t Frame(const std::vector<FlowRecord>& records, size_t from, size_t to, uint32_t partition);
  bool Admit(const FlowRecord& record);
  void FillRow(const FlowRecord& record, Row& row) const;
  void AddNewNames(uint32_t partition);
  bool AddName(DnsNames::Entry& entry, size_t limit);
  uint32_t AddressIndex(const sb_addr& address);
  size_t BodyBytes(size_t count, uint32_t mask32, uint32_t mask64, size_t wides) const;
  void StartFrame();
  void WriteFrame(uint32_t partition, uint64_t minute, double at_unix_ms, std::vector<uint8_t>& out) const;
  void WriteColumns(std::vector<uint8_t>& out) const;

  // How records are split from a minute on.
  struct Split {
    uint64_t from_minute;
    uint32_t first;
    uint32_t count;
    std::vector<uint64_t> name_cursors;  // per partition: the next new name it has not been sent
  };
  static constexpr size_t kMaxSplits = 4;

  Split& SplitAt(uint64_t minute);

  std::vector<Split> splits_;  // oldest first, never empty
  Split* split_ = nullptr;     // of the minute that is being encoded
  Owners& owners_;
  DnsNames& names_;

  uint64_t now_ns_ = 0;
  uint64_t base_ms_ = 0;
  std::vector<uint32_t> order_;  // indexes of records by partition
  std::vector<uint32_t> starts_;

  // the frame being built
  uint64_t frame_ = 0;
  size_t count_ = 0;
  uint32_t owner_count_ = 0;
  uint32_t mask32_ = 0;
  uint32_t mask64_ = 0;
  std::vector<uint32_t> u32_;  // kU32Columns × kMaxRecords
  std::vector<uint64_t> u64_;
  std::vector<uint32_t> wide_at_;
  std::vector<uint32_t> wide_high_;
  std::vector<uint8_t> plain_;      // owners and names, encoded
  std::vector<uint8_t> addresses_;  // v6, 16 bytes each
  L7Columns l7_;
  const L7Rows* said_ = nullptr;
  struct AddressSlot {
    uint64_t frame = 0;
    uint32_t index = 0;
  };
  std::vector<AddressSlot> address_slots_;
};

}  // namespace skybraid
