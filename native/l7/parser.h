// The table of application protocols. To add one is to add its parser in a file of its own and its row in
// protocols.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "message.h"

namespace skybraid::l7 {

// L7Protocol of proto/skybraid/v1/flow.proto; the numbers never change.
enum class Protocol : uint8_t {
  kUnknown = 0,
  kHttp1 = 1,
  kHttp2 = 2,
  kGrpc = 3,
  kDns = 4,
  kPostgres = 5,
  kMysql = 6,
  kRedis = 7,
  kTls = 8,
  kMqtt = 9,
};
constexpr size_t kProtocols = 10;

enum class Verdict : uint8_t { kNo, kMaybe, kYes };

struct ProtocolRow {
  const char* name;  // as in --l7 and in the API
  Protocol protocol;
  // Of the begin of a message in one direction. kMaybe: it takes more bytes, or the other direction, to tell.
  Verdict (*classify)(Side side, const uint8_t* bytes, size_t size);
  // What a parser takes per connection, and how one is made there. The destructor frees all it has.
  size_t bytes;
  Parser* (*make)(void* at);
};

// Both directions of a connection, its parser and its open requests.
constexpr size_t kMaxConnectionBytes = 4096;

// In the order in which they are asked; the first that says yes has the connection for good.
extern const ProtocolRow kProtocolTable[];
extern const size_t kProtocolRows;

}  // namespace skybraid::l7
