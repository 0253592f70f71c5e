// TLS: what the two hellos say in clear. The operation is the name of the server that the client asks for,
// with the first application protocol that it offers; the status is the version that the server chose, or the
// alert that ended the handshake. What comes after the hellos is nobody's to read: the connection stays TLS
// and is looked at no more.
//
// A hello may come in several records, and in any number of packets: it is read byte by byte, and nothing of
// it is kept but the two names.
#pragma once

#include <cstdint>

#include "../message.h"
#include "../operation.h"
#include "../parser.h"

namespace skybraid::l7::tls {

Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class TlsParser final : public Parser {
 public:
  void Eat(Side side, const uint8_t* bytes, size_t size, uint64_t ns, Sink& sink) override;
  uint64_t Skippable(Side) const override { return done_ ? UINT64_MAX : 0; }
  void Skip(Side, uint64_t, uint64_t, Sink&) override {}
  void Lost(Side side, uint64_t ns, Sink& sink) override;

 private:
  static constexpr size_t kRecordHead = 5;
  static constexpr size_t kMaxName = 128;
  // In the order in which the parts of a hello follow each other.
  enum class Part : uint8_t {
    kType,
    kLength,
    kVersion,
    kRandom,
    kSessionLength,
    kSession,
    kCiphersLength,      // of a client
    kCiphers,            // or the server's choice
    kCompressionLength,  // of a client
    kCompression,
    kExtensionsLength,
    kExtensionType,
    kExtensionLength,
    kExtension,
    kRest,
  };
  struct Half {
    uint8_t record[kRecordHead];
    uint8_t have = 0;  // of the record's head
    uint32_t record_left = 0;
    Part part = Part::kType;
    uint32_t part_left = 1;
    uint32_t value = 0;      // of the part's bytes
    uint32_t left = 0;       // of the hello
    uint32_t extension = 0;  // type
    uint32_t at = 0;         // in the extension
    uint32_t name_left = 0;  // of a name in it
    uint32_t version = 0;
    uint64_t bytes = 0;
    uint64_t first_ns = 0;
    bool retry = false;   // the server asks for another hello
    bool chosen = false;  // the version is settled although the hello goes on
    bool said = false;    // its hello is over
  };

  void OnRecordByte(Side side, uint8_t byte, uint64_t ns, Sink& sink);
  void OnHelloByte(Side side, uint8_t byte, uint64_t ns, Sink& sink);
  void OnPart(Side side);
  void Next(Half& half, Part part, uint32_t length);
  void OnExtensionByte(Side side, uint8_t byte);
  void OnHello(Side side, uint64_t ns, Sink& sink);
  void OnAlertByte(Side side, uint8_t byte, uint64_t ns, Sink& sink);
  void Answer(uint32_t status, uint8_t flags, const Half& half, uint64_t ns, Sink& sink);

  Half half_[2];
  OperationText name_;
  OperationText protocol_;
  bool done_ = false;
};

static_assert(sizeof(TlsParser) <= 1024, "within a connection's memory");

}  // namespace skybraid::l7::tls
