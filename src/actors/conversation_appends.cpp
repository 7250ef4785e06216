// How drafts become entries: places, group commit, receipts, and what happens behind a failure.
#include "actors/conversation.hpp"

#include "net/hub.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cassert>

namespace confab::actors {

namespace {

/// An append that stood behind a failure is sent again; one that does so twice shares the failure.
constexpr int sends_max = 2;

/// Whether an append has failed for what it is itself: those behind it are innocent, however often
/// that happens.
bool its_own_fault(model::code x) noexcept {
  using enum model::code;
  return x == producer_gap || x == producer_epoch || x == producer_old || x == stream_seq ||
         x == conflict;
}

/// An announced run stays well within a ring and a socket's gathering.
constexpr std::size_t run_entries_max = 256;
constexpr std::size_t run_bytes_max = 256 * 1024;

/// Splits committed entries into runs.
class run_builder {
public:
  run_builder(std::shared_ptr<const model::conversation_name> name, const model::epoch& epoch,
              model::byte_budget& budget)
    : name_{std::move(name)}, epoch_{epoch}, budget_{budget} {}

  /// What is not the next one begins another run.
  void add(model::entry&& x) {
    if (!entries_.empty() && x.at != entries_.back().at.next())
      cut();
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

} // namespace

void answer_batches::add(const publication& to, append_answer answer) {
  auto key = caf::actor_cast<caf::abstract_actor*>(to.connection);
  auto [i, is_new] = index_.try_emplace(key, batches_.size());
  if (is_new)
    batches_.push_back({to.connection, {}});
  batches_[i->second].answers.answers.push_back(std::move(answer));
}

void conversation_state::start(const publication& x) {
  const auto& drafts = *x.drafts;
  const auto& where = drafts.where;
  if (state.life == model::lifecycle::closed && where.closes && drafts.drafts.empty() &&
      model::internal_producer(drafts.producer))
    return confirm(x, {.first = state.tail.next(), .count = 0, .id = state.tail_id});
  if (state.life == model::lifecycle::closed && may_be_there(x))
    return;
  if (state.life == model::lifecycle::closed)
    return refuse(x, {model::code::closed, of->text() + " is closed and takes no more entries"});
  if (last_given.value + drafts.drafts.size() > model::seq_max.value)
    return refuse(x, {model::code::closed, of->text() + " has used up its sequence numbers"});
  if (!where.stream_seq.empty() && where.stream_seq <= stream_seq_given) {
    // Against one on its way it is too early to tell.
    if (where.stream_seq > stream_seq && !in_flight.empty())
      return hold(x);
    if (may_be_there(x))
      return;
    return refuse(x, {model::code::stream_seq, "Stream-Seq: a later one was taken already"});
  }
  auto bytes = drafts.bytes();
  if (!env->appends.try_take(bytes))
    return refuse(x, {model::code::overloaded,
                      "more than " + std::to_string(env->at_most.append_bytes) +
                          " bytes of drafts wait for the log; publish again in a moment"});
  auto append = std::make_shared<store::append>();
  append->producer = model::internal_producer(drafts.producer) ? std::string{} : drafts.producer;
  append->producer_epoch = drafts.producer_epoch;
  append->producer_seq = drafts.producer_seq;
  append->fingerprint = drafts.fingerprint;
  append->stream_seq = where.stream_seq;
  append->closes = where.closes;
  append->copies = x.copies;
  auto now = env->wall_ms();
  append->expires_ms = settings.lifetime.renewed(now);
  auto id = model::next_id(last_id, now);
  auto form = model::form_of(content_type_of(drafts));
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
                               .source_id = y.source_id,
                               .form = form});
    last_id = id;
    ++id.n;
  }
  if (!x.copies)
    producers.started(drafts);
  closing = where.closes;
  if (!where.stream_seq.empty())
    stream_seq_given = where.stream_seq;
  if (state.epoch.empty())
    settings.content_type = content_type_of(drafts);
  send_to_writer(append);
  in_flight.push_back({std::move(append), {kept(x)}, bytes});
}

