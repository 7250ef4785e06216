#include "simulation/log_truth.hpp"

#include <algorithm>

namespace confab::test {

using model::code;

class watched_writer final : public store::log_writer {
public:
  watched_writer(log_truth& truth, std::unique_ptr<store::log_writer> inner)
    : truth_{truth}, inner_{std::move(inner)} {}

  model::result<store::log_head> open(const model::conversation_name& name) override {
    return inner_->open(name);
  }
  std::vector<store::chain_outcome> commit(std::span<const store::chain* const> chains,
                                           std::int64_t now_ms) override {
    std::vector<store::chain_outcome> outcomes;
    for (const auto* x : chains)
      outcomes.push_back(commit_one(*x, now_ms));
    return outcomes;
  }
  model::result<std::optional<store::producer_row>> producer(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::int64_t now_ms) override {
    return inner_->producer(name, producer, now_ms);
  }
  model::result<std::optional<model::receipt>> older_receipt(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::uint64_t number) override {
    return inner_->older_receipt(name, producer, number);
  }
  model::result<model::created> create(const model::conversation_name& name,
                                       const model::creation& what, std::int64_t now_ms) override {
    auto done = inner_->create(name, what, now_ms);
    if (done && !done->existed && !what.drafts.empty())
      truth_.defect = "create: the simulation creates empty logs only";
    if (done && !done->existed)
      truth_.logs_[name.text()].push_back({.epoch = done->state.epoch.text, .entries = {}});
    return done;
  }
  model::status touch(const model::conversation_name& name, const model::epoch& epoch,
                      std::int64_t expires_ms) override {
    return inner_->touch(name, epoch, expires_ms);
  }
  model::result<model::log_state> close(const model::conversation_name& name) override {
    auto done = inner_->close(name);
    truth_.tell("close " + name.text());
    if (done)
      truth_.living(name.text())->closed = true;
    return done;
  }
  model::status remove(const model::conversation_name& name) override {
    auto done = inner_->remove(name);
    truth_.tell("remove " + name.text());
    if (done)
      truth_.living(name.text())->deleted_at = ++truth_.moment;
    return done;
  }
  model::status move_cursors(std::span<const store::cursor_move> moves,
                             std::int64_t now_ms) override {
    return inner_->move_cursors(moves, now_ms);
  }
  std::vector<store::trim> retain(std::int64_t now_ms, bool& more) override {
    auto trims = inner_->retain(now_ms, more);
    for (const auto& x : trims) {
      truth_.tell("trim " + x.name.text() + " to " + std::to_string(x.state.first.value));
      truth_.living(x.name.text())->first = x.state.first;
    }
    return trims;
  }
  store::health health() const override { return inner_->health(); }

private:
  store::chain_outcome commit_one(const store::chain& x, std::int64_t now_ms);

  log_truth& truth_;
  std::unique_ptr<store::log_writer> inner_;
};

class watched_reader final : public store::log_reader {
public:
  watched_reader(log_truth& truth, std::unique_ptr<store::log_reader> inner)
    : truth_{truth}, inner_{std::move(inner)} {}

