// What all parsers do alike: they eat until a direction goes astray, and there they wait for a packet that
// begins with what is surely the begin of a message.
#pragma once

#include "message.h"

namespace skybraid::l7 {

// All that still comes: nobody needs to see it.
constexpr uint64_t kEndless = ~0ull;

// P has, for one direction each:
//   size_t Run(side, bytes, size, ns, sink)   eats at least one byte
//   uint64_t Rest(side)                       how many of the bytes that come next need not be seen
//   void Pass(side, count, ns, sink)          that many of them were not
//   bool Begins(side, bytes, size)            whether a packet surely begins a message
//   void Restart(side)                        what follows is the begin of a message
//   void Forget(side, sink)                   bytes are missing; says so to the sink
template <typename P>
class StreamParser : public Parser {
 public:
  void Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) final {
    bool& astray = astray_[Index(side)];
    if (astray) {
      if (!Self().Begins(side, bytes, size)) return;
      Self().Restart(side);
      astray = false;
    }
    while (size > 0 && !astray) {
      const size_t taken = Self().Run(side, bytes, size, ns, sink);
      bytes += taken;
      size -= taken;
    }
  }
  uint64_t Skippable(Side side) const final {
    return astray_[Index(side)] ? 0 : static_cast<const P*>(this)->Rest(side);
  }
  void Skip(Side side, uint64_t count, uint64_t ns, Sink& sink) final { Self().Pass(side, count, ns, sink); }
  void Lost(Side side, uint64_t, Sink& sink) final {
    if (Skippable(side) != kEndless) GoAstray(side, sink);
  }

 protected:
  // Nothing that follows has a known place.
  void GoAstray(Side side, Sink& sink) {
    astray_[Index(side)] = true;
    Self().Forget(side, sink);
  }
  bool Astray(Side side) const { return astray_[Index(side)]; }

 private:
  P& Self() { return *static_cast<P*>(this); }
  bool astray_[2] = {false, false};
};

}  // namespace skybraid::l7
