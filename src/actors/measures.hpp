// What the actors count, for `/metrics`.
#pragma once

#include "actors/environment.hpp"
#include "net/metrics.hpp"

namespace confab::actors {

/// Any thread.
void measure(const environment& x, net::metrics& to);

} // namespace confab::actors
