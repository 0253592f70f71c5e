// Names that strangers choose (programs, cgroups, domains) made fit for logs, terminals and JSON.
#pragma once

#include <string>
#include <string_view>

namespace skybraid {

// Valid UTF-8 of at most `max_bytes`: whatever is not, and every control or direction-changing character,
// becomes U+FFFD. Cut text ends between characters.
std::string SafeText(std::string_view text, size_t max_bytes);

}  // namespace skybraid
