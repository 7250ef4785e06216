// The usual call of the append script: what is stored is put together here, not in Redis.
#pragma once

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

/// What the producers' hash needs now and then.
struct producers_upkeep {
  /// How long it is kept from now on; empty: as before.
  std::string kept_ms;
  /// It has so many fields that looking for one takes Redis longer than appending an entry.
  bool many = false;
};

/// The call of `redis_scripts::plain_append` for them; nothing: they create, close or prolong the
/// log, have conditions, depend on each other, or do not stand right behind its tail.
[[nodiscard]] std::optional<redis_call> plain_call(const plain_appends& x,
                                                   const redis_log_options& how,
                                                   producers_upkeep upkeep, std::int64_t now_ms);

} // namespace confab::store
