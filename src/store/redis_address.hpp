// Where Redis listens, as `redis.address` says it, and how to talk to it.
#pragma once

#include "model/backoff.hpp"
#include "model/error.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace confab::store {

/// A host and its port, or the path of a Unix socket.
struct redis_address {
  std::string host;
  std::uint16_t port = 0;
  std::string path;

  friend bool operator==(const redis_address&, const redis_address&) = default;
};

/// Reads `host:port`, `[v6]:port` or an absolute path. Errors: `bad_request` with a text that says
/// what is needed, also for the URLs of TLS, which Debian's hiredis does not speak.
[[nodiscard]] model::result<redis_address> parse_redis_address(std::string_view text);

/// Shared by those who connect to one Redis: when one of them gets through, the others need not
/// wait any longer. Any thread.
class redis_reach {
public:
  void connected() noexcept { ++times_; }
  [[nodiscard]] std::uint64_t times() const noexcept { return times_; }

private:
  std::atomic<std::uint64_t> times_ = 0;
};

struct redis_options {
  redis_address address;
  /// Empty: the default user; with a password only.
  std::string user = {};
  std::string password = {};
  std::uint32_t database = 0;
  /// For the connection and the greeting that follows it.
  std::int64_t connect_ms = 2'000;
  /// Until each reply: Redis may be slow, but not for longer.
  std::int64_t command_ms = 5'000;
  /// A larger reply ends the connection.
  std::size_t reply_bytes = 64 * 1024 * 1024;
  model::backoff::bounds reconnect = {};
  /// Of this process; null: it waits alone.
  std::shared_ptr<redis_reach> reach = nullptr;
};

} // namespace confab::store
