// The listener and the I/O threads: accepts, spreads, sends away, drains, stops.
#pragma once

#include "net/io_thread.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <memory>
#include <vector>

namespace confab::net {

class server {
public:
  server(server_context& shared, std::size_t threads);
  ~server();

  /// Binds and begins to accept. @returns the port. Errors: `bad_request`, with a text that says
  /// what to do.
  [[nodiscard]] model::result<std::uint16_t> listen(const std::string& address, std::uint16_t port);

  /// No new connections; every client is told to reconnect elsewhere or later, spread over
  /// `spread`, once its drafts are answered. Any thread.
  void drain(std::chrono::milliseconds spread);

  /// Every client that is here now is told so, and new ones may come. Any thread.
  void send_away(std::chrono::milliseconds spread);

  [[nodiscard]] std::size_t connections() const noexcept { return shared_.gate.inside(); }

  /// Ends all sessions and threads.
  void stop();

private:
  using acceptor = asio::basic_socket_acceptor<asio::ip::tcp, executor>;

  void accept();
  void accepted(error_code ec, tcp_socket socket, io_thread& to);

  server_context& shared_;
  std::vector<std::unique_ptr<io_thread>> threads_;
  std::size_t next_thread_ = 0;
  // On the first thread.
  std::unique_ptr<acceptor> acceptor_;
  std::unique_ptr<asio::basic_waitable_timer<
      std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, executor>>
      pause_;
};

} // namespace confab::net
