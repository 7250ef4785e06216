// A connection's drafts: numbered, sent, sent again where that is safe, answered by their deadline.
#include "actors/connection.hpp"

#include "model/producers.hpp"
#include "net/hub.hpp"

#include <algorithm>

namespace confab::actors {

namespace {

/// Granularity of deadlines, and how long an unknown outcome is left alone before it is asked for
/// again.
constexpr std::chrono::milliseconds tick_period{250};

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
  drafts.emplace(request,
                 unanswered{x, std::move(batch),
                            now + std::chrono::milliseconds{env->at_most.publish_deadline_ms},
                            caf::actor_clock::time_point::max()});
  send_draft(request);
  watch_deadlines();
}

void connection_state::send_draft(std::uint64_t request) {
  auto i = drafts.find(request);
  if (i == drafts.end())
    return;
  // In a log that knows nothing of its producer it would be taken for the first one.
  if (retrying && waits_for_another(drafts, i->second)) {
    i->second.retry_at = self->clock().now() + tick_period;
    return;
  }
  with(i->second.what.name, [this, request](const conversation_actor& to) {
    auto j = drafts.find(request);
    if (j == drafts.end())
      return; // its deadline came first
    auto& x = j->second;
    x.retry_at = caf::actor_clock::time_point::max();
    self->send(to, atom::append::value,
               publication{request, x.drafts, x.sends++ > 0, client_actor{self}});
  });
}

void connection_state::receipts(const append_answers& x) {
  std::vector<net::event> events;
  for (const auto& [request, got, state, producer_last] : x.answers) {
    auto i = drafts.find(request);
    if (i == drafts.end())
      continue; // answered by its deadline
    auto& draft = i->second;
    const auto& of_name = draft.what.name;
    if (!got && got.why().what == model::code::moved) {
      forget(of_name);
      send_draft(request);
      continue;
    }
    // One that came before it is on its way again: it is no gap of the client's.
    auto overtook = !got && got.why().what == model::code::producer_gap && follows_another(draft);
    if (overtook || (!got && got.why().what == model::code::append_unknown)) {
      draft.retry_at = self->clock().now() + tick_period;
      retrying = true;
      continue;
    }
    auto bytes = draft.what.drafts->bytes();
    --know(of_name).unanswered;
    auto& [ref, name_of_it, batch] = draft.what;
    if (got) {
      events.emplace_back(net::published_event{std::move(ref), std::move(name_of_it), *got, bytes,
                                               state, producer_last});
    } else {
      env->counted.refused_appends.add(got.why().what);
      events.emplace_back(
          net::failed_event{std::move(ref), std::move(name_of_it), got.why(), bytes, false, state});
    }
    drafts.erase(i);
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
    auto& x = i->second;
    if (now >= x.deadline) {
      env->counted.refused_appends.add(model::code::append_unknown);
      fail(
          x.what.ref, x.what.name,
          {model::code::append_unknown,
           "the log did not answer within " + std::to_string(env->at_most.publish_deadline_ms) +
               " ms; whether the entry was appended is unknown" +
               (x.what.drafts->producer.empty()
                    ? std::string{}
                    : std::string{", and publishing it again with the same producer_seq is safe"})},
          x.what.drafts->bytes());
      --know(x.what.name).unanswered;
      i = drafts.erase(i);
      continue;
    }
    retrying = retrying || x.retry_at != caf::actor_clock::time_point::max();
    if (now >= x.retry_at)
      again.push_back(i->first);
    ++i;
  }
  for (auto request : again)
    send_draft(request);
  watch_deadlines();
}

} // namespace confab::actors
