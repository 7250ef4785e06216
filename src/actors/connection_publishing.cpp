// A connection's drafts: numbered, sent, sent again where that is safe, answered by their deadline.
#include "actors/connection.hpp"

#include "model/producers.hpp"
#include "net/hub.hpp"

#include <algorithm>
#include <cassert>

namespace confab::actors {

namespace {

/// Granularity of deadlines, and how long an unknown outcome is left alone before it is asked for
/// again.
constexpr std::chrono::milliseconds tick_period{250};
/// Conversations, and producers of each, whose refused drafts are remembered; of more, not all are.
constexpr std::size_t refused_max = 64;

/// Whether an earlier number of its producer is going to be sent again.
template <class Drafts, class Draft>
bool waits_for_another(const Drafts& all, const Draft& x) {
  const auto& its = *x.drafts;
  if (model::internal_producer(its.producer))
    return false;
  return std::any_of(all.begin(), all.end(), [&](const auto& other) {
    if (other.second.retry_at == caf::actor_clock::time_point::max())
      return false;
    const auto& batch = *other.second.drafts;
    return batch.producer == its.producer && batch.producer_epoch == its.producer_epoch &&
           batch.producer_seq < its.producer_seq && other.second.what.name == x.what.name;
  });
}

} // namespace

void connection_state::handle(const net::publish_command& x) {
  auto& k = know(x.name);
  auto batch = x.drafts;
  if (batch->producer.empty()) {
    auto numbered = std::make_shared<model::batch>(*batch);
    numbered->producer =
        '~' + env->incarnation + ':' + std::to_string(id.value) + ':' + std::to_string(k.producer);
    numbered->producer_seq = ++k.drafts;
    batch = std::move(numbered);
  }
  ++k.unanswered;
  auto now = self->clock().now();
  auto request = ++last_number;
  unanswered made{x, std::move(batch),
                  now + std::chrono::milliseconds{env->at_most.publish_deadline_ms},
                  caf::actor_clock::time_point::max()};
  if (auto its = refused.find(x.name); its != refused.end()) {
    made.behind = its->second.before(*made.drafts);
    some_behind = some_behind || made.behind;
    its->second.comes(*made.drafts);
    if (its->second.empty())
      refused.erase(its);
  }
  drafts.emplace(request, std::move(made));
  send_draft(request);
  watch_deadlines();
}

void connection_state::send_draft(std::uint64_t request) {
  const auto& of_name = drafts.at(request).what.name;
  know(of_name).order.add(request);
  send_due(of_name);
}

void connection_state::send_due(const model::conversation_name& of_name) {
  auto& k = know(of_name);
  if (k.actor && k.waiting.empty())
    return send_due(k.order, conversation_actor{k.actor});
  with(of_name,
       [this, of_name](const conversation_actor& to) { send_due(know(of_name).order, to); });
}

void connection_state::send_due(model::draft_order<conversation_actor>& order,
                                const conversation_actor& to) {
  for (auto request : order.due(to)) {
    auto i = drafts.find(request);
    if (i == drafts.end()) {
      order.back(request, false); // its deadline came first
      continue;
    }
    auto& x = i->second;
    // In a log that knows nothing of its producer it would be taken for the first one.
    if (retrying && waits_for_another(drafts, x)) {
      x.retry_at = self->clock().now() + tick_period;
      order.back(request, false);
      continue;
    }
    x.sent = true;
    publication what{request, x.drafts, x.sends++ > 0, client_actor{self}};
    what.behind = x.behind;
    self->send(to, atom::append::value, std::move(what));
  }
}

void connection_state::came_back(std::uint64_t request, unanswered& x, bool moved) {
  x.sent = false;
  if (moved)
    forget(x.what.name);
  auto& order = know(x.what.name).order;
  order.back(request, moved);
  if (order.ready())
    send_due(x.what.name);
}

void connection_state::note_refusal(const unanswered& x, const model::error& why) {
  if (model::internal_producer(x.drafts->producer))
    return;
  auto i = refused.find(x.what.name);
  if (i == refused.end()) {
    if (refused.size() >= refused_max)
      refused.erase(refused.begin());
    i = refused.try_emplace(x.what.name, refused_max).first;
  }
  i->second.refused(*x.drafts, why);
  for (auto& [request, other] : drafts)
    if (other.what.name == x.what.name)
      if (auto first = i->second.before(*other.drafts)) {
        other.behind = first;
        some_behind = true;
      }
}

void connection_state::note_receipt(const unanswered& x) {
  const auto& batch = *x.drafts;
  model::producer_number taken{batch.producer_epoch, batch.producer_seq};
  if (auto i = refused.find(x.what.name); i != refused.end()) {
    i->second.taken(batch.producer, taken);
    if (i->second.empty())
      refused.erase(i);
  }
  if (!some_behind)
    return;
  some_behind = false;
  for (auto& [request, other] : drafts) {
    if (other.behind && *other.behind <= taken && other.drafts->producer == batch.producer &&
        other.what.name == x.what.name)
      other.behind.reset();
    some_behind = some_behind || other.behind;
  }
}

void connection_state::receipts(const append_answers& x) {
  std::vector<net::event> events;
  for (const auto& [request, got, state, producer_last] : x.answers) {
    auto i = drafts.find(request);
    assert(i != drafts.end() && i->second.sent);
    auto& draft = i->second;
    auto moved = !got && got.why().what == model::code::moved;
    // One that came before it is on its way again: it is no gap of the client's.
    auto overtook = !got && got.why().what == model::code::producer_gap && follows_another(draft);
    auto comes_again = overtook || (!got && got.why().what == model::code::append_unknown);
    if (comes_again) {
      draft.retry_at = self->clock().now() + tick_period;
      retrying = true;
    }
    if (got)
      note_receipt(draft);
    else if (!moved)
      note_refusal(draft, got.why());
    came_back(request, draft, moved);
    if (moved || comes_again)
      continue;
    auto bytes = draft.what.drafts->bytes();
    auto whose = std::move(draft.what);
    auto told = draft.given_up;
    --know(whose.name).unanswered;
    drafts.erase(i);
    if (told)
      continue;
    if (got) {
      events.emplace_back(net::published_event{std::move(whose.ref), std::move(whose.name), *got,
                                               bytes, state, producer_last});
    } else {
      env->counted.refused_appends.add(got.why().what);
      events.emplace_back(net::failed_event{std::move(whose.ref), std::move(whose.name), got.why(),
                                            bytes, false, state});
    }
  }
  if (!events.empty() && !ended)
    session.hub->post(session.id, std::move(events));
}

bool connection_state::follows_another(const unanswered& x) const {
  const auto& its = *x.drafts;
  return std::any_of(drafts.begin(), drafts.end(), [&](const auto& other) {
    const auto& batch = *other.second.drafts;
    return batch.producer == its.producer && batch.producer_epoch == its.producer_epoch &&
           batch.producer_seq < its.producer_seq && other.second.what.name == x.what.name;
  });
}

void connection_state::watch_deadlines() {
  if (ticking || drafts.empty())
    return;
  ticking = true;
  self->delayed_send(self, tick_period, atom::tick::value);
}

void connection_state::tick() {
  ticking = false;
  auto now = self->clock().now();
  std::vector<std::uint64_t> again;
  retrying = false;
  for (auto i = drafts.begin(); i != drafts.end();) {
    auto at = i++;
    auto& x = at->second;
    if (now >= x.deadline && !std::exchange(x.given_up, true)) {
      model::error why{
          model::code::append_unknown,
          "the log did not answer within " + std::to_string(env->at_most.publish_deadline_ms) +
              " ms; whether the entry was appended is unknown" +
              (x.what.drafts->producer.empty()
                   ? std::string{}
                   : std::string{", and publishing it again with the same producer_seq is safe"})};
      note_refusal(x, why);
      env->counted.refused_appends.add(why.what);
      fail(x.what.ref, x.what.name, std::move(why), x.what.drafts->bytes());
    }
    if (x.given_up && !x.sent) {
      --know(x.what.name).unanswered;
      drafts.erase(at);
      continue;
    }
    retrying = retrying || x.retry_at != caf::actor_clock::time_point::max();
    if (now >= x.retry_at) {
      x.retry_at = caf::actor_clock::time_point::max();
      again.push_back(at->first);
    }
  }
  for (auto request : again)
    send_draft(request);
  watch_deadlines();
}

} // namespace confab::actors
