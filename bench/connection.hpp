// The load client's connections: one epoll loop, readers that check what they get, a publisher that
// keeps numbers.
#pragma once

#include "measuring.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

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

inline void event_loop::turn(std::int64_t until_ns) {
  std::array<epoll_event, 512> events;
  auto wait = to_timespec(until_ns - now_ns());
  auto n = epoll_pwait2(fd_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
  if (n < 0 && errno != EINTR)
    fail(std::string{"epoll_wait: "} + std::strerror(errno));
  for (int i = 0; i < n; ++i)
    static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr)
        ->ready(events[static_cast<std::size_t>(i)].events);
}

inline void connection::connect(const std::string& target, int receive_bytes) {
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

inline void connection::drop() {
  if (fd_ < 0)
    return;
  linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(fd_);
  fd_ = -1;
  phase_ = phase::closed;
  out_.clear();
}

inline void connection::ready(std::uint32_t events) {
  if (fd_ >= 0 && (events & EPOLLOUT))
    write();
  if (fd_ >= 0 && reading_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    read();
  if (fd_ >= 0 && !reading_ && (events & (EPOLLHUP | EPOLLERR)))
    offend("the server closed the connection of a reader that paused");
}

inline void connection::write() {
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

inline void connection::read() {
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

inline std::size_t connection::take(char* bytes, std::size_t n) {
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

/// What the readers of one run have in common.
struct reading {
  std::string conversation;
  /// Each entry's payload has so many bytes; 0: any.
  std::size_t payload_bytes = 0;
  /// Where sampled readers note the age of what they get; null: nowhere.
  distribution* age = nullptr;
  std::uint64_t delivered = 0;
  std::uint64_t bytes = 0;
};

/// Follows one conversation and fails the run at the first entry that is lost, repeated, reordered
/// or foreign.
class reader final : public connection {
public:
  reader(event_loop& loop, std::uint16_t port, reading& of, bool sampled)
    : connection{loop, port}, of_{of}, prefix_{R"({"op":"entry","conversation":")" +
                                               of.conversation + R"(","seq":)"},
      sampled_{sampled} {}

  void follow(const std::string& after, int receive_bytes = 0) {
    subscribed_ = live_ = false;
    connect("/v1/ws?conversation=" + of_.conversation + "&after=" + after, receive_bytes);
  }
  /// As a client that kept its position.
  void resume() {
    char seq[24];
    std::snprintf(seq, sizeof seq, "%016llu", static_cast<unsigned long long>(at_));
    resumes_after_ = at_;
    follow(std::string{seq} + '_' + epoch_ + '_' + id_);
  }

  [[nodiscard]] bool live() const noexcept { return live_; }
  [[nodiscard]] bool subscribed() const noexcept { return subscribed_; }
  [[nodiscard]] std::uint64_t at() const noexcept { return at_; }
  [[nodiscard]] std::string name() const override {
    return "a reader of " + of_.conversation + " at " + std::to_string(at_);
  }

private:
  void on_text(std::string_view text) override;

  reading& of_;
  std::string prefix_;
  std::uint64_t at_ = 0;
  std::optional<std::uint64_t> resumes_after_;
  std::string epoch_;
  std::string id_;
  bool sampled_;
  bool subscribed_ = false;
  bool live_ = false;
};

inline void reader::on_text(std::string_view text) {
  if (text.starts_with(prefix_)) {
    std::uint64_t seq = 0;
    std::from_chars(text.data() + prefix_.size(), text.data() + text.size(), seq);
    if (!subscribed_ || seq != at_ + 1)
      offend("entry " + std::to_string(seq) + " came");
    at_ = seq;
    ++of_.delivered;
    of_.bytes += text.size();
    if (!sampled_)
      return;
    id_ = text_after(text.substr(prefix_.size()), R"("id":)");
    if (of_.payload_bytes == 0)
      return;
    auto payload = text.substr(text.size() - 1 - std::min(text.size() - 1, of_.payload_bytes));
    if (!payload.starts_with(R"({"t":")") || !payload.ends_with("a\"}}"))
      offend("a payload that was not published: " + std::string{text.substr(0, 300)});
    std::int64_t made = 0;
    std::from_chars(payload.data() + payload_time_at,
                    payload.data() + payload_time_at + payload_time_digits, made);
    if (of_.age)
      of_.age->add(now_ns() - made);
    return;
  }
  if (text.starts_with(R"({"op":"subscribed")")) {
    at_ = number_after(text, R"("after":)").value_or(0);
    epoch_ = text_after(text, R"("epoch":)");
    if (resumes_after_ && at_ != *resumes_after_)
      offend("was to resume after " + std::to_string(*resumes_after_));
    subscribed_ = true;
  } else if (text.starts_with(R"({"op":"live")")) {
    live_ = true;
  } else if (!text.starts_with(R"({"op":"hello")")) {
    offend("unexpected: " + std::string{text.substr(0, 300)});
  }
}

/// Publishes with producer numbers and checks the receipts. One conversation, no other producer.
class publisher final : public connection {
public:
  publisher(event_loop& loop, std::uint16_t port, std::string conversation,
            std::size_t payload_bytes, int index = 0)
    : connection{loop, port}, conversation_{std::move(conversation)},
      producer_{"load-" + std::to_string(getpid()) + "-" + std::to_string(now_ns()) + "-" +
                std::to_string(index)},
      payload_bytes_{payload_bytes} {}

  void publish(bool more = false) {
    auto now = now_ns();
    made_[++number_ % made_.size()] = now;
    std::string text;
    text.reserve(payload_bytes_ + 200);
    text.append(R"({"op":"publish","ref":)").append(std::to_string(number_));
    text.append(R"(,"conversation":")").append(conversation_).append(R"(","producer":")");
    text.append(producer_).append(R"(","producer_seq":)").append(std::to_string(number_));
    text.append(R"(,"payload":)");
    add_payload(text, payload_bytes_, now);
    text += '}';
    send(text, more);
  }

  [[nodiscard]] std::uint64_t published() const noexcept { return number_; }
  [[nodiscard]] std::uint64_t in_flight() const noexcept { return number_ - answered_; }
  [[nodiscard]] std::uint64_t answered() const noexcept { return answered_; }
  /// Seq of the last receipt.
  [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
  [[nodiscard]] std::string name() const override { return "the publisher of " + conversation_; }
  [[nodiscard]] bool greeted() const noexcept { return greeted_; }

  static constexpr std::uint64_t in_flight_max = 64;
  distribution latency;
  /// Other connections publish to the conversation too.
  bool shared = false;

private:
  void on_text(std::string_view text) override {
    if (text.starts_with(R"({"op":"hello")")) {
      greeted_ = true;
      return;
    }
    auto ref = number_after(text, R"("ref":)");
    auto seq = number_after(text, R"("seq":)");
    if (!text.starts_with(R"({"op":"published")") || !ref || !seq)
      offend("unexpected: " + std::string{text.substr(0, 300)});
    auto dense = shared ? *seq > last_ : last_ == 0 || *seq == last_ + 1;
    if (*ref != answered_ + 1 || !dense || text.find(R"("duplicate":false)") == text.npos)
      offend("a wrong receipt after " + std::to_string(last_) + ": " + std::string{text});
    answered_ = *ref;
    last_ = *seq;
    latency.add(now_ns() - made_[*ref % made_.size()]);
  }

  std::string conversation_;
  std::string producer_;
  std::size_t payload_bytes_;
  std::uint64_t number_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t last_ = 0;
  bool greeted_ = false;
  std::array<std::int64_t, 128> made_{};
};

} // namespace confab::bench
