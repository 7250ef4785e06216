#include "store/pointer_group.hpp"
#include "store/redis_connection.hpp"
#include "store/stream_reply.hpp"

namespace confab::store {

namespace {

constexpr std::int64_t batch = 256;

// KEYS: the fan-out stream. ARGV: group, this consumer, after how many ms a
// consumer is gone, after how many a pointer is old (0: never). Answers how
// many consumers and pointers were removed.
constinit const redis_script tidy_script{"the script that tidies the fan-out stream", R"lua(
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

class redis_pointer_group final : public pointer_group {
public:
  explicit redis_pointer_group(group_options how) : how_{std::move(how)}, redis_{how_.redis} {}

  model::status connect() override { return redis_.connect(); }
  bool connected() const override { return redis_.connected(); }
  std::int64_t retry_in_ms() const override { return redis_.retry_in_ms(); }

  model::status join() override {
    auto made = redis_.send_all(std::vector{redis_command{
        "XGROUP", {"CREATE", model::fanout_stream, how_.group, how_.begin_id, "MKSTREAM"}}});
    if (!made)
      return made.why();
    const auto& reply = made->front();
    if (reply.is(redis_reply::kind::error) && !reply.refuses("BUSYGROUP"))
      return unexpected(reply, "XGROUP CREATE");
    from_ = "0";
    claim_from_ = "0-0";
    return model::nothing{};
  }

  model::result<std::vector<model::stream_entry>> read(std::int64_t wait_ms) override {
    redis_command command{"XREADGROUP", {"GROUP", how_.group, how_.consumer, "COUNT"}};
    command.add(batch);
    // Its own come at once.
    auto wait = from_ == ">" ? wait_ms : 0;
    if (wait > 0)
      command.add("BLOCK").add(wait);
    command.add("STREAMS").add(model::fanout_stream).add(from_);
    auto reply = redis_.send(command, wait);
    if (!reply)
      return reply.why();
    auto entries = entries_read(*reply, command.name());
    // Its own pending ones first, from the oldest; then new ones.
    if (entries && from_ != ">")
      from_ = entries->empty() ? ">" : entries->back().id;
    return entries;
  }

  model::status acknowledge(std::span<const std::string> ids) override {
    redis_command command{"XACK", {model::fanout_stream, how_.group}};
    for (const auto& id : ids)
      command.add(id);
    auto reply = redis_.send(command);
    return reply ? model::status{model::nothing{}} : reply.why();
  }

  model::result<claimed> claim() override {
    redis_command command{"XAUTOCLAIM", {model::fanout_stream, how_.group, how_.consumer}};
    command.add(how_.claim_ms).add(claim_from_).add("COUNT").add(batch);
    auto reply = redis_.send(command);
    if (!reply)
      return reply.why();
    auto parts = elements_of(*reply, command.name());
    if (!parts)
      return parts.why();
    if ((*parts)->size() != 3)
      return unexpected(*reply, command.name());
    auto next = text_of((**parts)[0], command.name());
    if (!next)
      return next.why();
    auto entries = stream_entries((**parts)[1], command.name());
    if (!entries)
      return entries.why();
    // Redis looks at ten times COUNT of what is pending, and says where it has
    // stopped.
    claim_from_ = **next;
    return claimed{std::move(*entries), claim_from_ != "0-0"};
  }

  model::result<tidied> tidy() override {
    redis_call call{
        {std::string{model::fanout_stream}},
        {how_.group, how_.consumer, std::to_string(how_.gone_ms), std::to_string(how_.fanout_ms)}};
    auto replies = redis_.call_all(tidy_script, std::vector{call});
    if (!replies)
      return replies.why();
    const auto& reply = replies->front();
    auto counts = elements_of(reply, tidy_script.name);
    if (!counts)
      return counts.why();
    if ((*counts)->size() != 2)
      return unexpected(reply, tidy_script.name);
    auto consumers = integer_of((**counts)[0], tidy_script.name);
    auto pointers = integer_of((**counts)[1], tidy_script.name);
    for (const auto* x : {&consumers, &pointers})
      if (!*x)
        return x->why();
    return tidied{static_cast<std::uint64_t>(*consumers), static_cast<std::uint64_t>(*pointers)};
  }

private:
  /// XREADGROUP gives `[[stream, entries]]`, or nil when nothing came.
  [[nodiscard]] static model::result<std::vector<model::stream_entry>>
  entries_read(const redis_reply& x, std::string_view command) {
    if (x.is(redis_reply::kind::nil))
      return std::vector<model::stream_entry>{};
    auto streams = elements_of(x, command);
    if (!streams)
      return streams.why();
    if ((*streams)->size() != 1 || (*streams)->front().elements.size() != 2)
      return unexpected(x, command);
    return stream_entries((*streams)->front().elements[1], command);
  }

  const group_options how_;
  redis_connection redis_;
  /// Through which of its own pending ones it has read since it joined; `>`:
  /// all of them.
  std::string from_ = "0";
  std::string claim_from_ = "0-0";
};

} // namespace

std::unique_ptr<pointer_group> open_pointer_group(group_options how) {
  return std::make_unique<redis_pointer_group>(std::move(how));
}

} // namespace confab::store
