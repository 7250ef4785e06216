// What Confab speaks, for the load clients: WebSocket frames of DESIGN §10.
#pragma once

#include "net/load/dialect.hpp"

namespace confab::net::load {

/// Confab itself. Outlives the program's threads.
[[nodiscard]] const server_kind& confab_server() noexcept;

} // namespace confab::net::load
