// How drafts become entries: places, group commit, receipts, and what happens behind a failure.
#include "actors/conversation.hpp"

#include "net/hub.hpp"

#include <algorithm>
#include <cassert>

namespace confab::actors {

namespace {

/// An append that stood behind a failure is sent again; one that does so twice shares the failure.
constexpr int sends_max = 2;

/// An announced run stays well within a ring and a socket's gathering.
constexpr std::size_t run_entries_max = 256;
constexpr std::size_t run_bytes_max = 256 * 1024;

/// Splits committed entries into runs.
class run_builder {
public:
  run_builder(std::shared_ptr<const model::conversation_name> name, const model::epoch& epoch,
              model::byte_budget& budget)
    : name_{std::move(name)}, epoch_{epoch}, budget_{budget} {}

  void add(model::entry&& x) {
    bytes_ += weight(x);
    entries_.push_back(std::move(x));
    if (entries_.size() >= run_entries_max || bytes_ >= run_bytes_max)
      cut();
  }

  std::vector<model::run_ptr> finish() {
    if (!entries_.empty())
      cut();
    return std::move(runs_);
  }

private:
  void cut() {
    runs_.push_back(
      std::make_shared<model::run>(name_, epoch_, std::exchange(entries_, {}), &budget_));
    bytes_ = 0;
  }

