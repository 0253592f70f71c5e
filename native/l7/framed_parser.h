// Protocols whose messages say how long they are: a head of a few bytes, then a payload of the length that it
// tells. A payload of which only the begin was captured is a payload all the same: frames are never lost by
// it.
#pragma once

#include "parser.h"
#include "stream_parser.h"

namespace skybraid::l7 {

class FramedParser : public StreamParser<FramedParser> {
 public:
  // Within a payload that comes little by little, not before as much of it was seen as is copied of any.
  bool BeginsNext(Side side) const final {
    const Frame& frame = frames_[Index(side)];
    if (deaf_ || Astray(side)) return false;
    if (!frame.in_payload) return frame.have == 0;
    return frame.cut || frame.bytes - frame.left >= kMostRead[Index(side)];
  }

 protected:
  static constexpr size_t kMaxHead = 8;
  // Of a frame, by direction: what the programs copy where they follow frames.
  static constexpr uint64_t kMostRead[2] = {4032, 512};

  struct Frame {
    uint8_t head[kMaxHead];
    uint8_t have = 0;  // of the head
    bool in_payload = false;
    bool cut = false;       // some of the payload passed unseen; what came after it is not given
    uint64_t left = 0;      // of the payload
    uint64_t bytes = 0;     // head and payload
    uint64_t first_ns = 0;  // arrival of the first byte
  };

  // Of the bytes of a head that are there: kMaybe, it has more; kYes, it is whole and the payload has
  // `length`; kNo, it is none.
  virtual Verdict Head(Side side, const uint8_t* head, size_t have, uint64_t& length) = 0;
  // Payload in the order of the stream, as much of it as is at hand.
  virtual void Payload(Side side, const uint8_t* bytes, size_t size) = 0;
  virtual void FrameEnds(Side side, uint64_t ns, Sink& sink) = 0;
  // Whether a packet somewhere in the stream surely begins with a head.
  virtual bool BeginsFrame(Side side, const uint8_t* bytes, size_t size) const = 0;
  // Bytes are missing, or are no frames. Says so to the sink.
  virtual void OnLoss(Side side, Sink& sink) = 0;

  const Frame& Of(Side side) const { return frames_[Index(side)]; }
  // From here on it is no longer this protocol, or not legible.
  void Deafen() { deaf_ = true; }
  bool Deaf() const { return deaf_; }

 private:
  friend class StreamParser<FramedParser>;
  size_t Run(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink);
  uint64_t Rest(Side side) const;
  void Pass(Side side, uint64_t count, uint64_t ns, Sink& sink);
  bool Begins(Side side, const uint8_t* bytes, size_t size) const { return BeginsFrame(side, bytes, size); }
  void Restart(Side side) { frames_[Index(side)] = Frame{}; }
  void Forget(Side side, Sink& sink) { OnLoss(side, sink); }
  void End(Frame& frame, Side side, uint64_t ns, Sink& sink);

  Frame frames_[2];
  bool deaf_ = false;
};

}  // namespace skybraid::l7
