// A map that forgets what was not used lately: two generations, the older is dropped when the younger is
// full. Holds at most `capacity` entries; pointers stay valid until the entry is forgotten.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>

namespace skybraid {

template <typename Key, typename Value, typename Hash = std::hash<Key>>
class BoundedMap {
 public:
  explicit BoundedMap(size_t capacity) : half_(capacity / 2 + 1) {}

  Value* Find(const Key& key) {
    const auto young = young_.find(key);
    if (young != young_.end()) return &young->second;
    auto node = old_.extract(key);
    if (node.empty()) return nullptr;
    MakeRoom();
    return &young_.insert(std::move(node)).position->second;
  }

  // `key` must not be in the map.
  Value& Insert(const Key& key, Value value) {
    MakeRoom();
    return young_.emplace(key, std::move(value)).first->second;
  }

  void Forget(const Key& key) {
    if (young_.erase(key) == 0) old_.erase(key);
  }

  size_t Size() const { return young_.size() + old_.size(); }

 private:
  void MakeRoom() {
    if (young_.size() < half_) return;
    old_ = std::move(young_);
    young_.clear();
  }

  size_t half_;
  std::unordered_map<Key, Value, Hash> young_;
  std::unordered_map<Key, Value, Hash> old_;
};

}  // namespace skybraid
