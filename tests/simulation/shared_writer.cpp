#include "simulation/shared_writer.hpp"

#include <algorithm>

namespace confab::test {

namespace {

using model::code;

const model::error unread{code::read_failed, "simulated: the log is away"};
const model::error unchanged{code::store_failed, "simulated: the log is away"};

class shared_writer final : public store::log_writer {
public:
  shared_writer(std::unique_ptr<store::log_writer> inner, std::shared_ptr<shared_numbers> numbers,
                std::shared_ptr<const bool> away)
    : inner_{std::move(inner)}, numbers_{std::move(numbers)}, away_{std::move(away)} {}

  model::result<store::log_head> open(const model::conversation_name& name) override {
    if (*away_)
      return unread;
    return inner_->open(name);
  }
  std::vector<store::chain_outcome> commit(std::span<const store::chain* const> chains,
                                           std::int64_t now_ms) override {
    std::vector<store::chain_outcome> outcomes;
    for (const auto* x : chains)
      outcomes.push_back(*away_ ? store::chain_outcome{.state = {}, .failure = unchanged}
                                : commit_one(*x, now_ms));
    return outcomes;
  }
  model::result<std::optional<store::producer_row>> producer(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::int64_t now_ms) override {
    if (*away_)
      return unread;
    return inner_->producer(name, producer, now_ms);
  }
  model::result<std::optional<model::receipt>> older_receipt(const model::conversation_name& name,
                                                             std::string_view producer,
                                                             std::uint64_t number) override {
    if (*away_)
      return unread;
    auto head = inner_->open(name);
    std::optional<model::receipt> found;
    for (const auto& [key, receipt] : numbers_->receipts)
      if (std::get<0>(key) == name.text() && std::get<1>(key) == head->state.epoch.text &&
          std::get<2>(key) == producer && std::get<4>(key) == number)
        found = receipt;
    return found;
  }
  model::result<model::created> create(const model::conversation_name& name,
                                       const model::creation& what, std::int64_t now_ms) override {
    if (*away_)
      return unchanged;
    return inner_->create(name, what, now_ms);
  }
  model::status touch(const model::conversation_name& name, const model::epoch& epoch,
                      std::int64_t expires_ms) override {
    if (*away_)
      return unchanged;
    return inner_->touch(name, epoch, expires_ms);
  }
  model::result<model::log_state> close(const model::conversation_name& name) override {
    if (*away_)
      return unchanged;
    return inner_->close(name);
  }
  model::status remove(const model::conversation_name& name) override {
    if (*away_)
      return unchanged;
    return inner_->remove(name);
  }
  model::status move_cursors(std::span<const store::cursor_move> moves,
                             std::int64_t now_ms) override {
    if (*away_)
      return unchanged;
    return inner_->move_cursors(moves, now_ms);
  }
  std::vector<store::trim> retain(std::int64_t now_ms, bool& more) override {
    if (*away_)
      return {};
    return inner_->retain(now_ms, more);
  }
  store::health health() const override {
    auto x = inner_->health();
    if (*away_)
      x.trouble = unchanged.detail;
    return x;
  }

private:
  store::chain_outcome commit_one(const store::chain& x, std::int64_t now_ms) {
    store::chain_outcome all;
    auto offered = x;
    bool elsewhere = false;
    for (const auto& append : x.appends) {
      auto head = *inner_->open(x.name);
      all.state = head.state;
      // A wrong epoch is refused by the log itself.
      if (head.state.epoch == offered.epoch && !offered.epoch.empty()) {
        if (auto known = find(x.name, head.state.epoch, *append)) {
          all.landed.push_back(*known);
          elsewhere = true;
          ++all.committed;
          continue;
        }
        if (auto refused = refuse(x.name, *append, now_ms)) {
          all.failure = *refused;
          break;
        }
        offered.appends = {placed(*append, head.state)};
      } else {
        offered.appends = {append};
      }
      const auto* pointer = &offered;
      auto one = inner_->commit(std::span{&pointer, 1}, now_ms).front();
      all.state = one.state;
      if (one.failure) {
        all.failure = one.failure;
        break;
      }
      offered.epoch = one.state.epoch;
      auto got = receipt_of(*offered.appends.front(), one.state);
      numbers_->receipts[key(x.name, one.state.epoch, *append)] = got;
      all.landed.push_back(got);
      if (!append->entries.empty()) {
        const auto& asked = append->entries.front();
        elsewhere = elsewhere || got.first != asked.at || got.id != asked.id;
      }
      if (numbers_->loses_answer()) {
        all.failure = model::error{code::append_unknown, "simulated: the answer was lost"};
        break;
      }
      ++all.committed;
    }
    all.landed.resize(all.committed);
    if (!elsewhere)
      all.landed.clear();
    return all;
  }

  static std::string producer_of(const store::append& x) {
    return x.producer.empty() && !x.entries.empty() ? x.entries.front().producer : x.producer;
  }
  static decltype(shared_numbers::receipts)::key_type
  key(const model::conversation_name& name, const model::epoch& epoch, const store::append& x) {
    return {name.text(), epoch.text, producer_of(x), x.producer_epoch, x.producer_seq};
  }
  std::optional<model::receipt> find(const model::conversation_name& name,
                                     const model::epoch& epoch, const store::append& x) const {
    auto i = numbers_->receipts.find(key(name, epoch, x));
    if (i == numbers_->receipts.end())
      return std::nullopt;
    auto again = i->second;
    again.duplicate = true;
    return again;
  }
  /// As the append script does.
  std::optional<model::error> refuse(const model::conversation_name& name, const store::append& x,
                                     std::int64_t now_ms) {
    if (x.producer.empty() || x.producer.front() == '=')
      return std::nullopt;
    auto row = *inner_->producer(name, x.producer, now_ms);
    if (!row || x.producer_epoch > row->epoch)
      return std::nullopt;
    if (x.producer_epoch < row->epoch)
      return model::error{code::producer_epoch, "a newer epoch was seen", row->epoch};
    if (x.producer_seq <= row->number)
      return model::error{code::producer_old, "was appended long ago"};
    if (x.producer_seq > row->number + 1)
      return model::error{code::producer_gap, "is not the next one", row->number + 1};
    return std::nullopt;
  }
  static std::shared_ptr<const store::append> placed(const store::append& x,
                                                     const model::log_state& behind) {
    auto made = std::make_shared<store::append>(x);
    auto at = behind.tail;
    auto id = behind.tail_id;
    for (auto& y : made->entries) {
      at = at.next();
      id = std::max(y.id, {id.ms, id.n + 1});
      y.at = at;
      y.id = id;
    }
    return made;
  }
  static model::receipt receipt_of(const store::append& x, const model::log_state& now) {
    if (x.entries.empty())
      return {.first = now.tail.next(), .count = 0, .id = now.tail_id};
    return {.first = x.entries.front().at,
            .count = static_cast<std::uint32_t>(x.entries.size()),
            .id = x.entries.front().id};
  }

  std::unique_ptr<store::log_writer> inner_;
  std::shared_ptr<shared_numbers> numbers_;
  std::shared_ptr<const bool> away_;
};

} // namespace

std::unique_ptr<store::log_writer> share(std::unique_ptr<store::log_writer> x,
                                         std::shared_ptr<shared_numbers> numbers,
                                         std::shared_ptr<const bool> away) {
  return std::make_unique<shared_writer>(std::move(x), std::move(numbers), std::move(away));
}

} // namespace confab::test
