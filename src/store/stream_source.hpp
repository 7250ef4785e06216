// The streams of conversations as whoever copies them reads them (DESIGN §8,
// role bridge).
#pragma once

#include "model/copying.hpp"
#include "model/stream_entry.hpp"
#include "store/redis_address.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace confab::store {

/// The only field of an entry that was too large to be fetched.
inline constexpr std::string_view too_large_field = "too_large";

/// A stream, and how far it was read.
struct stream_mark {
  model::conversation_name name;
  model::stream_place at;
};

/// What one atomic look at a stream has shown.
struct stream_look {
  /// There is no such stream: nothing else is set.
  bool exists = false;
  model::stream_facts facts;
  /// Those behind the mark, within bounds. One that is larger than these has,
  /// instead of its fields, a single one, `too_large_field`, of its size.
  std::vector<model::stream_entry> entries;
  /// Whether there are more of them.
  bool more = false;
};

/// Used by one thread at a time. What is wrong with all answers of a call:
/// `store_failed` or `append_unknown` as `redis_connection` says it. What is
/// wrong with one stream: `unsupported` for a key of another type and for ids
/// that no entry can have, otherwise `store_failed`.
class stream_source {
public:
  template <class T>
  using each = model::result<std::vector<T>>;

  virtual ~stream_source() = default;

  [[nodiscard]] virtual model::status connect() = 0;
  /// Milliseconds until `connect` tries again.
  [[nodiscard]] virtual std::int64_t retry_in_ms() const = 0;
  /// Another one after each restart of what holds the streams, which may have
  /// lost some then.
  /// @pre connected.
  [[nodiscard]] virtual const std::string& run_id() const = 0;

  /// For each, the entry at the mark, if it is there, and at most `entries_max`
  /// behind it.
  [[nodiscard]] virtual each<model::result<std::vector<model::stream_entry>>>
  read(std::span<const stream_mark> marks, std::size_t entries_max) = 0;
  /// Whether something stands behind each mark, or the stream cannot be read.
  [[nodiscard]] virtual each<bool> grew(std::span<const stream_mark> marks) = 0;
  /// Each as a whole, for what is missing; and entries behind the mark.
  [[nodiscard]] virtual each<model::result<stream_look>>
  look(std::span<const stream_mark> marks) = 0;
};

[[nodiscard]] std::unique_ptr<stream_source> open_stream_source(redis_options how);

/// Redis's clock, which gives ids, in ms since 1970. Errors: as
/// `redis_connection`.
[[nodiscard]] model::result<std::int64_t> redis_time_ms(const redis_options& how);

} // namespace confab::store
