// Header blocks of HTTP/2 (RFC 7541) in one direction, as they pass, also of connections that are joined in
// their middle. Only the fields that name an operation or its outcome are kept, others are passed over.
//
// The dynamic table is counted from its newest entry, so an entry's index does not depend on what was evicted
// or was never seen: what was inserted since the join is known, an index beyond that is an unknown field, and
// never another field's value. Insertions that were missed make the whole table unknown (Forget).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../host.h"

namespace skybraid::l7::http2 {

enum class Field : uint8_t {
  kUnknown,
  kOther,
  kMethod,
  kPath,
  kAuthority,
  kStatus,
  kContentType,
  kGrpcStatus,
  kPrefer
};

// What a block says.
struct HeaderBlock {
  static constexpr size_t kMaxPath = 192;
  bool has_unknown = false;  // a field that could be any
  bool has_method = false, has_path = false, has_status = false, has_grpc_status = false;
  bool has_content_type = false;
  bool is_grpc = false;
  bool is_events = false;  // Server-Sent Events
  bool waits = false;      // the client says how long it is willing to wait
  bool path_cut = false;
  uint8_t method = 0;  // index for MethodName
  uint32_t status = 0;
  uint32_t grpc_status = 0;
  uint16_t path_size = 0;
  char path[kMaxPath];
  std::string_view host;  // until the next block begins
};

// The hosts that were named last, folded. A connection has one or two; which is meant is told by number, so
// that a host that was overwritten is not known and never another.
struct HostTable {
  static constexpr size_t kHosts = 4;
  struct Host {
    uint16_t number = 0;  // 0: none
    uint8_t size = 0;
    char text[kMaxHost];
  };
  Host hosts[kHosts];
  uint16_t newest = 0;
  char authority[128];  // that is being read

  // Where a host is kept.
  size_t Keep(std::string_view host);
};

std::string_view MethodName(uint8_t method);

class HpackDecoder {
 public:
  // `text` keeps the paths of the table, the oldest are overwritten; its size is a power of two, or 0: no
  // paths.
  // `hosts`: nullptr: none.
  HpackDecoder(char* text, uint16_t text_size, HostTable* hosts)
      : text_(text), text_size_(text_size), hosts_(hosts) {}
  // More of the block that is open. False: not HPACK; the block is void and the table forgotten.
  bool Eat(const uint8_t* bytes, size_t size);
  // The block is complete; false if it ends within a field.
  bool End();
  void Begin();
  void Forget();
  const HeaderBlock& block() const { return block_; }

 private:
  enum class State : uint8_t { kField, kInteger, kNameLength, kName, kValueLength, kValue };
  enum class Next : uint8_t { kIndexed, kNameIndex, kTableSize, kNameLength, kValueLength };
  struct Entry {
    Field field;
    uint8_t size;    // of a path; of a host, which one it is
    uint16_t value;  // number, or where the path is
  };

  bool Byte(uint8_t byte);
  bool BeginField(uint8_t byte);
  bool BeginInteger(uint8_t byte, uint8_t bits, Next next);
  bool IntegerDone();
  bool StringBegins(bool is_name);
  bool Text(uint8_t byte);
  void Keep(uint8_t byte);
  bool StringDone();
  void LiteralDone();
  void PathDone();
  void AuthorityDone();
  void Use(const Entry& entry);
  Entry Lookup(uint64_t index) const;
  void Insert(const Entry& entry);
  uint16_t Store(std::string_view path);
  void Load(const Entry& entry);

  static constexpr size_t kEntries = 128;  // as many as 4096 bytes of table can have
  State state_ = State::kField;
  Next next_ = Next::kIndexed;
  bool insert_ = false;
  bool huffman_ = false;
  bool keep_ = false;  // the string is wanted
  bool too_long_ = false;
  uint8_t shift_ = 0;
  uint8_t huffman_state_ = 0;
  Field field_ = Field::kOther;
  uint16_t begin_ = 0;  // of the ring
  uint16_t count_ = 0;
  uint16_t text_end_ = 0;  // counts on, modulo 65536
  uint16_t word_size_ = 0;
  uint64_t number_ = 0;
  uint64_t left_ = 0;
  HeaderBlock block_;
  char word_[32];
  Entry entries_[kEntries];
  char* text_;
  uint16_t text_size_;
  HostTable* hosts_;
};

}  // namespace skybraid::l7::http2
