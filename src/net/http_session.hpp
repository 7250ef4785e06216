// HTTP/1.1 on one connection, until it ends or becomes a WebSocket or an event stream.
#pragma once

#include "net/io_thread.hpp"

namespace confab::net {

/// Takes over an accepted socket that belongs to `thread`, whose thread this is.
void serve_http(tcp_socket socket, io_thread& thread, admission place);

} // namespace confab::net
