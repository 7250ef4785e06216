#include "model/feed.hpp"

#include <algorithm>

namespace confab::model {

void feed::announced(const log_state& state, std::span<const run_ptr> newest) {
  if (state.epoch != state_.epoch) {
    drop_ring();
    state_ = state;
    state_.tail = seq{state.first.value - 1};
  }
  auto end = state_.tail;
  for (const auto& x : newest) {
    if (x->epoch() != state.epoch || x->last() <= end)
      continue;
    if (x->first() != end.next()) {
      drop_ring(); // a hole: what follows it would be dense in itself, so it may start a new ring
    }
    ring_.push_back(x);
    entries_ += x->size();
    bytes_ += x->bytes();
    end = x->last();
  }
  state_.first = std::max(state_.first, state.first);
  if (state.tail >= state_.tail) {
    state_.tail = state.tail;
    state_.tail_id = state.tail_id;
  }
  if (state.life != lifecycle::open)
    state_.life = state.life;
  if (!ring_.empty() && ring_.back()->last() != state_.tail)
    drop_ring();
  shrink();
}

void feed::trimmed(seq first) noexcept {
  state_.first = std::max(state_.first, first);
  shrink();
}

bool feed::offer_page(const run_ptr& page) {
  if (page->epoch() != state_.epoch)
    return false;
  auto fits =
      ring_.empty() ? page->last() == state_.tail : page->last().next() == ring_.front()->first();
  if (!fits || entries_ + page->size() > limits_.entries_max ||
      bytes_ + page->bytes() > limits_.bytes_max)
    return false;
  ring_.insert(ring_.begin(), page);
  entries_ += page->size();
  bytes_ += page->bytes();
  return true;
}

const run_ptr* feed::find(seq at) const noexcept {
  if (ring_.empty() || at > state_.tail || at < ring_.front()->first())
    return nullptr;
  if (ring_.back()->first() <= at)
    return &ring_.back();
  auto i = std::upper_bound(ring_.begin(), ring_.end(), at,
                            [](seq x, const run_ptr& r) { return x < r->first(); });
  return &*std::prev(i);
}

void feed::drop_ring() noexcept {
  std::vector<run_ptr>{}.swap(ring_); // with its buffer
  entries_ = 0;
  bytes_ = 0;
}

void feed::shrink() noexcept {
  auto kept = ring_.begin();
  for (; kept != ring_.end() && (entries_ > limits_.entries_max || bytes_ > limits_.bytes_max ||
                                 (*kept)->first() < state_.first);
       ++kept) {
    entries_ -= (*kept)->size();
    bytes_ -= (*kept)->bytes();
  }
  ring_.erase(ring_.begin(), kept);
}

} // namespace confab::model
