#include "net/pages.hpp"

#include "net/hub.hpp"

namespace confab::net {

namespace {

/// Of the budget: one part in so many is for pages.
constexpr std::size_t pages_share = 16;

} // namespace

/// With its encodings, which come later: about three times what the entries weigh.
std::size_t pages::footprint(const model::run& x) noexcept {
  return 3 * x.bytes();
}

model::run_ptr pages::find(const model::conversation_name& name, const model::epoch& of,
                           model::seq at) {
  std::lock_guard lock{mutex_};
  if (by_log_.empty())
    return nullptr;
  auto log = by_log_.find({name.text(), of.text});
  if (log == by_log_.end())
    return nullptr;
  auto behind = log->second.upper_bound(at);
  if (behind == log->second.begin())
    return nullptr;
  auto& [held, used] = std::prev(behind)->second;
  if (!held->holds(at))
    return nullptr;
  order_.splice(order_.end(), order_, used);
  return held;
}

void pages::want(const std::shared_ptr<hub_feed>& feed, model::seq from,
                 const model::log_state& known) {
  auto block = (from.value - 1) / block_entries;
  page_request asked{.name = feed->name(),
                     .epoch = known.epoch,
                     .from = from,
                     .through = {(block + 1) * block_entries},
                     .tail = known.tail};
  {
    std::lock_guard lock{mutex_};
    read_key key{{asked.name->text(), asked.epoch.text}, from};
    auto [begin, end] = reads_.equal_range(key);
    for (auto i = begin; i != end; ++i)
      if (i->second.tail >= known.tail) {
        i->second.waiting.push_back(feed);
        return;
      }
    reads_.emplace(key, read{known.tail, {feed}});
  }
  backend_.read(std::move(asked));
}

void pages::arrived(const page_request& asked, model::result<model::page> got) {
  page_arrival answer{.feed = nullptr, .from = asked.from};
  bool full = false;
  if (!got) {
    answer.verdict = model::page_verdict::damaged;
    answer.failure = got.why();
  } else {
    answer.state = got->state;
    answer.verdict = model::check(*got, asked.epoch, asked.from, asked.tail);
    full = got->full;
    if (answer.verdict == model::page_verdict::damaged)
      answer.failure = model::error{model::code::log_damaged,
                                    asked.name->text() + ": the log does not hold entry " +
                                        std::to_string(asked.from.value) + " at its place"};
    else if (answer.verdict == model::page_verdict::good)
      answer.held =
          std::make_shared<model::run>(asked.name, asked.epoch, std::move(got->entries), &budget_);
  }
  std::vector<std::shared_ptr<hub_feed>> waiting;
  {
    std::lock_guard lock{mutex_};
    log_key key{asked.name->text(), asked.epoch.text};
    auto [begin, end] = reads_.equal_range(read_key{key, asked.from});
    for (auto i = begin; i != end; ++i)
      if (i->second.tail == asked.tail) {
        waiting = std::move(i->second.waiting);
        reads_.erase(i);
        break;
      }
    if (answer.held && full)
      keep(key, answer.held);
    shed_locked();
  }
  for (auto& x : waiting) {
    auto& to = x->owner();
    auto copy = answer;
    copy.feed = std::move(x);
    to.page_arrived(std::move(copy));
  }
}

void pages::shed() {
  std::lock_guard lock{mutex_};
  shed_locked();
}

void pages::keep(const log_key& key, const model::run_ptr& held) {
  auto first = held->first();
  auto log = by_log_.find(key);
  auto on_block = (first.value - 1) % block_entries == 0;
  if (!on_block) {
    if (log == by_log_.end())
      return;
    auto behind = log->second.lower_bound(first);
    if (behind == log->second.begin() || std::prev(behind)->second.held->last().next() != first)
      return;
  }
  if (log == by_log_.end())
    log = by_log_.try_emplace(key).first;
  if (log->second.contains(first))
    return;
  kept_bytes_ += footprint(*held);
  log->second.emplace(first, kept{held, order_.insert(order_.end(), {key, first})});
}

void pages::shed_locked() {
  while (!order_.empty() && (budget_.over() || kept_bytes_ > budget_.most() / pages_share)) {
    auto& [key, first] = order_.front();
    auto log = by_log_.find(key);
    auto page = log->second.find(first);
    kept_bytes_ -= footprint(*page->second.held);
    log->second.erase(page);
    if (log->second.empty())
      by_log_.erase(log);
    order_.pop_front();
  }
}

} // namespace confab::net
