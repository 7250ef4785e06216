#include "limit_server.hpp"

#include "measuring.hpp"

#include <openssl/evp.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace confab::bench {

namespace {

/// A peer that is behind by so much holds everybody back: the bare loop has no log to fall back to.
constexpr std::size_t backlog_max = 1024 * 1024;
/// What one peer may send without a whole frame in it.
constexpr std::size_t in_bytes_max = 1024 * 1024;
/// Twice this many entries of a conversation are kept at most.
constexpr std::size_t entries_kept = 8192;
constexpr std::string_view entry_id = "1763637537123-0";

[[noreturn]] void fail_with(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

std::string accept_key(std::string_view key) {
  auto text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, 20> digest;
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
  std::array<unsigned char, 32> encoded;
  auto n = EVP_EncodeBlock(encoded.data(), digest.data(), digest.size());
  return {reinterpret_cast<char*>(encoded.data()), static_cast<std::size_t>(n)};
}

/// What stands between `begin` and the next of `ends`; empty if `begin` is not there.
std::string_view between(std::string_view text, std::string_view begin, std::string_view ends) {
  auto at = text.find(begin);
  if (at == text.npos)
    return {};
  text.remove_prefix(at + begin.size());
  return text.substr(0, text.find_first_of(ends));
}

/// Takes `literal` and what stands before the next `end` from `rest`, and `end`.
bool take_field(std::string_view& rest, std::string_view literal, std::string_view end,
                std::string_view& value) {
  auto at = rest.starts_with(literal) ? rest.find(end, literal.size()) : rest.npos;
  if (at == rest.npos)
    return false;
  value = rest.substr(literal.size(), at - literal.size());
  rest.remove_prefix(at + end.size());
  return true;
}

} // namespace

int open_limit_log(const std::string& directory) {
  auto path = directory + "/limit-" + std::to_string(getpid());
  auto fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0)
    fail_with(path);
  ::unlink(path.c_str());
  const std::string zeros(static_cast<std::size_t>(limit_log_bytes), '\0');
  if (::write(fd, zeros.data(), zeros.size()) != static_cast<ssize_t>(zeros.size()) ||
      ::fsync(fd) != 0)
    fail_with(path);
  return fd;
}

void write_limit_log(int fd, std::int64_t& at, std::string_view bytes) {
  if (at + static_cast<std::int64_t>(bytes.size()) > limit_log_bytes)
    at = 0;
  if (::pwrite(fd, bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size()) ||
      ::fdatasync(fd) != 0)
    fail_with("the log");
  at += static_cast<std::int64_t>(bytes.size());
}

void limit_server::conversation::drop_old() {
  if (ends.size() < 2 * entries_kept)
    return;
  auto bytes = ends[entries_kept - 1];
  frames.erase(0, bytes);
  ends.erase(ends.begin(), ends.begin() + entries_kept);
  for (auto& x : ends)
    x -= bytes;
  dropped += entries_kept;
}

limit_server::limit_server(std::uint16_t port, const std::string& log_directory) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(listener_, 4096) != 0)
    fail_with("listen");
  socklen_t size = sizeof at;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
  port_ = ntohs(at.sin_port);
  epoll_event e{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &e);
  if (!log_directory.empty())
    log_ = open_limit_log(log_directory);
}

void limit_server::turn() {
  std::array<epoll_event, 512> events;
  auto wait = to_timespec(second_ns);
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
  commit();
  if (!std::exchange(any_removed_, false))
    return;
  for (auto& [name, x] : conversations_)
    std::erase_if(x->followers, [](const peer* y) { return y->fd < 0; });
  std::erase_if(peers_, [](auto& x) { return x->fd < 0; });
}

void limit_server::accept_all() {
  for (;;) {
    auto fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
      return;
    int one = 1, bytes = 128 * 1024;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    auto& x = *peers_.emplace_back(std::make_unique<peer>());
    x.fd = fd;
    wait_for(x);
  }
}

