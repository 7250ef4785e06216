// confab_limit: what the machine allows. A bare epoll loop that sends ready-made WebSocket frames,
// one `send` per socket and entry; and, with --append, a bare loop of write and fdatasync.
#include "measuring.hpp"

#include <openssl/evp.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace confab::bench {

namespace {

constexpr char usage_text[] =
    R"(confab_limit --port=N                                  the bare server; `listening on …` when ready
confab_limit --append=DIR [--flight=64] [--bytes=200] [--seconds=3] [--json]   the bare log
)";

/// A peer that is behind by so much holds the emission back: the bare loop has no log to fall back
/// to.
constexpr std::size_t backlog_max = 1024 * 1024;

/// The bare log's file, which is written round and round; SQLite's WAL is about as large between
/// checkpoints.
constexpr std::size_t log_bytes = 4 * 1024 * 1024;

std::string accept_key(std::string_view key) {
  auto text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, 20> digest;
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
  std::array<unsigned char, 32> encoded;
  auto n = EVP_EncodeBlock(encoded.data(), digest.data(), digest.size());
  return {reinterpret_cast<char*>(encoded.data()), static_cast<std::size_t>(n)};
}

struct peer {
  int fd = -1;
  bool open = false;
  bool follows = false;
  std::string in;
  std::string backlog;
};

/// Emits `entries` at a rate once a peer asks for it.
struct emission {
  std::uint64_t seq = 0;
  std::uint64_t entries = 0;
  std::uint64_t burst = 1;
  std::size_t bytes = 200;
  std::int64_t gap_ns = 0;
  std::int64_t due_ns = 0;
};

class server {
public:
  explicit server(std::uint16_t port);
  void turn();

private:
  void accept_all();
  void read(peer& x);
  std::size_t take(peer& x);
  void on_text(peer& x, std::string_view text);
  void emit();
  void send(peer& x, std::string_view bytes);
  void flush(peer& x);
  void remove(peer& x);

  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  int listener_ = -1;
  std::vector<std::unique_ptr<peer>> peers_;
  std::string conversation_;
  emission now_;
  std::size_t held_back_ = 0;
};

server::server(std::uint16_t port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(listener_, 4096) != 0)
    fail(std::string{"listen: "} + std::strerror(errno));
  socklen_t size = sizeof at;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
  epoll_event e{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &e);
  std::printf("listening on http://127.0.0.1:%u\n", ntohs(at.sin_port));
  std::fflush(stdout);
}

void server::turn() {
  std::array<epoll_event, 512> events;
  auto busy = now_.seq < now_.entries && held_back_ == 0;
  auto wait = to_timespec(busy ? now_.due_ns - now_ns() : second_ns);
  auto n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
  for (int i = 0; i < n; ++i) {
    auto* x = static_cast<peer*>(events[static_cast<std::size_t>(i)].data.ptr);
    auto what = events[static_cast<std::size_t>(i)].events;
    if (!x) {
      accept_all();
      continue;
    }
    if (x->fd >= 0 && (what & EPOLLOUT))
      flush(*x);
    if (x->fd >= 0 && (what & (EPOLLIN | EPOLLHUP | EPOLLERR)))
      read(*x);
  }
  std::erase_if(peers_, [](auto& x) { return x->fd < 0; });
  if (now_.seq < now_.entries && held_back_ == 0 && now_ns() >= now_.due_ns)
    emit();
}

void server::accept_all() {
  for (;;) {
    auto fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
      return;
    int one = 1, bytes = 128 * 1024;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    auto& x = *peers_.emplace_back(std::make_unique<peer>());
    x.fd = fd;
    epoll_event e{.events = EPOLLIN, .data = {.ptr = &x}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e);
  }
}

void server::read(peer& x) {
  std::array<char, 4096> part;
  auto n = ::recv(x.fd, part.data(), part.size(), 0);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0)
    return remove(x);
  x.in.append(part.data(), static_cast<std::size_t>(n));
  while (x.fd >= 0)
    if (auto used = take(x))
      x.in.erase(0, used);
    else
      break;
  if (x.in.empty())
    std::string{}.swap(x.in);
}

std::size_t server::take(peer& x) {
  if (x.open) {
    auto f = next_frame(x.in.data(), x.in.size());
    if (f && f->opcode == 1)
      on_text(x, f->payload);
    return f ? f->size : 0;
  }
  auto end = x.in.find("\r\n\r\n");
  if (end == x.in.npos)
    return 0;
  auto field = [&](std::string_view key, std::string_view stop) {
    auto at = x.in.find(key);
    return at == x.in.npos
               ? std::string{}
               : x.in.substr(at + key.size(),
                             x.in.find_first_of(stop, at + key.size()) - at - key.size());
  };
  x.open = true;
  conversation_ = field("conversation=", "& ");
  x.follows = x.in.find("&after=") < end;
  send(x, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: " +
              accept_key(field("Sec-WebSocket-Key: ", "\r")) + "\r\n\r\n");
  if (x.follows) {
    std::string out;
    add_frame(out,
              R"({"op":"subscribed","conversation":")" + conversation_ +
                  R"(","epoch":"k3f9.1","first":1,"last":0,"after":0})",
              false);
    add_frame(out, R"({"op":"live","conversation":")" + conversation_ + R"(","seq":0})", false);
    send(x, out);
  }
  return end + 4;
}

