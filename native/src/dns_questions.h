// Questions to name servers that have no answer yet. Only what was asked may name an address: a datagram from
// port 53 proves nothing, anybody can send one to a socket. The server's address is not compared, since what
// translates addresses may have the answer come from elsewhere; the id is what a resolver itself goes by.
#pragma once

#include <cstdint>
#include <string>

#include "bounded_map.h"
#include "dns.h"
#include "hash.h"

namespace skybraid {

class DnsQuestions {
 public:
  // A question that is repeated under its id stays one.
  void Ask(uint64_t cookie, const DnsQuestion& question, uint64_t ns) {
    const Key key{cookie, question};
    if (uint64_t* asked_ns = open_.Find(key))
      *asked_ns = ns;
    else
      open_.Insert(key, ns);
  }

  // Whether this socket had asked just that, not long ago. The first answer counts, no later one.
  bool Answer(uint64_t cookie, const DnsQuestion& question, uint64_t ns) {
    const Key key{cookie, question};
    const uint64_t* asked_ns = open_.Find(key);
    const bool waiting = asked_ns != nullptr && ns <= *asked_ns + kPatienceNs;
    open_.Forget(key);
    return waiting;
  }

  size_t Size() const { return open_.Size(); }

  static constexpr size_t kMaxOpen = 4096;
  static constexpr uint64_t kPatienceNs = 60'000'000'000ull;

 private:
  struct Key {
    uint64_t cookie;
    DnsQuestion question;
    bool operator==(const Key& other) const { return cookie == other.cookie && question == other.question; }
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      const uint64_t number = static_cast<uint64_t>(key.question.id) << 16 | key.question.type;
      return Mix64(key.cookie ^ Mix64(number ^ std::hash<std::string>{}(key.question.name)));
    }
  };

  BoundedMap<Key, uint64_t, KeyHash> open_{kMaxOpen};
};

}  // namespace skybraid
