#include "model/stream_entry.hpp"
#include "store/redis_connection.hpp"
#include "store/stream_target.hpp"

#include <algorithm>

namespace confab::store {

namespace {

// KEYS: the conversation's stream, the fan-out stream, the mirror's place.
// ARGV: origin, epoch, the seq that the mirror is believed to have, the seq of
// the last one, whether what is missing before them is gone for good, MAXLEN or
// 0, the conversation's name; then of each entry seq, payload, sender, time,
// kind, message. Answers the seq that the mirror has by then: a lower one than
// asked for means that Redis has lost some, and nothing was added.
constinit const redis_script mirror_script{"the script that mirrors entries",
                                           R"lua(
local call = redis.call
local stream, fanout, mirror = KEYS[1], KEYS[2], KEYS[3]
local origin, epoch, after, through = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local maxlen, name = ARGV[6], ARGV[7]
-- The other two are refused by the first command on them, before anything is written.
local kind = call('TYPE', fanout).ok
if kind ~= 'stream' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the fan-out key holds a ' .. kind)
end
local known, from = call('HGET', mirror, origin), after
if known then
  local in_epoch, seq = string.match(known, '^(%S+) (%d+)$')
  if in_epoch == epoch then
    from = tonumber(seq)
    if from < after and ARGV[5] ~= '1' then return from end
  end
end
local function add(...)
  if maxlen == '0' then return call('XADD', stream, '*', ...) end
  return call('XADD', stream, 'MAXLEN', '~', maxlen, '*', ...)
end
for i = 8, #ARGV, 6 do
  if tonumber(ARGV[i]) > from then
    local payload, sender, time, kind, message = unpack(ARGV, i + 1, i + 5)
    local id
    if message == '' then
      id = add('payload', payload, 'conversation_id', name, 'sender_id', sender, 'timestamp', time,
               'kind', kind, 'origin', origin)
    else
      id = add('payload', payload, 'conversation_id', name, 'sender_id', sender, 'timestamp', time,
               'kind', kind, 'origin', origin, 'message', message)
    end
    call('XADD', fanout, '*', 'conversation_id', name, 'stream_key', stream, 'entry_id', id, 'origin',
         origin)
  end
end
if through > from or not known then call('HSET', mirror, origin, epoch .. ' ' .. ARGV[4]) end
return math.max(through, from)
)lua"};

class redis_stream_target final : public stream_target {
public:
  explicit redis_stream_target(target_options how)
    : origin_{std::move(how.origin)}, maxlen_{how.maxlen}, redis_{std::move(how.redis)} {}

  model::status connect() override { return redis_.connect(); }
  std::int64_t retry_in_ms() const override { return redis_.retry_in_ms(); }

  model::result<std::vector<model::result<model::seq>>>
  add(std::span<const mirrored_page> pages) override {
    std::vector<redis_call> calls;
    for (const auto& x : pages)
      calls.push_back(call_of(x));
    auto replies = redis_.call_all(mirror_script, calls);
    if (!replies)
      return replies.why();
    std::vector<model::result<model::seq>> result;
    for (const auto& x : *replies)
      result.push_back(through_in(x));
    return result;
  }

private:
  [[nodiscard]] redis_call call_of(const mirrored_page& x) const {
    redis_call call{{model::stream_of(x.name), std::string{model::fanout_stream},
                     "confab:mirror:" + x.name.text()},
                    {origin_, x.epoch.text, std::to_string(x.has.value),
                     std::to_string(x.through.value), x.behind_a_hole ? "1" : "0",
                     std::to_string(maxlen_), x.name.text()}};
    for (const auto* y : x.entries)
      for (auto&& text : {std::to_string(y->at.value), y->payload, y->sender,
                          std::to_string(y->time_ms), y->kind, y->message})
        call.arguments.push_back(text);
    return call;
  }

  [[nodiscard]] static model::result<model::seq> through_in(const redis_reply& x) {
    auto through = integer_of(x, mirror_script.name);
    if (x.refuses("WRONGTYPE"))
      return model::error{model::code::unsupported, through.why().detail};
    if (!through)
      return through.why();
    return model::seq{static_cast<std::uint64_t>(std::max<std::int64_t>(0, *through))};
  }

  std::string origin_;
  std::uint64_t maxlen_;
  redis_connection redis_;
};

} // namespace

std::unique_ptr<stream_target> open_stream_target(target_options how) {
  return std::make_unique<redis_stream_target>(std::move(how));
}

} // namespace confab::store
