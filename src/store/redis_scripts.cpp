#include "store/redis_scripts.hpp"
#include "store/redis_append_script.hpp"
#include "store/redis_observation_script.hpp"

#include <list>

namespace confab::store::redis_scripts {

namespace {

/// Scripts live as long as the process.
redis_script made(std::string_view name, std::string_view first_line, std::string_view body) {
  static std::list<std::string> texts;
  auto& text = texts.emplace_back(first_line);
  return {name, text.append(observation).append(body)};
}

/// Redis refuses it as a whole where it could not write: out of memory, read-only, too few
/// replicas.
redis_script writes(std::string_view name, std::string_view body) {
  return made(name, "#!lua\n", body);
}

/// It reads even there, unless an epoch has to be replaced.
redis_script reads(std::string_view name, std::string_view body) {
  return made(name, "", body);
}

} // namespace

const redis_script observe = reads("observe", R"lua(
return (observe())
)lua");

const redis_script append = writes("append", append_body);

const redis_script plain_append{"append", plain_append_body};

const redis_script read = reads("read", R"lua(
local FROM, THROUGH = tonumber(ARGV[8]), tonumber(ARGV[9])
local COUNT, BYTES = tonumber(ARGV[10]), tonumber(ARGV[11])
local at, from_id, ids = tonumber(ARGV[12]), ARGV[13], ARGV[14] == 'ids'
local o, s = observe()
if not s then return {o, 0, 0} end
local first, tail, held = s.first, s.tail, s.held
if o[2] ~= KNOWN_EPOCH then at = 0 end
local from = math.max(FROM, first)
if from > tail or THROUGH < from then return {o, from, 0} end
-- `first` may be beyond the first that is there.
if at == 0 or at + 1 < held then
  at, from_id = held - 1, '-'
else
  from_id = '(' .. from_id
end
if not ids and from - at > 1000 then return {o, from, 2} end
local through = math.min(THROUGH, tail)
local result, bytes, bounded = {o, 0, 0}, 0, 0
while true do
  local part = part_at(s.parts, at + 1)
  local want = math.min(COUNT - (#result - 3), ids and 100 or 32, through - at, part.through - at)
  if want <= 0 then
    -- A bound, unless it is the tail itself.
    bounded = (at < tail or through == THROUGH) and 1 or 0
    break
  end
  local some = redis.call('XRANGE', part.stream, from_id, '+', 'COUNT', want)
  for i = 1, #some do
    at = at + 1
    if ids then
      if #result == 3 then result[2] = at end
      result[#result + 1] = some[i][1]
    elseif at >= from then
      local size = 0
      for j = 1, #some[i][2] do size = size + #some[i][2][j] end
      if #result > 3 and bytes + size > BYTES then
        result[3] = 1
        return result
      end
      bytes = bytes + size
      if #result == 3 then result[2] = at end
      result[#result + 1] = some[i]
    end
  end
  if #some == 0 then break end
  from_id = '(' .. some[#some][1]
end
result[3] = bounded
return result
)lua");

const redis_script read_back = reads("read_back", R"lua(
local COUNT, at, id = tonumber(ARGV[10]), tonumber(ARGV[12]), ARGV[13]
local o, s = observe()
if not s or s.epoch ~= KNOWN_EPOCH then return {o, 0, 0} end
local result, to = {o, at - 1, 0}, '(' .. id
while #result - 3 < COUNT and at > s.held do
  local part = part_at(s.parts, at - 1)
  -- Behind this one its stream goes on without the fork.
  if at - 1 == part.through then to = part.id end
  local want = math.min(100, COUNT - (#result - 3), at - s.held)
  local some = redis.call('XREVRANGE', part.stream, to, '-', 'COUNT', want)
  for i = 1, #some do result[#result + 1] = some[i][1] end
  if #some == 0 then break end
  at, to = at - #some, '(' .. some[#some][1]
end
return result
)lua");

const redis_script change = writes("change", R"lua(
local what = ARGV[8]
local o, s = observe()
redis.call('ZCARD', INDEX)
redis.call('HLEN', PRODUCERS)
if not s then return {o[2] and 'gone' or 'not_found', o} end
if what == 'close' then
  if not s.closed then redis.call('HSET', LOG, 'closed', int(s.tail) .. ' ' .. s.tail_id) end
  return {'ok', (observe())}
elseif what == 'remove' then
  return {'ok', observation_of(nil, remove(NAME, false))}
elseif what == 'touch' then
  if s.epoch == ARGV[9] then redis.call('HSET', LOG, 'expires_ms', ARGV[10]) end
  return {'ok', o}
end
return redis.error_reply('ERR no such change')
)lua");

const redis_script fork = writes("fork", R"lua(
local call = redis.call
local FANOUT, SOURCE, SOURCE_EPOCH = KEYS[6], ARGV[8], ARGV[9]
local AT, ID, CUT = tonumber(ARGV[10]), ARGV[11], tonumber(ARGV[12])
local ORIGIN, CONTENT_TYPE, TTL_S, EXPIRES_MS = ARGV[13], ARGV[14], ARGV[15], ARGV[16]
local CLOSES, COUNT = ARGV[17] == '1', tonumber(ARGV[18])
local o, s = observe()
if s or o[2] then return {'exists', o} end
local source = sight_of(SOURCE, false, '', 0, '0-0')
if not source or source.epoch ~= SOURCE_EPOCH or AT > source.tail or AT + 1 < source.first then return {'look', o} end
call('XLEN', FANOUT)
call('ZCARD', INDEX)
call('SCARD', forks_of(SOURCE))
-- As if so many had been added, and trimmed.
if AT > 0 then
  call('XADD', STREAM, 'MAXLEN', '=', 0, ID, 'trimmed', '')
  call('XSETID', STREAM, ID, 'ENTRIESADDED', int(AT))
end
local tail, tail_id, at = AT, ID, 18
for _ = 1, COUNT do
  local fields = tonumber(ARGV[at + 2])
  tail, tail_id = tail + 1, ARGV[at + 1]
  call('XADD', STREAM, tail_id, unpack(ARGV, at + 3, at + 2 + fields))
  call('XADD', FANOUT, '*', 'conversation_id', NAME, 'stream_key', STREAM, 'entry_id', tail_id, 'origin', ORIGIN)
  at = at + 2 + fields
end
call('UNLINK', LOG, PRODUCERS)
call('HSET', LOG, 'epoch', FRESH .. '.1', 'content_type', CONTENT_TYPE, 'deleted', '0-0', 'last',
     int(tail) .. ' ' .. tail_id, 'fork',
     origin_text({source = SOURCE, at = AT, id = ID, cut = CUT, epoch = SOURCE_EPOCH}))
if TTL_S ~= '' then call('HSET', LOG, 'ttl_s', TTL_S) end
if EXPIRES_MS ~= '' then call('HSET', LOG, 'expires_ms', EXPIRES_MS) end
if CLOSES then call('HSET', LOG, 'closed', int(tail) .. ' ' .. tail_id) end
call('ZADD', INDEX, 0, NAME)
call('SADD', forks_of(SOURCE), NAME)
-- Each observation looks whether it stands in its place; so does what is shared in front of it, then.
local facts = source.parts[#source.parts].facts
call('HSET', key_of(LOG, SOURCE), 'last', int(facts.added) .. ' ' .. (facts.length > 0 and facts.last or facts.top))
return {'ok', (observe())}
)lua");

const redis_script trim = writes("trim", R"lua(
local KEEP, OLDEST = tonumber(ARGV[8]), ARGV[9]
local TTL, INTERNAL_TTL, CURSOR, BEYOND = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13])
local STEP = 500
local some = redis.call('HSCAN', PRODUCERS, CURSOR, 'COUNT', 20)[2]
for i = 1, #some, 2 do
  local at = tonumber(some[i + 1]:match(' (%d+)$') or '0')
  if NOW - at > (some[i]:sub(1, 1) == '~' and INTERNAL_TTL or TTL) then
    redis.call('HDEL', PRODUCERS, some[i])
  end
end
local removed = 0
local o, s = observe()
-- The rule counts for what is only there for forks, too.
if o[2] == 1 then s = sight_of(NAME, true, KNOWN_EPOCH, KNOWN_SEQ, KNOWN_ID) end
if s and s.origin and s.first <= s.origin.at then
  -- Its source keeps them; it shows them no more.
  local first = math.min(math.max(BEYOND, KEEP >= 0 and s.tail - KEEP or 0), s.origin.at) + 1
  if first > s.first then
    redis.call('HSET', LOG, 'first', int(first))
    removed = first - s.first
  end
elseif s and KEEP >= 0 and s.length > KEEP then
  removed = redis.call('XTRIM', STREAM, 'MAXLEN', '=', math.max(KEEP, s.length - STEP))
end
-- Where its own entries are too old, those that it shares are, too.
if s and OLDEST ~= '-1' and removed == 0 then
  local old = redis.call('XRANGE', STREAM, '-', '(' .. OLDEST .. '-0', 'COUNT', STEP + 1)
  if #old > STEP then
    removed = redis.call('XTRIM', STREAM, 'MINID', '=', old[#old][1])
  elseif #old > 0 then
    removed = redis.call('XTRIM', STREAM, 'MINID', '=', OLDEST .. '-0')
  end
end
if removed > 0 then o = observe() end
return {removed, o}
)lua");

const redis_script move_cursor = writes("move_cursor", R"lua(
local CURSOR, USER, CLIENT, EPOCH = KEYS[6], ARGV[8], ARGV[9], ARGV[10]
local SEQ, ID, TTL = tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13])
local before = redis.call('GET', CURSOR)
if before then
  local whole, x = pcall(cjson.decode, before)
  if whole and type(x) == 'table' and x.epoch == EPOCH and type(x.last_seq) == 'number' and x.last_seq >= SEQ and
     type(x.last_sync_at) == 'number' and NOW - x.last_sync_at <= TTL then
    return 0
  end
end
local function text(x) return cjson.encode(x) end
redis.call('SET', CURSOR, '{"client_id":' .. text(CLIENT) .. ',"user_id":' .. text(USER) ..
           ',"conversation_id":' .. text(NAME) .. ',"last_message_id":"' .. ID .. '","last_seq":' .. int(SEQ) ..
           ',"last_sync_at":' .. int(NOW) .. ',"epoch":' .. text(EPOCH) .. '}', 'PX', TTL)
return 1
)lua");

const redis_script cursor{"cursor", R"lua(
local whole, x = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '')
if not whole or type(x) ~= 'table' then return false end
local function text(v) return type(v) == 'string' and v or '' end
local function number(v) return type(v) == 'number' and v >= 0 and v < 2 ^ 53 and string.format('%.0f', v) or '' end
return {text(x.epoch), number(x.last_seq), text(x.last_message_id), number(x.last_sync_at)}
)lua"};

const redis_script speak{"speak", R"lua(#!lua
local h = redis.call('HMGET', KEYS[1], 'epoch', 'spoken')
if h[1] ~= ARGV[1] or (h[2] or '0-0') ~= ARGV[2] then return 0 end
-- First, since it can fail where channels are not allowed: then nothing has happened.
for i = 5, #ARGV do redis.call('PUBLISH', ARGV[4], ARGV[i]) end
redis.call('HSET', KEYS[1], 'spoken', ARGV[3])
return 1
)lua"};

const redis_script begin{"begin", R"lua(#!lua
local now = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)), 'NX')
return redis.call('GET', KEYS[1])
)lua"};

} // namespace confab::store::redis_scripts
