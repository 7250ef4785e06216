// A conversation among those of other nodes: it follows its home, or is followed (DESIGN §8).
#include "actors/conversation.hpp"

namespace confab::actors {

void conversation_state::placed(const cluster_view_ptr& x) {
  view = x;
  auto way = x->way_home(*of);
  watch_growth();
  if (way == home || leaving)
    return;
  if (home)
    self->send(home, atom::unfollow::value, *of, caf::actor_cast<follower_actor>(self));
  home = way;
  if (home)
    self->send(home, atom::follow::value, *of, caf::actor_cast<follower_actor>(self));
  else
    wake_up();       // whoever was home may have appended what was not told here
  speak_of_growth(); // and may not have published it
  // Whether the home before has appended them is not known: their numbers tell the next one.
  for (auto& [request, draft] : std::exchange(forwards, {})) {
    draft.retried = true;
    draft.log_read = draft.producer_read = false;
    publish(draft);
  }
  run_controls();
  if (in_flight.empty())
    release_held();
}

void conversation_state::forward(const publication& x) {
  auto request = ++last_forward;
  self->send(home, atom::append::value, net::wire::append_record{request, *of, x.retried, x.drafts},
             caf::actor_cast<follower_actor>(self));
  forwards.emplace(request, kept(x));
}

void conversation_state::receipts(const append_answers& x) {
  answer_batches answers;
  auto refused = false;
  for (const auto& y : x.answers) {
    auto i = forwards.find(y.request);
    if (i == forwards.end())
      continue; // it was sent elsewhere since
    if (y.got)
      producers.taken(*i->second.drafts);
    else
      producers.refused(*i->second.drafts, y.got.why());
    refused = refused || !y.got;
    answers.add(i->second, {i->second.request, y.got, y.state, y.producer_last});
    forwards.erase(i);
  }
  answers.send(self);
  // If they are sent to another home before that comes again, it may know nothing of it.
  if (refused)
    for (auto& [request, other] : forwards)
      other.behind = producers.awaited(*other.drafts);
  if (!forwards.empty())
    return;
  run_controls();
  release_held();
  watch_idleness();
}

void conversation_state::announced(const announcement& x) {
  if (leaving || opening || broken)
    return; // what is opened is read from the log
  if (x->state.epoch != state.epoch) {
    // The log itself tells which one it is, and what else has changed with it.
    if (in_flight.empty())
      wake_up();
    return;
  }
  auto now = state;
  now.first = std::max(now.first, x->state.first);
  if (x->state.tail >= state.tail) {
    now.tail = x->state.tail;
    now.tail_id = x->state.tail_id;
    now.life = std::max(now.life, x->state.life);
  }
  if (now == state)
    return;
  state = now;
  place_again();
  announce(x->newest);
}

bool conversation_state::follow(const link_actor& x) {
  if (leaving)
    return false;
  last_use = self->clock().now();
  followers.insert(x);
  if (!broken)
    self->send(x, atom::announce::value, announcement_of({}));
  wake_up();
  return true;
}

void conversation_state::unfollow(const link_actor& x) {
  followers.erase(x);
  watch_idleness();
}

void conversation_state::tell_followers(const std::vector<model::run_ptr>& newest) {
  if (followers.empty())
    return;
  auto told = announcement_of(newest);
  for (const auto& x : followers)
    self->send(x, atom::announce::value, told);
}

announcement conversation_state::announcement_of(const std::vector<model::run_ptr>& newest) const {
  return std::make_shared<const net::wire::announcement_record>(
      net::wire::announcement_record{of, state, newest});
}

} // namespace confab::actors
