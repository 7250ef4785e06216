// How measured numbers read: for people with a fitting unit, for programs as keys that name the
// unit.
#pragma once

#include <string>
#include <string_view>

namespace confab::bench {

/// `12.3 µs`, `1.4 M/s`, `5.79 KiB`, `1,234`, `0.04 %`: three digits, in the unit that needs no
/// zeros.
[[nodiscard]] std::string readable(double value, std::string_view unit);

/// Without a unit: `1,234,567`, `12.3`, `0.00123`; `-` if it is no number.
[[nodiscard]] std::string readable(double value);

/// `server_cpu_per_delivery_us` of "server CPU per delivery" and "µs".
[[nodiscard]] std::string key_of(std::string_view name, std::string_view unit = {});

/// Shortest decimal that means the same number; `null` if it is none.
[[nodiscard]] std::string json_number(double value);

/// UTF-8 as it is, control characters and broken bytes as `?`.
[[nodiscard]] std::string printable(std::string_view text);

/// Columns that a terminal needs for printable text: its code points.
[[nodiscard]] std::size_t columns_of(std::string_view text) noexcept;

} // namespace confab::bench
