#include "cgroup_name.h"

#include <algorithm>

namespace skybraid {

namespace {

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsHex(std::string_view text, size_t length) {
  return text.size() == length && std::all_of(text.begin(), text.end(), [](char c) { return IsHex(c); });
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// "cri-containerd-<id>.scope", "crio-<id>", "<slice>:cri-containerd:<id>", "<id>": the id stands last.
std::string_view ContainerId(std::string_view component) {
  if (EndsWith(component, ".scope")) component.remove_suffix(6);
  constexpr size_t kLength = 64;
  if (component.size() < kLength) return {};
  const std::string_view id = component.substr(component.size() - kLength);
  const std::string_view before = component.substr(0, component.size() - kLength);
  if (!IsHex(id, kLength)) return {};
  if (!before.empty() && before.back() != '-' && before.back() != ':') return {};
  // The runtime's own watcher lives beside the container, not in it.
  return before.find("conmon") == std::string_view::npos ? id : std::string_view{};
}

// A UID in its dashed form, where the systemd driver writes underscores; or a static pod's 32 digits.
std::string UidAtFront(std::string_view text) {
  constexpr size_t kDashed = 36;
  if (text.size() >= kDashed) {
    std::string uid(text.substr(0, kDashed));
    bool well_formed = true;
    for (size_t i = 0; i < kDashed && well_formed; i++) {
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      if (dash && uid[i] == '_') uid[i] = '-';
      well_formed = dash ? uid[i] == '-' : IsHex(uid[i]);
    }
    if (well_formed && (text.size() == kDashed || !IsHex(text[kDashed]))) return uid;
  }
  if (text.size() >= 32 && IsHex(text.substr(0, 32), 32) && (text.size() == 32 || !IsHex(text[32])))
    return std::string(text.substr(0, 32));
  return {};
}

// "pod<uid>", "kubepods-burstable-pod<uid>.slice", "kubelet-kubepods-pod<uid>.slice"
std::string PodUid(std::string_view component) {
  size_t at = component.find("pod");
  while (at != std::string_view::npos) {
    if (at == 0 || component[at - 1] == '-') {
      std::string uid = UidAtFront(component.substr(at + 3));
      if (!uid.empty()) return uid;
    }
    at = component.find("pod", at + 1);
  }
  return {};
}

}  // namespace

CgroupName ParseCgroupPath(std::string_view path) {
  CgroupName name;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    const std::string_view id = ContainerId(component);
    const std::string uid = PodUid(component);
    if (!uid.empty()) {
      // A pod inside a container (a cluster in Docker): what is outside no longer matters.
      name = CgroupName{uid, {}, {}};
    }
    if (!id.empty()) {
      name.container_id = id;
      name.unit.clear();
    } else if (EndsWith(component, ".service") ||
               (EndsWith(component, ".scope") && name.container_id.empty())) {
      name.unit = component;
    }
  }
  return name;
}

}  // namespace skybraid
