// Base64 of RFC 4648 §4, for bytes that stand in JSON or in an event stream.
#pragma once

#include <string>
#include <string_view>

namespace confab::net::wire {

/// Appends it with padding, without line ends.
void add_base64(std::string& out, std::string_view bytes);

} // namespace confab::net::wire
