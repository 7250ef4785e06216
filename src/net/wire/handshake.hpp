// The WebSocket handshake's key and answer (RFC 6455 §4.2).
#pragma once

#include <string>
#include <string_view>

namespace confab::net::wire {

/// Whether it is 16 bytes in base64, as `Sec-WebSocket-Key` must be.
[[nodiscard]] bool valid_handshake_key(std::string_view key) noexcept;

/// `Sec-WebSocket-Accept` for a key.
[[nodiscard]] std::string accept_key(std::string_view key);

/// Appends the answer that turns the connection into a WebSocket.
void add_switching_protocols(std::string& out, std::string_view key);

} // namespace confab::net::wire
