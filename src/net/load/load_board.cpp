#include "net/load/load_board.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <ctime>

namespace confab::net::load {

std::int64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string load_board::version() const {
  std::lock_guard lock{mutex_};
  return version_;
}

void load_board::learned_version(std::string_view text) {
  if (has_version_.exchange(true))
    return;
  std::lock_guard lock{mutex_};
  version_ = text;
}

std::optional<endpoint> resolve(const std::string& address, std::uint16_t port, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (auto failure = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
      failure != 0) {
    why = address + ": " + ::gai_strerror(failure);
    return std::nullopt;
  }
  endpoint result;
  std::memcpy(&result.address, found->ai_addr, found->ai_addrlen);
  result.bytes = found->ai_addrlen;
  auto six = found->ai_family == AF_INET6;
  ::freeaddrinfo(found);
  result.text = (six && address.find(':') != address.npos ? '[' + address + ']' : address) + ':' +
                std::to_string(port);
  if (!six) {
    sockaddr_in four{};
    std::memcpy(&four, &result.address, sizeof four);
    result.loopback = ntohl(four.sin_addr.s_addr) >> 24 == 127;
  }
  return result;
}

} // namespace confab::net::load
