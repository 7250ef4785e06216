// The streams of conversations as the mirror adds to them (DESIGN §8, role
// bridge).
#pragma once

#include "model/entry.hpp"
#include "model/log_state.hpp"
#include "model/name.hpp"
#include "store/redis_address.hpp"

#include <memory>
#include <span>
#include <vector>

namespace confab::store {

/// Some entries of a log, to be added to its conversation's stream.
struct mirrored_page {
  model::conversation_name name;
  model::epoch epoch;
  /// Through which the stream is believed to have the log.
  model::seq has;
  /// Through which it has it behind this page.
  model::seq through;
  /// What is missing before these entries is gone for good.
  bool behind_a_hole = false;
  /// Rising, at most `through`. They outlive the call.
  std::vector<const model::entry*> entries;
};

struct target_options {
  redis_options redis;
  /// The mark of this log's entries.
  std::string origin;
  /// Streams are trimmed to about so many entries; 0: they are not.
  std::uint64_t maxlen = 0;
};

/// Used by one thread at a time.
class stream_target {
public:
  virtual ~stream_target() = default;

  /// Errors: as `redis_connection`.
  [[nodiscard]] virtual model::status connect() = 0;
  /// Milliseconds until `connect` tries again.
  [[nodiscard]] virtual std::int64_t retry_in_ms() const = 0;

  /// Adds of each page what the stream does not have yet, and remembers how far
  /// it has it, in one step: a page that is sent again is added once.
  /// @returns for each through which the stream has the log by now: less than
  /// `has`, if it has lost some; then nothing was added. Errors: as
  /// `redis_connection`, then nobody knows of any; of one page `unsupported`
  /// for a key of another type, `store_failed` for what Redis refuses.
  [[nodiscard]] virtual model::result<std::vector<model::result<model::seq>>>
  add(std::span<const mirrored_page> pages) = 0;
};

[[nodiscard]] std::unique_ptr<stream_target> open_stream_target(target_options how);

} // namespace confab::store
