// What a follower knows of a conversation: its state and a ring of its newest entries (DESIGN §3).
//
// Invariants:
// (1) The ring is empty, or a dense run of entries that ends exactly at the state's tail.
// (2) A state may be late, never lost; entries may be lost or repeated at any hop: entries that
// start right after the
//     known tail extend the ring, repeated ones are ignored, and those behind a hole begin the ring
//     anew.
// (3) A state of another epoch replaces, never merges.
// (4) Within an epoch, first and tail never go back.
#pragma once

#include "model/run.hpp"

#include <vector>

namespace confab::model {

struct ring_limits {
  std::size_t entries_max = 256;
  std::size_t bytes_max = 1024 * 1024;
};

class feed {
public:
  feed(std::shared_ptr<const conversation_name> name, ring_limits limits)
    : name_{std::move(name)}, limits_{limits} {}

  [[nodiscard]] const std::shared_ptr<const conversation_name>& name() const noexcept {
    return name_;
  }
  [[nodiscard]] const log_state& state() const noexcept { return state_; }

  /// Takes an announcement: a state and, as a convenience, its newest entries in order.
  void announced(const log_state& state, std::span<const run_ptr> newest);

  /// Takes a newer `first` that a page of the same epoch has shown.
  void trimmed(seq first) noexcept;

  /// Takes a page that was read anyway: it becomes the ring's beginning when it ends at the tail
  /// and the ring is empty, or right before the ring, as far as the limits allow. @returns whether
  /// the ring took it.
  bool offer_page(const run_ptr& page);

  /// The run of the ring that holds `at`, or null.
  [[nodiscard]] const run_ptr* find(seq at) const noexcept;

  /// Forgets the ring, e.g. for the budget; nothing is lost (§3).
  void drop_ring() noexcept;
  [[nodiscard]] std::size_t ring_bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t ring_entries() const noexcept { return entries_; }

private:
  void shrink() noexcept;

  std::shared_ptr<const conversation_name> name_;
  ring_limits limits_;
  log_state state_;
  // A vector, since an empty deque costs 576 bytes of a quiet conversation; its bounds keep the
  // moves short.
  std::vector<run_ptr> ring_;
  std::size_t entries_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace confab::model
