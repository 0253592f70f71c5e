// Fingerprints of prepared statements, kept once however many connections know them. Of a connection, a few
// bytes for each of its names. Bounded; what finds no room is unknown when it is executed.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace skybraid::l7::sql {

constexpr uint16_t kNoStatement = 0xffff;

// For one thread.
class Statements {
 public:
  static constexpr uint16_t kMost = 2048;
  static constexpr size_t kMaxText = 160;
  Statements();
  // kNoStatement: no room, or too long.
  uint16_t Hold(std::string_view text);
  void Hold(uint16_t statement);
  void Release(uint16_t statement);
  std::string_view Text(uint16_t statement) const;
  uint16_t Held() const;

 private:
  struct Entry {
    uint64_t hash = 0;
    uint32_t held = 0;
    uint8_t size = 0;
    bool used = false;
    char text[kMaxText];
  };
  void Sweep();
  std::vector<Entry> entries_;
  std::vector<uint16_t> index_;  // by hash, open addressing
  std::vector<uint16_t> free_;
};

// Those of all connections; made when the first is prepared.
Statements& AllStatements();

// The statements of one connection by name or number. The oldest makes room for the newest.
class Prepared {
 public:
  static constexpr size_t kMost = 96;
  Prepared() = default;
  ~Prepared() { Clear(); }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  void Set(uint64_t name, uint16_t statement);  // holds it
  uint16_t Find(uint64_t name) const;
  void Remove(uint64_t name);
  void Clear();

 private:
  // 48 bits of name, 16 of statement.
  uint64_t entries_[kMost];
  uint8_t count_ = 0;
  uint8_t oldest_ = 0;
};

// Of a name that comes in pieces, 48 bits.
class NameHash {
 public:
  void Begin(uint64_t kind) { hash_ = 0xcbf29ce484222325u ^ kind; }
  void Add(uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3u; }
  uint64_t Get() const { return (hash_ ^ hash_ >> 48) & ((1ull << 48) - 1); }

 private:
  uint64_t hash_ = 0;
};

}  // namespace skybraid::l7::sql
