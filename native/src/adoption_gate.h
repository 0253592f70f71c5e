// When the kernel programs take over TCP sockets older than the collector that show a sign of life.
//
// All that a file leads to have been found by then, at the start and once more after ten seconds, when those
// that waited to be accepted have been. What is left belongs to the kernel itself, or is a file that is on
// its way from one program to another. To look out for these at every packet of every connection costs all
// others too much: after ten seconds it is done for a twentieth of the time, which a connection that is in
// use does not escape for long. Where files can't be looked through, packets are all there is, and the gate
// stays open.
#pragma once

#include <cstdint>

namespace skybraid {

class AdoptionGate {
 public:
  // `sees_files`: every process's open files can be looked through.
  void Start(bool sees_files, uint64_t now_ns) {
    sees_files_ = sees_files;
    second_look_ns_ = now_ns + kWideOpenNs;
    looked_twice_ = false;
  }

  // Once, when the files are to be looked through for the second time.
  bool SecondLookDue(uint64_t now_ns) {
    if (!sees_files_ || looked_twice_ || now_ns < second_look_ns_) return false;
    looked_twice_ = true;
    return true;
  }

  bool IsOpen(uint64_t now_ns) const {
    return !sees_files_ || now_ns < second_look_ns_ || now_ns / kSliceNs % kSlices == 0;
  }

 private:
  static constexpr uint64_t kWideOpenNs = 10'000'000'000;
  static constexpr uint64_t kSliceNs = 50'000'000;  // between two drains
  static constexpr uint64_t kSlices = 20;

  bool sees_files_ = false;
  bool looked_twice_ = false;
  uint64_t second_look_ns_ = 0;
};

}  // namespace skybraid
