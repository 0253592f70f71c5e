#include "statements.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace skybraid::l7::sql {

namespace {
constexpr size_t kSlots = 4096;
constexpr uint64_t kNameBits = (1ull << 48) - 1;
uint16_t StatementOf(uint64_t entry) { return static_cast<uint16_t>(entry >> 48); }
}  // namespace

Statements& AllStatements() {
  static Statements all;
  return all;
}

Statements::Statements() : entries_(kMost), index_(kSlots, kNoStatement) {
  for (uint16_t i = kMost; i-- > 0;) free_.push_back(i);
}

uint16_t Statements::Hold(std::string_view text) {
  if (text.empty() || text.size() > kMaxText) return kNoStatement;
  const uint64_t hash = std::hash<std::string_view>{}(text);
  size_t at = hash % kSlots;
  for (; index_[at] != kNoStatement; at = (at + 1) % kSlots) {
    Entry& entry = entries_[index_[at]];
    if (entry.hash != hash || std::string_view(entry.text, entry.size) != text) continue;
    entry.held++;
    return index_[at];
  }
  if (free_.empty()) {
    Sweep();
    if (free_.empty()) return kNoStatement;
    for (at = hash % kSlots; index_[at] != kNoStatement;) at = (at + 1) % kSlots;
  }
  const uint16_t statement = free_.back();
  free_.pop_back();
  Entry& entry = entries_[statement];
  entry.hash = hash;
  entry.held = 1;
  entry.used = true;
  entry.size = static_cast<uint8_t>(text.size());
  memcpy(entry.text, text.data(), text.size());
  index_[at] = statement;
  return statement;
}

// Forgets those that nobody holds.
void Statements::Sweep() {
  std::fill(index_.begin(), index_.end(), kNoStatement);
  for (uint16_t i = 0; i < kMost; i++) {
    Entry& entry = entries_[i];
    if (!entry.used) continue;
    if (entry.held == 0) {
      entry.used = false;
      free_.push_back(i);
      continue;
    }
    size_t at = entry.hash % kSlots;
    while (index_[at] != kNoStatement) at = (at + 1) % kSlots;
    index_[at] = i;
  }
}

void Statements::Hold(uint16_t statement) {
  if (statement != kNoStatement) entries_[statement].held++;
}

void Statements::Release(uint16_t statement) {
  if (statement != kNoStatement) entries_[statement].held--;
}

std::string_view Statements::Text(uint16_t statement) const {
  if (statement == kNoStatement) return {};
  return {entries_[statement].text, entries_[statement].size};
}

uint16_t Statements::Held() const {
  return static_cast<uint16_t>(
      std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.held > 0; }));
}

void Prepared::Set(uint64_t name, uint16_t statement) {
  Remove(name);
  if (statement == kNoStatement) return;
  AllStatements().Hold(statement);
  const uint64_t entry = static_cast<uint64_t>(statement) << 48 | (name & kNameBits);
  if (count_ < kMost) {
    entries_[count_++] = entry;
    return;
  }
  AllStatements().Release(StatementOf(entries_[oldest_]));
  entries_[oldest_] = entry;
  oldest_ = static_cast<uint8_t>((oldest_ + 1) % kMost);
}

uint16_t Prepared::Find(uint64_t name) const {
  for (size_t i = 0; i < count_; i++) {
    if ((entries_[i] & kNameBits) == (name & kNameBits)) return StatementOf(entries_[i]);
  }
  return kNoStatement;
}

void Prepared::Remove(uint64_t name) {
  for (size_t i = 0; i < count_; i++) {
    if ((entries_[i] & kNameBits) != (name & kNameBits)) continue;
    AllStatements().Release(StatementOf(entries_[i]));
    entries_[i] = entries_[--count_];
    oldest_ = 0;
    return;
  }
}

void Prepared::Clear() {
  for (size_t i = 0; i < count_; i++) AllStatements().Release(StatementOf(entries_[i]));
  count_ = oldest_ = 0;
}

}  // namespace skybraid::l7::sql
