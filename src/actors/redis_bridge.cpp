#include "actors/redis_bridge.hpp"

#include "store/stream_reply.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

namespace confab::actors {

namespace {

constexpr std::int64_t batch = 256;
/// While nothing comes: acknowledgements and the node's end wait for it.
constexpr std::int64_t block_ms = 100;
/// With so many pointers under way nothing is read: what waits, waits in Redis.
constexpr std::size_t under_way_max = 4096;
/// It claims and tidies at least so often.
constexpr std::int64_t tidy_ms_max = 10'000;

// KEYS: the fan-out stream. ARGV: group, this consumer, after how many ms a consumer is gone, after
// how many a pointer is old (0: never). Answers how many consumers and pointers were removed.
constinit const store::redis_script tidy_script{"the script that tidies the fan-out stream", R"lua(
local key, group, own = KEYS[1], ARGV[1], ARGV[2]
local gone_ms, old_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local function fields(list)
  local said = {}
  for i = 1, #list, 2 do said[list[i]] = list[i + 1] end
  return said
end
-- To Redis 7.0 one that waits for new pointers in vain is idle; one that asks for its own is not.
redis.call('XREADGROUP', 'GROUP', group, own, 'COUNT', 1, 'STREAMS', key, '0')
local removed, trimmed = 0, 0
for _, x in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
  local consumer = fields(x)
  if consumer.name ~= own and consumer.pending == 0 and consumer.idle > gone_ms then
    redis.call('XGROUP', 'DELCONSUMER', key, group, consumer.name)
    removed = removed + 1
  end
end
if old_ms > 0 then
  local time = redis.call('TIME')
  local bound = string.format('%d', tonumber(time[1]) * 1000 - old_ms)
  -- The oldest that some group has not acknowledged, or not read.
  local function lower(id)
    local ms, n = string.match(id, '^(%d+)-(%d+)$')
    local bound_ms, bound_n = string.match(bound, '^(%d+)-?(%d*)$')
    bound_n = bound_n == '' and '0' or bound_n
    ms, n, bound_ms, bound_n = tonumber(ms), tonumber(n), tonumber(bound_ms), tonumber(bound_n)
    if ms < bound_ms or (ms == bound_ms and n < bound_n) then bound = id end
  end
  for _, x in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local g = fields(x)
    lower(g['last-delivered-id'])
    if g.pending > 0 then lower(redis.call('XPENDING', key, g.name)[2]) end
  end
  trimmed = redis.call('XTRIM', key, 'MINID', '~', bound)
end
return {removed, trimmed}
)lua"};

/// XREADGROUP gives `[[stream, entries]]`, or nil when nothing came.
model::result<std::vector<model::stream_entry>> entries_read(const store::redis_reply& x) {
  constexpr std::string_view command = "XREADGROUP";
  if (x.is(store::redis_reply::kind::nil))
    return std::vector<model::stream_entry>{};
  auto streams = store::elements_of(x, command);
  if (!streams)
    return streams.why();
  if ((*streams)->size() != 1 || (*streams)->front().elements.size() != 2)
    return store::unexpected(x, command);
  return store::stream_entries((*streams)->front().elements[1], command);
}

} // namespace

void redis_bridge_state::work() {
  auto step = redis->connect();
  if (step && !joined)
    step = join();
  if (step)
    step = acknowledge();
  auto now = env->wall_ms();
  if (step && now - tidied_ms >= std::min(tidy_ms_max, how.claim_ms / 3)) {
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
  work_again(std::max<std::int64_t>(20, redis->connected() ? 500 : redis->retry_in_ms()));
}

model::status redis_bridge_state::join() {
  auto made = redis->send_all(std::vector{store::redis_command{
      "XGROUP", {"CREATE", model::fanout_stream, how.group, how.begin_id, "MKSTREAM"}}});
  if (!made)
    return made.why();
  const auto& reply = made->front();
  if (reply.is(store::redis_reply::kind::error) && !reply.refuses("BUSYGROUP"))
    return store::unexpected(reply, "XGROUP CREATE");
  joined = true;
  from = "0";
  return model::nothing{};
}

model::status redis_bridge_state::acknowledge() {
  if (done.empty())
    return model::nothing{};
  store::redis_command command{"XACK", {model::fanout_stream, how.group}};
  for (const auto& id : done)
    command.add(id);
  auto reply = redis->send(command);
  if (!reply)
    return reply.why();
  env->counted.pointers_acknowledged.add(done.size());
  done.clear();
  return model::nothing{};
}

model::status redis_bridge_state::read() {
  store::redis_command command{"XREADGROUP", {"GROUP", how.group, how.consumer, "COUNT"}};
  command.add(batch);
  auto wait = done.empty() && from == ">" ? block_ms : 0;
  if (wait > 0)
    command.add("BLOCK").add(wait);
  command.add("STREAMS").add(model::fanout_stream).add(from);
  auto reply = redis->send(command, wait);
  if (!reply)
    return reply.why();
  auto entries = entries_read(*reply);
  if (!entries)
    return entries.why();
  // Its own pending ones first, from the oldest; then new ones.
  if (from != ">")
    from = entries->empty() ? ">" : entries->back().id;
  env->counted.pointers_read.add(entries->size());
  take(*entries);
  return model::nothing{};
}

model::status redis_bridge_state::claim() {
  store::redis_command command{"XAUTOCLAIM", {model::fanout_stream, how.group, how.consumer}};
  command.add(how.claim_ms).add(claim_from).add("COUNT").add(batch);
  auto reply = redis->send(command);
  if (!reply)
    return reply.why();
  auto parts = store::elements_of(*reply, command.name());
  if (!parts)
    return parts.why();
  if ((*parts)->size() != 3)
    return store::unexpected(*reply, command.name());
  auto next = store::text_of((**parts)[0], command.name());
  if (!next)
    return next.why();
  auto entries = store::stream_entries((**parts)[1], command.name());
  if (!entries)
    return entries.why();
  // Redis looks at a bounded part of what is pending, and says where it has stopped.
  claim_from = **next;
  if (claim_from != "0-0")
    tidied_ms = 0;
  env->counted.pointers_claimed.add(entries->size());
  if (!entries->empty())
    spdlog::info("pointers: {} of consumers that do not answer were claimed", entries->size());
  take(*entries);
  return model::nothing{};
}

model::status redis_bridge_state::tidy() {
  store::redis_call call{
      {std::string{model::fanout_stream}},
      {how.group, how.consumer, std::to_string(how.gone_ms), std::to_string(how.fanout_ms)}};
  auto replies = redis->call_all(tidy_script, std::vector{call});
  if (!replies)
    return replies.why();
  auto counts = store::elements_of(replies->front(), tidy_script.name);
  if (!counts)
    return counts.why();
  if ((*counts)->size() != 2)
    return store::unexpected(replies->front(), tidy_script.name);
  auto gone = store::integer_of((**counts)[0], tidy_script.name);
  auto old = store::integer_of((**counts)[1], tidy_script.name);
  for (const auto* x : {&gone, &old})
    if (!*x)
      return x->why();
  env->counted.consumers_removed.add(static_cast<std::uint64_t>(*gone));
  env->counted.pointers_trimmed.add(static_cast<std::uint64_t>(*old));
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
  state.redis.emplace(how.redis);
  state.how = std::move(how);
  state.copier = std::move(copier);
  state.directory = std::move(directory);
  state.work_again(0);
  return {
      [&state](atom::work) { state.work(); },
  };
}

} // namespace confab::actors
