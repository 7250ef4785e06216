// What a conversation is created with: its payloads, its lifetime, where it branches off.
#pragma once

#include "model/entry.hpp"
#include "model/log_state.hpp"
#include "model/name.hpp"

#include <optional>
#include <string>
#include <vector>

namespace confab::model {

/// How long a log lives. Without either member: until it is deleted.
struct lifetime {
  /// Seconds since its last use: a read or a write, not a question about it.
  std::optional<std::uint32_t> ttl_s = std::nullopt;
  /// Wall clock, milliseconds since 1970; at that moment it is gone. With `ttl_s` it is moved by
  /// use.
  std::optional<std::int64_t> expires_ms = std::nullopt;

  [[nodiscard]] bool expired(std::int64_t now_ms) const noexcept {
    return expires_ms && *expires_ms <= now_ms;
  }
  /// Where a use at `now_ms` moves the deadline; nothing if it stays. Not each use does: the
  /// deadline has a sixteenth of the ttl to spare, so that a log in use is not written for each
  /// read. A log therefore never expires early, and up to a sixteenth late.
  [[nodiscard]] std::optional<std::int64_t> renewed(std::int64_t now_ms) const noexcept;

  friend bool operator==(const lifetime&, const lifetime&) = default;
};

/// Where a fork leaves its source: it shows the source's entries up to `at`, then its own.
struct fork_point {
  conversation_name source;
  /// Empty: the source's tail. Its epoch, if it has one, must be the source's or of an ancestor.
  std::optional<position> at = std::nullopt;
  /// Beyond `at`: bytes of the next entry, of which the fork gets a cut copy; with JSON payloads,
  /// whole entries.
  std::uint64_t beyond = 0;
};

struct creation {
  /// Empty: `application/json`, or of a fork, its source's.
  std::string content_type;
  /// Neither of its members: none, or of a fork, its source's.
  model::lifetime lifetime;
  bool closed = false;
  /// Its first entries; may be none.
  std::vector<draft> drafts;
  std::optional<fork_point> fork = std::nullopt;
};

/// What is known of a conversation besides its entries. They never change, but for the deadline.
struct settings {
  std::string content_type;
  model::lifetime lifetime = {};

  friend bool operator==(const settings&, const settings&) = default;
};

/// The answer to a creation.
struct created {
  log_state state;
  model::settings settings;
  /// It was there with the same configuration; the drafts were not appended.
  bool existed = false;
};

} // namespace confab::model
