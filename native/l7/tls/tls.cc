#include "tls.h"

namespace skybraid::l7::tls {

namespace {

constexpr uint8_t kAlert = 21, kHandshake = 22, kApplicationData = 23;
constexpr uint8_t kClientHello = 1, kServerHello = 2;
constexpr uint32_t kServerName = 0, kApplicationProtocol = 16, kSupportedVersions = 43, kKeyShare = 51;
constexpr uint32_t kTls13 = 0x0304;
constexpr uint32_t kMaxRecord = (1u << 14) + 2048;
constexpr uint8_t kFatal = 2;
// A server's hello that asks for another one has this for its random bytes; the first four tell.
constexpr uint32_t kRetryRandom = 0xcf21ad74;

bool IsRecord(const uint8_t* head, uint8_t type) {
  const uint32_t length = static_cast<uint32_t>(head[3]) << 8 | head[4];
  return head[0] == type && head[1] == 3 && head[2] <= 4 && length > 0 && length <= kMaxRecord;
}

uint8_t Lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<uint8_t>(byte + 32) : byte; }

}  // namespace

namespace {

// Two equal bytes like 0x4a, as they are written: what clients offer so that servers get used to what they do
// not know.
bool IsGrease(std::string_view offer) {
  // Bytes that can be printed stand as they are: "jj", "zz"; others are escaped.
  if (offer.size() == 2) return offer[0] == offer[1] && (offer[0] & 15) == 10;
  return offer.size() == 8 && offer.substr(0, 4) == offer.substr(4) && offer[3] == 'a';
}

}  // namespace

// The begin of a hello; or, of a connection joined in its middle, a record with data.
Verdict Classify(Side side, const uint8_t* bytes, size_t size) {
  if (size == 0 || (bytes[0] != kHandshake && bytes[0] != kApplicationData)) return Verdict::kNo;
  if (size > 1 && bytes[1] != 3) return Verdict::kNo;
  if (size > 2 && (bytes[2] > 4 || (bytes[0] == kApplicationData && bytes[2] != 3))) return Verdict::kNo;
  if (size < 6) return Verdict::kMaybe;
  if (bytes[0] == kApplicationData) return IsRecord(bytes, kApplicationData) ? Verdict::kYes : Verdict::kNo;
  const uint8_t hello = side == Side::kToServer ? kClientHello : kServerHello;
  return IsRecord(bytes, kHandshake) && bytes[5] == hello ? Verdict::kYes : Verdict::kNo;
}

void TlsParser::Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  for (size_t i = 0; i < size && !done_; i++) {
    if (half.record_left > 0) {
      OnRecordByte(side, bytes[i], ns, sink);
      continue;
    }
    half.record[half.have++] = bytes[i];
    if (half.have < kRecordHead) continue;
    half.have = 0;
    half.record_left = static_cast<uint32_t>(half.record[3]) << 8 | half.record[4];
    const bool legible = IsRecord(half.record, kHandshake) || IsRecord(half.record, kAlert);
    // Data, or a change of keys: nothing that follows is in clear.
    if (!legible) done_ = true;
  }
}

void TlsParser::OnRecordByte(Side side, uint8_t byte, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  --half.record_left;
  if (half.record[0] == kHandshake)
    OnHelloByte(side, byte, ns, sink);
  else
    OnAlertByte(side, byte, ns, sink);
}

void TlsParser::OnAlertByte(Side side, uint8_t byte, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  // Two bytes: how bad it is, and what.
  if (half.record_left == 1) half.at = byte;
  if (half.record_left != 0 || half.at != kFatal) return;
  if (half.first_ns == 0) half.first_ns = ns;
  Answer(byte, kBegins | kEnds | kError, half, ns, sink);
  done_ = true;
}

void TlsParser::Next(Half& half, Part part, uint32_t length) {
  half.part = part;
  half.part_left = length;
  half.value = 0;
}

void TlsParser::OnHelloByte(Side side, uint8_t byte, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  if (half.first_ns == 0) half.first_ns = ns;
  ++half.bytes;
  if (half.part > Part::kLength) {
    if (half.left == 0) return;
    --half.left;
  }
  if (half.part == Part::kExtension) OnExtensionByte(side, byte);
  half.value = half.value << 8 | byte;
  if (half.part == Part::kRandom && half.part_left == 29) half.retry = half.value == kRetryRandom;
  if (--half.part_left == 0) {
    OnPart(side);
    // What has no bytes is over as soon as it begins.
    while (half.part_left == 0 && half.part < Part::kRest) OnPart(side);
  }
  if (half.part > Part::kLength && half.left == 0) OnHello(side, ns, sink);
}

