// What confab_load can measure: each scenario reads its options, runs, and prints its figures.
#pragma once

#include "run.hpp"

namespace confab::bench {

// Steady load.
void fanout(run& x, options& from);
void idle(run& x, options& from);
void publish(run& x, options& from);

// Readers that have to catch up.
void lag(run& x, options& from);
void stall(run& x, options& from);
void storm(run& x, options& from);

// A conversation's past, for `lag`.
void fill(run& x, options& from);

} // namespace confab::bench
