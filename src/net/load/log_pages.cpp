#include "net/load/log_pages.hpp"

#include "net/wire/json_object.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

namespace confab::net::load {

namespace {

constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::size_t head_bytes_max = 16 * 1024;
constexpr std::uint64_t seq_max = (std::uint64_t{1} << 53) - 1;

std::string failed(std::string_view what) {
  std::string text{what};
  if (errno == EAGAIN || errno == EINPROGRESS)
    return text + ": no answer in time";
  return text + ": " + std::strerror(errno);
}

std::string segment_of(std::string_view name) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (unsigned char x : name)
    if (std::isalnum(x) != 0 || x == '-' || x == '.' || x == '_')
      out += static_cast<char>(x);
    else
      ((out += '%') += hex[x >> 4]) += hex[x & 15];
  return out;
}

/// The number behind a header field's name, in any case of letters.
std::optional<std::size_t> length_in(std::string_view head) {
  std::string lower;
  for (unsigned char x : head)
    lower += static_cast<char>(std::tolower(x));
  constexpr std::string_view name = "\r\ncontent-length:";
  auto at = lower.find(name);
  if (at == lower.npos)
    return std::nullopt;
  at = lower.find_first_not_of(' ', at + name.size());
  std::size_t x = 0;
  if (at == lower.npos ||
      std::from_chars(lower.data() + at, lower.data() + lower.size(), x).ec != std::errc{})
    return std::nullopt;
  return x;
}

} // namespace

log_pages::~log_pages() {
  if (fd_ >= 0)
    ::close(fd_);
}

std::string log_pages::connect() {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = ::socket(to_.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0)
    return failed("socket");
  // Also bounds the connect.
  timeval wait{static_cast<time_t>(patience_s_),
               static_cast<suseconds_t>(std::fmod(patience_s_, 1) * 1e6)};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to_.address), to_.bytes) == 0)
    return {};
  auto why = failed("connect to " + to_.text);
  ::close(fd_);
  fd_ = -1;
  return why;
}

std::string log_pages::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0)
      return failed("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

std::string log_pages::receive(std::string& into) {
  auto size = into.size();
  into.resize(size + read_bytes);
  auto n = ::recv(fd_, into.data() + size, read_bytes, 0);
  into.resize(size + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n < 0)
    return failed("recv");
  return n == 0 ? "the server closed the connection" : "";
}

std::string log_pages::get(const std::string& target, answer& to) {
  if (fd_ < 0)
    if (auto why = connect(); !why.empty())
      return why;
  if (auto why = send_all("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n"); !why.empty())
    return why;
  std::string all;
  std::size_t head = 0;
  while ((head = all.find("\r\n\r\n")) == all.npos) {
    if (all.size() > head_bytes_max)
      return "the answer's head has no end";
    if (auto why = receive(all); !why.empty())
      return why;
  }
  auto length = length_in(std::string_view{all}.substr(0, head));
  if (!all.starts_with("HTTP/1.1 ") || !length || *length > answer_bytes_max)
    return "not an answer of Confab's: " + all.substr(0, all.find('\r'));
  std::from_chars(all.data() + 9, all.data() + 12, to.status);
  while (all.size() < head + 4 + *length)
    if (auto why = receive(all); !why.empty())
      return why;
  to.body = all.substr(head + 4);
  return {};
}

std::string
log_pages::read(std::string_view conversation,
                const std::function<void(std::uint64_t seq, std::string_view payload)>& take) {
  auto base = "/v1/conversations/" + segment_of(conversation) +
              "/entries?limit=" + std::to_string(page_entries) + "&after=";
  std::uint64_t after = 0;
  for (;;) {
    answer got;
    // At first wherever the log begins: its start may have been trimmed.
    if (auto why = get(base + (after == 0 ? "start" : std::to_string(after)), got); !why.empty())
      return why;
    if (got.status == 404 && after == 0)
      return {};
    auto x = wire::json_object::parse(got.body, "page");
    auto entries = x ? x->raw("entries") : std::nullopt;
    auto last = x ? x->number("last", seq_max) : std::optional<std::uint64_t>{};
    auto all = entries ? wire::elements(*entries) : std::nullopt;
    if (got.status != 200 || !all || !last || !*last)
      return "status " + std::to_string(got.status) + " for a page of " + std::string{conversation};
    for (auto text : *all) {
      auto entry = wire::json_object::parse(text, "entry");
      auto seq = entry ? entry->number("seq", seq_max) : std::optional<std::uint64_t>{};
      auto payload = entry ? entry->raw("payload") : std::nullopt;
      if (!seq || !*seq || !payload)
        return "an entry of an unknown shape in a page of " + std::string{conversation};
      if (**seq <= after)
        return "a page of " + std::string{conversation} + " goes back to seq " +
               std::to_string(**seq);
      after = **seq;
      take(after, *payload);
    }
    if (all->empty() || after >= **last)
      return {};
  }
}

} // namespace confab::net::load
