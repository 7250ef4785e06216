// Channels of Redis: what others PUBLISH, and PUBLISHing for others (DESIGN
// §8).
#pragma once

#include "model/error.hpp"
#include "store/redis_address.hpp"
#include "store/redis_connection.hpp"

#include <optional>
#include <span>
#include <string>

namespace confab::store {

struct channel_message {
  std::string channel;
  std::string payload;
};

/// Hears what is published on channels that match a pattern, while it is
/// connected. One thread at a time. Errors: as `redis_connection`; behind one,
/// `listen` again.
class channel_listener {
public:
  channel_listener(redis_options how, std::string pattern)
    : redis_{std::move(how)}, pattern_{std::move(pattern)} {}

  [[nodiscard]] model::status connect() { return redis_.connect(); }
  [[nodiscard]] std::int64_t retry_in_ms() const { return redis_.retry_in_ms(); }
  [[nodiscard]] model::status listen();
  /// The next one; nothing when none came. One that is no message has an empty
  /// channel.
  [[nodiscard]] model::result<std::optional<channel_message>> hear(std::int64_t wait_ms);

private:
  redis_connection redis_;
  std::string pattern_;
};

/// Publishes. One thread at a time.
class channel_speaker {
public:
  explicit channel_speaker(redis_options how) : redis_{std::move(how)} {}

  /// All in one go. Errors: as `redis_connection`.
  [[nodiscard]] model::status say(std::span<const channel_message> all);

private:
  redis_connection redis_;
};

} // namespace confab::store
