// Turns an upgrade request into a WebSocket session (DESIGN §10).
#pragma once

#include "net/http_route.hpp"

namespace confab::net {

/// Answers the handshake and serves until the connection ends. `socket` belongs to `thread`, whose
/// thread this is.
void serve_websocket(tcp_socket socket, io_thread& thread, admission place,
                     const http_request& request, websocket_options options);

} // namespace confab::net
