#include "model/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace confab::model {

namespace {

constexpr std::size_t per_power = std::size_t{1} << histogram::precision_bits;
constexpr std::size_t buckets =
    2 * per_power + (histogram::value_bits - histogram::precision_bits - 1) * per_power;

} // namespace

histogram::histogram() : counts_(buckets) {}

std::size_t histogram::index_of(std::int64_t value) noexcept {
  const auto x = static_cast<std::uint64_t>(std::clamp<std::int64_t>(value, 0, value_max));
  const auto bits = static_cast<unsigned>(std::bit_width(x));
  // The leading 11 bits of x, and how many it has behind them.
  const auto shift = bits > precision_bits + 1 ? bits - precision_bits - 1 : 0;
  return shift * per_power + static_cast<std::size_t>(x >> shift);
}

std::int64_t histogram::from(std::size_t index) noexcept {
  if (index < 2 * per_power)
    return static_cast<std::int64_t>(index);
  const auto shift = index / per_power - 1;
  return static_cast<std::int64_t>((index - shift * per_power) << shift);
}

void histogram::record(std::int64_t value, std::uint64_t count) noexcept {
  if (count == 0)
    return;
  value = std::max<std::int64_t>(value, 0);
  counts_[index_of(value)] += count;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += count;
  sum_ += static_cast<double>(value) * static_cast<double>(count);
}

void histogram::merge(const histogram& x) noexcept {
  if (x.count_ == 0)
    return;
  for (std::size_t i = 0; i < counts_.size(); ++i)
    counts_[i] += x.counts_[i];
  min_ = count_ == 0 ? x.min_ : std::min(min_, x.min_);
  max_ = std::max(max_, x.max_);
  count_ += x.count_;
  sum_ += x.sum_;
}

void histogram::clear() noexcept {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  min_ = max_ = 0;
  sum_ = 0;
}

double histogram::mean() const noexcept {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

std::int64_t histogram::percentile(double percent) const noexcept {
  if (count_ == 0)
    return 0;
  // 50 % of 4 values are 2 of them; a hair less than a whole number, from 99.9 / 100, is that
  // number.
  const auto share = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_);
  const auto wanted = std::clamp<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(share - share * 1e-12)), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted)
      return i + 1 == counts_.size() ? max_ : std::min(from(i + 1) - 1, max_);
  }
  return max_;
}

} // namespace confab::model
