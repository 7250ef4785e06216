#include "net/http_session.hpp"

#include "net/http_connection.hpp"

namespace confab::net {

void serve_http(tcp_socket socket, io_thread& thread, admission place) {
  auto connection = std::make_shared<http_connection>(std::move(socket), thread, std::move(place));
  thread.hub().add(connection);
  connection->start();
}

} // namespace confab::net