void server::on_text(peer&, std::string_view text) {
  if (!text.starts_with(R"({"op":"emit")"))
    return;
  now_ = {.entries = number_after(text, R"("entries":)").value_or(0),
          .burst = number_after(text, R"("burst":)").value_or(1),
          .bytes = number_after(text, R"("bytes":)").value_or(200),
          .due_ns = now_ns()};
  now_.gap_ns =
      static_cast<std::int64_t>(1e9 * static_cast<double>(now_.burst) /
                                static_cast<double>(number_after(text, R"("rate":)").value_or(50)));
}

void server::emit() {
  for (std::uint64_t i = 0; i < now_.burst && now_.seq < now_.entries; ++i) {
    auto seq = std::to_string(++now_.seq);
    auto made = now_ns();
    // As long as Confab's frame for the same payload.
    std::string text =
        R"({"op":"entry","conversation":")" + conversation_ + R"(","seq":)" + seq +
        R"(,"id":"1763637537123-0","time":1763637537123,"sender":"anonymous","kind":"message",)"
        R"("producer":"load-12345-3061234567890-0","producer_seq":)" +
        seq + R"(,"payload":)";
    add_payload(text, now_.bytes, made);
    text += '}';
    std::string bytes;
    add_frame(bytes, text, false);
    for (auto& x : peers_)
      if (x->follows && x->fd >= 0)
        send(*x, bytes);
  }
  now_.due_ns += now_.gap_ns;
}

void server::send(peer& x, std::string_view bytes) {
  if (x.backlog.empty()) {
    auto n = ::send(x.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      return remove(x);
    bytes.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
    if (bytes.empty())
      return;
    epoll_event e{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = &x}};
    epoll_ctl(epoll_, EPOLL_CTL_MOD, x.fd, &e);
  }
  auto full = x.backlog.size() >= backlog_max;
  x.backlog.append(bytes);
  held_back_ += !full && x.backlog.size() >= backlog_max;
}

void server::flush(peer& x) {
  auto full = x.backlog.size() >= backlog_max;
  auto n = ::send(x.fd, x.backlog.data(), x.backlog.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN)
    return remove(x);
  x.backlog.erase(0, n < 0 ? 0 : static_cast<std::size_t>(n));
  held_back_ -= full && x.backlog.size() < backlog_max;
  if (!x.backlog.empty())
    return;
  epoll_event e{.events = EPOLLIN, .data = {.ptr = &x}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, x.fd, &e);
}

void server::remove(peer& x) {
  held_back_ -= x.backlog.size() >= backlog_max;
  x.backlog.clear();
  ::close(x.fd);
  x.fd = -1;
}

/// Closed-loop producers, `flight` of them: whoever has a receipt writes again, and one sync serves
/// all.
void append(const std::string& directory, std::uint64_t flight, std::size_t bytes,
            std::int64_t time, bool json) {
  auto path = directory + "/limit-" + std::to_string(getpid());
  auto fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0)
    fail(path + ": " + std::strerror(errno));
  ::unlink(path.c_str());
  // Written once before: a file that grows makes each sync wait for the file system's journal,
  // which others use too. A write-ahead log overwrites its file as well.
  const std::string zeros(log_bytes, '\0');
  if (::write(fd, zeros.data(), zeros.size()) != static_cast<ssize_t>(zeros.size()) ||
      ::fsync(fd) != 0)
    fail(path + ": " + std::strerror(errno));
  off_t at = 0;
  std::string record;
  add_payload(record, bytes, now_ns());
  std::string batch;
  for (std::uint64_t i = 0; i < flight; ++i)
    batch += record;
  distribution latency;
  auto cpu = cpu_ns_of(getpid());
  auto begin = now_ns();
  auto last = begin;
  std::uint64_t receipts = 0;
  while (last - begin < time * second_ns) {
    if (static_cast<std::size_t>(at) + batch.size() > log_bytes)
      at = 0;
    if (::pwrite(fd, batch.data(), batch.size(), at) != static_cast<ssize_t>(batch.size()) ||
        ::fdatasync(fd) != 0)
      fail(path + ": " + std::strerror(errno));
    at += static_cast<off_t>(batch.size());
    receipts += flight;
    auto now = now_ns();
    latency.add(now - last);
    last = now;
  }
  auto n = static_cast<double>(receipts);
  report to{"append"};
  to.figure("flight", static_cast<double>(flight));
  to.figure("payload_bytes", static_cast<double>(bytes));
  to.figure("receipts_per_s", n / (static_cast<double>(last - begin) / 1e9));
  to.figure("cpu_us_per_receipt", static_cast<double>(cpu_ns_of(getpid()) - cpu) / 1000 / n);
  to.latency("receipt", latency);
  to.print(json);
  ::close(fd);
}

} // namespace

} // namespace confab::bench

int main(int argc, char** argv) {
  using namespace confab::bench;
  if (argc < 2) {
    std::fputs(usage_text, stderr);
    return 2;
  }
  options from{argc, argv, 1};
  if (auto directory = from.text("append", ""); !directory.empty()) {
    auto flight = static_cast<std::uint64_t>(from.number("flight", 64, 1, 256));
    auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 8192));
    auto time = from.number("seconds", 3, 1, 600);
    auto json = from.number("json", 0, 0, 1) == 1;
    from.check();
    append(directory, flight, bytes, time, json);
    return 0;
  }
  auto port = static_cast<std::uint16_t>(from.number("port", 0, 0, 65535));
  // Nobody's child for ever: a server that was left behind ends by itself.
  auto end = now_ns() + from.number("seconds", 600, 1, 3600) * second_ns;
  from.check();
  server x{port};
  while (now_ns() < end)
    x.turn();
}