void limit_server::wait_for(peer& x) {
  // A publisher waits while a follower's backlog is full; a follower never does.
  auto reads = x.follows || full_ == 0;
  epoll_event e{.events = (reads ? EPOLLIN : 0u) | (x.backlog.empty() ? 0u : EPOLLOUT),
                .data = {.ptr = &x}};
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, x.fd, &e) != 0)
    epoll_ctl(epoll_, EPOLL_CTL_ADD, x.fd, &e);
}

void limit_server::read(peer& x) {
  static std::array<char, 64 * 1024> part;
  auto n = ::recv(x.fd, part.data(), part.size(), 0);
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0)
    return remove(x);
  x.in.append(part.data(), static_cast<std::size_t>(n));
  std::size_t used = 0;
  while (x.fd >= 0) {
    auto size = x.open ? take(x, used) : open(x, used);
    if (size == 0)
      break;
    used += size;
  }
  if (x.fd < 0)
    return;
  x.in.erase(0, used);
  if (x.in.size() > in_bytes_max)
    return remove(x);
  if (x.in.empty())
    std::string{}.swap(x.in);
}

std::size_t limit_server::take(peer& x, std::size_t at) {
  auto f = next_frame(x.in.data() + at, x.in.size() - at);
  if (!f)
    return 0;
  if (f->opcode == 8 || (f->opcode == 1 && !publish(x, f->payload)))
    remove(x);
  return f->size;
}

std::size_t limit_server::open(peer& x, std::size_t at) {
  auto request = std::string_view{x.in}.substr(at);
  auto end = request.find("\r\n\r\n");
  if (end == request.npos)
    return 0;
  request = request.substr(0, end + 2);
  x.open = true;
  send(x, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: " +
              accept_key(between(request, "Sec-WebSocket-Key: ", "\r")) + "\r\n\r\n");
  std::string hello;
  add_frame(hello, R"({"op":"hello","client":"c","user":"anonymous","server":"limit"})", false);
  send(x, hello);
  follow(x, request.substr(0, request.find("\r\n")));
  return end + 4;
}

/// A place is a seq, or a position, which begins with one.
void limit_server::follow(peer& x, std::string_view target) {
  auto name = between(target, "conversation=", "& ");
  auto after = between(target, "after=", "_& ");
  if (name.empty() || after.empty() || x.fd < 0)
    return;
  // What this turn has appended goes to those who were there before.
  commit();
  auto& to = find(name);
  auto first = to.dropped + 1;
  auto seq = to.tail();
  std::from_chars(after.data(), after.data() + after.size(), seq);
  seq = std::clamp(seq, first - 1, to.tail());
  x.follows = &to;
  to.followers.push_back(&x);
  auto subject = R"(","conversation":")" + to.name + '"';
  std::string out;
  add_frame(out,
            R"({"op":"subscribed)" + subject + R"(,"epoch":"k3f9.1","first":)" +
                std::to_string(first) + R"(,"last":)" + std::to_string(to.tail()) + R"(,"after":)" +
                std::to_string(seq) + '}',
            false);
  auto begin = seq == to.dropped ? 0 : to.ends[seq - to.dropped - 1];
  out.append(to.frames, begin);
  add_frame(out, R"({"op":"live)" + subject + R"(,"seq":)" + std::to_string(to.tail()) + '}',
            false);
  send(x, out);
}

