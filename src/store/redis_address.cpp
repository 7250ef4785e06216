#include "store/redis_address.hpp"

#include <charconv>
#include <sys/un.h>

namespace confab::store {

model::result<redis_address> parse_redis_address(std::string_view text) {
  auto refused = [&](std::string why) -> model::error {
    return {model::code::bad_request, std::move(why)};
  };
  if (text.starts_with("rediss:"))
    return refused(
        "asks for TLS, which Debian's hiredis does not speak; let a TLS tunnel (stunnel, "
        "or Redis's own host over a private network) listen on loopback, and name that");
  if (text.find("://") != std::string_view::npos)
    return refused("is a URL; host:port or the path of a Unix socket is needed, and the user, the "
                   "password's file and the database have options of their own");
  if (text.starts_with('/')) {
    if (text.size() >= sizeof(sockaddr_un::sun_path))
      return refused("is too long for the path of a Unix socket");
    return redis_address{.host = {}, .port = 0, .path = std::string{text}};
  }
  auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return refused("has more than one colon; an IPv6 address stands in brackets, as in [::1]:6379");
  std::uint16_t port = 0;
  auto digits = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || failure != std::errc{} || end != digits.data() + digits.size() || port == 0)
    return refused("is neither host:port, as in 127.0.0.1:6379, nor the absolute path of a Unix "
                   "socket");
  return redis_address{.host = std::string{host}, .port = port, .path = {}};
}

} // namespace confab::store
