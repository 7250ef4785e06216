// Stream entries out of the replies of XRANGE, XREADGROUP and XAUTOCLAIM.
#pragma once

#include "model/stream_entry.hpp"
#include "store/redis_reply.hpp"

namespace confab::store {

/// An array of `[id, [name, value, …]]`; an entry whose fields are nil has none. Errors: as
/// `unexpected`.
[[nodiscard]] model::result<std::vector<model::stream_entry>>
stream_entries(const redis_reply& x, std::string_view command);

} // namespace confab::store
