// What stands in Redis streams: entries of conversations, and the pointers to them (DESIGN §8).
// Whoever wrote it, it is hostile until it was read.
#pragma once

#include "model/entry.hpp"
#include "model/name.hpp"

namespace confab::model {

struct stream_field {
  std::string name;
  std::string value;

  friend bool operator==(const stream_field&, const stream_field&) = default;
};

/// One entry of any stream, as Redis gave it.
struct stream_entry {
  /// Ids of Redis may be beyond those of entries.
  std::string id;
  /// Empty as well for one that is trimmed away.
  std::vector<stream_field> fields;

  /// The first field of that name; null: there is none.
  [[nodiscard]] const std::string* field(std::string_view name) const noexcept;
};

/// Holds a pointer to each entry of every conversation's stream.
inline constexpr std::string_view fanout_stream = "stream:fanout:all-conversations";

[[nodiscard]] std::string stream_of(const conversation_name& name);

struct pointer {
  conversation_name name;
  entry_id id;
};

/// Errors: `bad_request`, `bad_name`: why it points to no entry of a conversation. The detail has
/// nothing of its fields in it.
[[nodiscard]] result<pointer> read_pointer(const stream_entry& x);

/// The mark of whoever put it there.
inline constexpr std::string_view origin_field = "origin";

/// Whether it bears the mark of this log: it was put there from it.
[[nodiscard]] bool marked(const stream_entry& x, std::string_view origin) noexcept;

} // namespace confab::model
