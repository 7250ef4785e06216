// Rows of the log, checked for damage as they are read: conversations and entries.
#pragma once

#include "store/log_store.hpp"
#include "store/sqlite_database.hpp"

#include <optional>
#include <string>
#include <vector>

namespace confab::store {

/// Entries that a fork shares with another log: those behind the part before, up to `through`.
struct shared_part {
  std::int64_t row = 0;
  std::string epoch;
  model::seq through;
};

/// What the log knows of one conversation, with what an append needs.
struct conversation_head {
  std::int64_t row = 0;
  /// With the generation.
  std::string epoch;
  model::settings settings;
  std::string stream_seq;
  bool closed = false;
  /// Kept for its forks.
  bool gone = false;
  std::optional<fork_origin> fork;
  /// Of a fork: id and running total where it leaves its source.
  model::entry_id fork_id;
  std::uint64_t fork_bytes = 0;
  /// The oldest first.
  std::vector<shared_part> shared;
  model::seq first{1};
  /// Id and running total at first - 1.
  model::entry_id base_id;
  std::uint64_t base_bytes = 0;
  model::seq tail;
  model::entry_id tail_id;
  std::uint64_t tail_bytes = 0;
  model::seq mirrored;

  [[nodiscard]] model::log_state state() const;
  [[nodiscard]] log_head head() const;
  [[nodiscard]] bool living(std::int64_t now_ms) const noexcept {
    return !gone && !settings.lifetime.expired(now_ms);
  }
  [[nodiscard]] model::payload_form form() const noexcept {
    return model::form_of(settings.content_type);
  }
  /// Where the entries from `at` on are, and up to which seq they are there.
  struct place {
    std::int64_t row = 0;
    model::seq through;
  };
  [[nodiscard]] place place_of(model::seq at) const noexcept;
  /// @pre `fork`, `fork_id` and `fork_bytes` are set
  void share(const conversation_head& source);
};

/// `log_damaged` for one entry: names the conversation and the seq.
[[nodiscard]] failure damaged_entry(std::string_view name, model::seq at, std::string_view what);

/// CRC-32C over every field, the conversation's row and the running total.
[[nodiscard]] std::uint32_t checksum(std::int64_t conversation, const model::entry& x,
                                     std::uint64_t bytes_through) noexcept;

/// The columns that `read_entry` expects, in its order.
inline constexpr const char* entry_columns =
    "seq, ms, n, bytes_through, crc, time_ms, producer_seq, sender, kind, producer, message, "
    "source_id, payload";

/// Reads the current row and checks it against its checksum. Throws `failure` naming conversation
/// and `expected`. @returns the running total through the entry.
[[nodiscard]] std::uint64_t read_entry(query& row, std::string_view name, std::int64_t conversation,
                                       model::seq expected, model::entry& x);

/// Looks conversations and single entries up. Every method throws `failure`.
class row_reader {
public:
  row_reader(database& db, std::int64_t generation);

  /// Empty: there is no such conversation. Types and ranges are checked, the tail's checksum is
  /// not. One that has expired, or is kept for its forks, is found.
  [[nodiscard]] std::optional<conversation_head> find(const std::string& name);
  /// The entry at `at`, checked. Empty: it is not there.
  [[nodiscard]] std::optional<model::entry> entry(const std::string& name,
                                                  const conversation_head& in, model::seq at);
  struct mark {
    model::entry_id id;
    std::uint64_t bytes_through = 0;
  };
  /// Id and running total of a seq in [first - 1, tail], by types and ranges only.
  [[nodiscard]] mark mark_at(const std::string& name, const conversation_head& in, model::seq at);

private:
  struct found_row;
  static found_row read(query& row, std::string_view name);
  conversation_head resolve(found_row&& x, std::string_view name, std::size_t depth);

  std::string generation_suffix_;
  statement conversation_;
  statement by_row_;
  statement tail_;
  statement entry_;
  statement mark_;
};

} // namespace confab::store