  std::shared_ptr<const model::conversation_name> name_;
  model::epoch epoch_;
  model::byte_budget& budget_;
  std::vector<model::entry> entries_;
  std::size_t bytes_ = 0;
  std::vector<model::run_ptr> runs_;
};

/// Numbered by a connection of this process, for drafts without a producer.
bool internal(std::string_view producer) {
  return producer.starts_with('~');
}

/// What one look-up answers: a producer's row, or whether one internal number is in the log.
std::string lookup_key(const model::batch& x) {
  return internal(x.producer) ? x.producer + '#' + std::to_string(x.producer_seq) : x.producer;
}

bool same_number(const store::append& x, const model::batch& y) {
  return x.entries.front().producer == y.producer && x.producer_epoch == y.producer_epoch &&
         x.producer_seq == y.producer_seq;
}

} // namespace

void answer_batches::add(const publication& to, const model::result<model::receipt>& got) {
  auto key = caf::actor_cast<caf::abstract_actor*>(to.connection);
  auto [i, is_new] = index_.try_emplace(key, batches_.size());
  if (is_new)
    batches_.push_back({to.connection, {}});
  batches_[i->second].answers.answers.push_back({to.request, got});
}

void conversation_state::publish(const publication& x) {
  last_use = self->clock().now();
  if (auto why = unavailable())
    return refuse(x, *why);
  const auto& drafts = *x.drafts;
  // First of all: a draft must not overtake those of its producer that wait for the stored row.
  if (looking_up.contains(lookup_key(drafts)))
    return look_up(x);
  auto creating = state.epoch.empty() && !in_flight.empty();
  if (!controls.empty() || creating) {
    held.push_back(x);
    return;
  }
  auto verdict = producers.check(drafts);
  using kind = model::producer_verdict::kind;
  switch (verdict.what) {
  case kind::accept:
    return start(x);
  case kind::unknown:
    // An internal producer lives in this process, so nothing older than its first draft can be stored.
    if (internal(drafts.producer) && !x.retried)
      return start(x);
    return look_up(x);
  case kind::duplicate:
    return confirm(x, verdict.receipt);
  case kind::in_flight: {
    auto same = std::find_if(in_flight.begin(), in_flight.end(),
                             [&](const auto& y) { return same_number(*y.what, drafts); });
    assert(same != in_flight.end());
    same->from.push_back(x);
    return;
  }
  case kind::older:
    // Internal numbers may arrive in another order than they were given.
    if (internal(drafts.producer) && !x.retried)
      return start(x);
    return read_older(x);
  case kind::gap:
    return refuse(x, {model::code::producer_gap,
                      "producer_seq: is " + std::to_string(drafts.producer_seq) + ", but " +
                        std::to_string(verdict.expected) + " is the next one of this producer",
                      verdict.expected});
  case kind::fenced:
    return refuse(x, {model::code::producer_epoch,
                      "producer_epoch: " + std::to_string(verdict.expected) +
                        " of this producer was seen; a lower one is not taken any more",
                      verdict.expected});
  case kind::mismatch:
    return refuse(x, {model::code::idempotency_mismatch,
                      "Idempotency-Key: was used with another body"});
  }
}

void conversation_state::look_up(const publication& x) {
  auto key = lookup_key(*x.drafts);
  auto& waiting = looking_up[key];
  waiting.push_back(x);
  if (waiting.size() > 1)
    return;
  const auto& producer = x.drafts->producer;
  std::optional<std::uint64_t> number;
  if (internal(producer))
    number = x.drafts->producer_seq; // it has no row: only reading back can tell
  self->request(writer, caf::infinite, atom::producer::value,
                producer_request{*of, producer, number})
    .then([this, key, asked = state.epoch](const producer_read& got) { looked_up(key, asked, got); },
          [this, key, asked = state.epoch](const caf::error& why) {
            looked_up(key, asked,
                      model::error{model::code::read_failed, self->system().render(why)});
          });
}

void conversation_state::looked_up(const std::string& key, const model::epoch& asked,
                                   const producer_read& got) {
  auto waiting = std::move(looking_up.extract(key).mapped());
  watch_idleness();
  if (asked != state.epoch) {
    // What was read is of a log that is not there any more.
    for (const auto& x : waiting)
      publish(x);
    return;
  }
  if (!got) {
    for (const auto& x : waiting)
      refuse(x, got.why());
    return;
  }
  const auto& producer = waiting.front().drafts->producer;
  if (internal(producer)) {
    for (const auto& x : waiting)
      if (const auto& row = *got)
        confirm(x, row->last);
      else
        start(x);
    return;
  }
  if (const auto& row = *got)
    producers.learned(producer, row->epoch, row->number, row->last, row->fingerprint);
  else
    producers.learned(producer, 0, std::nullopt, {}, 0);
  for (const auto& x : waiting)
    publish(x);
}

void conversation_state::read_older(const publication& x) {
  auto answer = [this, x, asked = state.epoch](const producer_read& got) {
    if (asked != state.epoch)
      return publish(x);
    if (!got)
      return refuse(x, got.why());
    if (!*got && internal(x.drafts->producer))
      return start(x);
    if (!*got)
      return refuse(x, {model::code::producer_old,
                        "producer_seq: " + std::to_string(x.drafts->producer_seq) +
                          " was appended long ago; its receipt is not kept any more"});
    confirm(x, (*got)->last);
  };
  self->request(writer, caf::infinite, atom::producer::value,
                producer_request{*of, x.drafts->producer, x.drafts->producer_seq})
    .then(answer, [this, answer](const caf::error& why) {
      answer(model::error{model::code::read_failed, self->system().render(why)});
    });
}

void conversation_state::start(const publication& x) {
  const auto& drafts = *x.drafts;
  if (state.life == model::lifecycle::closed)
    return refuse(x, {model::code::closed, of->text() + " is closed and takes no more entries"});
  if (last_given.value + drafts.drafts.size() > model::seq_max.value)
    return refuse(x, {model::code::closed, of->text() + " has used up its sequence numbers"});
  auto bytes = drafts.bytes();
  if (!env->appends.try_take(bytes))
    return refuse(x, {model::code::overloaded,
                      "more than " + std::to_string(env->at_most.append_bytes) +
                        " bytes of drafts wait for the log; publish again in a moment"});
  auto append = std::make_shared<store::append>();
  append->producer = internal(drafts.producer) ? std::string{} : drafts.producer;
  append->producer_epoch = drafts.producer_epoch;
  append->producer_seq = drafts.producer_seq;
  append->fingerprint = drafts.fingerprint;
  auto now = env->wall_ms();
  auto id = model::next_id(last_id, now);
  append->entries.reserve(drafts.drafts.size());
  for (const auto& y : drafts.drafts) {
    last_given = last_given.next();
    append->entries.push_back({.at = last_given,
                               .id = id,
                               .time_ms = now,
                               .sender = y.sender,
                               .kind = y.kind,
                               .payload = y.payload,
                               .producer = drafts.producer,
                               .producer_seq = drafts.producer_seq,
                               .message = y.message,
                               .source_id = y.source_id});
    last_id = id;
    ++id.n;
  }
  producers.started(drafts);
  send_to_writer(append);
  in_flight.push_back({std::move(append), {x}, bytes});
}

void conversation_state::send_to_writer(const std::shared_ptr<const store::append>& x) {
  self->send(writer, atom::append::value, append_request{*of, state.epoch, round, x},
             caf::actor_cast<commit_listener>(self));
}

void conversation_state::committed(const commit_report& x) {
  if (x.round != round)
    return; // it told of the failure that began a new round, or was behind it
  assert(x.committed + (x.failure ? 1 : 0) <= in_flight.size());
  auto created = state.epoch.empty() && !x.state.epoch.empty();
  answer_batches answers;
  if (x.committed > 0)
    settle(x, answers);
  if (x.failure)
    start_over(*x.failure, answers);
  answers.send(self);
  run_controls();
  if (created || in_flight.empty())
    release_held();
  watch_idleness();
}

void conversation_state::settle(const commit_report& x, answer_batches& answers) {
  run_builder runs{of, x.state.epoch, env->cache};
  for (std::size_t i = 0; i < x.committed; ++i) {
    auto& done = in_flight.front();
    const auto& head = done.what->entries.front();
    model::receipt receipt{.first = head.at,
                           .count = static_cast<std::uint32_t>(done.what->entries.size()),
                           .id = head.id};
    producers.committed(head.producer, done.what->producer_epoch, done.what->producer_seq, receipt);
    for (std::size_t j = 0; j < done.from.size(); ++j) {
      receipt.duplicate = j > 0;
      answers.add(done.from[j], receipt);
    }
    if (!hubs.empty())
      for (auto& y : done.what->entries)
        runs.add(std::move(y));
    env->appends.give_back(done.bytes);
    in_flight.pop_front();
  }
  state = x.state;
  unsettled = false;
  announce(runs.finish());
}

void conversation_state::lose_track(const model::error& why, answer_batches& answers) {
  ++round;
  unsettled = true;
  for (const auto& x : std::exchange(in_flight, {})) {
    for (const auto& y : x.from)
      answers.add(y, model::error{model::code::append_unknown, why.detail});
    env->appends.give_back(x.bytes);
  }
  // A repeated number must be looked for in the log before it is appended again.
  producers.lose_track();
  open();
}

void conversation_state::start_over(const model::error& why, answer_batches& answers) {
  using model::code;
  auto unknown = why.what == code::append_unknown || why.what == code::moved ||
                 (unsettled && why.what == code::store_failed);
  if (unknown)
    return lose_track(why, answers);
  ++round;
  last_given = state.tail;
  last_id = state.tail_id;
  auto all = std::exchange(in_flight, {});
  for (auto i = all.begin(); i != all.end(); ++i) {
    const auto& head = i->what->entries.front();
    const auto& drafts = *i->from.front().drafts;
    // Numbers of one producer depend on each other, so those behind a failed one fail with it.
    auto lost = i == all.begin() || i->sends >= sends_max ||
                producers.check(drafts).what != model::producer_verdict::kind::in_flight;
    if (lost) {
      producers.failed(head.producer, i->what->producer_epoch, i->what->producer_seq);
      for (const auto& x : i->from)
        answers.add(x, why);
      env->appends.give_back(i->bytes);
      continue;
    }
    auto again = std::make_shared<store::append>(*i->what);
    auto id = model::next_id(last_id, env->wall_ms());
    for (auto& x : again->entries) {
      x.at = last_given = last_given.next();
      x.id = last_id = id;
      ++id.n;
    }
    send_to_writer(again);
    in_flight.push_back({std::move(again), std::move(i->from), i->bytes, i->sends + 1});
  }
}

void conversation_state::confirm(const publication& x, model::receipt got) {
  got.duplicate = true;
  answer_batches answer;
  answer.add(x, got);
  answer.send(self);
}

void conversation_state::refuse(const publication& x, model::error why) {
  answer_batches answer;
  answer.add(x, std::move(why));
  answer.send(self);
}

} // namespace confab::actors
