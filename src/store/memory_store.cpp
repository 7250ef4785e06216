#include "store/memory_store.hpp"

#include "store/commit_rules.hpp"
#include "store/creation_rules.hpp"
#include "store/memory_log.hpp"
#include "store/stream_ledger.hpp"

#include <algorithm>

namespace confab::store {

namespace {

using lock = std::lock_guard<std::mutex>;

/// Why nothing living has this name.
model::error absent(const model::conversation_name& name, const memory_conversation* held) {
  if (held != nullptr && held->gone)
    return gone(name);
  return not_found(name);
}

class memory_writer final : public log_writer, public stream_ledger {
public:
  explicit memory_writer(std::shared_ptr<memory_log> log) : log_{std::move(log)} {}

  model::result<log_head> open(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    const auto* found = log_->find(name);
    if (found != nullptr && found->gone)
      return found->head();
    found = log_->living(name, log_->how.wall_ms());
    return found == nullptr ? log_head{} : found->head();
  }

  std::vector<chain_outcome> commit(std::span<const chain* const> chains,
                                    std::int64_t now_ms) override {
    lock guard{log_->mutex};
    std::vector<chain_outcome> outcomes;
    bool changed = false;
    for (const auto* x : chains) {
      outcomes.push_back(commit_one(*x, now_ms));
      changed = changed || outcomes.back().committed > 0;
    }
    health_.commits += changed ? 1 : 0;
    return outcomes;
  }

  model::result<std::optional<producer_row>> producer(const model::conversation_name& name,
                                                      std::string_view producer,
                                                      std::int64_t now_ms) override {
    lock guard{log_->mutex};
    std::optional<producer_row> row;
    if (const auto* in = log_->living(name, now_ms))
      if (auto found = in->producers.find(producer);
          found != in->producers.end() &&
          !outlived(found->second.time_ms, log_->how.producer_ttl_s, now_ms))
        row = found->second.row;
    return row;
  }

  model::result<std::optional<model::receipt>> older_receipt(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::uint64_t number) override;

  model::result<model::created> create(const model::conversation_name& name,
                                       const model::creation& what, std::int64_t now_ms) override;

  model::status touch(const model::conversation_name& name, const model::epoch& epoch,
                      std::int64_t expires_ms) override {
    lock guard{log_->mutex};
    auto* found = log_->living(name, log_->how.wall_ms());
    if (found != nullptr && found->epoch == epoch.text)
      found->settings.lifetime.expires_ms = expires_ms;
    return model::nothing{};
  }

  model::result<model::log_state> close(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    auto* found = log_->living(name, log_->how.wall_ms());
    if (found == nullptr)
      return absent(name, log_->find(name));
    found->closed = true;
    return found->state();
  }

  model::status remove(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    if (log_->living(name, log_->how.wall_ms()) == nullptr)
      return absent(name, log_->find(name));
    log_->remove(name.text());
    return model::nothing{};
  }

  model::status move_cursors(std::span<const cursor_move> moves, std::int64_t now_ms) override;

  model::result<std::optional<model::stream_place>>
  copied(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    return source_of(name);
  }

  model::status pass(const model::conversation_name& name, const model::copy_range& what) override {
    lock guard{log_->mutex};
    if (auto refused = refuse_copies(source_of(name), name, what))
      return *refused;
    log_->sources[name.text()] = what.through;
    return model::nothing{};
  }

  model::status mirrored(std::span<const mirror_move> moves) override {
    lock guard{log_->mutex};
    for (const auto& x : moves)
      if (auto* in = log_->living(x.name, log_->how.wall_ms());
          in != nullptr && in->epoch == x.epoch.text && x.through <= in->tail())
        in->mirrored = std::max(in->mirrored, x.through);
    return model::nothing{};
  }

  model::result<std::int64_t> remember(std::string_view key, std::int64_t value) override {
    lock guard{log_->mutex};
    return log_->remembered.emplace(key, value).first->second;
  }

  std::vector<trim> retain(std::int64_t now_ms, bool& more) override;
  store::health health() const override { return health_; }
  stream_ledger* ledger() noexcept override { return this; }

private:
  chain_outcome commit_one(const chain& x, std::int64_t now_ms);
  std::optional<model::stream_place> source_of(const model::conversation_name& name) const {
    auto found = log_->sources.find(name.text());
    return found == log_->sources.end() ? std::nullopt : std::optional{found->second};
  }
  memory_conversation& begin(const model::conversation_name& name, model::settings settings);

