// Conversations of real programs, recorded by record-streams.ts into streams/: a line for each piece, its
// direction and its bytes in hexadecimal.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "l7_conversation.h"

namespace skybraid::l7::conversation {

inline std::vector<Turn> Recorded(const std::string& name) {
  std::ifstream file("test/streams/" + name);
  std::vector<Turn> turns;
  for (std::string direction, digits; file >> direction >> digits;) {
    std::string bytes;
    for (size_t i = 0; i + 1 < digits.size(); i += 2)
      bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    turns.push_back({direction == ">" ? Side::kToServer : Side::kToClient, bytes});
  }
  CHECK(!turns.empty());
  return turns;
}

}  // namespace skybraid::l7::conversation
