// What the writing and the reading sessions of a log in Redis share: a connection, keys, sights.
#pragma once

#include "store/redis_places.hpp"
#include "store/redis_scripts.hpp"
#include "store/redis_store.hpp"

namespace confab::store {

/// Used by one thread at a time; the places are shared.
class redis_session {
public:
  redis_session(const redis_log_options& how, redis_places& places);

  /// A call with the keys and arguments that every script of a log begins with.
  /// @param known what the caller builds on; its tail must still be in the stream.
  [[nodiscard]] redis_call call_of(const model::conversation_name& name, std::int64_t now_ms,
                                   const model::log_state& known) const;
  /// Likewise with what this process saw last.
  [[nodiscard]] redis_call call_of(const model::conversation_name& name, std::int64_t now_ms);

  /// One call and its reply, which is an array. Errors: as `redis_connection`.
  [[nodiscard]] model::result<redis_reply> call(const redis_script& script, const redis_call& x);

  /// The log as it is. Errors: as `redis_connection`.
  [[nodiscard]] model::result<redis_sight> observe(const model::conversation_name& name,
                                                   std::int64_t now_ms);
  /// Reads an observation, and remembers it.
  [[nodiscard]] model::result<redis_sight> read_sight(const model::conversation_name& name,
                                                      const redis_reply& x);

  /// Some consecutive entries, or only their ids, as of one moment.
  struct stretch {
    redis_sight sight;
    model::seq from;
    /// Ended before the tail.
    bool bounded = false;
    /// Each an array of an id and of fields and values; or ids.
    std::vector<redis_reply> items;
  };
  /// Entries of [from, through], at least one if there is one, within the bounds of a page.
  [[nodiscard]] model::result<stretch> entries(const model::conversation_name& name,
                                               model::seq from, model::seq through,
                                               std::size_t entries_max, std::int64_t now_ms);
  /// The id of the entry at `at`; none if the log does not hold it.
  [[nodiscard]] model::result<std::optional<model::entry_id>>
  id_at(const model::conversation_name& name, model::seq at, std::int64_t now_ms);
  /// The last entry whose id is not beyond this one.
  [[nodiscard]] model::result<std::optional<redis_places::place>>
  last_not_beyond(const model::conversation_name& name, model::entry_id id, std::int64_t now_ms);

  const redis_log_options& how;
  redis_connection redis;
  redis_places& places;

private:
  /// Where a fork comes from, and what it shares. False: it is not what a script says.
  [[nodiscard]] bool read_origin(log_head& head, const redis_reply& x);
  /// Ids on one side of an anchor, marked as they pass.
  [[nodiscard]] model::result<stretch> ids(const model::conversation_name& name,
                                           const model::epoch& epoch,
                                           std::optional<redis_places::place> anchor, bool back,
                                           std::int64_t now_ms);
  /// Walks to the place right before `from`, from the nearest one that is known, in steps. None: it
  /// was not found where it should be.
  [[nodiscard]] model::result<std::optional<redis_places::place>>
  approach(const model::conversation_name& name, const redis_sight& sight, model::seq from,
           std::int64_t now_ms);
  [[nodiscard]] model::result<stretch> read_stretch(const model::conversation_name& name,
                                                    redis_reply&& x, std::string_view command);
};

/// `stream:conversation:{name}` and so on.
[[nodiscard]] std::string stream_key(const model::conversation_name& name);

/// No id that Confab reads has a greater second part.
inline constexpr std::uint64_t entry_n_max = (std::uint64_t{1} << 63) - 1;
/// An id of Redis, or `read_failed`/`log_damaged` for one that no entry can have.
[[nodiscard]] model::result<model::entry_id> id_of(const redis_reply& x);

/// How an error of a connection reads to whoever reads the log.
[[nodiscard]] model::error unreadable(const model::error& x);

} // namespace confab::store
