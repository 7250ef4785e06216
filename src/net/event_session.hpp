// Serves `/v1/conversations/{name}/events`: an EventSource stream (DESIGN §11).
#pragma once

#include "net/io_thread.hpp"

namespace confab::net {

struct event_request {
  model::conversation_name name;
  model::resume_request from;
  /// Header lines that its answer has besides the usual ones.
  std::string fields;
};

/// Subscribes and streams until the connection or the conversation ends; then the socket is closed.
void serve_events(tcp_socket socket, io_thread& thread, admission place, event_request what);

} // namespace confab::net
