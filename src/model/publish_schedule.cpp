#include "model/publish_schedule.hpp"

#include <algorithm>
#include <cassert>

namespace confab::model {

publish_schedule::publish_schedule(std::uint32_t conversations, bool receipts)
  : receipts_{receipts}, numbers_(conversations, 0) {
  assert(conversations > 0);
}

void publish_schedule::start(const plan& x) {
  assert(x.burst > 0 && x.flight > 0);
  plan_ = x;
  planned_ = 0;
}

void publish_schedule::stop(std::int64_t end_ns) noexcept {
  plan_.end_ns = std::min(plan_.end_ns, end_ns);
}

std::int64_t publish_schedule::due_ns(std::int64_t now_ns) const noexcept {
  if (plan_.entries != 0 && planned_ >= plan_.entries)
    return never;
  auto due = std::max(plan_.begin_ns, now_ns);
  if (plan_.per_s > 0) {
    auto bursts = static_cast<double>(planned_ / plan_.burst);
    due = plan_.begin_ns + static_cast<std::int64_t>(bursts * plan_.burst * 1e9 / plan_.per_s);
  }
  return due < plan_.end_ns ? due : never;
}

std::optional<publish_schedule::publish> publish_schedule::next(std::int64_t now_ns) {
  if (given_up_)
    return std::nullopt;
  if (!again_.empty()) {
    if ((!resending_ && open_ > 0) || now_ns < retry_at_ns_ || open_ >= plan_.flight)
      return std::nullopt;
    resending_ = true;
    auto x = again_.front();
    again_.pop_front();
    x.what.ref = ++last_ref_;
    x.what.again = true;
    ++x.tries;
    ++retried_;
    sent_.push_back(x);
    ++open_;
    return x.what;
  }
  resending_ = false;
  auto due = due_ns(now_ns);
  if (due > now_ns || open_ >= plan_.flight)
    return std::nullopt;
  sent x;
  x.what.conversation = turn_;
  x.what.number = ++numbers_[turn_];
  x.what.ref = ++last_ref_;
  x.what.due_ns = due;
  x.order = published_++;
  turn_ = (turn_ + 1) % static_cast<std::uint32_t>(numbers_.size());
  ++planned_;
  if (receipts_) {
    sent_.push_back(x);
    ++open_;
  }
  return x.what;
}

std::int64_t publish_schedule::next_ns(std::int64_t now_ns) const noexcept {
  if (given_up_ || open_ >= plan_.flight)
    return never;
  if (!again_.empty())
    return !resending_ && open_ > 0 ? never : retry_at_ns_;
  return due_ns(now_ns);
}

publish_schedule::sent* publish_schedule::find(std::uint64_t ref) noexcept {
  if (sent_.empty() || ref < sent_.front().what.ref || ref > sent_.back().what.ref)
    return nullptr;
  auto& x = sent_[static_cast<std::size_t>(ref - sent_.front().what.ref)];
  return x.open ? &x : nullptr;
}

void publish_schedule::forget_answered() {
  while (!sent_.empty() && !sent_.front().open)
    sent_.pop_front();
}

std::optional<publish_schedule::publish> publish_schedule::answered(std::uint64_t ref) {
  auto* x = find(ref);
  if (x == nullptr)
    return std::nullopt;
  x->open = false;
  --open_;
  refusals_in_row_ = 0;
  auto what = x->what;
  forget_answered();
  return what;
}

void publish_schedule::retry(const sent& x) {
  auto behind = std::upper_bound(again_.begin(), again_.end(), x.order,
                                 [](std::uint64_t a, const sent& b) { return a < b.order; });
  auto at = again_.insert(behind, x);
  at->open = true;
}

std::optional<publish_schedule::publish> publish_schedule::refused(std::uint64_t ref, bool again,
                                                                   std::int64_t now_ns) {
  auto* x = find(ref);
  if (x == nullptr)
    return std::nullopt;
  x->open = false;
  --open_;
  auto what = x->what;
  if (!again || x->tries >= tries_max) {
    given_up_ = true;
  } else {
    retry(*x);
    resending_ = false;
    // Those refused together wait once.
    auto wait = std::min(retry_ns_min << std::min(refusals_in_row_, 7U), retry_ns_max);
    if (now_ns >= retry_at_ns_)
      ++refusals_in_row_;
    retry_at_ns_ = std::max(retry_at_ns_, now_ns + wait);
  }
  forget_answered();
  return what;
}

void publish_schedule::disconnected() {
  for (const auto& x : sent_)
    if (x.open)
      retry(x);
  sent_.clear();
  open_ = 0;
  resending_ = false;
  retry_at_ns_ = 0;
  refusals_in_row_ = 0;
}

bool publish_schedule::finished(std::int64_t now_ns) const noexcept {
  return unanswered() == 0 && due_ns(now_ns) == never;
}

} // namespace confab::model
