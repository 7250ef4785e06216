// The consumer group of the fan-out stream, as one of its consumers (DESIGN
// §8).
#pragma once

#include "model/stream_entry.hpp"
#include "store/redis_address.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace confab::store {

struct group_options {
  redis_options redis;
  std::string group = "confab";
  /// This one; the same after a restart where its log is the same.
  std::string consumer;
  /// Where a group that has to be created begins.
  std::string begin_id = "0";
  /// Pointers are trimmed when all groups have acknowledged them, and they are
  /// older than this; 0: never.
  std::int64_t fanout_ms = 0;
  /// A consumer that has kept a pointer for so long is dead: what it has is
  /// claimed.
  std::int64_t claim_ms = 30'000;
  /// One that has none, and did nothing for so long, is gone.
  std::int64_t gone_ms = 24 * 3600 * 1000;
};

/// Used by one thread at a time. Errors: as `redis_connection`; what was read
/// and not acknowledged is read again behind the next `join`.
class pointer_group {
public:
  struct claimed {
    std::vector<model::stream_entry> pointers;
    /// There may be more to claim right now.
    bool more = false;
  };
  struct tidied {
    std::uint64_t consumers = 0;
    std::uint64_t pointers = 0;
  };

  virtual ~pointer_group() = default;

  [[nodiscard]] virtual model::status connect() = 0;
  [[nodiscard]] virtual bool connected() const = 0;
  /// Milliseconds until `connect` tries again.
  [[nodiscard]] virtual std::int64_t retry_in_ms() const = 0;

  /// Creates the group if it is not there. Reading begins with what this
  /// consumer has not acknowledged.
  [[nodiscard]] virtual model::status join() = 0;
  /// @param wait_ms how long to wait for new ones.
  [[nodiscard]] virtual model::result<std::vector<model::stream_entry>>
  read(std::int64_t wait_ms) = 0;
  [[nodiscard]] virtual model::status acknowledge(std::span<const std::string> ids) = 0;
  /// Some of what dead consumers have left.
  [[nodiscard]] virtual model::result<claimed> claim() = 0;
  /// Removes pointers that are old, and consumers that are gone. @returns how
  /// many.
  [[nodiscard]] virtual model::result<tidied> tidy() = 0;
};

[[nodiscard]] std::unique_ptr<pointer_group> open_pointer_group(group_options how);

} // namespace confab::store
