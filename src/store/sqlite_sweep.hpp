// What a SQLite log forgets: removed conversations, entries beyond a retention rule, rows beyond
// their ttl.
#pragma once

#include "store/sqlite_rows.hpp"

#include <array>
#include <deque>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace confab::store {

/// A table whose rows (conversation, one or two texts) expire: walked over from its beginning again
/// and again.
class expiring_table {
public:
  /// @param select the rows behind (?1, ?2, ?3), at most ?4: key and time; the second text is '' if
  /// there is none.
  /// @param erase the row (?1, ?2, ?3).
  expiring_table(database& db, std::string_view select, std::string_view erase, std::int64_t ttl_s);

  /// Looks at `step_entries_max` rows. @returns whether the next step has probably work too.
  bool step(std::int64_t now_ms);

private:
  struct key {
    std::int64_t row = 0;
    std::string first;
    std::string second;
  };
  statement select_;
  statement erase_;
  std::int64_t ttl_s_;
  key at_;
};

/// Works in small steps inside transactions of its caller. Looks first at conversations that were
/// appended to, then a few at a time at all others, because age needs no append. Methods throw
/// `failure`.
class sweeper {
public:
  sweeper(database& db, row_reader& rows, const options& how);

  /// This conversation was appended to.
  void appended(const std::string& name);

  struct swept {
    std::vector<trim> trims;
    bool more = false;
  };
  /// At most `step_entries_max` entries. Changes of a step whose transaction fails are made again
  /// some other time.
  [[nodiscard]] swept step(std::int64_t now_ms);

  /// Takes the conversation's name away, and up to `removed_at_once_max` of its rows with it; and
  /// what was kept for it alone. While it has forks, it is only marked as gone.
  void remove(std::int64_t row);

  /// Whether a fork, or the source of one, was trimmed or removed since the last call.
  [[nodiscard]] bool touched_forks() noexcept { return std::exchange(touched_forks_, false); }

private:
  static constexpr std::int64_t removed_at_once_max = 10'000;
  /// Beyond that the walk over all conversations finds them.
  static constexpr std::size_t due_max = 4096;

  void erase_some(std::int64_t row, std::int64_t rows_max);
  bool has_forks(std::int64_t row);
  void remove_expired(std::int64_t now_ms);
  /// @returns false when the conversation needs another step.
  bool trim_one(const std::string& name, std::int64_t now_ms, std::uint64_t& budget, swept& done);
  void walk();
  row_reader& rows_;
  const options& how_;

  std::deque<std::string> due_;
  std::unordered_set<std::string> due_set_;
  std::int64_t walked_ = 0;
  bool touched_forks_ = false;
  statement has_forks_;
  statement source_;
  statement mark_gone_;
  statement expired_;
  statement removed_;
  statement rename_;
  statement first_seq_;
  statement erase_entries_;
  statement erase_producers_;
  statement erase_keys_;
  statement erase_cursors_;
  statement has_rows_;
  statement erase_conversation_;
  statement conversations_;
  statement advance_;
  /// Producers, keys and cursors: one of them per step.
  std::array<expiring_table, 3> expiring_;
  std::size_t expiring_next_ = 0;
};

} // namespace confab::store
