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

/// The key of its stream.
inline std::string stream_named(const std::string& name) {
  return "stream:conversation:" + name;
}

inline model::creation fork_of(const std::string& source, std::optional<std::uint64_t> at = {}) {
  model::creation x;
  x.fork = model::fork_point{.source = named(source)};
  if (at)
    x.fork->at = model::position{{}, {*at}, {}};
  return x;
}

/// With short ways to fork.
struct redis_fork_bed : redis_bed {
  using redis_bed::redis_bed;

  model::created fork(const std::string& name, const std::string& source,
                      std::optional<std::uint64_t> at = {}) {
    auto made = bed->writer->create(named(name), fork_of(source, at), noon_ms);
    REQUIRE_MESSAGE(made, made.why().detail);
    return *made;
  }
  model::code refusal(const std::string& name, const model::creation& what) {
    auto made = bed->writer->create(named(name), what, noon_ms);
    REQUIRE_FALSE(made);
    return made.why().what;
  }
  void say(const std::string& name, const std::vector<std::string>& what) {
    REQUIRE_FALSE(bed->publish(name, {batch{what}}).failure);
  }
  bool exists(const std::string& key) { return redis.ask({"EXISTS", key}).number == 1; }
  /// Dense, with rising ids, and each entry found again by its seq and by its id.
  void whole(const std::string& name) {
    CAPTURE(name);
    auto page = bed->page(name);
    auto at = page.state.first;
    model::entry_id last;
    for (const auto& x : page.entries) {
      CHECK(x.at == at);
      CHECK(x.id > last);
      auto by_seq = bed->reader->locate(named(name), x.at);
      REQUIRE((by_seq && by_seq->found));
      CHECK(by_seq->found->id == x.id);
      auto by_id = bed->reader->locate_id(named(name), x.id);
      REQUIRE((by_id && by_id->found));
      CHECK(by_id->found->at == x.at);
      at = at.next();
      last = x.id;
    }
    CHECK(at == page.state.tail.next());
  }
};

} // namespace confab::test
