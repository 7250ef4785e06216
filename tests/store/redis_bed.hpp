// A store on a Redis of its own.
#pragma once

#include "store/redis_store.hpp"
#include "store/store_bed.hpp"
#include "support/redis_server.hpp"

#include <optional>

namespace confab::test {

[[nodiscard]] store::redis_log_options log_options(const redis_server& redis,
                                                   const store::options& how = {});

/// The one that the shared suite runs on.
[[nodiscard]] redis_server& shared_redis();

/// A store of its own on a Redis that others use, too.
struct redis_bed {
  explicit redis_bed(std::vector<std::string> settings = {}) : redis{std::move(settings)} {
    open_again();
  }

  /// A process that knows nothing yet.
  void open_again(bool import_all = false) {
    bed.reset();
    auto how = log_options(redis);
    how.redis.command_ms = 2'000;
    how.redis.reconnect = {1, 10};
    how.import_all = import_all;
    auto opened = store::open_redis(how);
    REQUIRE_MESSAGE(opened, opened.why().detail);
    bed.emplace(std::move(*opened));
  }
  /// As an old-style producer does it. @returns its id.
  std::string add(const std::string& name, const std::string& payload,
                  const std::string& id = "*") {
    return redis.ask({"XADD", "stream:conversation:" + name, id, "payload", payload}).text;
  }
  model::epoch epoch(const std::string& name) { return bed->state(name).epoch; }

  redis_server redis;
  std::optional<store_bed> bed;
};

using payloads = std::vector<std::string>;

} // namespace confab::test
