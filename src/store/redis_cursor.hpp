// Where a client's cursor stands in Redis.
#pragma once

#include "store/log_store.hpp"

namespace confab::store {

/// `client:sync:{user}:{client}:{name}`; user and client percent-encoded, so that no colon of
/// theirs is taken for one between the parts.
[[nodiscard]] std::string redis_cursor_key(const cursor_key& x);

} // namespace confab::store
