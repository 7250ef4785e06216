// Counts of measured values in buckets that are fine enough for three significant digits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace confab::model {

/// Log-linear buckets, the idea of HdrHistogram by Gil Tene (hdrhistogram.org): every power of two
/// is cut into the same number of equal buckets, so the error is relative and recording is a shift
/// and an addition.
///
///   value  0 … 2047   one bucket each
///          2^11 … 2^12   1,024 buckets, 2 wide
///          2^12 … 2^13   1,024 buckets, 4 wide   …   up to 2^42 - 1 ns = 73 minutes
///
/// 2^10 buckets per power of two make a bucket at most 1/1024 of its values wide: three digits, and
/// with 9 bits two would be left. That is 33,792 buckets, 264 KiB: one per load thread and latency,
/// not one per client. One thread.
class histogram {
public:
  static constexpr unsigned precision_bits = 10;
  static constexpr unsigned value_bits = 42;
  /// Larger values count in the last bucket; `max` and `mean` know them as they were.
  static constexpr std::int64_t value_max = (std::int64_t{1} << value_bits) - 1;

  /// Values in [from, through] came `count` times.
  struct bucket {
    std::int64_t from = 0;
    std::int64_t through = 0;
    std::uint64_t count = 0;
  };

  histogram();

  /// Allocates nothing. Negative values count as 0.
  void record(std::int64_t value, std::uint64_t count = 1) noexcept;
  void merge(const histogram& x) noexcept;
  void clear() noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  // 0 if nothing was recorded.
  [[nodiscard]] std::int64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::int64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept;
  /// The value at or below which `percent` of the recorded values lie: their bucket's upper end, at
  /// most `max`.
  /// @param percent 0 … 100; beyond, the nearer end. 0 is the smallest value's bucket.
  [[nodiscard]] std::int64_t percentile(double percent) const noexcept;

  /// Calls `visit(const bucket&)` for each bucket that is not empty, rising.
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if (counts_[i] > 0)
        visit(bucket{from(i), from(i + 1) - 1, counts_[i]});
  }

private:
  [[nodiscard]] static std::size_t index_of(std::int64_t value) noexcept;
  /// The smallest value of a bucket.
  [[nodiscard]] static std::int64_t from(std::size_t index) noexcept;

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::int64_t min_ = 0;
  std::int64_t max_ = 0;
  double sum_ = 0;
};

} // namespace confab::model
