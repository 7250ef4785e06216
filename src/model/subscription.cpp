#include "model/subscription.hpp"

#include <cassert>

namespace confab::model {

step subscription::next(const feed& from) const {
  const auto& s = from.state();
  if (pending_reset_)
    return {.what = step::kind::reset, .reason = *pending_reset_};
  // An unknown log has no entries, so its first epoch takes nothing back.
  auto adopts = epoch_.empty() && at_ == seq{};
  if (s.epoch != epoch_ && !adopts)
    return {.what = step::kind::reset,
            .reason = s.epoch.empty() ? reset_reason::deleted : reset_reason::epoch};
  if (at_ < s.tail) {
    if (const auto* held = from.find(at_.next()))
      return {.what = step::kind::ring, .entries = held};
    if (at_.next() < s.first)
      return {.what = step::kind::reset,
              .reason = reset_reason::trimmed,
              .missing_from = at_.next(),
              .missing_through = seq{s.first.value - 1}};
    return {.what = step::kind::page};
  }
  if (at_ > s.tail)
    return {}; // the log was read ahead of its announcement
  if (!live_)
    return {.what = step::kind::live};
  if (s.life == lifecycle::closed && !told_closed_)
    return {.what = step::kind::closed};
  return {};
}

void subscription::sent_through(seq last, const feed& from) {
  assert(last >= at_);
  adopt(from);
  at_ = last;
}

void subscription::adopt(const feed& from) {
  // Of a log that did not exist: `live` comes again, and tells its epoch.
  if (epoch_.empty() && !from.state().epoch.empty())
    live_ = false;
  epoch_ = from.state().epoch;
}

void subscription::did(const step& x, const feed& from) {
  adopt(from);
  switch (x.what) {
  case step::kind::wait:
  case step::kind::ring:
  case step::kind::page:
    assert(false);
    break;
  case step::kind::live:
    live_ = true;
    break;
  case step::kind::closed:
    told_closed_ = true;
    break;
  case step::kind::reset:
    if (pending_reset_) {
      pending_reset_.reset(); // at_ is where the caller decided to go on
    } else if (x.reason == reset_reason::trimmed) {
      at_ = x.missing_through;
    } else {
      at_ = seq{};
      live_ = false;
      told_closed_ = false;
    }
    break;
  }
}

page_verdict check(const page& x, const epoch& of, seq from, seq tail) noexcept {
  if (x.state.epoch != of)
    return page_verdict::other_epoch;
  if (x.state.tail < tail)
    return page_verdict::stale;
  auto trimmed = x.state.first > from;
  if (x.entries.empty())
    return trimmed ? page_verdict::trimmed : page_verdict::damaged;
  auto expected = trimmed ? x.state.first : from;
  for (const auto& e : x.entries) {
    if (e.at != expected)
      return page_verdict::damaged;
    expected = expected.next();
  }
  return trimmed ? page_verdict::trimmed : page_verdict::good;
}

} // namespace confab::model
