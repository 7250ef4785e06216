#include "model/producers.hpp"

#include <algorithm>
#include <cassert>

namespace confab::model {

producer_verdict producers::check(const batch& x) {
  using kind = producer_verdict::kind;
  auto i = by_id_.find(x.producer);
  if (i == by_id_.end())
    return {.what = kind::unknown};
  auto& p = touch(i);
  if (p.unsure)
    return {.what = kind::unknown};
  if (x.producer_epoch < p.epoch)
    return {.what = kind::fenced, .expected = p.epoch};
  auto internal = internal_producer(x.producer);
  auto from_zero = x.where.numbering == numbering::from_zero && !internal;
  auto begins = x.producer_epoch > p.epoch || (!p.last && p.in_flight.empty());
  if (begins)
    if (auto first = refused_.before(x))
      return {.what = kind::gap, .expected = first->number};
  if (begins && from_zero && x.producer_seq != 0) {
    // Of nobody yet, it is a producer that has lost its beginning.
    auto known = p.last || !p.in_flight.empty();
    return {.what = known ? kind::bad_start : kind::gap, .expected = 0};
  }
  if (begins)
    return {.what = kind::accept};
  if (x.fingerprint != p.fingerprint)
    return {.what = kind::mismatch};
  auto number = x.producer_seq;
  if (std::find(p.in_flight.begin(), p.in_flight.end(), number) != p.in_flight.end())
    return {.what = kind::in_flight};
  for (const auto& y : p.receipts)
    if (y.number == number) {
      auto again = y.receipt;
      again.duplicate = true;
      return {.what = kind::duplicate, .receipt = again};
    }
  auto expected = (p.in_flight.empty() ? *p.last : p.in_flight.back()) + 1;
  if (number < expected)
    return {.what = kind::older};
  if (number == expected || internal)
    return {.what = kind::accept};
  return {.what = kind::gap, .expected = expected};
}

void producers::learned(std::string_view id, std::uint32_t epoch,
                        std::optional<std::uint64_t> last_number, const receipt& last,
                        std::uint64_t fingerprint) {
  auto& p = touch(id);
  p.unsure = false;
  if (last_number)
    refused_.taken(id, {epoch, *last_number});
  p.epoch = epoch;
  p.last = last_number;
  p.fingerprint = fingerprint;
  p.receipts.clear();
  if (last_number)
    p.receipts.push_back({*last_number, last});
  forget_some();
}

void producers::started(const batch& x) {
  auto& p = touch(x.producer);
  if (x.producer_epoch > p.epoch) {
    p.epoch = x.producer_epoch;
    p.last.reset();
    p.receipts.clear();
    p.in_flight.clear();
  }
  p.fingerprint = x.fingerprint;
  p.in_flight.push_back(x.producer_seq);
  forget_some();
}

void producers::committed(std::string_view id, std::uint32_t epoch, std::uint64_t number,
                          const receipt& got) {
  auto& p = touch(id);
  if (epoch != p.epoch)
    return;
  assert(!p.in_flight.empty() && p.in_flight.front() == number);
  p.in_flight.pop_front();
  p.last = std::max(number, p.last.value_or(number));
  refused_.taken(id, {epoch, number});
  if (p.receipts.size() == receipts_max)
    p.receipts.erase(p.receipts.begin());
  p.receipts.push_back({number, got});
}

void producers::failed(std::string_view id, std::uint32_t epoch, std::uint64_t number) {
  auto& p = touch(id);
  if (epoch != p.epoch)
    return;
  auto i = std::find(p.in_flight.begin(), p.in_flight.end(), number);
  if (i == p.in_flight.end())
    return;
  if (id.starts_with('~')) {
    p.in_flight.erase(i);
    return;
  }
  p.in_flight.erase(i, p.in_flight.end());
}

void producers::lose_track() {
  for (auto& [id, p] : by_id_) {
    if (p.in_flight.empty())
      continue;
    p.in_flight.clear();
    p.unsure = true;
  }
}

std::optional<std::uint64_t> producers::last_of(std::string_view id) const {
  auto i = by_id_.find(id);
  return i == by_id_.end() ? std::nullopt : i->second.last;
}

void producers::refused(const batch& x, const error& why) {
  if (!passed(x.producer, {x.producer_epoch, x.producer_seq}))
    refused_.refused(x, why);
}

void producers::taken(const batch& x) {
  refused_.taken(x.producer, {x.producer_epoch, x.producer_seq});
}

void producers::await(std::string_view id, producer_number first) {
  if (!passed(id, first))
    refused_.note(id, first);
}

void producers::begin_anew() {
  by_id_.clear();
  order_.clear();
}

bool producers::passed(std::string_view id, producer_number x) const {
  auto i = by_id_.find(id);
  if (i == by_id_.end())
    return false;
  const auto& p = i->second;
  return x.epoch < p.epoch || (x.epoch == p.epoch && p.last && x.number <= *p.last);
}

bool producers::busy(std::string_view id) const {
  auto i = by_id_.find(id);
  return i != by_id_.end() && !i->second.in_flight.empty();
}

producers::producer& producers::touch(std::string_view id) {
  auto i = by_id_.find(id);
  if (i != by_id_.end())
    return touch(i);
  i = by_id_.try_emplace(std::string{id}).first;
  i->second.used = order_.insert(order_.end(), i->first);
  return i->second;
}

producers::producer& producers::touch(table::iterator at) {
  order_.splice(order_.end(), order_, at->second.used);
  return at->second;
}

void producers::forget_some() {
  // Bounded work: those in flight are as many as drafts, which have a bound of their own.
  // The last one was used just now, and stays.
  for (auto i = order_.begin();
       by_id_.size() > producers_max && i != order_.end() && std::next(i) != order_.end();) {
    auto found = by_id_.find(*i);
    if (!found->second.in_flight.empty()) {
      ++i;
      continue;
    }
    by_id_.erase(found);
    i = order_.erase(i);
  }
}

} // namespace confab::model
