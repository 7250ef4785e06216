// Where a replay starts: the forms of `after`, and the checks of whoever resumes (DESIGN §3, §10).
#pragma once

#include "model/log_state.hpp"
#include "model/run.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace confab::model {

/// Where a reader wants to go on, as it said it.
struct after {
  enum class form : std::uint8_t { seq, id, start, now, last, saved } what = form::now;
  seq at = {};             ///< with `seq`
  entry_id id = {};        ///< with `id`
  std::uint64_t count = 0; ///< with `last`
};

/// A resume point: `after`, and optional checks that it is still the same log.
struct resume_request {
  model::after from;
  std::optional<model::epoch> epoch;
  /// Of the entry at `from.at`.
  std::optional<entry_id> id;
};

/// A seq in decimal, an id `ms-n`, `start`, `now`, `last:N`, `saved`, or a position text. Errors:
/// `bad_after`.
[[nodiscard]] result<resume_request> parse_after(std::string_view text);

/// What must be read from the log before `resolve` can answer.
enum class lookup : std::uint8_t { none, seq, id };
[[nodiscard]] lookup needed(const resume_request& x, const log_state& known) noexcept;

/// What such a reading found: the log's state in its own transaction, and the entry if it is there.
struct sighting {
  log_state state;
  std::optional<position> found;
  /// Of a fork: whose positions are its own.
  std::vector<ancestor> ancestors = {};
};

/// Where the replay starts, and whether the reader must first be told that its position was of
/// another log.
struct start {
  seq at = {};
  std::optional<reset_reason> reset = std::nullopt;
};

/// @param seen what `needed` asked for; null if it was `none`.
/// @pre not `saved`: the caller replaces it by the cursor, or by `start`.
[[nodiscard]] start resolve(const resume_request& x, const log_state& known, const sighting* seen);

} // namespace confab::model
