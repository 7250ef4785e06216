// How a Redis stream is copied into a conversation's log: what comes next, and what is missing
// (DESIGN §8, role bridge).
//
// Invariants:
// (1) A copy says where the copies before it ended and where it ends; the log takes it only if they
//     end there, in the transaction of the copy. So what two copiers send, or one copier twice
//     after an outcome that nobody knew, is copied once.
// (2) An entry that was added behind the last handled one is copied, or counted as missing by an
//     entry of kind `gap` in front of the next copy.
#pragma once

#include "model/entry.hpp"

namespace confab::model {

/// An entry's place in its stream, counted from the first one ever added: 1, 2, 3 …, and its id. 0
/// and `0-0`: before the first. Of a stream that was never looked at nothing is stored.
struct stream_place {
  std::uint64_t place = 0;
  entry_id id;

  friend bool operator==(const stream_place&, const stream_place&) = default;
};

/// What a batch of copies covers: everything in the stream behind `after` (empty: the stream was
/// never looked at), through `through`.
struct copy_range {
  std::optional<stream_place> after;
  stream_place through;

  friend bool operator==(const copy_range&, const copy_range&) = default;
};

/// One consistent look at a stream, from behind the last handled entry.
struct stream_facts {
  /// How many were added ever, as Redis counts.
  std::uint64_t added = 0;
  /// How many are there with an id beyond the last handled one.
  std::uint64_t behind = 0;
  /// Whether the last handled one is there.
  bool holds_last = false;
  /// Of the first one that is there; `0-0` if none is.
  entry_id first = {};
  entry_id last_generated = {};
  /// The highest one that XDEL has removed; `0-0`: none.
  entry_id deleted = {};
};

/// How a stream goes on behind the last handled entry.
struct continuation {
  enum class kind {
    whole,   ///< The next entry in it is the next one to copy.
    trimmed, ///< `missing` entries have been removed before they were copied.
    lost,    ///< It is another stream than the one that was copied, or an older state of it: it
             ///< has to be read from its beginning, and what it had is not known.
  };
  kind what = kind::whole;
  std::uint64_t missing = 0;

  friend bool operator==(const continuation&, const continuation&) = default;
};

/// @param last the last handled entry; of a stream whose first one is still awaited, place 0.
[[nodiscard]] continuation continue_behind(const stream_place& last, const stream_facts& now);

/// The place of the last entry that is not beyond the id up to which `now` counted.
[[nodiscard]] std::uint64_t place_before(const stream_facts& now) noexcept;

enum class gap_reason : std::uint8_t {
  trimmed,   ///< Removed from the stream before it was copied.
  lost,      ///< The stream was deleted, or Redis has lost what it had.
  too_large, ///< One entry that no page could hold.
};

/// The draft of kind `gap` that stands where entries are missing:
/// `{"missing":N,"reason":"trimmed","after":"1-0"}`; `null` where the number is not known.
/// @param after the id of the last one before the gap; `0-0`: none.
[[nodiscard]] draft gap_draft(gap_reason why, std::optional<std::uint64_t> missing, entry_id after);

inline constexpr std::string_view gap_kind = "gap";

/// How far a stream was copied, as its copier knows.
struct copy_progress {
  /// As it is stored with the copies; empty: the stream was never looked at.
  std::optional<stream_place> stored;
  /// What was read through; beyond `stored` only entries of our own.
  stream_place at;
  /// The stream has turned out to be another one: it is read from its beginning.
  bool restarts = false;
  /// The gap of such a loss is not in the log yet.
  bool owes_gap = false;
};

/// What a look says to do before the entries that it has shown are copied.
struct copy_step {
  /// Nothing of the above: look at the stream from its beginning, `restarts`.
  bool begins_anew = false;
  /// Where the entries begin: right behind it.
  stream_place at;
  /// Stands in front of them. Of a loss (`restarts`) it is owed until the first entry is copied
  /// that the log has not.
  std::optional<draft> gap;
};

/// @param shown whether the look has shown entries. @param import_all of a stream that was never
/// looked at, what was there before is wanted, too: what is missing of it is missing.
[[nodiscard]] copy_step next_step(const copy_progress& x, const stream_facts& now, bool shown,
                                  bool import_all);

/// Producer of copies and of `gap` entries: what it has appended is never mirrored.
inline constexpr std::string_view copy_producer = "~copy";

} // namespace confab::model
