#include "mqtt.h"

#include <algorithm>
#include <cstring>

#include "../route.h"

namespace skybraid::l7::mqtt {

namespace {

enum Type : uint8_t {
  kConnect = 1,
  kConnack,
  kPublish,
  kPuback,
  kPubrec,
  kPubrel,
  kPubcomp,
  kSubscribe,
  kSuback,
  kUnsubscribe,
  kUnsuback,
  kPingreq,
  kPingresp,
  kDisconnect,
  kAuth,
};

constexpr size_t kMaxLevels = 4;
constexpr uint8_t kFailure = 0x80;
// Keys: a packet's number with the type of what it belongs to, since numbers are told apart by that.
constexpr uint64_t kOfPublish = 1u << 16, kOfSubscribe = 2u << 16, kOfUnsubscribe = 3u << 16,
                   kOfConnect = 4u << 16;

uint16_t U16(const uint8_t* b) { return static_cast<uint16_t>(b[0] << 8 | b[1]); }

// Whether the type may come from that side with these flags.
bool IsPacket(Side side, uint8_t first) {
  const uint8_t type = first >> 4, flags = first & 15;
  if (type == kPublish) return (flags >> 1 & 3) != 3;
  if (flags != (type == kPubrel || type == kSubscribe || type == kUnsubscribe ? 2 : 0)) return false;
  if (side == Side::kToServer)
    return type == kConnect || (type >= kPuback && type <= kPubcomp) || type == kSubscribe ||
           type == kUnsubscribe || type == kPingreq || type >= kDisconnect;
  return type == kConnack || (type >= kPuback && type <= kPubcomp) || type == kSuback || type == kUnsuback ||
         type == kPingresp || type >= kDisconnect;
}

// The length behind the first byte: 7 bits each. kMaybe: it goes on.
Verdict ReadLength(const uint8_t* head, size_t have, uint64_t& length) {
  length = 0;
  for (size_t i = 1; i < have; i++) {
    length |= static_cast<uint64_t>(head[i] & 0x7f) << (7 * (i - 1));
    if ((head[i] & 0x80) == 0) return i + 1 == have ? Verdict::kYes : Verdict::kNo;
    if (i == 4) return Verdict::kNo;
  }
  return Verdict::kMaybe;
}

// Whole packets, one after the other, exactly.
bool ArePackets(Side side, const uint8_t* bytes, size_t size) {
  size_t at = 0;
  while (at < size) {
    if (!IsPacket(side, bytes[at])) return false;
    uint64_t length = 0;
    size_t head = 2;
    while (at + head <= size && ReadLength(bytes + at, head, length) == Verdict::kMaybe) head++;
    if (at + head > size || ReadLength(bytes + at, head, length) != Verdict::kYes) return false;
    at += head + length;
  }
  return at == size && size > 0;
}

std::string_view NameOf(uint8_t type) {
  switch (type) {
    case kConnect:
      return "CONNECT";
    case kPublish:
      return "PUBLISH";
    case kSubscribe:
      return "SUBSCRIBE";
    case kUnsubscribe:
      return "UNSUBSCRIBE";
    case kAuth:
      return "AUTH";
    default:
      return "DISCONNECT";
  }
}

}  // namespace

void AddTopic(std::string_view topic, bool cut, OperationText& out) {
  for (size_t level = 0;; level++) {
    const size_t slash = topic.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string_view text = topic.substr(0, slash);
    if (level > 0) out.Add('/');
    if (level == kMaxLevels) return out.Add(std::string_view("..."));
    if (last && cut) return out.Add(std::string_view("{cut}"));
    const bool word = text == "+" || text == "#" || (level == 0 && text == "$SYS");
    if (!word && IsIdentifier(text))
      out.Add(std::string_view("{id}"));
    else
      out.Add(text);
    if (last) return;
    topic.remove_prefix(slash + 1);
  }
}

// Only a connection that is seen from its CONNECT on is surely MQTT.
Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  constexpr std::string_view kName("\0\4MQTT", 6);
  if (size == 0) return Verdict::kMaybe;
  if (side == Side::kToClient) return bytes[0] == kConnack << 4 ? Verdict::kMaybe : Verdict::kNo;
  if (bytes[0] != kConnect << 4) return Verdict::kNo;
  size_t head = 2;
  uint64_t length = 0;
  Verdict read = Verdict::kMaybe;
  while (head <= size && (read = ReadLength(bytes, head, length)) == Verdict::kMaybe) head++;
  if (read != Verdict::kYes) return read;
  const size_t there = std::min(size - head, kName.size());
  if (length < 12 || memcmp(bytes + head, kName.data(), there) != 0) return Verdict::kNo;
  if (size <= head + kName.size()) return Verdict::kMaybe;
  const uint8_t version = bytes[head + kName.size()];
  return version == 4 || version == 5 ? Verdict::kYes : Verdict::kNo;
}

Verdict MqttParser::Head(Side side, const uint8_t* head, size_t have, uint64_t& length) {
  if (!IsPacket(side, head[0])) return Verdict::kNo;
  const Verdict read = ReadLength(head, have, length);
  if (read == Verdict::kYes) begins_[Index(side)].size = 0;
  return read;
}

void MqttParser::Payload(Side side, const uint8_t* bytes, size_t size) {
  Begin& begin = begins_[Index(side)];
  const size_t taken = std::min(size, kKept - begin.size);
  memcpy(begin.bytes + begin.size, bytes, taken);
  begin.size = static_cast<uint8_t>(begin.size + taken);
}

