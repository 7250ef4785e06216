// What a log holds, so that what each of thousands of readers received is compared with it in
// constant time.
#pragma once

#include "model/reception.hpp"

namespace confab::model {

/// Made of a log's pages, read in order. One thread, then read by any.
class log_digest {
public:
  enum class comparison : std::uint8_t {
    same,
    different,
    /// The reader's range is not whole here (trimmed meanwhile, over the bound), or unknown to the
    /// reader.
    not_comparable,
  };

  /// @param check `conversation_check` of the log's name.
  /// @param entries_max 8 bytes each; of longer logs the beginning is kept.
  explicit log_digest(std::uint32_t check, std::size_t entries_max = std::size_t{1} << 23);

  /// The next entry of the pages. @returns false if it is beyond the bound.
  bool add(std::uint64_t seq, const std::optional<stamp>& x);

  /// Whether exactly this entry is at `seq`. @param x as published; its form must be the payload's.
  [[nodiscard]] bool holds(std::uint64_t seq, const stamp& x) const noexcept;

  [[nodiscard]] comparison compare(const reception& x) const;

  /// The log's own order, checked as a reader's: a publish that it holds twice, a number that it
  /// skips.
  [[nodiscard]] const reception& order() const noexcept { return order_; }
  [[nodiscard]] std::uint64_t last() const noexcept { return first_ + sums_.size() - 2; }

private:
  /// Sum over the entries [first, seq].
  [[nodiscard]] std::uint64_t through(std::uint64_t seq) const noexcept;

  reception order_;
  std::size_t entries_max_;
  std::uint64_t first_ = 1;
  /// `sums_[i]` is over the entries [first, first + i).
  std::vector<std::uint64_t> sums_{0};
};

} // namespace confab::model
