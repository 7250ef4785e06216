#include "net/hub.hpp"

namespace confab::net {

member::~member() {
  unfollow_all();
  if (touched_)
    hub_.forget(*this);
}

void member::flush() {
  if (blocked_ || cut_)
    return;
  if (watch_flushes_)
    turn();
  auto& gathered = hub_.scratch();
  gather(gathered, hub_);
  if (!gathered.pieces().empty()) {
    auto done = send(gathered.pieces());
    if (done.what == send_outcome::kind::failed)
      return cut();
    hub_.count().sent_bytes.add(done.bytes);
    auto all = done.what == send_outcome::kind::sent && sent(gathered, done.bytes);
    if (!all) {
      blocked_ = true;
      wait_writable();
    } else if (gathered.pieces().size() >= model::gathering::pieces_max ||
               gathered.bytes() >= model::gathering::bytes_max) {
      hub_.touch_again(*this); // more is due; others have their turn first
    }
  }
  if (watch_flushes_)
    flushed();
}

void member::count(const model::error& why) noexcept {
  hub_.count().errors.add(why.what);
}

void member::writable() {
  blocked_ = false;
  flush();
}

model::follower& member::follow(const subscribed_event& x, const model::wire_format& format) {
  unfollow(*x.feed->name());
  if (x.feed->state().epoch == x.state.epoch)
    x.feed->trimmed(x.state.first);
  auto& added = *followers_.emplace_back(std::make_unique<model::follower>(
      x.feed, model::subscription{x.state.epoch, x.from.at, x.from.reset}, format, *this));
  added.number = x.subscription;
  hub_.follow(added);
  return added;
}

void member::unfollow(const model::conversation_name& name) {
  for (auto i = followers_.begin(); i != followers_.end(); ++i)
    if (*(*i)->from->name() == name) {
      hub_.unfollow(**i);
      followers_.erase(i);
      return;
    }
}

void member::unfollow_all() {
  for (auto& x : followers_)
    hub_.unfollow(*x);
  followers_.clear();
}

model::follower* member::find(const model::conversation_name& name) const noexcept {
  for (const auto& x : followers_)
    if (*x->from->name() == name)
      return x.get();
  return nullptr;
}

} // namespace confab::net
