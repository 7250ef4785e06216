// Turns an upgrade request into a WebSocket session (DESIGN §10).
#pragma once

#include "net/io_thread.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace confab::net {

/// What the query of `/v1/ws` asks for.
struct websocket_options {
  client_identity who;
  std::optional<subscribe_command> subscribe;
};

/// Answers the handshake and serves until the connection ends. `socket` belongs to `thread`, whose thread this is.
void serve_websocket(tcp_socket socket, io_thread& thread, admission place,
                     const boost::beast::http::request<boost::beast::http::string_body>& request,
                     websocket_options options);

} // namespace confab::net
