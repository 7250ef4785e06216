// What a draft is when its turn comes: the next of its producer, a repeat, kept out by a condition.
#include "actors/conversation.hpp"

#include <algorithm>
#include <cassert>

namespace confab::actors {

namespace {

/// What one look-up answers: a producer's row, or whether one internal number is in the log.
std::string lookup_key(const model::batch& x) {
  return model::internal_producer(x.producer) ? x.producer + '#' + std::to_string(x.producer_seq)
                                              : x.producer;
}

/// As they arrived: one that has waited for something else before goes before those behind it.
void insert(std::vector<publication>& into, publication x) {
  auto place = std::upper_bound(into.begin(), into.end(), x.arrival,
                                [](auto y, const auto& other) { return y < other.arrival; });
  into.insert(place, std::move(x));
}

bool same_number(const model::batch& x, const model::batch& y) {
  return x.producer == y.producer && x.producer_epoch == y.producer_epoch &&
         x.producer_seq == y.producer_seq;
}

} // namespace

std::string_view content_type_of(const model::batch& x) {
  return x.where.content_type.empty() ? model::json_content_type : x.where.content_type;
}

void conversation_state::publish(const publication& x) {
  last_use = self->clock().now();
  if (auto why = unavailable())
    return refuse(x, *why);
  if (x.behind)
    producers.await(x.drafts->producer, *x.behind);
  // Those that wait for another home go first.
  auto behind = shared() && (!held.empty() || !unread.empty());
  if (!controls.empty() || behind)
    return hold(x);
  take(x);
}

bool conversation_state::is_looked_up(const model::batch& x) const {
  return !looking_up.empty() && looking_up.contains(lookup_key(x));
}

void conversation_state::take(const publication& x) {
  const auto& drafts = *x.drafts;
  // It must not overtake those of its producer that wait for the stored row.
  if (is_looked_up(drafts))
    return look_up(x);
  auto creating = state.epoch.empty() && !in_flight.empty();
  // As the home that it was, it has appended what this one comes behind.
  auto changing = home && !x.forwarded && !in_flight.empty();
  if (creating || closing || changing)
    return hold(x);
  if (home && !x.forwarded) {
    if (auto first = producers.awaited(drafts)) {
      // That one may have been taken by another node since.
      if (!look_up_again(x))
        refuse_gap(x, first->number);
      return;
    }
    producers.comes(drafts);
    return forward(x);
  }
  if (kept_out(x))
    return;
  if (x.copies)
    return start(x); // the log knows what was copied
  auto verdict = producers.check(drafts);
  using kind = model::producer_verdict::kind;
  switch (verdict.what) {
  case kind::accept:
    return start(x);
  case kind::unknown:
    // An internal producer lives in this process, so nothing older than its first draft can be
    // stored.
    if (model::internal_producer(drafts.producer) && !x.retried)
      return start(x);
    return look_up(x);
  case kind::duplicate:
    if (out_of_date(x))
      return;
    return confirm(x, verdict.receipt);
  case kind::in_flight: {
    auto same = std::find_if(in_flight.begin(), in_flight.end(), [&](const auto& y) {
      return same_number(*y.from.front().drafts, drafts);
    });
    assert(same != in_flight.end());
    same->from.push_back(x);
    return;
  }
  case kind::older:
    // Internal numbers may arrive in another order than they were given.
    if (model::internal_producer(drafts.producer) && !x.retried)
      return start(x);
    return read_older(x);
  case kind::gap:
    if (out_of_date(x) || look_up_again(x))
      return;
    return refuse_gap(x, verdict.expected);
  case kind::bad_start:
    if (out_of_date(x) || look_up_again(x))
      return;
    return refuse(x, {model::code::bad_request,
                      "producer_seq: a new producer_epoch begins with 0, not with " +
                          std::to_string(drafts.producer_seq)});
  case kind::fenced:
    if (out_of_date(x))
      return;
    return refuse(x, {model::code::producer_epoch,
                      "producer_epoch: " + std::to_string(verdict.expected) +
                          " of this producer was seen; a lower one is not taken any more",
                      verdict.expected});
  case kind::mismatch:
    if (out_of_date(x))
      return;
    return refuse(
        x, {model::code::idempotency_mismatch, "Idempotency-Key: was used with another body"});
  }
}

publication conversation_state::kept(const publication& x) {
  auto copy = x;
  copy.behind.reset(); // it is noted
  if (copy.arrival == 0)
    copy.arrival = ++last_arrival;
  return copy;
}

void conversation_state::hold(const publication& x) {
  auto draft = kept(x);
  // Who knows for how long.
  draft.log_read = draft.producer_read = false;
  insert(held, std::move(draft));
}

void conversation_state::refuse_gap(const publication& x, std::uint64_t expected) {
  refuse(x, {model::code::producer_gap,
             "producer_seq: is " + std::to_string(x.drafts->producer_seq) + ", but " +
                 std::to_string(expected) + " is the next one of this producer",
             expected});
}

bool conversation_state::out_of_date(const publication& x) {
  if (!shared() || x.log_read)
    return false;
  if (broken) {
    refuse(x, *broken);
    return true;
  }
  unread.push_back({kept(x), looks + 1});
  unread.back().what.log_read = true;
  wake_up();
  return true;
}

bool conversation_state::may_be_there(const publication& x) {
  return out_of_date(x) || look_up_again(x);
}

bool conversation_state::look_up_again(const publication& x) {
  if (!shared() || x.producer_read)
    return false;
  // What is in flight is not in the stored row yet.
  if (producers.busy(x.drafts->producer))
    hold(x);
  else
    look_up(x);
  return true;
}

bool conversation_state::kept_out(const publication& x) {
  const auto& drafts = *x.drafts;
  const auto& where = drafts.where;
  if (drafts.drafts.empty() && !where.closes) {
    refuse(x, {model::code::bad_request, "a batch without drafts that closes nothing"});
    return true;
  }
  if (state.epoch.empty()) {
    if (!where.must_exist && !drafts.drafts.empty())
      return false;
    // Only the log knows whether its name is kept for forks.
    ++asked_for_drafts;
    auto answer = [this, x](const opened& log) {
      --asked_for_drafts;
      watch_idleness();
      if (!log)
        return refuse(x, log.why());
      // Others have begun it since.
      if (!log->state.epoch.empty() && out_of_date(x))
        return;
      refuse(x, {log->gone ? model::code::gone : model::code::not_found,
                 of->text() + (log->gone ? " was deleted" : " does not exist")});
    };
    self->request(writer, caf::infinite, atom::open::value, *of)
        .then(answer, [this, answer](const caf::error& why) {
          answer(model::error{model::code::read_failed, self->system().render(why)});
        });
    return true;
  }
  if (!drafts.drafts.empty() &&
      !model::same_content_type(content_type_of(drafts), settings.content_type)) {
    if (out_of_date(x))
      return true;
    refuse(x,
           {model::code::content_type, of->text() + " holds payloads of " + settings.content_type});
    return true;
  }
  return false;
}

void conversation_state::look_up(const publication& x) {
  auto key = lookup_key(*x.drafts);
  auto& waiting = looking_up[key];
  auto draft = kept(x);
  draft.producer_read = true;
  insert(waiting, std::move(draft));
  if (waiting.size() > 1)
    return;
  const auto& producer = x.drafts->producer;
  std::optional<std::uint64_t> number;
  if (model::internal_producer(producer))
    number = x.drafts->producer_seq; // it has no row: only reading back can tell
  self->request(writer, caf::infinite, atom::producer::value,
                producer_request{*of, producer, number})
      .then([this, key,
             asked = state.epoch](const producer_read& got) { looked_up(key, asked, got); },
            [this, key, asked = state.epoch](const caf::error& why) {
              looked_up(key, asked,
                        model::error{model::code::read_failed, self->system().render(why)});
            });
}

void conversation_state::looked_up(const std::string& key, const model::epoch& asked,
                                   const producer_read& got) {
  auto waiting = std::move(looking_up.extract(key).mapped());
  watch_idleness();
  // Of a log that is not known here, or not any more; the rows of one that was removed went with
  // it.
  auto unknown_log = shared() && state.epoch.empty() && got && got->has_value();
  if (asked != state.epoch || unknown_log) {
    for (auto x : waiting) {
      x.log_read = x.producer_read = false;
      if (!unknown_log || !out_of_date(x))
        publish(x);
    }
    return;
  }
  if (!got) {
    for (const auto& x : waiting)
      refuse(x, got.why());
    return;
  }
  const auto& producer = waiting.front().drafts->producer;
  if (model::internal_producer(producer)) {
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
    take(x);
}

void conversation_state::read_older(const publication& x) {
  ++asked_for_drafts;
  auto answer = [this, x, asked = state.epoch](const producer_read& got) {
    --asked_for_drafts;
    watch_idleness();
    if (asked != state.epoch)
      return publish(x);
    if (!got)
      return refuse(x, got.why());
    if (!*got && model::internal_producer(x.drafts->producer))
      return start(x);
    // Its numbers have no gaps, so it is there; that is all its producer asks.
    if (!*got && x.drafts->where.numbering == model::numbering::from_zero)
      return confirm(x, {.first = state.tail.next(), .count = 0, .id = state.tail_id});
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

} // namespace confab::actors
