// The scripts by which streams are looked at and mirrored to, and the readers of their replies.
#pragma once

#include "model/copying.hpp"
#include "model/stream_entry.hpp"
#include "store/redis_connection.hpp"

namespace confab::actors {

/// What one atomic look at a stream has shown.
struct stream_look {
  /// There is no such stream: nothing else is set.
  bool exists = false;
  model::stream_facts facts;
  /// Those behind the last handled one, as many as were asked for. One that is larger than asked
  /// has, instead of its fields, a single one, `too_large`, of its size.
  std::vector<model::stream_entry> entries;
  /// Whether there are more of them.
  bool more = false;
};

/// KEYS: the stream. ARGV: id of the last handled entry, how many entries at most, their bytes at
/// most, the last handled entry's place.
extern const store::redis_script look_script;

[[nodiscard]] store::redis_call look_call(const model::conversation_name& name,
                                          const model::stream_place& behind);
/// Errors: as `unexpected`; `unsupported` for ids that no entry can have.
[[nodiscard]] model::result<stream_look> read_look(const store::redis_reply& x);

} // namespace confab::actors
