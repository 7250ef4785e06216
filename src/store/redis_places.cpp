#include "store/redis_places.hpp"

#include <algorithm>

namespace confab::store {

redis_places::known& redis_places::touch(const model::conversation_name& name) {
  if (auto i = by_name_.find(name); i != by_name_.end()) {
    if (next_ == i->second)
      ++next_;
    order_.splice(order_.begin(), order_, i->second);
    return order_.front();
  }
  order_.push_front({name, {}, {}});
  by_name_.emplace(name, order_.begin());
  if (order_.size() > logs_max) {
    if (next_ == std::prev(order_.end()))
      next_ = order_.end();
    by_name_.erase(order_.back().name);
    order_.pop_back();
  }
  return order_.front();
}

std::optional<redis_sight> redis_places::find(const model::conversation_name& name) {
  std::lock_guard lock{mutex_};
  if (!by_name_.contains(name))
    return std::nullopt;
  return touch(name).sight;
}

void redis_places::saw(const model::conversation_name& name, const redis_sight& now) {
  std::lock_guard lock{mutex_};
  auto& x = touch(name);
  const auto& before = x.sight.head.state;
  if (now.head.state.epoch != before.epoch) {
    x.marks.clear();
    x.sight = now;
  } else if (now.head.state.tail >= before.tail) {
    auto first = std::max(before.first, now.head.state.first);
    x.sight = now;
    x.sight.head.state.first = first;
  }
}

void redis_places::hear_of(const model::conversation_name& name) {
  std::lock_guard lock{mutex_};
  touch(name);
}

void redis_places::passed(const model::conversation_name& name, const model::epoch& epoch,
                          model::seq at, model::entry_id id, bool wanted) {
  if (!wanted && at.value % mark_every != 0)
    return;
  std::lock_guard lock{mutex_};
  auto& x = touch(name);
  if (x.sight.head.state.epoch != epoch)
    return;
  x.marks[at] = id;
  // The oldest ones are the least asked for.
  if (x.marks.size() > marks_max)
    x.marks.erase(x.marks.begin());
}

redis_places::neighbours redis_places::around(const model::conversation_name& name,
                                              const model::epoch& epoch, model::seq at) {
  std::lock_guard lock{mutex_};
  auto i = by_name_.find(name);
  neighbours found;
  if (i == by_name_.end() || i->second->sight.head.state.epoch != epoch)
    return found;
  const auto& marks = i->second->marks;
  auto above = marks.upper_bound(at);
  if (above != marks.end())
    found.above = place{above->first, above->second};
  if (above != marks.begin())
    found.below = place{std::prev(above)->first, std::prev(above)->second};
  return found;
}

redis_places::neighbours redis_places::around_id(const model::conversation_name& name,
                                                 const model::epoch& epoch, model::entry_id id) {
  std::lock_guard lock{mutex_};
  auto i = by_name_.find(name);
  neighbours found;
  if (i == by_name_.end() || i->second->sight.head.state.epoch != epoch)
    return found;
  for (const auto& [at, its] : i->second->marks) {
    if (its > id) {
      found.above = place{at, its};
      break;
    }
    found.below = place{at, its};
  }
  return found;
}

std::vector<model::conversation_name> redis_places::seen(std::size_t limit) {
  std::lock_guard lock{mutex_};
  std::vector<model::conversation_name> names;
  if (next_ == order_.end())
    next_ = order_.begin();
  for (; next_ != order_.end() && names.size() < limit; ++next_)
    names.push_back(next_->name);
  return names;
}

} // namespace confab::store
