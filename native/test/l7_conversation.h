// A conversation given to a parser, whole or in pieces, and what the parser made of it.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "../l7/message.h"
#include "check.h"

namespace skybraid::l7::conversation {

struct Turn {
  Side side;
  std::string bytes;
};

inline Turn Client(std::string bytes) { return {Side::kToServer, std::move(bytes)}; }
inline Turn Server(std::string bytes) { return {Side::kToClient, std::move(bytes)}; }

class Listener final : public Sink {
 public:
  void Emit(const Message& m) override {
    const bool request = m.kind == Message::Kind::kRequest;
    std::string line =
        request ? "> " + std::string(m.operation) : "< " + std::to_string(static_cast<int32_t>(m.status));
    if (m.grpc_status != kUnknownStatus) line += "/" + std::to_string(m.grpc_status);
    if (request) operations.emplace_back(m.operation);
    if (m.key != 0) line += " #" + std::to_string(m.key);
    const char* kNames[] = {"begin", "end", "error", "nolatency", "noresponse", "grpc", "unkeyed"};
    if ((m.flags & 3) != 3)
      line += std::string(" ") + ((m.flags & 3) == 0 ? "goes-on" : kNames[(m.flags & 3) - 1]);
    for (int bit = 2; bit < 7; bit++) {
      if ((m.flags >> bit & 1) != 0) line += std::string(" ") + kNames[bit];
    }
    lines.push_back(line);
    if (!m.host.empty()) line += " host " + std::string(m.host);
    line += " bytes " + std::to_string(m.bytes);
    line += " at " + std::to_string(m.first_ns) + ".." + std::to_string(m.last_ns);
    if (m.data != 0) line += " data " + std::to_string(m.data) + " of " + std::to_string(m.announced);
    details.push_back(line);
  }
  void OutOfStep(Side side) override {
    lines.push_back(side == Side::kToServer ? "> lost" : "< lost");
    details.push_back(lines.back());
    lost++;
  }
  void Gap(Side side) override {
    lines.push_back(side == Side::kToServer ? "> gap" : "< gap");
    details.push_back(lines.back());
    gaps++;
  }
  std::vector<std::string> lines;       // legible
  std::vector<std::string> details;     // with bytes and times
  std::vector<std::string> operations;  // of requests
  int lost = 0;
  int gaps = 0;
};

// Each turn arrives at its index as time; `piece` gives the size of the next piece.
template <typename P, typename Size>
Listener Play(const std::vector<Turn>& turns, Size piece) {
  P parser;
  Listener listener;
  Feeder feeder;
  uint64_t offset[2] = {0, 0};
  for (size_t i = 0; i < turns.size(); i++) {
    const std::string& bytes = turns[i].bytes;
    uint64_t& at = offset[Index(turns[i].side)];
    for (size_t from = 0; from < bytes.size();) {
      const size_t size = std::min(bytes.size() - from, std::max<size_t>(1, piece()));
      const auto length = static_cast<uint32_t>(size);
      // A copy of its own, so that reading past the piece is seen by the sanitizer.
      const std::vector<uint8_t> copy(bytes.begin() + from, bytes.begin() + from + size);
      feeder.Feed({turns[i].side, at, length, length, copy.data(), i + 1}, parser, listener);
      from += size;
      at += size;
    }
  }
  return listener;
}

template <typename P>
Listener Whole(const std::vector<Turn>& turns) {
  return Play<P>(turns, [] { return SIZE_MAX; });
}

inline std::string Joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

// Any division of the same bytes gives the same messages, to the byte and the time.
template <typename P>
void CheckSplits(const std::vector<Turn>& turns) {
  const std::string expected = Joined(Whole<P>(turns).details);
  CHECK_EQ(Joined(Play<P>(turns, [] { return 1; }).details), expected);
  std::mt19937 random(11);
  for (int round = 0; round < 200; round++) {
    const uint32_t largest = 1 + random() % 40;
    CHECK_EQ(Joined(Play<P>(turns, [&] { return 1 + random() % largest; }).details), expected);
  }
}

// What was said, after a look whether it depends on how the bytes were divided.
template <typename P>
std::string Lines(const std::vector<Turn>& turns) {
  CheckSplits<P>(turns);
  return Joined(Whole<P>(turns).lines);
}

// A parser that joins after any number of bytes of the client's names no operation that was not asked.
template <typename P>
void CheckLostPrefixes(const std::vector<Turn>& turns) {
  const std::vector<std::string> known = Whole<P>(turns).operations;
  for (size_t i = 0; i < turns.size(); i++) {
    for (size_t cut = 0; cut < turns[i].bytes.size(); cut += 1 + turns[i].bytes.size() / 300) {
      P parser;
      Listener listener;
      Feeder feeder;
      feeder.Join(Side::kToServer, i, parser, listener);
      feeder.Join(Side::kToClient, i, parser, listener);
      uint64_t offset[2] = {1000, 1000};
      for (size_t t = i; t < turns.size(); t++) {
        const std::string rest = turns[t].bytes.substr(t == i ? cut : 0);
        const auto length = static_cast<uint32_t>(rest.size());
        uint64_t& at = offset[Index(turns[t].side)];
        feeder.Feed({turns[t].side, at, length, length, reinterpret_cast<const uint8_t*>(rest.data()), t + 1},
                    parser, listener);
        at += length;
      }
      for (const std::string& operation : listener.operations) {
        if (operation.empty() || std::find(known.begin(), known.end(), operation) != known.end()) continue;
        check::Fail(__FILE__, __LINE__,
                    "turn " + std::to_string(i) + " cut at " + std::to_string(cut) + ": " + operation);
      }
    }
  }
}

// Any bytes: no crash, and every operation fit to be shown.
template <typename P>
void CheckMutations(const std::vector<Turn>& turns, int rounds) {
  std::mt19937 random(5);
  for (int round = 0; round < rounds; round++) {
    std::vector<Turn> changed = turns;
    for (int flips = 0; flips < 4; flips++) {
      std::string& bytes = changed[random() % changed.size()].bytes;
      if (!bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const Listener listener = Play<P>(changed, [&] { return 1 + random() % 64; });
    for (const std::string& operation : listener.operations) {
      CHECK(operation.size() <= 256);
      for (const char c : operation) CHECK(c >= 0x20 && c < 0x7f);
    }
  }
}

}  // namespace skybraid::l7::conversation
