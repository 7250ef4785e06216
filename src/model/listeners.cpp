#include "model/listeners.hpp"

#include <algorithm>
#include <limits>

namespace confab::model {

namespace {

constexpr char between = ' ';
/// More than a cluster has nodes.
constexpr std::size_t list_bytes_max = 1'024 * (incarnation_bytes_max + 1);

result<std::vector<std::string>> read_list(std::string_view text) {
  std::vector<std::string> all;
  if (text.size() > list_bytes_max)
    return error{code::bad_request, "is too long"};
  for (;;) {
    auto end = text.find(between);
    auto one = text.substr(0, end);
    if (!valid_incarnation(one))
      return error{code::bad_request, "is no list of nodes"};
    all.emplace_back(one);
    if (end == std::string_view::npos)
      return all;
    text.remove_prefix(end + 1);
  }
}

} // namespace

void listeners::know(std::vector<std::string> incarnations, std::int64_t now_ms) {
  if (leaving_)
    std::erase(incarnations, own_);
  std::sort(incarnations.begin(), incarnations.end());
  std::string list;
  for (const auto& x : incarnations)
    list.append(list.empty() ? 0 : 1, between).append(x);
  if (list == known_)
    return;
  known_ = std::move(list);
  due_ms_.reset();
  if (known_ != heard_)
    due_ms_ = now_ms;
}

void listeners::leave(std::int64_t now_ms) {
  leaving_ = true;
  if (auto all = read_list(known_))
    know(std::move(*all), now_ms);
}

bool listeners::left() const {
  return leaving_ && (known_.empty() || (!listed_ && !heard_.empty()));
}

void listeners::begin_again() {
  heard_.clear();
  homes_ = {};
  listed_ = false;
  due_ms_ = std::numeric_limits<std::int64_t>::min();
}

status listeners::heard(std::string_view list, std::int64_t now_ms) {
  auto all = read_list(list);
  if (!all)
    return all.why();
  heard_ = list;
  listed_ = std::find(all->begin(), all->end(), own_) != all->end();
  homes_ = placement{std::move(*all)};
  due_ms_.reset();
  if (known_ != heard_)
    due_ms_ = now_ms + patience_ms_;
  return nothing{};
}

std::string listeners::due(std::int64_t now_ms) {
  if (known_.empty() || !due_ms_ || now_ms < *due_ms_)
    return {};
  due_ms_ = now_ms + patience_ms_;
  return known_;
}

} // namespace confab::model
