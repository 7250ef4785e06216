// What the sockets count, for `/metrics`.
#pragma once

#include "net/io_thread.hpp"
#include "net/metrics.hpp"

namespace confab::net {

/// Any thread.
void measure(const server_context& x, metrics& to);

} // namespace confab::net
