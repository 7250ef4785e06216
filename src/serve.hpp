// `confab serve`: the server, from its options to its exit status.
#pragma once

#include "config.hpp"

namespace confab {

/// Runs until SIGTERM or SIGINT has drained it.
/// @returns the exit status: 0 after a drain, 1 when it could not start or its log failed it.
[[nodiscard]] int serve(const config& values);

} // namespace confab
