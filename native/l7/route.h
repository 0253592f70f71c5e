// Route templates: the path of a URL with what identifies a single thing folded into {id}.
#pragma once

#include <string_view>

#include "operation.h"

namespace skybraid::l7 {

// Appends the template of `path` (a request target, in any of its forms) to `out`. Query, fragment, scheme,
// user information and host are left out; so is everything after eight segments. `cut`: the path was longer
// than what is at hand, so its last segment is not known whole and becomes {cut}. Linear in the length of the
// path.
void AddRoute(std::string_view path, bool cut, OperationText& out);

// Appends service and method of a gRPC path, /package.Service/Method; {cut} or {id} for what is no such path.
void AddRpc(std::string_view path, bool cut, OperationText& out);

// Whether a segment names a single thing rather than a kind of things: numbers, hexadecimal and random ids,
// dates, addresses, e-mail, long or escaped text.
bool IsIdentifier(std::string_view segment);

}  // namespace skybraid::l7
