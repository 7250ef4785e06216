// What Confab speaks over HTTP, for the load clients: event streams, and appends with keep-alive.
#pragma once

#include "net/load/dialect.hpp"

namespace confab::net::load {

/// Readers by EventSource, publishers by POST to `/v1/conversations/{name}/entries`. Outlives the
/// program's threads.
[[nodiscard]] const server_kind& confab_events_server() noexcept;

/// Readers by `live=sse`, publishers by POST, both at `/v1/stream/{name}` (Durable Streams).
[[nodiscard]] const server_kind& confab_stream_server() noexcept;

} // namespace confab::net::load
