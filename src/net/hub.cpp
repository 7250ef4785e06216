#include "net/hub.hpp"

#include <algorithm>
#include <cassert>

namespace confab::net {

namespace {

/// Between attempts to read a page again: 0.25 s, 1 s; the third failure ends the subscription.
std::int64_t backoff_ms(std::uint32_t failures) {
  return failures <= 1 ? 250 : 1000;
}

constexpr std::uint32_t failures_max = 3;

/// Sockets that catch up get a turn, so many per pass, behind those that are live: 1 MiB, well
/// below a millisecond.
constexpr std::size_t replays_max = 16;

} // namespace

hub_feed::hub_feed(net::hub& owner, model::conversation_name name, model::ring_limits limits)
  : feed{std::make_shared<const model::conversation_name>(std::move(name)), limits}, owner_{owner} {
}

hub::hub(hub_limits limits, net::pages& from, std::function<void()> wake)
  : limits_{limits}, pages_{from}, wake_{std::move(wake)}, wheel_(wheel_slots) {}

hub::~hub() {
  assert(sessions_.empty());
}

template <class Add>
void hub::deposit(Add add) {
  bool wake;
  {
    std::lock_guard lock{inbox_mutex_};
    add();
    wake = !std::exchange(scheduled_, true);
  }
  if (wake)
    wake_();
}

std::shared_ptr<hub_feed> hub::open_feed(const model::conversation_name& name,
                                         const model::log_state& state) {
  auto x = std::make_shared<hub_feed>(*this, name, limits_.ring);
  announce(x, state, {});
  return x;
}

void hub::announce(const std::shared_ptr<hub_feed>& to, const model::log_state& state,
                   std::span<const model::run_ptr> newest) {
  deposit([&] {
    to->posted_ = state;
    for (const auto& x : newest) {
      to->posted_runs_.push_back(x);
      to->posted_bytes_ += x->bytes();
    }
    // A thread that does not get to its passes keeps the state and lets go of the entries: they are
    // in the log.
    if (to->posted_bytes_ > limits_.ring.bytes_max ||
        to->posted_runs_.size() > limits_.ring.entries_max) {
      to->posted_runs_.clear();
      to->posted_bytes_ = 0;
    }
    if (!std::exchange(to->queued_, true))
      inbox_feeds_.push_back(to);
  });
}

void hub::post(std::uint64_t session, event x) {
  deposit([&] { inbox_events_.emplace_back(session, std::move(x)); });
}

void hub::post(std::uint64_t session, std::vector<event> xs) {
  deposit([&] {
    for (auto& x : xs)
      inbox_events_.emplace_back(session, std::move(x));
  });
}

void hub::page_arrived(page_arrival x) {
  deposit([&] { inbox_pages_.push_back(std::move(x)); });
}

void hub::pass() {
  std::vector<std::shared_ptr<hub_feed>> feeds;
  std::vector<std::pair<std::uint64_t, event>> events;
  std::vector<page_arrival> arrivals;
  {
    std::lock_guard lock{inbox_mutex_};
    scheduled_ = false;
    feeds.swap(inbox_feeds_);
    events.swap(inbox_events_);
    arrivals.swap(inbox_pages_);
  }
  counters_.passes.add();
  in_pass_ = true;
  take_announcements(feeds);
  for (auto& [id, x] : events)
    if (auto to = sessions_.find(id); to != sessions_.end()) {
      auto held = to->second; // it may end itself
      held->take(x);
    }
  for (auto& x : arrivals)
    take_page(x);
  flush_touched();
  in_pass_ = false;
  if (pages_.budget().over())
    shed();
}

void hub::take_announcements(std::vector<std::shared_ptr<hub_feed>>& feeds) {
  for (auto& x : feeds) {
    model::log_state state;
    std::vector<model::run_ptr> runs;
    {
      std::lock_guard lock{inbox_mutex_};
      x->queued_ = false;
      state = x->posted_;
      runs.swap(x->posted_runs_);
      x->posted_bytes_ = 0;
    }
    x->announced(state, runs);
    if (x->listed_)
      feeds_.splice(feeds_.end(), feeds_, x->used_);
    for (auto* f : x->followers_) {
      f->owner->make_ready(*f);
      touch(static_cast<member&>(*f->owner));
    }
  }
}

void hub::take_page(page_arrival& x) {
  auto& feed = *x.feed;
  std::vector<model::follower*> due;
  std::erase_if(feed.waiting_, [&](model::follower* f) {
    if (f->awaited != x.from)
      return false;
    due.push_back(f);
    return true;
  });
  if (due.empty())
    return;
  using verdict = model::page_verdict;
  auto usable = x.verdict == verdict::good || x.verdict == verdict::trimmed;
  // Of a log that was replaced while it was read: the followers find out by themselves what they
  // need now.
  auto outlived = usable && x.state.epoch != feed.state().epoch;
  if (!outlived && x.verdict == verdict::trimmed)
    feed.trimmed(x.state.first);
  if (!outlived && x.held) {
    feed.offer_page(x.held);
    feed.fresh_ = x.held;
  }
  bool again = false;
  for (auto* f : due) {
    auto& to = static_cast<member&>(*f->owner);
    auto held = to.shared_from_this(); // a flush may end it
    // A page of another time is no failure: the state that explains it is on its way.
    f->failures = usable ? 0 : f->failures + (x.failure ? 1 : 0);
    if (f->failures >= failures_max) {
      f->awaited = {};
      to.failed(*f, x.failure.value_or(model::error{model::code::read_failed,
                                                    "the log of " + feed.name()->text() +
                                                        " could not be read; subscribe again"}));
      continue;
    }
    if (!usable) {
      feed.waiting_.push_back(f);
      again = true;
      continue;
    }
    f->awaited = {};
    to.make_ready(*f);
    // Now, while the page is at hand: a socket that blocks keeps its position, not the page.
    to.flush();
  }
  feed.fresh_.reset();
  if (again)
    retries_.push_back({x.feed, x.from, now_ms_ + backoff_ms(feed.waiting_.back()->failures)});
}

void hub::flush_touched() {
  // Those who touch themselves again while they are flushed have more to send: they form the next
  // pass, so that other sockets' readiness is looked at in between.
  flushing_.swap(touched_);
  auto turns = again_.begin() + static_cast<std::ptrdiff_t>(std::min(again_.size(), replays_max));
  flushing_.insert(flushing_.end(), again_.begin(), turns);
  again_.erase(again_.begin(), turns);
  // By index: a flush may end a session, which then leaves a null here.
  for (std::size_t i = 0; i < flushing_.size(); ++i) {
    // Each socket's state lies elsewhere, and a send has pushed it out of the cache since the last
    // pass.
    if (i + 4 < flushing_.size() && flushing_[i + 4])
      flushing_[i + 4]->prefetch();
    if (i + 2 < flushing_.size() && flushing_[i + 2])
      flushing_[i + 2]->prefetch_ready();
    if (auto* x = std::exchange(flushing_[i], nullptr)) {
      x->touched_ = false;
      counters_.flushes.add();
      x->flush();
    }
  }
  flushing_.clear();
  if (!touched_.empty() || !again_.empty())
    wake_up();
}

void hub::shed() {
  pages_.shed();
  for (auto i = feeds_.begin(); i != feeds_.end() && pages_.budget().over(); ++i)
    (*i)->drop_ring();
}

model::run_ptr hub::page_for(model::follower& who, model::seq at) {
  auto& feed = static_cast<hub_feed&>(*who.from);
  if (feed.fresh_ && feed.fresh_->holds(at))
    return feed.fresh_;
  if (auto held = pages_.find(*feed.name(), feed.state().epoch, at))
    return held;
  who.awaited = at;
  feed.waiting_.push_back(&who);
  pages_.want(std::static_pointer_cast<hub_feed>(who.from), at, feed.state());
  return nullptr;
}

void hub::follow(model::follower& x) {
  auto& feed = static_cast<hub_feed&>(*x.from);
  x.place = static_cast<std::uint32_t>(feed.followers_.size());
  feed.followers_.push_back(&x);
  counters_.subscriptions.add();
  if (!std::exchange(feed.listed_, true))
    feed.used_ = feeds_.insert(feeds_.end(), &feed);
  x.owner->make_ready(x);
  touch(static_cast<member&>(*x.owner));
}

void hub::unfollow(model::follower& x) {
  auto& feed = static_cast<hub_feed&>(*x.from);
  assert(feed.followers_[x.place] == &x);
  feed.followers_[x.place] = feed.followers_.back();
  feed.followers_[x.place]->place = x.place;
  feed.followers_.pop_back();
  counters_.subscriptions.take_back();
  if (x.awaited != model::seq{})
    std::erase(feed.waiting_, &x);
  x.owner->forget(x);
  if (feed.followers_.empty()) {
    feeds_.erase(feed.used_);
    feed.listed_ = false;
    feed.drop_ring();
  }
}

void hub::touch(member& x) {
  if (std::exchange(x.touched_, true))
    return;
  touched_.push_back(&x);
  if (!in_pass_)
    wake_up();
}

void hub::touch_again(member& x) {
  if (std::exchange(x.touched_, true))
    return;
  again_.push_back(&x);
  if (!in_pass_)
    wake_up();
}

void hub::forget(member& x) {
  for (auto* list : {&touched_, &again_, &flushing_})
    std::replace(list->begin(), list->end(), &x, static_cast<member*>(nullptr));
}

void hub::wake_up() {
  deposit([] {});
}

std::uint64_t hub::add(std::shared_ptr<session> x) {
  auto id = next_session_++;
  x->id = id;
  sessions_.emplace(id, std::move(x));
  schedule(id, now_ms_ + 1000);
  return id;
}

void hub::remove(std::uint64_t id) {
  sessions_.erase(id);
}

void hub::for_each(const std::function<void(session&)>& f) {
  std::vector<std::shared_ptr<session>> all;
  all.reserve(sessions_.size());
  for (auto& [id, x] : sessions_)
    all.push_back(x);
  for (auto& x : all)
    f(*x);
}

void hub::schedule(std::uint64_t id, std::int64_t at_ms) {
  auto second = std::clamp(at_ms / 1000 + 1, wheel_second_ + 1, wheel_second_ + wheel_slots - 1);
  wheel_[static_cast<std::size_t>(second % wheel_slots)].push_back(id);
}

void hub::tick(std::int64_t now_ms) {
  now_ms_ = now_ms;
  if (wheel_second_ < 0)
    wheel_second_ = now_ms / 1000 - 1;
  while (wheel_second_ < now_ms / 1000) {
    ++wheel_second_;
    std::vector<std::uint64_t> due;
    due.swap(wheel_[static_cast<std::size_t>(wheel_second_ % wheel_slots)]);
    for (auto id : due)
      if (auto i = sessions_.find(id); i != sessions_.end()) {
        auto held = i->second;
        if (auto next = held->due(now_ms); next > 0)
          schedule(id, next);
      }
  }
  std::vector<retry> later;
  for (auto& x : std::exchange(retries_, {})) {
    if (x.due_ms > now_ms) {
      later.push_back(std::move(x));
      continue;
    }
    auto feed = x.feed.lock();
    if (!feed)
      continue;
    // What each needs is decided anew: its place or the log may have changed meanwhile.
    std::erase_if(feed->waiting_, [&](model::follower* f) {
      if (f->awaited != x.from)
        return false;
      f->awaited = {};
      f->owner->make_ready(*f);
      touch(static_cast<member&>(*f->owner));
      return true;
    });
  }
  retries_.insert(retries_.end(), later.begin(), later.end());
  flush_touched();
}

} // namespace confab::net
