// `confab check DIR`: proves that a log is whole.
#pragma once

#include <string>

namespace confab {

/// Prints a line per defect to stdout, then a summary.
/// @returns the exit status: 0 whole, 1 defects, 2 the log cannot be opened (stderr says why).
[[nodiscard]] int check(const std::string& directory);

} // namespace confab
