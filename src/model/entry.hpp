// The vocabulary every layer shares: seq, id, epoch, position, entry, draft (DESIGN §2).
#pragma once

#include "model/content_type.hpp"
#include "model/error.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace confab::model {

/// Place of an entry in its conversation: 1, 2, 3 …, dense. 0 means "before the first entry".
/// Below 2^53, so that JavaScript can hold it.
struct seq {
  std::uint64_t value = 0;

  [[nodiscard]] constexpr seq next() const noexcept { return {value + 1}; }
  friend constexpr auto operator<=>(const seq&, const seq&) = default;
};

inline constexpr seq seq_max{(std::uint64_t{1} << 53) - 1};

/// Redis-stream-shaped id `ms-n`, rising with seq. `0-0` means "none".
struct entry_id {
  std::uint64_t ms = 0;
  std::uint64_t n = 0;

  friend constexpr auto operator<=>(const entry_id&, const entry_id&) = default;
};

[[nodiscard]] std::string to_string(entry_id x);

/// Parses `ms-n`, both decimal below 2^63, without signs or leading spaces.
[[nodiscard]] std::optional<entry_id> parse_entry_id(std::string_view text);

/// The id of an entry that is appended at `now_ms` behind `last`: from max(clock, last), so a clock
/// that jumps back cannot break order.
[[nodiscard]] entry_id next_id(entry_id last, std::int64_t now_ms) noexcept;

/// Token of one incarnation of a log: `{random}.{generation}`; empty: there is no log yet.
/// 1–32 bytes of `a-z 0-9 .` when not empty.
struct epoch {
  std::string text;

  [[nodiscard]] bool empty() const noexcept { return text.empty(); }
  friend auto operator<=>(const epoch&, const epoch&) = default;
};

[[nodiscard]] std::optional<epoch> parse_epoch(std::string_view text);

/// The last entry that a reader has handled; *after* it is exclusive, always.
/// `id` is `0-0` when unknown (or with seq 0).
struct position {
  model::epoch epoch;
  seq at;
  entry_id id;

  friend bool operator==(const position&, const position&) = default;
};

/// `{16-digit seq}_{epoch}_{id}`: sorts like seq; what EventSource gets as `id:` and sends back.
[[nodiscard]] std::string to_string(const position& x);
[[nodiscard]] std::optional<position> parse_position(std::string_view text);

/// One immutable record of a conversation.
struct entry {
  seq at;
  entry_id id;
  /// Wall clock of the home at append, in milliseconds since 1970. Informative.
  std::int64_t time_ms = 0;
  std::string sender;
  std::string kind;
  /// Exactly as published; in a conversation of `application/json` valid JSON text.
  std::string payload;
  /// Who numbered this entry, and its number; empty and 0 without one. `~…` is internal, `=…` is an
  /// idempotency key; neither is shown to clients.
  std::string producer;
  std::uint64_t producer_seq = 0;
  std::string message;
  std::string source_id;
  /// By the conversation's content type.
  payload_form form = payload_form::json;

  friend bool operator==(const entry&, const entry&) = default;
};

/// Bytes an entry counts for in every bound (rings, pages, retention).
[[nodiscard]] std::size_t weight(const entry& x) noexcept;

/// What a publisher sends: an entry before it has a seq.
struct draft {
  std::string sender;
  std::string kind = "message";
  std::string payload;
  std::string message;
  std::string source_id;
};

inline constexpr std::size_t kind_bytes_max = 64;
inline constexpr std::size_t message_bytes_max = 128;
inline constexpr std::size_t producer_bytes_max = 128;
inline constexpr std::size_t drafts_max = 1000;

inline constexpr std::size_t stream_seq_bytes_max = 256;

/// Which first numbers a producer may have (producers.hpp).
enum class numbering : std::uint8_t {
  any,       ///< An unknown producer, and a new epoch, may start anywhere.
  from_zero, ///< They start at 0.
};

/// What must hold for a batch when its turn comes, and what it does besides appending.
struct conditions {
  /// The conversation's, else `content_type`; not asked of a batch without drafts. Empty:
  /// `application/json`.
  std::string content_type;
  /// Do not create the conversation: `not_found`.
  bool must_exist = false;
  /// If not empty: beyond, byte by byte, the last one that was taken, else `stream_seq`.
  std::string stream_seq;
  /// Close the conversation in the same transaction. Without drafts, closing a closed one is no
  /// error.
  bool closes = false;
  model::numbering numbering = model::numbering::any;
};

/// Drafts that are appended together or not at all, under one number.
struct batch {
  /// Empty only if it closes.
  std::vector<draft> drafts;
  /// Empty: the connection gives it an internal one.
  std::string producer;
  std::uint32_t producer_epoch = 0;
  std::uint64_t producer_seq = 0;
  /// Of the drafts, with an idempotency key (`producer` is `=key`): tells another body under the
  /// same key.
  std::uint64_t fingerprint = 0;
  conditions where;

  [[nodiscard]] std::size_t bytes() const noexcept;
};

/// Where a batch went: entry i has seq `first + i` and id `{id.ms, id.n + i}`. One without entries
/// stands behind the tail of its moment, and `id` is the tail's.
struct receipt {
  seq first;
  std::uint32_t count = 1;
  entry_id id;
  bool duplicate = false;

  /// The tail behind it.
  [[nodiscard]] seq last() const noexcept { return {first.value + count - 1}; }
  [[nodiscard]] entry_id last_id() const noexcept {
    return count == 0 ? id : entry_id{id.ms, id.n + count - 1};
  }

  friend bool operator==(const receipt&, const receipt&) = default;
};

} // namespace confab::model
