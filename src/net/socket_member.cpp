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
  unfollow_all();
  port_.reset();
  owner().remove(id);
}

socket_member::released socket_member::release() {
  auto self = shared_from_this();
  cut_ = true;
  unfollow_all();
  port_.reset();
  owner().remove(id);
  return {std::move(socket_), std::move(place_)};
}

send_outcome socket_member::send(std::span<const model::gathering::piece> pieces) {
  using kind = send_outcome::kind;
  auto outcome_of = [](ssize_t n) -> send_outcome {
    if (n >= 0)
      return {kind::sent, static_cast<std::size_t>(n)};
    return {errno == EAGAIN || errno == EWOULDBLOCK ? kind::blocked : kind::failed, 0};
  };
  auto fd = socket_.native_handle();
  ssize_t n;
  if (pieces.size() == 1) {
    do
      n = ::send(fd, pieces[0].data, pieces[0].size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return outcome_of(n);
  }
  std::array<iovec, model::gathering::pieces_max + 2> parts;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    parts[i] = {const_cast<char*>(pieces[i].data), pieces[i].size};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = pieces.size();
  do
    n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return outcome_of(n);
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
  drop_command dropped{*x.from->name(), x.number};
  unfollow(dropped.name);
  if (port_)
    port_->tell(std::move(dropped));
}

void prepare(tcp_socket& x, const session_limits& limits) {
  error_code ignored; // an option that a socket does not take costs speed, not correctness
  x.set_option(asio::ip::tcp::no_delay{true}, ignored);
  x.set_option(asio::socket_base::send_buffer_size{limits.sndbuf_bytes}, ignored);
  x.non_blocking(true, ignored);
}

} // namespace confab::net
