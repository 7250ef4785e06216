// RFC 3339 timestamps, to and from milliseconds since 1970.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace confab::net {

/// `2026-11-20T16:20:04.5+01:00` and the like: a date that exists, `T` and `Z` of either case, up
/// to nine digits behind the point, of which milliseconds are kept. A leap second counts as the
/// second before it.
[[nodiscard]] std::optional<std::int64_t> parse_timestamp(std::string_view text);

/// In UTC, with milliseconds. @pre between the years 0 and 9999
[[nodiscard]] std::string timestamp_text(std::int64_t ms);

} // namespace confab::net
