#include "connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <utility>

namespace confab::bench {

void event_loop::turn(std::int64_t until_ns) {
  std::array<epoll_event, 512> events;
  auto wait = to_timespec(until_ns - now_ns());
  auto n = epoll_pwait2(fd_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
  if (n < 0 && errno != EINTR)
    fail(std::string{"epoll_wait: "} + std::strerror(errno));
  for (int i = 0; i < n; ++i)
    static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr)
        ->ready(events[static_cast<std::size_t>(i)].events);
}

void connection::connect(const std::string& target, int receive_bytes) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0)
    offend(std::string{"socket: "} + std::strerror(errno));
  int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (receive_bytes > 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port_);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS)
    offend(std::string{"connect: "} + std::strerror(errno));
  phase_ = phase::upgrading;
  reading_ = true;
  rest_.clear();
  out_ = "GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port_) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  waits_writable_ = true;
  watch(EPOLL_CTL_ADD);
}

void connection::drop() {
  if (fd_ < 0)
    return;
  linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(fd_);
  fd_ = -1;
  phase_ = phase::closed;
  out_.clear();
}

void connection::ready(std::uint32_t events) {
  if (fd_ >= 0 && (events & EPOLLOUT))
    write();
  if (fd_ >= 0 && reading_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    read();
  if (fd_ >= 0 && !reading_ && (events & (EPOLLHUP | EPOLLERR)))
    offend("the server closed the connection of a reader that paused");
}

void connection::write() {
  while (!out_.empty()) {
    auto n = ::send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
      if (!std::exchange(waits_writable_, true))
        watch(EPOLL_CTL_MOD);
      return;
    }
    if (n < 0)
      offend(std::string{"send: "} + std::strerror(errno));
    out_.erase(0, static_cast<std::size_t>(n));
  }
  std::string{}.swap(out_);
  if (std::exchange(waits_writable_, false))
    watch(EPOLL_CTL_MOD);
}

void connection::read() {
  auto& buffer = loop_.buffer;
  auto kept = rest_.size();
  if (buffer.size() < kept + 128 * 1024)
    buffer.resize(2 * buffer.size());
  std::memcpy(buffer.data(), rest_.data(), kept);
  auto n = ::recv(fd_, buffer.data() + kept, buffer.size() - kept, 0);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0)
    offend(n == 0 ? "the server closed the connection"
                  : std::string{"recv: "} + std::strerror(errno));
  auto size = kept + static_cast<std::size_t>(n);
  std::size_t used = 0;
  while (fd_ >= 0 && used < size) {
    auto x = take(buffer.data() + used, size - used);
    if (x == 0)
      break;
    used += x;
  }
  if (used == size)
    std::string{}.swap(rest_); // an idle connection keeps no buffer; assigning {} would keep it
  else
    rest_.assign(buffer.data() + used, size - used);
}

std::size_t connection::take(char* bytes, std::size_t n) {
  if (phase_ == phase::upgrading) {
    std::string_view all{bytes, n};
    auto end = all.find("\r\n\r\n");
    if (end == all.npos)
      return 0;
    if (!all.starts_with("HTTP/1.1 101") || all.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == all.npos)
      offend("the handshake was refused: " + std::string{all.substr(0, end)});
    phase_ = phase::open;
    return end + 4;
  }
  auto x = next_frame(bytes, n);
  if (!x)
    return 0;
  if (x->opcode == 1) {
    on_text(x->payload);
  } else if (x->opcode == 9) {
    add_frame(out_, x->payload, true, 10);
    write();
  } else {
    offend("a frame with opcode " + std::to_string(x->opcode));
  }
  return x->size;
}

} // namespace confab::bench
