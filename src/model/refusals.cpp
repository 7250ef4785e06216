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
  note(x.producer, {x.producer_epoch, first});
}

void refusals::note(std::string_view producer, producer_number x) {
  if (internal_producer(producer))
    return;
  auto i = by_producer_.find(producer);
  if (i == by_producer_.end())
    i = by_producer_.try_emplace(std::string{producer}, noted{x, 0}).first;
  auto& known = i->second;
  if (x.epoch < known.what.epoch)
    return;
  if (x.epoch > known.what.epoch || x.number < known.what.number)
    known.what = x;
  known.since = ++last_since_;
  forget_some();
}

void refusals::taken(std::string_view producer, producer_number x) {
  if (by_producer_.empty())
    return;
  auto i = by_producer_.find(producer);
  if (i != by_producer_.end() && i->second.what <= x)
    by_producer_.erase(i);
}

void refusals::comes(const batch& x) {
  if (by_producer_.empty())
    return;
  auto i = by_producer_.find(x.producer);
  if (i == by_producer_.end())
    return;
  const auto& what = i->second.what;
  // One that is lower is a repeat of what was taken.
  if (x.producer_epoch > what.epoch ||
      (x.producer_epoch == what.epoch && x.producer_seq == what.number))
    by_producer_.erase(i);
}

std::optional<producer_number> refusals::before(const batch& x) const {
  if (by_producer_.empty())
    return std::nullopt;
  auto i = by_producer_.find(x.producer);
  if (i == by_producer_.end() || i->second.what.epoch != x.producer_epoch ||
      x.producer_seq <= i->second.what.number)
    return std::nullopt;
  return i->second.what;
}

void refusals::forget_some() {
  if (by_producer_.size() <= most_)
    return;
  by_producer_.erase(std::min_element(
      by_producer_.begin(), by_producer_.end(),
      [](const auto& x, const auto& y) { return x.second.since < y.second.since; }));
}

} // namespace confab::model
