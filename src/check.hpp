// `confab check`: proves that a log is whole.
#pragma once

#include "config.hpp"

#include <string>

namespace confab {

/// Prints a line per defect to stdout, then a summary.
/// @param directory of a log in SQLite; empty: the logs in the Redis of `values` are checked.
/// @returns the exit status: 0 whole, 1 defects, 2 the log cannot be opened, or none is named
/// (stderr says why).
[[nodiscard]] int check(const std::string& directory, const config& values);

} // namespace confab