void conversation_state::send_to_writer(const std::shared_ptr<const store::append>& x) {
  if (!target || target->epoch != state.epoch || target->content_type != settings.content_type)
    target =
        std::make_shared<append_target>(append_target{*of, state.epoch, settings.content_type});
  self->send(writer, atom::append::value, append_request{target, round, x},
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
  if (created || in_flight.empty()) {
    closing = false;
    release_held();
  }
  watch_idleness();
}

void conversation_state::settle(const commit_report& x, answer_batches& answers) {
  run_builder runs{of, x.state.epoch, env->cache};
  auto before = state.tail;
  auto before_id = state.tail_id;
  auto placed_by_log = !x.landed.empty();
  model::seq published;
  std::uint64_t entries = 0, bytes = 0;
  state = x.state;
  for (std::size_t i = 0; i < x.committed; ++i) {
    auto& done = in_flight.front();
    const auto& what = *done.what;
    model::receipt receipt{.first = before.next(), .count = 0, .id = before_id};
    if (!what.entries.empty())
      receipt = {.first = what.entries.front().at,
                 .count = static_cast<std::uint32_t>(what.entries.size()),
                 .id = what.entries.front().id};
    if (placed_by_log)
      receipt = x.landed[i];
    auto there_already = std::exchange(receipt.duplicate, false);
    if (!there_already) {
      before = receipt.last();
      before_id = receipt.last_id();
    }
    if (!what.stream_seq.empty())
      stream_seq = what.stream_seq;
    if (what.expires_ms)
      settings.lifetime.expires_ms = what.expires_ms;
    if (!what.copies)
      producers.committed(done.from.front().drafts->producer, what.producer_epoch,
                          what.producer_seq, receipt);
    if (!what.copies && published.value == 0)
      published = receipt.first;
    if (!what.copies && !there_already) {
      entries += receipt.count;
      bytes += done.bytes;
    }
    for (std::size_t j = 0; j < done.from.size(); ++j) {
      receipt.duplicate = there_already || j > 0;
      answer(answers, done.from[j], receipt);
    }
    if ((!hubs.empty() || streams.speaker) && !there_already)
      for (auto& y : done.what->entries) {
        if (placed_by_log) {
          y.at = {receipt.first.value + static_cast<std::uint64_t>(&y - done.what->entries.data())};
          y.id = {receipt.id.ms, receipt.id.n + (y.at.value - receipt.first.value)};
        }
        runs.add(std::move(y));
      }
    env->appends.give_back(done.bytes);
    in_flight.pop_front();
  }
  env->counted.published_entries.add(entries);
  env->counted.published_bytes.add(bytes);
  unsettled = false;
  if (placed_by_log)
    place_again();
  auto newest = runs.finish();
  if (streams.speaker)
    speak(newest);
  if (streams.stream_speaker)
    self->send(streams.stream_speaker, atom::look::value, *of);
  announce(std::move(newest));
  if (published.value > 0 && streams.mirror)
    self->send(streams.mirror, atom::grew::value, *of, state, published);
}

void conversation_state::speak(const spoken_runs& newest) {
  spoken_runs taken;
  for (const auto& x : newest)
    if (env->spoken.try_take(x->bytes()))
      taken.push_back(x);
    else
      env->counted.unspoken.add(x->entries().size());
  if (taken.size() < newest.size())
    spdlog::warn("{}: entries up to {} were not published on a channel: too many wait for Redis",
                 of->text(), state.tail.value);
  if (!taken.empty())
    self->send(streams.speaker, atom::publish::value, *of, std::move(taken));
}

void conversation_state::lose_track(const model::error& why, answer_batches& answers) {
  ++round;
  unsettled = true;
  for (const auto& x : std::exchange(in_flight, {})) {
    for (const auto& y : x.from)
      answer(answers, y, model::error{model::code::append_unknown, why.detail});
    env->appends.give_back(x.bytes);
  }
  closing = false;
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
  stream_seq_given = stream_seq;
  auto shared = !its_own_fault(why.what);
  std::vector<publication> anew;
  auto all = std::exchange(in_flight, {});
  for (auto i = all.begin(); i != all.end(); ++i) {
    const auto& drafts = *i->from.front().drafts;
    // Numbers of one producer depend on each other, so those behind a failed one fail with it.
    auto copies = i->what->copies.has_value();
    auto lost =
        i == all.begin() || (shared && i->sends >= sends_max) ||
        (!copies && producers.check(drafts).what != model::producer_verdict::kind::in_flight);
    if (lost) {
      if (!copies)
        producers.failed(drafts.producer, drafts.producer_epoch, drafts.producer_seq);
      env->appends.give_back(i->bytes);
      // A number that is too old says nothing about the next ones of its producer.
      if (i != all.begin() && why.what == code::producer_old) {
        anew.insert(anew.end(), i->from.begin(), i->from.end());
        continue;
      }
      for (const auto& x : i->from)
        answer(answers, x, why);
      continue;
    }
    auto again = std::make_shared<store::append>(*i->what);
    auto id = model::next_id(last_id, env->wall_ms());
    for (auto& x : again->entries) {
      x.at = last_given = last_given.next();
      x.id = last_id = id;
      ++id.n;
    }
    if (!again->stream_seq.empty())
      stream_seq_given = again->stream_seq;
    send_to_writer(again);
    in_flight.push_back(
        {std::move(again), std::move(i->from), i->bytes, i->sends + (shared ? 1 : 0)});
  }
  for (const auto& x : anew)
    publish(x);
}

void conversation_state::confirm(const publication& x, model::receipt got) {
  got.duplicate = true;
  answer_batches answers;
  answer(answers, x, got);
  answers.send(self);
}

void conversation_state::refuse(const publication& x, model::error why) {
  answer_batches answers;
  answer(answers, x, std::move(why));
  answers.send(self);
}

void conversation_state::answer(answer_batches& to, const publication& x,
                                model::result<model::receipt> got) {
  const auto& producer = x.drafts->producer;
  auto internal = model::internal_producer(producer);
  if (!got && !x.copies)
    producers.refused(*x.drafts, got.why());
  // Its numbers are our own, and so is each repeat: the client has published once.
  if (internal && got && got->count > 0)
    got->duplicate = false;
  to.add(x, {x.request, std::move(got), state,
             internal ? 0 : producers.last_of(producer).value_or(0)});
}

} // namespace confab::actors
