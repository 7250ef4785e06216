// The usual call of the append script: what is stored is put together here, not in Redis.
#pragma once

#include "store/producers_upkeep.hpp"
#include "store/redis_connection.hpp"
#include "store/redis_places.hpp"
#include "store/redis_store.hpp"

namespace confab::store {

/// Appends `begin` to `end` of a chain, to a log that was seen so.
struct plain_appends {
  const redis_sight& sight;
  const chain& of;
  std::size_t begin, end;
};

/// The call of `redis_scripts::plain_append` for them; nothing: they create, close or prolong the
/// log, have conditions, depend on each other, or do not stand right behind its tail.
[[nodiscard]] std::optional<redis_call> plain_call(const plain_appends& x,
                                                   const redis_log_options& how,
                                                   producers_upkeep upkeep, std::int64_t now_ms);

} // namespace confab::store