bool MqttParser::BeginsFrame(Side side, const uint8_t* bytes, size_t size) const {
  return ArePackets(side, bytes, size);
}

void MqttParser::FrameEnds(Side side, uint64_t ns, Sink& sink) {
  const Frame& frame = Of(side);
  const Begin& begin = begins_[Index(side)];
  uint64_t length = 0;
  size_t head = 2;
  while (ReadLength(frame.head, head, length) == Verdict::kMaybe) head++;
  const Packet packet{static_cast<uint8_t>(frame.head[0] >> 4), static_cast<uint8_t>(frame.head[0] & 15),
                      begin.bytes, begin.size, length};
  Message message;
  message.bytes = frame.bytes;
  message.first_ns = frame.first_ns;
  message.last_ns = ns;
  if (packet.type == kPublish) return OnPublish(packet, side, message, sink);
  if (side == Side::kToServer) return OnRequest(packet, message, sink);
  OnAnswer(packet, message, sink);
}

// Bytes of the properties that 5.0 has, their length included; 0: not seen whole.
size_t MqttParser::PropertyBytes(const uint8_t* bytes, size_t size) const {
  uint64_t length = 0;
  for (size_t i = 0; i < std::min<size_t>(size, 4); i++) {
    length |= static_cast<uint64_t>(bytes[i] & 0x7f) << (7 * i);
    if ((bytes[i] & 0x80) == 0) return i + 1 + length <= size ? i + 1 + length : 0;
  }
  return 0;
}

void MqttParser::OnPublish(const Packet& packet, Side side, Message& message, Sink& sink) {
  const uint8_t qos = packet.flags >> 1 & 3;
  const bool delivered = side == Side::kToClient;
  OperationText operation;
  operation.Add(delivered ? std::string_view("DELIVER ") : std::string_view("PUBLISH "));
  const size_t topic = packet.size >= 2 ? U16(packet.bytes) : 0;
  if (topic == 0) {  // an alias stands for it
    operation.Add(std::string_view("{alias}"));
  } else {
    const size_t there = std::min(topic, packet.size - 2);
    AddTopic({reinterpret_cast<const char*>(packet.bytes) + 2, there}, there < topic, operation);
  }
  message.operation = operation.view();
  const bool numbered = topic + 4 <= packet.size;
  if (qos == 0 || delivered || !numbered) message.flags |= kNoResponse;
  if (delivered) message.flags |= kNoLatency;
  if (numbered && qos > 0) message.key = kOfPublish | U16(packet.bytes + 2 + topic);
  sink.Emit(message);
}

void MqttParser::OnRequest(const Packet& packet, Message& message, Sink& sink) {
  OperationText operation;
  operation.Add(NameOf(packet.type));
  switch (packet.type) {
    case kConnect:
      if (packet.size > 6) version_ = packet.bytes[6];
      message.key = kOfConnect;
      break;
    case kSubscribe:
    case kUnsubscribe: {
      message.key = packet.type == kSubscribe ? kOfSubscribe : kOfUnsubscribe;
      if (packet.size < 2) break;
      message.key |= U16(packet.bytes);
      const size_t properties = Five() ? PropertyBytes(packet.bytes + 2, packet.size - 2) : 0;
      const size_t at = 2 + properties;
      if ((Five() && properties == 0) || at + 2 > packet.size) break;
      const size_t topic = U16(packet.bytes + at), there = std::min(topic, packet.size - at - 2);
      operation.Add(' ');
      AddTopic({reinterpret_cast<const char*>(packet.bytes) + at + 2, there}, there < topic, operation);
      break;
    }
    case kDisconnect:
      message.flags |= kNoResponse;
      break;
    case kAuth:
      message.flags |= kNoResponse | kNoLatency;
      break;
    default:
      return;  // acknowledgements of what was delivered, steps of QoS 2, pings
  }
  message.operation = operation.view();
  sink.Emit(message);
}

void MqttParser::OnAnswer(const Packet& packet, Message& message, Sink& sink) {
  message.kind = Message::Kind::kResponse;
  const uint64_t number = packet.size >= 2 ? U16(packet.bytes) : 0;
  // A reason that is left out is success.
  uint32_t reason = packet.size >= 3 ? packet.bytes[2] : 0;
  switch (packet.type) {
    case kConnack:
      message.key = kOfConnect;
      reason = packet.size >= 2 ? packet.bytes[1] : kUnknownStatus;
      break;
    case kPuback:
    case kPubcomp:
      message.key = kOfPublish | number;
      break;
    case kPubrec:
      if (reason < kFailure) return;  // PUBCOMP follows
      message.key = kOfPublish | number;
      break;
    case kSuback:
    case kUnsuback: {
      message.key = (packet.type == kSuback ? kOfSubscribe : kOfUnsubscribe) | number;
      const size_t properties =
          Five() && packet.size > 2 ? PropertyBytes(packet.bytes + 2, packet.size - 2) : 0;
      const size_t at = 2 + properties;
      reason = at < packet.size && (!Five() || properties > 0) ? packet.bytes[at] : 0;
      break;
    }
    default:
      return;
  }
  message.status = reason;
  const bool refused = packet.type == kConnack && reason != 0;
  if (reason != kUnknownStatus && (refused || reason >= kFailure)) message.flags |= kError;
  sink.Emit(message);
}

}  // namespace skybraid::l7::mqtt