  std::shared_ptr<memory_log> log_;
  store::health health_;
  /// Where the walk of retention stands.
  std::string walked_;
};

chain_outcome memory_writer::commit_one(const chain& x, std::int64_t now_ms) {
  chain_outcome outcome;
  auto* in = log_->find(x.name);
  if (in != nullptr && !in->gone && in->settings.lifetime.expired(now_ms)) {
    log_->remove(x.name.text());
    in = log_->find(x.name);
  }
  if (in != nullptr)
    outcome.state = in->head().state;
  outcome.failure = refuse_chain(in == nullptr ? log_head{} : in->head(), x);
  if (outcome.failure)
    return outcome;
  auto create = [&] { in = &begin(x.name, {x.content_type, {}}); };
  if (in == nullptr && x.appends.empty())
    create();
  for (const auto& next : x.appends) {
    outcome.failure = refuse_append(in == nullptr ? log_head{} : in->head(), x.name, *next);
    if (!outcome.failure && next->copies)
      outcome.failure = refuse_copies(source_of(x.name), x.name, *next->copies);
    if (outcome.failure)
      break;
    if (in == nullptr)
      create();
    in->take(*next, now_ms);
    if (next->copies)
      log_->sources[x.name.text()] = next->copies->through;
    ++outcome.committed;
  }
  if (in != nullptr)
    outcome.state = in->state();
  return outcome;
}

memory_conversation& memory_writer::begin(const model::conversation_name& name,
                                          model::settings settings) {
  auto& in = log_->by_name[name.text()];
  in.epoch = random_epoch() + ".1";
  in.settings = std::move(settings);
  return in;
}

model::result<model::created> memory_writer::create(const model::conversation_name& name,
                                                    const model::creation& what,
                                                    std::int64_t now_ms) {
  lock guard{log_->mutex};
  if (const auto* held = log_->living(name, now_ms)) {
    if (auto refused = refuse_existing(name, held->head(), what))
      return *refused;
    return model::created{held->state(), held->settings, true};
  }
  if (auto* held = log_->find(name); held != nullptr && !held->gone)
    log_->remove(name.text());
  if (log_->find(name) != nullptr)
    return name_taken(name);
  memory_conversation* source = nullptr;
  log_head seen;
  if (what.fork) {
    source = log_->living(what.fork->source, now_ms);
    if (const auto* held = log_->find(what.fork->source); source != nullptr || held != nullptr)
      seen = source != nullptr ? source->head() : held->gone ? held->head() : log_head{};
  }
  auto settings = settings_of(what, source == nullptr ? nullptr : &seen, now_ms);
  if (!settings)
    return settings.why();
  std::optional<fork_origin> origin;
  std::optional<model::entry> cut;
  if (what.fork) {
    auto at = fork_origin_of(*what.fork, seen);
    if (!at)
      return at.why();
    origin = *at;
    if (origin->cut_bytes > 0) {
      auto copy = cut_copy(&source->at(origin->at.next()).entry, origin->cut_bytes);
      if (!copy)
        return copy.why();
      cut = std::move(*copy);
    }
  }
  auto& in = begin(name, std::move(*settings));
  if (origin) {
    in.first = source->first;
    in.base_id = source->base_id;
    in.base_bytes = source->base_bytes;
    for (auto at = source->first; at <= origin->at; at = at.next())
      in.push(source->at(at).entry);
    in.ancestors = ancestors_of(seen, origin->at);
    in.fork = std::move(origin);
    ++source->forks;
  }
  if (cut)
    in.push(std::move(*cut));
  for (auto& x : placed(what.drafts, in.tail(), in.tail_id(), now_ms))
    in.push(std::move(x));
  in.closed = what.closed;
  ++health_.commits;
  return model::created{in.state(), in.settings, false};
}

model::result<std::optional<model::receipt>>
memory_writer::older_receipt(const model::conversation_name& name, std::string_view producer,
                             std::uint64_t number) {
  lock guard{log_->mutex};
  std::optional<model::receipt> found;
  const auto* in = log_->find(name);
  if (in == nullptr || producer.empty() || producer.front() == '=' || producer.front() == '~')
    return found;
  auto known = in->producers.find(producer);
  if (known == in->producers.end())
    return found;
  const auto& last = known->second.row;
  if (number > last.number || last.number - number > numbers_back_max)
    return found;
  auto previous = last.number;
  auto at = last.last.first.value + last.last.count - 1;
  for (auto steps = entries_back_max; steps > 0 && at >= in->first.value; --steps, --at) {
    const auto& x = in->at({at}).entry;
    if (x.producer != producer)
      continue;
    // Backwards, numbers fall; where they rise, an earlier epoch of the producer begins.
    if (x.producer_seq < number || x.producer_seq > previous)
      break;
    previous = x.producer_seq;
    if (x.producer_seq == number && !extend_receipt(found, x.at, x.id))
      break;
  }
  return found;
}

model::status memory_writer::move_cursors(std::span<const cursor_move> moves, std::int64_t now_ms) {
  lock guard{log_->mutex};
  for (const auto& x : moves) {
    auto* in = log_->living(x.key.conversation, now_ms);
    if (in != nullptr && x.removes)
      in->cursors.erase({x.key.user, x.key.client});
    if (x.removes || in == nullptr || in->epoch != x.epoch.text || x.at > in->tail())
      continue;
    model::entry_id id;
    if (x.at.value != 0 && x.at.next() == in->first)
      id = in->base_id;
    else if (x.at >= in->first)
      id = in->at(x.at).entry.id;
    auto& cursor = in->cursors[{x.key.user, x.key.client}];
    if (cursor.at.epoch != x.epoch || cursor.at.at <= x.at ||
        outlived(cursor.time_ms, log_->how.cursor_ttl_s, now_ms))
      cursor = {{x.epoch, x.at, id}, now_ms};
  }
  return model::nothing{};
}

std::vector<trim> memory_writer::retain(std::int64_t now_ms, bool& more) {
  lock guard{log_->mutex};
  std::vector<trim> trims;
  more = false;
  auto budget = step_entries_max;
  auto at = log_->by_name.upper_bound(walked_);
  int seen = 0;
  for (; at != log_->by_name.end() && seen < step_conversations_max && budget > 0; ++seen) {
    walked_ = at->first;
    auto& in = at->second;
    if (!in.gone && in.settings.lifetime.expired(now_ms)) {
      log_->remove(walked_);
      at = log_->by_name.upper_bound(walked_);
      continue;
    }
    ++at;
    std::erase_if(in.producers, [&](const auto& x) {
      return outlived(x.second.time_ms, log_->how.producer_ttl_s, now_ms);
    });
    std::erase_if(in.cursors, [&](const auto& x) {
      return outlived(x.second.time_ms, log_->how.cursor_ttl_s, now_ms);
    });
    const auto* rule = model::rule_for(log_->how.retention, walked_);
    if (rule == nullptr)
      continue;
    auto target = model::retained_from(*rule, in.first, in.tail(), now_ms, [&](model::seq x) {
      if (x < in.first)
        return model::retention_mark{in.base_id.ms, in.base_bytes};
      return model::retention_mark{in.at(x).entry.id.ms, in.at(x).bytes_through};
    });
    model::seq next{std::min(target.value, in.first.value + budget)};
    if (next <= in.first)
      continue;
    budget -= next.value - in.first.value;
    log_->trim(walked_, next);
    trims.push_back({*model::conversation_name::parse(walked_), in.state()});
  }
  // A walk ends at the last name; while one that trimmed something is not through, it goes on at
  // once.
  if (at == log_->by_name.end() && budget > 0)
    walked_.clear();
  else
    more = !trims.empty();
  if (budget == 0) {
    // The last one may need more.
    walked_.pop_back();
    more = true;
  }
  return trims;
}

class memory_store final : public log_store {
public:
  explicit memory_store(const options& how) : log_{std::make_shared<memory_log>()} {
    log_->how = how;
  }

  std::unique_ptr<log_writer> writer() override { return std::make_unique<memory_writer>(log_); }
  model::result<std::unique_ptr<log_reader>> reader() override { return reader_of(log_); }
  std::string description() const override { return "memory (lost when the process ends)"; }
  model::status close() override { return model::nothing{}; }

private:
  std::shared_ptr<memory_log> log_;
};

} // namespace

std::unique_ptr<log_store> open_memory(const options& how) {
  return std::make_unique<memory_store>(how);
}

} // namespace confab::store
