// What travels over a link: conversations that follow, and conversations that are followed.
#include "actors/node_link.hpp"

#include <caf/send.hpp>

namespace confab::actors {

namespace {

/// Handles of conversations that are neither followed nor waited for; more are forgotten.
constexpr std::size_t served_max = 4096;
/// A slot lets go of entries beyond it: the follower's ring would not hold them either.
constexpr std::size_t slot_bytes_max = 1024 * 1024;
constexpr std::size_t slot_runs_max = 256;

} // namespace

void node_link_state::follow(const model::conversation_name& x, const follower_actor& who) {
  if (!end)
    return;
  following.insert_or_assign(x, who);
  records.emplace_back(net::wire::follow_record{x});
  due();
}

void node_link_state::unfollow(const model::conversation_name& x, const follower_actor& who) {
  auto i = following.find(x);
  if (i == following.end() || i->second != who)
    return; // its successor follows
  following.erase(i);
  records.emplace_back(net::wire::unfollow_record{x});
  due();
}

void node_link_state::append(const net::wire::append_record& x, const follower_actor& from) {
  // Whoever does not follow over this link has forwarded over the one before, too, and does not
  // know yet that it is down: it sends all of it again, in order, when it hears.
  auto i = following.find(x.name);
  if (i == following.end() || i->second != from)
    return;
  auto request = ++last_request;
  forwards.emplace(request, forwarded{from, x.request});
  auto& made = std::get<net::wire::append_record>(records.emplace_back(x));
  made.request = request;
  env->counted.link_drafts.add(x.drafts->drafts.size());
  due();
}

void node_link_state::take(const net::wire::answer_record& x) {
  auto i = forwards.find(x.request);
  if (i == forwards.end())
    return;
  auto [from, request] = std::move(i->second);
  forwards.erase(i);
  if (answers.empty() || answers.back().first != from)
    answers.emplace_back(std::move(from), append_answers{});
  answers.back().second.answers.push_back({request, x.got, x.state, x.producer_last});
}

void node_link_state::pass_answers() {
  for (auto& [to, all] : std::exchange(answers, {}))
    self->send(to, atom::receipts::value, std::move(all));
}

void node_link_state::take(const net::wire::announcement_record& x) {
  if (auto i = following.find(*x.name); i != following.end())
    self->send(i->second, atom::announce::value,
               std::make_shared<const net::wire::announcement_record>(x));
}

void node_link_state::take(const net::wire::lease_record& x) {
  self->send(listener, atom::lease::value, how.other, x.held);
}

void node_link_state::take(const net::wire::unfollow_record& x) {
  auto i = serving.find(x.name);
  if (i == serving.end())
    return;
  i->second.followed = false;
  if (auto to = std::exchange(i->second.followed_at, nullptr))
    self->send(to, atom::unfollow::value, link_actor{self});
}

void node_link_state::take(const net::wire::wake_record& x) {
  // Here, whoever is home: so a wake-up never goes in circles. CAF's member of that name would name
  // this actor as the sender, who would then get the answer.
  caf::anon_send(directory, atom::wake_up::value, x.name);
}

void node_link_state::serve(const model::conversation_name& x) {
  serving[x].followed = true;
  with(x, [this, x](const conversation_actor& to) {
    auto& its = serving[x];
    if (!its.followed)
      return;
    its.followed_at = to;
    auto answered = [this, x, to](bool follows) {
      auto i = serving.find(x);
      if (follows || i == serving.end() || i->second.followed_at != to)
        return;
      i->second.followed_at = nullptr;
      forget(x);
      serve(x);
    };
    self->request(to, caf::infinite, atom::follow::value, link_actor{self})
        .then(answered, [answered](const caf::error&) { answered(false); });
  });
}

void node_link_state::take(const net::wire::append_record& x) {
  auto request = ++last_append;
  publication what{.request = request,
                   .drafts = x.drafts,
                   .retried = x.retried,
                   .connection = client_actor{self},
                   .copies = std::nullopt,
                   .forwarded = true};
  appends.emplace(request, appending{x.name, std::move(what), x.request});
  serving[x.name].order.add(request);
  pass_appends(x.name);
}

void node_link_state::pass_appends(const model::conversation_name& x) {
  with(x, [this, x](const conversation_actor& to) {
    for (auto request : serving[x].order.due(to))
      self->send(to, atom::append::value, appends.at(request).what);
  });
}

void node_link_state::receipts(const append_answers& x) {
  for (const auto& y : x.answers) {
    auto i = appends.find(y.request);
    if (i == appends.end())
      continue; // the link was down in between
    auto moved = !y.got && y.got.why().what == model::code::moved;
    if (moved)
      forget(i->second.name);
    auto& order = serving[i->second.name].order;
    order.back(y.request, moved);
    if (order.ready())
      pass_appends(i->second.name);
    if (moved)
      continue;
    records.emplace_back(
        net::wire::answer_record{i->second.request, y.got, y.state, y.producer_last});
    appends.erase(i);
  }
  due();
}

void node_link_state::announce(const announcement& x) {
  if (!end)
    return;
  auto [i, is_new] = slots.try_emplace(*x->name);
  auto& its = i->second;
  if (is_new)
    slot_order.push_back(*x->name);
  if (!is_new && its.newest->state.epoch != x->state.epoch)
    its.runs.clear(); // they are of a log that is no more
  its.newest = x;
  for (const auto& run : x->newest) {
    its.runs.push_back(run);
    its.bytes += run->bytes();
  }
  if (its.bytes > slot_bytes_max || its.runs.size() > slot_runs_max) {
    its.runs.clear();
    its.bytes = 0;
  }
  if (unacknowledged_bytes < how.window_bytes)
    due();
}

void node_link_state::with(const model::conversation_name& x, task what) {
  auto& its = serving[x];
  if (its.actor && its.waiting.empty())
    return what(conversation_actor{its.actor});
  its.waiting.push_back(std::move(what));
  if (its.waiting.size() > 1)
    return;
  auto found = [this, x](const conversation_actor& actor) {
    auto i = serving.find(x);
    if (i == serving.end())
      return; // the link was down in between
    i->second.actor = actor;
    for (auto& each : std::exchange(i->second.waiting, {}))
      each(actor);
    forget_some();
  };
  self->request(directory, caf::infinite, atom::lookup::value, x)
      // The directory ends with the process only.
      .then(found, [this, x](const caf::error&) { serving.erase(x); });
}

void node_link_state::forget(const model::conversation_name& x) {
  if (auto i = serving.find(x); i != serving.end() && i->second.waiting.empty())
    i->second.actor = nullptr;
}

void node_link_state::forget_some() {
  if (serving.size() <= served_max + following.size())
    return;
  std::erase_if(serving, [](const auto& x) {
    return !x.second.followed && x.second.waiting.empty() && x.second.order.idle();
  });
}

} // namespace confab::actors
