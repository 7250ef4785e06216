// A conversation's state as announcements and pages carry it, and a page of its log.
#pragma once

#include "model/entry.hpp"

namespace confab::model {

enum class lifecycle : std::uint8_t {
  open,
  closed,  ///< Takes no more entries.
  deleted, ///< The log is gone; the epoch is empty until the next one begins.
};

/// What is known of a log at one moment. A log without entries has `tail = first - 1`; one that
/// does not exist has an empty epoch, first 1 and tail 0.
struct log_state {
  model::epoch epoch = {};
  seq first{1};
  seq tail = {};
  /// Id of the entry at `tail`; `0-0` for an empty log.
  entry_id tail_id = {};
  lifecycle life = lifecycle::open;

  friend bool operator==(const log_state&, const log_state&) = default;
};

/// A log whose entries up to `through` are those of a fork, too: a position in it is one in the
/// fork.
struct ancestor {
  model::epoch epoch;
  seq through;

  friend bool operator==(const ancestor&, const ancestor&) = default;
};

inline constexpr std::size_t page_entries_max = 1000;
inline constexpr std::size_t page_bytes_max = 256 * 1024;

/// A bounded run of consecutive entries, with the state of its own read transaction.
struct page {
  log_state state;
  /// Consecutive; empty when the log holds nothing from the asked seq on.
  std::vector<entry> entries;
  /// Whether it ended at a bound rather than at the tail: then its content can never change.
  bool full = false;
};

} // namespace confab::model
