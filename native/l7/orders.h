// What the reading of a connection asks of whoever copies its pieces.
#pragma once

#include <cstdint>

#include "parser.h"

namespace skybraid::l7 {

// Where a connection's pieces come from, and which end of it this is.
struct Origin {
  uint64_t cookie = 0;
  uint32_t slot = UINT32_MAX;  // none
  bool server = false;
  bool guessed = false;  // it may as well be the other end
};

class Orders {
 public:
  virtual ~Orders() = default;
  // In the direction that is `in` at this end, nothing before this position is needed.
  virtual void SkipUntil(const Origin& from, bool in, uint64_t position) = 0;
  // In that direction a message begins at this position, and nothing before it is needed.
  virtual void BeginsAt(const Origin& from, bool in, uint64_t position) = 0;
  // What the connection speaks is known. `turned`: which end is which was guessed wrong.
  virtual void Speaks(const Origin& from, Protocol protocol, bool turned) = 0;
  // Nothing of this connection is needed any more.
  virtual void Unread(const Origin& from) = 0;
  // The connection is forgotten.
  virtual void Release(const Origin& from) = 0;
};

}  // namespace skybraid::l7
