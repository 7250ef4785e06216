// A reading session of the log in memory.
#include "store/commit_rules.hpp"
#include "store/memory_log.hpp"

#include <algorithm>

namespace confab::store {

namespace {

using lock = std::lock_guard<std::mutex>;

class memory_reader final : public log_reader {
public:
  explicit memory_reader(std::shared_ptr<memory_log> log) : log_{std::move(log)} {}

  model::result<model::page> page(const model::conversation_name& name, model::seq from,
                                  model::seq through) override {
    lock guard{log_->mutex};
    model::page page;
    const auto* in = log_->living(name, log_->how.wall_ms());
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
    const auto* in = living(name, result.head);
    if (in == nullptr)
      return result;
    if (at >= in->first && at <= in->tail())
      result.found = model::position{{in->epoch}, at, in->at(at).entry.id};
    return result;
  }

  model::result<located> locate_id(const model::conversation_name& name,
                                   model::entry_id id) override {
    lock guard{log_->mutex};
    located result;
    const auto* in = living(name, result.head);
    if (in == nullptr)
      return result;
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
      const auto* in =
          name && i->first > after ? log_->living(*name, log_->how.wall_ms()) : nullptr;
      if (in != nullptr)
        result.push_back({std::move(*name), in->head()});
    }
    return result;
  }

  model::result<std::optional<model::position>> cursor(const cursor_key& key,
                                                       std::int64_t now_ms) override {
    lock guard{log_->mutex};
    std::optional<model::position> at;
    if (const auto* in = log_->living(key.conversation, log_->how.wall_ms()))
      if (auto found = in->cursors.find({key.user, key.client});
          found != in->cursors.end() &&
          !outlived(found->second.time_ms, log_->how.cursor_ttl_s, now_ms))
        at = found->second.at;
    return at;
  }

private:
  /// The log of that name, with its head; null if nobody reads it. @pre the mutex is held
  const memory_conversation* living(const model::conversation_name& name, log_head& head) const {
    const auto* in = log_->living(name, log_->how.wall_ms());
    if (in != nullptr) {
      head = in->head();
    } else {
      const auto* held = log_->find(name);
      head.gone = held != nullptr && held->gone;
    }
    return in;
  }

  std::shared_ptr<memory_log> log_;
};

} // namespace

std::unique_ptr<log_reader> reader_of(std::shared_ptr<memory_log> log) {
  return std::make_unique<memory_reader>(std::move(log));
}

} // namespace confab::store
