#include "actors/redis_bridge.hpp"

#include <spdlog/spdlog.h>

#include <map>

namespace confab::actors {

namespace {

/// While nothing comes: acknowledgements and the node's end wait for it.
constexpr std::int64_t block_ms = 100;
/// With so many pointers under way nothing is read: what waits, waits in Redis.
constexpr std::size_t under_way_max = 4096;

} // namespace

void redis_bridge_state::work() {
  auto step = how.pointers->connect();
  if (step && !joined)
    step = join();
  if (step)
    step = acknowledge();
  auto now = env->wall_ms();
  if (step && now - tidied_ms >= how.tidy_ms) {
    tidied_ms = now;
    step = claim();
    if (step)
      step = tidy();
  }
  if (step && under_way < under_way_max)
    step = read();
  if (step) {
    env->redis_health.up("pointers");
    return work_again(under_way < under_way_max ? 0 : 10);
  }
  env->redis_health.down("pointers", step.why().detail);
  // What is pending comes again behind a new beginning.
  joined = false;
  work_again(
      std::max<std::int64_t>(20, how.pointers->connected() ? 500 : how.pointers->retry_in_ms()));
}

model::status redis_bridge_state::join() {
  auto there = how.pointers->join();
  joined = static_cast<bool>(there);
  return there;
}

model::status redis_bridge_state::acknowledge() {
  if (done.empty())
    return model::nothing{};
  if (auto told = how.pointers->acknowledge(done); !told)
    return told;
  env->counted.pointers_acknowledged.add(done.size());
  done.clear();
  return model::nothing{};
}

model::status redis_bridge_state::read() {
  auto got = how.pointers->read(done.empty() ? block_ms : 0);
  if (!got)
    return got.why();
  env->counted.pointers_read.add(got->size());
  take(*got);
  return model::nothing{};
}

model::status redis_bridge_state::claim() {
  auto got = how.pointers->claim();
  if (!got)
    return got.why();
  env->counted.pointers_claimed.add(got->pointers.size());
  if (!got->pointers.empty())
    spdlog::info("pointers: {} of consumers that do not answer were claimed", got->pointers.size());
  if (got->more)
    tidied_ms = 0;
  take(got->pointers);
  return model::nothing{};
}

model::status redis_bridge_state::tidy() {
  auto removed = how.pointers->tidy();
  if (!removed)
    return removed.why();
  env->counted.consumers_removed.add(removed->consumers);
  env->counted.pointers_trimmed.add(removed->pointers);
  return model::nothing{};
}

void redis_bridge_state::take(const std::vector<model::stream_entry>& entries) {
  std::map<model::conversation_name, wake_up> wake_ups;
  for (const auto& x : entries) {
    if (marked(x, how.origin)) {
      done.push_back(x.id);
      continue;
    }
    auto to = model::read_pointer(x);
    if (!to) {
      refuse(x, to.why());
      continue;
    }
    const auto* origin = x.field(model::origin_field);
    auto& its = wake_ups[to->name];
    if (its.ids.empty() && origin != nullptr)
      its.origin = *origin;
    else if (origin == nullptr || its.origin != *origin)
      its.origin.clear();
    its.ids.push_back(x.id);
  }
  for (auto& [to, its] : wake_ups)
    wake(to, std::move(its));
}

void redis_bridge_state::wake(const model::conversation_name& to, wake_up x) {
  auto count = x.ids.size();
  under_way += count;
  count_under_way();
  auto shared = std::make_shared<std::vector<std::string>>(std::move(x.ids));
  auto answered = [this, shared, count](bool) { woken(std::move(*shared), count); };
  auto failed = [this, count](const caf::error& why) {
    // They stay pending.
    spdlog::debug("pointers: {}", self->system().render(why));
    woken({}, count);
  };
  if (copier)
    self->request(copier, caf::infinite, atom::wake::value, to).then(answered, failed);
  else
    self->request(directory, caf::infinite, atom::wake_up::value, to, std::move(x.origin))
        .then(answered, failed);
}

void redis_bridge_state::woken(std::vector<std::string> ids, std::size_t count) {
  under_way -= count;
  count_under_way();
  std::move(ids.begin(), ids.end(), std::back_inserter(done));
}

void redis_bridge_state::refuse(const model::stream_entry& x, const model::error& why) {
  env->counted.pointers_refused.add();
  done.push_back(x.id);
  if (complaints.allows(env->wall_ms()))
    spdlog::warn("pointers: {} points to no entry: {} ({} refused so far)", x.id, why.detail,
                 env->counted.pointers_refused.value());
}

void redis_bridge_state::count_under_way() noexcept {
  env->counted.pointers_under_way.set(static_cast<std::int64_t>(under_way));
}

void redis_bridge_state::work_again(std::int64_t wait_ms) {
  // Behind what is in the mailbox: the wake-ups that were answered.
  if (wait_ms == 0)
    self->send(self, atom::work::value);
  else
    self->delayed_send(self, std::chrono::milliseconds{wait_ms}, atom::work::value);
}

redis_bridge_actor::behavior_type redis_bridge(redis_bridge_state::self_pointer self,
                                               bridge_options how, stream_copier_actor copier,
                                               directory_actor directory, environment* env) {
  abort_on_exceptions(*self);
  auto& state = self->state;
  state.env = env;
  state.how = std::move(how);
  state.copier = std::move(copier);
  state.directory = std::move(directory);
  state.work_again(0);
  return {
      [&state](atom::work) { state.work(); },
  };
}

} // namespace confab::actors
