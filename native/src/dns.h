// Answers of DNS servers: which addresses a name has. Pure, bounded, and safe on any bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "record.h"

namespace skybraid {

constexpr size_t kMaxDnsAddresses = 32;

enum class DnsOutcome {
  kAnswer,     // at least one address
  kNothing,    // well formed, but no address in it: an error, another type, a question
  kMalformed,  // not a DNS answer
};

struct DnsAnswer {
  std::string name;  // what was asked: lower case, without the last dot, safe to print
  struct Address {
    sb_addr address;  // IPv4 as ::ffff:a.b.c.d
    uint32_t ttl_seconds;
  };
  std::array<Address, kMaxDnsAddresses> addresses;
  size_t count = 0;
};

// `cut`: the message was longer than what was captured; what is there still counts.
DnsOutcome ParseDnsAnswer(const uint8_t* message, size_t length, bool cut, DnsAnswer& answer);

}  // namespace skybraid
