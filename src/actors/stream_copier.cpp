#include "actors/stream_copier.hpp"

#include "actors/stream_copies.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace confab::actors {

namespace {

using phase = stream_copier_state::source::phase;

/// Beyond it, those that nobody needs are forgotten; the ledger knows them.
constexpr std::size_t sources_max = 10'000;
/// A batch of copies, so that a commit does not keep others for long.
constexpr std::size_t batch_bytes_max = 1024 * 1024;
/// Our own entries in a stream are noted in the ledger so seldom; a restart reads them again.
constexpr std::uint64_t own_entries_max = 256;
constexpr std::chrono::milliseconds short_rest{500};
constexpr std::chrono::milliseconds long_rest{60'000};

} // namespace

caf::result<bool> stream_copier_state::wake(const model::conversation_name& x) {
  auto promise = self->make_response_promise<bool>();
  auto& found = sources[x];
  found.waiting.push_back(promise);
  make_due(x, found);
  forget_some();
  return promise;
}

void stream_copier_state::look(const model::conversation_name& x) {
  auto& found = sources[x];
  if (found.now == phase::resting)
    found.now = phase::unknown;
  make_due(x, found);
  forget_some();
}

void stream_copier_state::watch(const model::conversation_name& x, bool watched) {
  auto& found = sources[x];
  found.watched = watched;
  if (watched) {
    bucket_of(x).insert(x);
    make_due(x, found);
  } else {
    bucket_of(x).erase(x);
  }
}

void stream_copier_state::make_due(const model::conversation_name& of, source& x) {
  switch (x.now) {
  case phase::unknown:
    return ask_ledger(of, x);
  case phase::idle:
    x.now = phase::due;
    due.push_back(of);
    return schedule_work(0);
  case phase::busy:
    x.again = true;
    return;
  case phase::asking:
  case phase::due:
  case phase::resting:
    return; // it is going to be read
  }
}

void stream_copier_state::ask_ledger(const model::conversation_name& of, source& x) {
  x.now = phase::asking;
  auto answer = [this, of](const copied_read& got) {
    auto& found = sources[of];
    if (!got)
      return rest(of, found, got.why(), short_rest);
    found.stored = *got;
    found.at = got->value_or(model::stream_place{});
    found.passed = 0;
    found.gap.reset();
    found.now = phase::idle;
    make_due(of, found);
  };
  self->request(ledger, caf::infinite, atom::copied::value, of)
      .then(answer, [this, answer](const caf::error& why) {
        answer(model::error{model::code::read_failed, self->system().render(why)});
      });
}

void stream_copier_state::take(const model::conversation_name& of, source& x, page&& made,
                               std::vector<model::stream_entry>&& entries) {
  auto form = model::form_of(x.content_type);
  std::size_t bytes = 0;
  made.through = x.at;
  for (const auto& entry : entries) {
    auto id = model::parse_entry_id(entry.id);
    if (!id)
      return give_up(of, x, "an id of the stream is beyond 2^63");
    if (!marked(entry, how.origin)) {
      auto draft = copy_of(entry, form);
      bytes += draft.payload.size();
      if (bytes > batch_bytes_max && !made.drafts.empty()) {
        made.more = true;
        break;
      }
      if (*id <= x.doubtful)
        made.doubtful.emplace_back(made.drafts.size(), *id);
      made.drafts.push_back(std::move(draft));
    }
    made.through = {made.through.place + 1, *id};
  }
  if (made.doubtful.empty())
    return publish(of, x, std::move(made));
  x.now = phase::busy;
  sift(of, std::make_shared<page>(std::move(made)), 0);
}

/// Leaves out, one after the other, what the log has as a copy already.
void stream_copier_state::sift(const model::conversation_name& of, std::shared_ptr<page> made,
                               std::size_t next) {
  if (next == made->doubtful.size()) {
    page sifted;
    sifted.through = made->through;
    sifted.more = made->more;
    for (std::size_t i = 0; i < made->drafts.size(); ++i)
      if (!made->known.contains(i))
        sifted.drafts.push_back(std::move(made->drafts[i]));
    return publish(of, sources[of], std::move(sifted));
  }
  auto fail = [this, of](const model::error& why) { rest(of, sources[of], why, short_rest); };
  auto lost = [this, fail](const caf::error& why) {
    fail({model::code::read_failed, self->system().render(why)});
  };
  auto compare = [this, of, made, next, fail](const page_read& got) {
    if (!got)
      return fail(got.why());
    auto [index, id] = made->doubtful[next];
    const auto& entries = (*got)->entries;
    if (!entries.empty() && entries.front().producer == model::copy_producer &&
        entries.front().source_id == to_string(id))
      made->known.insert(index);
    sift(of, made, next + 1);
  };
  const auto& reader = readers->front();
  auto id = made->doubtful[next].second;
  self->request(reader, caf::infinite, atom::locate::value,
                locate_request{of, model::lookup::id, {}, id})
      .then(
          [this, of, made, next, reader, fail, lost, compare](const located& got) {
            if (!got)
              return fail(got.why());
            if (!got->found)
              return sift(of, made, next + 1);
            auto at = got->found->at;
            self->request(reader, caf::infinite, atom::page::value, page_range{of, at, at})
                .then(compare, lost);
          },
          lost);
}

void stream_copier_state::publish(const model::conversation_name& of, source& x, page&& made) {
  x.more = made.more;
  if (x.gap && made.drafts.empty() && made.more && made.through.id <= x.doubtful) {
    x.at = made.through;
    x.now = phase::idle;
    return make_due(of, x);
  }
  if (x.gap)
    made.drafts.insert(made.drafts.begin(), *std::exchange(x.gap, std::nullopt));
  if (made.drafts.empty()) {
    x.passed += made.through.place - x.at.place;
    x.at = made.through;
    x.now = phase::idle;
    if (x.passed >= own_entries_max)
      return pass(of, x);
    if (!x.more)
      return settle(of, x);
    return make_due(of, x);
  }
  auto batch = std::make_shared<model::batch>();
  batch->drafts = std::move(made.drafts);
  batch->producer = model::copy_producer;
  batch->producer_seq = made.through.place;
  batch->where.content_type = x.content_type;
  x.now = phase::busy;
  x.range = model::copy_range{x.stored, made.through};
  auto request = ++last_request;
  out.emplace(request, publication_out{of,
                                       {.request = request,
                                        .drafts = std::move(batch),
                                        .retried = false,
                                        .connection = client_actor{self},
                                        .copies = x.range}});
  send_out(request);
}

void stream_copier_state::send_out(std::uint64_t request) {
  auto send = [this, request](const conversation_actor& to) {
    if (auto i = out.find(request); i != out.end())
      self->send(to, atom::append::value, i->second.what);
  };
  self->request(directory, caf::infinite, atom::lookup::value, out.at(request).name)
      .then(send, [this, request](const caf::error& why) {
        // The node is stopping.
        spdlog::debug("copies: {}", self->system().render(why));
        out.erase(request);
      });
}

void stream_copier_state::receipts(const append_answers& x) {
  for (const auto& got : x.answers) {
    auto i = out.find(got.request);
    if (i == out.end())
      continue;
    if (!got.got && got.got.why().what == model::code::moved) {
      send_out(got.request);
      continue;
    }
    auto of = std::move(i->second.name);
    if (got.got)
      count(*i->second.what.drafts);
    out.erase(i);
    answered(of, got);
  }
}

void stream_copier_state::count(const model::batch& copied) noexcept {
  auto gaps = std::count_if(copied.drafts.begin(), copied.drafts.end(),
                            [](const auto& x) { return x.kind == model::gap_kind; });
  env->counted.copied_gaps.add(static_cast<std::uint64_t>(gaps));
  env->counted.copied_entries.add(copied.drafts.size() - static_cast<std::size_t>(gaps));
}

void stream_copier_state::answered(const model::conversation_name& of, const append_answer& got) {
  using model::code;
  auto& x = sources[of];
  if (got.got)
    return committed(of, x);
  const auto& why = got.got.why();
  switch (why.what) {
  case code::conflict: // somebody else has copied, or an outcome was better than it seemed
    env->counted.copy_conflicts.add();
    x.now = phase::unknown;
    return ask_ledger(of, x);
  case code::closed:
  case code::gone:
    if (complaints.allows(env->wall_ms()))
      spdlog::warn("copies: {}: takes no more entries; what others add to its stream is not copied",
                   of.text());
    x.at = x.range->through;
    return pass(of, x);
  case code::content_type:
    return learn_type(of);
  default:
    return rest(of, x, why, why.what == code::log_damaged ? long_rest : short_rest);
  }
}

void stream_copier_state::learn_type(const model::conversation_name& of) {
  auto answer = [this, of](const opened& got) {
    auto& x = sources[of];
    if (!got)
      return rest(of, x, got.why(), short_rest);
    x.content_type = got->settings.content_type;
    x.now = phase::unknown;
    ask_ledger(of, x);
  };
  self->request(writer, caf::infinite, atom::open::value, of)
      .then(answer, [this, answer](const caf::error& why) {
        answer(model::error{model::code::read_failed, self->system().render(why)});
      });
}

void stream_copier_state::committed(const model::conversation_name& of, source& x) {
  x.stored = x.at = x.range->through;
  x.passed = 0;
  if (x.doubtful < x.at.id)
    x.doubtful = {};
  x.now = phase::idle;
  if (x.more)
    return make_due(of, x);
  settle(of, x);
}

void stream_copier_state::pass(const model::conversation_name& of, source& x) {
  x.now = phase::busy;
  x.range = model::copy_range{x.stored, x.at};
  self->request(ledger, caf::infinite, atom::pass::value, of, *x.range)
      .then([this, of](const model::status& done) { passed(of, done); },
            [this, of](const caf::error& why) {
              passed(of, model::error{model::code::store_failed, self->system().render(why)});
            });
}

void stream_copier_state::passed(const model::conversation_name& of, const model::status& done) {
  auto& x = sources[of];
  if (done)
    return committed(of, x);
  if (done.why().what != model::code::conflict)
    return rest(of, x, done.why(), short_rest);
  x.now = phase::unknown;
  ask_ledger(of, x);
}

void stream_copier_state::rest(const model::conversation_name& of, source& x,
                               const model::error& why, std::chrono::milliseconds wait) {
  env->counted.copy_rests.add();
  if (complaints.allows(env->wall_ms()))
    spdlog::warn("copies: {}: {}: {} ({} more such lines were left out)", of.text(),
                 to_string(why.what), why.detail, complaints.left_out());
  x.now = phase::resting;
  self->delayed_send(self, wait, atom::look::value, of);
}

void stream_copier_state::give_up(const model::conversation_name& of, source& x,
                                  std::string_view why) {
  if (complaints.allows(env->wall_ms()))
    spdlog::warn("copies: {}: its stream cannot be read: {} ({} more such lines were left out)",
                 of.text(), why, complaints.left_out());
  x.now = phase::idle;
  settle(of, x);
}

void stream_copier_state::settle(const model::conversation_name& of, source& x) {
  for (auto& promise : std::exchange(x.covered, {}))
    promise.deliver(true);
  if (!std::exchange(x.again, false) && x.waiting.empty())
    return;
  make_due(of, x);
}

void stream_copier_state::forget_some() {
  if (sources.size() <= sources_max)
    return;
  // Half of them at once, so that this is seldom.
  for (auto i = sources.begin(); i != sources.end() && sources.size() > sources_max / 2;) {
    const auto& x = i->second;
    auto needed = x.now != phase::idle || x.watched || !x.covered.empty() || !x.waiting.empty();
    i = needed ? std::next(i) : sources.erase(i);
  }
}

stream_copier_actor::behavior_type
stream_copier(stream_copier_state::self_pointer self, copier_options how,
              ledger_writer_actor writer,
              std::shared_ptr<const std::vector<log_reader_actor>> readers, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.how = std::move(how);
  state.writer = writer;
  state.ledger = writer;
  state.readers = std::move(readers);
  state.start();
  return {
      [&state](atom::receipts, const append_answers& x) { state.receipts(x); },
      [](atom::superseded, const model::conversation_name&) {
        // It subscribes to nothing.
      },
      [&state](atom::open, const directory_actor& x) {
        state.directory = x;
        state.schedule_work(0);
      },
      [&state](atom::wake, const model::conversation_name& x) { return state.wake(x); },
      [&state](atom::look, const model::conversation_name& x) { state.look(x); },
      [&state](atom::watch, const model::conversation_name& x, bool watched) {
        state.watch(x, watched);
      },
      [&state](atom::work) { state.work(); },
      [&state](atom::reconcile) { state.reconcile(); },
  };
}

} // namespace confab::actors
