// Bucket of a time in a base-2 exponential histogram of scale 3, as proto/skybraid/v1/flow.proto defines it:
// bucket i holds (2^(i/8), 2^((i+1)/8)] microseconds. Exact for every whole number.
#pragma once

#include <cstdint>

namespace skybraid::l7 {

constexpr int kPerOctave = 8;

inline int BucketOf(uint64_t us) {
  // 2^(63 + j/8) without its fraction: irrational, so that comparing with the whole part is exact.
  constexpr uint64_t kRoots[] = {0x8b95c1e3ea8bd6e6, 0x9837f0518db8a96f, 0xa5fed6a9b15138ea,
                                 0xb504f333f9de6484, 0xc5672a115506dadd, 0xd744fccad69d6af4,
                                 0xeac0c6e7dd24392e};
  if (us <= 1) return -1;
  const int octave = 63 - __builtin_clzll(us);
  const uint64_t mantissa = us << (63 - octave);
  if (mantissa == 1ull << 63) return octave * kPerOctave - 1;
  int part = 0;
  for (const uint64_t root : kRoots) part += mantissa > root;
  return octave * kPerOctave + part;
}

}  // namespace skybraid::l7
