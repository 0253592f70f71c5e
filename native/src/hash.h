// Integer mixers. Mix32 is part of the contract: partitions are defined by it in
// proto/skybraid/v1/flow.proto.
#pragma once

#include <cstdint>
#include <cstring>

#include "record.h"

namespace skybraid {

inline uint32_t Mix32(uint32_t h) {
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  return h ^ (h >> 16);
}

inline uint64_t Mix64(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdull;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ull;
  return h ^ (h >> 33);
}

inline uint64_t HashAddress(const sb_addr& a, uint64_t seed) {
  uint64_t w[2];
  memcpy(w, a.bytes, sizeof w);
  return Mix64(Mix64(seed ^ w[0]) ^ w[1]);
}

}  // namespace skybraid
