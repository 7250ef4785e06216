#include "net/socket_member.hpp"

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>

namespace confab::net {

socket_member::socket_member(tcp_socket socket, io_thread& thread, admission place)
  : member{thread.hub()}, socket_{std::move(socket)}, thread_{thread}, place_{std::move(place)} {}

socket_member::~socket_member() = default;

void socket_member::cut() {
  if (std::exchange(cut_, true))
    return;
  auto self = shared_from_this();
  error_code ignored; // closing a socket that is closed already is no error here
  socket_.close(ignored);
  on_cut();
  unfollow_all();
  port_.reset();
  owner().remove(id);
}

send_outcome socket_member::send(std::span<const model::gathering::piece> pieces) {
  using kind = send_outcome::kind;
  std::array<iovec, model::gathering::pieces_max + 2> parts;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    parts[i] = {const_cast<char*>(pieces[i].data), pieces[i].size};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = pieces.size();
  for (;;) {
    auto n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
      return {kind::sent, static_cast<std::size_t>(n)};
    if (errno == EINTR)
      continue;
    return {errno == EAGAIN || errno == EWOULDBLOCK ? kind::blocked : kind::failed, 0};
  }
}

void socket_member::wait_writable() {
  // The handler owns the session: a wait that has already succeeded must not outlive it.
  socket_.async_wait(tcp_socket::wait_write, [this, self = shared_from_this()](error_code ec) {
    if (!ec)
      writable();
    else
      cut();
  });
}

void socket_member::end_subscription(model::follower& x) {
  auto name = *x.from->name();
  unfollow(name);
  if (port_)
    port_->tell(unsubscribe_command{{}, std::move(name)});
}

void prepare(tcp_socket& x, const session_limits& limits) {
  error_code ignored; // an option that a socket does not take costs speed, not correctness
  x.set_option(asio::ip::tcp::no_delay{true}, ignored);
  x.set_option(asio::socket_base::send_buffer_size{limits.sndbuf_bytes}, ignored);
  x.non_blocking(true, ignored);
}

} // namespace confab::net
