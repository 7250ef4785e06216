// The one rule (DESIGN §3): what one reader of a conversation gets next.
//
// Invariants:
// (1) Entries go out in seq order, each once, strictly after the position it starts from.
// (2) A gap is never silent: what retention removed, or another incarnation of the log, is a reset.
// (3) Memory is a position and three flags, however far behind the reader is.
//
//   position + 1 in the ring? ── yes ──> entries from the ring
//        │ no
//   position < tail? ── yes ──> below first? ── yes ──> reset (trimmed), go on at first
//        │ no                        └── no ──> a page from the log
//   at the tail: live (once per replay), then closed (once)
#pragma once

#include "model/feed.hpp"

#include <optional>

namespace confab::model {

/// What goes out next, as of one state of the feed.
struct step {
  enum class kind : std::uint8_t { wait, ring, page, live, reset, closed } what = kind::wait;
  /// With `ring`: the run that holds `position + 1`.
  const run_ptr* entries = nullptr;
  /// With `reset`.
  reset_reason reason = reset_reason::trimmed;
  /// With `reset` for `trimmed`: the missing range, both ends included.
  seq missing_from = {};
  seq missing_through = {};
};

class subscription {
public:
  /// Starts after `at` in the log `of` (empty: a log that does not exist yet, with `at` 0).
  /// @param reset tell the reader first that its own position was of another log.
  subscription(model::epoch of, seq at, std::optional<reset_reason> reset)
    : epoch_{std::move(of)}, at_{at}, pending_reset_{reset} {}

  [[nodiscard]] const model::epoch& epoch() const noexcept { return epoch_; }
  /// The last entry that went out (or was skipped by a reset, or preceded the subscription).
  [[nodiscard]] seq at() const noexcept { return at_; }
  /// Whether the replay is done and nothing has needed the log since.
  [[nodiscard]] bool live() const noexcept { return live_; }
  /// Whether the reader was told that there are no more entries.
  [[nodiscard]] bool told_closed() const noexcept { return told_closed_; }

  [[nodiscard]] step next(const feed& from) const;

  /// Accounts for entries that went out, through `last`. @pre last >= at()
  void sent_through(seq last, const feed& from);
  /// Accounts for a mark (live, reset, closed) that went out.
  void did(const step& x, const feed& from);
  /// Accounts for entries that are in the log only: `live` is told again when they have been sent.
  void needs_log() noexcept { live_ = false; }

private:
  void adopt(const feed& from);

  model::epoch epoch_;
  seq at_;
  std::optional<reset_reason> pending_reset_;
  bool live_ = false;
  bool told_closed_ = false;
};

/// What a page means for the request that asked for `from`, knowing `tail` and `epoch`.
enum class page_verdict : std::uint8_t {
  good,        ///< Begins at `from`, dense, of the right epoch.
  trimmed,     ///< Begins later because the log does: the reader's reset follows.
  stale,       ///< Of a read transaction before the known tail: read again.
  other_epoch, ///< Of another incarnation: drop it; the state that says so is on its way.
  damaged,     ///< Not dense, or begins elsewhere without a reason.
};

[[nodiscard]] page_verdict check(const page& x, const epoch& of, seq from, seq tail) noexcept;

} // namespace confab::model
