#include "store/producers_upkeep.hpp"

#include "store/redis_writer.hpp"

namespace confab::store {

namespace {

/// No longer than internal rows are kept: a hash that lost its last one, and its time to live with
/// it, is then always due.
constexpr std::int64_t prolong_ms = internal_ttl_ms;
/// So many fields are worth an index.
constexpr std::size_t many_appends = 64;
/// Beyond it all are told again.
constexpr std::size_t known_max = 65'536;

} // namespace

std::string producers_kept_ms(std::int64_t ttl_s) {
  return std::to_string(ttl_s * 1000 + prolong_ms);
}

producers_upkeep producers_upkeeps::due(const model::conversation_name& name,
                                        const model::epoch& epoch, std::int64_t now_ms) const {
  auto found = known_.find(name);
  if (found == known_.end() || found->second.epoch != epoch)
    return {.kept_ms = producers_kept_ms(ttl_s_)};
  const auto& its = found->second;
  auto lately = now_ms >= its.prolonged_ms && now_ms - its.prolonged_ms < prolong_ms;
  return {.kept_ms = lately ? std::string{} : producers_kept_ms(ttl_s_),
          .many = !its.many_told && its.appends >= many_appends};
}

void producers_upkeeps::done(const model::conversation_name& name, const model::epoch& epoch,
                             std::size_t appends, std::int64_t now_ms) {
  auto was_due = due(name, epoch, now_ms);
  if (known_.size() >= known_max && !known_.contains(name))
    known_.clear();
  auto& its = known_[name];
  // A Redis that was restarted has forgotten what it was told of the hash.
  if (!was_due.kept_ms.empty())
    its = {.epoch = epoch, .prolonged_ms = now_ms};
  its.many_told = its.many_told || was_due.many;
  its.appends += appends;
}

} // namespace confab::store
