// A member whose outlet leaves through a TCP socket, by non-blocking gathered sends.
#pragma once

#include "net/io_thread.hpp"

namespace confab::net {

class socket_member : public member {
public:
  socket_member(tcp_socket socket, io_thread& thread, admission place);
  ~socket_member() override;

  void cut() override;

protected:
  send_outcome send(std::span<const model::gathering::piece> pieces) override;
  void wait_writable() override;
  /// What goes on in another session: this one has left the hub, and ends with its last handler.
  struct released {
    tcp_socket socket;
    admission place;
  };
  [[nodiscard]] released release();

  /// Forgets the follower and tells the client; the actor drops its side.
  void end_subscription(model::follower& x);

  tcp_socket socket_;
  io_thread& thread_;
  std::unique_ptr<client_port> port_;

private:
  admission place_;
};

/// Options of every accepted socket: no delay, and a bounded send buffer, so that the kernel does
/// not hold megabytes for a stalled reader.
void prepare(tcp_socket& x, const session_limits& limits);

} // namespace confab::net
