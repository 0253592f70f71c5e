// The host that a request of HTTP names, folded as a name of DNS is.
#pragma once

#include <cstddef>
#include <string_view>

namespace skybraid::l7 {

constexpr size_t kMaxHost = 64;

// Writes what is kept of an authority (a name, perhaps with a port and a user before it) and says how long
// that is, at most kMaxHost: nothing of an address, of what is no name, and of what is longer once it is
// folded.
size_t FoldHost(std::string_view authority, char* out);

// The authority of a request target in its absolute form; nothing of the others.
std::string_view AuthorityOf(std::string_view target);

}  // namespace skybraid::l7
