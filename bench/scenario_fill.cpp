// Appends a conversation's past over HTTP.
#include "scenarios.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

namespace confab::bench {

namespace {

/// One request on a blocking socket that stays open. @returns the answer's status.
int ask(int fd, const std::string& request) {
  for (std::size_t sent = 0; sent < request.size();) {
    auto n = ::send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0)
      fail(std::string{"fill: send: "} + std::strerror(errno));
    sent += static_cast<std::size_t>(n);
  }
  std::string answer;
  std::array<char, 65536> part;
  for (;;) {
    if (auto end = answer.find("\r\n\r\n"); end != answer.npos)
      if (auto length = number_after(answer, "Content-Length: ");
          length && answer.size() >= end + 4 + *length)
        return std::atoi(answer.c_str() + 9);
    auto n = ::recv(fd, part.data(), part.size(), 0);
    if (n <= 0)
      fail("fill: the server closed the connection");
    answer.append(part.data(), static_cast<std::size_t>(n));
  }
}

} // namespace

void fill(run& x, options& from) {
  auto entries = from.number("entries", 1'000'000, 1, 10'000'000);
  auto bytes = static_cast<std::size_t>(from.number("bytes", 200, payload_bytes_min, 900));
  from.check();

  auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{.tv_sec = 30, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(x.port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    fail(std::string{"connect: "} + std::strerror(errno));
  std::string name;
  for (char c : x.of.conversation)
    name += c == '/' ? std::string{"%2F"} : std::string{c};
  auto before = usage_of(x.pid);
  auto begin = now_ns();
  for (std::int64_t at = 0; at < entries; at += 1000) {
    std::string body = "[";
    auto n = std::min<std::int64_t>(1000, entries - at);
    for (std::int64_t i = 0; i < n; ++i) {
      body += i == 0 ? R"({"payload":)" : R"(,{"payload":)";
      add_payload(body, bytes, begin);
      body += '}';
    }
    body += ']';
    auto status = ask(fd, "POST /v1/conversations/" + name +
                              "/entries HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                              "application/json\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body);
    if (status != 201)
      fail("fill: status " + std::to_string(status));
  }
  ::close(fd);
  report out{"fill"};
  auto wall = seconds(now_ns() - begin);
  auto after = usage_of(x.pid);
  out.figure("entries", static_cast<double>(entries));
  out.figure("entries_per_s", static_cast<double>(entries) / wall);
  out.figure("cpu_us_per_entry", static_cast<double>(after.cpu_ns - before.cpu_ns) / 1000 /
                                     static_cast<double>(entries));
  x.add_memory(out, before, after);
  out.print(x.json);
}

} // namespace confab::bench
