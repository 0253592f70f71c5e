// The names that DNS answers gave to addresses lately, encoded for batches.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "bounded_map.h"
#include "dns.h"
#include "hash.h"

namespace skybraid {

class DnsNames {
 public:
  struct Entry {
    std::string message;  // encoded DnsName, without tag and length
    uint64_t frame = 0;   // the frame that holds it last: kept for the encoder
  };

  DnsNames() : entries_(kMaxEntries), fresh_(kFresh) {}

  void Add(const DnsAnswer& answer, uint64_t seen_unix_ms);

  // Null if no answer named this address. Valid until the next call.
  Entry* Find(const sb_addr& address) { return entries_.Find(Key{address}); }

  // Names are numbered as they come; the last few thousand can be read again by number.
  uint64_t Newest() const { return added_; }
  uint64_t Oldest() const { return added_ > kFresh ? added_ - kFresh : 0; }
  const sb_addr& At(uint64_t number) const { return fresh_[number % kFresh]; }

 private:
  static constexpr size_t kMaxEntries = 8192;
  static constexpr size_t kFresh = 2048;
  struct Key {
    sb_addr address;
    bool operator==(const Key& other) const { return memcmp(&address, &other.address, sizeof address) == 0; }
  };
  struct KeyHash {
    size_t operator()(const Key& key) const { return HashAddress(key.address, 0); }
  };

  BoundedMap<Key, Entry, KeyHash> entries_;
  std::vector<sb_addr> fresh_;
  uint64_t added_ = 0;
};

}  // namespace skybraid
