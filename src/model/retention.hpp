// Which entries a log may forget: rules per name pattern, and the arithmetic of the cut.
#pragma once

#include "model/entry.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace confab::model {

/// One line of `store.retention`: `pattern max_age max_entries max_bytes`; 0 or `-` is "no limit".
struct retention_rule {
  /// `*` stands for any bytes, also none; everything else for itself.
  std::string pattern;
  std::uint64_t age_ms_max = 0;
  std::uint64_t entries_max = 0;
  std::uint64_t bytes_max = 0;
};

/// Parses rules separated by `,`. Ages take `ms s m h d`, bytes `KiB MiB GiB`. E.g.
/// `room:* 30d - -, log/* - 10000 64MiB`. Errors: `bad_request`, naming the rule and the field.
[[nodiscard]] result<std::vector<retention_rule>> parse_retention(std::string_view text);

[[nodiscard]] bool matches(std::string_view pattern, std::string_view name) noexcept;

/// The first rule that matches, or null.
[[nodiscard]] const retention_rule* rule_for(std::span<const retention_rule> rules,
                                             std::string_view name) noexcept;

/// What the arithmetic needs to know of one entry.
struct retention_mark {
  std::uint64_t ms = 0;
  /// Weight of all entries from the log's beginning through this one.
  std::uint64_t bytes_through = 0;
};

/// The seq that should become `first` under the rule: the smallest of [first, tail + 1] from which
/// on all entries are within every limit (an entry heavier than `bytes_max` is not kept). Asks
/// `mark` O(log n) times, for seqs in [first - 1, tail]; of first - 1 only the bytes matter.
/// @param now_ms wall clock, milliseconds since 1970.
[[nodiscard]] seq retained_from(const retention_rule& rule, seq first, seq tail,
                                std::int64_t now_ms,
                                const std::function<retention_mark(seq)>& mark);

} // namespace confab::model
