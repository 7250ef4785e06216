// `confab nodes`: who the live nodes of a cluster are, and what they carry.
#pragma once

#include "config.hpp"

namespace confab {

/// Prints the nodes that have leases in this Redis: a table, or a line of JSON.
/// @returns the exit status: 0, also when there are none; 1: Redis cannot be asked (stderr says
/// why).
/// @pre `redis.address` is not empty.
[[nodiscard]] int print_nodes(const config::redis_group& redis, bool as_json);

} // namespace confab
