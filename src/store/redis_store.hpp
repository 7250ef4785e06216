// The log on Redis (DESIGN §8, role log): one stream per conversation, to which others may add.
#pragma once

#include "model/stream_entry.hpp"
#include "store/log_store.hpp"
#include "store/redis_address.hpp"

#include <functional>

namespace confab::store {

struct redis_log_options {
  redis_options redis;
  /// What others added before this Redis was first used belongs to their logs, too.
  bool import_all = false;
  /// Streams are trimmed to about so many entries with each append; 0: not.
  std::uint64_t maxlen = 0;
  std::int64_t producer_ttl_s = 604'800;
  std::int64_t cursor_ttl_s = 2'592'000;
  std::vector<model::retention_rule> retention;
  /// Marks this process's own pointers.
  std::string origin;
  /// What an entry of a stream says, for logs with payloads of this form. Whoever wrote it, the
  /// draft is one that a client could have sent.
  std::function<model::draft(const model::stream_entry&, model::payload_form)> read;
  std::function<std::int64_t()> wall_ms = system_wall_ms;
};

/// A Redis that is away is no error: it is waited for. Errors: `store_failed` (what answers cannot
/// be used; retention by bytes, which Redis cannot do).
[[nodiscard]] model::result<std::unique_ptr<log_store>> open_redis(redis_log_options how);

} // namespace confab::store
