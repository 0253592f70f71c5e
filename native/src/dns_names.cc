#include "dns_names.h"

#include "wire.h"

namespace skybraid {

namespace {

bool IsV4(const sb_addr& address) {
  constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  return memcmp(address.bytes, kMapped, sizeof kMapped) == 0;
}

std::string Encode(const DnsAnswer& answer, const DnsAnswer::Address& a, uint64_t seen_unix_ms) {
  std::string message;
  const bool v4 = IsV4(a.address);
  wire::PutBytes(message, 1, a.address.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
  wire::PutString(message, 2, answer.question.name);
  if (a.ttl_seconds != 0) {
    wire::PutTag(message, 3, wire::kVarint);
    wire::PutVarint(message, a.ttl_seconds);
  }
  wire::PutTag(message, 4, wire::kFixed64);
  wire::PutRaw(message, &seen_unix_ms, sizeof seen_unix_ms);
  return message;
}

}  // namespace

void DnsNames::Add(const DnsAnswer& answer, uint64_t seen_unix_ms) {
  for (size_t i = 0; i < answer.count; i++) {
    const Key key{answer.addresses[i].address};
    std::string message = Encode(answer, answer.addresses[i], seen_unix_ms);
    Entry* entry = entries_.Find(key);
    if (entry == nullptr) entry = &entries_.Insert(key, Entry{});
    entry->message = std::move(message);
    entry->frame = 0;
    fresh_[added_++ % kFresh] = key.address;
  }
}

}  // namespace skybraid
