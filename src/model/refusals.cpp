#include "model/refusals.hpp"

#include "model/producers.hpp"

#include <algorithm>

namespace confab::model {

void refusals::refused(const batch& x, const error& why) {
  // These say that it was appended, or that another one was.
  auto passed = why.what == code::producer_old || why.what == code::producer_epoch ||
                why.what == code::idempotency_mismatch;
  // Which one begins is known anyhow.
  if (passed || x.where.numbering == numbering::from_zero)
    return;
  auto first = why.what == code::producer_gap ? std::min(why.expected, x.producer_seq)
                                              : x.producer_seq;
  note(x.producer, {x.producer_epoch, first}, x.producer_seq);
}

void refusals::note(std::string_view producer, producer_number x) {
  note(producer, x, x.number);
}

void refusals::note(std::string_view producer, producer_number first, std::uint64_t last) {
  // A key has one number.
  if (internal_producer(producer) || producer.starts_with('='))
    return;
  auto i = by_producer_.find(producer);
  if (i == by_producer_.end())
    i = by_producer_.try_emplace(std::string{producer}, noted{first, last, 0}).first;
  auto& known = i->second;
  if (first.epoch < known.first.epoch)
    return;
  if (first.epoch > known.first.epoch)
    known = {first, last, 0};
  known.first.number = std::min(known.first.number, first.number);
  known.last = std::max(known.last, last);
  known.since = ++last_since_;
  forget_some();
}

void refusals::taken(std::string_view producer, producer_number x) {
  if (by_producer_.empty())
    return;
  auto i = by_producer_.find(producer);
  if (i == by_producer_.end() || x.epoch < i->second.first.epoch)
    return;
  if (x.epoch > i->second.first.epoch)
    by_producer_.erase(i);
  else
    pass(i, x.number);
}

void refusals::comes(const batch& x) {
  if (by_producer_.empty())
    return;
  auto i = by_producer_.find(x.producer);
  if (i == by_producer_.end())
    return;
  const auto& first = i->second.first;
  if (x.producer_epoch > first.epoch)
    by_producer_.erase(i);
  else if (x.producer_epoch == first.epoch && x.producer_seq == first.number)
    pass(i, x.producer_seq); // one that is lower is a repeat of what was taken
}

std::optional<producer_number> refusals::before(const batch& x) const {
  if (by_producer_.empty())
    return std::nullopt;
  auto i = by_producer_.find(x.producer);
  if (i == by_producer_.end() || i->second.first.epoch != x.producer_epoch ||
      x.producer_seq <= i->second.first.number)
    return std::nullopt;
  return i->second.first;
}

void refusals::pass(table::iterator at, std::uint64_t number) {
  auto& its = at->second;
  if (number >= its.last)
    by_producer_.erase(at);
  else
    its.first.number = std::max(its.first.number, number + 1);
}

void refusals::forget_some() {
  if (by_producer_.size() <= most_)
    return;
  by_producer_.erase(std::min_element(
      by_producer_.begin(), by_producer_.end(),
      [](const auto& x, const auto& y) { return x.second.since < y.second.since; }));
}

} // namespace confab::model
