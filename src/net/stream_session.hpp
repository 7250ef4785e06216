// Serves `/v1/stream/{name}?live=sse`: data and control events (Durable Streams).
#pragma once

#include "net/io_thread.hpp"
#include "net/stream_route.hpp"

namespace confab::net {

/// Subscribes and streams for about a minute, or until the connection or the stream ends; then the
/// socket is closed.
/// @param fields header lines that its answer has besides the usual ones.
void serve_stream(tcp_socket socket, io_thread& thread, admission place, follow_stream what,
                  std::string fields);

} // namespace confab::net
