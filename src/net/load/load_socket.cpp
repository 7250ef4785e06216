#include "net/load/load_socket.hpp"

#include "net/load/load_thread.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace confab::net::load {

namespace {

/// Connections to one address and port need so many source addresses, each of which has about
/// 28,000 ports.
constexpr std::uint32_t source_addresses = 8;

std::string failed(std::string_view what, int failure) {
  std::string text{what};
  text.append(": ").append(std::strerror(failure));
  if (failure == EMFILE)
    text += " (raise the limit: ulimit -n)";
  return text;
}

} // namespace

load_socket::load_socket(load_thread& home, std::uint32_t number, socket_settings how,
                         std::unique_ptr<load_port> port)
  : home_{home}, board_{home.board()}, number_{number}, how_{std::move(how)},
    dialect_{board_.server.speak()}, port_{std::move(port)} {}

load_socket::~load_socket() {
  if (fd_ >= 0)
    ::close(fd_);
}

void load_socket::tell(load_event::what what, std::string why) {
  port_->tell({what, std::move(why)});
}

void load_socket::open() {
  close(false);
  prepare(how_.what);
  dialect_->connect(out_, how_.what);
  if (create())
    watch();
}

bool load_socket::create() {
  const auto& at = board_.place_of(number_);
  fd_ = ::socket(at.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    fail(failed("socket", errno));
    return false;
  }
  int one = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (how_.receive_bytes > 0)
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &how_.receive_bytes, sizeof how_.receive_bytes);
  if (at.loopback) {
    // The port is chosen with the connect, so that one port serves many destinations.
    ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number_ % source_addresses);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) {
      fail(failed("bind", errno));
      return false;
    }
  }
  const auto* to = reinterpret_cast<const sockaddr*>(&at.address);
  if (::connect(fd_, to, at.bytes) != 0 && errno != EINPROGRESS) {
    fail(failed("connect", errno));
    return false;
  }
  connecting_ = true;
  return true;
}

void load_socket::watch() {
  std::uint32_t events = paused_ ? 0U : static_cast<std::uint32_t>(EPOLLIN);
  if (connecting_ || blocked_)
    events |= EPOLLOUT;
  if (watched_ == events)
    return;
  home_.watch(fd_, !watched_, events, number_, generation_);
  watched_ = events;
}

void load_socket::drop(bool abrupt) {
  close(abrupt);
}

void load_socket::close(bool abrupt) {
  if (fd_ >= 0) {
    linger reset{.l_onoff = 1, .l_linger = 0};
    if (abrupt)
      ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ::close(fd_);
    fd_ = -1;
    disconnected();
  }
  ++generation_;
  watched_.reset();
  connecting_ = paused_ = blocked_ = false;
  // An idle connection keeps no buffer; assigning {} would keep it.
  std::string{}.swap(out_);
  std::string{}.swap(rest_);
}

void load_socket::pause(bool paused) {
  paused_ = paused;
  if (fd_ >= 0)
    watch();
}

void load_socket::fail(std::string why) {
  close(false);
  load_counters::add(home_.counters().lost);
  tell(load_event::what::lost, std::move(why));
}

void load_socket::server_version(std::string_view text) {
  board_.learned_version(text);
}

void load_socket::ended(std::string_view why) {
  fail(std::string{why});
}

void load_socket::ready(std::uint32_t events, std::uint32_t generation) {
  if (fd_ < 0 || generation != generation_)
    return;
  if (connecting_)
    return connected_or_not();
  if (events & EPOLLOUT) {
    flush();
    if (fd_ >= 0 && !blocked_)
      drained();
  }
  if (fd_ < 0 || generation != generation_)
    return;
  if (!paused_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    read();
  else if (paused_ && (events & (EPOLLHUP | EPOLLERR)))
    fail("the server closed the connection of a reader that paused");
}

void load_socket::connected_or_not() {
  int failure = 0;
  socklen_t bytes = sizeof failure;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &bytes);
  if (failure != 0)
    return fail(failed("connect", failure));
  connecting_ = false;
  flush();
}

void load_socket::flush() {
  if (fd_ < 0 || connecting_)
    return;
  std::size_t sent = 0;
  while (sent < out_.size()) {
    auto n = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno != EAGAIN)
      return fail(failed("send", errno));
    if (n < 0)
      break;
    sent += static_cast<std::size_t>(n);
  }
  blocked_ = sent < out_.size();
  if (blocked_)
    out_.erase(0, sent);
  else if (how_.what.as == purpose::role::publisher)
    out_.clear();
  else
    std::string{}.swap(out_);
  watch();
}

void load_socket::read() {
  auto& buffer = home_.buffer();
  const auto kept = rest_.size();
  if (buffer.size() < kept + load_thread::read_bytes)
    buffer.resize(2 * kept + load_thread::read_bytes);
  auto n = ::recv(fd_, buffer.data() + kept, buffer.size() - kept, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n <= 0)
    return fail(n == 0 ? "the server closed the connection" : failed("recv", errno));
  home_.read_now();
  std::memcpy(buffer.data(), rest_.data(), kept);
  const auto size = kept + static_cast<std::size_t>(n);
  const auto generation = generation_;
  auto used = dialect_->take({buffer.data(), size}, out_, *this);
  if (generation != generation_)
    return; // it ended on the way
  if (used == size)
    std::string{}.swap(rest_);
  else
    rest_.assign(buffer.data() + used, size - used);
  taken();
  if (fd_ >= 0 && generation == generation_ && !out_.empty() && !blocked_)
    flush();
}

} // namespace confab::net::load
