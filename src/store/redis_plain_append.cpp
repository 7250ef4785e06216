#include "store/redis_plain_append.hpp"

#include "model/producers.hpp"
#include "store/redis_entries.hpp"
#include "store/redis_writer.hpp"

#include <map>
#include <set>

namespace confab::store {

namespace {

/// Larger ids are left to the other script.
constexpr std::uint64_t plain_ms_max = 1'000'000'000'000'000;

/// More than `hash-max-listpack-value` (64) of whatever is set.
constexpr std::size_t long_bytes = 1'024;

/// A producer's row, and the receipt of a number, begin so.
std::string mark_of(std::uint64_t epoch, std::uint64_t number) {
  return std::to_string(epoch) + ' ' + std::to_string(number) + ' ';
}

} // namespace

std::optional<redis_call> plain_call(const plain_appends& x, const redis_log_options& how,
                                     producers_upkeep upkeep, std::int64_t now_ms) {
  const auto& head = x.sight.head;
  const auto& state = head.state;
  if (state.epoch.empty() || state.tail.value == 0 || state.life != model::lifecycle::open ||
      x.sight.length == 0 || x.sight.top != state.tail_id || state.tail_id.ms >= plain_ms_max ||
      head.settings.lifetime.expires_ms)
    return std::nullopt;
  /// Of an external producer in this call: its last append, and how its row must begin.
  struct producer_in_call {
    const append* last;
    std::string wanted;
  };
  std::map<std::string_view, producer_in_call> producers;
  std::set<std::string> slots;
  std::vector<std::string> pairs, entries;
  auto at = state.tail;
  auto id = state.tail_id;
  for (auto i = x.begin; i < x.end; ++i) {
    const auto& y = *x.of.appends[i];
    if (y.entries.empty() || y.closes || !y.stream_seq.empty() || y.expires_ms || y.copies)
      return std::nullopt;
    for (const auto& entry : y.entries) {
      if (entry.at != at.next() || entry.id <= id)
        return std::nullopt;
      at = entry.at;
      id = entry.id;
      entries.push_back(to_string(id));
      add_plain_fields(entries, entry);
    }
    const auto& producer = producer_of(y);
    auto slot = producer.empty() ? std::string{} : producer_slot(producer, y.producer_seq);
    if (producer.empty() || !slots.insert(slot).second)
      return std::nullopt;
    pairs.push_back(std::move(slot));
    pairs.push_back(mark_of(y.producer_epoch, y.producer_seq) +
                    std::to_string(y.entries.front().at.value) + ' ' +
                    std::to_string(y.entries.size()) + ' ' + to_string(y.entries.front().id) + ' ' +
                    std::to_string(now_ms));
    if (model::internal_producer(producer))
      continue;
    auto [known, is_new] = producers.try_emplace(producer, producer_in_call{&y, {}});
    if (is_new) {
      // No row begins so if there is no number before it.
      known->second.wanted =
          y.producer_seq == 0 ? "-" : mark_of(y.producer_epoch, y.producer_seq - 1);
      continue;
    }
    const auto& before = *known->second.last;
    if (y.producer_epoch != before.producer_epoch || y.producer_seq != before.producer_seq + 1)
      return std::nullopt;
    known->second.last = &y;
  }
  redis_call made;
  made.keys = {stream_key(x.of.name), "confab:log:" + x.of.name.text(),
               "confab:producer:" + x.of.name.text(), std::string{model::fanout_stream}};
  auto& to = made.arguments;
  to = {x.of.name.text(),
        state.epoch.text,
        to_string(state.tail_id),
        std::to_string(x.sight.length),
        std::to_string(at.value) + ' ' + to_string(id),
        how.origin,
        std::to_string(how.maxlen),
        std::move(upkeep.kept_ms),
        std::to_string(pairs.size() / 2),
        std::to_string(producers.size()),
        std::string(upkeep.many ? long_bytes : 0, ' ')};
  auto add_all = [&to](std::vector<std::string>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  add_all(pairs);
  for (const auto& [producer, its] : producers) {
    to.emplace_back(producer);
    to.push_back(mark_of(its.last->producer_epoch, its.last->producer_seq) +
                 std::to_string(its.last->fingerprint) + ' ' + std::to_string(now_ms));
  }
  for (auto& [producer, its] : producers)
    to.push_back(std::move(its.wanted));
  add_all(entries);
  return made;
}

} // namespace confab::store
