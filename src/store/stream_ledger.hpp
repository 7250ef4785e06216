// What a log's store knows of the streams of Redis: how far they were copied from and mirrored to
// (DESIGN §8, role bridge).
#pragma once

#include "model/copying.hpp"
#include "model/name.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace confab::store {

/// The mirror of a log of this epoch has come so far.
struct mirror_move {
  model::conversation_name name;
  model::epoch epoch;
  model::seq through;
};

/// Part of the writing session, and used by its thread. Changes are durable when the call returns.
class stream_ledger {
public:
  virtual ~stream_ledger() = default;

  /// Up to where the conversation's stream was copied; empty: it was never looked at. It outlives
  /// the log: what was copied into one that is deleted is not copied into the next. Errors:
  /// `read_failed`.
  [[nodiscard]] virtual model::result<std::optional<model::stream_place>>
  copied(const model::conversation_name& name) = 0;

  /// Notes that nothing within the range is to be copied. Errors: `conflict` (the copies do not end
  /// where it begins), `store_failed`, `append_unknown`.
  [[nodiscard]] virtual model::status pass(const model::conversation_name& name,
                                           const model::copy_range& what) = 0;

  /// Moves the mirrors' places, forward only; those of logs of other epochs are ignored. Errors: as
  /// `close`, but `not_found`.
  [[nodiscard]] virtual model::status mirrored(std::span<const mirror_move> moves) = 0;

  /// What the store remembers under `key`; the first caller's `value`, which is kept then. Errors:
  /// `read_failed`, `store_failed`, `append_unknown`.
  [[nodiscard]] virtual model::result<std::int64_t> remember(std::string_view key,
                                                             std::int64_t value) = 0;
};

} // namespace confab::store
