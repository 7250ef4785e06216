// The end of a run: did every reader get what the log holds, and does the log hold what was
// receipted?
#pragma once

#include "bench/report.hpp"
#include "net/load/load_board.hpp"
#include "net/load/load_publisher.hpp"
#include "net/load/load_reader.hpp"

#include <span>
#include <string>

namespace confab::bench {

/// @param readers, publishers of load threads that have stopped. @param entries_max of a log are
/// kept for the comparison.
/// @returns why the log could not be read; empty: `into` is complete, and says `kept` or `broken`.
[[nodiscard]] std::string audit(const net::load::load_board& board,
                                std::span<net::load::load_reader* const> readers,
                                std::span<net::load::load_publisher* const> publishers,
                                double patience_s, std::size_t entries_max, verdict& into);

} // namespace confab::bench
