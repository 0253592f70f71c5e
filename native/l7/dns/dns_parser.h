// DNS (RFC 1035) over TCP: each message has its length in two bytes before it. Datagrams are
// dns_datagrams.h's.
//
// The operation is the type and the name that was asked, folded (dns_name.h); the status is the response
// code. A response answers the request with its id and its question, so questions in flight together, retries
// with the same id and answers out of order keep apart. A loss takes nothing but what is missing.
#pragma once

#include "../framed_parser.h"
#include "dns_message.h"

namespace skybraid::l7::dns {

// `bytes` begin with the length.
Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class DnsParser final : public FramedParser {
 protected:
  Verdict Head(Side side, const uint8_t* head, size_t have, uint64_t& length) override;
  void Payload(Side side, const uint8_t* bytes, size_t size) override;
  void FrameEnds(Side side, uint64_t ns, Sink& sink) override;
  bool BeginsFrame(Side side, const uint8_t* bytes, size_t size) const override;
  void OnLoss(Side side, Sink& sink) override { sink.Gap(side); }

 private:
  static constexpr size_t kKept = kHeader + kLongestQuestion;
  static constexpr size_t kRecent = 16;

  struct Begin {
    uint16_t size = 0;
    uint8_t bytes[kKept];
  };

  uint64_t KeyOf(uint64_t key, bool asks);

  Begin begins_[2];
  uint64_t recent_[kRecent]{};  // keys of the last requests, for responses that repeat no question
  uint32_t asked_ = 0;
};

static_assert(sizeof(DnsParser) <= 1024, "within a connection's memory");

}  // namespace skybraid::l7::dns