  model::result<model::page> page(const model::conversation_name& name, model::seq from,
                                  model::seq through) override {
    if (truth_.happens(truth_.faults.read_failed))
      return model::error{code::read_failed, "simulated"};
    return inner_->page(name, from, through);
  }
  model::result<located> locate(const model::conversation_name& name, model::seq at) override {
    if (truth_.happens(truth_.faults.read_failed))
      return model::error{code::read_failed, "simulated"};
    return inner_->locate(name, at);
  }
  model::result<located> locate_id(const model::conversation_name& name,
                                   model::entry_id id) override {
    return inner_->locate_id(name, id);
  }
  model::result<std::vector<listed>> list(const std::string& prefix, const std::string& after,
                                          std::size_t limit) override {
    return inner_->list(prefix, after, limit);
  }
  model::result<std::optional<model::position>> cursor(const store::cursor_key& key,
                                                       std::int64_t now_ms) override {
    return inner_->cursor(key, now_ms);
  }

private:
  log_truth& truth_;
  std::unique_ptr<store::log_reader> inner_;
};

store::chain_outcome watched_writer::commit_one(const store::chain& x, std::int64_t now_ms) {
  auto offered = x;
  std::optional<model::error> failure;
  for (std::size_t i = 0; i < offered.appends.size() && !failure; ++i) {
    if (truth_.happens(truth_.faults.append_failed))
      failure = model::error{code::store_failed, "simulated"};
    else if (truth_.happens(truth_.faults.append_unknown))
      failure = model::error{code::append_unknown, "simulated"};
    if (failure)
      offered.appends.resize(i);
  }
  store::chain_outcome outcome;
  if (offered.appends.empty() && failure) {
    auto head = inner_->open(x.name);
    outcome.state = head ? head->state : model::log_state{};
  } else {
    const auto* pointer = &offered;
    outcome = inner_->commit(std::span{&pointer, 1}, now_ms).front();
  }
  truth_.tell("commit " + x.name.text() + ' ' + std::to_string(outcome.committed) + " of " +
              std::to_string(x.appends.size()) + " appends" +
              (failure           ? ", then a fault"
               : outcome.failure ? ", then refused"
                                 : ""));
  for (std::size_t i = 0; i < outcome.committed; ++i)
    truth_.appended(x.name.text(), outcome.state.epoch.text, *offered.appends[i]);
  if (!outcome.failure)
    outcome.failure = failure;
  return outcome;
}

model::log_state incarnation::state() const {
  return {.epoch = {epoch},
          .first = first,
          .tail = tail(),
          .tail_id = entries.empty() ? model::entry_id{} : entries.back().id,
          .life = closed ? model::lifecycle::closed : model::lifecycle::open};
}

const std::deque<incarnation>& log_truth::all(const std::string& name) const {
  static const std::deque<incarnation> none;
  auto i = logs_.find(name);
  return i == logs_.end() ? none : i->second;
}

const incarnation* log_truth::current(const std::string& name) const {
  const auto& known = all(name);
  return known.empty() || known.back().deleted_at != 0 ? nullptr : &known.back();
}

incarnation* log_truth::living(const std::string& name) {
  return const_cast<incarnation*>(current(name));
}

const incarnation* log_truth::find(const std::string& name, const std::string& epoch) const {
  const auto& known = all(name);
  auto i = std::find_if(known.begin(), known.end(),
                        [&](const incarnation& x) { return x.epoch == epoch; });
  return i == known.end() ? nullptr : &*i;
}

void log_truth::appended(const std::string& name, const std::string& epoch,
                         const store::append& x) {
  ++moment;
  auto* log = living(name);
  if (log == nullptr) {
    logs_[name].push_back({.epoch = epoch, .entries = {}, .first = {1}});
    log = living(name);
  }
  if (log->epoch != epoch || log->closed)
    defect = name + ": an append went into a log that was gone or closed";
  for (const auto& y : x.entries) {
    auto id = log->entries.empty() ? model::entry_id{} : log->entries.back().id;
    if (y.at != log->tail().next() || y.id <= id)
      defect =
          name + ": seq " + std::to_string(y.at.value) + " is not dense, or its id does not rise";
    log->entries.push_back(y);
  }
  const auto& head = x.entries.front();
  if (!numbers_.emplace(name, epoch, head.producer, x.producer_epoch, head.producer_seq).second)
    defect = name + ": number " + std::to_string(head.producer_seq) + " of " + head.producer +
             " was appended twice";
  auto& highest = highest_[{name, head.producer}];
  if (in_order.contains(head.producer) && head.producer_seq > highest + 1)
    defect = name + ": number " + std::to_string(head.producer_seq) + " of " + head.producer +
             " was appended before " + std::to_string(highest + 1);
  highest = std::max(highest, head.producer_seq);
  if (committed)
    committed(name, x.entries);
}

std::unique_ptr<store::log_writer> log_truth::watch(std::unique_ptr<store::log_writer> x) {
  return std::make_unique<watched_writer>(*this, std::move(x));
}

std::unique_ptr<store::log_reader> log_truth::watch(std::unique_ptr<store::log_reader> x) {
  return std::make_unique<watched_reader>(*this, std::move(x));
}

} // namespace confab::test
