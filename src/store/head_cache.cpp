#include "store/head_cache.hpp"

namespace confab::store {

const conversation_head* head_cache::find(const std::string& name) {
  auto found = by_name_.find(name);
  if (found == by_name_.end())
    return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return &found->second->head;
}

void head_cache::put(const std::string& name, const conversation_head& head) {
  auto [at, added] = by_name_.try_emplace(name);
  if (!added) {
    at->second->head = head;
    order_.splice(order_.begin(), order_, at->second);
    return;
  }
  order_.push_front({name, head});
  at->second = order_.begin();
  if (by_name_.size() > heads_max) {
    by_name_.erase(order_.back().name);
    order_.pop_back();
  }
}

void head_cache::erase(const std::string& name) {
  auto found = by_name_.find(name);
  if (found == by_name_.end())
    return;
  order_.erase(found->second);
  by_name_.erase(found);
}

void head_cache::clear() {
  by_name_.clear();
  order_.clear();
}

} // namespace confab::store
