// The commands of Redis and Valkey. A name that is not among them is not passed on: it could be anything.
#pragma once

#include <cstdint>
#include <string_view>

namespace skybraid::l7::redis {

enum Trait : uint8_t {
  kPlain = 0,
  kHasSubcommand = 1,
  kBlocks = 2,      // waits for other clients
  kMayBlock = 4,    // waits if an argument BLOCK says so
  kSubscribes = 8,  // one confirmation for each channel
  kUnsubscribes = 16,
  kEndless = 32,  // what follows is a stream: replication, MONITOR
};

struct Command {
  std::string_view name;  // lower case
  uint8_t traits = kPlain;
};

// nullptr: not a command. `name` in lower case.
const Command* FindCommand(std::string_view name);

// Whether `word` (lower case) is a subcommand; those that the table does not have are left out of operations.
bool IsSubcommand(std::string_view word);

}  // namespace skybraid::l7::redis
