#include "batch_encoder.h"

#include <cstring>

#include "hash.h"
#include "wire.h"

namespace skybraid {

namespace {

constexpr size_t kHeadBytes = 32;
constexpr size_t kMaxNameBytes = 8 * 1024;  // of one frame, so that names never crowd out records

// Columns of 32 bits, in the order of their field numbers.
enum U32Column : uint32_t {
  kDiallerIsn,
  kAcceptorIsn,
  kNetns,
  kLocal,
  kRemote,
  kPorts,
  kKind,
  kOwner,
  kAtMs,
  kAgeMs,
  kHandshakeUs,
  kSrttUs,
  kMinRttUs,
  kFirstDelta,
  kDataSentTotal = kFirstDelta + kCounterCount,
  kDataReceivedTotal,
  kRetransmittedTotal,
};
constexpr uint32_t kU32Fields[] = {32, 33, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
                                   45, 46, 47, 48, 49, 50, 51, 52, 53, 56, 57, 58};
constexpr uint32_t kU64Fields[] = {34, 54, 55};
constexpr uint32_t kOwnerField = 20, kNameField = 21, kWideAtField = 60, kWideHighField = 61, kV6Field = 62;
// Tag and length of every column there is, at most.
constexpr size_t kColumnOverhead = 6 * (std::size(kU32Fields) + std::size(kU64Fields) + 3);

uint32_t V4Word(const sb_addr& address) {
  uint32_t word;
  memcpy(&word, address.bytes + 12, sizeof word);
  return word;
}

size_t Encoded(size_t message_bytes) { return message_bytes + 5; }  // with tag and length

}  // namespace

uint32_t PartitionHash(const FlowRecord& record) {
  if ((record.kind & 3) == kind::kTcp) return Mix32(record.dialler_isn);
  const bool is_server = (record.kind >> kind::kRoleShift & 3) == SB_ROLE_SERVER;
  uint32_t words[4];
  memcpy(words, is_server ? &record.remote : &record.local, sizeof words);
  uint32_t hash = 0;
  for (const uint32_t word : words) hash = Mix32(hash ^ word);
  return Mix32(hash ^ (is_server ? record.ports & 0xFFFF : record.ports >> 16));
}

BatchEncoder::BatchEncoder(uint32_t partitions, Owners& owners, DnsNames& names)
    : owners_(owners),
      names_(names),
      u32_(kU32Columns * kMaxRecords),
      u64_(kU64Columns * kMaxRecords),
      address_slots_(kAddressSlots) {
  static_assert(std::size(kU32Fields) == kU32Columns && std::size(kU64Fields) == kU64Columns, "columns");
  splits_.push_back({0, 0, partitions, std::vector<uint64_t>(partitions, 0)});
  plain_.reserve(kMaxBody);
  addresses_.reserve(kMaxBody);
  wide_at_.reserve(kMaxRecords);
  wide_high_.reserve(kMaxRecords);
}

void BatchEncoder::SetPartitions(uint32_t first, uint32_t count, uint64_t from_minute) {
  while (!splits_.empty() && splits_.back().from_minute >= from_minute) splits_.pop_back();
  if (splits_.size() == kMaxSplits) splits_.erase(splits_.begin());
  splits_.push_back({from_minute, first, count, std::vector<uint64_t>(count, 0)});
}

BatchEncoder::Split& BatchEncoder::SplitAt(uint64_t minute) {
  size_t at = splits_.size() - 1;
  while (at > 0 && splits_[at].from_minute > minute) --at;
  return splits_[at];
}

void BatchEncoder::Encode(const std::vector<FlowRecord>& records, uint64_t minute, uint64_t now_ns,
                          double at_unix_ms, std::vector<uint8_t>& out, const L7Rows& said) {
  said_ = &said;
  now_ns_ = now_ns;
  base_ms_ = minute * kMinuteMs;
  split_ = &SplitAt(minute);
  const uint32_t partitions = split_->count;
  // Counting sort by partition keeps the order of a flow's records.
  starts_.assign(partitions + 1, 0);
  size_t total = 0;
  for (const FlowRecord& record : records) {
    if (record.wall_ms / kMinuteMs != minute) continue;
    ++starts_[PartitionHash(record) % partitions + 1];
    ++total;
  }
  for (uint32_t p = 0; p < partitions; p++) starts_[p + 1] += starts_[p];
  order_.resize(total);
  for (uint32_t i = 0; i < records.size(); i++) {
    if (records[i].wall_ms / kMinuteMs == minute)
      order_[starts_[PartitionHash(records[i]) % partitions]++] = i;
  }
  // Placing moved every start to the next partition's.
  for (uint32_t p = 0, from = 0; p < partitions; p++) {
    const uint32_t to = starts_[p];
    while (from < to) {
      from += static_cast<uint32_t>(Frame(records, from, to, p));
      WriteFrame(p, minute, at_unix_ms, out);
    }
  }
}

void BatchEncoder::CompleteMinute(uint64_t minute, double at_unix_ms, std::vector<uint8_t>& out) {
  split_ = &SplitAt(minute);
  StartFrame();
  for (uint32_t p = 0; p < split_->count; p++) WriteFrame(p, minute, at_unix_ms, out);
}

void BatchEncoder::StartFrame() {
  ++frame_;
  count_ = 0;
  owner_count_ = 0;
  mask32_ = mask64_ = 0;
  wide_at_.clear();
  wide_high_.clear();
  plain_.clear();
  addresses_.clear();
  l7_.Clear();
}

// Fills a frame with as many records as fit and returns how many: at least one.
size_t BatchEncoder::Frame(const std::vector<FlowRecord>& records, size_t from, size_t to,
                           uint32_t partition) {
  StartFrame();
  AddNewNames(partition);
  size_t taken = 0;
  while (from + taken < to && taken < kMaxRecords && Admit(records[order_[from + taken]])) ++taken;
  return taken;
}

size_t BatchEncoder::BodyBytes(size_t count, uint32_t mask32, uint32_t mask64, size_t wides) const {
  const size_t per_record = 4u * static_cast<size_t>(__builtin_popcount(mask32)) +
                            8u * static_cast<size_t>(__builtin_popcount(mask64));
  return kColumnOverhead + plain_.size() + addresses_.size() + 8 * wides + count * per_record + l7_.Bytes();
}

// Adds a record with everything it refers to, unless the frame would grow too large.
bool BatchEncoder::Admit(const FlowRecord& record) {
  Row row;
  FillRow(record, row);
  uint32_t mask32 = mask32_;
  uint32_t mask64 = mask64_;
  for (uint32_t c = 0; c < kU32Columns; c++) mask32 |= static_cast<uint32_t>(row.u32[c] != 0) << c;
  for (uint32_t c = 0; c < kU64Columns; c++) mask64 |= static_cast<uint32_t>(row.u64[c] != 0) << c;
  size_t wides = 0;
  for (const uint64_t delta : record.delta) wides += delta >> 32 != 0;
  const bool v6 = (record.kind & kind::kV6) != 0;
  if (v6) mask32 |= 1u << kLocal | 1u << kRemote;
  mask32 |= 1u << kOwner;

  Owners::Entry& owner = owners_.Resolve(record.owner, now_ns_);
  const bool named = (record.kind & (kind::kFirst | kind::kAnnouncedAgain)) != 0;
  DnsNames::Entry* name = named ? names_.Find(record.remote) : nullptr;
  size_t bytes = BodyBytes(count_ + 1, mask32, mask64, wide_at_.size() + wides) + (v6 ? 32 : 0);
  if (owner.frame != frame_) bytes += Encoded(owner.message.size());
  if (name != nullptr && name->frame != frame_) bytes += Encoded(name->message.size());
  bytes += l7_.BytesOf(*said_, record.first_said, record.said);
  if (count_ > 0 && bytes > kMaxBody) return false;

  if (owner.frame != frame_) {
    wire::PutBytes(plain_, kOwnerField, owner.message.data(), owner.message.size());
    owner.frame = frame_;
    owner.index = owner_count_++;
  }
  if (name != nullptr) AddName(*name, kMaxBody);
  row.u32[kOwner] = owner.index;
  if (v6) {
    row.u32[kLocal] = AddressIndex(record.local);
    row.u32[kRemote] = AddressIndex(record.remote);
  }
  mask32_ = mask32;
  mask64_ = mask64;
  for (uint32_t c = 0; c < kU32Columns; c++) u32_[c * kMaxRecords + count_] = row.u32[c];
  for (uint32_t c = 0; c < kU64Columns; c++) u64_[c * kMaxRecords + count_] = row.u64[c];
  for (uint32_t i = 0; i < kCounterCount && wides != 0; i++) {
    const uint32_t high = static_cast<uint32_t>(record.delta[i] >> 32);
    if (high == 0) continue;
    wide_at_.push_back(static_cast<uint32_t>(count_) << 8 | kU32Fields[kFirstDelta + i]);
    wide_high_.push_back(high);
  }
  l7_.Add(*said_, record.first_said, record.said, static_cast<uint32_t>(count_));
  ++count_;
  return true;
}

void BatchEncoder::FillRow(const FlowRecord& record, Row& row) const {
  row.u32[kDiallerIsn] = record.dialler_isn;
  row.u32[kAcceptorIsn] = record.acceptor_isn;
  row.u32[kNetns] = record.netns;
  const bool v6 = (record.kind & kind::kV6) != 0;
  row.u32[kLocal] = v6 ? 0 : V4Word(record.local);
  row.u32[kRemote] = v6 ? 0 : V4Word(record.remote);
  row.u32[kPorts] = record.ports;
  row.u32[kKind] = record.kind;
  row.u32[kOwner] = 0;
  row.u32[kAtMs] = static_cast<uint32_t>(record.wall_ms - base_ms_);
  row.u32[kAgeMs] = record.age_ms;
  row.u32[kHandshakeUs] = record.handshake_us;
  row.u32[kSrttUs] = record.srtt_us;
  row.u32[kMinRttUs] = record.min_rtt_us;
  for (uint32_t i = 0; i < kCounterCount; i++)
    row.u32[kFirstDelta + i] = static_cast<uint32_t>(record.delta[i]);
  row.u32[kDataSentTotal] = static_cast<uint32_t>(record.total[kDataSegmentsSent]);
  row.u32[kDataReceivedTotal] = static_cast<uint32_t>(record.total[kDataSegmentsReceived]);
  row.u32[kRetransmittedTotal] = static_cast<uint32_t>(record.total[kRetransmitted]);
  row.u64[0] = record.flow_id;
  row.u64[1] = record.total[kBytesSent];
  row.u64[2] = record.total[kBytesReceived];
}

// Names that came up since this partition's last frame; a partition that is far behind misses the oldest,
// which come again with the records that refer to them.
void BatchEncoder::AddNewNames(uint32_t partition) {
  uint64_t& cursor = split_->name_cursors[partition];
  if (cursor < names_.Oldest()) cursor = names_.Oldest();
  for (; cursor < names_.Newest(); cursor++) {
    DnsNames::Entry* entry = names_.Find(names_.At(cursor));
    if (entry != nullptr && !AddName(*entry, kMaxNameBytes)) return;
  }
}

bool BatchEncoder::AddName(DnsNames::Entry& entry, size_t limit) {
  if (entry.frame == frame_) return true;
  if (plain_.size() + Encoded(entry.message.size()) > limit) return false;
  wire::PutBytes(plain_, kNameField, entry.message.data(), entry.message.size());
  entry.frame = frame_;
  return true;
}

uint32_t BatchEncoder::AddressIndex(const sb_addr& address) {
  size_t at = HashAddress(address, frame_) & (kAddressSlots - 1);
  for (;; at = (at + 1) & (kAddressSlots - 1)) {
    AddressSlot& slot = address_slots_[at];
    if (slot.frame != frame_) {
      slot = {frame_, static_cast<uint32_t>(addresses_.size() / sizeof address)};
      wire::PutRaw(addresses_, address.bytes, sizeof address);
      return slot.index;
    }
    if (memcmp(addresses_.data() + slot.index * sizeof address, &address, sizeof address) == 0)
      return slot.index;
  }
}

void BatchEncoder::WriteColumns(std::vector<uint8_t>& out) const {
  // Fields go out in ascending order: the 64-bit columns stand between the others.
  uint32_t next64 = 0;
  const auto put64 = [&](uint32_t before_field) {
    for (; next64 < kU64Columns && kU64Fields[next64] < before_field; next64++) {
      if ((mask64_ >> next64 & 1) != 0)
        wire::PutBytes(out, kU64Fields[next64], &u64_[next64 * kMaxRecords], 8 * count_);
    }
  };
  for (uint32_t c = 0; c < kU32Columns; c++) {
    put64(kU32Fields[c]);
    const uint32_t* column = &u32_[c * kMaxRecords];
    // Owner and address indexes may all be zero although their column was counted as used.
    bool used = (mask32_ >> c & 1) != 0;
    if (used && (c == kOwner || c == kLocal || c == kRemote)) {
      uint32_t any = 0;
      for (size_t i = 0; i < count_; i++) any |= column[i];
      used = any != 0;
    }
    if (used) wire::PutBytes(out, kU32Fields[c], column, 4 * count_);
  }
  put64(UINT32_MAX);
  if (!wide_at_.empty()) {
    wire::PutBytes(out, kWideAtField, wide_at_.data(), 4 * wide_at_.size());
    wire::PutBytes(out, kWideHighField, wide_high_.data(), 4 * wide_high_.size());
  }
  if (!addresses_.empty()) wire::PutBytes(out, kV6Field, addresses_.data(), addresses_.size());
  l7_.Write(out);
}

void BatchEncoder::WriteFrame(uint32_t partition, uint64_t minute, double at_unix_ms,
                              std::vector<uint8_t>& out) const {
  const size_t head_at = out.size();
  out.resize(head_at + kHeadBytes);
  wire::PutRaw(out, plain_.data(), plain_.size());
  if (count_ > 0) WriteColumns(out);
  const uint32_t body = static_cast<uint32_t>(out.size() - head_at - kHeadBytes);
  out.resize((out.size() + 7) & ~size_t{7});
  const uint32_t count = static_cast<uint32_t>(count_);
  const double base = static_cast<double>(minute * kMinuteMs);
  uint8_t* head = out.data() + head_at;
  const uint32_t number = split_->first + partition;
  memcpy(head, &number, 4);
  memcpy(head + 4, &count, 4);
  memcpy(head + 8, &base, 8);
  memcpy(head + 16, &body, 4);
  memset(head + 20, 0, 4);
  memcpy(head + 24, &at_unix_ms, 8);
}

}  // namespace skybraid
