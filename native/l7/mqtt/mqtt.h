// MQTT 3.1.1 and 5.0. The operation is the packet's type and its topic, folded; the status is the reason code
// of the answer. https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html
//
// Both ends send PUBLISH. What a client publishes is a request, answered by PUBACK (QoS 1) or PUBCOMP (QoS
// 2), and by nothing with QoS 0. What the broker delivers is a request, too, as nobody answers: it is
// counted, and its acknowledgements are passed over. Pings are nothing.
#pragma once

#include "../framed_parser.h"
#include "../operation.h"

namespace skybraid::l7::mqtt {

Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class MqttParser final : public FramedParser {
 protected:
  Verdict Head(Side side, const uint8_t* head, size_t have, uint64_t& length) override;
  void Payload(Side side, const uint8_t* bytes, size_t size) override;
  void FrameEnds(Side side, uint64_t ns, Sink& sink) override;
  bool BeginsFrame(Side side, const uint8_t* bytes, size_t size) const override;
  void OnLoss(Side side, Sink& sink) override { sink.Gap(side); }

 private:
  // The begin of a packet: of a PUBLISH its topic and its number. What a topic has beyond is folded anyhow.
  static constexpr size_t kKept = 128;
  struct Begin {
    uint8_t size = 0;
    uint8_t bytes[kKept];
  };
  struct Packet {
    uint8_t type;
    uint8_t flags;
    const uint8_t* bytes;
    size_t size;      // of what is kept
    uint64_t length;  // of the whole
  };

  void OnRequest(const Packet& packet, Message& message, Sink& sink);
  void OnAnswer(const Packet& packet, Message& message, Sink& sink);
  void OnPublish(const Packet& packet, Side side, Message& message, Sink& sink);
  bool Five() const { return version_ == 5; }
  size_t PropertyBytes(const uint8_t* bytes, size_t size) const;

  Begin begins_[2];
  uint8_t version_ = 4;
};

static_assert(sizeof(MqttParser) <= 512, "within a connection's memory");

// Appends a topic (or a filter) with what identifies a single thing folded: a level that is an id is {id},
// five levels and more are /....
void AddTopic(std::string_view topic, bool cut, OperationText& out);

}  // namespace skybraid::l7::mqtt