/// Fields in the order in which the load clients write them.
bool limit_server::publish(peer& x, std::string_view text) {
  std::string_view ref, name, producer, number;
  if (!take_field(text, R"({"op":"publish","ref":)", ",", ref) ||
      !take_field(text, R"("conversation":")", "\",", name) ||
      !take_field(text, R"("producer":")", "\",", producer) ||
      !take_field(text, R"("producer_seq":)", ",", number) || !text.starts_with(R"("payload":)") ||
      !text.ends_with('}'))
    return false;
  text.remove_prefix(std::string_view{R"("payload":)"}.size());
  text.remove_suffix(1);
  auto& to = find(name);
  append(to, producer, number, text);
  std::string receipt = R"({"op":"published","ref":)";
  receipt.append(ref).append(R"(,"conversation":")").append(name).append(R"(","seq":)");
  receipt.append(std::to_string(to.tail())).append(R"(,"id":")").append(entry_id);
  receipt.append(R"(","duplicate":false})");
  add_frame(x.receipts, receipt, false);
  if (!std::exchange(x.in_answered, true))
    answered_.push_back(&x);
  return true;
}

void limit_server::append(conversation& to, std::string_view producer, std::string_view number,
                          std::string_view payload) {
  // As long as Confab's frame for the same payload.
  std::string text = R"({"op":"entry","conversation":")" + to.name + R"(","seq":)" +
                     std::to_string(to.tail() + 1) + R"(,"id":")";
  text.append(entry_id).append(R"(","time":1763637537123,"sender":"anonymous","kind":"message",)");
  text.append(R"("producer":")").append(producer).append(R"(","producer_seq":)").append(number);
  text.append(R"(,"payload":)").append(payload).append("}");
  auto begin = to.frames.size();
  add_frame(to.frames, text, false);
  to.ends.push_back(to.frames.size());
  batch_.push_back({&to, begin, to.frames.size() - begin});
}

/// Durable, then visible, then answered.
void limit_server::commit() {
  if (log_ >= 0 && !batch_.empty()) {
    std::string records;
    for (const auto& x : batch_)
      records.append(x.in->frames, x.begin, x.size);
    write_limit_log(log_, log_at_, records);
  }
  for (const auto& entry : batch_)
    for (auto* x : entry.in->followers)
      if (x->fd >= 0)
        send(*x, {entry.in->frames.data() + entry.begin, entry.size});
  for (auto* x : answered_) {
    if (x->fd >= 0)
      send(*x, x->receipts);
    x->receipts.clear();
    x->in_answered = false;
  }
  for (const auto& x : batch_)
    x.in->drop_old();
  batch_.clear();
  answered_.clear();
}

void limit_server::send(peer& x, std::string_view bytes) {
  if (x.backlog.empty()) {
    auto n = ::send(x.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
      return remove(x);
    bytes.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
    if (bytes.empty())
      return;
  }
  auto waited = !x.backlog.empty();
  auto full = x.backlog.size() >= backlog_max;
  x.backlog.append(bytes);
  if (!waited)
    wait_for(x);
  if (!full && x.backlog.size() >= backlog_max && ++full_ == 1)
    hold_back();
}

void limit_server::flush(peer& x) {
  auto full = x.backlog.size() >= backlog_max;
  auto n = ::send(x.fd, x.backlog.data(), x.backlog.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN)
    return remove(x);
  x.backlog.erase(0, n < 0 ? 0 : static_cast<std::size_t>(n));
  if (full && x.backlog.size() < backlog_max && --full_ == 0)
    hold_back();
  if (x.backlog.empty())
    wait_for(x);
}

/// Publishers are read again, or no longer.
void limit_server::hold_back() {
  for (auto& x : peers_)
    if (x->fd >= 0 && !x->follows)
      wait_for(*x);
}

void limit_server::remove(peer& x) {
  if (x.fd < 0)
    return;
  if (x.backlog.size() >= backlog_max && --full_ == 0)
    hold_back();
  std::string{}.swap(x.backlog);
  ::close(std::exchange(x.fd, -1));
  any_removed_ = true;
}

limit_server::conversation& limit_server::find(std::string_view name) {
  auto i = conversations_.find(name);
  if (i == conversations_.end()) {
    i = conversations_.emplace(std::string{name}, std::make_unique<conversation>()).first;
    i->second->name = name;
  }
  return *i->second;
}

} // namespace confab::bench
