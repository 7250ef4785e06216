// `confab bench`: the command line of the load tests.
#pragma once

#include "net/load/dialect.hpp"

#include <span>

namespace confab::bench {

// Exit statuses.
inline constexpr int status_kept = 0;
inline constexpr int status_broken = 1;
inline constexpr int status_usage = 2;
inline constexpr int status_not_completed = 3;

/// Runs a scenario as the command line says and prints its table.
/// @param argv `argv[0]` is the program's name for people, e.g. `confab bench`. @param kinds what
/// `--server` may name; the first is the default. @returns an exit status.
[[nodiscard]] int run_bench(int argc, char** argv,
                            std::span<const net::load::server_kind* const> kinds);

} // namespace confab::bench
