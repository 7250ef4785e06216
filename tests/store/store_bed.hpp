// A store in a directory of its own, and short ways to publish to it.
#pragma once

#include "store/log_check.hpp"
#include "store/log_store.hpp"
#include "store/memory_store.hpp"
#include "store/sqlite_store.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace confab::test {

class scratch_directory {
public:
  scratch_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "confab-store-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  ~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

inline model::conversation_name named(std::string_view text) {
  return *model::conversation_name::parse(text);
}

inline constexpr std::int64_t noon_ms = 1'700'000'000'000;

/// What to publish as one batch.
struct batch {
  std::vector<std::string> payloads;
  std::string producer = {};
  std::uint64_t number = 0;
  std::string source_id = {};
  std::uint32_t producer_epoch = 0;
  std::uint64_t fingerprint = 0;
};

inline std::shared_ptr<store::append> append_behind(const model::log_state& log, const batch& x,
                                                    std::int64_t now_ms) {
  auto made = std::make_shared<store::append>();
  auto at = log.tail;
  auto id = model::next_id(log.tail_id, now_ms);
  for (const auto& payload : x.payloads) {
    model::entry e;
    e.at = at = at.next();
    e.id = id;
    ++id.n;
    e.time_ms = now_ms;
    e.sender = "alice";
    e.kind = "message";
    e.payload = payload;
    e.producer = x.producer;
    e.producer_seq = x.number;
    e.source_id = x.source_id;
    made->entries.push_back(std::move(e));
  }
  made->producer = x.producer;
  made->producer_epoch = x.producer_epoch;
  made->producer_seq = x.number;
  made->fingerprint = x.fingerprint;
  return made;
}

/// A chain of batches behind a state, each assigned its place as a conversation does it.
inline store::chain chain_behind(std::string_view name, model::log_state log,
                                 const std::vector<batch>& batches, std::int64_t now_ms = noon_ms) {
  store::chain made{named(name), log.epoch, "application/json", {}};
  for (const auto& x : batches) {
    auto next = append_behind(log, x, now_ms);
    log.tail = next->entries.back().at;
    log.tail_id = next->entries.back().id;
    made.appends.push_back(std::move(next));
  }
  return made;
}

/// Of a directory that is none: the store on Redis (tests/store/redis_bed.hpp).
inline constexpr std::string_view redis_directory = "redis:";
[[nodiscard]] std::unique_ptr<store::log_store> open_on_redis(const store::options& how);

class store_bed {
public:
  explicit store_bed(store::options how, store::sqlite_probes probes = {})
    : store_bed{opened(how, probes)} {}
  explicit store_bed(std::unique_ptr<store::log_store> opened) : store{std::move(opened)} {
    writer = store->writer();
    auto session = store->reader();
    REQUIRE(session);
    reader = std::move(*session);
  }

  std::vector<store::chain_outcome> commit(const std::vector<store::chain>& chains,
                                           std::int64_t now_ms = noon_ms) {
    std::vector<const store::chain*> pointers;
    for (const auto& x : chains)
      pointers.push_back(&x);
    return writer->commit(pointers, now_ms);
  }

  store::chain_outcome publish(std::string_view name, const std::vector<batch>& batches,
                               std::int64_t now_ms = noon_ms) {
    return commit({chain_behind(name, state(name), batches, now_ms)}, now_ms).front();
  }
  store::chain_outcome publish(std::string_view name, const std::string& payload,
                               std::int64_t now_ms = noon_ms) {
    return publish(name, {batch{{payload}}}, now_ms);
  }

  model::log_state state(std::string_view name) {
    auto log = writer->open(named(name));
    REQUIRE_MESSAGE(log, log.why().detail);
    return log->state;
  }

  model::page page(std::string_view name, std::uint64_t from = 1,
                   std::uint64_t through = 1'000'000) {
    auto read = reader->page(named(name), {from}, {through});
    REQUIRE_MESSAGE(read, read.why().detail);
    return std::move(*read);
  }
  std::vector<std::string> payloads(std::string_view name) {
    std::vector<std::string> all;
    for (const auto& x : page(name).entries)
      all.push_back(x.payload);
    return all;
  }

  /// Until nothing more is to be done. @returns the last state of each conversation that was
  /// trimmed.
  std::map<std::string, model::log_state> retain_all(std::int64_t now_ms) {
    std::map<std::string, model::log_state> trimmed;
    bool more = true;
    // Tables expire in turn: three steps look at all of them.
    for (int quiet = 0; quiet < 3 || more; quiet = more ? 0 : quiet + 1)
      for (const auto& x : writer->retain(now_ms, more))
        trimmed[x.name.text()] = x.state;
    return trimmed;
  }

  model::status close() {
    reader.reset();
    writer.reset();
    auto closed = store->close();
    store.reset();
    return closed;
  }

  std::unique_ptr<store::log_store> store;
  std::unique_ptr<store::log_writer> writer;
  std::unique_ptr<store::log_reader> reader;

private:
  static std::unique_ptr<store::log_store> opened(const store::options& how,
                                                  const store::sqlite_probes& probes) {
    if (how.directory == redis_directory)
      return open_on_redis(how);
    if (how.directory == ":memory:")
      return store::open_memory(how);
    auto on_disk = store::open_sqlite(how, probes);
    REQUIRE_MESSAGE(on_disk, on_disk.why().detail);
    return std::move(*on_disk);
  }
};

/// What the shared suite runs on.
struct on_disk {
  scratch_directory scratch;
  store::options how() const {
    store::options x;
    x.directory = scratch / "log";
    // Nobody pulls the plug here.
    x.synchronous = store::options::sync::off;
    return x;
  }
};
struct in_memory {
  store::options how() const {
    store::options x;
    x.directory = ":memory:";
    return x;
  }
};

/// On a server that all cases share, emptied before each.
struct in_redis {
  in_redis();
  store::options how() const {
    store::options x;
    x.directory = redis_directory;
    return x;
  }
};

} // namespace confab::test
