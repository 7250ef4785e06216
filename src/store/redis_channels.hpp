// Channels of Redis: what others PUBLISH, and PUBLISHing for others (DESIGN
// §8).
#pragma once

#include "model/entry.hpp"
#include "model/name.hpp"
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

struct heard_message {
  /// The one that its channel matches; if it matches several, it is heard for each.
  std::string pattern;
  channel_message what;
};

/// Hears what is published on channels that match the patterns, while it is connected, in one
/// order. One thread at a time. Errors: as `redis_connection`; behind one, `listen` again.
class channel_listener {
public:
  channel_listener(redis_options how, std::vector<std::string> patterns)
    : redis_{std::move(how)}, patterns_{std::move(patterns)} {}

  [[nodiscard]] model::status connect() { return redis_.connect(); }
  [[nodiscard]] std::int64_t retry_in_ms() const { return redis_.retry_in_ms(); }
  [[nodiscard]] model::status listen();
  /// The next one; nothing when none came. One that is no message has an empty pattern.
  [[nodiscard]] model::result<std::optional<heard_message>> hear(std::int64_t wait_ms);

private:
  redis_connection redis_;
  std::vector<std::string> patterns_;
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

/// Publishes what stands in logs in Redis. How far that was done is kept there, too, and moves in
/// the same step: whoever of several does it, an entry is published once, in order. One thread at a
/// time. Errors: as `redis_connection`.
class log_speaker {
public:
  explicit log_speaker(redis_options how) : redis_{std::move(how)} {}

  /// The last entry that was published; 0-0: none.
  [[nodiscard]] model::result<model::entry_id> spoken(const model::conversation_name& name);

  struct stretch {
    const model::epoch& epoch;
    /// What `spoken` is before and behind it.
    model::entry_id from, through;
    std::string channel;
    std::vector<std::string> messages;
  };
  /// @returns false: nothing was published, as the log is of another epoch, or it was published
  /// through another entry than `from`.
  [[nodiscard]] model::result<bool> say(const model::conversation_name& name, const stretch& x);

private:
  redis_connection redis_;
};

} // namespace confab::store
