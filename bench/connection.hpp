// The load client's sockets: one epoll loop, and connections that speak WebSocket over it.
#pragma once

#include "measuring.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace confab::bench {

class connection;

class event_loop {
public:
  event_loop() : buffer(256 * 1024), fd_{epoll_create1(EPOLL_CLOEXEC)} {}
  ~event_loop() { ::close(fd_); }
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  /// Handles what is ready; waits for it at most until `until_ns`.
  void turn(std::int64_t until_ns);
  void watch(int operation, int fd, std::uint32_t events, connection* who) {
    epoll_event e{.events = events, .data = {.ptr = who}};
    if (epoll_ctl(fd_, operation, fd, &e) != 0)
      fail(std::string{"epoll_ctl: "} + std::strerror(errno));
  }

  /// For all connections in turn: what one does not use up is kept by it.
  std::vector<char> buffer;

private:
  int fd_;
};

/// One client socket: handshake, frames in and out. A connection that ends without `drop` fails the
/// run.
class connection {
public:
  connection(event_loop& loop, std::uint16_t port) : loop_{loop}, port_{port} {}
  virtual ~connection() { drop(); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// @param receive_bytes SO_RCVBUF; 0: the system's.
  void connect(const std::string& target, int receive_bytes = 0);
  /// Cuts the connection as a lost network does, without TIME_WAIT.
  void drop();
  /// @param more the next frame follows at once, and leaves with this one.
  void send(std::string_view text, bool more = false) {
    add_frame(out_, text, true);
    if (!more)
      write();
  }
  void read_on(bool yes) {
    reading_ = yes;
    watch(EPOLL_CTL_MOD);
  }
  [[nodiscard]] bool open() const noexcept { return phase_ == phase::open; }

  void ready(std::uint32_t events);

protected:
  virtual void on_text(std::string_view text) = 0;
  [[nodiscard]] virtual std::string name() const = 0;
  [[noreturn]] void offend(const std::string& what) const { fail(name() + ": " + what); }

private:
  enum class phase : std::uint8_t { closed, upgrading, open };

  void watch(int operation) {
    auto events = (reading_ ? EPOLLIN : 0u) | (out_.empty() ? 0u : EPOLLOUT);
    loop_.watch(operation, fd_, events, this);
  }
  void write();
  void read();
  /// @returns how many of the `n` bytes were used up.
  std::size_t take(char* bytes, std::size_t n);

  event_loop& loop_;
  std::uint16_t port_;
  int fd_ = -1;
  phase phase_ = phase::closed;
  bool reading_ = true;
  bool waits_writable_ = false;
  std::string out_;
  std::string rest_;
};

} // namespace confab::bench
