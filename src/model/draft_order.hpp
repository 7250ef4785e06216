// Drafts of one sender for one conversation stay in order while the conversation moves.
//
// Invariants:
// (1) Those that are sent and not answered are all at one place: elsewhere, what was sent later
//     could be taken first.
// (2) Whoever waits is sent in the order of the numbers that the sender gave.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace confab::model {

/// @tparam Place what a draft is sent to; equality comparable. One thread.
template <class Place>
class draft_order {
public:
  /// It is to be sent. @param draft rises with every new one.
  void add(std::uint64_t draft) {
    waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), draft), draft);
  }

  /// Those that are sent to `to` now, in order.
  [[nodiscard]] std::vector<std::uint64_t> due(const Place& to) {
    if (out_ > 0 && (moving_ || to != at_))
      return {};
    at_ = to;
    out_ += waiting_.size();
    return std::exchange(waiting_, {});
  }

  /// It was answered, or could not be sent. @pre `due` returned it, and it did not come back since.
  /// @param moved the conversation is not there any more: it has to be sent again.
  void back(std::uint64_t draft, bool moved) {
    if (moved)
      add(draft);
    moving_ = --out_ > 0 && (moving_ || moved);
    if (out_ == 0)
      at_ = Place{};
  }

  /// Whether some wait that may be sent wherever the conversation is now.
  [[nodiscard]] bool ready() const noexcept { return out_ == 0 && !waiting_.empty(); }
  /// Nothing is on its way, and nothing waits.
  [[nodiscard]] bool idle() const noexcept { return out_ == 0 && waiting_.empty(); }

private:
  /// Where those are that are out.
  Place at_ = Place{};
  std::size_t out_ = 0;
  /// One of them has come back from a place that is none any more.
  bool moving_ = false;
  /// Rising.
  std::vector<std::uint64_t> waiting_;
};

} // namespace confab::model
