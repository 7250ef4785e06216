#include "store/memory_store.hpp"

#include "store/commit_rules.hpp"
#include "store/memory_log.hpp"

#include <algorithm>

namespace confab::store {

namespace {

using lock = std::lock_guard<std::mutex>;

model::error not_found(const model::conversation_name& name) {
  return {model::code::not_found, "conversation " + name.text() + " does not exist"};
}

class memory_writer final : public log_writer {
public:
  explicit memory_writer(std::shared_ptr<memory_log> log) : log_{std::move(log)} {}

  model::result<log_head> open(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    const auto* found = log_->find(name);
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
    if (const auto* in = log_->find(name))
      if (auto found = in->producers.find(producer);
          found != in->producers.end() &&
          !outlived(found->second.time_ms, log_->how.producer_ttl_s, now_ms))
        row = found->second.row;
    return row;
  }

  model::result<std::optional<model::receipt>> older_receipt(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::uint64_t number) override;

  model::result<model::log_state> close(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    auto* found = log_->find(name);
    if (found == nullptr)
      return not_found(name);
    found->closed = true;
    return found->state();
  }

  model::status remove(const model::conversation_name& name) override {
    lock guard{log_->mutex};
    if (log_->by_name.erase(name.text()) == 0)
      return not_found(name);
    return model::nothing{};
  }

  model::status move_cursors(std::span<const cursor_move> moves, std::int64_t now_ms) override;
  std::vector<trim> retain(std::int64_t now_ms, bool& more) override;
  store::health health() const override { return health_; }

private:
  chain_outcome commit_one(const chain& x, std::int64_t now_ms);

  std::shared_ptr<memory_log> log_;
  store::health health_;
  /// Where the walk of retention stands.
  std::string walked_;
};

chain_outcome memory_writer::commit_one(const chain& x, std::int64_t now_ms) {
  chain_outcome outcome;
  auto* in = log_->find(x.name);
  if (in != nullptr)
    outcome.state = in->state();
  outcome.failure = refuse_chain(in == nullptr ? log_head{} : in->head(), x);
  if (outcome.failure)
    return outcome;
  auto create = [&] {
    in = &log_->by_name[x.name.text()];
    in->epoch = random_epoch() + ".1";
    in->content_type = x.content_type;
  };
  if (in == nullptr && x.appends.empty())
    create();
  for (const auto& next : x.appends) {
    outcome.failure =
        refuse_append(in == nullptr ? model::log_state{} : in->state(), x.name, *next);
    if (outcome.failure)
      break;
    if (in == nullptr)
      create();
    for (const auto& entry : next->entries)
      in->push(entry);
    in->remember(*next, now_ms);
    ++outcome.committed;
  }
  if (in != nullptr)
    outcome.state = in->state();
  return outcome;
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
    auto* in = log_->find(x.key.conversation);
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
  for (; at != log_->by_name.end() && seen < step_conversations_max && budget > 0; ++at, ++seen) {
    walked_ = at->first;
    auto& in = at->second;
    std::erase_if(in.producers, [&](const auto& x) {
      return outlived(x.second.time_ms, log_->how.producer_ttl_s, now_ms);
    });
    std::erase_if(in.cursors, [&](const auto& x) {
      return outlived(x.second.time_ms, log_->how.cursor_ttl_s, now_ms);
    });
    const auto* rule = model::rule_for(log_->how.retention, at->first);
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
    in.trim_to(next);
    trims.push_back({*model::conversation_name::parse(at->first), in.state()});
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

class memory_reader final : public log_reader {
public:
  explicit memory_reader(std::shared_ptr<memory_log> log) : log_{std::move(log)} {}

  model::result<model::page> page(const model::conversation_name& name, model::seq from,
                                  model::seq through) override {
    lock guard{log_->mutex};
    model::page page;
    const auto* in = log_->find(name);
    if (in == nullptr)
      return page;
    page.state = in->state();
    auto at = std::max(from, in->first);
    auto last = std::min(through, in->tail());
    if (at > last)
      return page;
    std::size_t bytes = 0;
    for (; at <= last && page.entries.size() < model::page_entries_max; at = at.next()) {
      const auto& x = in->at(at).entry;
      bytes += model::weight(x);
      if (bytes > model::page_bytes_max && !page.entries.empty())
        break;
      page.entries.push_back(x);
    }
    page.full = at <= last || last == through;
    return page;
  }

  model::result<located> locate(const model::conversation_name& name, model::seq at) override {
    lock guard{log_->mutex};
    located result;
    const auto* in = log_->find(name);
    if (in == nullptr)
      return result;
    result.head = in->head();
    if (at >= in->first && at <= in->tail())
      result.found = model::position{{in->epoch}, at, in->at(at).entry.id};
    return result;
  }

  model::result<located> locate_id(const model::conversation_name& name,
                                   model::entry_id id) override {
    lock guard{log_->mutex};
    located result;
    const auto* in = log_->find(name);
    if (in == nullptr)
      return result;
    result.head = in->head();
    if (auto source = in->source_ids.find(to_string(id)); source != in->source_ids.end()) {
      auto at = *source->second.rbegin();
      result.found = model::position{{in->epoch}, at, in->at(at).entry.id};
      return result;
    }
    auto beyond = std::upper_bound(
        in->entries.begin(), in->entries.end(), id,
        [](model::entry_id x, const memory_conversation::held& y) { return x < y.entry.id; });
    if (beyond != in->entries.begin())
      result.found =
          model::position{{in->epoch}, std::prev(beyond)->entry.at, std::prev(beyond)->entry.id};
    else if (in->first.value > 1 && in->base_id <= id)
      result.found = model::position{{in->epoch}, {in->first.value - 1}, in->base_id};
    return result;
  }

  model::result<std::vector<listed>> list(const std::string& prefix, const std::string& after,
                                          std::size_t limit) override {
    lock guard{log_->mutex};
    std::vector<listed> result;
    for (auto i = log_->by_name.lower_bound(std::max(prefix, after));
         i != log_->by_name.end() && i->first.starts_with(prefix) && result.size() < limit; ++i) {
      auto name = model::conversation_name::parse(i->first);
      const auto* in = name && i->first > after ? log_->find(*name) : nullptr;
      if (in != nullptr)
        result.push_back({std::move(*name), in->head()});
    }
    return result;
  }

  model::result<std::optional<model::position>> cursor(const cursor_key& key,
                                                       std::int64_t now_ms) override {
    lock guard{log_->mutex};
    std::optional<model::position> at;
    if (const auto* in = log_->find(key.conversation))
      if (auto found = in->cursors.find({key.user, key.client});
          found != in->cursors.end() &&
          !outlived(found->second.time_ms, log_->how.cursor_ttl_s, now_ms))
        at = found->second.at;
    return at;
  }

private:
  std::shared_ptr<memory_log> log_;
};

class memory_store final : public log_store {
public:
  explicit memory_store(const options& how) : log_{std::make_shared<memory_log>()} {
    log_->how = how;
  }

  std::unique_ptr<log_writer> writer() override { return std::make_unique<memory_writer>(log_); }
  model::result<std::unique_ptr<log_reader>> reader() override {
    return std::unique_ptr<log_reader>{std::make_unique<memory_reader>(log_)};
  }
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
