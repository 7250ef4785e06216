#include "model/log_digest.hpp"

#include <algorithm>

namespace confab::model {

log_digest::log_digest(std::uint32_t check, std::size_t entries_max)
  : order_{check}, entries_max_{entries_max} {}

bool log_digest::add(std::uint64_t seq, const std::optional<stamp>& x) {
  if (order_.counts().entries == 0) {
    first_ = std::max<std::uint64_t>(seq, 1);
    order_.begin_after(first_ - 1);
  }
  const auto before = order_.digest();
  order_.take(seq, x);
  // What comes twice or too late is an offence of `order`, and has no place in the sums.
  if (seq <= last())
    return true;
  if (seq - first_ >= entries_max_)
    return false;
  sums_.resize(seq - first_ + 1, sums_.back()); // A hole adds nothing.
  sums_.push_back(sums_.back() + (order_.digest() - before));
  return true;
}

std::uint64_t log_digest::through(std::uint64_t seq) const noexcept {
  return seq < first_ ? 0 : sums_[std::min<std::size_t>(seq - first_ + 1, sums_.size() - 1)];
}

bool log_digest::holds(std::uint64_t seq, const stamp& x) const noexcept {
  return seq >= first_ && seq <= last() &&
         through(seq) - through(seq - 1) == entry_digest(seq, x.publisher, x.number);
}

log_digest::comparison log_digest::compare(const reception& x) const {
  auto announced = x.announced_ranges();
  const bool without_seqs = x.last_seq() == 0 && x.digest() != 0;
  if (!announced || without_seqs)
    return comparison::not_comparable;
  auto sum = through(x.last_seq()) - through(x.covered_after());
  auto begin = x.covered_after() + 1;
  for (const auto& [from, to] : *announced) {
    sum -= through(to) - through(from - 1);
    if (from == begin)
      begin = to + 1;
  }
  if (sum == x.digest())
    return comparison::same;
  const bool whole = begin > x.last_seq() || (begin >= first_ && x.last_seq() <= last());
  return whole ? comparison::different : comparison::not_comparable;
}

} // namespace confab::model
