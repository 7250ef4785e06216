#include "simulation/naive_follower.hpp"

#include "net/wire/formats.hpp"

namespace confab::test {

naive_follower::naive_follower(std::uint32_t seed, defect planted)
  : planted_{planted}, random_{seed}, name_{*model::conversation_name::parse("room/a")} {
  truth_.pick = [this](unsigned n) { return pick(n); };
  store::options options;
  options.directory = ":memory:";
  store_ = std::move(*store::open(options));
  writer_ = truth_.watch(store_->writer());
  reader_ = truth_.watch(std::move(*store_->reader()));
  for (auto n = 1 + pick(4); n > 0; --n)
    append();
  inbox_.clear();
}

std::string naive_follower::run() {
  for (int i = 0; i < 60; ++i)
    switch (pick(6)) {
    case 0:
      append();
      break;
    case 1:
      ask();
      break;
    case 2:
      take_announcement();
      break;
    case 3:
      take_page();
      break;
    case 4:
      refill(pick(300));
      break;
    default:
      flush();
    }
  ask();
  capacity_ = std::size_t{1} << 30;
  for (int i = 0; i < 40; ++i) {
    take_announcement();
    take_page();
    refill(0);
    flush();
  }
  witness_.quiet();
  return witness_.fault();
}

void naive_follower::append() {
  const auto* log = truth_.current(name_.text());
  auto state = log == nullptr ? model::log_state{} : log->state();
  auto made = std::make_shared<store::append>();
  made->entries.push_back({.at = state.tail.next(),
                           .id = model::next_id(state.tail_id, 1000),
                           .time_ms = 1000,
                           .sender = "a",
                           .kind = "message",
                           .payload = std::to_string(state.tail.value),
                           .producer = "p",
                           .producer_seq = state.tail.value + 1,
                           .message = {},
                           .source_id = {}});
  store::chain chain{.name = name_, .epoch = state.epoch, .appends = {made}};
  const auto* pointer = &chain;
  auto done = writer_->commit(std::span{&pointer, 1}, 1000).front();
  // Entries are a convenience: they may be lost on the way, states may not.
  inbox_.push_back({done.state, {}});
  if (planted_ == defect::subscribe_then_history || pick(4) > 0)
    inbox_.back().entries = made->entries;
}

void naive_follower::ask() {
  if (std::exchange(asked_, true))
    return;
  witness_.subscribes("1", name_.text(),
                      {.from = {.what = model::after::form::start}, .epoch = {}, .id = {}}, {});
  state_ = truth_.current(name_.text())->state();
  if (planted_ == defect::history_then_subscribe) {
    page_ = *reader_->page(name_, {1}, {1000});
    return;
  }
  register_at({});
  if (planted_ == defect::subscribe_then_history)
    page_ = *reader_->page(name_, {1}, {1000});
}

/// From here on announcements are heard; what was announced before is over.
void naive_follower::register_at(model::seq at) {
  registered_ = true;
  inbox_.clear();
  if (at > at_)
    at_ = at;
  if (!std::exchange(told_, true)) {
    std::string frame;
    net::wire::add_subscribed(
        frame, {.ref = "1", .name = name_, .feed = nullptr, .state = state_, .from = {}});
    send(frame);
  }
}

void naive_follower::take_announcement() {
  if (inbox_.empty() || !registered_)
    return;
  auto x = std::move(inbox_.front());
  inbox_.pop_front();
  if (planted_ == defect::subscribe_then_history) {
    state_ = x.state;
    for (const auto& e : x.entries)
      push(e);
    return;
  }
  auto dense = !x.entries.empty() && x.entries.front().at == state_.tail.next();
  if (!dense && planted_ != defect::ring_ignores_holes)
    ring_.clear();
  if (dense || planted_ == defect::ring_ignores_holes)
    ring_.insert(ring_.end(), x.entries.begin(), x.entries.end());
  state_ = x.state;
}

void naive_follower::take_page() {
  if (!page_)
    return;
  auto x = std::move(*page_);
  page_.reset();
  page_asked_ = false;
  if (planted_ == defect::history_then_subscribe && !registered_) {
    state_ = x.state;
    std::string frame;
    told_ = true;
    net::wire::add_subscribed(
        frame, {.ref = "1", .name = name_, .feed = nullptr, .state = state_, .from = {}});
    send(frame);
    for (const auto& e : x.entries)
      push(e);
    // Now for the live ones: from the tail, since the history has just been sent.
    state_ = truth_.current(name_.text())->state();
    return register_at(state_.tail);
  }
  for (const auto& e : x.entries)
    if (planted_ == defect::subscribe_then_history || e.at == at_.next())
      push(e);
}

void naive_follower::flush() {
  if (!registered_ || planted_ == defect::subscribe_then_history)
    return;
  while (at_ < state_.tail) {
    if (!rest_.empty() || capacity_ == 0) {
      if (planted_ == defect::skips_when_full)
        at_ = state_.tail;
      return;
    }
    while (!ring_.empty() && ring_.front().at <= at_)
      ring_.pop_front();
    auto held = !ring_.empty() &&
                (ring_.front().at == at_.next() || planted_ == defect::ring_ignores_holes);
    if (!held) {
      if (!std::exchange(page_asked_, true))
        page_ = *reader_->page(name_, at_.next(), {1000});
      return;
    }
    push(ring_.front());
  }
  if (rest_.empty() && capacity_ > 0 && !std::exchange(live_, true)) {
    std::string frame;
    net::wire::websocket_format().add_live(frame, name_, {state_.epoch, at_, {}});
    send(frame);
  }
}

void naive_follower::push(const model::entry& x) {
  std::string frame;
  net::wire::websocket_format().add_entry(frame, name_, state_.epoch, x);
  send(frame);
  at_ = x.at;
}

void naive_follower::send(std::string_view bytes) {
  auto n = rest_.empty() ? std::min(bytes.size(), capacity_) : 0;
  capacity_ -= n;
  frames_.take(bytes.substr(0, n), [this](int, std::string_view text) { witness_.told(text); });
  rest_.append(bytes.substr(n));
}

void naive_follower::refill(std::size_t bytes) {
  capacity_ += bytes;
  send(std::exchange(rest_, {}));
}

} // namespace confab::test
