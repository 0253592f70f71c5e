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

struct DnsQuestion {
  uint16_t id = 0;
  uint16_t type = 0;
  std::string name;  // lower case, without the last dot, safe to print

  bool operator==(const DnsQuestion& other) const {
    return id == other.id && type == other.type && name == other.name;
  }
};

struct DnsAnswer {
  DnsQuestion question;
  struct Address {
    sb_addr address;  // IPv4 as ::ffff:a.b.c.d
    uint32_t ttl_seconds;
  };
  std::array<Address, kMaxDnsAddresses> addresses;
  size_t count = 0;
};

// `cut`: the message was longer than what was captured; what is there still counts.
DnsOutcome ParseDnsAnswer(const uint8_t* message, size_t length, bool cut, DnsAnswer& answer);

// False: not a question for the addresses, or anything else, of one name.
bool ParseDnsQuestion(const uint8_t* message, size_t length, DnsQuestion& question);

}  // namespace skybraid
