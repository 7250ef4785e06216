// What the store in memory holds: conversations with their entries, producers and cursors.
#pragma once

#include "store/log_store.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace confab::store {

struct memory_conversation {
  std::string epoch;
  model::settings settings;
  std::string stream_seq;
  std::optional<fork_origin> fork;
  std::vector<model::ancestor> ancestors;
  /// How many forks it has that are still there, gone or not.
  std::size_t forks = 0;
  /// Kept for its forks.
  bool gone = false;
  bool closed = false;
  model::seq first{1};
  /// Id and running total at first - 1.
  model::entry_id base_id;
  std::uint64_t base_bytes = 0;

  struct held {
    model::entry entry;
    std::uint64_t bytes_through = 0;
  };
  /// Entry i has seq first + i.
  std::deque<held> entries;
  /// Places of each `source_id`.
  std::map<std::string, std::set<model::seq>> source_ids;

  struct remembered {
    producer_row row;
    std::int64_t time_ms = 0;
  };
  /// Idempotency keys too, with their `=`.
  std::map<std::string, remembered, std::less<>> producers;

  struct cursor {
    model::position at;
    std::int64_t time_ms = 0;
  };
  /// By user and client.
  std::map<std::pair<std::string, std::string>, cursor> cursors;
  model::seq mirrored;

  [[nodiscard]] model::seq tail() const { return {first.value + entries.size() - 1}; }
  [[nodiscard]] model::entry_id tail_id() const {
    return entries.empty() ? base_id : entries.back().entry.id;
  }
  [[nodiscard]] std::uint64_t tail_bytes() const {
    return entries.empty() ? base_bytes : entries.back().bytes_through;
  }
  /// @pre first <= at <= tail.
  [[nodiscard]] const held& at(model::seq at) const { return entries[at.value - first.value]; }
  [[nodiscard]] model::log_state state() const {
    return {{epoch},
            first,
            tail(),
            tail_id(),
            closed ? model::lifecycle::closed : model::lifecycle::open};
  }
  [[nodiscard]] log_head head() const;

  /// Its form is that of the content type.
  void push(model::entry x);
  /// Without its checks.
  void take(const append& x, std::int64_t now_ms);
  void remember(const append& x, const model::receipt& got, std::int64_t now_ms);
  /// @pre first <= next <= tail + 1.
  void trim_to(model::seq next);
};

/// Shared by all sessions. Whoever touches `by_name` holds `mutex`.
struct memory_log {
  std::mutex mutex;
  options how;
  std::map<std::string, memory_conversation> by_name;
  /// How far the streams of Redis were copied, by the conversation's name.
  std::map<std::string, model::stream_place> sources;
  std::map<std::string, std::int64_t, std::less<>> remembered;

  /// Also one that has expired, or is kept for its forks.
  [[nodiscard]] memory_conversation* find(const model::conversation_name& name);
  /// Null as well for one that has expired, or is kept for its forks.
  [[nodiscard]] memory_conversation* living(const model::conversation_name& name,
                                            std::int64_t now_ms);
  /// Removes the conversation, or keeps it for its forks; and what was kept for this one alone.
  void remove(const std::string& name);
  /// What is trimmed from a log is not in its forks any more.
  /// @pre first <= next <= tail + 1
  void trim(const std::string& name, model::seq next);
};

[[nodiscard]] std::unique_ptr<log_reader> reader_of(std::shared_ptr<memory_log> log);

} // namespace confab::store