void TlsParser::OnPart(Side side) {
  Half& half = half_[Index(side)];
  const bool asks = side == Side::kToServer;
  const uint32_t value = half.value;
  switch (half.part) {
    case Part::kType:
      half.extension = value;  // for the moment: which message it is
      return Next(half, Part::kLength, 3);
    case Part::kLength:
      half.left = value;
      if (half.extension != (asks ? kClientHello : kServerHello)) return Next(half, Part::kRest, UINT32_MAX);
      return Next(half, Part::kVersion, 2);
    case Part::kVersion:
      half.version = value;
      return Next(half, Part::kRandom, 32);
    case Part::kRandom:
      return Next(half, Part::kSessionLength, 1);
    case Part::kSessionLength:
      return Next(half, Part::kSession, value);
    case Part::kSession:
      return asks ? Next(half, Part::kCiphersLength, 2) : Next(half, Part::kCiphers, 2);
    case Part::kCiphersLength:
      return Next(half, Part::kCiphers, value);
    case Part::kCiphers:
      return asks ? Next(half, Part::kCompressionLength, 1) : Next(half, Part::kCompression, 1);
    case Part::kCompressionLength:
      return Next(half, Part::kCompression, value);
    case Part::kCompression:
      return Next(half, Part::kExtensionsLength, 2);
    case Part::kExtensionsLength:
      return Next(half, Part::kExtensionType, 2);
    case Part::kExtensionType:
      half.extension = value;
      return Next(half, Part::kExtensionLength, 2);
    case Part::kExtensionLength:
      half.at = half.name_left = 0;
      return Next(half, Part::kExtension, value);
    case Part::kExtension:
      return Next(half, Part::kExtensionType, 2);
    case Part::kRest:
      return;
  }
}

void TlsParser::OnExtensionByte(Side side, uint8_t byte) {
  Half& half = half_[Index(side)];
  const uint32_t at = half.at++;
  if (side == Side::kToClient) {
    if (half.extension == kSupportedVersions && at < 2) {
      half.version = at == 0 ? byte : half.version << 8 | byte;
      half.chosen = at == 1;
    } else if (half.extension == kKeyShare && !half.chosen) {
      half.version = kTls13;  // no older one has it
      half.chosen = true;
    }
    return;
  }
  // The list's length, the kind of name and its length; or the list's length and the first one's.
  const uint32_t begin = half.extension == kServerName ? 5 : 3;
  if (half.extension != kServerName && half.extension != kApplicationProtocol) return;
  OperationText& name = half.extension == kServerName ? name_ : protocol_;
  if (at < begin) {
    half.name_left = at + 1 == begin || at + 2 == begin ? half.name_left << 8 | byte : 0;
    if (half.extension == kApplicationProtocol && at + 1 == begin) half.name_left = byte;
  } else if (half.name_left > 0) {
    --half.name_left;
    if (name.size() < kMaxName) name.Add(Lower(byte));
    // An offer that means nothing: the next one counts.
    if (half.extension == kApplicationProtocol && half.name_left == 0 && IsGrease(name.view())) name.Clear();
  } else if (half.extension == kApplicationProtocol && name.empty()) {
    half.name_left = byte;
  }
}

// A hello is over. A server's that asks for another one is not its answer.
void TlsParser::OnHello(Side side, uint64_t ns, Sink& sink) {
  Half& half = half_[Index(side)];
  const bool known = half.part != Part::kRest;
  const bool retry = half.retry;
  Next(half, Part::kType, 1);
  half.retry = half.chosen = false;
  if (!known || half.said) return;
  if (side == Side::kToClient) {
    if (retry) return;
    Answer(half.version, kBegins | kEnds, half, ns, sink);
    done_ = true;
    return;
  }
  half.said = true;
  OperationText operation;
  operation.Add(name_.empty() ? "{no name}" : name_.view());
  if (!protocol_.empty()) {
    operation.Add(' ');
    operation.Add(protocol_.view());
  }
  Message message;
  message.kind = Message::Kind::kRequest;
  message.bytes = half.bytes;
  message.first_ns = half.first_ns;
  message.last_ns = ns;
  message.operation = operation.view();
  sink.Emit(message);
}

void TlsParser::Answer(uint32_t status, uint8_t flags, const Half& half, uint64_t ns, Sink& sink) {
  if (!half_[Index(Side::kToServer)].said) return;
  Message message;
  message.kind = Message::Kind::kResponse;
  message.flags = flags;
  message.status = status;
  message.bytes = half.bytes;
  message.first_ns = half.first_ns;
  message.last_ns = ns;
  sink.Emit(message);
}

void TlsParser::Lost(Side side, uint64_t ns, Sink& sink) {
  if (done_) return;
  done_ = true;
  // Keys of today make a server's hello longer than what is copied of it.
  const Half& half = half_[Index(side)];
  if (side == Side::kToClient && half.chosen && !half.retry)
    return Answer(half.version, kBegins | kEnds, half, ns, sink);
  sink.OutOfStep(side);
}

}  // namespace skybraid::l7::tls
